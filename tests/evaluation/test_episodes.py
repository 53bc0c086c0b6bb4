"""The test episodes of a game are recorded once where they are not here."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from toys.synthetic import (
    BUTTONS,
    assert_sentence,
    make_params,
    make_rows,
    make_spec,
    make_world_of_cells,
    write_raw,
)

from dreamcart.core.errors import UserError
from dreamcart.evaluation import episodes
from dreamcart.evaluation.episodes import episodes_for
from dreamcart.world.model import load_world


def test_test_episodes_are_recorded_once_where_there_are_none(tmp_path, monkeypatch):
    """Those of `rollout_eval` if they are here; else the same, kept, until params change."""
    calls = []

    def record(spec: Any, config: Any, seed: int, play: Any, test: Any) -> None:
        calls.append((config.test_episodes, config.frames, seed))
        write_raw(test, [make_rows(0, 8)])

    monkeypatch.setattr("dreamcart.core.paths.ROOT", tmp_path)
    monkeypatch.setattr(episodes, "record", record)
    monkeypatch.setattr(episodes, "load_game", lambda name: make_spec())
    monkeypatch.setattr(episodes, "game_contents", lambda name: {})
    toy = load_world(make_world_of_cells(tmp_path / "model"), torch.device("cpu"))
    params = make_params()
    first = episodes_for(toy, params)
    assert episodes_for(toy, params) == first
    assert first.parent == tmp_path / "data" / "toy"
    assert calls == [(params.collect.test_episodes, 1, params.seed)]
    assert episodes_for(toy, replace(params, seed=7)) != first
    write_raw(tmp_path / "data" / "toy" / "raw_test", [make_rows(0, 8)])
    assert episodes_for(toy, params) == tmp_path / "data" / "toy" / "raw_test"
    assert len(calls) == 2
    write_raw(tmp_path / "data" / "toy" / "raw_test", [], make_spec(buttons=BUTTONS[:-1], keys={}))
    with pytest.raises(UserError, match="buttons") as caught:
        episodes_for(toy, params)
    assert_sentence(caught.value)
