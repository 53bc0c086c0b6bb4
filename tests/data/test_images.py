"""Decoding a stranger's images: an allow-list, a bound on pixels, one sentence for the rest."""

import io
import shutil
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image
from toys.images import EPS
from toys.synthetic import assert_sentence, make_frame

from dreamcart.core.errors import UserError
from dreamcart.core.paths import ROOT
from dreamcart.data.images import MOST_PIXELS, decode_image, image_format

FRAME = make_frame(7)
KINDS = [("PNG", {}), ("WEBP", {"lossless": True}), ("WEBP", {}), ("JPEG", {})]


def saved(kind: str, mode: str = "RGB", frame: np.ndarray = FRAME, **options) -> bytes:
    """A frame as an image file of a kind."""
    buffer = io.BytesIO()
    Image.fromarray(frame).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def png_that_claims(width: int, height: int) -> bytes:
    """A PNG of a few bytes with that size in its header."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content))
            + kind
            + content
            + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 1000)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*one) for one in chunks)


def webp_that_claims(width: int, height: int) -> bytes:
    """Lossless WebP with another size in its header."""
    content = bytearray(saved("WEBP", lossless=True))
    sizes = int.from_bytes(content[21:25], "little") & ~0xFFFFFFF | (height - 1) << 14 | (width - 1)
    content[21:25] = sizes.to_bytes(4, "little")
    return bytes(content)


ALLOWED = [(kind, options, mode) for mode in ("1", "L", "RGB") for kind, options in KINDS]
ALLOWED += [
    (kind, options, mode)
    for mode in ("LA", "P", "RGBA")
    for kind, options in KINDS
    if kind != "JPEG"
]


@pytest.mark.parametrize(("kind", "options", "mode"), ALLOWED)
def test_every_kind_that_is_allowed_is_decoded_as_pillow_does(kind, options, mode):
    content = saved(kind, mode, **options)
    frame = decode_image(content)
    assert (frame.dtype, frame.shape) == (np.uint8, (24, 32, 3))
    np.testing.assert_array_equal(
        frame, Image.open(io.BytesIO(content)).convert("RGBA").convert("RGB")
    )


def test_palettes_that_are_partly_transparent_are_decoded(recwarn):
    content = saved("PNG", "P", transparency=bytes(range(256)))
    np.testing.assert_array_equal(decode_image(content), decode_image(saved("PNG", "P")))
    assert not recwarn.list


def test_sixteen_bits_become_eight():
    """Pillow alone would make all but the darkest values white."""
    grey = FRAME[:, :, 0]
    np.testing.assert_array_equal(
        decode_image(grey_of_16_bits(grey)), np.repeat(grey[:, :, None], 3, 2)
    )


def grey_of_16_bits(grey: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(grey.astype(np.uint16) * 257).save(buffer, "PNG")
    return buffer.getvalue()


def test_cmyk_becomes_rgb():
    frame = decode_image(saved("JPEG", "CMYK", quality=100))
    assert np.abs(frame.astype(int) - FRAME).mean() < 8


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "PPM", "ICO", "TGA", "PCX", "PDF", "EPS"])
def test_other_formats_are_refused(kind):
    """Pillow reads dozens, some by other programs; a recorder writes none of them."""
    with pytest.raises(UserError, match="no PNG, WebP or JPEG") as caught:
        decode_image(saved(kind))
    assert_sentence(caught.value)


@pytest.mark.skipif(shutil.which("sh") is None, reason="no shell")
def test_no_other_program_is_run_for_an_image(tmp_path):
    """Ghostscript, which Pillow would start for PostScript, runs what is in the picture."""
    fake = tmp_path / "gs"
    fake.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    fake.chmod(0o755)
    code = f"""
import sys; sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests")!r}]
import io
from PIL import Image
from toys.images import EPS
from dreamcart.data.images import decode_image
try:
    decode_image(EPS)
except Exception as problem:
    print(problem)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PATH": str(tmp_path)}, capture_output=True, text=True
    )
    assert "no PNG, WebP or JPEG" in done.stdout, done.stderr
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", None])
def test_nothing_is_no_image(content):
    with pytest.raises(UserError, match="0 bytes") as caught:
        decode_image(content, "The image at step 3")
    assert_sentence(caught.value)
    assert str(caught.value).startswith("The image at step 3 ")


@pytest.mark.parametrize(
    "content",
    [
        png_that_claims(20_000, 20_000),
        png_that_claims(MOST_PIXELS + 1, 1),
        png_that_claims(1, 100_000),
        png_that_claims(2**31 - 1, 2**31 - 1),
        webp_that_claims(16_000, 16_000),
        webp_that_claims(8, MOST_PIXELS + 1),
    ],
)
def test_a_size_is_refused_before_it_is_decoded(content, recwarn):
    """The sentence says what is allowed."""
    with pytest.raises(UserError, match=f"{MOST_PIXELS} x {MOST_PIXELS} pixels at most") as caught:
        decode_image(content)
    assert_sentence(caught.value)
    assert not recwarn.list


def test_the_largest_size_is_decoded():
    large = np.zeros((8, MOST_PIXELS, 3), np.uint8)
    assert decode_image(saved("PNG", frame=large)).shape == large.shape


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_an_animation_is_refused(kind):
    """Which of its pictures was on the screen, nobody can say."""
    other = Image.fromarray(make_frame(9))
    with pytest.raises(UserError, match="holds 2 pictures") as caught:
        decode_image(saved(kind, save_all=True, append_images=[other]))
    assert_sentence(caught.value)


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_whatever_was_changed_is_a_frame_or_a_sentence(kind, options, capfd):
    """Cut or changed anywhere: no other exception, and no library's words on the screen."""
    content = saved(kind, **options)
    changed = [content[:length] for length in range(len(content))]
    changed += [
        content[:at] + bytes([content[at] ^ 0x55]) + content[at + 1 :] for at in range(len(content))
    ]
    refused = 0
    for one in changed:
        try:
            assert decode_image(one).shape[2] == 3
        except UserError as problem:
            assert_sentence(problem)
            refused += 1
    assert refused > len(content) * 0.9
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (saved("PNG"), "PNG"),
        (saved("JPEG"), "JPEG"),
        (saved("WEBP"), "WebP (lossy)"),
        (saved("WEBP", lossless=True), "WebP"),
        (EPS, "other"),
    ],
)
def test_formats_have_names(content, named):
    assert image_format(content) == named
