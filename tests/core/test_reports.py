"""A stage's report: few numbers for DVC's tables, all of them beside; and that DVC itself shows and
keeps them so."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from dreamcart.core.paths import ROOT, Paths
from dreamcart.core.reports import details_of, pick, read_report, write_report
from dreamcart.world.cart import model_print

STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
WIDTH = 100  # columns of a terminal


def test_the_whole_report_is_read_by_the_name_of_the_metrics(tmp_path):
    """Whoever wants a number that is not in the headline finds it; an older file, which is a whole
    report, is read as one."""
    path = tmp_path / "metrics" / "rollout.json"
    report = {"model": {"10": {"exact": 0.9, "psnr": None}}, "of": {"starts": 4}}
    write_report(path, report, {"exact": {"010": 0.9}})
    assert json.loads(path.read_text()) == {"exact": {"010": 0.9}}
    told = read_report(path)
    assert set(told.pop("made")) == {"code", "date"}
    assert told == report
    details_of(path).unlink()
    path.write_text(json.dumps(report))
    assert read_report(path) == report


def test_a_report_on_disk_has_no_lists(tmp_path):
    """DVC would draw the first list of objects that it finds, and fail at an empty one."""
    report = {
        "columns": ["a", "b"],
        "recordings": [{"frames": 3}, {"frames": 4}],
        "none": [],
        "sizes": (2, [5]),
    }
    write_report(tmp_path / "collect.json", report, {})
    told = read_report(tmp_path / "collect.json")
    told.pop("made")
    assert told == {
        "columns": "a, b",
        "recordings": {"1": {"frames": 3}, "2": {"frames": 4}},
        "none": "",
        "sizes": {"1": 2, "2": {"1": 5}},
    }


def test_what_a_report_lacks_is_not_picked():
    """A report of imported recordings has other entries than one of play: no empty objects, and no
    error."""
    report = {"play": {"frames": 3, "held": {"A": 0.1}}, "val": None}
    names = ("play.frames", "frames", "test.frames", "play.held.B", "val")
    assert pick(report, names) == {"play": {"frames": 3}, "val": None}


def test_a_cart_takes_the_whole_report(tmp_path, monkeypatch):
    """What is compared with a cart later (copying the last frame's L1, wrong pixels) is not in the
    headline."""
    from stages.cart import metrics_of

    monkeypatch.setattr("dreamcart.core.paths.ROOT", tmp_path)
    paths = Paths("blockfall")
    for part in ("representation", "dynamics"):
        paths.models.mkdir(parents=True, exist_ok=True)
        (paths.models / f"{part}.safetensors").write_bytes(part.encode())
    report = {"model": {"1": {"exact": 1.0}}, "of": {"starts": 2}}
    write_report(
        paths.metrics / "rollout.json", report, {"exact": {"001": 1.0}}, model_print(paths.models)
    )
    assert metrics_of(paths) | {"made": None} == report | {"made": None}
    write_report(paths.metrics / "rollout.json", report, {"exact": {"001": 1.0}}, "another")
    assert metrics_of(paths) == {}


@pytest.mark.parametrize("stage", [name for name, stage in STAGES.items() if "metrics" in stage])
def test_every_report_is_an_output_that_the_run_cache_keeps(stage):
    """A metric of few numbers, and its details as an uncached `plot`: any other uncached output
    would undo the run cache."""
    (metrics,) = STAGES[stage]["metrics"]
    details = Path(next(iter(metrics)))
    plots = {path: how for entry in STAGES[stage]["plots"] for path, how in entry.items()}
    assert plots[details_of(details).as_posix()] == {"cache": False}
    assert not any(
        "_details" in path
        for other in STAGES.values()
        for entry in other.get("metrics", [])
        for path in entry
    )


# A stage that measures what a param says, in a repository of its own, as DVC sees it.
STAGE = """
import sys
from pathlib import Path
import yaml
sys.path.insert(0, {root!r})
from dreamcart.evaluation.report import headline
from dreamcart.core.reports import write_report
x = yaml.safe_load(Path("params.yaml").read_text())["x"]
scores = dict(l1=x / 10, psnr=30.0, ssim=1 - x / 10, exact=x / 7, changed_l1=0.2)
scores |= dict(lpips=x / 3, skill=1 - x / 9)
sources = ("model", "persistence", "median", "reconstruction")
steps = (1, 5, 10, 16, 30, 60, 128, 300, 1000)
report = {{name: {{str(step): scores for step in steps}} for name in sources}}
report["controllability"] = {{"iou": x / 11, "by_button": {{"A": 1.0}}}}
write_report(Path("metrics/blockfall/rollout.json"), report, headline(report))
with open("runs", "a") as runs:
    runs.write("run")
"""


@pytest.fixture
def repository(tmp_path):
    """run(command) in it: succeeds, and gives what was printed."""
    environment = os.environ | {
        "DVC_SITE_CACHE_DIR": str(tmp_path / "site"),
        "GIT_CONFIG_GLOBAL": os.devnull,
    }
    environment |= {
        f"GIT_{role}_{what}": "t@example.org"
        for role in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    environment |= {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": str(WIDTH),
    }
    root = tmp_path / "repository"
    root.mkdir()

    def run(*command: str) -> str:
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    path = "metrics/blockfall/rollout"
    stage = {"cmd": "python stage.py", "params": ["x"], "deps": ["stage.py"]}
    stage |= {
        "metrics": [{f"{path}.json": {"cache": False}}],
        "plots": [{f"{path}_details.json": {"cache": False}}],
    }
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"rollout_eval": stage}}))
    (root / "params.yaml").write_text("x: 1\n")
    (root / "stage.py").write_text(STAGE.format(root=str(ROOT)))
    (root / ".gitignore").write_text("/runs\n/dvc_plots\n")
    run("git", "init", "-q")
    run("dvc", "init", "-q")
    run("dvc", "config", "core.analytics", "false")
    run("dvc", "repro")
    run("git", "add", "-A")
    run("git", "commit", "-q", "-m", "one")
    run.root = root
    return run


def test_dvc_shows_the_headline_and_keeps_the_details(repository):
    """`dvc metrics diff` is a table that fits a terminal, `dvc plots show` does not mind, and
    nothing is run twice."""
    root = repository.root
    details = root / "metrics" / "blockfall" / "rollout_details.json"
    first = details.read_text()
    (root / "params.yaml").write_text("x: 2\n")
    repository("dvc", "repro")
    assert details.read_text() != first
    lines = repository("dvc", "metrics", "diff").splitlines()
    assert len(lines) == 32  # one of titles
    assert max(map(len, lines)) <= WIDTH
    named = [line.split()[1] for line in lines[1:]]
    assert named[:7] == [
        "controllability",
        *(f"exact.{step:03}" for step in (1, 5, 10, 30, 60, 300)),
    ]
    told = repository("dvc", "plots", "show", "--json")
    assert json.loads(told[told.index("{") :]) == {
        "data": {"metrics/blockfall/rollout_details.json": []}
    }
    details.unlink()
    (root / "params.yaml").write_text("x: 1\n")
    assert "is cached" in repository("dvc", "repro")
    assert details.read_text() == first
    assert (root / "runs").read_text() == "runrun"
