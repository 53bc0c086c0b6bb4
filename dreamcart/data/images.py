"""Encodes frames as images without loss, names equal ones, and decodes images.

No other module decodes a file that somebody else may have made.
"""

import io
import struct
import warnings
import zlib
from functools import lru_cache
from typing import Any

import numpy as np
import xxhash
from PIL import Image

from dreamcart.core.errors import UserError

ROWS_IN_STRIP = 8  # of pixels: the height of a tile on most consoles
MOST_PIXELS = 4096  # on each side: a decoder takes memory for what the first bytes of a file claim
REMEDY = "leave it out, or record or fetch it again"

warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # our own bound is lower


class PngEncoder:
    """uint8 [H, W, 3] → PNG, put together from strips of rows that are compressed once each.

    From one frame to the next few strips change. Fixed Huffman codes and a flush after every strip
    make equal strips equal bytes in every image, so that Parquet's zstd stores them once: on disk
    Blockfall's images take a fifth of what lossless WebP takes, at an eighth of the time.
    """

    def __init__(self) -> None:
        self.deflate = zlib.compressobj(
            6, zlib.DEFLATED, -zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_FIXED
        )
        # by content: compressed, its Adler-32, bytes before
        self.strips: dict[bytes, tuple[bytes, int, int]] = {}

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
        # an empty last block
        parts.append(b"\x03\x00" + struct.pack(">HH", high % 65521, low % 65521))
        header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)  # 8 bits a channel, RGB
        chunks = [(b"IHDR", header), (b"IDAT", b"".join(parts)), (b"IEND", b"")]
        return b"\x89PNG\r\n\x1a\n" + b"".join(_png_chunk(*chunk) for chunk in chunks)

    def _compress(self, strip: np.ndarray) -> tuple[bytes, int, int]:
        # each begins with its filter's number: none
        lines = np.zeros((len(strip), 1 + strip[0].size), np.uint8)
        lines[:, 1:] = strip.reshape(len(strip), -1)
        return (
            self.deflate.compress(lines) + self.deflate.flush(zlib.Z_FULL_FLUSH),
            zlib.adler32(lines),
            lines.size,
        )


def _png_chunk(kind: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


class WebpEncoder:
    """uint8 [H, W, 3] → lossless WebP: smaller where a game draws in three dimensions, and no strip
    comes twice.

    Of WebP's efforts, 0 to 100, 25 is the knee: below it are more bytes, above it more time for
    hardly fewer (`benchmarks/collect.py --game vizdoom_basic` sets its bytes beside those of
    Pillow's default, 80).
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


def decode_image(content: bytes | None, what: str = "A recorded image") -> np.ndarray:
    """Decode an image file that a stranger may have made: one picture as PNG, WebP or JPEG.

    Of others Pillow would hand some to other programs (EPS to Ghostscript). Alpha is dropped,
    deeper channels keep their upper eight bits.

    Args:
        content: the whole file; what: what a message calls it.

    Returns:
        uint8 [H, W, 3].

    Raises:
        UserError: it is empty, damaged, of another format, several pictures or too large.
    """
    if not content:
        raise UserError(f"{what} is empty (0 bytes), so it is damaged; {REMEDY}.")
    try:
        return (
            _decode_plain_webp(content, what)
            if _is_plain_webp(content)
            else _decode_with_pillow(content, what)
        )
    except UserError:
        raise
    except Image.DecompressionBombError:
        raise _too_large("", what) from None
    except Exception:  # decoders raise anything: struct.error, SyntaxError, cv2.error, …
        raise UserError(f"{what} is damaged, or no PNG, WebP or JPEG; {REMEDY}.") from None


def _is_plain_webp(content: bytes) -> bool:
    """Whether it is lossless WebP of one picture, as Dreamcart records it."""
    return content[:4] == b"RIFF" and content[8:16] == b"WEBPVP8L"


def _decode_plain_webp(content: bytes, what: str) -> np.ndarray:
    """Decode by OpenCV: the same pixels as Pillow's in two thirds of the time."""
    size = int.from_bytes(content[21:25], "little")  # 14 bits each, less one
    _check_size((size & 0x3FFF) + 1, (size >> 14 & 0x3FFF) + 1, what)
    cv2 = _quiet_opencv()
    frame = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB)
    return _decode_with_pillow(content, what) if frame is None else frame


@lru_cache(1)
def _quiet_opencv() -> Any:
    """Import OpenCV, here because who records only encodes, and have it print nothing.

    What it cannot read goes to Pillow.
    """
    import cv2

    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    return cv2


def _decode_with_pillow(content: bytes, what: str) -> np.ndarray:
    # opening reads the header alone
    with Image.open(io.BytesIO(content), formats=("PNG", "WEBP", "JPEG")) as image:
        _check_size(*image.size, what)
        pictures = getattr(image, "n_frames", 1)
        if pictures != 1:
            raise UserError(
                f"{what} holds {pictures} pictures, as an animation does, and a frame is one;"
                f" {REMEDY}."
            )
        if image.mode.startswith("I;16"):
            grey = (np.asarray(image) >> 8).astype(np.uint8)
            return np.repeat(grey[:, :, None], 3, axis=2)
        if image.mode == "P":  # else Pillow warns of what is transparent
            image = image.convert("RGBA")
        return np.asarray(image.convert("RGB"))


def _check_size(width: int, height: int, what: str) -> None:
    if min(width, height) < 1:
        raise ValueError("no pixels")
    if max(width, height) > MOST_PIXELS:
        raise _too_large(f" ({width} x {height})", what)


def _too_large(size: str, what: str) -> UserError:
    return UserError(
        f"{what} is too large{size}: a frame has {MOST_PIXELS} x {MOST_PIXELS} pixels at most;"
        f" {REMEDY}."
    )


def image_format(content: bytes) -> str:
    """Name an image file's format by its first bytes, as reports say it."""
    if content[:3] == b"\xff\xd8\xff":
        return "JPEG"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "WebP" if b"VP8L" in content[12:64] else "WebP (lossy)"
    return "PNG" if content[:8] == b"\x89PNG\r\n\x1a\n" else "other"
