"""The dream of cells: what it looks back on, that training sees what play sees, chance, learning,
and that it is a pure function of tensors.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from toys.synthetic import BUTTONS, make_params, make_processed, make_rows

from dreamcart.core.errors import UserError
from dreamcart.dynamics.base import UNTOLD, Trained, load_dynamics, save_dynamics
from dreamcart.dynamics.cells.chance import CHANCES, draw, lead_of, numbers_of, true_lead
from dreamcart.dynamics.cells.loss import (
    MOST_PAINTED,
    PRACTICE,
    PRACTISED,
    Reading,
    changes_of,
    to_paint,
)
from dreamcart.dynamics.cells.model import CellDynamics
from dreamcart.dynamics.cells.parts import Painter
from dreamcart.dynamics.cells.samples import Samples
from dreamcart.dynamics.cells.state import PATIENCE, State, gather_around, look_back, recent
from dreamcart.dynamics.cells.train import fresh, train_cells
from dreamcart.params import PreprocessConfig
from dreamcart.representation.encode import encode_splits
from dreamcart.representation.palette import TILES
from dreamcart.representation.train import collect_palette

TILED = PreprocessConfig(height=24, width=32, color="rgb", resize="nearest", val_share=0.25, tile=8)
SMALL = {
    "representation__kind": "palette",
    "preprocess__tile": 8,
    "latent_dim": 6,
    "dynamics__channels": 16,
    "dynamics__memory": 24,
    "dynamics__blocks": 2,
    "dynamics__history_frames": 8,
    "dynamics__batch_size": 16,
    "dynamics__steps": 12,
    "dynamics__validate_every": 6,
    "dynamics__checkpoint_every": 4,
}


def rows_with_pauses(episode: int, length: int) -> list:
    """A picture that moves every second step, and stands still for longer than PATIENCE."""
    rows = make_rows(episode, length, first=3 * episode)
    for step in range(30, min(length, 34 + PATIENCE)):
        rows[step]["observations"] = rows[29]["observations"]
    return rows


@pytest.fixture(scope="module")
def game(tmp_path_factory):
    """Splits, cells and tiles of a small game."""
    folder = tmp_path_factory.mktemp("game")
    splits = make_processed(folder, [rows_with_pauses(n, 70) for n in range(8)], TILED)
    palette, _ = collect_palette({"kind": "palette", "shape": [24, 32, 3]}, splits["train"])
    encode_splits(palette, {name: split.frames for name, split in splits.items()}, folder)
    cells = {name: np.load(folder / f"{name}.npy") for name in splits}
    return splits, cells, torch.from_numpy(np.load(folder / TILES))


def make_model(game, **changes) -> tuple[CellDynamics, dict]:
    """An untrained model whose beliefs are loud, so that there is something to see."""
    splits, cells, tiles = game
    config, buffers = fresh(make_params(**SMALL | changes), splits["train"], cells["train"], tiles)
    torch.manual_seed(0)
    model = CellDynamics(**{key: value for key, value in config.items() if key != "kind"})
    model.load_state_dict(buffers, strict=False)
    for name, parameter in model.named_parameters():
        if "norm" not in name and "calm" not in name:
            nn.init.normal_(parameter, std=0.15)
    nn.init.constant_(model.network.event[2].bias, 1.0)
    return model.eval(), config


def frames_of(game, name: str, records: np.ndarray) -> torch.Tensor:
    """Palette frames of a split's records, uint8 [..., 24, 32]."""
    splits, cells, tiles = game
    rows = cells[name][splits[name].index["frame"][records]]
    shown = tiles[torch.from_numpy(rows.astype(np.int64))]
    return shown.transpose(-3, -2).reshape(*records.shape, 24, 32)


def context_of(game, name: str, at: np.ndarray, time: int):
    """Frames [B, T, H, W] and buttons [B, T - 1, n] before records in one's episode."""
    records = at[:, None] - np.arange(time)[::-1]
    actions = game[0][name].index["action"][records[:, :-1]]
    return frames_of(game, name, records), torch.from_numpy(actions)


