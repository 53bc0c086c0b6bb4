"""What is not the network can be off, part by part, and the rows of the table are what they say."""

import json
import sys
from collections import Counter
from copy import deepcopy
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from toys.synthetic import (
    BUTTONS,
    assert_sentence,
    make_params,
    make_rows,
    make_spec,
    make_tiles_world,
    write_raw,
)

from dreamcart.core.errors import UserError, run_stage
from dreamcart.core.tensors import load_tensors, save_tensors
from dreamcart.data.processed import Split, index_dtype
from dreamcart.dynamics.tokens.switches import SWITCHES, switch_off, switches_of
from dreamcart.evaluation import ablate, ablation_table
from dreamcart.evaluation.ablate import (
    Bench,
    Legality,
    Row,
    episodes_for,
    judge_game,
    measure,
    rows_of,
    share_of,
)
from dreamcart.evaluation.ablation_table import markdown, percent
from dreamcart.world.cart import FOLDER, load_cart, save_cart
from dreamcart.world.model import WorldModel, load_world
from scripts import ablate as script

CPU = torch.device("cpu")
CARTS = ["blockfall", "blockfall_b", "breakout", "pong"]
# What is known to play in the committed carts beside the network.
HAVE = {
    "blockfall": "displays counters moves scenes piece turns gravity buttons lines",
    "blockfall_b": "displays counters moves scenes piece turns gravity buttons lines",
    "breakout": "objects serves looks inertia knob",
    "pong": "counters objects paddle clock memory serves looks inertia knob",
}


@cache
def loaded(name: str) -> WorldModel:
    return load_cart(FOLDER / f"{name}.cart", CPU)[0]


def load(name: str) -> WorldModel:
    """A dream that has not been played."""
    return deepcopy(loaded(name))


def play(world: WorldModel, steps: int, pressed: str = "") -> tuple[np.ndarray, Any]:
    """The last frame of a dream with one button, uint8 [H, W, C], and its state."""
    action = np.array([world.spec.vector({pressed} if pressed else set())], np.uint8)
    first = world.starts[world.first_start]
    state = world.start(first[None, None], np.zeros((1, 0, action.shape[1]), np.uint8))
    for _ in range(steps):
        frame, state = world.step(state, action, 1.0, torch.Generator().manual_seed(0))
    return frame[0], state


# What is switched off


@pytest.mark.parametrize("name", CARTS)
def test_each_part_of_a_cart_can_be_off_and_it_plays(name):
    """Each alone, with what builds on it; nothing else goes off by it."""
    assert [switch.name for switch in switches_of(load(name).dynamics)] == HAVE[name].split()
    for row in rows_of(load(name)):
        world = load(name)
        switch_off(world.dynamics, list(row.off))
        left = {switch.name for switch in switches_of(world.dynamics)}
        assert left == set(HAVE[name].split()) - set(row.off), row.name
        frame, _ = play(world, 6, world.spec.buttons[-1])
        assert (frame.shape, frame.dtype) == (world.shape, np.uint8), row.name


@pytest.mark.parametrize("name", CARTS)
def test_the_network_alone_is_alone(name):
    """No referee, moves or objects; its computed inputs go in the last row only."""
    rows = {row.name: row for row in rows_of(load(name))}
    model = load(name).dynamics
    switch_off(model, list(rows["network"].off))
    assert model.referee is None
    assert model.mover is None
    for table in ("places", "chains_places", "moves_old", "live_tokens"):
        assert len(getattr(model, table)) == 0
    inputs = {switch.name for switch in SWITCHES if switch.told} & set(HAVE[name].split())
    assert {switch.name for switch in switches_of(model)} == inputs
    assert ("bare" in rows) == bool(inputs)
    if inputs:
        switch_off(model, list(rows["bare"].off))
        assert switches_of(model) == []


