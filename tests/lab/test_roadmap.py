"""The roadmap's list, its runner and its page: what is accepted, what is run again, what is judged
how.

`golden/toy_results` holds results that the pipeline itself has made: toy runs through the real
runner (toy.yaml, make_toy_results.py).
"""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from toys.runs import runner_of, small, started, written
from toys.synthetic import assert_sentence, make_processed, make_rows

from dreamcart.core.errors import UserError
from dreamcart.core.paths import ROOT
from dreamcart.dynamics.windows import Windows
from dreamcart.families import FAMILIES
from dreamcart.lab.code import played, used, without_others
from dreamcart.lab.log import began, curve, said_last
from dreamcart.lab.page import estimates, number, scoreboard, words
from dreamcart.lab.plan import changed_params, expand, holds, load_plan, runs_of
from dreamcart.lab.results import find, judge, load_results, result_path, save_picture
from dreamcart.params import PreprocessConfig
from dreamcart.representation.convolutional import to_planes

GOLDEN = ROOT / "tests" / "golden"
TOYS = GOLDEN / "toy_results"
LISTS = sorted(path for path in (ROOT / "experiments").glob("*.yaml"))
ROADMAP = load_plan(ROOT / "experiments" / "roadmap.yaml")
# Which toy run stands for an experiment: of the same kind of frames, representation and dynamics.
# "mlp" for all others.
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


def keys_of(plan) -> dict[str, set[str]]:
    """For each experiment, the metrics that criteria want of it."""
    wanted: dict[str, set[str]] = {}
    for criterion in (criterion for item in plan.items.values() for criterion in item.criteria):
        for metric in filter(None, (criterion.value, criterion.minus, criterion.over)):
            for run in runs_of(metric):
                wanted.setdefault(run, set()).add(metric.split(":", 1)[1])
    return wanted


def test_batches_have_the_roadmaps_shapes(tmp_path):
    """P1.1: 128 frames of (1, 80, 80) with 8 buttons, and the frame that follows each."""
    config = PreprocessConfig(
        height=80, width=80, color="gray", resize="area", val_share=0.25, tile=0
    )
    train = make_processed(
        tmp_path, [make_rows(episode, 12, 3 * episode) for episode in range(4)], config
    )["train"]
    at = np.random.default_rng(0).choice(train.transitions, 128)
    frames, following = (
        to_planes(torch.from_numpy(train.frames[train.index["frame"][at + k]])) for k in (0, 1)
    )
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
    """Every item of phases 1 to 4 and 6, at least 45 judged criteria, a long night for the full,
    90 minutes for the quick set.
    """
    wanted = {"P1": 5, "P2": 3, "P3": 3, "P4": 2, "P6": 3}
    assert {
        f"{phase}.{number}" for phase, count in wanted.items() for number in range(1, count + 1)
    } <= set(ROADMAP.items)
    assert (
        sum(bool(criterion.value) for item in ROADMAP.items.values() for criterion in item.criteria)
        >= 45
    )
    full, quick = estimates(ROADMAP)
    assert full <= 11
    assert quick <= 1.5
    assert set(keys_of(ROADMAP)) == set(ROADMAP.runs), "a run that no criterion looks at"


def test_differences_have_three_seeds():
    """A difference between two trainings is claimed with three seeds; what only compares sizes or a
    sweep may have one.
    """
    single = {
        "gru",
        "grid",
        "latent-32",
        "latent-64",
        "latent-128",
        "latent-256",
        "gaussian-b2",
        "gaussian-b3",
    }
    for item in ROADMAP.items.values():
        for criterion in item.criteria:
            parts = filter(None, (criterion.value, criterion.minus, criterion.over))
            runs = {run for part in parts for run in runs_of(part)}
            if len(runs) > 1 and not runs & single:
                assert {ROADMAP.runs[run].seeds for run in runs} == {3}, criterion.says


