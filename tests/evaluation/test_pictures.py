"""What the pictures show: the frames, buttons and names that they say, and nothing blank."""

import json
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from toys.synthetic import make_rows, make_spec, make_split

from dreamcart.core.paths import ROOT
from dreamcart.data.edge_cases import EdgeCases
from dreamcart.evaluation import pictures
from dreamcart.evaluation.pictures import (
    before_after_picture,
    comparison_frames,
    filmstrip_picture,
    pairs_picture,
    save_gif,
)


@pytest.fixture
def grid(monkeypatch):
    """What `_grid` was asked to draw."""
    seen = SimpleNamespace()
    monkeypatch.setattr(
        pictures,
        "_grid",
        lambda rows, labels, names, path, made=None: vars(seen).update(rows=rows, names=names),
    )
    return seen


def test_pairs_are_frames_their_buttons_and_the_frames_after(grid, tmp_path):
    """Ten random transitions, each of which changes the picture, under the buttons that were held
    for it.
    """
    split = make_split([40, 30])
    pairs_picture(split, 0, tmp_path / "pairs.png")
    now, after, difference = grid.rows
    assert (len(now), len(after), len(grid.names)) == (10, 10, 10)
    index = split.index
    known = {}
    for i in split.transitions:
        names = (
            "+".join(b for b, on in zip(split.spec.buttons, index["action"][i], strict=True) if on)
            or "no button"
        )
        known[
            split.frames[index["frame"][i]].tobytes(),
            names,
            split.frames[index["frame"][i + 1]].tobytes(),
        ] = True
    for one, name, other, change in zip(now, grid.names, after, difference, strict=True):
        assert (one.tobytes(), name, other.tobytes()) in known
        assert (one != other).any()
        np.testing.assert_array_equal(change, np.abs(one.astype(int) - other))


def test_a_filmstrip_is_real_dream_and_difference_at_the_horizons(grid, tmp_path):
    real, dream = np.random.default_rng(0).integers(0, 256, (2, 3, 16, 16, 3), np.uint8)
    filmstrip_picture(real, dream, [1, 5, 10], tmp_path / "strip.png")
    np.testing.assert_array_equal(grid.rows[0], real)
    np.testing.assert_array_equal(grid.rows[1], dream)
    np.testing.assert_array_equal(grid.rows[2], np.abs(real.astype(int) - dream))
    assert grid.names == ["+1", "+5", "+10"]


def test_an_animation_shows_real_dream_and_difference_side_by_side():
    real, dream = np.random.default_rng(0).integers(0, 256, (2, 4, 6, 8, 3), np.uint8)
    shown = comparison_frames(real, dream)
    np.testing.assert_array_equal(shown[:, :, :8], real)
    np.testing.assert_array_equal(shown[:, :, 10:18], dream)
    np.testing.assert_array_equal(shown[:, :, 20:], np.abs(real.astype(int) - dream))


def test_every_pixel_of_a_reconstruction_is_in_the_picture(tmp_path):
    """Blur must be seen, and a digit's strokes are a pixel wide: no row or column of pixels may be
    left out.
    """
    frames = np.zeros((3, 60, 200, 3), np.uint8)
    decoded = frames.copy()
    decoded[:, :, 5::10] = 255  # twenty lines of one pixel
    before_after_picture(frames, decoded, ["0", "1", "2"], tmp_path / "r.png", columns=3)
    picture = np.asarray(Image.open(tmp_path / "r.png").convert("L")).astype(int)
    lower = picture[int(0.75 * len(picture))]  # a row of pixels through the decoded frames
    upper = picture[int(0.35 * len(picture))]
    middle = lower[10:-10]
    # lines and the gaps between the frames
    bright = np.flatnonzero((middle > 128) & (np.roll(middle, 1) <= 128))
    gaps = np.flatnonzero((upper[10:-10] > 128) & (np.roll(upper[10:-10], 1) <= 128))
    assert len(bright) - len(gaps) == 60


