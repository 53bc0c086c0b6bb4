"""Training the token dynamics: the loss, what is shown in advance, validation by frames got wrong."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from dreamcart.config import Params
from dreamcart.data.processed import Split
from dreamcart.dynamics.tokens.history import State, delay
from dreamcart.dynamics.tokens.layout import find_layout
from dreamcart.dynamics.tokens.model import TokenDynamics, config_for
from dreamcart.dynamics.tokens.samples import Samples
from dreamcart.hardware import autocast, make_repeatable, pick_device
from dreamcart.training import Plan, fit, step_rng

TELL_SHARE = 0.25  # of the changing samples, those with some of the next frame's cells told in advance
TELL_MOST = 6  # cells told in advance, at most
LATE_SHARE = 0.2  # of the changes that come by themselves, those that are practised late
LATE_MOST = 60  # steps
SCALE = 0.1  # brings a frame's negative log-likelihood (a sum over cells) near 1
VAL_BATCH = 256
JUDGE_SAMPLE = 4096
MOST_PULL = 4.0  # a frame whose loss is larger pulls no harder: one freak must not outweigh its whole batch
EVENT = 3.0  # weight of the question whether anything changes: it is asked at every step, and a frame is wrong without it


def frame_loss(
    model: TokenDynamics,
    state: State,
    action: torch.Tensor,
    window: torch.Tensor,
    backdrop: torch.Tensor,
    weight: torch.Tensor,
    rng: np.random.Generator,
) -> torch.Tensor:
    """Negative log-likelihood of the next frames, scaled, [B].

    `weight` [B] is that of the question whether anything changes; `rng` chooses what is told in advance and what comes late.
    """
    mask = model.mask
    current = state.frames[:, -1]
    differs = (window != current) & mask
    moves = (window != current).flatten(1).any(1) | (backdrop != state.backdrop)
    known = tell(rng, differs.cpu(), mask.cpu(), window.cpu()).to(mask.device)
    state = practise_late(state, action, moves, rng)
    open_cells = mask & (known == 0)
    painted = differs & open_cells
    with autocast(mask.device):
        event, scene, gate, features = model.network(state, action, known)
        logits = model.network.tokens(features[painted])
    event, scene, gate, logits = event.float(), scene.float(), gate.float(), logits.float()
    loss = EVENT * weight * F.binary_cross_entropy_with_logits(event, moves.float(), reduction="none")
    gates = F.binary_cross_entropy_with_logits(gate, differs.float(), reduction="none") * open_cells
    loss = loss + moves * (gates.flatten(1).sum(1) + F.cross_entropy(scene, backdrop, reduction="none"))
    logits = logits.scatter(1, current[painted].long()[:, None], -1e4)
    colours = F.cross_entropy(logits, window[painted].long(), reduction="none")
    return SCALE * loss.index_add(0, painted.nonzero()[:, 0], colours)


def tell(rng: np.random.Generator, differs: torch.Tensor, mask: torch.Tensor, window: torch.Tensor) -> torch.Tensor:
    """What is told of the next frames, int64 [B, h, w]: 0, or 1 + the token of a told cell.

    Practice for deciding cells one by one. Half of the rows are told only of cells that stay: a dream in doubt mostly
    decides such a cell first. In the others about half of the told cells change.
    """
    known = torch.zeros(window.shape, dtype=torch.int64)
    told = (rng.random(len(window)) < TELL_SHARE) & differs.flatten(1).any(1).numpy()
    cells = mask.flatten().nonzero().squeeze(1).numpy()
    flat, truth = known.flatten(1), window.flatten(1)
    for row in np.flatnonzero(told):
        moves = differs[row].flatten().numpy()
        moving, still = np.flatnonzero(moves), cells[~moves[cells]]
        only_still = rng.random() < 0.5 and len(still)
        for _ in range(int(rng.integers(1, TELL_MOST + 1))):
            cell = int(rng.choice(still if only_still else moving if rng.random() < 0.5 else cells))
            flat[row, cell] = int(truth[row, cell]) + 1
    return known


def practise_late(state: State, action: torch.Tensor, moves: torch.Tensor, rng: np.random.Generator) -> State:
    """Some of the changes that come without a button, as if they were overdue: better late than never.

    A dream that misses a tick of the game's clock is in a state that no recording shows, and would wait there for ever.
    """
    quiet = (action == 0).all(1) & (state.last == 0).all(1) & moves
    late = torch.from_numpy((1 + LATE_MOST * rng.random(len(action)) ** 3).astype(np.int64)).to(action.device)
    chosen = torch.from_numpy(rng.random(len(action)) < LATE_SHARE).to(action.device) & quiet
    return delay(state, torch.where(chosen, late, 0)) if chosen.any() else state


@torch.no_grad()
def wrong(model: TokenDynamics, state: State, action: torch.Tensor, window: torch.Tensor, backdrop: torch.Tensor) -> torch.Tensor:
    """bool [B]: frames not predicted exactly, deciding all cells at once."""
    mask = model.mask
    current = state.frames[:, -1]
    event, scene, gate, features = model.network(state, action)
    _, token, _ = model._beliefs(current, gate, features)
    painted = torch.where((gate > 0) & mask, token, current)
    happens = event > 0
    guess = torch.where(happens[:, None, None], painted, current)
    scene = torch.where(happens, scene.argmax(1), state.backdrop)
    return ((guess != window) & mask).flatten(1).any(1) | (scene != backdrop)


def train_tokens(
    params: Params, train: Split, val: Split, tokens: dict[str, np.ndarray], pictures: torch.Tensor, checkpoint: Path
) -> tuple[TokenDynamics, dict[str, Any], list[dict[str, float]]]:
    """Train on single steps; keep the weights that get the fewest validation frames wrong.

    Args:
        tokens: "train" and "val": int [U, H, W].
        pictures: uint8 [vocabulary, ...], what the tokens look like.

    Returns the model (CPU, eval mode), its config and the curve; its `val` is the share of frames not exact.
    """
    own = params.dynamics
    make_repeatable(params.seed)
    layout = find_layout(tokens["train"], train.index["frame"], train.transitions)
    device = pick_device()
    config = config_for(layout, len(pictures), len(train.spec.buttons), own)
    model = TokenDynamics(**{key: value for key, value in config.items() if key != "kind"}, pictures=pictures)
    model.set_layout(layout)
    samples = {
        name: Samples(split, tokens[name], layout, model.network, model.depth) for name, split in (("train", train), ("val", val))
    }
    practice = samples["train"]
    model.to(device)
    fixed = samples["val"].all[:: max(1, len(samples["val"].all) // JUDGE_SAMPLE)]

    def loss_at(step: int) -> torch.Tensor:
        rng = step_rng(params.seed, step)
        at, weight = practice.draw(rng, own.batch_size, own.changed_share)
        loss = frame_loss(model, *practice.get(at, device), weight.to(device), rng)
        practice.learn(step, at, loss.detach().cpu())
        return (loss * (MOST_PULL / loss.detach()).clamp(max=1)).mean()

    def validate() -> float:
        batches = (fixed[first : first + VAL_BATCH] for first in range(0, len(fixed), VAL_BATCH))
        return sum(int(wrong(model, *samples["val"].get(at, device)).sum()) for at in batches) / len(fixed)

    plan = Plan(own.steps, own.learning_rate, own.weight_decay, own.validate_every, own.checkpoint_every, params.seed)
    curve = fit(model, plan, loss_at, validate, checkpoint, "dynamics, tokens", practice.progress, model.network.matrices())
    model.cpu().network.settle()
    return model, config, curve