@pytest.mark.parametrize("experiment", list(ROADMAP.runs))
def test_every_criterions_metric_is_one_that_the_pipeline_writes(experiment):
    """A misspelt key would read "not run" for ever."""
    toys = load_results("toy", quick=False, folder=TOYS)
    name = STANDS_FOR.get(experiment, "b-gaussian" if experiment.startswith("b-") else "mlp")
    missing = []
    for key in keys_of(ROADMAP)[experiment]:
        if key.endswith(".passed"):  # one toy run has one check of this kind: they are all alike
            assert key.removesuffix(".passed") in ROADMAP.runs[experiment].checks
            key = "batches.passed"
        digits = key.startswith("train_ae.digits")  # only one toy run is long enough for a score
        way, dot, last = key.rpartition(".")
        if all(
            find(toys["rgb" if digits else name, 0]["metrics"], way + dot + one) is None
            for one in last.split("|")
        ):
            missing.append(key)
    assert missing == []


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"runs": {"one": {"sets": []}}}, ["runs.one.sets", "allowed"]),
        ({"runs": {"a/b": []}}, ["'a/b'", "letters"]),
        ({"runs": {"one": {"settings": ["long"]}}}, ["'long'", "short"]),
        ({"runs": {"one": {"checks": ["minute"]}}}, ["'minute'", "none"]),
        ({"runs": {"one": {"stage": "train"}}}, ["'train'", "train_ae"]),
        (
            {"items": {"P": {"asks": "a", "criteria": [{"says": "s", "value": "one:x.y"}]}}},
            ["'s'", "bar"],
        ),
        (
            {
                "items": {
                    "P": {
                        "asks": "a",
                        "criteria": [{"says": "s", "value": "one:x.y", "bar": "~ 1"}],
                    }
                }
            },
            ["'~ 1'", ">= 1"],
        ),
        (
            {
                "items": {
                    "P": {
                        "asks": "a",
                        "criteria": [{"says": "s", "value": "six:x.y", "bar": "> 1"}],
                    }
                }
            },
            ["'six'"],
        ),
        (
            {
                "items": {
                    "P": {"asks": "a", "criteria": [{"says": "s", "value": "x.y", "bar": "> 1"}]}
                }
            },
            ["'x.y'", "run:key"],
        ),
        (
            {"items": {"P": {"asks": "a", "criteria": [{"says": "s", "picture": "one:a.png"}]}}},
            ["a.png", "'one'"],
        ),
    ],
)
def test_a_wrong_list_is_refused_in_a_sentence(tmp_path, changes, named):
    """Before anything runs, with the name of what is wrong and what would be right."""
    with pytest.raises(UserError) as caught:
        load_plan(written(tmp_path, small(**changes)))
    assert_sentence(caught.value)
    assert [part for part in named if part not in str(caught.value)] == []


@pytest.mark.parametrize(
    "override", ["latent_dims=3", "dynamics.kinds=mlp", "latent_dim", "latent_dim=many"]
)
def test_an_override_that_names_no_setting_is_refused(override):
    """`-S` on an unknown key must not silently run the default."""
    with pytest.raises(UserError) as caught:
        changed_params((override,))
    assert_sentence(caught.value)
    assert "latent_dim" in str(caught.value) or "kinds" in str(caught.value)


def test_overrides_come_in_order_and_seeds_first_of_all(tmp_path):
    """The later of two overrides of a key counts, quick ones only in the quick set; all runs have
    seed 0 before any has 1.
    """
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
    [("< 0.02", 0.019, 0.02), (">= 0.02", 0.02, 0.0199), ("<= 1.05", 1.05, 1.06),
     ("> 0", 1e-6, 0.0), ("= 1", 1.0, 0.99), ("0.5 to 2", 2.0, 2.01),
     (">= -0.002", -0.002, -0.003)],
)  # fmt: skip
def test_bars_hold_as_they_are_written(bar, good, bad):
    """Strict where the roadmap is strict."""
    assert holds(bar, good)
    assert not holds(bar, bad)


def result(
    experiment: str, seed: int = 0, prints: str = "now", device: str = "CPU: X, 2 cores", **metrics
) -> dict:
    """A recorded run with these values of train_ae."""
    return {
        "experiment": experiment,
        "seed": seed,
        "seconds": 120.0,
        "device": device,
        "fingerprint": {"params": "p", "code": prints},
        "metrics": {"train_ae": metrics},
        "pictures": {"grid.png": "p/one-grid.png"} if experiment == "one" and seed == 0 else {},
    }


def by_run(*results: dict) -> dict:
    return {(one["experiment"], one["seed"]): one for one in results}


def criterion_of(tmp_path, **own):
    plan = load_plan(
        written(tmp_path, small(items={"P": {"asks": "a", "criteria": [{"says": "s", **own}]}}))
    )
    return plan.items["P"].criteria[0]