def begun(game, model, batch: int = 3) -> tuple[State, torch.Tensor]:
    """A state after some frames, and buttons to press."""
    at = np.array([20, 27, 29][:batch])
    state = model.start(*context_of(game, "train", at, 12))
    return state, torch.from_numpy(game[0]["train"].index["action"][at]).float()


def dream(game, model, steps: int = 5, temperature: float = 0.0, seed: int = 0) -> torch.Tensor:
    """Frames [B, steps, H, W] of a dream."""
    state, action = begun(game, model)
    generator, shown = torch.Generator().manual_seed(seed), []
    with torch.inference_mode():
        for step in range(steps):
            pressed = torch.roll(action, step, 1)
            frame, state = model.step(state, pressed, temperature, generator)
            shown.append(frame)
    return torch.stack(shown, 1)


# What it looks back on


@pytest.mark.parametrize("at", [1, 7, 28, 35, 29 + PATIENCE, 36 + PATIENCE, 65])
def test_training_sees_what_play_sees(game, at):
    """At an episode's begin, in its middle, in a pause and after it: the same state, and so the
    same beliefs.
    """
    model, _ = make_model(game)
    split = game[0]["val"]
    samples = Samples(split, game[1]["val"], game[2].flatten(1), model)
    records = np.flatnonzero(split.index["step"] == at)
    batch = samples.get(records)
    with torch.inference_mode():
        state = model.start(*context_of(game, "val", records, at + 1))
        reading, sensed = Reading(model, batch), model.look(state, batch.action)
    assert torch.equal(batch.tiles[batch.planes], state.planes)
    assert torch.equal(batch.tiles[batch.frames], recent(state.planes, state.ages))
    for name in ("ages", "changed", "actions", "last", "held", "idle", "backdrop"):
        assert torch.equal(getattr(batch.state, name), getattr(state, name)), name
    for one, other in zip(reading.sensed, sensed, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_a_cell_remembers_what_it_showed_before_two_changes():
    """1, 1, 2, 2, 3: it shows 3, showed 2 until the last step, and 1 until two steps before."""
    past = torch.tensor([1, 1, 2, 2, 3]).view(1, 5, 1, 1)
    planes, ages = look_back(past)
    assert planes.flatten().tolist() == [3, 2, 1]
    assert ages.flatten().tolist() == [0, 2]


def test_what_is_older_than_the_memory_is_forgotten():
    """A cell that never changed says so by its age, and repeats what it shows."""
    planes, ages = look_back(torch.tensor([4, 4, 4]).view(1, 3, 1, 1))
    assert planes.flatten().tolist() == [4, 4, 4]
    assert ages.flatten().tolist() == [2, 2]
    planes, ages = look_back(torch.tensor([5, 4, 4]).view(1, 3, 1, 1))
    assert planes.flatten().tolist() == [4, 5, 5]
    assert ages.flatten().tolist() == [1, 2]


def test_rows_wait_for_their_episode_to_begin(game):
    """A context that is shorter in one row is filled up with its first frame."""
    model, _ = make_model(game)
    frames, actions = context_of(game, "train", np.array([20, 27]), 10)
    with torch.inference_mode():
        long = model.start(frames, actions)
        filled = frames.clone()
        filled[1, :6] = frames[1, 6]
        silent = actions.clone()
        silent[1, :6] = 0
        mixed = model.start(filled, silent, torch.tensor([10, 4]))
        short = model.start(frames[1:, 6:], actions[1:, 6:])
    for kept, one, other in zip(mixed.tensors(), long.tensors(), short.tensors(), strict=True):
        torch.testing.assert_close(kept[0], one[0])
        torch.testing.assert_close(kept[1], other[0])


def test_the_pixels_around_a_cell_are_those_of_the_screen(game):
    """Beyond the window there is a colour of its own; the past is that of each cell."""
    model, _ = make_model(game)
    state, _ = begun(game, model)
    height, width = state.planes.shape[2:4]
    at = torch.arange(height * width).expand(3, -1)
    margin = Painter.MARGIN
    around = gather_around(state, at, 8, margin, beyond=99)
    shown = recent(state.planes, state.ages).int()
    whole = shown.unflatten(4, (8, 8)).transpose(3, 4).flatten(4, 5).flatten(2, 3)
    padded = nn.functional.pad(whole, (margin, margin, margin, margin), value=99)
    for number in range(height * width):
        y, x = number // width * 8, number % width * 8
        expected = padded[:, :, y : y + 8 + 2 * margin, x : x + 8 + 2 * margin]
        assert torch.equal(around[:, number], expected), number


# A pure function


def test_a_batch_dreams_as_each_row_alone(game):
    """Rollouts are scored in batches and played one at a time."""
    model, _ = make_model(game)
    state, action = begun(game, model)
    with torch.inference_mode():
        together, after = model.step(state, action)
        for row in range(3):
            one = slice(row, row + 1)
            alone, _ = model.step(state.rows(one), action[one])
            assert torch.equal(alone, together[one])
    present = model.screen.compose(state.planes[:, 0], state.backdrop)
    assert (together != present).any(), "nothing changes"
    assert after.planes.shape == state.planes.shape


def test_futures_are_drawn_by_seed_and_temperature(game):
    """One seed, one future; another seed, another one; at temperature 0 nothing is drawn."""
    model, _ = make_model(game)
    one = dream(game, model, temperature=1.0, seed=1)
    assert torch.equal(one, dream(game, model, temperature=1.0, seed=1))
    assert not torch.equal(one, dream(game, model, temperature=1.0, seed=2))
    assert torch.equal(dream(game, model, seed=1), dream(game, model, seed=2))


def test_a_true_frame_tells_only_the_rows_that_it_is_told(game):
    """`UNTOLD` rows dream on as if nobody had said anything."""
    model, _ = make_model(game)
    state, action = begun(game, model)
    truth = frames_of(game, "train", np.array([21, 28, 30])).to(torch.int16)
    silent = torch.full_like(truth, UNTOLD)
    with torch.inference_mode():
        plain, _ = model.step(state, action)
        same, _ = model.step(state, action, oracle=silent)
        told, _ = model.step(
            state,
            action,
            oracle=torch.where(torch.tensor([True, False, False]).view(3, 1, 1), truth, silent),
        )
    assert torch.equal(plain, same)
    assert torch.equal(told[1:], plain[1:])


def test_the_least_expected_cell_leads():
    """Of what cells did, what had the least probability; none, where all was likely."""
    mask = torch.ones(1, 3, dtype=torch.bool)
    differs = torch.tensor([[[True, False, False]], [[True, False, True]]])
    expect = torch.tensor([[3.0, -3.0, 1.0], [3.0, -3.0, 2.0]])
    firsts, became = torch.tensor([0.1, 0.1, 4.0]), torch.tensor([5, 6, 7])
    lead, outcome = lead_of(mask, differs, expect, firsts, became, stays=9)
    # in the first row the last cell stays against expectation, in the second it becomes the rare 7
    assert lead.tolist() == [2, 2]
    assert outcome.tolist() == [9, 7]
    mask[0, 2] = False
    assert lead_of(mask, differs, expect, firsts, became, stays=9)[0].tolist() == [3, 3]


def test_kinds_are_drawn_as_often_as_they_are_probable():
    """At temperature 0 the likeliest, at 1 by probability; what is sure is never left to chance."""
    logits = torch.tensor([0.2, 0.5, 0.3]).log().expand(1000, 3)
    noise = (torch.arange(1000) + 0.5) / 1000
    cold, warm = torch.tensor(0.0), torch.tensor(1.0)
    assert (draw(logits, noise, cold) == 1).all()
    assert draw(logits, noise, warm).bincount().tolist() == [200, 500, 300]
    sure = torch.tensor([0.01, 0.98, 0.01]).log().expand(1000, 3)
    assert (draw(sure, noise, warm) == 1).all()


def test_a_tile_is_found_by_its_pixels():
    """Each cell's number among the tiles, their number where it is none of them."""
    tiles = torch.randint(0, 4, (6, 16), dtype=torch.uint8)
    strange = tiles[:1] ^ 1
    assert numbers_of(torch.cat([tiles, strange]), tiles).tolist() == [0, 1, 2, 3, 4, 5, 6]


def test_what_is_in_doubt_is_told_by_the_truth(game):
    """The lead that a true frame names is the one that training takes for it."""
    model, _ = make_model(game)
    records = np.array([20, 27, 29])
    samples = Samples(game[0]["train"], game[1]["train"], game[2].flatten(1), model)
    batch = samples.get(records)
    differs, _ = changes_of(model, batch)
    state, action = begun(game, model)
    truth = frames_of(game, "train", records + 1).to(torch.int16)
    with torch.inference_mode():
        read, known = Reading(model, batch), batch.known[batch.following[differs]]
        trained = true_lead(
            model.network, read.sensed.features, read.keys, model.screen.mask, differs, known
        )
        sensed, none = model.look(state, action), torch.full((3,), model.cells)
        lead, outcome, moves = model.given(state, sensed, truth, none, none * 0)
    assert lead.tolist() == trained[0].tolist()
    led = lead < model.cells
    assert led.any()
    assert outcome[led].tolist() == trained[1][led].tolist()
    assert moves.tolist() == differs.flatten(1).any(1).long().tolist()


def test_a_step_exports(game):
    """torch.export takes it with any number of dreams, and what it exports dreams the same."""
    model, _ = make_model(game)
    state, action = begun(game, model)

    class Step(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, action, noise, temperature, *state):
            frame, following = self.model.dream(State(*state), action, noise, temperature)
            return frame, *following.tensors()

    model.kept_of()  # a constant of the step
    noise = torch.rand(3, CHANCES)
    given = action, noise, torch.tensor(1.0), *state.tensors()
    batch = {0: torch.export.Dim("batch", min=1, max=4096)}
    shapes = batch, batch, None, tuple(batch for _ in state.tensors())
    exported = torch.export.export(Step(), given, dynamic_shapes=shapes).module()
    with torch.inference_mode():
        for rows in (slice(0, 3), slice(1, 2)):
            some = [part[rows] if part.dim() else part for part in given]
            for one, other in zip(Step()(*some), exported(*some), strict=True):
                assert torch.equal(one, other)


def test_it_loads_as_it_was_saved(game, tmp_path):
    """Config and weights travel together."""
    model, config = make_model(game)
    save_dynamics(tmp_path / "d.safetensors", model, config)
    loaded = load_dynamics(tmp_path / "d.safetensors")
    assert torch.equal(dream(game, loaded), dream(game, model))
    assert loaded.random


# Training


def trained(game, checkpoint: Path, start: Trained | None = None, **changes):
    """(model, config, curve) of a training."""
    splits, cells, tiles = game
    params = make_params(**SMALL | changes)
    return train_cells(params, splits["train"], splits["val"], cells, tiles, checkpoint, start)


def test_it_learns_a_game(game, tmp_path):
    """A block that moves every second step: most frames come exact after seconds."""
    enough = {"dynamics__steps": 600, "dynamics__validate_every": 300, "dynamics__blocks": 3}
    model, _, curve = trained(game, tmp_path / "c.safetensors", **enough)
    assert curve[-1]["val"] < 0.3
    split = game[0]["val"]
    at = np.flatnonzero(split.index["step"] == 12)
    state = model.start(*context_of(game, "val", at, 13))
    right = []
    with torch.inference_mode():
        for step in range(6):
            action = torch.from_numpy(split.index["action"][at + step])
            frame, state = model.step(state, action)
            true = frames_of(game, "val", at + step + 1)
            right.append((frame == true).flatten(1).all(1).float().mean())
    assert torch.stack(right).mean() > 0.5


def test_a_killed_training_goes_on_as_if_it_had_not_been(game, tmp_path, monkeypatch):
    """The checkpoint holds all that decides the rest, to the bit."""
    whole, _, curve = trained(game, tmp_path / "whole.safetensors")
    draw, drawn = Samples.draw, []

    def killed(self, *given):
        drawn.append(1)
        if len(drawn) == 10:
            raise KeyboardInterrupt
        return draw(self, *given)

    monkeypatch.setattr(Samples, "draw", killed)
    with pytest.raises(KeyboardInterrupt):
        trained(game, tmp_path / "killed.safetensors")
    monkeypatch.setattr(Samples, "draw", draw)
    resumed, _, again = trained(game, tmp_path / "killed.safetensors")
    assert again == curve
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_a_training_begins_from_a_dream(game, tmp_path):
    """Its weights and its screen, though the params alone would make others."""
    start, config = make_model(game)
    begun_from = Trained("a.cart", start, config, list(BUTTONS))
    tiny = {"dynamics__steps": 1, "dynamics__learning_rate": 1e-7}
    model, own, _ = trained(game, tmp_path / "c.safetensors", begun_from, **tiny)
    assert own == config
    for name, tensor in start.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], tensor, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("changes", "buttons", "what"),
    [
        ({}, [*BUTTONS[1:], "Z"], "a.cart has other buttons"),
        ({"latent_dim": 7}, BUTTONS, "was made with latent_dim 6, and now it is 7"),
        ({"dynamics__blocks": 3}, BUTTONS, "was made with dynamics.cells.blocks 2"),
    ],
)
def test_a_dream_of_other_sizes_is_no_start(game, tmp_path, changes, buttons, what):
    """It is said which setting to change."""
    start = Trained("a.cart", *make_model(game), list(buttons))
    with pytest.raises(UserError, match=what):
        trained(game, tmp_path / "c.safetensors", start, **changes)


