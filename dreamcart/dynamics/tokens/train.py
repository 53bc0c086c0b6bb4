"""Training the token dynamics: the loss, what is shown in advance, validation by frames got
wrong.
"""

from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from dreamcart.data.processed import Split
from dreamcart.dynamics.base import Trained
from dreamcart.dynamics.layout import Layout, find_layout
from dreamcart.dynamics.tokens.beliefs import SURE, Beliefs, choices
from dreamcart.dynamics.tokens.budget import Budget, Stopwatch
from dreamcart.dynamics.tokens.chains import Chains, find_chains
from dreamcart.dynamics.tokens.controls import Controls
from dreamcart.dynamics.tokens.course import Course
from dreamcart.dynamics.tokens.dials import Dial
from dreamcart.dynamics.tokens.find_controls import find_controls
from dreamcart.dynamics.tokens.find_lines import find_lines
from dreamcart.dynamics.tokens.find_live import find_live
from dreamcart.dynamics.tokens.find_pace import find_pace
from dreamcart.dynamics.tokens.find_turns import find_turns
from dreamcart.dynamics.tokens.inertia import colours, has_inertia
from dreamcart.dynamics.tokens.init import fit_layout, take_over, take_weights
from dreamcart.dynamics.tokens.lines import Lines
from dreamcart.dynamics.tokens.live import Live
from dreamcart.dynamics.tokens.model import MOST_ROUNDS, TokenDynamics, config_for
from dreamcart.dynamics.tokens.movers.kinds import PAST, Kinds, find_kinds
from dreamcart.dynamics.tokens.movers.looks import with_looks
from dreamcart.dynamics.tokens.movers.train import MOVERS, train_movers
from dreamcart.dynamics.tokens.moves import Moves, find_moves
from dreamcart.dynamics.tokens.pace import Pace
from dreamcart.dynamics.tokens.reach import reach
from dreamcart.dynamics.tokens.regions import Regions, find_regions
from dreamcart.dynamics.tokens.samples import Samples
from dreamcart.dynamics.tokens.scenes import find_scenes
from dreamcart.dynamics.tokens.state import State, delay
from dreamcart.dynamics.tokens.turns import Turns
from dreamcart.params import Params
from dreamcart.training.device import autocast, keep_memory, make_repeatable, pick_device
from dreamcart.training.loop import Plan, fit, step_rng
from dreamcart.training.pace import within

# Of the changing samples, those with some of the cells in doubt told in advance: where nothing is
# random little stays in doubt.
TELL_SHARE, TELL_SHARE_RANDOM = 0.1, 0.5
LATE_SHARE = 0.2  # of the changes that come by themselves, those that are practised late
LATE_MOST = 60  # steps
# peak learning rate, and how many times as many steps as the cells have
MOVERS_RATE, MOVERS_MORE = 0.002, 2
SCALE = 0.1  # brings a frame's negative log-likelihood (a sum over cells) near 1
VAL_BATCH = 256
JUDGE_SAMPLE = 4096
# a frame whose loss is larger pulls no harder: one freak must not outweigh its whole batch
MOST_PULL = 4.0
# weight of the question whether anything changes: it is asked at every step, and a frame is wrong
# without it
EVENT = 3.0


def frame_loss(
    model: TokenDynamics,
    state: State,
    action: torch.Tensor,
    window: torch.Tensor,
    backdrop: torch.Tensor,
    weight: torch.Tensor,
    rng: np.random.Generator,
    share: float,
) -> torch.Tensor:
    """Negative log-likelihood of the next frames, scaled, [B].

    `weight` [B] is that of the question whether anything changes; `rng` chooses what is told in
    advance, in a `share` of the frames that change, and what comes late.
    """
    mask = model.mask
    current = state.frames[:, -1]
    differs = (window != current) & mask
    moves = (window != current).flatten(1).any(1) | (backdrop != state.backdrop)
    known = tell(model, state, action, window, rng, share)
    state = practise_late(state, action, moves, rng)
    open_cells = mask & (known == 0)
    painted = differs & open_cells
    with autocast(mask.device):
        event, scene, gate, features = model.network(state, action, known)
        onward = state.onward[painted] if model.side else None
        logits = model.network.tokens(features[painted], onward)
    event, scene, gate, logits = event.float(), scene.float(), gate.float(), logits.float()
    loss = (
        EVENT * weight * F.binary_cross_entropy_with_logits(event, moves.float(), reduction="none")
    )
    gates = F.binary_cross_entropy_with_logits(gate, differs.float(), reduction="none") * open_cells
    loss = loss + moves * (
        gates.flatten(1).sum(1) + F.cross_entropy(scene, backdrop, reduction="none")
    )
    logits = logits.scatter(1, current[painted].long()[:, None], -1e4)
    colours = F.cross_entropy(logits, window[painted].long(), reduction="none")
    return SCALE * loss.index_add(0, painted.nonzero()[:, 0], colours)


