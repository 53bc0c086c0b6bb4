"""A walker on a board of tokens, small models of it, and how to train and compare them."""

from collections.abc import Sequence
from dataclasses import fields
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import nn

from dreamcart.data.processed import Split, history, index_dtype
from dreamcart.dynamics.layout import Layout
from dreamcart.dynamics.tokens.dials import Dial
from dreamcart.dynamics.tokens.model import TokenDynamics, config_for
from dreamcart.dynamics.tokens.state import State
from dreamcart.dynamics.tokens.train import train_tokens
from toys.synthetic import BUTTONS, make_params, make_spec

A, LEFT, RIGHT = (BUTTONS.index(name) for name in ("A", "LEFT", "RIGHT"))


def record(episodes: list[tuple[list[np.ndarray], np.ndarray]]) -> tuple[Split, np.ndarray]:
    """Episodes, each (frames of tokens, buttons between them), as a split without pixels and its
    distinct frames.
    """
    rows: dict[bytes, int] = {}
    distinct, parts = [], []
    for number, (frames, actions) in enumerate(episodes):
        part = np.zeros(len(frames), index_dtype(len(BUTTONS)))
        part["episode"], part["step"] = number, np.arange(len(frames))
        part["action"][:-1] = actions
        for step, frame in enumerate(frames):
            if frame.tobytes() not in rows:
                rows[frame.tobytes()] = len(distinct)
                distinct.append(frame)
            part["frame"][step] = rows[frame.tobytes()]
        parts.append(part)
    return Split(
        np.zeros((len(distinct), 1, 1, 1), np.uint8), np.concatenate(parts), make_spec()
    ), np.stack(distinct)


def make_model(
    layout: Layout,
    vocabulary: int,
    depth: int = 4,
    dials: Sequence[Dial] = (),
    side: int = 0,
    **more: Any,
) -> TokenDynamics:
    """An untrained model for a layout; more: keys of its config."""
    torch.manual_seed(0)
    own = SimpleNamespace(channels=8, blocks=1, history_frames=depth, memory=16)
    config = config_for(layout, vocabulary, len(BUTTONS), own, dials, side) | more
    model = TokenDynamics(**{key: value for key, value in config.items() if key != "kind"})
    model.set_layout(layout)
    for block in model.network.blocks:
        # they begin at zero, where no button differs from another
        nn.init.normal_(block.press, std=0.1)
    return model.eval()


def plain_layout(height: int, width: int) -> Layout:
    """Every cell is the network's."""
    cells = torch.arange(height * width).view(height, width)
    return Layout(
        cells,
        torch.ones(height, width, dtype=torch.bool),
        torch.zeros(1, height, width, dtype=torch.int16),
    )


def assert_same_state(
    one: State, other: State, rows: np.ndarray | None = None, note: str = ""
) -> None:
    """Equal in every field, to the bit."""
    for field in fields(State):
        left, right = getattr(one, field.name), getattr(other, field.name)
        assert left.dtype == right.dtype, (field.name, note)
        same = (left == right).flatten(1).all(1) if left.dim() > 1 else left == right
        assert same.all(), (field.name, note, same.logical_not().nonzero().flatten().tolist())


def start_at(split: Split, tokens: np.ndarray, model: TokenDynamics, at: np.ndarray) -> State:
    """The dream's state after the real context that an evaluation gives it."""
    rows, buttons = history(
        split.index, split.episode_start, at, model.history_frames, model.history_actions
    )
    real = np.minimum(split.index["step"][at] + 1, rows.shape[1])
    return model.start(
        torch.from_numpy(tokens[rows]), torch.from_numpy(buttons[:, :-1]), torch.from_numpy(real)
    )


def in_doubt(model: TokenDynamics) -> TokenDynamics:
    """Make a model undecided about everything, whatever it sees."""
    for layer in (model.network.gate, model.network.paint[-1], model.network.event[-1]):
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    return model


def some_state(
    model: TokenDynamics, batch: int = 7, vocabulary: int = 4
) -> tuple[State, torch.Tensor]:
    """A state after random frames, and buttons to press."""
    rng = torch.Generator().manual_seed(1)
    frames = torch.randint(0, vocabulary, (batch, 6, *model.latent_shape), generator=rng)
    actions = torch.randint(0, 2, (batch, 6, len(BUTTONS)), generator=rng)
    return model.start(frames, actions[:, :-1]), actions[:, -1].float()


def learn(
    train, val, tmp_path, steps: int, **changes
) -> tuple[TokenDynamics, dict, list[dict[str, float]]]:
    """Train on recorded splits, (split, tokens) each, at a size of toys."""
    size = {
        "channels": 16,
        "blocks": 1,
        "memory": 32,
        "history_frames": 2,
        "batch_size": 64,
        "learning_rate": 0.01,
    }
    often = {"validate_every": steps, "checkpoint_every": steps}
    values = {f"dynamics__{key}": value for key, value in (size | often | changes).items()}
    params = make_params(
        representation__kind="tiles", preprocess__tile=8, dynamics__steps=steps, **values
    )
    tokens = {"train": train[1], "val": val[1]}
    pictures = torch.eye(int(max(part.max() for part in tokens.values())) + 1)
    return train_tokens(
        params, train[0], val[0], tokens, pictures, tmp_path / "checkpoint.safetensors"
    )


def presses(rng: np.random.Generator, steps: int, *buttons: int) -> np.ndarray:
    """Multi-hot [steps, 8]: these buttons at random, the others never."""
    actions = np.zeros((steps, len(BUTTONS)), int)
    actions[:, buttons] = rng.integers(0, 2, (steps, len(buttons)))
    return actions


def walk(episodes: int, length: int, seed: int) -> tuple[Split, np.ndarray]:
    """A dot on a grid of 6 x 6 that LEFT and RIGHT move, out on one side and in on the other."""
    rng = np.random.default_rng(seed)
    played = []
    for _ in range(episodes):
        y, x = rng.integers(0, 6, 2)
        frames, actions = [], presses(rng, length - 1, LEFT, RIGHT)
        for action in [*actions, None]:
            frame = np.zeros((6, 6), np.int16)
            frame[y, x] = 1
            frames.append(frame)
            if action is not None:
                x = (x + action[RIGHT] - action[LEFT]) % 6
        played.append((frames, actions))
    return record(played)