def test_a_difference_is_taken_seed_by_seed(tmp_path):
    """Seeds that only one side has say nothing; the mean of the others is judged, and their spread
    told.
    """
    criterion = criterion_of(
        tmp_path, value="two:train_ae.ssim", minus="one:train_ae.ssim", bar=">= 0.02"
    )
    results = by_run(
        *(result("one", seed, ssim=value) for seed, value in enumerate((0.5, 0.6, 0.7))),
        *(result("two", seed, ssim=value) for seed, value in enumerate((0.53, 0.61))),
    )
    verdict = judge(criterion, results)
    np.testing.assert_allclose(verdict.values, [0.03, 0.01])
    assert (verdict.state, verdict.runs) == ("pass", ("one-s0", "two-s0", "one-s1", "two-s1"))
    assert verdict.mean == pytest.approx(0.02)
    assert verdict.spread == pytest.approx(0.02 / 2**0.5)


def test_ratios_best_of_several_and_other_names(tmp_path):
    """`over` divides, `pick` chooses among runs, and a last key "a|b" takes the first that all
    have: two LPIPS do not compare.
    """
    results = by_run(
        result("one", l1=0.1, lpips_untrained=0.4),
        result("two", l1=0.2, lpips_untrained=0.3, lpips=0.2),
    )
    over = criterion_of(tmp_path, value="two:train_ae.l1", over="one:train_ae.l1", bar="= 2")
    assert judge(over, results).state == "pass"
    for pick, value in (("min", 0.1), ("max", 0.2)):
        assert judge(
            criterion_of(tmp_path, value="one,two:train_ae.l1", pick=pick, bar="> 0"), results
        ).values == (value,)
    either = criterion_of(tmp_path, value="one,two:train_ae.lpips|lpips_untrained", bar="< 1")
    assert judge(either, results).values == (0.3,)
    apart = by_run(result("one", lpips_untrained=0.4), result("two", lpips=0.2))
    assert judge(either, apart).state == "miss"
    zero = criterion_of(tmp_path, value="two:train_ae.l1", over="one:train_ae.l1", bar="= 2")
    verdict = judge(zero, by_run(result("one", l1=0.0), result("two", l1=0.2)))
    assert (verdict.state, words(verdict)) == ("miss", "no value")
    null = criterion_of(tmp_path, value="two:train_ae.l1", bar="< 1")
    assert judge(null, by_run(result("two", l1=None))).state == "miss"


@pytest.mark.parametrize("results", [[], [("one", {"ssim": 1.0})]])
def test_what_is_not_on_record_is_not_run(tmp_path, results):
    """No run, or half of a comparison: no verdict, and never a number."""
    criterion = criterion_of(
        tmp_path, value="two:train_ae.ssim", minus="one:train_ae.ssim", bar=">= 0"
    )
    verdict = judge(criterion, by_run(*(result(name, **metrics) for name, metrics in results)))
    assert (verdict.state, verdict.values) == ("not run", ())


def test_the_page_tells_passes_misses_and_what_was_not_run(tmp_path):
    """The whole page beside a golden one: spread over seeds, a GPU, older code, runs at a time, a
    picture, analysis, quick set.
    """
    items = {
        "P1.1": {
            "asks": "is it good?",
            "learned": "Never shown of what was not run.",
            "criteria": [{"says": "not run", "value": "three:train_ae.l1", "bar": "< 1"}],
        },
        "P1.2": {
            "asks": "is it better?",
            "learned": "It is a little better.",
            "criteria": [
                {
                    "says": "better",
                    "value": "two:train_ae.ssim",
                    "minus": "one:train_ae.ssim",
                    "bar": ">= 0.02",
                },
                {
                    "says": "small",
                    "value": "one:train_ae.l1",
                    "bar": "< 0.02",
                    "tried": "More steps: no change.",
                    "learned": "L.",
                },
                {"says": "small too", "value": "two:train_ae.l1", "bar": "< 0.02"},
                {"says": "fast", "value": "one:minute.steps_per_second", "bar": ">= 30"},
                {"says": "a grid", "picture": "one:grid.png"},
            ],
        },
    }
    values = small(items=items)
    values["runs"]["one"]["pictures"] = ["grid.png"]
    values["runs"]["one"]["asks"] = "the plain one"
    values["runs"]["three"] = []
    full = by_run(
        *(result("one", seed, ssim=value, l1=0.01234567) for seed, value in enumerate((0.5, 0.6))),
        result("two", 0, ssim=0.55, l1=0.02, device="GPU: H200"),
        result("two", 1, "before", ssim=0.66, l1=0.04),
    )
    full["one", 0]["metrics"]["train_ae"]["l1"] = 0.05
    full["one", 1] |= {"jobs": 2, "threads": 1}
    full["one", 1]["metrics"]["minute"] = {"steps_per_second": 40.0}
    quick = by_run(result("one", ssim=0.4, l1=3.0))
    plan = load_plan(written(tmp_path, values))
    current = {f"{name}-s{seed}": {"params": "p", "code": "now"} for name, seed in full}
    page = scoreboard(plan, "p", full, quick, current)
    golden = GOLDEN / "roadmap_page.md"
    if os.environ.get("DREAMCART_WRITE_GOLDEN"):
        golden.write_text(page)
    assert page == golden.read_text()
    assert "Never shown" not in page


