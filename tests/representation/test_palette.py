"""The palette: lossless for screens of at most 256 colours, and what becomes of others."""

import numpy as np
import torch
from toys.synthetic import make_params, make_processed, make_rows

from dreamcart.params import PreprocessConfig
from dreamcart.representation.encode import encode_splits
from dreamcart.representation.palette import MOST_COLOURS, TILES, collect_colours
from dreamcart.representation.registry import make_representation
from dreamcart.representation.train import collect_palette, judge_representation

TILED = PreprocessConfig(height=24, width=32, color="rgb", resize="nearest", val_share=0.25, tile=8)
WHOLE = PreprocessConfig(height=24, width=32, color="rgb", resize="nearest", val_share=0.25, tile=0)
EPISODES = [make_rows(n, 20, first=3 * n) for n in range(6)]


def palette_of(colours: np.ndarray, shape: tuple[int, int, int] = (16, 16, 3)):
    """A palette of these colours, uint8 [P, C]."""
    model = make_representation({"kind": "palette", "shape": list(shape), "colours": len(colours)})
    model.colours.copy_(torch.from_numpy(colours))
    return model


def test_known_colours_come_back_as_they_were():
    """Gray and colour, with 256 of them."""
    rng = np.random.default_rng(0)
    for channels in (1, 3):
        colours = np.unique(rng.integers(0, 256, (256, channels), np.uint8), axis=0)
        frames = torch.from_numpy(colours[rng.integers(0, len(colours), (4, 16, 16))])
        model = palette_of(colours, (16, 16, channels))
        latents = model.encode(frames)
        assert latents.dtype == torch.uint8
        assert latents.shape == (4, 16, 16)
        assert torch.equal(model.decode(latents), frames)


def test_an_unknown_colour_becomes_the_nearest():
    """By the sum of the differences of its parts."""
    model = palette_of(np.array([[0, 0, 0], [10, 200, 0], [255, 255, 255]], np.uint8))
    shown = torch.tensor([[0, 0, 9], [12, 190, 5], [250, 250, 255]], dtype=torch.uint8)
    assert model.encode(shown.view(1, 1, 3, 3)).flatten().tolist() == [0, 1, 2]


def test_the_palette_holds_all_colours_of_the_training_frames(tmp_path):
    """Sorted, so that a colour is found by its number; and they come back whole."""
    splits = make_processed(tmp_path, EPISODES, TILED)
    colours = collect_colours(splits["train"].frames).numpy()
    shown = splits["train"].frames[:].reshape(-1, 3)
    np.testing.assert_array_equal(colours, np.unique(shown, axis=0))
    model, config = collect_palette({"kind": "palette", "shape": [24, 32, 3]}, splits["train"])
    assert config["colours"] == len(colours)
    told = judge_representation(model, splits["train"], splits["train"].frames[0])
    assert told["exact"] == 1.0


def test_more_colours_than_fit_are_cut_to_256():
    """A rendered picture loses a little, and says how much."""
    ramp = np.linspace(0, 255, 32).astype(np.uint8)
    frames = np.zeros((3, 32, 32, 3), np.uint8)
    frames[:, :, :, 0], frames[:, :, :, 1] = ramp[:, None], ramp
    frames[:, :, :, 2] = np.array([0, 90, 200])[:, None, None]
    colours = collect_colours(frames)
    assert 64 < len(colours) <= MOST_COLOURS
    assert (colours.unique(dim=0) == colours).all()
    model = palette_of(colours.numpy(), (32, 32, 3))
    given = torch.from_numpy(frames)
    error = (model.decode(model.encode(given)).float() - given.float()).abs().mean()
    assert 0 < error < 12


def test_latents_are_stored_as_cells(tmp_path):
    """From tiled and from whole frames: each distinct cell once, and every frame comes back."""
    for name, config in (("tiled", TILED), ("whole", WHOLE)):
        splits = make_processed(tmp_path / name, EPISODES, config)
        model, _ = collect_palette({"kind": "palette", "shape": [24, 32, 3]}, splits["train"])
        folder = tmp_path / name / "latents"
        folder.mkdir()
        encode_splits(model, {part: split.frames for part, split in splits.items()}, folder)
        tiles = np.load(folder / TILES)
        assert tiles.shape[1:] == (8, 8)
        assert tiles.dtype == np.uint8
        for part, split in splits.items():
            cells = np.load(folder / f"{part}.npy")
            shown = tiles[cells].transpose(0, 1, 3, 2, 4).reshape(len(cells), 24, 32)
            given = torch.from_numpy(split.frames[:])
            np.testing.assert_array_equal(shown, model.encode(given).numpy())


def test_params_take_a_palette():
    """Its dynamics are of cells, and latent_dim sizes them."""
    params = make_params(representation__kind="palette", preprocess__tile=8, latent_dim=16)
    assert (params.latent_kind, params.dynamics_kind) == ("pixels", "cells")
