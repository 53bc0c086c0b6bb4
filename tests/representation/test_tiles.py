"""Tiles as a representation: what is known comes back exact, what is foreign as the nearest, and
which is told.
"""

import numpy as np
import pytest
import torch
from toys.synthetic import make_params, make_rows, make_split, write_raw

from dreamcart.data.preprocess import preprocess
from dreamcart.data.processed import Split, load_split
from dreamcart.data.tiled import TiledFrames
from dreamcart.params import Params, PreprocessConfig
from dreamcart.representation import train as training
from dreamcart.representation.encode import encode_frames
from dreamcart.representation.registry import (
    load_representation,
    make_representation,
    save_representation,
)
from dreamcart.representation.tiles import Tiles
from dreamcart.representation.train import (
    collect_tiles,
    judge_representation,
    representation_config,
    train_representation,
)
from stages.train_ae import print_tiles

SEEN_AS = PreprocessConfig(
    height=24, width=32, color="rgb", resize="nearest", val_share=0.25, tile=8
)


def make_tiles(
    count: int, tile: int = 8, channels: int = 3, rows: int = 2, columns: int = 3
) -> Tiles:
    """A dictionary of random tiles, for frames of `rows` x `columns` of them."""
    model = make_representation(
        {
            "kind": "tiles",
            "shape": [rows * tile, columns * tile, channels],
            "tile": tile,
            "vocabulary": count,
        }
    )
    model.tiles.copy_(
        torch.randint(
            0, 256, model.tiles.shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
        )
    )
    return model.eval()


def tiles_params(**changes) -> Params:
    return make_params(
        representation__kind="tiles",
        preprocess__tile=8,
        preprocess__height=24,
        preprocess__width=32,
        **changes,
    )


@pytest.mark.parametrize(("tile", "channels"), [(8, 3), (8, 1), (4, 3), (1, 1)])
@pytest.mark.parametrize("count", [1, 5, 700])
def test_known_tiles_come_back_exact(tile, channels, count):
    """Lossless is the promise: every frame of known tiles, also of more than a byte can count,
    equal in every pixel.
    """
    if (tile, channels) == (1, 1) and count > 256:
        pytest.skip("there are but 256 gray pixels")
    model = make_tiles(count, tile, channels)
    if tile == 1:
        model.tiles.copy_(torch.arange(count, dtype=torch.uint8).flip(0).view(-1, 1, 1, 1))
    tokens = torch.randint(0, count, (40, 2, 3))
    tokens[0, 0] = count - 1
    frames = model.decode(tokens)
    assert (frames.shape, frames.dtype) == ((40, *model.shape), torch.uint8)
    found = model.encode(frames)
    assert (found.shape, found.dtype) == ((40, *model.latent_shape), model.latent_dtype)
    assert torch.equal(found.long(), tokens)
    assert torch.equal(model.decode(found), frames)


def test_a_tile_is_drawn_where_it_was():
    """Rows, columns, lines and colours: one tile that is known pixel by pixel, put by hand."""
    model = make_tiles(2)
    model.tiles[0] = 0
    frame = torch.zeros(1, 16, 24, 3, dtype=torch.uint8)
    frame[0, 8:, 16:] = model.tiles[1]
    tokens = model.encode(frame)
    assert tokens.tolist() == [[[0, 0, 0], [0, 0, 1]]]
    assert torch.equal(model.decode(tokens), frame)


def test_a_foreign_tile_becomes_the_nearest():
    """A digit that training never showed must look like its like, and must not disturb the tiles
    around it.
    """
    model = make_tiles(300)
    tokens = torch.randint(0, 300, (20, 2, 3))
    frames = model.decode(tokens)
    frames[3, 0, 0] = 255 - frames[3, 0, 0]  # a line of the first tiles of frame 3
    frames[7, 8:, 16:] = 0
    found = model.encode(frames)
    assert torch.equal(found[3].long(), tokens[3])
    nearest = int(model.tiles.flatten(1).long().sum(1).argmin())
    tokens[7, 1, 2] = nearest
    assert torch.equal(found.long(), tokens)


