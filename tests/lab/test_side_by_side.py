"""Several experiments at a time: what begins when, in which clone, and what becomes of it when one
fails or all are killed.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from toys.runs import runner_of, small, started

import dreamcart.lab.runner as runner_module
from dreamcart.core.paths import ROOT, Paths
from dreamcart.lab.plan import expand
from dreamcart.lab.results import load_results

SCRIPT = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a run in the background has it off
sys.path[:0] = [sys.argv[1], sys.argv[1] + "/tests"]
from pathlib import Path
import dreamcart.lab.runner
from dreamcart.lab.plan import expand
from toys import runs as t
dreamcart.lab.runner.cores = lambda: 4
runner = t.runner_of(Path(sys.argv[2]), t.small(), jobs=2)
runner.run_all(expand(runner.plan, "p", [], False))
"""


@pytest.fixture(autouse=True)
def four_cores(monkeypatch):
    monkeypatch.setattr(runner_module, "cores", lambda: 4)


def events(root: Path) -> list[list]:
    """What the pretended DVC did, in order: "begin" or "end", run, clone, threads, process."""
    path = root.parent / "control" / "events"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def meet(root: Path, count: int, *names: str) -> None:
    """These runs do not end before so many have begun (or 20 seconds have gone)."""
    for name in names:
        (root.parent / "control" / f"meet-{name}").write_text(str(count))


def test_two_at_a_time_and_none_makes_what_another_is_making(repository):
    """Each in a clone of its own with half the cores; runs with a seed share their recordings, so
    the second one waits.
    """
    runner = runner_of(repository, small(), jobs=2)
    meet(repository, 2, "p-one-s0", "p-one-s1", "p-two-s0")
    assert runner.run_all(expand(runner.plan, "p", [], False))
    found = events(repository)
    assert {(what, name) for what, name, *_ in found[:2]} == {
        ("begin", "p-one-s0"),
        ("begin", "p-one-s1"),
    }
    order = [(what, name) for what, name, *_ in found]
    for seed in (0, 1):
        assert order.index(("begin", f"p-two-s{seed}")) > order.index(("end", f"p-one-s{seed}"))
    assert {clone for _, _, clone, *_ in found} == {"experiments", "experiments-2"}
    assert {threads for *_, threads, _ in found} == {"2"}
    records = load_results("p", False, repository / "results")
    assert {key: (one["jobs"], one["threads"]) for key, one in records.items()} == dict.fromkeys(
        [("one", 0), ("two", 0), ("one", 1), ("two", 1)], (2, 2)
    )
    assert {one["metrics"]["train_ae"]["name"] for one in records.values()} == {
        one["reference"] for one in records.values()
    }


def test_what_has_been_made_is_waited_for_no_more(repository):
    """The others of a seed run side by side once the first has ended: their common stages are in
    the cache by then.
    """
    values = small()
    values["runs"]["three"] = {"settings": ["short"], "set": ["latent_dim=16"], "stage": "train_ae"}
    runner = runner_of(repository, values, jobs=2)
    meet(repository, 3, "p-two-s0", "p-three-s0")
    begin = time.monotonic()
    assert runner.run_all(expand(runner.plan, "p", [], False, seeds=1))
    assert time.monotonic() - begin < 15
    order = [what for what, *_ in events(repository)]
    assert order == ["begin", "end", "begin", "begin", "end", "end"]


def test_a_failed_run_leaves_the_others_to_go_on(repository, capfd):
    """Also those that waited for what it should have made."""
    runner = runner_of(repository, small(), jobs=2)
    runs = expand(runner.plan, "p", [], False)
    (repository.parent / "control" / "break-p-one-s0").touch()
    assert not runner.run_all(runs)
    told = capfd.readouterr()
    assert "p-one-s0 failed: The loss became nan." in told.out + told.err
    assert set(load_results("p", False, repository / "results")) == {
        ("two", 0),
        ("one", 1),
        ("two", 1),
    }
    (repository.parent / "control" / "break-p-one-s0").unlink()
    assert runner.run_all(runs)
    assert [one[0] for one in started(repository)].count("p-one-s0") == 2
    assert len(started(repository)) == 5


def test_a_killed_run_goes_on_in_another_clone(repository):
    """It was killed in the second clone, and goes on one at a time: in the first, which has its
    checkpoint.
    """
    (repository.parent / "control" / "die-p-one-s1").touch()
    meet(repository, 2, "p-one-s0", "p-one-s1")
    command = [sys.executable, "-c", SCRIPT, str(ROOT), str(repository)]
    killed = subprocess.run(command, start_new_session=True, capture_output=True, timeout=60)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert ["p-one-s1", "experiments-2"] in [found[1:3] for found in events(repository)]
    runner = runner_of(repository, small())
    assert runner.run_all(expand(runner.plan, "p", [], False))
    again = [one for one in started(repository) if one[0] == "p-one-s1"]
    assert [one[2] for one in again] == [[], ["half"]], "the checkpoint was lost"
    assert events(repository)[-1][2] == "experiments"


def test_a_stop_ends_all_that_is_under_way_and_records_nothing(repository):
    """Ctrl-C: both runs end, none counts as done, and no third one begins."""
    meet(repository, 99, "p-one-s0", "p-one-s1")
    command = [sys.executable, "-c", SCRIPT, str(ROOT), str(repository)]
    with subprocess.Popen(
        command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            end = time.monotonic() + 60
            while len(events(repository)) < 2:
                assert time.monotonic() < end, "no two runs began"
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            process.wait(60)
            alive = [pid for *_, pid in events(repository) if Path(f"/proc/{pid}").exists()]
            assert alive == []
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode != 0
    assert not (repository / "results").exists()
    assert len(events(repository)) == 2


def test_checkpoints_can_be_kept_elsewhere(monkeypatch, tmp_path):
    """Where the clones share them."""
    assert (
        Paths("blockfall").checkpoint("train_ae", "k")
        == ROOT / "checkpoints" / "blockfall" / "train_ae-k.safetensors"
    )
    monkeypatch.setenv("DREAMCART_CHECKPOINTS", str(tmp_path))
    assert (
        Paths("blockfall").checkpoint("train_ae", "k")
        == tmp_path / "blockfall" / "train_ae-k.safetensors"
    )
