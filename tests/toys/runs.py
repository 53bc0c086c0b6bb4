"""Small lists of experiments, and runners that fake their runs."""

import json
import os
from pathlib import Path

import yaml

from dreamcart.lab.plan import load_plan
from dreamcart.lab.runner import Runner


def written(tmp_path: Path, values: dict) -> Path:
    path = tmp_path / "list.yaml"
    path.write_text(yaml.safe_dump(values, allow_unicode=True))
    return path


def small(**changes) -> dict:
    """A list of two runs and one criterion."""
    criterion = {
        "says": "better",
        "value": "two:train_ae.ssim",
        "minus": "one:train_ae.ssim",
        "bar": ">= 0.02",
    }
    plan = {
        "title": "T",
        "settings": {
            "short": {
                "full": ["representation.kind=ae", "latent_dim=64"],
                "quick": ["latent_dim=16"],
            }
        },
        "runs": {
            "one": {"settings": ["short"], "stage": "train_ae", "seeds": 2, "minutes": [3, 1]},
            "two": {
                "settings": ["short"],
                "set": ["representation.mse_weight=0.0"],
                "stage": "train_ae",
                "seeds": 2,
            },
        },
        "items": {"P": {"asks": "a question", "criteria": [criterion]}},
    }
    return plan | changes


def runner_of(root: Path, values: dict, jobs: int = 1) -> Runner:
    runner = Runner(
        load_plan(written(root.parent, values)), root, root / "results", root / "docs", jobs
    )
    runner.environment["PATH"] = f"{root.parent / 'control'}{os.pathsep}{os.environ['PATH']}"
    return runner


def started(root: Path) -> list[list]:
    """What the pretended DVC was asked to run."""
    log = root.parent / "control" / "log"
    return [json.loads(line) for line in log.read_text().splitlines()] if log.is_file() else []