def test_frames_are_encoded_alike_one_by_one_and_many(tmp_path):
    """Memory is bounded by chunks; that must not show."""
    model = make_tiles(9)
    frames = model.decode(torch.randint(0, 9, (40, 2, 3)))
    assert torch.equal(
        model.encode(frames), torch.cat([model.encode(frame[None]) for frame in frames])
    )


def test_a_saved_dictionary_loads_as_it_was(tmp_path):
    """Config and tiles travel together, whatever memory order loading leaves them in."""
    model = make_tiles(30)
    frames = model.decode(torch.randint(0, 30, (5, 2, 3)))
    save_representation(
        tmp_path / "r", model, {"kind": "tiles", "shape": [16, 24, 3], "tile": 8, "vocabulary": 30}
    )
    loaded = load_representation(tmp_path / "r")
    assert torch.equal(loaded.encode(frames), model.encode(frames))
    assert torch.equal(loaded.decode(loaded.encode(frames)), frames)
    save_representation(
        tmp_path / "again",
        loaded,
        {"kind": "tiles", "shape": [16, 24, 3], "tile": 8, "vocabulary": 30},
    )
    assert (tmp_path / "again").read_bytes() == (tmp_path / "r").read_bytes()


@pytest.mark.parametrize("side", [8, 4])
def test_the_short_cut_for_stored_tiles_is_none_in_effect(tmp_path, side):
    """Frames that are stored as tiles need not be drawn to be looked up; the latents are the same
    to the bit.

    Also where some of the stored tiles are foreign (the validation's own), and where they are of
    another size.
    """
    model = make_tiles(12)
    rng = np.random.default_rng(0)
    if side == 8:
        extra = rng.integers(0, 256, (3, 8, 8, 3), np.uint8)
        frames = TiledFrames(
            rng.integers(0, 15, (150, 2, 3)).astype(np.uint16),
            np.concatenate([model.tiles.numpy(), extra]),
        )
    else:
        quarters = model.tiles.view(12, 2, 4, 2, 4, 3).transpose(2, 3).reshape(48, 4, 4, 3).numpy()
        frames = TiledFrames(rng.integers(0, 48, (150, 4, 6)).astype(np.uint16), quarters)
    encode_frames(model, frames, tmp_path / "short.npy", "short")
    encode_frames(model, frames[:], tmp_path / "plain.npy", "plain")
    short, plain = np.load(tmp_path / "short.npy"), np.load(tmp_path / "plain.npy")
    assert (short.dtype, short.shape) == (np.int16, (150, 2, 3))
    np.testing.assert_array_equal(short, plain)


def split_of(cells: np.ndarray, tiles: np.ndarray) -> Split:
    return Split(
        TiledFrames(cells.astype(np.uint16), tiles),
        make_split([len(cells)]).index,
        make_split([2]).spec,
    )


def test_only_the_training_frames_tiles_are_collected():
    """Tiles that only validation shows would make the judgement a gift."""
    tiles = make_tiles(7).tiles.numpy()
    train = split_of(np.array([[[0, 1], [2, 4]], [[4, 3], [0, 0]]]), tiles)
    config = representation_config(tiles_params(), (16, 16, 3))
    model, config = collect_tiles(config, train)
    assert config["vocabulary"] == 5
    assert torch.equal(model.tiles, torch.from_numpy(tiles[:5]))


def test_of_too_many_tiles_the_most_frequent_are_collected(monkeypatch):
    """A game that moves its figures by single pixels trains too: what is rare becomes the nearest
    of what is not.
    """
    monkeypatch.setattr(training, "MOST_TILES", 3)
    tiles = make_tiles(5).tiles.numpy()
    frames = np.array([[[3, 1], [2, 4]], [[4, 3], [0, 3]], [[4, 1], [3, 3]]])
    config = representation_config(tiles_params(), (16, 16, 3))
    model, config = collect_tiles(config, split_of(frames, tiles))
    assert config["vocabulary"] == 3
    # in the order in which they first appeared
    assert torch.equal(model.tiles, torch.from_numpy(tiles[[1, 3, 4]]))
    val = split_of(
        np.array([[[3, 3], [4, 1]], [[3, 3], [4, 0]], [[1, 2], [1, 1]], [[1, 3], [1, 1]]]), tiles
    )
    assert judge_representation(model, val, np.zeros((16, 16, 3), np.uint8))["exact"] == 0.5


