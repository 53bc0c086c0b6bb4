"""Replaying a recorded episode: seed, start state and buttons must bring back every frame, reward
and end exactly.

Emulators are deterministic, so a difference means that the recording was changed or damaged, or
that the emulator, the ROM or the game's settings are others now.
"""

import io
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from PIL import Image

from dreamcart.core.errors import UserError, shown
from dreamcart.core.files import writing
from dreamcart.data.images import decode_image
from dreamcart.data.infos import infos_json, parse_infos, start_state
from dreamcart.games.emulator import Emulator

OURS = ("start_state", "actions_hash")  # in infos, but no variables of the emulator


@dataclass(frozen=True)
class Verdict:
    """What replaying an episode showed: no problem is a PASS."""

    episode: int
    steps: int  # replayed
    problem: str = ""
    picture: Path | None = None


class DifferenceError(Exception):
    """The first difference: what it is, at which step, and the frames there, uint8 [H, W, 3] (None:
    not to be compared).
    """

    def __init__(
        self,
        what: str,
        step: int = 0,
        recorded: np.ndarray | None = None,
        replayed: np.ndarray | None = None,
    ) -> None:
        super().__init__(what)
        self.step, self.recorded, self.replayed = step, recorded, replayed


def replay(
    emulator: Emulator, buttons: int, rows: Iterable[dict[str, Any]], number: int, pictures: Path
) -> Verdict:
    """Replay episode `number` from its rows in order (see `schema`); a first difference is drawn
    into `pictures`.
    """
    try:
        return Verdict(number, _compare(emulator, buttons, rows))
    except DifferenceError as difference:
        picture = _draw(difference, pictures / f"episode-{number:05d}.png")
        return Verdict(number, difference.step, f"step {difference.step}: {difference}", picture)
    except UserError as problem:  # a damaged image or shard, an unknown start state
        return Verdict(number, 0, str(problem))


def _compare(emulator: Emulator, buttons: int, rows: Iterable[dict[str, Any]]) -> int:
    """The number of steps replayed. Raises DifferenceError at the first difference."""
    actions = xxhash.xxh3_64()
    frame, previous, ended = None, None, False
    for step, row in enumerate(rows):
        if row["step"] != step:
            raise DifferenceError(f"it is missing, and step {row['step']} follows", step)
        if previous and (previous["actions"] is None or (ended and row["actions"] is not None)):
            raise DifferenceError("the episode goes on after its end", step)
        if frame is None:
            frame = _begin(emulator, row)
        recorded = _decode(row["observations"]["bytes"])
        _compare_frames(recorded, frame, step)
        _compare_variables(row["infos"], emulator, step, frame)
        previous = row
        if row["actions"] is None:
            continue
        if len(row["actions"]) != buttons or not set(row["actions"]) <= {0, 1}:
            raise DifferenceError(
                f"the action {shown(row['actions'])} does not fit the game's {buttons} buttons",
                step,
            )
        actions.update(bytes(row["actions"]))
        frame, reward, terminated, truncated = emulator.step(row["actions"])
        if row["rewards"] != np.float32(reward):
            raise DifferenceError(
                f"the reward is {row['rewards']}, replayed {reward}", step, recorded, recorded
            )
        if row["terminations"] != terminated:
            raise DifferenceError(
                f"the termination is {row['terminations']}, replayed {terminated}",
                step,
                recorded,
                recorded,
            )
        if truncated and not row["truncations"]:
            raise DifferenceError(
                "the truncation is False, replayed True", step, recorded, recorded
            )
        ended = row["terminations"] or row["truncations"]
    if previous["actions"] is not None or step == 0:
        raise DifferenceError("its final observation is missing", step + 1)
    if not ended:
        raise DifferenceError("it stops without an end: steps are missing", step)
    if (parse_infos(previous["infos"]) or {}).get(
        "actions_hash", actions.hexdigest()
    ) != actions.hexdigest():
        raise DifferenceError(
            "up to here the actions are not those that were recorded, though the frames are", step
        )
    return step


def _begin(emulator: Emulator, row: dict[str, Any]) -> np.ndarray:
    """The first frame, from the start state and the seed that the first row names."""
    infos = parse_infos(row["infos"])
    if infos is None:
        raise DifferenceError(f"the infos are {shown(row['infos'])}, which is no JSON object")
    if infos.get("start_state") is None:
        raise DifferenceError("the episode does not name its start state, so it cannot be replayed")
    state = start_state(infos, "the episode")
    try:
        return emulator.reset(state, row["seed"])
    except (OverflowError, ValueError, TypeError):
        raise DifferenceError(f"{row['seed']} is no seed that this emulator takes") from None


def _compare_frames(recorded: np.ndarray, frame: np.ndarray, step: int) -> None:
    if recorded.shape != frame.shape:
        sizes = [" x ".join(map(str, picture.shape[:2])) for picture in (recorded, frame)]
        raise DifferenceError(f"the frame is {sizes[0]}, replayed {sizes[1]}", step)
    if not np.array_equal(recorded, frame):
        wrong = int((recorded != frame).any(2).sum())
        raise DifferenceError(
            f"{wrong} of {recorded[:, :, 0].size} pixels of the frame differ", step, recorded, frame
        )


def _compare_variables(infos: str | None, emulator: Emulator, step: int, frame: np.ndarray) -> None:
    """The emulator's variables, where the recording has them."""
    now = infos_json(emulator.variables())
    if infos in (now, None):
        return
    recorded, now = parse_infos(infos), json.loads(now)
    if recorded is None:
        raise DifferenceError(f"the infos are {shown(infos)}, which is no JSON object", step)
    for name, was in recorded.items():
        if name not in OURS and was != now.get(name):
            what = (
                f"the variable {shown(name)[1:-1]} is {shown(was)}, replayed {shown(now.get(name))}"
            )
            raise DifferenceError(what, step, frame, frame)


@lru_cache(256)  # most frames repeat
def _decode(content: bytes) -> np.ndarray:
    return decode_image(content)


def _draw(difference: DifferenceError, path: Path) -> Path | None:
    """recorded | replayed | difference, twice as large."""
    if difference.recorded is None:
        return None
    recorded, replayed = difference.recorded, difference.replayed
    gap = np.full((len(recorded), 4, 3), 96, np.uint8)
    apart = np.abs(recorded.astype(int) - replayed).astype(np.uint8)
    sheet = np.concatenate([recorded, gap, replayed, gap, apart], axis=1)
    buffer = io.BytesIO()  # Pillow writing to the disk itself would hide why it cannot
    Image.fromarray(sheet.repeat(2, 0).repeat(2, 1)).save(buffer, "PNG")
    with writing(path) as temporary:
        temporary.write_bytes(buffer.getvalue())
    return path