def test_what_no_known_tile_fits_is_painted_first():
    """And few others; what there is no room for is left out, and those of its kind count for it."""
    unknown = torch.tensor([False, True, False, True, False, True])
    weights, drawn = to_paint(unknown, 1)
    assert set(drawn[:3].tolist()) == {1, 3, 5}
    assert weights.tolist() == pytest.approx([1, 1, 1] + [PRACTICE] * PRACTISED)
    weights, drawn = to_paint(torch.ones(2 * MOST_PAINTED, dtype=torch.bool), 1)
    assert len(drawn) == MOST_PAINTED
    assert weights.tolist() == pytest.approx([2.0] * MOST_PAINTED)


def test_latent_dim_sizes_what_is_carried_from_step_to_step(game):
    """`dvc exp run -S latent_dim=…` trains another model."""
    for size in (4, 9):
        model, _ = make_model(game, latent_dim=size)
        state, _ = begun(game, model)
        assert state.deeds.shape == (3, 8, size)


def test_without_numbers_to_carry_it_says_what_to_do(game):
    """latent_dim 0 is for grids."""
    with pytest.raises(UserError, match="latent_dim is 0"):
        make_params(**SMALL | {"latent_dim": 0})


@pytest.mark.parametrize("button", range(len(BUTTONS)))
def test_every_button_has_weights_of_its_own(game, button):
    """Without what the memory is told of buttons, a block still does another thing for each."""
    model, _ = make_model(game)
    network = model.network
    with torch.inference_mode():
        state, action = begun(game, model, 1)
        nothing, pressed = torch.zeros_like(action), torch.zeros_like(action)
        pressed[0, button] = 1
        network.press.weight.zero_()
        told = [model.look(state, given).x for given in (nothing, pressed)]
        assert not torch.equal(*told)
        for block in network.blocks:
            block.press[button].zero_()
            block.press[button + len(BUTTONS)].zero_()
        told = [model.look(state, given).x for given in (nothing, pressed)]
        assert torch.equal(*told)