def test_the_committed_page_is_of_the_committed_list():
    """docs/roadmap.md has a row for every criterion, in words that the list has now."""
    page = (ROOT / "docs" / "roadmap.md").read_text()
    missing = [
        c.says
        for item in ROADMAP.items.values()
        for c in item.criteria
        if f"| {c.says} |" not in page
    ]
    assert missing == []


@pytest.mark.parametrize(
    ("value", "text"),
    [(60000, "60000"), (0.98765432, "0.9877"), (1.0, "1"), (-0.00012345, "-0.0001234")],
)
def test_numbers_have_four_digits(value, text):
    assert number(value) == text


def test_pictures_are_small(tmp_path):
    """Pictures on the page are PNGs of at most the bytes they may have, however noisy."""
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    save_picture(tmp_path / "noise.png", tmp_path / "docs" / "small.png", 20_000)
    assert (tmp_path / "docs" / "small.png").stat().st_size <= 20_000
    with Image.open(tmp_path / "docs" / "small.png") as opened:
        assert opened.size[0] / opened.size[1] == pytest.approx(4 / 3, abs=0.03)


def test_the_reason_of_a_failure_is_found_in_its_log(tmp_path):
    """A stage's own sentence before DVC's, before the last line."""
    log = tmp_path / "log"
    for text, reason in (
        ("a\nerror: The ROM is missing.\nERROR: failed to reproduce\nlast", "The ROM is missing."),
        ("a\nERROR: failed to reproduce\nlast", "failed to reproduce"),
        ("a\r50%\rlast\n\n", "last"),
        ("", "it said nothing"),
    ):
        log.write_text(text)
        assert said_last(log) == reason


def test_a_curve_is_told_by_its_ends(tmp_path):
    (tmp_path / "c.csv").write_text("step,train,val\n1,9,3.0\n2,8,1.0\n3,7,1.5\n")
    assert curve(tmp_path / "c.csv") == {"first": 3.0, "best": 1.0, "last": 1.5}


def commit(root: Path, name: str, text: str) -> None:
    (root / name).write_text(text)
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    for command in (["add", "-A"], [*who, "commit", "-q", "-m", "b"]):
        subprocess.run(["git", *command], cwd=root, check=True)


def test_what_is_done_is_not_run_again(repository, capsys):
    """Not for a second call nor a commit of something else; but for other code of its stages, and
    for another override.
    """
    runner = runner_of(repository, small())
    runs = expand(runner.plan, "p", [], False)
    assert runner.run_all(runs)
    assert [one[0] for one in started(repository)] == [
        "p-one-s0",
        "p-two-s0",
        "p-one-s1",
        "p-two-s1",
    ]
    record = json.loads(result_path(runs[2], repository / "results").read_text())
    assert record["metrics"]["train_ae"] == {"name": "p-one-s1", "seed": "seed=1", "ssim": 0.5}
    assert record["metrics"]["train_ae_curve"] == {"first": 2.0, "best": 1.0, "last": 1.0}
    assert set(record["metrics"]) == {
        "collect",
        "preprocess",
        "train_ae",
        "train_ae_curve",
    }, "later stages did not run"
    assert (
        record["command"]
        == "dvc exp run -n p-one-s1 -S representation.kind=ae -S latent_dim=64 -S seed=1 train_ae"
    )
    refs = subprocess.run(
        ["git", "for-each-ref", "--format=%(refname)", "refs/exps"],
        cwd=repository,
        capture_output=True,
        text=True,
    )
    assert sorted(ref.rsplit("/", 1)[1] for ref in refs.stdout.split()) == sorted(
        run.reference for run in runs
    )
    assert "done" in capsys.readouterr().out

    assert runner.run_all(runs)
    commit(repository, "README.md", "words\n")
    assert runner.run_all(runs)
    assert len(started(repository)) == 4
    commit(repository, "stages/train_ae.py", "2\n")
    assert runner.run_all(runs[:1])
    assert len(started(repository)) == 5
    changed = small()
    changed["runs"]["one"]["set"] = ["latent_dim=128"]
    other = runner_of(repository, changed)
    assert other.run_all(expand(other.plan, "p", ["one"], False, seeds=1))
    assert len(started(repository)) == 6


