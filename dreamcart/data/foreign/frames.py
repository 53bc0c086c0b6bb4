"""A folder of frames as image files, with one CSV of buttons; or a sub-folder an episode."""

from collections.abc import Iterator
from pathlib import Path

from dreamcart.core.errors import UserError
from dreamcart.data.foreign.base import Episode, ForeignDataset, unequal
from dreamcart.data.foreign.buttons import read_buttons
from dreamcart.data.foreign.files import folders, found, kept, named
from dreamcart.data.sources import image_file

IMAGES = (".png", ".webp", ".jpg", ".jpeg")
TABLES = (".csv",)


def has_frames(folder: Path) -> bool:
    """Whether a folder, or one right in it, holds images or a CSV."""
    return any(found(place, IMAGES + TABLES, deep=False) for place in _places(folder))


class FrameFolder(ForeignDataset):
    """Frames sorted by the numbers in their names, and a row of buttons for each.

    Raises UserError where an episode has no frames, no CSV or several, or unequal numbers of rows
    and frames.
    """

    def episodes(self) -> Iterator[Episode]:
        """Yield the folder itself where it holds frames, then its sub-folders that do."""
        for place in _places(self.folder):
            frames = found(place, IMAGES, deep=False)
            tables = found(place, TABLES, deep=False)
            if frames or tables:
                yield self._episode(place, frames, tables)
            elif place != self.folder:
                self.ignored.append(f"{named([place.name])}/")

    def _episode(self, place: Path, frames: list[Path], tables: list[Path]) -> Episode:
        if not frames:
            raise UserError(
                f"{place} holds a CSV and no frames; put them in as PNG files with numbers as"
                " names, 000001.png and so on."
            )
        if len(tables) != 1:
            has = f"{len(tables)} CSV files ({named([path.name for path in tables])})"
            raise UserError(
                f"{place} holds frames and {has if tables else 'no CSV'}; it needs one, with a row"
                " of buttons a frame."
            )
        table = read_buttons(kept(self.folder, tables[0]), tables[0])
        if len(table.rows) != len(frames):
            raise unequal(str(place), str(len(frames)), len(table.rows))
        self.buttons |= dict.fromkeys(table.buttons)
        self.columns |= {"observations": "image files", **table.columns}
        self.ignored += table.ignored
        others = {path.suffix for path in place.iterdir() if path.is_file()}
        self.ignored += sorted(f"*{end}" for end in others - {*IMAGES, *TABLES} if end.isascii())

        def images() -> Iterator[bytes]:
            for path in frames:
                relative = path.relative_to(self.folder).as_posix()
                yield image_file(relative, self.folder, f"The frame {path}")

        return Episode(str(place), table.rows, images)


def _places(folder: Path) -> list[Path]:
    return [folder, *folders(folder)]
