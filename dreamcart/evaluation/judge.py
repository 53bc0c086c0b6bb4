"""One dream against the test episodes, from all sides: rollouts, screens, draws, motion, diversity,
controllability.

What `stages/rollout_eval.py` does for the trained model and `scripts/judge.py` for a cart.
"""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from dreamcart.core.errors import UserError
from dreamcart.core.paths import Paths
from dreamcart.data.reader import read_info
from dreamcart.data.unsplit import load_unsplit
from dreamcart.evaluation.control import controllability
from dreamcart.evaluation.diversity import diversity
from dreamcart.evaluation.draws import Draws
from dreamcart.evaluation.motion import Motion
from dreamcart.evaluation.readback import load_reader
from dreamcart.evaluation.rollout import Rollouts, evaluate_rollouts
from dreamcart.evaluation.screens import Screens, load_infos
from dreamcart.games.emulator import Emulator, open_emulator
from dreamcart.games.spec import GameSpec
from dreamcart.params import Params
from dreamcart.world.model import WorldModel

# in a report beside the rollouts' sources
TABLES = ("motion", "diversity", "screens", "until_draw", "controllability")


def judge(
    world: WorldModel, params: Params, median: np.ndarray, raw: Path | None = None
) -> tuple[dict[str, Any], Rollouts]:
    """Say everything there is to say of a dream of params.game, as rollout.json holds it, and
    return frames for pictures.

    Args:
        median: uint8 [H, W, C], of the training frames.
        raw: the folder of test episodes, by default that of params.game.

    Raises:
        UserError: the dream is of another game or sees other frames than params say, no test
            episodes, or a game recorded here cannot be opened: all before the rollouts.
    """
    raw, config = raw or Paths(params.game).raw_test, params.rollout_eval
    if world.spec.name != params.game:
        raise UserError(
            f"This dream is of {world.spec.name}, and `game` in params.yaml is {params.game}; make"
            " them agree."
        )
    with tempfile.TemporaryDirectory() as scratch:
        test = load_unsplit(raw, params.preprocess, Path(scratch))
        check_same(world, test.frames.shape[1:], params)
        reader = load_reader(test.spec)
        if reader and tuple(reader.shape) != world.shape:
            tqdm.write(
                f"The screens are not read back: that wants frames of {reader.shape}, and these"
                f" have {world.shape}."
            )
            reader = None
        emulator = emulator_for(test.spec, config.control_states, read_info(raw))
        infos = load_infos(raw)
        screens = Screens(reader, test, infos, config.horizons) if reader else None
        draws = (
            Draws(infos, test.spec.seed_variable, max(config.horizons))
            if test.spec.seed_variable
            else None
        )
        motion = Motion(test, config.horizons)
        table, shown = evaluate_rollouts(
            world, test, median, config, params.seed, screens, draws, motion
        )
        report: dict[str, Any] = dict(table)
        report["motion"] = motion.report()
        report["diversity"] = diversity(world, test, params.seed, draws.draws if draws else None)
        if screens:
            report["screens"] = screens.report()
        if draws:
            report["until_draw"] = draws.report()
    if emulator:
        report["controllability"] = controllability(
            emulator, test.spec, world, params.preprocess, config.control_states, params.seed
        )
        emulator.close()
    report["of"] = {"starts": shown.count}
    return report, shown


def check_same(world: WorldModel, shape: tuple[int, ...], params: Params) -> None:
    """Raises UserError where a dream sees other frames than those of the test episodes, as params
    make them of `shape`.
    """
    sized = 0 not in params.preprocess.size and world.seen_as.resize != params.preprocess.resize
    if tuple(shape) != world.shape or sized:
        seen, made = (" x ".join(map(str, one)) for one in (world.shape, shape))
        how = f", resized by {world.seen_as.resize!r}" if sized else ""
        raise UserError(
            f"This dream sees frames of {seen}{how}, and params.yaml makes frames of {made}; set"
            " preprocess.height, width, color and resize to the dream's."
        )


def emulator_for(spec: GameSpec, states: int, info: dict[str, Any]) -> Emulator | None:
    """The emulator that controllability needs; None where it is not wanted, or the recordings came
    without one.

    Raises UserError, before the rollouts and not after them, where the game was recorded here and
    cannot be opened any more.
    """
    if not states or "emulator" not in info:
        return None
    try:
        return open_emulator(spec)
    except UserError as problem:
        if "source" not in info:
            raise
        tqdm.write(
            "The recordings are another machine's, and without the game controllability is left"
            f" out: {problem}"
        )
        return None


def sources_of(report: dict[str, Any]) -> dict[str, dict[str, dict[str, float | None]]]:
    """The rollouts' part of a report: {source: {horizon: {metric: mean}}}."""
    return {name: table for name, table in report.items() if name not in (*TABLES, "of", "made")}
