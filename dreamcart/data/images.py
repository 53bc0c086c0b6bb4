"""Frames as images in a raw dataset: lossless, and what equal frames are known by."""

import io
import struct
import zlib

import numpy as np
import xxhash
from PIL import Image

from dreamcart.errors import UserError

ROWS_IN_STRIP = 8  # of pixels: the height of a tile on most consoles


class PngEncoder:
    """uint8 [H, W, 3] → PNG, put together from strips of rows that are compressed once each.

    From one frame to the next few strips change. Fixed Huffman codes and a flush after every strip make equal
    strips equal bytes in every image, so that Parquet's zstd stores them once: on disk Blockfall's images take a
    fifth of what lossless WebP takes, at an eighth of the time.
    """

    def __init__(self) -> None:
        self.deflate = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_FIXED)
        self.strips: dict[bytes, tuple[bytes, int, int]] = {}  # by content: compressed, its Adler-32, bytes before

    def encode(self, frame: np.ndarray) -> bytes:
        """The PNG of a frame."""
        height, width, _ = frame.shape
        parts, low, high = [b"\x78\x9c"], 1, 0  # zlib's header; the two halves of its Adler-32
        for top in range(0, height, ROWS_IN_STRIP):
            strip = frame[top : top + ROWS_IN_STRIP]
            key = frame_key(strip)
            if key not in self.strips:
                self.strips[key] = self._compress(strip)
            compressed, checksum, size = self.strips[key]
            parts.append(compressed)
            high += (checksum >> 16) + size * (low - 1)  # as zlib's adler32_combine
            low += (checksum & 0xFFFF) - 1
        parts.append(b"\x03\x00" + struct.pack(">HH", high % 65521, low % 65521))  # an empty last block
        header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)  # 8 bits a channel, RGB
        chunks = [(b"IHDR", header), (b"IDAT", b"".join(parts)), (b"IEND", b"")]
        return b"\x89PNG\r\n\x1a\n" + b"".join(_png_chunk(*chunk) for chunk in chunks)

    def _compress(self, strip: np.ndarray) -> tuple[bytes, int, int]:
        lines = np.zeros((len(strip), 1 + strip[0].size), np.uint8)  # each begins with its filter's number: none
        lines[:, 1:] = strip.reshape(len(strip), -1)
        return self.deflate.compress(lines) + self.deflate.flush(zlib.Z_FULL_FLUSH), zlib.adler32(lines), lines.size


def _png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


class WebpEncoder:
    """uint8 [H, W, 3] → lossless WebP: smaller where a game draws in three dimensions, and no strip comes twice.

    Of WebP's efforts, 0 to 100, 25 is the knee: below it are more bytes, above it more time for hardly fewer
    (`benchmarks/collect.py --game vizdoom_basic` sets its bytes beside those of Pillow's default, 80).
    """

    EFFORT = 25

    def encode(self, frame: np.ndarray) -> bytes:
        """The WebP of a frame."""
        buffer = io.BytesIO()
        Image.fromarray(frame).save(buffer, "WEBP", lossless=True, quality=self.EFFORT)
        return buffer.getvalue()


ENCODERS = {"png": PngEncoder, "webp": WebpEncoder}  # `GameSpec.images` names one


def frame_key(frame: np.ndarray) -> bytes:
    """A hash of a frame (or a strip of one): equal keys mean the same shape and pixels."""
    return xxhash.xxh3_128_digest(np.ascontiguousarray(frame), seed=frame.shape[1])


def decode_image(content: bytes) -> np.ndarray:
    """Any image file Pillow knows → uint8 [H, W, 3]. Raises UserError on a damaged one."""
    try:
        return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    except (OSError, SyntaxError, ValueError):
        raise UserError("A recorded image is damaged; collect or download the dataset again.") from None