def bounded(loss: torch.Tensor) -> torch.Tensor:
    """Losses [B], those above MOST_PULL scaled down to it, gradients and all."""
    return loss * (MOST_PULL / loss.detach()).clamp(max=1)


@torch.no_grad()
def tell(
    model: TokenDynamics,
    state: State,
    action: torch.Tensor,
    window: torch.Tensor,
    rng: np.random.Generator,
    share: float,
) -> torch.Tensor:
    """What is told of the next frames, in a `share` of those that change: int64 [B, h, w], 0 or 1 +
    the token of a told cell.

    Practice for deciding cells one by one, with the cells that a dream would decide: some of those
    in doubt, the least sure ones first or any of them. Where the network is sure of everything
    nothing is told.
    """
    known = torch.zeros(window.shape, dtype=torch.int64, device=window.device)
    chosen = rng.random(len(window)) < share
    rows = torch.from_numpy(chosen).to(window.device) & (window != state.frames[:, -1]).flatten(
        1
    ).any(1)
    rows = rows.nonzero().squeeze(1)
    if not len(rows):
        return known
    with autocast(window.device):
        certainty = model.certainty(state.rows(rows), action[rows]).flatten(1).cpu().numpy()
    for row, sure in zip(rows.tolist(), certainty, strict=True):
        doubtful = np.flatnonzero(sure < SURE)
        if len(doubtful):
            number = int(rng.integers(1, min(len(doubtful), MOST_ROUNDS) + 1))
            order = (
                np.argsort(sure[doubtful]) if rng.random() < 0.5 else rng.permutation(len(doubtful))
            )
            cells = torch.from_numpy(doubtful[order[:number]]).to(window.device)
            known[row].view(-1)[cells] = window[row].flatten()[cells].long() + 1
    return known


def practise_late(
    state: State, action: torch.Tensor, moves: torch.Tensor, rng: np.random.Generator
) -> State:
    """Some of the changes that come without a button, as if they were overdue: better late than
    never.

    A dream that misses a tick of the game's clock is in a state that no recording shows, and would
    wait there for ever.
    """
    quiet = (action == 0).all(1) & (state.last == 0).all(1) & moves
    late = torch.from_numpy((1 + LATE_MOST * rng.random(len(action)) ** 3).astype(np.int64)).to(
        action.device
    )
    chosen = torch.from_numpy(rng.random(len(action)) < LATE_SHARE).to(action.device) & quiet
    return delay(state, torch.where(chosen, late, 0)) if chosen.any() else state


@torch.no_grad()
def wrong(
    model: TokenDynamics,
    state: State,
    action: torch.Tensor,
    window: torch.Tensor,
    backdrop: torch.Tensor,
) -> torch.Tensor:
    """bool [B]: frames not predicted exactly, deciding all cells at once."""
    mask = model.mask
    current = state.frames[:, -1]
    event, scene, gate, features = model.network(state, action)
    _, token, _ = choices(model.network, Beliefs(current, state.onward, gate, features))
    painted = torch.where((gate > 0) & mask, token, current)
    happens = event > 0
    guess = torch.where(happens[:, None, None], painted, current)
    scene = torch.where(happens, scene.argmax(1), state.backdrop)
    return ((guess != window) & mask).flatten(1).any(1) | (scene != backdrop)


