"""Stage 7: how far the dream holds against the real game, on test episodes no other stage has
opened.

python -m stages.rollout_eval  →  metrics/<game>/rollout.json + rollout_details.json,
                                  plots/<game>/rollout.csv + .png + .gif, filmstrip.png
"""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dreamcart.core.arguments import from_params
from dreamcart.core.errors import UserError, run_stage
from dreamcart.core.files import write_csv
from dreamcart.core.paths import ROOT, Paths
from dreamcart.core.reports import write_report
from dreamcart.core.tables import print_table
from dreamcart.core.tensors import load_tensors
from dreamcart.evaluation.judge import judge, sources_of
from dreamcart.evaluation.pictures import (
    comparison_frames,
    filmstrip_picture,
    horizons_picture,
    save_gif,
)
from dreamcart.evaluation.report import headline, print_report
from dreamcart.evaluation.rollout import curve_rows
from dreamcart.params import load_params
from dreamcart.training.device import make_repeatable, pick_device
from dreamcart.world.cart import load_cart, model_print
from dreamcart.world.model import load_world


def main() -> None:
    params = load_params()
    paths = Paths(params.game)
    make_repeatable(params.seed)
    world = load_world(paths.models, pick_device())
    report, shown = judge(
        world, params, load_tensors(paths.models / "world.safetensors")[0]["median"].numpy()
    )
    table = sources_of(report)
    near = [h for h in sorted(set(params.rollout_eval.horizons)) if h <= shown.real.shape[1]]
    at = [h - 1 for h in near]
    filmstrip_picture(shown.real[0, at], shown.dream[0, at], near, paths.plots / "filmstrip.png")
    horizons_picture(table, paths.plots / "rollout.png")
    clips = [
        comparison_frames(real, dream) for real, dream in zip(shown.real, shown.dream, strict=True)
    ]
    save_gif(
        [frame for clip in clips for frame in clip],
        paths.plots / "rollout.gif",
        world.spec.step_rate,
    )
    write_csv(paths.plots / "rollout.csv", curve_rows(table))
    print_report(f"{world.spec.title}: dream against game", report)
    print_beside_cart(params.game, table)
    write_report(
        paths.metrics / "rollout.json", report, headline(report), model_print(paths.models)
    )


def print_beside_cart(game: str, table: dict[str, Any]) -> None:
    """This run and the committed cart side by side, if the game has one that was judged by the same
    test episodes.
    """
    path = Paths(game).cart
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
    # the same frames give the same baseline
    if not same or any(here != there for here, there in same):
        name = path.relative_to(ROOT).as_posix()
        print(
            f"{name} was judged by other test episodes, or at another size; `python"
            f" scripts/judge.py {name}`, with preprocess as it is in that cart, judges it by these."
        )
        return
    rows = []
    for step, scores in table["model"].items():
        beside = cart["model"].get(step) or {}
        rows.append(
            [
                step,
                *(
                    part.get(name)
                    for name in ("exact", "wrong_pixels", "ssim")
                    for part in (scores, beside)
                ),
            ]
        )
    header = [
        "step",
        *(
            f"{name}, {who}"
            for name in ("exact", "wrong pixels", "SSIM")
            for who in ("this run", "cart")
        ),
    ]
    print_table(f"Beside carts/{game}.cart", header, rows)


if __name__ == "__main__":
    run_stage(from_params(main, __doc__))