def test_a_failed_run_is_told_and_left_behind(repository, capfd):
    """The others go on; the next call runs the failed one only."""
    runner = runner_of(repository, small())
    runs = expand(runner.plan, "p", [], False, seeds=1)
    broken = repository.parent / "control" / "break-p-one-s0"
    broken.touch()
    assert not runner.run_all(runs)
    told = capfd.readouterr()
    assert "p-one-s0 failed: The loss became nan." in told.out + told.err
    assert not result_path(runs[0], repository / "results").exists()
    assert result_path(runs[1], repository / "results").exists()
    broken.unlink()
    assert runner.run_all(runs)
    assert [one[0] for one in started(repository)] == ["p-one-s0", "p-two-s0", "p-one-s0"]


def test_a_killed_run_goes_on(repository):
    """After a kill -9 of everything: a clean tree with the committed params, but the checkpoint is
    still there.
    """
    runner = runner_of(repository, small())
    (repository.parent / "control" / "die-p-one-s0").touch()
    script = (
        "import sys; sys.path[:0] = [sys.argv[1], sys.argv[1] + '/tests']\n"
        "from pathlib import Path\n"
        "from dreamcart.lab.plan import expand\n"
        "from toys import runs as t\n"
        "runner = t.runner_of(Path(sys.argv[2]), t.small())\n"
        "runner.run_all(expand(runner.plan, 'p', [], False, seeds=1))\n"
    )
    killed = subprocess.run(
        [sys.executable, "-c", script, str(ROOT), str(repository)],
        start_new_session=True,
        capture_output=True,
    )
    assert killed.returncode == -9, killed.stderr
    assert runner.run_all(expand(runner.plan, "p", [], False, seeds=1))
    first, again, last = started(repository)
    assert (first[0], again[0], last[0]) == ("p-one-s0", "p-one-s0", "p-two-s0")
    assert again[2] == ["half"], "the checkpoint was lost"
    assert again[3] == first[3] != "changed", "the killed run's params were left"
    assert "litter" not in again[4]


def test_a_killed_attempt_counts(tmp_path):
    """A run that was cut off after 100 and 50 seconds took these as well: the budget is measured by
    the records.
    """
    clock, log = tmp_path / "clock", tmp_path / "log"
    log.write_text("of an older code")
    assert time.time() - began(clock, log) < 5
    for spent, so_far in ((100, 100), (50, 150)):
        os.utime(log, (0, float(clock.read_text()) + so_far))
        assert time.time() - began(clock, log) == pytest.approx(so_far, abs=5), spent


def test_two_at_a_time_are_refused(repository):
    """They would share the clone."""
    runner = runner_of(repository, small())
    runs = expand(runner.plan, "p", [], False, seeds=1)
    with runner._alone(), pytest.raises(UserError) as caught:
        runner.run_all(runs)
    assert_sentence(caught.value)
    assert started(repository) == []


def test_a_wrong_override_stops_everything_before_it_begins(repository):
    """Not after the first six hours."""
    values = small()
    values["runs"]["two"]["set"] = ["latent_dim=-1"]
    runner = runner_of(repository, values)
    with pytest.raises(UserError, match="latent_dim"):
        runner.run_all(expand(runner.plan, "p", [], False))
    assert started(repository) == []


