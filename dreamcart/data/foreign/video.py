"""Videos, an episode each, with a CSV of buttons of the same name. PyAV is optional.

Video is lossy nearly always: what that costs is measured and said.
"""

import contextlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from dreamcart.core.errors import UserError, shown
from dreamcart.data.foreign.base import Episode, ForeignDataset, png
from dreamcart.data.foreign.buttons import read_buttons
from dreamcart.data.foreign.files import found, kept
from dreamcart.data.images import MOST_PIXELS
from dreamcart.games.spec import GameSpec

INSTALL = "pip install av"
# Ending → the demuxer for it. It is not guessed from what is in the file: some formats are lists
# of other files and addresses.
SUFFIXES = {".mp4": "mov", ".m4v": "mov", ".mov": "mov", ".mkv": "matroska", ".webm": "matroska"}
SUFFIXES |= {".avi": "avi"}
# They keep every pixel, where the picture is stored as red, green and blue.
EXACT = {"ffv1", "png", "huffyuv", "ffvhuff", "utvideo", "rawvideo", "qtrle", "zmbv", "magicyuv"}
RGB = ("rgb", "bgr", "gbr", "pal8", "0rgb", "argb", "abgr", "gray")
# Console, as in stable-retro's names → colours that one picture of it has at most.
COLOURS = {"Nes": 25, "GameBoy": 4, "GbColor": 56, "Snes": 256, "Genesis": 61, "Sms": 32}
COLOURS |= {"GameGear": 32, "PCEngine": 482, "Atari2600": 128}
TILE = 8  # pixels
MEASURED = 8  # frames, spread over the first hundreds
EVERY = 32


class Decoder:
    """Decodes videos one frame at a time, and measures what their codecs lost."""

    def __init__(self) -> None:
        """Raise UserError where PyAV is missing."""
        import_av()
        self.codecs: set[str] = set()
        self.exact = True
        self.promised = 0  # frames that the last video says it has
        self.measured: list[tuple[int, int, int]] = []  # of a frame: colours, kinds of tile, tiles

    def frames(self, file: Path, path: Path) -> Iterator[np.ndarray]:
        """Yield the frames of a video in order, uint8 [H, W, 3].

        `path` is what messages call the file. Raises UserError.
        """
        with reading(file, path) as (container, stream):
            codec, kind = stream.codec_context.name, str(stream.codec_context.pix_fmt)
            self.codecs.add(codec)
            self.exact &= codec in EXACT and kind.startswith(RGB)
            self.promised = stream.frames
            for number, picture in enumerate(container.decode(stream)):
                check_size(picture.width, picture.height, path)
                if picture.is_corrupt:
                    raise UserError(f"Frame {number} of {path} is damaged; get a whole copy.")
                frame = picture.to_ndarray(format="rgb24")
                if number % EVERY == 0 and len(self.measured) < MEASURED:
                    self.measured.append(colours_and_tiles(frame))
                yield frame

    @property
    def lossy(self) -> list[str]:
        """The videos' codecs, unless they kept every pixel."""
        return [] if self.exact else [f"video ({', '.join(sorted(self.codecs))})"]

    def remarks(self, spec: GameSpec) -> list[str]:
        """A sentence on what the video lost; none where it lost nothing."""
        if self.exact or not self.measured:
            return []
        colours, kinds, tiles = (int(np.median(all_)) for all_ in zip(*self.measured, strict=True))
        most = next((COLOURS[part] for part in spec.env.split("-") if part in COLOURS), None)
        shows = f", where its console shows {most} at most" if most else ""
        if most and colours <= most:
            return [f"the median frame has {colours} colours{shows}: it seems to have lost nothing"]
        return [
            f"video is lossy: of {len(self.measured)} decoded frames the median has"
            f" {colours:,} colours{shows}, and {kinds:,} different {TILE} x {TILE} tiles at"
            f" {tiles:,} places; pictures without loss train better, so record PNG where you can"
        ]