def test_a_gif_lasts_as_long_as_the_play(tmp_path):
    """Hundredths of a second cannot say 1/30, but three frames in a tenth can."""
    frames = list(np.random.default_rng(0).integers(0, 256, (30, 8, 8, 3), np.uint8))
    save_gif(frames, tmp_path / "a.gif", 30.0)
    with Image.open(tmp_path / "a.gif") as gif:
        lasts = 0
        for n in range(gif.n_frames):
            gif.seek(n)
            lasts += gif.info["duration"]
    assert lasts == 1000


def test_edge_cases_are_the_first_frames_that_show_them():
    """By the RAM variables of the row: equal to a value, or the most of a board."""
    spec = make_spec(edge_cases={"third": "x = 3", "fullest": "most board", "never": "x = 99"})
    cases = EdgeCases(spec)
    for number, first in enumerate((0, 40)):
        board = [0] * (9 - number) + [1] * (1 + number)
        rows = [
            row | {"infos": json.dumps({"x": row["step"] + 2 * number, "board": board})}
            for row in make_rows(number, 6)
        ]
        cases.look(rows, list(range(first, first + 6)))
    assert cases.rows == {"third": 3, "fullest": 40}


def test_every_pixel_of_a_filmstrip_is_in_the_picture(tmp_path):
    """As of a reconstruction: lines of a pixel, one after another in the dream, none in the real
    frames.
    """
    real = np.zeros((4, 60, 200, 3), np.uint8)
    dream = real.copy()
    dream[:, :, 5::10] = 255
    filmstrip_picture(real, dream, [1, 5, 10, 30], tmp_path / "strip.png")
    picture = np.asarray(Image.open(tmp_path / "strip.png").convert("L")).astype(int)
    # rows of pixels through the frames
    across = picture[(picture < 100).sum(1) > 0.4 * picture.shape[1]]
    rises = ((across[:, 1:] > 128) & (across[:, :-1] <= 128)).sum(1)
    real_rows, dream_rows = (
        np.median(rises[: len(rises) // 3]),
        np.median(rises[len(rises) // 3 : -len(rises) // 3]),
    )
    assert dream_rows - real_rows == 4 * 20


# Every kind of picture, on a disk that takes a thousand bytes of a file
NO_ROOM = """
import resource, sys
from pathlib import Path
import numpy as np
from dreamcart.core.errors import run_stage
from dreamcart.evaluation.pictures import curve_picture, filmstrip_picture
from dreamcart.evaluation.pictures import save_gif, save_png, tiles_picture
from dreamcart.lab.results import save_picture
frames = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
place = Path(sys.argv[1])
save_png(frames[0], place / "there.png")
curve = [{"step": step, "train": 1 / (step + 1), "val": 1.0} for step in range(3)]
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
for write in (
    lambda: save_gif(frames, place / "deep" / "a.gif", 30.0),
    lambda: save_png(frames[0], place / "b.png"),
    lambda: tiles_picture(frames, place / "c.png"),
    lambda: filmstrip_picture(frames, frames, [1, 2, 3], place / "d.png"),
    lambda: curve_picture(curve, "L1", "Curve", place / "e.png"),
    lambda: save_picture(place / "there.png", place / "f.png", 10**6),
    lambda: save_png(frames[1], place / "there.png"),
):
    try:
        run_stage(write)
    except SystemExit as end:
        assert end.code == 2
    else:
        raise AssertionError("it was written")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit")
def test_a_picture_that_cannot_be_written_leaves_nothing_and_one_sentence(tmp_path):
    """Pillow would leave half a file, and say a number of its own in place of the reason."""
    done = subprocess.run(
        [sys.executable, "-c", NO_ROOM, str(tmp_path)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    names = ["deep/a.gif", "b.png", "c.png", "d.png", "e.png", "f.png", "there.png"]
    for line, name in zip(done.stderr.splitlines(), names, strict=True):
        assert line.startswith(f"error: Cannot write {tmp_path / name}: File too large"), line
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["deep", "there.png"]
    frames = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
    with Image.open(tmp_path / "there.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture), frames[0])  # as it was
