"""Stage 5: train the dynamics on latents; check single steps on validation data; write the playable
model.

python -m stages.train_dynamics  →  models/<game>/trained.safetensors + world.safetensors,
                                    metrics/<game>/train_dynamics.json +
                                    train_dynamics_details.json, plots/<game>/train_dynamics.csv +
                                    .png
"""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch

from dreamcart.core.arguments import from_params
from dreamcart.core.errors import run_stage
from dreamcart.core.files import fingerprint, read_array, write_csv
from dreamcart.core.paths import Paths
from dreamcart.core.reports import pick, write_report
from dreamcart.core.tables import print_table
from dreamcart.data.processed import load_split, start_frames
from dreamcart.dynamics.base import save_dynamics
from dreamcart.evaluation.pictures import curve_picture
from dreamcart.evaluation.single_step import single_step_report
from dreamcart.families import FAMILIES, imported
from dreamcart.params import Params, load_params
from dreamcart.representation.palette import TILES
from dreamcart.representation.registry import load_representation
from dreamcart.training.device import pick_device
from dreamcart.world.cart import load_start, model_print
from dreamcart.world.model import TRAINED, load_world, save_world


def main() -> None:
    params = load_params()
    paths = Paths(params.game)
    train, val = load_split(paths.processed, "train"), load_split(paths.processed, "val")
    latents = {name: read_array(paths.latents / f"{name}.npy") for name in ("train", "val")}
    start = [params.dynamics.start_cart] if params.dynamics.start_cart else []
    files = [
        *start,
        *sorted(paths.processed.glob("*/index.npy")),
        *sorted(paths.latents.glob("*.npy")),
    ]
    settings = asdict(params.dynamics), params.latent_dim
    key = fingerprint(params.dynamics_kind, *settings, params.seed, *files)
    checkpoint = paths.checkpoint("train_dynamics", key)
    representation = load_representation(paths.models / "representation.safetensors")
    pictures = representation.pictures if representation.vocabulary else None
    if params.latent_kind == "pixels":
        pictures = torch.from_numpy(read_array(paths.latents / TILES).copy())
    fit = imported(FAMILIES[params.dynamics_kind].trainer)
    model, config, curve = fit(
        params, train, val, latents, pictures, checkpoint, load_start(params, representation)
    )
    save_dynamics(paths.models / f"{TRAINED}.safetensors", model, config)
    median = read_array(paths.processed / "median.npy").copy()
    starts = start_frames(paths.processed, {"train": train, "val": val})
    save_world(
        paths.models / "world.safetensors",
        train.spec,
        starts,
        median,
        params.preprocess,
        recipe_of(params),
    )
    world = load_world(paths.models, pick_device(), TRAINED)
    report = single_step_report(world, val, params.seed)
    print_table(
        "One step ahead on validation frames, mean L1",
        ["transitions", "count", "model", "persistence"],
        [[name, r["count"], r["model_l1"], r["persistence_l1"]] for name, r in report.items()],
    )
    write_csv(paths.plots / "train_dynamics.csv", curve)
    curve_picture(curve, model.error_is, "Dynamics", paths.plots / "train_dynamics.png")
    report = {"val": round(min(p["val"] for p in curve), 6), "val_is": model.error_is, **report}
    few = pick(report, ("val", "changed.model_l1"))
    made = model_print(paths.models, TRAINED)
    write_report(paths.metrics / "train_dynamics.json", report, few, made)
    checkpoint.unlink(missing_ok=True)


def recipe_of(params: Params) -> dict[str, Any]:
    """Return the settings that made a model: those of the pipeline up to here."""
    later = ("refine", "rollout_eval")
    return {name: value for name, value in asdict(params).items() if name not in later}


if __name__ == "__main__":
    run_stage(from_params(main, __doc__))