def train_tokens(
    params: Params,
    train: Split,
    val: Split,
    tokens: dict[str, np.ndarray],
    pictures: torch.Tensor,
    checkpoint: Path,
    start: Trained | None = None,
) -> tuple[TokenDynamics, dict[str, Any], list[dict[str, float]]]:
    """Train on single steps; keep the weights that get the fewest validation frames wrong.

    Args:
        tokens: "train" and "val": int [U, H, W].
        pictures: uint8 [vocabulary, ...], what the tokens look like.
        start: the dream whose weights it begins from, where it does not begin from nothing.

    Returns the model (CPU, eval mode), its config and the curve; its `val` is the share of frames
    not exact.
    """
    own = params.dynamics
    keep_memory()
    make_repeatable(params.seed)
    shown = tokens["train"], train.index["frame"], train.transitions
    layout = reach(find_layout(*shown), *shown)
    tiles = colours(pictures)
    device = pick_device()
    if start:
        trained = take_over(start, pictures, train.spec.buttons)
        layout = fit_layout(layout, trained, start.source)
    dials = [Dial(*paddle) for paddle in train.spec.paddles]
    side = tiles.shape[1] if has_inertia(tiles, *shown) else 0
    codes = bool(start) and trained.network.codes
    sizes = SimpleNamespace(history_frames=own.history_frames, **asdict(own.tokens))
    config = config_for(layout, len(pictures), len(train.spec.buttons), sizes, dials, side, codes)
    model = TokenDynamics(
        **{key: value for key, value in config.items() if key != "kind"}, pictures=pictures
    )
    model.set_layout(layout)
    if side:
        model.tiles.copy_(torch.from_numpy(tiles))
    if start:
        take_weights(model, trained, start.source)
    samples = {
        name: Samples(split, tokens[name], model)
        for name, split in (("train", train), ("val", val))
    }
    practice = samples["train"]
    share = TELL_SHARE_RANDOM if train.spec.random else TELL_SHARE
    model.to(device)
    fixed = samples["val"].all[:: max(1, len(samples["val"].all) // JUDGE_SAMPLE)]

    watch = Stopwatch()

    def loss_at(step: int) -> torch.Tensor:
        watch.tick()
        rng = step_rng(params.seed, step)
        at, weight = practice.draw(rng, own.batch_size, own.changed_share)
        loss = frame_loss(model, *practice.get(at, device), weight.to(device), rng, share)
        practice.learn(step, at, loss.detach().cpu())
        return bounded(loss).mean()

    def validate() -> float:
        batches = (fixed[first : first + VAL_BATCH] for first in range(0, len(fixed), VAL_BATCH))
        return sum(
            int(wrong(model, *samples["val"].get(at, device)).sum()) for at in batches
        ) / len(fixed)

    plan = Plan(
        own.steps,
        own.learning_rate,
        own.weight_decay,
        own.validate_every,
        own.checkpoint_every,
        params.seed,
    )
    kept = practice.progress | {"seconds": watch.seconds}
    matrices = list(model.network.matrices())
    plan = within(plan, own.minutes, model, loss_at, checkpoint, kept, matrices)
    title = "dynamics, tokens"
    curve = fit(model, plan, loss_at, validate, checkpoint, title, kept, matrices)
    model.cpu().network.settle()
    budget = Budget.after(float(watch.seconds), len(train.transitions))
    told = keep_to(model, tokens["train"], train, budget)
    plan = replace(plan, steps=MOVERS_MORE * plan.steps)
    config |= move(
        model, samples, tokens, plan, checkpoint.with_suffix(f".movers{checkpoint.suffix}"), budget
    )
    return model, config | told, curve


def move(
    model: TokenDynamics,
    samples: dict[str, Samples],
    tokens: dict[str, np.ndarray],
    plan: Plan,
    checkpoint: Path,
    budget: Budget | None = None,
) -> dict[str, Any]:
    """Teach a trained model the things that move as one, where the game has such. Returns what its
    config says of them.

    Args:
        samples, tokens: by split, "train" and "val"; plan: its learning rate is for the cells, and
            is not used;
        budget: of the searches. They take as long as they need without one, and where there is a
        checkpoint: then they had been within it.
    """
    if not model.side or model.depth < PAST:
        return {}
    if budget is None or checkpoint.is_file():
        budget = Budget()
    tiles = model.tiles.numpy()
    kinds = budget.search(
        *MOVERS, Kinds.empty(), seen_kinds, tiles, tokens["train"], samples["train"]
    )
    if not len(kinds.colours):
        return {}
    plan = replace(plan, learning_rate=MOVERS_RATE)
    trained = train_movers(samples, tokens, tiles, kinds, plan, checkpoint, budget)
    if trained is None:
        return {}
    kinds, mover, sizes = trained
    model.set_movers(kinds, mover)
    checkpoint.unlink(missing_ok=True)
    return {"movers": {"shape": kinds.shape, "network": sizes}}


def seen_kinds(tiles: np.ndarray, tokens: np.ndarray, samples: Samples) -> Kinds:
    """The kinds of movers in a split, where they are seen and how. tokens: int [U, H, W]."""
    kinds = find_kinds(tiles, tokens, samples.frame, samples.all)
    if not len(kinds.colours):
        return kinds
    return with_looks(
        kinds, tiles, tokens, samples.frame[samples.changed], samples.frame[samples.changed + 1]
    )


def keep_to(
    model: TokenDynamics, tokens: np.ndarray, train: Split, budget: Budget | None = None
) -> dict[str, Any]:
    """Tell a trained model what the recordings show and show nothing else: regions, moves and
    chains, what is live and whose turn it is.

    Args:
        tokens: int [U, H, W], the distinct frames of the training split; budget: of the searches,
        which without one take as long as they need.

    Returns what the model's config says of their sizes.
    """
    search, layout = (budget or Budget()).search, model.layout
    shown = tokens, train.index, train.transitions, layout
    what = "parts of the screen that show few pictures", "the dream may show others there"
    model.set_regions(search(*what, Regions.empty(), find_regions, tokens, train.index, layout))
    what = "all that a step may change", "the dream may change things as no recording shows"
    model.set_moves(search(*what, Moves.empty(), find_moves, *shown))
    what = (
        "parts of the screen that change in a fixed order",
        "the dream may change them in another",
    )
    model.set_chains(search(*what, Chains.empty(), find_chains, tokens, train.index, layout))
    any_scene = torch.ones(len(layout.backdrops), len(layout.backdrops), dtype=torch.bool)
    what = "the order of the scenes", "the dream may change from any scene to any other"
    model.set_scenes(search(*what, any_scene, find_scenes, *shown))
    what = "the one thing that moves and falls", "the dream may move what lies"
    live = search(*what, Live.empty(), find_live, *shown)
    what = "what announces the next thing", "the dream chooses each next thing by its network alone"
    turns = search(*what, Turns.empty(), find_turns, *shown, live)
    what = (
        "the pace, the buttons and the full lines",
        "the dream decides by its network alone what they do",
    )
    ruled = Pace.empty(), Controls.empty(), Lines.empty()
    pace, controls, lines = search(*what, ruled, find_rules, *shown, live, turns)
    model.set_live(live, turns, pace, controls, lines)
    cuts = bool((model.after >= 0).any())
    sizes = {"regions": model.contents, "moves": model.moves.old, "chains": model.chains_contents}
    own = {"cuts": cuts, "apart": True, "scenes": not bool(model.scenes.all()), "live": live.size}
    own |= {"turns": turns.size, "pace": pace.size, "controls": controls.size}
    own |= {"lines": lines.known, "turned": bool(live.turned.any())}
    return own | {name: list(part.shape) for name, part in sizes.items()}


def find_rules(
    tokens: np.ndarray,
    index: np.ndarray,
    transitions: np.ndarray,
    layout: Layout,
    live: Live,
    turns: Turns,
) -> tuple[Pace, Controls, Lines]:
    """How the live thing falls, what the buttons do to it, and what full lines do."""
    course = Course(tokens, index, transitions, live, turns)
    pace = find_pace(course, layout, live)
    return pace, find_controls(course, index, live, pace), find_lines(course, pace)
