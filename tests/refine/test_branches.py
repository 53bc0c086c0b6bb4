"""Branches: they begin in the emulator's true state, and join the training split alone."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toys.synthetic import SEEN_AS, make_rows, make_spec, write_raw
from toys.toy_emulator import ToyEmulator

from dreamcart.core.errors import UserError
from dreamcart.core.files import read_json
from dreamcart.data.collect import Episode
from dreamcart.data.preprocess import LEAD_INFO, preprocess
from dreamcart.data.processed import LEAD, load_split
from dreamcart.games.spec import Script
from dreamcart.refine.branches import Branching, Stream, _Task, branches_of, saves_states

TILED = dataclasses.replace(SEEN_AS, height=24, width=32, color="rgb", resize="nearest", tile=8)


class SavingEmulator(ToyEmulator):
    """The toy with saved states; its block drifts with time, which no picture alone tells."""

    def reset(self, state: str, seed: int) -> np.ndarray:
        self.time = 0
        return super().reset(state, seed)

    def step(self, action: list[int]) -> tuple[np.ndarray, float, bool, bool]:
        self.time += 1
        self.x += self.time % 5 == 0
        return super().step(action)

    def save(self) -> bytes:
        return f"{self.x} {self.time}".encode()

    def restore(self, state: bytes) -> None:
        self.x, self.time = map(int, state.split())


def played(steps: int, policy: str = "held") -> tuple[Stream, list[np.ndarray]]:
    """A stream of the toy, and its frames."""
    rng, emulator = np.random.default_rng(3), SavingEmulator()
    actions = rng.integers(0, 2, (steps, 8)).astype(np.uint8)
    actions[:, 3] = 0  # START would end it
    frames = [emulator.reset("Begin", 7)]
    frames += [emulator.step(action)[0] for action in actions.tolist()]
    return Stream(Episode(2, 7, Script(policy, "Begin"), steps), actions), frames


def branched(stream: Stream, begins: list[int], how: Branching) -> list[tuple[list[dict], int]]:
    task = _Task(make_spec(), Path("x"), stream, begins, how, 10)
    return list(branches_of(SavingEmulator(), task))


def frames_of(rows: list[dict[str, Any]]) -> list[np.ndarray]:
    return [row["observations"] for row in rows]


def test_a_branch_begins_in_the_true_state():
    """Its lead is the stream, and so is the whole of the first branch, which presses the same."""
    stream, frames = played(40)
    found = branched(stream, [2, 17], Branching(count=3, steps=12, before=4, lead=6))
    assert [rows[0]["episode_id"] for rows, _ in found] == list(range(10, 16))
    for number, (rows, own) in enumerate(found):
        begin, branch = ([2, 17][number // 3], number % 3)
        lead = rows[0]["infos"][LEAD_INFO]
        assert lead == min(begin, 6)
        assert rows[0]["infos"]["branch"] == {"episode": 2, "step": begin, "branch": branch}
        assert rows[0]["infos"]["start_state"] == "Begin"
        assert len(rows) == lead + own + 1
        same = lead + 1 + (own if branch == 0 else 0)
        np.testing.assert_array_equal(frames_of(rows)[:same], frames[begin - lead :][:same])
        pressed = [row["actions"] for row in rows[:-1]][: same - 1]
        assert pressed == stream.actions[begin - lead :][: same - 1].tolist()
        assert rows[-1]["actions"] is None
        assert rows[-2]["truncations"] or rows[-2]["terminations"]
    others = [[row["actions"] for row in rows[:-1]] for rows, _ in found]
    assert others[0] != others[1] != others[2]


def test_branches_follow_the_stream_for_a_while_at_most():
    """So that what went wrong is met with the buttons before it, and with others."""
    stream, _ = played(60)
    how = Branching(count=40, steps=20, before=5, lead=3)
    agreed = set()
    for rows, _ in branched(stream, [30], how)[1:]:
        pressed = np.array([row["actions"] for row in rows[3:-1]])
        same = (pressed == stream.actions[30:][: len(pressed)]).all(1)
        agreed.add(len(same) if same.all() else int(same.argmin()))
    assert min(agreed) == 0
    assert len(agreed) > 3


@pytest.mark.parametrize("policy", ["play", "held", "menu", "lean", "explore", "bot"])
def test_any_stream_can_branch(policy):
    """Whoever played it: a bot or a search does not go on in a branch. Beyond the stream's end a
    branch presses its own."""
    stream, _ = played(10, policy)
    assert [own for _, own in branched(stream, [8], Branching(1, 6, 2, 4))] == [6]


def test_an_emulator_without_states_is_known():
    emulator = ToyEmulator()
    emulator.reset("Begin", 0)
    assert not saves_states(emulator)
    emulator = SavingEmulator()
    emulator.reset("Begin", 0)
    assert saves_states(emulator)


# Preprocessing


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*.*"))
    }


def extra(folder: Path, lead: int) -> Path:
    """A dataset of two episodes with a lead, with pictures of their own."""
    episodes = [make_rows(number, 9, first=11 + number) for number in range(2)]
    for rows in episodes:
        rows[0]["infos"] |= {LEAD_INFO: lead, "start_state": "Elsewhere"}
    return write_raw(folder, episodes)


@pytest.mark.parametrize("config", [SEEN_AS, TILED])
def test_more_recordings_join_the_training_split_alone(tmp_path, config):
    """All else stays as it was: who validates, start states. Leads teach nothing."""
    raw = write_raw(tmp_path / "raw", [make_rows(n, 12, first=n) for n in range(6)])
    plain = preprocess(raw, tmp_path / "plain", config, 0)
    more = [extra(tmp_path / "one", 3), extra(tmp_path / "two", 0)]
    report = preprocess(raw, tmp_path / "more", config, 0, more)
    before, after = (
        {part: load_split(tmp_path / name, part) for part in ("train", "val")}
        for name in ("plain", "more")
    )
    np.testing.assert_array_equal(after["val"].index, before["val"].index)
    for at in range(len(before["val"].frames)):
        np.testing.assert_array_equal(after["val"].frames[at], before["val"].frames[at])
    count = len(before["train"].index)
    np.testing.assert_array_equal(after["train"].index[:count], before["train"].index)
    assert len(after["train"].index) == count + 4 * 9
    known, now = (read_json(tmp_path / name / "meta.json") for name in ("plain", "more"))
    assert (now["starts"], now["edge_cases"]) == (known["starts"], known["edge_cases"])
    learned = len(before["train"].transitions) + 2 * 5 + 2 * 8
    assert len(after["train"].transitions) == learned == report["train"]["transitions"]
    steps = after["train"].index["step"][after["train"].transitions]
    assert set(steps[-26:-16].tolist()) == {3, 4, 5, 6, 7}
    assert report["train"]["episodes"] == plain["train"]["episodes"] + 4
    assert report["val"]["episodes"] == plain["val"]["episodes"]


def test_without_more_nothing_is_written_otherwise(tmp_path):
    raw = write_raw(tmp_path / "raw", [make_rows(n, 12, first=n) for n in range(6)])
    preprocess(raw, tmp_path / "one", TILED, 0)
    preprocess(raw, tmp_path / "two", TILED, 0, [])
    found = contents(tmp_path / "one")
    assert found == contents(tmp_path / "two")
    assert not any(name.endswith(LEAD) for name in found)


def test_a_lead_that_does_not_fit_is_refused(tmp_path):
    raw = write_raw(tmp_path / "raw", [make_rows(n, 12, first=n) for n in range(6)])
    preprocess(raw, tmp_path / "out", TILED, 0, [extra(tmp_path / "one", 3)])
    np.save(tmp_path / "out" / "train" / LEAD, np.zeros(3, bool))
    with pytest.raises(UserError, match="does not fit together"):
        load_split(tmp_path / "out", "train")