class VideoFolder(ForeignDataset):
    """Videos and their CSVs, at any depth.

    Raises UserError where PyAV or a CSV is missing, a video is damaged, or frames and rows differ
    in number.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.decoder = Decoder()

    def episodes(self) -> Iterator[Episode]:
        """Yield an episode a video."""
        for path in found(self.folder, tuple(SUFFIXES)):
            table_path = path.with_suffix(".csv")
            if not table_path.exists():
                raise UserError(
                    f"{path} has no buttons: there is no {table_path.name} beside it; write one"
                    " with a row a frame, or move the video away."
                )
            table = read_buttons(kept(self.folder, table_path), table_path)
            self.buttons |= dict.fromkeys(table.buttons)
            self.columns |= {"observations": "frames of the video", **table.columns}
            self.ignored += table.ignored
            images = partial(self._images, kept(self.folder, path), path, len(table.rows))
            yield Episode(str(path), table.rows, images)

    def _images(self, file: Path, path: Path, rows: int) -> Iterator[bytes]:
        count = 0
        for frame in self.decoder.frames(file, path):
            count += 1
            yield png(frame)
        if count < rows and (count < self.decoder.promised or not count):
            raise UserError(
                f"{path} should have {self.decoder.promised} frames and {count} can be decoded, so"
                " it is damaged; get a whole copy."
            )

    @property
    def lossy(self) -> list[str]:
        """See `Decoder.lossy`."""
        return self.decoder.lossy

    def remarks(self, spec: GameSpec) -> list[str]:
        """See `Decoder.remarks`."""
        return self.decoder.remarks(spec)


def check_size(width: int, height: int, path: Path) -> None:
    """Raise UserError where the frames of a video are too large."""
    if max(width, height) > MOST_PIXELS:
        raise UserError(
            f"{path} has frames of {width} x {height} pixels, and a frame has {MOST_PIXELS} on each"
            " side at most; make it smaller."
        )


def colours_and_tiles(frame: np.ndarray) -> tuple[int, int, int]:
    """Count a frame's colours, the different tiles of 8 x 8 pixels in it, and their places."""
    pixels = frame.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    rows, columns = pixels.shape[0] // TILE, pixels.shape[1] // TILE
    tiles = pixels[: rows * TILE, : columns * TILE].reshape(rows, TILE, columns, TILE)
    tiles = tiles.transpose(0, 2, 1, 3).reshape(rows * columns, TILE * TILE)
    kinds = len({tile.tobytes() for tile in tiles})
    return len(np.unique(pixels)), kinds, rows * columns


def import_av() -> ModuleType:
    """Import PyAV. Raises UserError where it is not installed."""
    try:
        import av
    except ImportError as problem:
        raise UserError(
            f"Videos need PyAV, which cannot be imported ({problem}); install it with `{INSTALL}`."
        ) from None
    return av


@contextlib.contextmanager
def reading(file: Path, path: Path) -> Iterator[tuple[Any, Any]]:
    """Open a video: its container, and its only stream of pictures.

    Raises UserError where it is damaged, also in what is decoded within the block.
    """
    av = import_av()
    av.logging.set_level(None)
    try:
        # a handle, not a name: nothing else can be opened by it
        with (
            open(file, "rb") as handle,
            av.open(handle, format=SUFFIXES[path.suffix.lower()]) as container,
        ):
            if len(container.streams.video) != 1:
                count = len(container.streams.video)
                raise UserError(f"{path} has {count} streams of pictures; it needs one.")
            stream = container.streams.video[0]
            if stream.codec_context is None:
                raise UserError(
                    f"{path} is packed in a way that this PyAV does not know, or is damaged; pack"
                    " it anew, as H.264 in MP4 for instance."
                )
            stream.codec_context.options = {"err_detect": "explode"}
            check_size(stream.codec_context.width, stream.codec_context.height, path)
            yield container, stream
    except UserError:
        raise
    except (av.FFmpegError, OSError, ValueError, RuntimeError, EOFError, MemoryError) as problem:
        raise UserError(
            f"{path} is no video that can be read, or a damaged one"
            f" ({shown(str(problem))[1:-1]}); get a whole copy."
        ) from None
