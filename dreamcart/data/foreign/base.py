"""What the formats of other tools share: episodes whose images are read one at a time, buttons
bound by name, a report of what was made of what.
"""

import contextlib
import io
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from dreamcart.core.errors import UserError, shown
from dreamcart.data.actions import AUTO, Binding, bind, console_order
from dreamcart.data.canonical import canonical_rows, is_null
from dreamcart.data.external import Survey
from dreamcart.data.foreign.files import named
from dreamcart.data.images import MOST_PIXELS, image_format
from dreamcart.games.spec import GameSpec

CHANNELS = (1, 3, 4)


@dataclass
class Episode:
    """One episode as a format has it.

    Attributes:
        name: what messages call it.
        rows: one a frame, with canonical names (see `data.schema`) and without `observations`;
            `actions` is a frozenset of button names, or what `Binding.to_buttons` takes.
        images: gives the image files of the rows in order, one at a time.
    """

    name: str
    rows: list[dict[str, Any]]
    images: Callable[[], Iterator[bytes]]


@dataclass
class Streamed(Sequence):
    """Canonical rows as `EpisodeWriter.add` takes them, each image read when its turn comes."""

    episode: Episode
    rows: list[dict[str, Any]]
    formats: Counter[str] = field(default_factory=Counter)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, number: Any) -> Any:
        return self.rows[number]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield the rows with their images. Raises UserError where there are more of one."""
        bar = tqdm(self.rows, unit="frame", desc=self.episode.name, delay=2, leave=False)
        with contextlib.closing(self.episode.images()) as images:
            for number, row in enumerate(bar):
                image = next(images, None)
                if image is None:
                    raise unequal(self.episode.name, str(number), len(self.rows))
                self.formats[image_format(image)] += 1
                yield row | {"observations": image}
            if next(images, None) is not None:
                raise unequal(self.episode.name, f"more than {len(self.rows)}", len(self.rows))


def unequal(name: str, frames: str, rows: int) -> UserError:
    """Say that an episode has another number of frames than of rows."""
    return UserError(
        f"{name} has {frames} frames and {rows} rows of buttons, and needs one row a frame; bring"
        " back what is missing, or leave the episode out."
    )


class ForeignDataset(ABC):
    """A folder of another tool. It has what imports use of `ExternalDataset`."""

    info: dict[str, Any] | None = None  # of Dreamcart's own datasets
    spec: GameSpec | None = None  # no such format says its game
    missing: int | None = None  # no such format says how many episodes it should have
    recorded_as: list[str] | None = None  # names of the places of its actions, where it says them
    strict = True  # whether a name that the game does not have is a mistake

    def __init__(self, folder: Path) -> None:
        self.folder, self.source = folder, str(folder)
        self.columns: dict[str, str] = {}  # canonical → what it was made of
        self.ignored: list[str] = []
        self.notes: list[str] = []
        self.buttons: dict[str, None] = {}  # names that are pressed, or have a column
        self.formats: Counter[str] = Counter()
        self.held: Counter[str] = Counter()
        self.rows = self.terminal_rows = 0

    @abstractmethod
    def episodes(self) -> Iterator[Episode]:
        """Yield the episodes in order; no image is read yet. Raises UserError."""

    @cached_property
    def survey(self) -> Survey:
        """Episodes, and what the actions are like, by reading all but the images."""
        found = Survey()
        for episode in tqdm(self.episodes(), unit="episode", desc=f"read {self.source}", delay=2):
            found.names.add(episode.name)
            for row in episode.rows:
                if isinstance(row["actions"], frozenset):
                    self.buttons |= dict.fromkeys(sorted(row["actions"]))
                elif not is_null(row["actions"]):
                    found.note(row["actions"])
        if not found.names:
            raise UserError(f"The dataset {self.source} holds no episodes; name another folder.")
        return found

    @property
    def lossy(self) -> list[str]:
        """Formats among the images read so far that lose detail."""
        return sorted(set(self.formats) & {"JPEG", "WebP (lossy)"})

    def bind(self, spec: GameSpec, said: str = AUTO) -> Binding:
        """What its actions mean in the game `spec`. Raises UserError where they do not fit."""
        survey = self.survey
        if not survey.lengths:  # named one by one
            if said != AUTO:
                raise UserError(
                    f"The buttons of {self.source} have names already; leave --actions out"
                    " (`collect.actions: auto`)."
                )
            places = [self.meant(name, spec) for name in self.buttons]
            return bind(spec, {len(places)}, 1, places)
        if self.buttons:
            raise UserError(
                f"Some actions of {self.source} are names and others are numbers; write all of"
                " them in one way."
            )
        places = None
        if self.recorded_as is not None and said == AUTO:
            places = [self.meant(name, spec) for name in self.recorded_as]
            if not set(places) & set(spec.buttons):
                raise UserError(
                    f"{self.source} has {len(places)} places in its actions"
                    f" ({named(self.recorded_as, 16)}), none of them a button or a key of"
                    f" {spec.title}; name the button at each place by --actions"
                    " (`collect.actions`)."
                )
        return bind(spec, survey.lengths, survey.largest, places, said)

    def meant(self, name: str, spec: GameSpec) -> str:
        """The button of the game, or of its console, that a name means.

        Raises UserError where there is none, unless the format is not `strict`: its names are keys
        of a keyboard, and a key that the game does not use is lost.
        """
        known = [*spec.buttons, *(button for button in console_order(spec) or () if button)]
        if not self.strict:
            pairs = {key.casefold(): button for button, key in spec.keys.items()}
            return pairs.get(name.casefold(), name)
        if name in known:
            return name
        for button in known:
            if button.casefold() == name.casefold():
                return button
        way = (
            "say by --actions (`collect.actions`) what is meant"
            if self.recorded_as
            else "rename or remove its column"
        )
        raise UserError(
            f"{self.source} names the button {shown(name)}, which {spec.title} does not have"
            f" ({', '.join(dict.fromkeys(known))}); {way}, or name the right game by --game"
            " (`game`)."
        )

    def episodes_of(
        self, spec: GameSpec, binding: Binding, first: int = 0
    ) -> Iterator[tuple[str, Streamed]]:
        """Each episode, numbered from `first`: what messages call it, and its canonical rows."""

        def to_buttons(action: Any) -> list[int]:
            if isinstance(action, frozenset):
                action = [int(name in action) for name in self.buttons]
            return binding.to_buttons(action, spec)

        for number, episode in enumerate(self.episodes(), first):
            rows = [row | {"observations": None} for row in episode.rows]
            rows = canonical_rows(rows, number, to_buttons, episode.name)
            self.terminal_rows += is_null(episode.rows[-1]["actions"])
            self.rows += len(rows)
            for row in rows[:-1]:
                for name, value in zip(spec.buttons, row["actions"], strict=True):
                    self.held[name] += value
            yield episode.name, Streamed(episode, rows, self.formats)

    def remarks(self, spec: GameSpec) -> list[str]:
        """Sentences for the report, once the rows were read."""
        return self.notes

    def report(self, binding: Binding) -> dict[str, Any]:
        """What was made of what, once the rows were read."""
        return {
            "source": self.source,
            "episodes": self.survey.episodes,
            "frames": self.rows,
            "columns": self.columns,
            "ignored": list(dict.fromkeys(self.ignored)),
            "actions": binding.says,
            "presses_lost": binding.lost,
            "missing": self.missing,
            "images": dict(self.formats),
            "lossy": self.lossy,
            "terminal_rows": self.terminal_rows,
            "held": dict(self.held),
        }


def picture(frame: np.ndarray, what: str) -> np.ndarray:
    """A recorded array as a picture: uint8 [H, W], [H, W, C] or [C, H, W] → uint8 [H, W, 3].

    Raises UserError where it is none, or too large; `what` is what a message calls it.
    """
    if frame.ndim == 3 and frame.shape[-1] not in CHANNELS and frame.shape[0] in CHANNELS:
        frame = frame.transpose(1, 2, 0)
    frame = frame[:, :, None] if frame.ndim == 2 else frame
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[-1] not in CHANNELS:
        raise UserError(
            f"{what} is {frame.dtype} of shape {shown(list(frame.shape))}, and no picture: those"
            " are uint8 [height, width, 3]; name another dataset."
        )
    if not 1 <= min(frame.shape[:2]) <= max(frame.shape[:2]) <= MOST_PIXELS:
        raise UserError(
            f"{what} has {frame.shape[1]} x {frame.shape[0]} pixels, and a frame has 1 to"
            f" {MOST_PIXELS} on each side; leave that episode out."
        )
    return np.repeat(frame, 3, axis=2) if frame.shape[2] == 1 else frame[:, :, :3]


def png(frame: np.ndarray) -> bytes:
    """Encode uint8 [H, W, 3] fast: the writer decodes it at once."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(frame)).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