def test_checks_and_pictures_are_recorded(repository):
    """A check that writes is read, one that does not is passed or not; one that writes nothing
    leaves the run undone.
    """
    values = small(
        checks={
            "speed": {"command": "python speed.py {game}", "writes": "speed"},
            "no": {"command": "false"},
            "yes": {"command": "true"},
        }
    )
    speed = (
        "import json, pathlib, sys\n"
        "if pathlib.Path(sys.argv[1]).exists(): sys.exit('slow')\n"
        "pathlib.Path(f'metrics/{sys.argv[1]}/speed.json').write_text(json.dumps({'fps': 60}))\n"
    )
    commit(repository, "speed.py", speed)
    values["runs"] = {"one": {"checks": ["speed", "no", "yes"], "stage": "train_ae"}}
    values["items"] = {}
    runner = runner_of(repository, values)
    (run,) = expand(runner.plan, "p", [], False)
    assert runner.run_all([run])
    metrics = json.loads(result_path(run, repository / "results").read_text())["metrics"]
    assert (metrics["speed"], metrics["no"], metrics["yes"]) == (
        {"fps": 60},
        {"passed": 0},
        {"passed": 1},
    )
    assert metrics["train_ae"]["ssim"] == 0.5, (
        "the whole report is on record, not DVC's few numbers of it"
    )
    commit(repository, "speed.py", "import sys; sys.exit('error: It is slow.')\n")
    assert not runner.run_all([run]), "the check's code is part of what a run is known by"


def test_quick_results_are_kept_apart(repository):
    """The quick set must not count as the full one, nor overwrite it."""
    runner = runner_of(repository, small())
    full, quick = (
        expand(runner.plan, "p", ["one"], small_set, seeds=1) for small_set in (False, True)
    )
    assert runner.run_all([*full, *quick])
    loaded = [load_results("p", small_set, repository / "results") for small_set in (False, True)]
    assert [one["one", 0]["reference"] for one in loaded] == ["p-one-s0", "p-quick-one-s0"]
    damaged = result_path(full[0], repository / "results")
    damaged.write_text("{")
    with pytest.raises(UserError, match="damaged"):
        load_results("p", False, repository / "results")


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "nothing"],
        ["run", "--seeds", "0"],
        ["run", "--jobs", "0"],
        ["run", "--jobs", "4096"],
    ],
)
def test_wrong_arguments_are_one_line(arguments):
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "roadmap.py", *arguments],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_family_does_not_depend_on_the_others():
    """A night of experiments is not run again because a family that they do not have was
    worked on.
    """
    mlp, flow, cells, transformer = (
        used(kind, ROOT) for kind in ("mlp", "flow", "cells", "transformer")
    )
    assert {
        "dreamcart/dynamics/mlp.py",
        "dreamcart/dynamics/base.py",
        "dreamcart/dynamics/train.py",
    } <= mlp
    assert (
        not {
            "dreamcart/dynamics/cells/train.py",
            "dreamcart/dynamics/cells/network.py",
            "dreamcart/dynamics/gru.py",
        }
        & mlp
    )
    assert "dreamcart/dynamics/conv.py" in flow  # whose planes it takes
    assert "dreamcart/dynamics/attention.py" in transformer
    assert {"dreamcart/dynamics/cells/train.py", "dreamcart/dynamics/cells/network.py"} <= cells
    every = {
        path.relative_to(ROOT).as_posix() for path in (ROOT / "dreamcart/dynamics").rglob("*.py")
    }
    needed = set().union(*(used(kind, ROOT) for kind in FAMILIES))
    assert needed == {path for path in every if not path.endswith("__init__.py")}
    tree = "\n".join(
        f"100644 blob 0\t{path}" for path in sorted({*every, "dreamcart/training/muon.py"})
    )
    left = {
        line.split("\t")[1] for line in without_others(tree, "mlp", "blockfall", ROOT).splitlines()
    }
    assert left == {*mlp, "dreamcart/training/muon.py"}


def test_a_run_does_not_depend_on_other_games():
    """Work on one game leaves the runs of the others valid; a game depends on what it extends."""
    files = [
        f"games/{name}/{file}"
        for name in ("blockfall", "blockfall_b", "pong")
        for file in ("game.yaml", "bot.py")
    ]
    tree = "\n".join(f"100644 blob 0\t{path}" for path in files)
    left = {
        game: {line.split("/")[1] for line in without_others(tree, "mlp", game, ROOT).splitlines()}
        for game in ("pong", "blockfall_b")
    }
    assert left == {"pong": {"pong"}, "blockfall_b": {"blockfall", "blockfall_b"}}


def test_a_run_depends_on_what_its_checks_play_with():
    """The minute of play is played by dreamcart/play, which no stage needs."""
    assert {"dreamcart/play/loop.py", "dreamcart/play/sources.py"} <= played(
        ["scripts/minute.py"], ROOT
    )
    assert "dreamcart/play/window.py" not in played(["scripts/minute.py"], ROOT)
