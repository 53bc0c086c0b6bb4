"""Frames stored as tiles: each distinct tile once, and for every frame the numbers of its tiles.

Consoles of the NES's age draw their picture from 8 x 8 tiles, so a frame at native resolution in
colour is a small array of tile numbers: nothing is lost, and 40,000 frames fit into 70 MB instead
of 6.5 GB.

`tiles.npy`   uint8 [K, t, t, C], the dictionary, shared by the splits of a folder
`cells.npy`   uint16 [U, H/t, W/t], the tile numbers of every distinct frame of a split; uint32
              where a folder has more than 65,536 tiles (a picture that scrolls by single pixels)
"""

import contextlib
import math
from pathlib import Path
from typing import Any

import numpy as np

from dreamcart.core.errors import UserError
from dreamcart.core.files import save_array, writing

MOST_TILES = 2**20  # a bound on memory: as many tiles in colour take 200 MB
# What does it instead, as in experiments/doom.yaml; one of these settings alone would be refused.
WHOLE_FRAMES = (
    "-S preprocess.tile=0 -S preprocess.height=56 -S preprocess.width=80 -S preprocess.resize=area "
    "-S representation.kind=ae -S latent_dim=0"
)
CHUNK = 1024  # frames of cells that are renumbered at once: a bound on memory


class TiledFrames:
    """Looks like the array uint8 [U, H, W, C] that it replaces, and decodes what is asked for.

    Args:
        cells: uint16 or uint32 [U, h, w], may be a memory map; every number below K.
        tiles: uint8 [K, t, t, C].
    """

    ndim = 4
    dtype = np.dtype(np.uint8)

    def __init__(self, cells: np.ndarray, tiles: np.ndarray) -> None:
        self.cells = cells
        self.tiles = np.ascontiguousarray(tiles)  # in memory: it is small, and read all the time
        side, channels = tiles.shape[2:]
        self.shape = (len(cells), cells.shape[1] * side, cells.shape[2] * side, channels)
        # The lines of all tiles, one item each: taking lines in the order of the picture needs no
        # transposing, which costs three times as much.
        self._lines = self.tiles.reshape(-1, side * channels).view(f"V{side * channels}").ravel()
        self._offsets = np.arange(side)[:, None]

    @property
    def size(self) -> int:
        """Values in all frames."""
        return math.prod(self.shape)

    def __len__(self) -> int:
        return len(self.cells)

    def __getitem__(self, key: Any) -> np.ndarray:
        """uint8 [..., H, W, C], a new array: for an int, a slice, or integers of any shape (or a
        list of them).

        Raises IndexError beyond the last frame, TypeError where single pixels are asked for.
        """
        if isinstance(key, tuple):
            raise TypeError(
                "TiledFrames takes one index, for whole frames; index the frames that it returns."
            )
        cells = np.asarray(self.cells[key])
        # [..., h, t, w]
        lines = np.multiply(cells[..., None, :], len(self._offsets), dtype=np.intp) + self._offsets
        return self._lines.take(lines).view(np.uint8).reshape(*cells.shape[:-2], *self.shape[1:])


class ArrayStream:
    """Writes a .npy file item by item, its length not known beforehand.

    It has its name only when it is closed whole. A context manager: left by an exception it leaves
    no file. Raises OSError, with the file's path, where it cannot be written.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: str) -> None:
        """`shape` and `dtype` are an item's."""
        self.path, self.shape, self.dtype, self.count = path, shape, np.dtype(dtype), 0
        with contextlib.ExitStack() as stack:
            self.file = stack.enter_context(open(stack.enter_context(writing(path)), "w+b"))
            self._header()
            self.open = stack.pop_all()

    def __enter__(self) -> "ArrayStream":
        return self

    def __exit__(self, *failure: Any) -> None:
        if failure[0] is None:
            self.close()
        else:
            self.open.__exit__(*failure)

    def append(self, item: np.ndarray) -> None:
        """Write an item of the shape and dtype given."""
        self.file.write(np.ascontiguousarray(item, self.dtype).data)
        self.count += 1

    def close(self) -> None:
        """Finish the file and give it its name."""
        with self.open:
            self.file.seek(0)
            self._header()

    def _header(self) -> None:
        # NumPy pads the header so that the first axis may grow: it can be written again over
        # itself.
        header = {
            "descr": self.dtype.str,
            "fortran_order": False,
            "shape": (self.count, *self.shape),
        }
        np.lib.format.write_array_header_1_0(self.file, header)


