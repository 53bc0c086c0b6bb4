"""How many steps a number of minutes holds: measured on steps that are taken back."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from dreamcart.training import pace
from dreamcart.training.loop import Plan, fit
from dreamcart.training.pace import within

PLAN = Plan(40, 0.01, 0.0, 10, 10, 0)


@pytest.fixture
def clock(monkeypatch):
    """A clock on which every look at it is a second later than the one before."""
    now = [0.0]

    def look() -> float:
        now[0] += 1
        return now[0]

    monkeypatch.setattr(pace, "monotonic", look)


def toy() -> tuple[nn.Module, dict[str, torch.Tensor], object]:
    torch.manual_seed(0)
    model, extra = nn.Linear(3, 1), {"seen": torch.zeros(1)}

    def loss_at(step: int) -> torch.Tensor:
        extra["seen"] += 1
        return model(torch.full((4, 3), float(step % 7))).square().mean()

    return model, extra, loss_at


def test_minutes_become_steps_and_nothing_is_left_of_the_trial(tmp_path, clock, capsys):
    """A step a second by this clock: two minutes are about 120 steps."""
    model, extra, loss_at = toy()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    plan = within(PLAN, 2, model, loss_at, tmp_path / "none", extra)
    assert 90 <= plan.steps <= 160
    assert replace(plan, steps=PLAN.steps) == PLAN
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert extra["seen"] == 0
    assert f"{plan.steps} steps in 2 minutes" in capsys.readouterr().out


def test_without_minutes_nothing_is_measured(tmp_path):
    """The plan comes back as it is."""

    def loss_at(step: int) -> torch.Tensor:
        raise AssertionError("not asked for")

    assert within(PLAN, 0, nn.Linear(1, 1), loss_at, tmp_path / "none") is PLAN


def test_a_training_that_goes_on_keeps_its_number_of_steps(tmp_path, clock):
    """However fast the machine is now: the schedule is that of the steps it began with."""
    model, extra, loss_at = toy()
    fit(model, PLAN, loss_at, lambda: 0.0, tmp_path / "checkpoint", "toy", extra)
    plan = within(replace(PLAN, steps=7), 9, model, loss_at, tmp_path / "checkpoint", extra)
    assert plan.steps == PLAN.steps