def test_it_is_said_that_the_dictionary_is_a_part(capsys):
    print_tiles({"tiles": 4096, "tiles_seen": 9000, "exact": 0.99, "l1": 0.001})
    printed = capsys.readouterr().out
    assert all(
        part in printed for part in ("4,096 most frequent of 9,000 tiles", "1.00%", "0.1000%")
    )


def recorded(folder, lossless: bool) -> tuple[Split, Split, np.ndarray]:
    """Four episodes of the toy game, preprocessed; unless `lossless`, each with pictures of its
    own.
    """
    raw = write_raw(
        folder / "raw", [make_rows(n, 14, first=0 if lossless else 5 * n) for n in range(4)]
    )
    preprocess(raw, folder / "processed", SEEN_AS, seed=0)
    train, val = (load_split(folder / "processed", name) for name in ("train", "val"))
    return train, val, np.load(folder / "processed" / "median.npy")


@pytest.mark.parametrize("lossless", [True, False])
def test_the_judgement_tells_whether_nothing_is_lost(tmp_path, lossless):
    """`exact` is 1 only where every validation frame comes back; a foreign tile shows there and in
    the errors.
    """
    train, val, median = recorded(tmp_path, lossless)
    model, config, curve = train_representation(
        tiles_params(), train, val, median, tmp_path / "checkpoint"
    )
    report = judge_representation(model, val, median)
    assert curve == []
    if lossless:
        assert (report["exact"], report["l1"], report["l1_changed"], report["ssim"]) == (1, 0, 0, 1)
    else:
        known = (val.frames.cells < config["vocabulary"]).all((1, 2))
        assert report["exact"] == pytest.approx(known.mean(), abs=1e-6)
        assert report["exact"] < 1
        assert 0 < report["l1"] < report["median_l1"]
    shown = next(iter(training.reconstruct(model, train.frames)))
    np.testing.assert_array_equal(*shown)


def test_a_foreign_tile_in_a_single_frame_is_noticed(monkeypatch):
    """However many validation frames there are, one that is not exact must not pass for
    lossless.
    """
    monkeypatch.setattr(training, "JUDGE_SAMPLE", 10)
    model = make_tiles(5)
    cells = np.zeros((40, 2, 3))
    cells[np.setdiff1d(np.arange(40), np.linspace(0, 39, 10).astype(int))[7], 1, 1] = 5
    extra = 255 - model.tiles[:1].numpy()
    val = split_of(cells, np.concatenate([model.tiles.numpy(), extra]))
    assert judge_representation(model, val, np.zeros((16, 24, 3), np.uint8))["exact"] < 1


@pytest.mark.parametrize(
    ("lossless", "said"), [(True, "lossless on all"), (False, "NOT lossless. ")]
)
def test_the_stage_says_whether_it_is_lossless(tmp_path, monkeypatch, capsys, lossless, said):
    """Whoever trains on tiles must read in one line whether the game's picture survives them, and
    what to do if not.
    """
    from stages import train_ae as stage

    recorded(tmp_path / "data" / "blockfall", lossless)
    monkeypatch.setattr(stage, "load_params", lambda: tiles_params(game="blockfall"))
    monkeypatch.setattr("dreamcart.core.paths.ROOT", tmp_path)
    stage.main()
    line = next(line for line in capsys.readouterr().out.splitlines() if "lossless" in line)
    assert said in line
    if not lossless:
        assert "representation.kind palette" in line
    model = load_representation(tmp_path / "models" / "blockfall" / "representation.safetensors")
    assert isinstance(model, Tiles)
    for name in ("train_ae.png", "reconstructions.png", "edge_cases.png", "train_ae.csv"):
        assert (tmp_path / "plots" / "blockfall" / name).stat().st_size > 0