class TileNumbers:
    """Numbers distinct tiles, uint8 [t, t, C], in the order in which they first appear."""

    def __init__(self, side: int, channels: int) -> None:
        self.shape = (side, side, channels)
        self.numbers: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self.numbers)

    def look_up(self, tiles: np.ndarray) -> np.ndarray:
        """uint8 [N, t, t, C] → their numbers, uint32 [N]; new ones get the next.

        Raises UserError on too many.
        """
        numbers, found = self.numbers, []
        for content in (
            tiles.reshape(len(tiles), math.prod(self.shape))
            .view(f"V{math.prod(self.shape)}")
            .ravel()
            .tolist()
        ):
            number = numbers.get(content)
            if number is None:
                number = numbers[content] = len(numbers)
            found.append(number)
        if len(numbers) > MOST_TILES:
            raise UserError(
                f"The frames have more than {MOST_TILES} distinct tiles, so they are not drawn from"
                f" tiles of {self.shape[0]} x {self.shape[0]} pixels; keep them whole at a smaller"
                f" size and learn them: {WHOLE_FRAMES} (experiments/doom.yaml)."
            )
        return np.array(found, np.uint32)

    def array(self) -> np.ndarray:
        """uint8 [K, t, t, C], in the order of their numbers."""
        return np.frombuffer(b"".join(self.numbers), np.uint8).reshape(-1, *self.shape)


class TiledWriter:
    """Streams the frames of one split to a cells.npy. Memory holds the distinct tiles and one
    frame.

    The numbers are the writer's own until `write_tiles` has made them agree between splits.
    """

    def __init__(self, path: Path, shape: tuple[int, int, int], side: int) -> None:
        """`shape` is a frame's, (H, W, C); `side` divides H and W."""
        height, width, channels = shape
        rows, columns = height // side, width // side
        self.tiles = TileNumbers(side, channels)
        self.stream = ArrayStream(path, (rows, columns), "<u4")
        self.blocks = (rows, side, columns, side, channels)
        # Frames are compared in words as long as a tile's line allows: eight times faster than in
        # bytes.
        word = math.gcd(8, side * channels)
        self.word = f"u{word}"
        cell_row, cell_column = (
            np.arange(height) // side,
            np.arange(width * channels // word) // (side * channels // word),
        )
        self.cell_of_word = (cell_row[:, None] * columns + cell_column).ravel()
        self.last: np.ndarray | None = None
        self.cells = np.zeros(rows * columns, np.uint32)

    def append(self, frame: np.ndarray) -> None:
        """Write a frame, uint8 [H, W, C]. Raises UserError on too many distinct tiles."""
        words = np.ascontiguousarray(frame).reshape(-1).view(self.word)
        # Most cells show what they showed in the frame before: only the others are looked up.
        changed = np.zeros(len(self.cells), bool)
        changed[self.cell_of_word[words != self.last] if self.last is not None else slice(None)] = (
            True
        )
        at = np.flatnonzero(changed)
        y, x = np.divmod(at, self.blocks[2])
        self.cells[at] = self.tiles.look_up(frame.reshape(self.blocks)[y, :, x])
        self.stream.append(self.cells)
        self.last = words.copy()  # the caller may reuse its array

    def __enter__(self) -> "TiledWriter":
        return self

    def __exit__(self, *failure: Any) -> None:
        self.stream.__exit__(*failure)

    def close(self) -> None:
        """Finish cells.npy."""
        self.stream.close()


def write_tiles(path: Path, first: TiledWriter, *others: TiledWriter) -> int:
    """Write the one dictionary of these closed writers to `path`, and make their cells agree with
    it.

    The tiles of `first` (the training frames) keep their numbers and come first; those that only
    `others` have come after them, so that nothing of another split is in the prefix. Returns the
    length of that prefix. Raises UserError on too many distinct tiles.
    """
    prefix = len(first.tiles)
    numbers = [np.arange(prefix)]
    numbers += [first.tiles.look_up(writer.tiles.array()) for writer in others]
    kind = "<u2" if len(first.tiles) <= 2**16 else "<u4"
    for writer, own in zip((first, *others), numbers, strict=True):
        renumber(writer.stream.path, own.astype(kind))
    save_array(path, first.tiles.array())
    return prefix


def renumber(path: Path, numbers: np.ndarray) -> None:
    """Replace every tile number n of a cells.npy by numbers[n], atomically; they are of the type of
    `numbers` then.
    """
    cells = np.load(path, mmap_mode="r")
    with ArrayStream(path, cells.shape[1:], numbers.dtype.str) as stream:
        for start in range(0, len(cells), CHUNK):
            for frame in numbers[cells[start : start + CHUNK]]:
                stream.append(frame)
