"""The carts that come along show the pinned frames, and play recorded moments exactly.

tests/golden/carts/pins.json holds for each cart fixed buttons, and the SHA-256 of the 300 frames
that it shows by them at temperature 0 and at 1, and of 60 steps from each start state, on the
machines that were tried. Another kind of machine (ARM, say) is held to 95 % of the first 60 frames,
until `python scripts/pin_carts.py` has named it.

The recordings are three episodes of 240 steps a game, the first of the plan by a seed of their own.
From every 20th step, 33 moments in all, a cart dreams ten steps by the recorded buttons; a moment
is exact if all ten frames are, in every pixel. As many must be as on the day of the pin, or one
less.
"""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from toys.synthetic import BUTTONS, make_rows, make_world_of_cells, write_raw

from dreamcart.core.files import read_json
from dreamcart.core.paths import ROOT
from dreamcart.core.tensors import load_tensors
from dreamcart.core.tracked import OWN
from dreamcart.data.reader import read_episodes
from dreamcart.evaluation.pins import (
    FIRST_STEPS,
    MARK,
    STEPS,
    add_pin,
    difference,
    digests,
    exact_windows,
    frames_of,
    machine,
)
from dreamcart.world.cart import FOLDER, MOST_BYTES, carts, load_cart
from dreamcart.world.export import export_dream
from dreamcart.world.export_check import differing_frames
from dreamcart.world.model import WorldModel, load_world

CPU = torch.device("cpu")
GOLDEN = ROOT / "tests" / "golden" / "carts"
PINS = read_json(GOLDEN / "pins.json")
CARTS = [name for name in carts() if not name.startswith(OWN)]
PARTS = ["temperature 0", "temperature 1", "every start"]


def load(name: str) -> WorldModel:
    return load_cart(FOLDER / f"{name}.cart", CPU)[0]


@cache
def shown(name: str) -> dict[str, dict[str, str]]:
    """What a cart shows by the pinned buttons, played once: `digests` by part."""
    frames = frames_of(load(name), PINS[name]["actions"])
    return {part: digests(some) for part, some in frames.items()}


def test_every_cart_that_comes_along_is_pinned():
    """None is left out, as Pong once was."""
    assert [name for name in CARTS if "pins" not in PINS.get(name, {})] == []


@pytest.mark.parametrize("name", CARTS)
def test_the_cart_is_the_one_that_was_pinned(name):
    """A cart made anew needs new pins."""
    path = FOLDER / f"{name}.cart"
    assert path.stat().st_size <= MOST_BYTES
    told = load_tensors(path)[1]
    assert told["game"]["name"] == name
    assert told["fingerprint"] == PINS[name]["cart"], f"run `python scripts/pin_carts.py {name}`"


@pytest.mark.parametrize("name", CARTS)
def test_a_cart_says_how_it_was_made(name):
    """Its recipe: the settings, the code and the date."""
    told = load_tensors(FOLDER / f"{name}.cart")[1]
    assert told["recipe"]["game"] == name
    assert {"code", "date"} <= set(told["made"])


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("name", CARTS)
def test_a_cart_shows_the_pinned_frames(name, part):
    """300 steps by fixed buttons at both temperatures, and some from each start state."""
    told = shown(name)[part]
    if part != "every start":
        marks = [told["marks"][at : at + MARK] for at in range(0, len(told["marks"]), MARK)]
        assert len(marks) == STEPS
        assert len(set(marks)) > STEPS / 3, "it stands still"
    assert difference(told, PINS[name]["pins"], part, machine()) is None


@pytest.mark.parametrize("name", CARTS)
def test_a_cart_plays_recorded_moments_exactly(name):
    """Against the game itself, on moments that nobody has chosen."""
    exact = exact_windows(load(name), GOLDEN / name)
    assert len(exact) >= 20
    assert exact.all(1).sum() >= PINS[name]["exact"] - 1


def test_recordings_are_small_and_far_from_training():
    """Others begin at 0 (training), 1,000,000 (test), 2,000,000 and 3,000,000 (judging)."""
    assert sum(file.stat().st_size for file in GOLDEN.rglob("*") if file.is_file()) <= 300_000
    for name in PINS:
        episodes = list(read_episodes(GOLDEN / name, ["seed"]))
        assert len(episodes) == 3
        assert min(row["seed"] for episode in episodes for row in episode) >= 4_000_000


# The pins themselves


@pytest.fixture
def toy(tmp_path) -> WorldModel:
    """A dream whose every frame is another."""
    return load_world(make_world_of_cells(tmp_path / "model"), CPU)


def shift_a_tile(world: WorldModel) -> None:
    world.dynamics.tiles[0] = (world.dynamics.tiles[0] + 1) % 5


