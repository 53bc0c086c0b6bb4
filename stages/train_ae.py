"""Stage 3: train the representation, or collect the game's tiles; report what it keeps of the
game's frames; draw.

python -m stages.train_ae  →  models/<game>/representation.safetensors,
                              metrics/<game>/train_ae.json + train_ae_details.json,
                              plots/<game>/train_ae.csv + .png, reconstructions.png, edge_cases.png
"""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch

from dreamcart.core.arguments import from_params
from dreamcart.core.errors import run_stage
from dreamcart.core.files import fingerprint, read_array, write_csv
from dreamcart.core.paths import Paths
from dreamcart.core.reports import pick, write_report
from dreamcart.core.tables import print_table
from dreamcart.data.processed import load_split, read_meta
from dreamcart.evaluation.pictures import before_after_picture, curve_picture, tiles_picture
from dreamcart.evaluation.representation import measure_representation
from dreamcart.params import load_params
from dreamcart.representation.encode import reconstruct
from dreamcart.representation.perceptual import make_perceptual
from dreamcart.representation.registry import save_representation
from dreamcart.representation.train import (
    judge_representation,
    representation_config,
    train_representation,
)
from dreamcart.world.cart_pin import check_start

GRID = 16  # frames in the picture of reconstructions
# what runs are compared by
HEADLINE = ("exact", "l1", "l1_changed", "ssim", "colours", "tiles", "digits", "probe_accuracy")


def main() -> None:
    params = load_params()
    check_start(params)  # a training that cannot begin is said before minutes of work
    paths = Paths(params.game)
    train, val = load_split(paths.processed, "train"), load_split(paths.processed, "val")
    median = read_array(paths.processed / "median.npy")
    config = representation_config(params, train.frames.shape[1:])
    perceptual = None
    if params.representation.perceptual_weight:
        perceptual = make_perceptual(
            params.seed, train, paths.raw, paths.models / "perceptual.safetensors", paths.checkpoint
        )
    name = perceptual.name if perceptual else None
    key = fingerprint(
        config,
        asdict(params.representation),
        params.seed,
        name,
        *sorted(paths.processed.glob("**/*.npy")),
    )
    checkpoint = paths.checkpoint("train_ae", key)
    if params.representation.kind in ("vq", "fsq"):
        print(
            f"{params.representation.kind} has a grid of tokens, one in each cell: latent_dim does"
            " not apply."
        )
    model, config, curve = train_representation(params, train, val, median, checkpoint, perceptual)
    report = judge_representation(model, val, median)
    more = (
        {}
        if params.representation.counted
        else measure_representation(model, config, train, val, median, paths.raw)
    )
    if params.representation.kind == "tiles":
        report |= {"tiles": config["vocabulary"], "tiles_seen": int(train.frames.cells.max()) + 1}
        print_tiles(report)
    if params.representation.kind == "palette":
        report |= {"colours": config["colours"]}
        print_colours(report)
    print_table(
        "Reconstruction of distinct validation frames", list(report), [list(report.values())]
    )
    print_measures(more)
    if perceptual:
        print(f"The perceptual term looked through {perceptual.name}.")
        more["perceptual"] = perceptual.name
    save_representation(paths.models / "representation.safetensors", model, config)
    write_csv(
        paths.plots / "train_ae.csv",
        curve or [{"step": 0, "train": report["l1"], "val": report["l1"]}],
    )
    if curve:
        curve_picture(curve, "L1", "Representation", paths.plots / "train_ae.png")
    else:
        sheet = model.tiles if params.representation.kind == "tiles" else swatches(model.colours)
        tiles_picture(sheet.numpy(), paths.plots / "train_ae.png")
    rows = np.sort(
        np.random.default_rng(params.seed).choice(
            len(val.frames), min(GRID, len(val.frames)), replace=False
        )
    )
    before_after_picture(
        *next(reconstruct(model, val.frames[rows])),
        [""] * len(rows),
        paths.plots / "reconstructions.png",
    )
    cases = read_meta(paths.processed)["edge_cases"]
    shown = next(reconstruct(model, train.frames[list(cases.values())]), (median[:0], median[:0]))
    before_after_picture(*shown, list(cases), paths.plots / "edge_cases.png")
    write_report(paths.metrics / "train_ae.json", report | more, pick(report | more, HEADLINE))
    checkpoint.unlink(missing_ok=True)


def print_colours(report: dict[str, Any]) -> None:
    """How many colours the palette holds, and whether that is all of the game."""
    lost = 1 - report["exact"]
    if not lost:
        print(f"{report['colours']} colours: lossless on all distinct validation frames.")
        return
    print(
        f"{report['colours']} colours: NOT lossless. {lost:.2%} of the distinct validation frames"
        " hold others, in whose place the nearest are shown; over all pixels that is an error of"
        f" {report['l1']:.4%}."
    )


def print_tiles(report: dict[str, Any]) -> None:
    """How many tiles the dictionary holds, and whether that is all of the game."""
    kept, seen, lost = report["tiles"], report["tiles_seen"], 1 - report["exact"]
    number = f"{kept:,} tiles" if kept == seen else f"The {kept:,} most frequent of {seen:,} tiles"
    if not lost:
        print(f"{number}: lossless on all distinct validation frames.")
        return
    print(
        f"{number}: NOT lossless. {lost:.2%} of the distinct validation frames hold others, in"
        " whose place the nearest known ones are shown; over all pixels that is an error of"
        f" {report['l1']:.4%}. Record more, or, where pictures suffer, take"
        " representation.kind palette, which needs no dictionary."
    )


def swatches(colours: torch.Tensor) -> torch.Tensor:
    """A square of each colour of a palette: uint8 [P, C] → [P, 8, 8, C]."""
    return colours[:, None, None].expand(-1, 8, 8, -1)


def print_measures(report: dict[str, Any]) -> None:
    """What a learned representation keeps of the game, as tables; nothing for tiles."""
    numbers = {name: value for name, value in report.items() if not isinstance(value, dict)}
    if numbers:
        print_table("What it keeps of the game", list(numbers), [list(numbers.values())])
    if "probe" in report:
        rows = [[name, *scores.values()] for name, scores in report["probe"].items()]
        print_table(
            "RAM variables told from latents by a linear probe",
            ["variable", "accuracy", "majority"],
            rows,
        )
        print_table(
            "Alike states, alike latents?",
            list(report["neighbours"]),
            [list(report["neighbours"].values())],
        )


if __name__ == "__main__":
    run_stage(from_params(main, __doc__))