def test_what_builds_on_a_part_goes_with_it():
    """Without the piece nothing falls in its time; without a knob no paddle follows one."""
    takes = {switch.name: set(switch.takes) for switch in SWITCHES}
    assert takes["piece"] > takes["turns"] > takes["gravity"] > set()
    assert "paddle" in takes["knob"] & takes["objects"]
    for switch in SWITCHES:
        assert all(takes[name] <= takes[switch.name] for name in switch.takes)
    model = load("pong").dynamics
    switch_off(model, ["knob"])
    assert (model.kinds.leads < 0).all()


@pytest.mark.parametrize("name", ["breakout", "pong"])
def test_inputs_that_are_off_tell_nothing(name):
    """The knob stays in the middle whatever is pressed, and nothing goes on by inertia."""
    world = load(name)
    _, state = play(world, 8, "RIGHT")
    assert (state.dials != 0.5).any()
    switch_off(world.dynamics, ["knob", "inertia"])
    _, state = play(world, 8, "RIGHT")
    assert (state.dials == 0.5).all()
    assert torch.equal(state.onward, state.frames[:, -1].to(state.onward.dtype))


def test_objects_forget_and_follow_nothing():
    """Pong's memory, clock and paddle, each by what it leaves in the state."""
    world = load("pong")
    _, before = play(world, 8, "RIGHT")
    assert before.recalled.any()
    assert before.phases.shape[1] > 0
    assert not before.followed.isnan().all()
    switch_off(world.dynamics, ["memory", "clock", "paddle"])
    _, after = play(world, 8, "RIGHT")
    assert not after.recalled.any()
    assert after.phases.shape[1] == 0
    assert after.followed.isnan().all()


def test_off_twice_is_off_and_other_names_are_none():
    """A part that is off already, or that a model never had, is left as it is."""
    model = load("blockfall_b").dynamics
    switch_off(model, ["lines", "lines", "objects"])
    assert "lines" not in {switch.name for switch in switches_of(model)}
    with pytest.raises(KeyError):
        switch_off(model, ["gravitation"])


# What is measured


def make_tiny(folder: Path, seed: int = 0) -> Path:
    """A model of the game "toy" with one part beside the network: nothing may follow its scene."""
    make_tiles_world(folder, seed=seed)
    tensors, meta = load_tensors(folder / "dynamics.safetensors")
    tensors["scenes"] = torch.zeros(1, 1, dtype=torch.bool)
    config = meta["config"] | {"scenes": True}
    save_tensors(folder / "dynamics.safetensors", tensors, {"config": config})
    return folder


@pytest.fixture
def tiny(tmp_path) -> WorldModel:
    """The dream of `make_tiny`."""
    return load_world(make_tiny(tmp_path / "model"), CPU)


