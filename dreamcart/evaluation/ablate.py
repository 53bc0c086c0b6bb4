"""How well a dream plays without what is not its network: a row for each part, and one for all.

Every row is measured on the same starts of the same test episodes. Shares come with the interval
in which they lie by 95 % (Wilson 1927), for some hundred starts tell no more.
"""

import tempfile
from collections import Counter
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import binomtest
from tqdm import tqdm

from dreamcart.core.errors import UserError
from dreamcart.core.files import fingerprint
from dreamcart.core.imports import reached
from dreamcart.core.paths import ROOT, Paths
from dreamcart.data.collect import record
from dreamcart.data.processed import Split
from dreamcart.data.reader import read_info
from dreamcart.data.recordings import check_same_game, recording_fingerprint
from dreamcart.dynamics.tokens.switches import switch_off, switches_of
from dreamcart.evaluation.control import controllability
from dreamcart.evaluation.draws import Draws
from dreamcart.evaluation.readback import Reader, load_reader
from dreamcart.evaluation.rollout import choose_starts, load_test
from dreamcart.evaluation.screens import load_infos
from dreamcart.evaluation.single_step import start_at
from dreamcart.games.catalog import game_contents, load_game
from dreamcart.games.emulator import Emulator, open_emulator
from dreamcart.params import Params
from dreamcart.world.model import WorldModel

HORIZONS = (10, 60, 300)
DYNAMICS = "dreamcart/dynamics"
# Modules of this package that decide a figure, beside those of the dynamics.
DECIDES = ("ablate", "control", "draws", "readback", "single_step")


@dataclass(frozen=True)
class Row:
    """One row: its name, which parts are off in it (`Switch.name`), and what those do, in words."""

    name: str
    off: tuple[str, ...]
    says: str


def rows_of(world: WorldModel) -> list[Row]:
    """List the rows of a dream: everything on first, all off last.

    Raises:
        UserError: there is nothing to switch off.
    """
    switches = switches_of(world.dynamics)
    if not switches:
        raise UserError("This dream is a network alone, so nothing can be off; name another cart.")
    names = [switch.name for switch in switches]
    rows = [Row("everything", (), "nothing is off")]
    for one in switches:
        along = (name for name in one.takes if name in names)
        rows.append(Row(one.name, (one.name, *along), one.says))
    rules = tuple(switch.name for switch in switches if not switch.told)
    rows.append(Row("network", rules, "the network alone: all that overrules it is off"))
    if len(rules) < len(names):
        rows.append(Row("bare", tuple(names), "as `network`, and its computed inputs off as well"))
    return rows


@dataclass(frozen=True)
class Bench:
    """What every row is measured on.

    test: the test episodes; starts: int64 [N], the records from which dreams start; draws: bool
    [records], the steps in which the game draws, where it says so; reader, emulator: of the game,
    where there are such; states: emulator states for controllability; batch: dreams at a time."""

    test: Split
    starts: np.ndarray
    draws: np.ndarray | None
    reader: Reader | None
    emulator: Emulator | None
    states: int
    batch: int
    seed: int


def episodes_for(world: WorldModel, params: Params) -> Path:
    """Return the folder of a game's test episodes: `rollout_eval`'s, else recorded now, beside.

    They are a function of params and the game alone, so both are the same.

    Raises:
        UserError: they are of another game, or the game or its ROM is missing.
    """
    here = Paths(world.spec.name).raw_test
    if not here.exists():
        spec, config = load_game(world.spec.name), params.collect
        plan = config.test_episodes, config.test_steps, params.seed
        planned = fingerprint(game_contents(spec.name), spec.to_dict(), *plan)
        here = here.with_name(f"test_{planned}")
    if not here.exists():
        # there must be episodes for training as well: two of one step
        config = replace(config, frames=1, episode_steps=1)
        with tempfile.TemporaryDirectory() as unwanted:
            record(spec, config, params.seed, Path(unwanted) / "play", here)
    check_same_game(here, read_info(here), world.spec)
    return here


def make_bench(world: WorldModel, params: Params, raw: Path, scratch: Path, starts: int) -> Bench:
    """Prepare what all rows share; processed frames go into `scratch`, an empty folder.

    Raises:
        UserError: the episodes are damaged or too short, or the game cannot be opened.
    """
    test = load_test(raw, world.seen_as, scratch)
    if test.frames.shape[1:] != world.shape:
        shapes = world.shape, test.frames.shape[1:]
        raise UserError("This dream sees frames of {}, and the game's become {}.".format(*shapes))
    reader, draws = load_reader(test.spec), None
    if test.spec.seed_variable:
        draws = Draws(load_infos(raw), test.spec.seed_variable, max(HORIZONS)).draws
    states = params.rollout_eval.control_states
    return Bench(
        test,
        choose_starts(test, starts, max(HORIZONS), params.seed),
        draws,
        reader if reader and tuple(reader.shape) == world.shape else None,
        open_emulator(test.spec) if states else None,
        states,
        params.rollout_eval.batch_size,
        params.seed,
    )


def measure(world: WorldModel, bench: Bench, row: Row) -> dict[str, Any]:
    """Switch parts off in a freshly loaded dream and measure it.

    Returns:
        "off"; "exact": by horizon the share of dreams whose frame is exact in every pixel;
        "illegal": `screens` of `of` that the game could not show, with `reasons`, and `dreams`,
        the share that shows one; "controllability": the mean IoU over buttons. What needs a
        reader or an emulator is left out where there is none. In a game that draws, what it drew
        is given for `exact` alone.
    """
    switch_off(world.dynamics, list(row.off))
    report = {"off": list(row.off), **play(world, bench, row.name)}
    if bench.emulator:
        asked = bench.emulator, bench.test.spec, world, world.seen_as, bench.states, bench.seed
        found = controllability(*asked)
        # no spread is wider than that of as many yes and no: the interval is wide enough
        report["controllability"] = share_of((found["iou"] or 0) * found["cases"], found["cases"])
    return report


