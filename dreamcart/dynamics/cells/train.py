"""Training the dream of cells on single steps."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from dreamcart.core.errors import UserError
from dreamcart.data.processed import Split
from dreamcart.dynamics.base import Trained, make_dynamics
from dreamcart.dynamics.cells.loss import bounded, frame_loss, wrong
from dreamcart.dynamics.cells.model import CellDynamics
from dreamcart.dynamics.cells.samples import Samples
from dreamcart.dynamics.cells.screen import survey
from dreamcart.dynamics.layout import find_layout
from dreamcart.params import Params
from dreamcart.training.device import keep_memory, make_repeatable, pick_device
from dreamcart.training.loop import Plan, fit, step_rng
from dreamcart.training.pace import within

VAL_BATCH = 64
JUDGE_SAMPLE = 2048  # transitions that a validation looks at, at most
MOST_KNOWN = 1024  # tiles that a cell may become as a whole: those that most changes end in
MOST_SHARE = 0.995  # of the changes, those in which no more cells need paint than a step paints
LEAST_PAINTED = 4  # cells that a step may paint, even where recordings hardly show unknown tiles
# what of a dream's config comes from params.yaml, and from which key there
SIZES = {
    "latent_shape": "preprocess.height and width",
    "side": "preprocess.tile",
    "depth": "dynamics.history_frames",
    "deed": "latent_dim",
    **{name: f"dynamics.cells.{name}" for name in ("channels", "blocks", "memory")},
}
CHUNK = 1024  # transitions that are looked at together: a bound on memory


def train_cells(
    params: Params,
    train: Split,
    val: Split,
    cells: dict[str, np.ndarray],
    tiles: torch.Tensor,
    checkpoint: Path,
    start: Trained | None = None,
) -> tuple[CellDynamics, dict[str, Any], list[dict[str, float]]]:
    """Train on single steps; keep the weights that get the fewest validation frames wrong.

    Args:
        cells: "train" and "val": int [U, H / t, W / t], tile numbers; tiles: uint8 [tiles, t, t],
            what they show; start: a dream to begin from.

    Returns the model (CPU, eval mode), its config and the curve; its `val` is the share of frames
    not exact. Raises UserError where `start` is of other sizes or buttons.
    """
    own = params.dynamics
    keep_memory()
    make_repeatable(params.seed)
    device = pick_device()
    config, weights = fresh(params, train, cells["train"], tiles)
    if start is not None:
        check_fits(start, config, list(train.spec.buttons))
        config, weights = start.config, start.dynamics.state_dict()
    model = make_dynamics(config)
    model.load_state_dict(weights, strict=False)
    shown = tiles.flatten(1)
    practice, judged = (
        Samples(split, cells[name], shown, model)
        for name, split in (("train", train), ("val", val))
    )
    model.to(device)
    fixed = judged.all[:: max(1, len(judged.all) // JUDGE_SAMPLE)]

    def loss_at(step: int) -> torch.Tensor:
        at, weight = practice.draw(step_rng(params.seed, step), own.batch_size, own.changed_share)
        loss = frame_loss(model, practice.get(at).to(device), weight.to(device))
        practice.learn(step, at, loss.detach().cpu())
        return bounded(loss).mean()

    def validate() -> float:
        parts = (fixed[first : first + VAL_BATCH] for first in range(0, len(fixed), VAL_BATCH))
        return sum(int(wrong(model, judged.get(at).to(device)).sum()) for at in parts) / len(fixed)

    plan = Plan(
        own.steps,
        own.learning_rate,
        own.weight_decay,
        own.validate_every,
        own.checkpoint_every,
        params.seed,
    )
    matrices, kept = list(model.network.matrices()), practice.progress
    plan = within(plan, own.minutes, model, loss_at, checkpoint, kept, matrices)
    curve = fit(model, plan, loss_at, validate, checkpoint, "dynamics, cells", kept, matrices)
    return model.cpu(), config, curve


def fresh(
    params: Params, train: Split, cells: np.ndarray, tiles: torch.Tensor
) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Return the config of a fresh model for a training split, and its buffers."""
    own, frame, at = params.dynamics, train.index["frame"], train.transitions
    layout = find_layout(cells, frame, at)
    shown = tiles.flatten(1)
    buffers = survey(layout.cells, layout.mask, layout.backdrops.long(), shown)
    known, most = changes_in(cells, frame, at[frame[at] != frame[at + 1]], len(tiles))
    side = tiles.shape[1]
    config = {
        "kind": "cells",
        "latent_shape": [size * side for size in cells.shape[1:]],
        "buttons": len(train.spec.buttons),
        "side": side,
        "window": list(layout.mask.shape),
        "outside": len(buffers["outside"]),
        "backdrops": len(layout.backdrops),
        "colours": int(tiles.max()) + 1,
        "known": len(known),
        "most": min(most, int(layout.mask.sum())),
        "depth": own.history_frames,
        "deed": params.latent_dim,
        "channels": own.cells.channels,
        "blocks": own.cells.blocks,
        "memory": own.cells.memory,
    }
    named = {f"screen.{name}": tensor for name, tensor in buffers.items()}
    return config, named | {"tiles": shown[torch.from_numpy(known)]}


def check_fits(start: Trained, config: dict[str, Any], buttons: list[str]) -> None:
    """Check that a dream can go on as one of this config. Its screen and known tiles stay its own:
    what they lack it paints.

    Raises UserError where it cannot.
    """
    if start.buttons != buttons:
        raise UserError(f"{start.source} has other buttons than these recordings.")
    for name, key in SIZES.items():
        if start.config[name] != config[name]:
            raise UserError(
                f"{start.source} was made with {key} {start.config[name]}, and now it is"
                f" {config[name]}; make them equal, or leave dynamics.init_from empty."
            )


def changes_in(
    cells: np.ndarray, frame: np.ndarray, at: np.ndarray, tiles: int
) -> tuple[np.ndarray, int]:
    """Return the numbers of the tiles that most changes end in, and in how many cells a step shows
    others at most (but in MOST_SHARE's few).

    Args:
        cells: as in `train_cells`; frame: int [N], which of them each record shows; at: records
            with a next one that differs; tiles: number of them.
    """
    parts = np.array_split(at, max(1, len(at) // CHUNK))
    into = np.zeros(tiles, np.int64)
    for part in parts:
        before, after = cells[frame[part]], cells[frame[part + 1]]
        into += np.bincount(after[before != after].ravel(), minlength=tiles)
    most = np.argsort(-into, kind="stable")[:MOST_KNOWN]
    seen = np.sort(most[into[most] > 1])
    known = seen if len(seen) else most[:1]  # a game in which nothing comes twice
    other = np.ones(tiles, bool)
    other[known] = False
    counts = [np.ones(1, np.int64)]
    for part in parts:
        before, after = cells[frame[part]], cells[frame[part + 1]]
        counts.append(((before != after) & other[after]).sum((1, 2)))
    return known, max(LEAST_PAINTED, int(np.quantile(np.concatenate(counts), MOST_SHARE)))