def dreamed_episode(world: WorldModel, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """The dream's own play: frames uint8 [steps + 1, H, W, C] and buttons uint8 [steps + 1, n]."""
    rng = np.random.default_rng(1)
    pressed = rng.integers(0, 2, (steps + 1, len(BUTTONS)), np.uint8)
    pressed[-1] = 0
    frames = [world.starts["Begin"]]
    state = world.start(frames[0][None, None], np.zeros((1, 0, len(BUTTONS)), np.uint8))
    for action in pressed[:-1]:
        shown, state = world.step(state, action[None])
        frames.append(shown[0])
    return np.stack(frames), pressed


def make_test(frames: np.ndarray, pressed: np.ndarray) -> Split:
    index = np.zeros(len(frames), index_dtype(len(BUTTONS)))
    index["step"] = index["frame"] = np.arange(len(frames))
    index["action"] = pressed
    return Split(frames, index, make_spec())


class Reader:
    """Reads the first pixel; a screen is illegal where that has changed."""

    shape = (32, 32, 3)

    def read(self, frame: np.ndarray) -> int:
        return int(frame[0, 0, 0])

    def checker(self) -> Any:
        seen = []

        def step(read: int) -> Any:
            seen.append(read)
            return SimpleNamespace(reasons=("changed",) if read != seen[0] else ())

        return SimpleNamespace(step=step)


EVERYTHING = Row("everything", (), "nothing is off")


def make_bench(test: Split, starts: list[int], **changes: Any) -> Bench:
    return replace(Bench(test, np.array(starts), None, None, None, 0, 2, 0), **changes)


def shares(found: dict[str, Any]) -> dict[str, float]:
    return {horizon: share["share"] for horizon, share in found["exact"].items()}


def test_a_dream_of_its_own_play_is_exact_and_a_spoilt_frame_is_not(tiny, monkeypatch):
    """Shares are counted over all batches, each horizon at its own step."""
    monkeypatch.setattr(ablate, "HORIZONS", (2, 5))
    frames, pressed = dreamed_episode(tiny, 40)
    starts = [0, 9, 18, 27, 30]
    found = measure(tiny, make_bench(make_test(frames, pressed), starts), EVERYTHING)
    assert shares(found) == {"2": 1.0, "5": 1.0}
    assert found["exact"]["5"]["count"] == 5
    spoilt = frames.copy()
    for record in (9 + 2, 30 + 2, 18 + 5):
        spoilt[record] = 255 - spoilt[record]
    moved = make_test(spoilt, pressed)
    found = measure(tiny, make_bench(moved, [0, 9, 18], batch=3), EVERYTHING)
    assert shares(found) == {"2": 0.6667, "5": 0.6667}


def test_what_the_game_drew_is_given_where_it_says_so(tiny, monkeypatch):
    """For exact frames a dream is told the draws; screens are judged as people see them."""
    monkeypatch.setattr(ablate, "HORIZONS", (3,))
    frames, pressed = dreamed_episode(tiny, 12)
    asked = []

    def step(state: Any, action: np.ndarray, *how: Any, **truth: Any) -> tuple[np.ndarray, Any]:
        asked.append(truth.get("told"))
        return truth.get("truth", np.repeat(frames[:1], len(action), 0)), state

    monkeypatch.setattr(tiny, "step", step)
    draws = np.arange(13) % 2 == 0
    bench = make_bench(make_test(frames, pressed), [2, 3], draws=draws, reader=Reader())
    found = ablate.play(tiny, bench, "row")
    assert shares(found) == {"3": 1.0}
    told = [one.tolist() for one in asked if one is not None]
    assert told == [[False, True], [True, False], [False, True]]
    assert len(asked) == 6
    assert found["illegal"]["of"] == 6


def test_illegal_screens_are_counted_by_dream():
    """At each step, and the dream once; a screen that stays is read once."""
    reads = Counter()

    class Counting(Reader):
        def read(self, frame: np.ndarray) -> int:
            reads["all"] += 1
            return super().read(frame)

    legal = Legality(Counting())
    good, bad = np.zeros((32, 32, 3), np.uint8), np.full((32, 32, 3), 9, np.uint8)
    legal.begin(np.stack([good, good]))
    for frames in ([good, good], [good, bad], [good, bad]):
        legal.see(np.stack(frames))
    legal.begin(np.stack([good]))
    legal.see(np.stack([good]))
    told = legal.report()["illegal"]
    assert (told["screens"], told["of"], told["reasons"]) == (2, 7, {"changed": 2})
    assert (told["dreams"]["share"], told["dreams"]["count"]) == (0.3333, 3)
    assert reads["all"] == 4
    assert Legality(None).report() == {}


def test_the_games_own_screens_are_judged_likewise(tiny, monkeypatch):
    """Whatever the reader says of them it would say of a perfect dream."""
    monkeypatch.setattr(ablate, "HORIZONS", (4,))
    frames, pressed = dreamed_episode(tiny, 12)
    bench = make_bench(make_test(frames, pressed), [1, 5], reader=Reader())
    game = judge_game(bench)["illegal"]
    dream = measure(tiny, bench, EVERYTHING)["illegal"]
    assert game == dream
    assert game["of"] == 8


def test_a_row_switches_off_and_is_measured_in_a_loaded_dream(tiny, monkeypatch):
    """Controllability is a share of its cases."""
    monkeypatch.setattr(ablate, "HORIZONS", (2,))
    monkeypatch.setattr(ablate, "controllability", lambda *_: {"iou": 0.75, "cases": 8})
    frames, pressed = dreamed_episode(tiny, 6)
    rows = {row.name: row for row in rows_of(tiny)}
    assert [*rows] == ["everything", "scenes", "network"]
    bench = make_bench(make_test(frames, pressed), [0], emulator=SimpleNamespace(), states=2)
    found = measure(tiny, bench, rows["scenes"])
    assert found["off"] == ["scenes"]
    assert tiny.dynamics.scenes.all()
    assert (found["controllability"]["share"], found["controllability"]["count"]) == (0.75, 8)


def test_intervals_are_wilsons():
    """60 of 60 may be 94 %; nothing has no share."""
    assert share_of(60, 60) == {"share": 1.0, "low": 0.9398, "high": 1.0, "count": 60}
    assert share_of(30, 60) == {"share": 0.5, "low": 0.3774, "high": 0.6226, "count": 60}
    assert share_of(0, 0) is None
    assert (percent(share_of(57, 60)), percent(None)) == ("95 % (86–98)", "–")


def test_the_table_says_what_is_off_and_what_goes_along():
    """As Markdown, with a sentence for each row."""
    rows = [EVERYTHING, Row("gravity", ("gravity", "buttons"), "the timer")]
    illegal = {"screens": 3, "of": 600, "dreams": share_of(1, 2)}
    found = {"exact": {"10": share_of(57, 60)}, "illegal": illegal}
    found["controllability"] = share_of(8, 8)
    lines = markdown(rows, {"gravity": found}).splitlines()
    line = "gravity | 95 % (86–98) | – | – | 3 of 600 | 50 % (9–91) | 100 % (68–100)"
    assert lines[2] == f"| {line} |"
    assert lines[-1] == "- `gravity`: the timer (with it go buttons)"


# The command


@pytest.fixture
def command(tmp_path, monkeypatch, capsys, tiny):
    """command(*arguments) → (exit code, printed, complained); .cart to name, .measured rows."""
    monkeypatch.setattr("dreamcart.core.paths.ROOT", tmp_path)
    for module in (ablate, ablation_table):
        monkeypatch.setattr(module, "HORIZONS", (2, 4, 6))
    monkeypatch.setattr(ablate, "game_contents", lambda name: {name: "as it is"})
    params = make_params(rollout_eval__control_states=0, rollout_eval__batch_size=2)
    monkeypatch.setattr(script, "load_params", lambda: params)
    frames, pressed = dreamed_episode(tiny, 30)
    save_dreamed(tmp_path / "data" / "toy" / "raw_test", frames, pressed)
    measured = []

    def counted(world: WorldModel, bench: Bench, row: Row) -> dict[str, Any]:
        measured.append(row.name)
        return measure(world, bench, row)

    monkeypatch.setattr(ablate, "measure", counted)

    def run_it(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["ablate.py", *map(str, arguments)])
        code = 0
        try:
            run_stage(script.main)
        except SystemExit as end:
            code = end.code
        return code, *capsys.readouterr()

    run_it.measured, run_it.cart = measured, tmp_path / "carts" / "toy.cart"
    save_cart(run_it.cart, tmp_path / "model", {})
    return run_it


def save_dreamed(folder: Path, frames: np.ndarray, pressed: np.ndarray) -> None:
    """Write an episode as the raw dataset of the game "toy"."""
    rows = make_rows(0, len(frames))
    for row, frame, action in zip(rows, frames, pressed, strict=True):
        row["observations"] = frame
        row["actions"] = row["actions"] and action.tolist()
    write_raw(folder, [rows])


def test_rows_are_kept_and_measured_once(command, tmp_path):
    """The same command goes on; fewer starts are another file; another cart is measured anew."""
    code, printed, complaint = command(command.cart, "--starts", "4", "--rows", "scenes")
    assert (code, command.measured) == (0, ["scenes"]), complaint
    assert "100 % (51–100)" in printed
    code, printed, _ = command(command.cart, "--starts", "4", "--markdown")
    assert (code, command.measured) == (0, ["scenes", "everything", "network"])
    assert printed.count("\n| ") == 6
    file = tmp_path / "metrics" / "toy" / "ablation_4.json"
    kept = json.loads(file.read_text())["rows"]
    assert {row["measured"]["starts"] for row in kept.values()} == {4}
    assert all(row["measured"]["date"] and row["measured"]["cart"] for row in kept.values())
    command.measured.clear()
    assert command(command.cart, "--starts", "4")[0] == 0
    assert command(command.cart, "--starts", "3", "--rows", "network")[0] == 0
    assert command.measured == ["network"]
    assert json.loads(file.read_text())["rows"] == kept
    save_cart(command.cart, make_tiny(tmp_path / "other", seed=5), {})
    code, printed, _ = command(command.cart, "--starts", "4", "--rows", "network")
    assert (code, command.measured) == (0, ["network", "network"])
    assert "everything" not in printed


def test_what_cannot_be_measured_is_one_sentence(command, tmp_path):
    """No such row or cart, a number of starts that is none, a file of rows that is damaged."""
    for arguments in (
        [command.cart, "--rows", "gravitation"],
        [tmp_path / "no.cart"],
        [command.cart, "--starts", "0"],
        [command.cart, "--starts", "many"],
    ):
        code, _, complaint = command(*arguments)
        assert (code, complaint.count("\n"), complaint[:7]) == (2, 1, "error: "), arguments
    file = tmp_path / "metrics" / "toy" / "ablation_4.json"
    file.parent.mkdir(parents=True)
    odd = [1, {"everything": 1}, {"everything": {"measured": 1}}]
    for content in ("{", "[]", "{}", *(json.dumps({"rows": rows}) for rows in odd)):
        file.write_text(content)
        code, _, complaint = command(command.cart, "--starts", "4")
        assert (code, complaint.count("\n")) == (2, 1), content
        assert "delete it and run this again" in complaint
    assert command.measured == []


def test_a_dream_that_is_only_a_network_is_refused(tmp_path):
    """There would be one row."""
    make_tiles_world(tmp_path)
    with pytest.raises(UserError, match="is a network alone") as caught:
        rows_of(load_world(tmp_path, CPU))
    assert_sentence(caught.value)


def test_test_episodes_are_recorded_once_where_there_are_none(tmp_path, monkeypatch, tiny):
    """Those of `rollout_eval` if they are here; else the same, kept, until params change."""
    calls = []

    def record(spec: Any, config: Any, seed: int, play: Any, test: Any) -> None:
        calls.append((config.test_episodes, config.frames, seed))
        save_dreamed(test, *dreamed_episode(tiny, 8))

    monkeypatch.setattr("dreamcart.core.paths.ROOT", tmp_path)
    monkeypatch.setattr(ablate, "record", record)
    monkeypatch.setattr(ablate, "load_game", lambda name: make_spec())
    monkeypatch.setattr(ablate, "game_contents", lambda name: {})
    params = make_params()
    first = episodes_for(tiny, params)
    assert episodes_for(tiny, params) == first
    assert first.parent == tmp_path / "data" / "toy"
    assert calls == [(params.collect.test_episodes, 1, params.seed)]
    assert episodes_for(tiny, replace(params, seed=7)) != first
    save_dreamed(tmp_path / "data" / "toy" / "raw_test", *dreamed_episode(tiny, 8))
    assert episodes_for(tiny, params) == tmp_path / "data" / "toy" / "raw_test"
    assert len(calls) == 2
    write_raw(tmp_path / "data" / "toy" / "raw_test", [], make_spec(buttons=BUTTONS[:-1], keys={}))
    with pytest.raises(UserError, match="buttons") as caught:
        episodes_for(tiny, params)
    assert_sentence(caught.value)
