"""Stage 6: how far the dream holds against the real game, on test episodes no other stage has opened.

python -m stages.rollout_eval  →  metrics/<game>/rollout.json, plots/<game>/rollout.csv + .png + .gif,
                                  filmstrip.png
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dreamcart.cart import FOLDER, load_cart
from dreamcart.config import load_params
from dreamcart.data.reader import read_info
from dreamcart.errors import ROOT, UserError, run_stage
from dreamcart.evaluation.control import controllability
from dreamcart.evaluation.diversity import diversity
from dreamcart.evaluation.draws import Draws
from dreamcart.evaluation.motion import Motion
from dreamcart.evaluation.pictures import comparison_frames, filmstrip_picture, horizons_picture, save_gif
from dreamcart.evaluation.readback import load_reader
from dreamcart.evaluation.report import print_control, print_screens
from dreamcart.evaluation.rollout import curve_rows, evaluate_rollouts, load_test
from dreamcart.evaluation.screens import Screens, load_infos
from dreamcart.files import write_csv, write_json
from dreamcart.games.emulator import Emulator, open_emulator
from dreamcart.games.spec import GameSpec
from dreamcart.hardware import make_repeatable, pick_device
from dreamcart.paths import Paths
from dreamcart.tables import print_table
from dreamcart.tensors import load_tensors
from dreamcart.world_model import load_world


def main() -> None:
    params = load_params()
    paths = Paths(params.game)
    config = params.rollout_eval
    make_repeatable(params.seed)
    world = load_world(paths.models, pick_device())
    median = load_tensors(paths.models / "world.safetensors")[0]["median"].numpy()
    with tempfile.TemporaryDirectory() as scratch:
        test = load_test(paths.raw_test, params.preprocess, Path(scratch))
        reader = load_reader(test.spec)
        if reader and tuple(reader.shape) != world.shape:
            print(f"The screens are not read back: that wants frames of {reader.shape}, and these have {world.shape}.")
            reader = None
        emulator = emulator_for(test.spec, config.control_states, read_info(paths.raw_test))
        infos = load_infos(paths.raw_test)
        screens = Screens(reader, test, infos, config.horizons) if reader else None
        draws = Draws(infos, test.spec.seed_variable, max(config.horizons)) if test.spec.seed_variable else None
        motion = Motion(test, config.horizons)
        table, shown = evaluate_rollouts(world, test, median, config, params.seed, screens, draws, motion)
        report, rows = dict(table), curve_rows(table)
        report["motion"] = motion.report()
        report["diversity"] = diversity(world, test, params.seed, draws.draws if draws else None)
        if screens:
            report["screens"] = screens.report()
        if draws:
            report["until_draw"] = draws.report()
    if "lpips_untrained" in rows[0]:
        print("AlexNet's weights could not be downloaded: lpips_untrained, of a random backbone, stands in for LPIPS.")
    if emulator:
        report["controllability"] = controllability(
            emulator, test.spec, world, params.preprocess, config.control_states, params.seed
        )
        emulator.close()
    horizons = sorted(set(config.horizons))
    near = [h for h in horizons if h <= shown.real.shape[1]]
    at = [h - 1 for h in near]
    filmstrip_picture(shown.real[0, at], shown.dream[0, at], near, paths.plots / "filmstrip.png")
    horizons_picture(table, paths.plots / "rollout.png")
    clips = [comparison_frames(real, dream) for real, dream in zip(shown.real, shown.dream, strict=True)]
    save_gif([frame for clip in clips for frame in clip], paths.plots / "rollout.gif", test.spec.step_rate)
    write_csv(paths.plots / "rollout.csv", rows)
    print_table(f"{test.spec.title}: dream against game", list(rows[0]), [list(row.values()) for row in rows])
    print_beside_cart(params.game, table)
    print_table(
        "Change a step (1 of the game's own: it goes on; 0: it stands still)",
        ["step", "real", "dream", "ratio"],
        [[step, *change.values()] for step, change in report["motion"].items()],
    )
    spread = report["diversity"]
    if spread:
        print(
            f"{spread['samples']} dreams of one moment, temperature {spread['temperature']:.0f}: they differ by a mean L1 of "
            f"{', '.join(f'{value} at +{step}' for step, value in spread['pairwise_l1'].items())}."
        )
    if screens:
        print_screens(report["screens"])
    if draws:
        until = report["until_draw"]
        print_table("Every frame exact up to the game's next random draw", list(until), [list(until.values())])
    if "controllability" in report:
        print_control(report["controllability"])
    write_json(paths.metrics / "rollout.json", report)


def emulator_for(spec: GameSpec, states: int, info: dict[str, Any]) -> Emulator | None:
    """The emulator that controllability needs; None where it is not wanted, or the recordings came without one.

    Raises UserError, before the rollouts and not after them, where the game was recorded here and cannot be opened any more.
    """
    if not states or "emulator" not in info:
        return None
    try:
        return open_emulator(spec)
    except UserError as problem:
        if "source" not in info:
            raise
        print(f"The recordings are another machine's, and without the game controllability is left out: {problem}")
        return None


def print_beside_cart(game: str, table: dict[str, Any]) -> None:
    """This run and the committed cart side by side, if the game has one that was judged by the same test episodes."""
    path = FOLDER / f"{game}.cart"
    if not path.is_file():
        return
    try:
        cart = load_cart(path, pick_device())[1]["metrics"]
    except UserError as problem:  # no reason to lose the evaluation
        print(problem)
        return
    same = [
        (scores["l1"], cart["persistence"][step]["l1"])
        for step, scores in table["persistence"].items()
        if scores and cart.get("persistence", {}).get(step)
    ]
    if not same or any(here != there for here, there in same):  # the same frames give the same baseline
        name = path.relative_to(ROOT).as_posix()
        print(f"{name} was judged by other test episodes; `python experiments/judge.py {name}` judges it by these.")
        return
    rows = []
    for step, scores in table["model"].items():
        beside = cart["model"].get(step) or {}
        rows.append([step, *(part.get(name) for name in ("exact", "wrong_pixels", "ssim") for part in (scores, beside))])
    header = ["step", *(f"{name}, {who}" for name in ("exact", "wrong pixels", "SSIM") for who in ("this run", "cart"))]
    print_table(f"Beside carts/{game}.cart", header, rows)


if __name__ == "__main__":
    run_stage(main, __doc__)
