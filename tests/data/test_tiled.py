"""Frames stored as tiles: the same pixels as the plain array, tiles of training first, and what is
refused.
"""

import dataclasses
import re
import tracemalloc

import numpy as np
import pytest
import torch
from toys.synthetic import (
    SEEN_AS,
    assert_sentence,
    make_processed,
    make_rows,
    make_split,
    write_raw,
)

from dreamcart.core.errors import UserError
from dreamcart.core.files import read_json
from dreamcart.data import tiled
from dreamcart.data.images import decode_image
from dreamcart.data.preprocess import preprocess, process_frame
from dreamcart.data.processed import Split, load_split, open_frames
from dreamcart.data.reader import read_episodes
from dreamcart.data.tiled import TiledFrames, TiledWriter, renumber, write_tiles
from dreamcart.data.unsplit import load_unsplit
from dreamcart.dynamics.windows import rarity
from dreamcart.evaluation.pictures import pairs_picture
from dreamcart.lab.plan import changed_params
from dreamcart.params import PreprocessConfig
from dreamcart.representation.base import Representation
from dreamcart.representation.encode import encode_frames, reconstruct

COUNT = 7


def draw(
    tiles: np.ndarray, count: int, rows: int = 3, columns: int = 5, seed: int = 0
) -> np.ndarray:
    """uint8 [count, rows * t, columns * t, C]: frames drawn from some of these tiles, uint8 [K, t,
    t, C].
    """
    side, channels = tiles.shape[2:]
    frames = tiles[np.random.default_rng(seed).integers(0, len(tiles), (count, rows, columns))]
    return frames.transpose(0, 1, 3, 2, 4, 5).reshape(count, rows * side, columns * side, channels)


def random_tiles(count: int, side: int = 8, channels: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, channels), np.uint8)


def write(folder, frames: np.ndarray, side: int, name: str = "train") -> TiledWriter:
    """Stream frames to `folder`/`name`/cells.npy."""
    (folder / name).mkdir()
    writer = TiledWriter(folder / name / "cells.npy", frames.shape[1:], side)
    for frame in frames:
        writer.append(frame)
    writer.close()
    return writer


@pytest.fixture(scope="module", params=[(8, 3), (8, 1), (4, 3), (5, 3), (16, 1), (1, 3)], ids=str)
def both(tmp_path_factory, request):
    """(plain array, its tiled twin) for several tiles and colours."""
    folder = tmp_path_factory.mktemp("tiled")
    plain = draw(random_tiles(9, *request.param), COUNT)
    write_tiles(folder / "tiles.npy", write(folder, plain, request.param[0]))
    return plain, open_frames(folder, "train", tiled=True)


# As the plain array


def test_it_has_the_plain_arrays_attributes(both):
    """Whoever asks for a shape must not have to know how frames are stored."""
    plain, frames = both
    for name in ("shape", "dtype", "ndim", "size"):
        assert getattr(frames, name) == getattr(plain, name), name
    assert len(frames) == len(plain)


@pytest.mark.parametrize(
    "key",
    [
        0,
        -1,
        np.int32(3),
        slice(None),
        slice(1, 6, 2),
        slice(4, 4),
        slice(5, 99),
        [2, 0, 2],
        [],
        np.array([6, 1, 1, -2], np.int32),
        np.array([[0, 1], [5, 6], [2, 2]]),
        np.zeros((2, 0, 3), int),
        np.arange(COUNT) % 2 == 0,
    ],
    ids=repr,
)
def test_every_index_gives_the_plain_arrays_pixels(both, key):
    """Storing tiles is lossless, however frames are asked for."""
    plain, frames = both
    found = frames[key]
    assert type(found) is np.ndarray
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, plain[key])


def test_it_is_iterated_as_an_array(both):
    """A loop over frames ends after the last one."""
    plain, frames = both
    np.testing.assert_array_equal(np.stack(list(frames)), plain)


def test_what_it_gives_may_be_written_to(both):
    """torch.from_numpy shares memory: a batch that is changed must not change the data."""
    plain, frames = both
    frames[2][:] = 0
    np.testing.assert_array_equal(frames[2], plain[2])


