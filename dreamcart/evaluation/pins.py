"""Pins of carts: what they show by fixed buttons, and which recorded moments they play exactly.

A change of the code that was to change nothing is seen at once. The frames are choices of tiles and
colours; the numbers behind them differ in their last digits from processor to processor, and a
choice between near equals may then fall otherwise. So a pin names the machines on which it was
seen.
"""

import hashlib
import platform
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dreamcart.data.unsplit import load_unsplit
from dreamcart.evaluation.draws import Draws
from dreamcart.evaluation.screens import load_infos
from dreamcart.evaluation.single_step import start_at
from dreamcart.games.action_lists import parse_actions
from dreamcart.world.model import WorldModel

STEPS = 300
EACH_START = 60  # steps from each start state
MARK = 4  # hexadecimal digits for a frame
WINDOW = 10  # steps that are compared with a recording
FIRST, APART = 20, 20  # steps: the first moment of an episode, and from one to the next
# A machine without a pin must show this share of so many first frames as another does.
NEAR, FIRST_STEPS = 0.95, 60


def machine() -> str:
    """Name the class of this machine: processor family and instructions ("x86_64 AVX512").

    bfloat16 is not part of it: a dream of cells takes its steps in float32 everywhere.
    """
    return f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"


def frames_of(world: WorldModel, actions: str) -> dict[str, np.ndarray]:
    """Play by fixed buttons from the first start state, and shortly from every one.

    Args:
        actions: text, see `games.action_lists`, begun again until STEPS are played.

    Returns:
        uint8 [N, H, W, C] each: "temperature 0", "temperature 1", "every start".
    """
    pressed = pressed_by(world, actions)
    first, every = world.starts[world.first_start][None], np.stack(list(world.starts.values()))
    cold, warm = (play(world, first, pressed, heat)[:, 0] for heat in (0.0, 1.0))
    each = play(world, every, pressed[:EACH_START], 0.0)
    each = each.reshape(-1, *each.shape[2:])
    return {"temperature 0": cold, "temperature 1": warm, "every start": each}


def pressed_by(world: WorldModel, actions: str) -> list[list[int]]:
    """Return the buttons of STEPS steps, multi-hot; see `frames_of`."""
    pressed = [world.spec.vector(buttons) for buttons in parse_actions(actions, world.spec)]
    return [pressed[step % len(pressed)] for step in range(STEPS)]


def play(world: WorldModel, first: np.ndarray, pressed: list[list[int]], heat: float) -> np.ndarray:
    """Dream from frames uint8 [B, H, W, C] by the same buttons: uint8 [T, B, H, W, C].

    Args:
        heat: the temperature; what is drawn has a fixed seed.
    """
    generator = torch.Generator(world.device).manual_seed(0)
    state = world.start(first[:, None], np.zeros((len(first), 0, len(pressed[0])), np.uint8))
    frames = []
    for action in pressed:
        actions = np.repeat(np.array([action], np.uint8), len(first), 0)
        shown, state = world.step(state, actions, heat, generator)
        frames.append(shown)
    return np.stack(frames)


def digests(frames: np.ndarray) -> dict[str, str]:
    """Return the SHA-256 of frames uint8 [N, ...], and `marks`: the first MARK digits of each."""
    hashed = [hashlib.sha256(np.ascontiguousarray(frame).tobytes()) for frame in frames]
    whole = hashlib.sha256(b"".join(one.digest() for one in hashed)).hexdigest()
    return {"sha256": whole, "marks": "".join(one.hexdigest()[:MARK] for one in hashed)}


def difference(shown: dict[str, str], pins: list[dict], part: str, here: str) -> str | None:
    """Say how frames differ from what is pinned; None where they are as they should be.

    On a machine that a pin names the frames must be that pin's. On another they must be those of
    any pin, or at least NEAR of the FIRST_STEPS first ones.

    Args:
        shown: see `digests`; pins: each with `machines`, and with `frames`, digests by part.
        part: of `frames_of`; here: see `machine`.
    """
    own = [pin for pin in pins if here in pin["machines"]]
    pinned = [pin["frames"][part] for pin in own or pins]
    if any(one["sha256"] == shown["sha256"] for one in pinned):
        return None
    alike = [_alike(shown["marks"], one["marks"]) for one in pinned]
    best = max(alike, key=lambda one: one[:FIRST_STEPS].mean())
    if not own and best[:FIRST_STEPS].mean() >= NEAR:
        return None
    count, first = (~best).sum(), int(best.argmin()) + 1
    return f"{part}: {count} of {len(best)} frames differ on {here}, the first at step {first}"


def _alike(one: str, other: str) -> np.ndarray:
    """Which frames are the same, bool [N]; none where there are more or fewer."""
    split = [[marks[at : at + MARK] for at in range(0, len(marks), MARK)] for marks in (one, other)]
    if len(one) != len(other):
        return np.zeros(max(map(len, split)), bool)
    return np.array([a == b for a, b in zip(*split, strict=True)])


def add_pin(entry: dict[str, Any], cart: str, frames: dict[str, Any], here: str) -> dict[str, Any]:
    """Return what is pinned of a cart, with the frames that it shows on this machine.

    Where they are others than before on this machine, the code has changed: then no pin is left of
    other machines, and where the cart is another, none of any.

    Args:
        entry: `cart`, a fingerprint, `pins`, see `difference`, and whatever else; cart: now.
    """
    pins = entry["pins"] if entry.get("cart") == cart else []
    if any(here in pin["machines"] and pin["frames"] != frames for pin in pins):
        pins = []
    same = [pin["machines"] for pin in pins if pin["frames"] == frames]
    own = {"machines": sorted({here, *(name for names in same for name in names)})}
    others = [pin for pin in pins if pin["frames"] != frames]
    return entry | {"cart": cart, "pins": [own | {"frames": frames}, *others]}


def exact_windows(world: WorldModel, raw: Path) -> np.ndarray:
    """Dream WINDOW steps from moments of recorded episodes, at temperature 0.

    Moments are APART steps from one another, as far as an episode goes. What the game has drawn
    is told, where it says so.

    Returns:
        bool [N, WINDOW]: which frames are exact in every pixel.

    Raises:
        UserError: the recordings are damaged.
    """
    with tempfile.TemporaryDirectory() as scratch:
        test = load_unsplit(raw, world.seen_as, Path(scratch))
        step, ends = test.index["step"], np.flatnonzero(np.diff(test.index["episode"], append=-1))
        moments = [np.arange(end - step[end] + FIRST, end - WINDOW + 1, APART) for end in ends]
        at, drawn = np.concatenate(moments), None
        if test.spec.seed_variable:
            drawn = Draws(load_infos(raw), test.spec.seed_variable, WINDOW).draws
        _, state = start_at(world, test, at)
        exact = []
        for ahead in range(1, WINDOW + 1):
            true = test.frames[test.index["frame"][at + ahead]]
            told: dict[str, Any] = {}
            if drawn is not None:
                told = {"truth": true, "told": drawn[at + ahead]}
            frames, state = world.step(state, test.index["action"][at + ahead - 1], **told)
            exact.append((frames == true).reshape(len(at), -1).all(1))
    return np.stack(exact, 1)