def play(world: WorldModel, bench: Bench, title: str) -> dict[str, Any]:
    """Dream on from every start, on the recorded buttons: "exact" and "illegal" of `measure`."""
    exact, legal = dict.fromkeys(HORIZONS, 0), Legality(bench.reader)
    generator = torch.Generator(world.device).manual_seed(bench.seed)
    batches = np.split(bench.starts, range(bench.batch, len(bench.starts), bench.batch))
    with tqdm(total=len(batches) * max(HORIZONS), desc=title, unit="step") as bar:
        for at in batches:
            last, dream = start_at(world, bench.test, at)
            told = dream
            legal.begin(last)
            for step in range(1, max(HORIZONS) + 1):
                action = bench.test.index["action"][at + step - 1]
                frames, dream = world.step(dream, action, world.temperature, generator)
                legal.see(frames)
                if step in exact or bench.draws is not None:
                    true = _real(bench, at + step)
                if bench.draws is not None:
                    drew = bench.draws[at + step]
                    frames, told = world.step(told, action, truth=true, told=drew)
                if step in exact:
                    exact[step] += int((frames == true).reshape(len(true), -1).all(1).sum())
                bar.update()
    shares = {str(horizon): share_of(hits, len(bench.starts)) for horizon, hits in exact.items()}
    return {"exact": shares} | legal.report()


def judge_game(bench: Bench) -> dict[str, Any]:
    """Judge the game's own screens after the same starts: some show what no play leads to."""
    legal = Legality(bench.reader)
    legal.begin(_real(bench, bench.starts))
    for step in range(1, max(HORIZONS) + 1):
        legal.see(_real(bench, bench.starts + step))
    return {"off": [], **legal.report()}


def _real(bench: Bench, records: np.ndarray) -> np.ndarray:
    return bench.test.frames[bench.test.index["frame"][records]]


class Legality:
    """Counts the screens of dreams that the game could not show after the one before."""

    def __init__(self, reader: Reader | None) -> None:
        self.reader, self.reasons, self.steps = reader, Counter(), 0
        self.faults: list[int] = []  # of each dream so far

    def begin(self, frames: np.ndarray) -> None:
        """Start a batch of dreams after real frames, uint8 [B, H, W, C]."""
        if self.reader:
            self.before, self.first = frames, len(self.faults)
            self.faults += [0] * len(frames)
            self.checkers = [self.reader.checker() for _ in frames]
            self.reads = [self.reader.read(frame) for frame in frames]
            for checker, read in zip(self.checkers, self.reads, strict=True):
                checker.step(read)

    def see(self, frames: np.ndarray) -> None:
        """Judge their frames a step later, uint8 [B, H, W, C]."""
        for number, frame in enumerate(frames if self.reader else ()):
            if not np.array_equal(frame, self.before[number]):  # most stay as they are
                self.reads[number] = self.reader.read(frame)
            reasons = self.checkers[number].step(self.reads[number]).reasons
            self.reasons.update(reasons)
            self.faults[self.first + number] += bool(reasons)
            self.steps += 1
        self.before = frames

    def report(self) -> dict[str, Any]:
        """Return {"illegal": …} as `measure` has it; nothing without a reader."""
        if not self.reader:
            return {}
        counts = {"screens": sum(self.faults), "of": self.steps}
        dreams = share_of(sum(map(bool, self.faults)), len(self.faults))
        reasons = dict(self.reasons.most_common())
        return {"illegal": counts | {"reasons": reasons, "dreams": dreams}}


def share_of(hits: float, count: int) -> dict[str, float | int] | None:
    """Return a share with its Wilson interval (95 %), rounded; None of nothing."""
    if not count:
        return None
    found = binomtest(round(hits), count).proportion_ci(method="wilson")
    share, low, high = (round(float(one), 4) for one in (hits / count, found.low, found.high))
    return {"share": share, "low": low, "high": high, "count": count}


def stamp_of(cart: str, raw: Path, bench: Bench, game: str) -> dict[str, Any]:
    """Return what a row's figures depend on; rows of the same stamp need no other measurement.

    Args:
        cart: its fingerprint.
    """
    plays = sorted(reached([f"{DYNAMICS}/tokens/switches.py"], ROOT, DYNAMICS))
    judges = [f"dreamcart/evaluation/{name}.py" for name in DECIDES]
    files = [ROOT / name for name in (*plays, *judges, "dreamcart/world/model.py")]
    episodes = fingerprint(recording_fingerprint(raw), bench.starts.tolist())
    stamp = {"cart": cart, "code": fingerprint(*files, game_contents(game)), "episodes": episodes}
    return stamp | {"starts": len(bench.starts), "states": bench.states}


def is_current(row: dict[str, Any] | None, stamp: dict[str, Any]) -> bool:
    """Whether a recorded row was measured under this stamp."""
    return row is not None and {**row.get("measured", {}), "date": ""} == {**stamp, "date": ""}


def stamped(row: dict[str, Any], stamp: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Return the row with its stamp, the date, and how long it took."""
    today = {"date": date.today().isoformat()}
    return row | {"measured": stamp | today, "seconds": round(seconds)}