@pytest.mark.parametrize("key", [COUNT, [0, COUNT], -COUNT - 1])
def test_no_frame_beyond_the_last(both, key):
    """As with an array, a wrong row is an IndexError."""
    with pytest.raises(IndexError):
        both[1][key]


def test_single_pixels_are_refused(both):
    """frames[0, 1] would pick cells, not pixels: better nothing than the wrong thing."""
    with pytest.raises(TypeError, match="one index"):
        both[1][0, 1]


def test_cells_stay_on_the_disk(both):
    """Memory must not grow with the number of frames."""
    assert isinstance(both[1].cells, np.memmap)
    assert not both[1].cells.flags.writeable


class Quarters(Representation):
    """A representation of four numbers: the means of the picture's quarters."""

    latent_shape = (4,)

    def __init__(self) -> None:
        super().__init__()
        self.nothing = torch.nn.Parameter(torch.zeros(1))

    def encode(self, frames: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.adaptive_avg_pool2d(frames.float().mean(3), 2).flatten(1)

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        return latents.round().to(torch.uint8)


def test_the_stages_cannot_tell_the_difference(tmp_path):
    """Rarity, encoding, reconstruction and pictures come out the same from tiles and from whole
    frames.
    """
    index = make_split([9, 12]).index
    plain = Split(draw(random_tiles(5), 12), index, make_split([2]).spec)
    write_tiles(tmp_path / "tiles.npy", write(tmp_path, plain.frames, 8))
    twin = dataclasses.replace(plain, frames=open_frames(tmp_path, "train", tiled=True))
    np.testing.assert_array_equal(rarity(plain, plain.transitions), rarity(twin, twin.transitions))
    for name, split in (("plain", plain), ("twin", twin)):
        encode_frames(Quarters(), split.frames, tmp_path / f"{name}.npy", name)
        pairs_picture(split, 0, tmp_path / f"{name}.png")
    for kind in ("npy", "png"):
        assert (tmp_path / f"plain.{kind}").read_bytes() == (tmp_path / f"twin.{kind}").read_bytes()
    for one, other in zip(
        *(next(reconstruct(Quarters(), split.frames)) for split in (plain, twin)), strict=True
    ):
        np.testing.assert_array_equal(one, other)


# Writing


def test_tiles_of_training_come_first_in_order_of_appearance(tmp_path):
    """A tokenizer made from the training tiles is a prefix: nothing of validation leaks into its
    numbers.
    """
    tiles = random_tiles(12)
    frames = {"train": draw(tiles[:8], 4, seed=1), "val": draw(tiles[4:], 4, seed=2)}
    val, train = (write(tmp_path, frames[name], 8, name) for name in ("val", "train"))
    assert write_tiles(tmp_path / "tiles.npy", train, val) == 8
    opened = {name: open_frames(tmp_path, name, tiled=True) for name in frames}
    for name, plain in frames.items():
        np.testing.assert_array_equal(opened[name][:], plain)
    numbers, first = np.unique(opened["train"].cells, return_index=True)
    assert numbers.tolist() == list(range(8))
    assert (np.diff(first) > 0).all()
    assert len(opened["val"].tiles) == 12
    assert len({tile.tobytes() for tile in opened["val"].tiles}) == 12


def test_validation_does_not_change_the_training_numbers(tmp_path):
    """Other validation episodes, same training cells and prefix."""
    train = draw(random_tiles(6), 3)
    written = []
    for seed in (1, 2):
        folder = tmp_path / str(seed)
        folder.mkdir()
        others = write(folder, draw(random_tiles(20, seed=seed), 3), 8, "val")
        known = write_tiles(folder / "tiles.npy", write(folder, train, 8), others)
        written.append(
            (np.load(folder / "train" / "cells.npy"), np.load(folder / "tiles.npy")[:known])
        )
    for one, other in zip(*written, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_reused_frame_buffer_is_no_trap(tmp_path):
    """The writer compares with the frame before, so it must keep it, not the caller's array."""
    frames = draw(random_tiles(6), 5)
    buffer = np.zeros_like(frames[0])
    (tmp_path / "train").mkdir()
    writer = TiledWriter(tmp_path / "train" / "cells.npy", buffer.shape, 8)
    for frame in frames:
        buffer[:] = frame
        writer.append(buffer)
    writer.close()
    write_tiles(tmp_path / "tiles.npy", writer)
    np.testing.assert_array_equal(open_frames(tmp_path, "train", tiled=True)[:], frames)


def test_memory_of_the_writer_is_flat(tmp_path):
    """Ten times the distinct frames (15 MB of pixels) must not need more memory."""
    peaks = []
    for count in (50, 500):
        frames = draw(random_tiles(5), 50, rows=10, columns=16)
        tracemalloc.start()
        writer = TiledWriter(tmp_path / f"{count}.npy", frames.shape[1:], 8)
        for number in range(count):
            writer.append(np.roll(frames[number % 50], 8 * (number // 50), 0))
        writer.close()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 100_000


def test_too_many_tiles_are_refused(tmp_path, monkeypatch):
    """A picture that scrolls by single pixels is not drawn from a grid of tiles: say so, and what
    to do, all of it at once.
    """
    monkeypatch.setattr(tiled, "MOST_TILES", 10)
    write(tmp_path, draw(random_tiles(10), 9), 8, "ten")
    with pytest.raises(UserError, match="more than 10 distinct tiles") as caught:
        write(tmp_path, draw(random_tiles(11), 9), 8, "eleven")
    assert_sentence(caught.value)
    changed = changed_params(tuple(re.findall(r"-S (\S+)", str(caught.value))))  # accepted together
    assert (changed.preprocess.tile, changed.representation.kind) == (0, "ae")


def test_too_many_tiles_in_both_splits_are_refused(tmp_path, monkeypatch):
    """The limit holds for the dictionary that the splits share."""
    monkeypatch.setattr(tiled, "MOST_TILES", 10)
    train, val = (
        write(tmp_path, draw(random_tiles(8, seed=n), 9), 8, name)
        for n, name in enumerate(("train", "val"))
    )
    with pytest.raises(UserError, match="more than 10 distinct tiles"):
        write_tiles(tmp_path / "tiles.npy", train, val)


@pytest.mark.parametrize(
    ("height", "width", "named"), [(24, 20, "width is 20"), (20, 24, "height is 20")]
)
def test_tiles_that_do_not_fill_the_picture_are_refused(height, width, named):
    """The sentence names both keys before any stage does work."""
    with pytest.raises(UserError, match=named) as caught:
        PreprocessConfig(
            height=height, width=width, color="rgb", resize="nearest", val_share=0.1, tile=8
        )
    assert_sentence(caught.value)
    assert "preprocess.tile 8" in str(caught.value)
    PreprocessConfig(
        height=height, width=width, color="rgb", resize="nearest", val_share=0.1, tile=0
    )


# The pipeline's folder


TILED = PreprocessConfig(height=24, width=32, color="rgb", resize="nearest", val_share=0.25, tile=8)


@pytest.fixture
def folder(tmp_path):
    """A processed dataset of tiles."""
    make_processed(tmp_path, [make_rows(n, 8, first=3 * n) for n in range(6)], TILED)
    return tmp_path / "processed"


def test_whole_frames_and_tiles_hold_the_same(tmp_path, folder):
    """preprocess.tile changes how frames are stored, and nothing else: rows, index, median,
    meta.
    """
    preprocess(tmp_path / "raw", tmp_path / "whole", dataclasses.replace(TILED, tile=0), 0)
    for name in ("train", "val"):
        plain, split = load_split(tmp_path / "whole", name), load_split(folder, name)
        assert (type(plain.frames), type(split.frames)) == (np.memmap, TiledFrames)
        np.testing.assert_array_equal(split.frames[:], plain.frames)
        np.testing.assert_array_equal(split.index, plain.index)
        assert not (folder / name / "frames.npy").exists()
    np.testing.assert_array_equal(
        np.load(folder / "median.npy"), np.load(tmp_path / "whole" / "median.npy")
    )
    meta, plain_meta = read_json(folder / "meta.json"), read_json(tmp_path / "whole" / "meta.json")
    assert meta.pop("train_tiles") == len(np.unique(np.load(folder / "train" / "cells.npy")))
    assert meta == plain_meta


@pytest.mark.parametrize("config", [TILED, dataclasses.replace(TILED, tile=0), SEEN_AS])
def test_test_episodes_are_opened_in_either_way(tmp_path, config):
    """The evaluation's scratch folder has a dictionary of its own."""
    raw = write_raw(tmp_path / "raw", [make_rows(n, 5 + n, first=n) for n in range(3)])
    test = load_unsplit(raw, config, tmp_path)
    assert isinstance(test.frames, TiledFrames) == (config.tile > 0)
    wanted = [
        process_frame(decode_image(row["observations"]["bytes"]), config)
        for e in read_episodes(raw)
        for row in e
    ]
    np.testing.assert_array_equal(test.frames[test.index["frame"]], np.stack(wanted))


def foreign_cells(folder):
    cells = np.load(folder / "train" / "cells.npy")
    cells[1, 2, 3] = len(np.load(folder / "tiles.npy"))
    np.save(folder / "train" / "cells.npy", cells)


def leaked_tile(folder):
    tiles = np.load(folder / "tiles.npy")
    np.save(folder / "tiles.npy", np.concatenate([tiles, ~tiles[:1]]))
    cells = np.load(folder / "train" / "cells.npy")
    cells[0, 0, 0] = len(tiles)
    np.save(folder / "train" / "cells.npy", cells)


def other_type(folder):
    np.save(
        folder / "train" / "cells.npy", np.load(folder / "train" / "cells.npy").astype(np.int64)
    )


def other_side(folder):
    np.save(folder / "tiles.npy", np.load(folder / "tiles.npy")[:, :4, :4])


def flat_tiles(folder):
    np.save(folder / "tiles.npy", np.load(folder / "tiles.npy").reshape(-1, 192))


def fewer_cells(folder):
    np.save(folder / "train" / "cells.npy", np.load(folder / "train" / "cells.npy")[:1])


def no_tiles(folder):
    (folder / "tiles.npy").unlink()


def no_cells(folder):
    (folder / "train" / "cells.npy").unlink()


def half_of_cells(folder):
    path = folder / "train" / "cells.npy"
    path.write_bytes(path.read_bytes()[:-50])


def half_of_tiles(folder):
    path = folder / "tiles.npy"
    path.write_bytes(path.read_bytes()[:-50])


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (foreign_cells, "does not fit together"),
        (leaked_tile, "does not fit together"),
        (other_type, "does not fit together"),
        (other_side, "does not fit together"),
        (flat_tiles, "does not fit together"),
        (fewer_cells, "does not fit together"),
        (no_tiles, "tiles.npy is missing"),
        (no_cells, "cells.npy is missing"),
        (half_of_cells, "cells.npy is damaged"),
        (half_of_tiles, "tiles.npy is damaged"),
    ],
)
def test_what_does_not_fit_is_refused_when_opened(folder, damage, named):
    """Half a dataset must be refused in one sentence, not become wrong pictures in training."""
    damage(folder)
    with pytest.raises(UserError, match=named) as caught:
        load_split(folder, "train")
    assert_sentence(caught.value)


def test_numbers_that_do_not_fit_leave_the_cells_as_they_were(tmp_path):
    """In place, half of the frames would have the new numbers."""
    np.save(tmp_path / "cells.npy", np.arange(5000, dtype=np.uint16).reshape(-1, 1, 1))
    before = (tmp_path / "cells.npy").read_bytes()
    with pytest.raises(IndexError):
        renumber(tmp_path / "cells.npy", np.arange(3000, dtype=np.uint16))
    assert (tmp_path / "cells.npy").read_bytes() == before
    renumber(tmp_path / "cells.npy", np.arange(5000, dtype=np.uint16)[::-1])
    assert np.load(tmp_path / "cells.npy").ravel().tolist() == list(range(5000))[::-1]
    assert [path.name for path in tmp_path.iterdir()] == ["cells.npy"]
