"""The league: rows of recorded runs, their means, a run that takes too long, and its page."""

import json
import os
import signal

import pytest
from toys.runs import runner_of, small, started

from dreamcart.core.files import read_json
from dreamcart.core.paths import ROOT
from dreamcart.lab.clone import end_all
from dreamcart.lab.league import FIDELITY, SCORES, cells, mean_of, page, row_of, summary
from dreamcart.lab.plan import changed_params, expand, load_plan
from dreamcart.lab.results import result_path

PLAN = load_plan(ROOT / "experiments" / "league.yaml")


def recorded(exact: float) -> dict:
    """A run on record as far as the league reads it."""
    model = {str(step): {"exact": exact, "skill": exact, "ssim": 1.0} for step in (1, 10, 30, 60)}
    control = {"iou": 0.5, "by_button": {"A": 0.25, "B": 0.75}}
    metrics = {"rollout": {"model": model, "controllability": control}, "train_ae": {"exact": 1.0}}
    return {"commit": "c", "device": "d", "command": "x", "metrics": metrics}


def failed() -> dict:
    return {**recorded(0), "failed": "not done in 40 minutes; it was at: train_dynamics"}


def test_a_row_has_every_score_or_says_that_it_has_none():
    """What was not measured is None, not absent: a table has a cell for it."""
    row = row_of(recorded(0.5))
    assert {name for name, _ in SCORES} <= set(row)
    assert (row["exact_10"], row["skill_60"], row["controllability"]) == (0.5, 0.5, 0.5)
    assert row["exact_300"] is row["of_64"] is None
    assert row["buttons"] == {"A": 0.25, "B": 0.75}


def test_means_leave_out_what_failed():
    """And say of how many games they are."""
    rows = {"a": row_of(recorded(0.5)), "b": row_of(recorded(1.0)), "c": row_of(failed())}
    assert mean_of(rows)["exact_10"] == 0.75
    assert mean_of(rows)["exact_300"] is None
    summed = summary(rows)
    assert (summed["done"], summed["failed"]) == (2, 1)
    table = cells(summed, FIDELITY)
    assert [row[0] for row in table] == ["a", "b", "c", "mean of 2"]
    assert table[2][1] == "failed"
    assert {len(row) for row in table} == {len(FIDELITY)}


def test_the_page_shows_failures_and_buttons():
    """A reader sees why a game has no numbers."""
    rows = {"a": row_of(recorded(0.5)), "c": row_of(failed())}
    told = page("T", {"default": summary(rows)}, "python x")
    assert "**c** failed: not done in 40 minutes" in told
    assert "a, by button: A 0.25, B 0.75" in told
    assert "| a | 0.500 |" in told
    tables = [line for line in told.splitlines() if line.startswith("|")]
    widths = {len(FIDELITY) + 1, 12}
    assert {line.count("|") for line in tables} <= widths | {12}


def test_all_games_have_the_same_params_but_the_game():
    """One setting: nothing is tuned to a game."""
    for run in expand(PLAN, "league", [], quick=False):
        (own,) = PLAN.runs[run.experiment].set
        assert own.startswith("game=")
        params = changed_params(run.overrides)
        assert (params.collect.frames, params.dynamics.minutes) == (60_000, 15)


def test_a_run_that_takes_too_long_is_on_record_as_failed(repository, capfd):
    """It is ended with all that it began, the next goes on, and it is not tried again."""
    runner = runner_of(repository, small())
    runner.limit = 0.02
    (repository.parent / "control" / "meet-p-one-s0").write_text("99")  # waits twenty seconds
    runs = expand(runner.plan, "p", [], False, seeds=1)
    assert not runner.run_all(runs[:1])
    told = capfd.readouterr()
    assert "not done in 0.02 minutes" in told.out + told.err
    assert read_json(result_path(runs[0], repository / "results"))["failed"].startswith("not done")
    (begun,) = (repository.parent / "control" / "events").read_text().splitlines()
    with pytest.raises(ProcessLookupError):
        os.kill(json.loads(begun)[4], signal.SIGTERM)
    runner.limit = None
    assert runner.run_all(runs)
    assert [one[0] for one in started(repository)] == ["p-one-s0", "p-two-s0"]


def test_ending_what_has_ended_is_no_error():
    """Processes end by themselves as well."""
    end_all(2**22 + 1)
