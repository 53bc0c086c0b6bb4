"""The roadmap's list, its runner and its page: what is accepted, what is run again, what is judged how.

`golden/toy_results` holds results that the pipeline itself has made, of toy runs through the real runner (tests/toy.yaml, tests/make_toy_results.py).
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from synthetic import assert_sentence, make_processed, make_rows

from dreamcart.config import PreprocessConfig
from dreamcart.dynamics.train import Windows
from dreamcart.errors import ROOT, UserError
from dreamcart.experiments.page import estimates, number, scoreboard
from dreamcart.experiments.plan import changed_params, expand, holds, load_plan
from dreamcart.experiments.results import find, judge, keys_of, load_results, result_path, save_picture
from dreamcart.experiments.runner import Runner, curve, said_last
from dreamcart.files import write_json
from dreamcart.representation.convolutional import to_planes

GOLDEN = ROOT / "tests" / "golden"
TOYS = GOLDEN / "toy_results"
LISTS = sorted(path for path in (ROOT / "experiments").glob("*.yaml"))
ROADMAP = load_plan(ROOT / "experiments" / "roadmap.yaml")
# Which toy run stands for an experiment: of the same kind of frames, representation and dynamics. "mlp" for all others.
STANDS_FOR = {
    "native": "native",
    "rgb": "rgb",
    "native-ae": "rgb",
    "vq": "vq",
    "vq-1024": "vq",
    "fsq": "vq",
    "gaussian": "b-gaussian",
    "gaussian-b2": "b-gaussian",
    "gaussian-b3": "b-gaussian",
}


def test_batches_have_the_roadmaps_shapes(tmp_path):
    """P1.1: 128 frames of (1, 80, 80) with 8 buttons, and the frame that follows each."""
    config = PreprocessConfig(height=80, width=80, color="gray", resize="area", val_share=0.25, tile=0)
    train = make_processed(tmp_path, [make_rows(episode, 12, 3 * episode) for episode in range(4)], config)["train"]
    at = np.random.default_rng(0).choice(train.transitions, 128)
    frames, following = (to_planes(torch.from_numpy(train.frames[train.index["frame"][at + k]])) for k in (0, 1))
    latents = np.zeros((len(train.frames), 32), np.float32)
    past, buttons, after = Windows(train, latents, 1, 1).get(at, torch.device("cpu"))
    assert frames.shape == following.shape == (128, 1, 80, 80)
    assert buttons[:, -1].shape == (128, 8)
    assert (past.shape, after.shape) == ((128, 1, 32), (128, 32))
    assert 0 <= frames.min() < frames.max() <= 1
    np.testing.assert_array_equal(buttons[:, -1], train.index["action"][at])


@pytest.mark.parametrize("path", LISTS, ids=lambda path: path.stem)
def test_every_override_of_every_list_is_accepted(path):
    """A list that params.yaml does not accept would fail in the middle of the night."""
    plan = load_plan(path)
    for quick in (False, True):
        for run in expand(plan, path.stem, [], quick):
            changed_params(run.overrides)
            assert re.fullmatch(r"[\w-]+", run.reference)


def test_the_roadmap_is_whole_and_fits_its_budget():
    """Every item of phases 1 to 4 and 6, at least 45 judged criteria, a night for the full set, 90 minutes for the quick."""
    wanted = {"P1": 5, "P2": 3, "P3": 3, "P4": 2, "P6": 3}
    assert {f"{phase}.{number}" for phase, count in wanted.items() for number in range(1, count + 1)} <= set(ROADMAP.items)
    assert sum(bool(criterion.value) for item in ROADMAP.items.values() for criterion in item.criteria) >= 45
    full, quick = estimates(ROADMAP)
    assert full <= 10
    assert quick <= 1.5
    assert set(keys_of(ROADMAP)) == set(ROADMAP.runs), "a run that no criterion looks at"


def test_differences_have_three_seeds():
    """A difference between two trainings is claimed with three seeds; what only compares sizes or a sweep may have one."""
    single = {"latent-32", "latent-64", "latent-128", "latent-256", "gaussian-b2", "gaussian-b3"}
    for item in ROADMAP.items.values():
        for criterion in item.criteria:
            runs = {run for part in (criterion.value, criterion.minus, criterion.over) if part for run in part.split(":")[0].split(",")}
            if len(runs) > 1 and not runs & single:
                assert {ROADMAP.runs[run].seeds for run in runs} == {3}, criterion.says


@pytest.mark.parametrize("experiment", list(ROADMAP.runs))
def test_every_criterions_metric_is_one_that_the_pipeline_writes(experiment):
    """A misspelt key would read "not run" for ever."""
    toys = load_results("toy", quick=False, folder=TOYS)
    own = toys[STANDS_FOR.get(experiment, "b-gaussian" if experiment.startswith("b-") else "mlp"), 0]
    missing = [key for key in sorted(keys_of(ROADMAP)[experiment]) if find(own["metrics"], check_key(key)) is None]
    assert missing == []


def check_key(key: str) -> str:
    """Checks whose only metric is whether they passed are all alike: one toy run has each of them."""
    return "batches.passed" if key.endswith(".passed") else key


def written(tmp_path: Path, values: dict) -> Path:
    path = tmp_path / "list.yaml"
    path.write_text(yaml.safe_dump(values, allow_unicode=True))
    return path


def small(**changes) -> dict:
    """A list of two runs and one criterion."""
    criterion = {"says": "better", "value": "two:train_ae.ssim", "minus": "one:train_ae.ssim", "bar": ">= 0.02"}
    plan = {
        "title": "T",
        "settings": {"short": {"full": ["representation.kind=ae", "latent_dim=64"], "quick": ["latent_dim=16"]}},
        "runs": {
            "one": {"settings": ["short"], "stage": "train_ae", "seeds": 2, "minutes": [3, 1]},
            "two": {"settings": ["short"], "set": ["representation.mse_weight=0.0"], "stage": "train_ae", "seeds": 2},
        },
        "items": {"P": {"asks": "a question", "criteria": [criterion]}},
    }
    return plan | changes


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"runs": {"one": {"sets": []}}}, ["runs.one.sets", "allowed"]),
        ({"runs": {"a/b": []}}, ["'a/b'", "letters"]),
        ({"runs": {"one": {"settings": ["long"]}}}, ["'long'", "short"]),
        ({"runs": {"one": {"checks": ["minute"]}}}, ["'minute'", "none"]),
        ({"runs": {"one": {"stage": "train"}}}, ["'train'", "train_ae"]),
        ({"items": {"P": {"asks": "a", "criteria": [{"says": "s", "value": "one:x.y"}]}}}, ["'s'", "bar"]),
        ({"items": {"P": {"asks": "a", "criteria": [{"says": "s", "value": "one:x.y", "bar": "~ 1"}]}}}, ["'~ 1'", ">= 1"]),
        ({"items": {"P": {"asks": "a", "criteria": [{"says": "s", "value": "six:x.y", "bar": "> 1"}]}}}, ["'six'"]),
        ({"items": {"P": {"asks": "a", "criteria": [{"says": "s", "value": "x.y", "bar": "> 1"}]}}}, ["'x.y'", "run:key"]),
        ({"items": {"P": {"asks": "a", "criteria": [{"says": "s", "picture": "one:a.png"}]}}}, ["a.png", "'one'"]),
    ],
)
def test_a_wrong_list_is_refused_in_a_sentence(tmp_path, changes, named):
    """Before anything runs, with the name of what is wrong and what would be right."""
    with pytest.raises(UserError) as caught:
        load_plan(written(tmp_path, small(**changes)))
    assert_sentence(caught.value)
    assert [part for part in named if part not in str(caught.value)] == []


@pytest.mark.parametrize("override", ["latent_dims=3", "dynamics.kinds=mlp", "latent_dim", "latent_dim=many"])
def test_an_override_that_names_no_setting_is_refused(override):
    """`-S` on an unknown key must not silently run the default."""
    with pytest.raises(UserError) as caught:
        changed_params((override,))
    assert_sentence(caught.value)
    assert "latent_dim" in str(caught.value) or "kinds" in str(caught.value)


def test_overrides_come_in_order_and_seeds_first_of_all(tmp_path):
    """The later of two overrides of a key counts, quick ones only in the quick set; all runs have seed 0 before any has 1."""
    plan = load_plan(written(tmp_path, small()))
    full, quick = (expand(plan, "p", [], small_set) for small_set in (False, True))
    assert [run.name for run in full] == ["one-s0", "two-s0", "one-s1", "two-s1"]
    assert full[0].overrides == ("representation.kind=ae", "latent_dim=64", "seed=0")
    assert full[3].overrides[-1] == "seed=1"
    assert quick[0].overrides == ("representation.kind=ae", "latent_dim=16", "seed=0")
    assert (full[0].reference, quick[0].reference) == ("p-one-s0", "p-quick-one-s0")
    assert quick[0].command[-1] == "train_ae"
    assert [run.name for run in expand(plan, "p", ["two"], False, seeds=1)] == ["two-s0"]
    with pytest.raises(UserError, match="'three'"):
        expand(plan, "p", ["three"], False)


@pytest.mark.parametrize(
    ("bar", "good", "bad"),
    [("< 0.02", 0.019, 0.02), (">= 0.02", 0.02, 0.0199), ("<= 1.05", 1.05, 1.06), ("> 0", 1e-6, 0.0), ("= 1", 1.0, 0.99),
     ("0.5 to 2", 2.0, 2.01), (">= -0.002", -0.002, -0.003)],
)  # fmt: skip
def test_bars_hold_as_they_are_written(bar, good, bad):
    """Strict where the roadmap is strict."""
    assert holds(bar, good)
    assert not holds(bar, bad)