def turn_a_weight(world: WorldModel) -> None:
    world.dynamics.network.gate.weight.data[0, 0] += 1.0


@pytest.mark.parametrize("change", [shift_a_tile, turn_a_weight])
def test_pins_notice_what_changes_play(toy, change):
    """Played again a dream shows the pinned frames; one in which little is another shows others."""

    def told() -> dict[str, dict[str, str]]:
        return {part: digests(some) for part, some in frames_of(toy, "A*2 LEFT . B").items()}

    pinned = told()
    pins = add_pin({}, "cart", pinned, machine())["pins"]
    assert [difference(told()[part], pins, part, machine()) for part in PARTS] == [None] * 3
    change(toy)
    changed = told()
    assert all(difference(changed[part], pins, part, machine()) for part in PARTS)


def save_play(world: WorldModel, folder: Path, steps: int) -> Path:
    """The dream's own play at temperature 0, as recordings of its game."""
    rows = make_rows(0, steps + 1)
    pressed = np.random.default_rng(1).integers(0, 2, (steps, len(BUTTONS)), np.uint8)
    rows[0]["observations"] = world.starts["Begin"]
    state = world.start(world.starts["Begin"][None, None], pressed[None, :0])
    for before, row, action in zip(rows, rows[1:], pressed, strict=False):
        frames, state = world.step(state, action[None])
        before["actions"], row["observations"] = action.tolist(), frames[0]
    return write_raw(folder, [rows])


def test_recorded_moments_that_are_dreamed_exactly_are_told(toy, tmp_path):
    """From recordings of the dream's own play all are exact, and none are in another dream."""
    raw = save_play(toy, tmp_path / "raw", 60)
    exact = exact_windows(toy, raw)
    assert exact.shape == (2, 10)
    assert exact.all()
    turn_a_weight(toy)
    assert not exact_windows(toy, raw).all(1).any()


def test_a_machine_without_a_pin_is_held_to_a_share():
    """95 % of the first frames: neither skipped, nor held to another processor's last digits."""
    frames = np.arange(STEPS, dtype=np.uint8)[:, None, None, None]
    pinned = digests(frames)
    pins = [{"machines": ["here"], "frames": {"part": pinned}}]
    assert difference(pinned, pins, "part", "here") is None
    assert difference(pinned, pins, "part", "elsewhere") is None
    for wrong, fits in ((1, True), (3, True), (4, False), (FIRST_STEPS, False)):
        other = frames.copy()
        other[10 : 10 + wrong] += 77
        told = digests(other)
        assert (difference(told, pins, "part", "elsewhere") is None) == fits, wrong
        said = f"part: {wrong} of {STEPS} frames differ on here, the first at step 11"
        assert difference(told, pins, "part", "here") == said
    late = frames.copy()
    late[FIRST_STEPS:] += 77
    assert difference(digests(late), pins, "part", "elsewhere") is None
    assert "frames differ" in difference(digests(frames[:-1]), pins, "part", "elsewhere")


def test_marks_tell_frames_apart():
    """A mark stands for each frame, in order."""
    one, other = (digests(np.full((3, 2, 2, 3), value, np.uint8))["marks"] for value in (1, 2))
    assert len(one) == 3 * MARK
    assert one[:MARK] == one[MARK : 2 * MARK] != other[:MARK]


def test_a_pin_is_added_for_a_machine_and_none_outlives_its_code():
    """Other frames on the same machine are of other code."""
    one, other = {"part": {"sha256": "a"}}, {"part": {"sha256": "b"}}
    entry = add_pin({"actions": "A"}, "cart", one, "x")
    assert entry == {"actions": "A", "cart": "cart", "pins": [{"machines": ["x"], "frames": one}]}
    both = add_pin(entry, "cart", one, "w")
    assert both["pins"] == [{"machines": ["w", "x"], "frames": one}]
    assert add_pin(both, "cart", one, "x") == both
    apart = add_pin(both, "cart", other, "arm")["pins"]
    assert [pin["machines"] for pin in apart] == [["arm"], ["w", "x"]]
    for stale in (add_pin(both, "cart", other, "x"), add_pin(both, "cart 2", other, "x")):
        assert stale["pins"] == [{"machines": ["x"], "frames": other}]
    assert add_pin(both, "cart 2", one, "y")["pins"] == [{"machines": ["y"], "frames": one}]


@pytest.mark.parametrize("name", CARTS)
def test_onnx_runtime_plays_a_cart_as_torch_does(name, tmp_path):
    """A browser then shows what Python shows: a thousand steps each, with and without chance."""
    pytest.importorskip("onnxruntime")
    world = load(name)
    export_dream(world, tmp_path)
    assert [differing_frames(world, tmp_path, 1000, heat) for heat in (0.0, 1.0)] == [0, 0]
