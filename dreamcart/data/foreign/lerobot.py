"""LeRobot's datasets, version 2 and 3: numbers in Parquet, pictures in Parquet or in videos.

Version 2 has a file an episode, version 3 many episodes in one; meta/episodes says where those
begin in their video. File names are found, never made of what the dataset says.
"""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dreamcart.core.errors import UserError, shown
from dreamcart.core.files import read_json
from dreamcart.data.foreign.base import Episode, ForeignDataset, png
from dreamcart.data.foreign.files import found, kept, named
from dreamcart.data.foreign.video import SUFFIXES, Decoder
from dreamcart.data.sources import image_file
from dreamcart.games.spec import GameSpec

ABOUT = ("meta", "info.json")
EPISODE = "episode_index"
# Its column → the canonical one.
NEXT = {"next.reward": "rewards", "next.done": "terminations", "next.truncated": "truncations"}
ROWS_AT_ONCE = 256
REMEDY = "fetch the dataset again"


def has_lerobot(folder: Path) -> bool:
    """Whether a folder holds a dataset of LeRobot."""
    return folder.joinpath(*ABOUT).is_file()


@dataclass(frozen=True)
class _Place:
    """Where an episode's pictures begin: the frame in its video."""

    file: Path
    first: int


class LeRobotFolder(ForeignDataset):
    """A dataset of LeRobot whose actions are buttons, 0 or 1.

    Raises UserError where it has no pictures or actions, or what is there is damaged.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        about = read_json(kept(folder, folder.joinpath(*ABOUT)), REMEDY)
        features = about.get("features") if isinstance(about, dict) else None
        features = features if isinstance(features, dict) else {}
        kinds = {
            name: feature.get("dtype")
            for name, feature in features.items()
            if isinstance(feature, dict)
        }
        pictures = sorted(name for name, kind in kinds.items() if kind in ("video", "image"))
        self.action = next((name for name in ("action", "actions") if name in kinds), None)
        if not pictures or self.action is None:
            raise UserError(
                f"{folder.joinpath(*ABOUT)} tells of {named(sorted(kinds)) or 'nothing'}, and not"
                " of pictures and an action; name another dataset."
            )
        self.picture = pictures[0]
        self.decoder = Decoder() if kinds[self.picture] == "video" else None
        self.many = str(about.get("codebase_version", "")).lstrip("v").split(".")[0] not in "12"
        fps = about.get("fps")
        self.fps = fps if type(fps) in (int, float) and 0 < fps < 10**4 else 0
        self.recorded_as = _names(features[self.action])
        self.columns = {"observations": self.picture, "actions": self.action, "episode_id": EPISODE}
        self.columns |= {canonical: name for name, canonical in NEXT.items() if name in kinds}
        self.ignored = [
            named([name]) for name in sorted(kinds) if name not in self.columns.values()
        ]
        self.videos = found(folder / "videos", tuple(SUFFIXES)) if self.decoder else []
        # a video that is being decoded: its file, the number of the next frame, and the frames
        self.open: tuple[Path | None, int, Iterator[np.ndarray]] = (None, 0, iter(()))

    def episodes(self) -> Iterator[Episode]:
        """Yield the episodes in the order of the files."""
        wanted = [EPISODE, *(name for name in (self.action, *NEXT) if name in self._used)]
        places = self._places() if self.decoder and self.many else {}
        seen: set[int] = set()
        for path in found(self.folder / "data", (".parquet",)):
            file, first = kept(self.folder, path), 0
            rows = _rows(file, path, wanted)
            for number, group in groupby(rows, lambda row: row[EPISODE]):
                if type(number) is not int or number in seen:
                    raise UserError(
                        f"{path} has the episode {shown(number)}, which is no number, or stands"
                        f" elsewhere too; {REMEDY}."
                    )
                seen.add(number)
                name = f"episode {number} of {self.source}"
                steps = [self._row(row) for row in group]
                if self.decoder is None:
                    images = partial(self._pictures, file, path, first, len(steps))
                elif self.many:
                    if number not in places:
                        raise UserError(f"meta/episodes does not tell of {name}; {REMEDY}.")
                    images = partial(self._part, places[number], len(steps))
                else:
                    images = partial(self._whole, self._video(f"episode_{number:06d}"))
                first += len(steps)
                yield Episode(name, steps, images)

    @property
    def _used(self) -> set[str]:
        return set(self.columns.values())

    def _row(self, row: dict[str, Any]) -> dict[str, Any]:
        action = row[self.action]
        values = {canonical: _plain(row[name]) for name, canonical in NEXT.items() if name in row}
        return {"actions": action, **values}

    def _pictures(self, file: Path, path: Path, first: int, count: int) -> Iterator[bytes]:
        """Yield the images of some rows of a Parquet file."""
        rows = _rows(file, path, [self.picture], first)
        for number, row in enumerate(islice(rows, count)):
            what = f"The picture of row {first + number} of {path}"
            yield image_file(row[self.picture], self.folder, what)

    def _whole(self, path: Path) -> Iterator[bytes]:
        yield from map(png, self.decoder.frames(kept(self.folder, path), path))

    def _part(self, place: _Place, count: int) -> Iterator[bytes]:
        """Yield some frames of a video; episodes that follow each other decode it once."""
        path, position, frames = self.open
        if path != place.file or position > place.first:
            position = 0
            frames = self.decoder.frames(kept(self.folder, place.file), place.file)
        for _ in range(place.first - position):  # what no episode holds
            next(frames, None)
        for number in range(count):
            frame = next(frames, None)
            if frame is None:
                return
            self.open = (place.file, place.first + number + 1, frames)
            yield png(frame)

    def _video(self, stem: str, *parts: str) -> Path:
        """Find the only video of this name among those of the pictures."""
        paths = [
            path
            for path in self.videos
            if path.stem == stem and {self.picture, *parts} <= set(path.parts)
        ]
        if len(paths) != 1:
            raise UserError(
                f"{self.source} has {len(paths)} videos called {stem} of {self.picture}, and needs"
                f" one; {REMEDY}."
            )
        return paths[0]

    def _places(self) -> dict[int, _Place]:
        """Where each episode begins, as meta/episodes says. Raises UserError."""
        keys = [f"videos/{self.picture}/{what}" for what in ("chunk_index", "file_index")]
        keys.append(f"videos/{self.picture}/from_timestamp")
        places = {}
        for path in found(self.folder / "meta" / "episodes", (".parquet",)):
            for row in _rows(kept(self.folder, path), path, [EPISODE, *keys]):
                number, chunk, part, second = (row[key] for key in (EPISODE, *keys))
                if any(type(value) is not int for value in (number, chunk, part)) or not (
                    isinstance(second, (int, float)) and 0 <= second * self.fps < 10**9
                ):
                    raise UserError(f"{path} does not say where its episodes begin; {REMEDY}.")
                video = self._video(f"file-{part:03d}", f"chunk-{chunk:03d}")
                places[number] = _Place(video, round(second * self.fps))
        return places

    @property
    def lossy(self) -> list[str]:
        """Formats that lose detail, of pictures or videos."""
        return self.decoder.lossy if self.decoder else super().lossy

    def remarks(self, spec: GameSpec) -> list[str]:
        """What a video lost."""
        return self.decoder.remarks(spec) if self.decoder else []


def _names(feature: dict[str, Any]) -> list[str] | None:
    """Names of the places of an action, where it says one for each."""
    names, shape = feature.get("names"), feature.get("shape")
    if isinstance(names, dict) and len(names) == 1:
        (names,) = names.values()
    plain = isinstance(names, list) and all(isinstance(name, str) for name in names)
    if plain and len(set(names)) == len(names) and [len(names)] == list(shape or ()):
        return names if len(names) > 1 or not re.search("action", names[0]) else None
    return None


def _plain(value: Any) -> Any:
    """A number that may stand in a list of one."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _rows(file: Path, path: Path, columns: list[str], first: int = 0) -> Iterator[dict[str, Any]]:
    """Yield the rows of a Parquet file from number `first` on. Raises UserError."""
    with _told(path), pq.ParquetFile(file, page_checksum_verification=True) as table:
        missing = next((name for name in columns if name not in table.schema_arrow.names), None)
        if missing is not None:
            raise UserError(
                f"{path} lacks the column {missing}; it has"
                f" {named(table.schema_arrow.names)}: {REMEDY}."
            )
        groups = list(range(table.num_row_groups))
        while groups and first >= table.metadata.row_group(groups[0]).num_rows:
            first -= table.metadata.row_group(groups.pop(0)).num_rows
        for batch in table.iter_batches(ROWS_AT_ONCE, row_groups=groups, columns=columns):
            yield from batch.slice(first).to_pylist()
            first = max(0, first - len(batch))


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, OverflowError) as problem:
        raise UserError(f"{path} is damaged ({shown(str(problem))[1:-1]}); {REMEDY}.") from None
