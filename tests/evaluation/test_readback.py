"""Blockfall's screens read back: equal to RAM on real play, legal on real play, and every kind of
fault found.
"""

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from toys.reads import score_rollout
from toys.synthetic import make_spec

from dreamcart.data.scripts import make_policy
from dreamcart.evaluation.readback import (
    judge,
    legality,
    load_reader,
    match_events,
    state_scores,
    summarise,
)
from dreamcart.games.catalog import load_game
from dreamcart.games.emulator import open_emulator

Read = dict[str, Any]
STEPS = 150
# game, policy, start state, seed; between them every scene, phase and panel text
PLAYS = [
    ("blockfall", "bot", "PlayA", 0),
    ("blockfall", "bot", "NearClearA", 0),
    ("blockfall", "held", "HighA", 0),
    ("blockfall", "menu", "HighA", 4),
    ("blockfall", "menu", "Title", 1),
    ("blockfall_b", "held", "PlayB", 2),
]
READER = load_reader(load_game("blockfall"))


@pytest.fixture(scope="module")
def plays() -> Iterator[dict[tuple[str, ...], SimpleNamespace]]:
    """Scripted play: frames, RAM variables and reads of each of PLAYS."""
    pytest.importorskip("stable_retro")
    recorded = {}
    for game in dict.fromkeys(play[0] for play in PLAYS):
        spec = load_game(game)
        emulator = open_emulator(spec)
        for play in PLAYS:
            if play[0] != game:
                continue
            _, name, state, seed = play
            policy, rng = make_policy(name, spec), np.random.default_rng(seed)
            frames, variables = [emulator.reset(state, seed)], [emulator.variables()]
            for _ in range(STEPS):
                frames.append(emulator.step(spec.vector(policy.act(variables[-1], rng)))[0])
                variables.append(emulator.variables())
            reads = [READER.read(frame) for frame in frames]
            recorded[play] = SimpleNamespace(frames=frames, variables=variables, reads=reads)
        emulator.close()
    return recorded


def equal(read: Read, truth: Read) -> bool:
    return all(
        np.array_equal(value, truth[key]) if key == "board" else value == truth[key]
        for key, value in read.items()
    )


# ---- reading ----------------------------------------------------------------


@pytest.mark.parametrize("play", PLAYS, ids=lambda play: "-".join(map(str, play)))
def test_reads_equal_ram(plays: dict, play: tuple) -> None:
    recorded = plays[play]
    for step, (read, variables) in enumerate(zip(recorded.reads, recorded.variables, strict=True)):
        assert equal(read, READER.truth(variables)), (step, read)


def test_the_plays_meet_every_scene(plays: dict) -> None:
    reads = [read for play in plays.values() for read in play.reads]
    assert {read["scene"] for read in reads} == {"title", "play", "game_over"}
    assert {read["paused"] for read in reads} == {None, False, True}
    assert {read["mode"] for read in reads} == {0, 1}
    assert any(read["clearing"] for read in reads)
    assert max(read["lines"] or 0 for read in reads) >= 4


def test_a_soft_picture_reads_the_same(plays: dict) -> None:
    """A decoder shimmers, and may even get a pixel of a cell wrong."""
    recorded, rng = plays[PLAYS[1]], np.random.default_rng(0)
    for step in range(0, STEPS, 10):
        soft = np.clip(recorded.frames[step] + rng.normal(0, 15, (224, 240, 3)), 0, 255).astype(
            np.uint8
        )
        assert equal(READER.read(soft), recorded.reads[step])
        dotted = recorded.frames[step].copy()
        dotted[44::8, 28::8] = 255 - dotted[44::8, 28::8]
        assert READER.read(dotted)["static_ok"]


def test_what_is_no_screen_is_none() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (224, 240, 3), dtype=np.uint8)
    for frame in (noise, np.full_like(noise, 90)):
        read = READER.read(frame)
        assert (read["scene"], read["board"], read["static_ok"]) == (None, None, False)


@pytest.mark.parametrize(
    ("shape", "kind"), [((224, 256, 3), np.uint8), ((224, 240, 3), np.float32)]
)
def test_another_shape_is_refused(shape: tuple, kind: type) -> None:
    with pytest.raises(ValueError, match="224, 240, 3"):
        READER.read(np.zeros(shape, kind))


def test_the_playfield_is_the_well() -> None:
    """Of the right size, and where the reader reads the board: a picture of it alone changes no
    other read.
    """
    rows, columns = READER.field
    assert (rows.stop - rows.start, columns.stop - columns.start) == (160, 80)
    console_shows = np.zeros((224, 240, 3), np.uint8)
    console_shows[READER.field] = 1
    cells = console_shows[::8, ::8, 0].ravel()
    assert set(np.flatnonzero(cells)) == set(READER.board.cells.tolist())


def test_games_without_a_reader() -> None:
    assert load_reader(load_game("blockfall_b")).shape == (224, 240, 3)
    assert load_reader(make_spec()) is None


# ---- the checker --------------------------------------------------------------


@pytest.mark.parametrize("play", PLAYS, ids=lambda play: "-".join(map(str, play)))
def test_real_play_is_legal_and_its_events_are_those_of_ram(plays: dict, play: tuple) -> None:
    recorded = plays[play]
    judged = judge(READER, recorded.reads)
    assert [(step, why) for step, why in enumerate(judged.reasons) if why] == []
    for step in range(1, STEPS):
        before, now = recorded.variables[step - 1 : step + 1]
        falls = before["scene"] == now["scene"] == 1 and before["pieces"] == now["pieces"]
        spawn = now["scene"] == 1 and (before["pieces"] != now["pieces"] or before["scene"] != 1)
        clear = (before["phase"], now["phase"]) == (0, 2)
        over = before["game_over"] < now["game_over"]
        expected = {
            "spawn": spawn,
            # without full rows a lock is seen as late as the next piece
            "lock": (
                clear or (before["scene"] == 1 and (spawn or over) and not cleared(recorded, step))
            ),
            "clear": clear,
            "game_over": over,
            "shift_left": falls and before["piece_x"] > now["piece_x"],
            "shift_right": falls and before["piece_x"] < now["piece_x"],
            **{
                name: falls and name == turned(before, now)
                for name in ("rotate", "rotate_left", "rotate_right")
            },
        }
        assert judged.events[step] == {name for name, happens in expected.items() if happens}, step


def turned(before: dict, now: dict) -> str | None:
    """What a turn shows: which way, but for pieces of two pictures."""
    turns = len(READER.cells[now["piece_type"]])
    turn = (now["piece_rot"] - before["piece_rot"]) % turns
    if turn == 0:
        return None
    return "rotate" if turns == 2 else {1: "rotate_right", turns - 1: "rotate_left"}[turn]


def cleared(recorded: SimpleNamespace, step: int) -> bool:
    """Did the last piece fill rows? Then its lock was seen when they began to show."""
    piece = recorded.variables[step - 1]["pieces"]
    while step and recorded.variables[step - 1]["pieces"] == piece:
        step -= 1
        if recorded.variables[step]["phase"] == 2:
            return True
    return False


def cell(frame: np.ndarray, x: int, y: int) -> np.ndarray:
    """The picture of the well's cell (x, y): a view."""
    return frame[40 + 8 * y : 48 + 8 * y, 24 + 8 * x : 32 + 8 * x]


def spot(frame: np.ndarray, x: int, y: int, height: int = 8) -> np.ndarray:
    """The picture of a cell of the whole screen, counted as in assets.py: a view."""
    return frame[8 * y - 8 : 8 * y - 8 + height, 8 * x - 8 : 8 * x]


def erase_one(frame: np.ndarray, piece: list) -> None:
    cell(frame, *piece[0])[:] = 0


def move_half(frame: np.ndarray, piece: list) -> None:
    for x, y in piece[:2]:
        cell(frame, x, y - 3)[:] = cell(frame, x, y)
        cell(frame, x, y)[:] = 0


def teleport(frame: np.ndarray, piece: list) -> None:
    picture = cell(frame, *piece[0]).copy()
    for x, y in piece:
        cell(frame, x, y)[:] = 0
    for x, y in piece:
        cell(frame, x, y - 3)[:] = picture


def cut_off(frame: np.ndarray, piece: list) -> None:
    """What is seen of the piece when its left column is beyond the wall."""
    picture, left = cell(frame, *piece[0]).copy(), min(x for x, _ in piece)
    for x, y in piece:
        cell(frame, x, y)[:] = 0
    for x, y in piece:
        if x > left:
            cell(frame, x - left - 1, y)[:] = picture


def drop_piece(frame: np.ndarray, piece: list) -> None:
    for x, y in piece:
        cell(frame, x, y)[:] = 0


def shift_row(frame: np.ndarray, piece: list) -> None:
    frame[40 + 8 * 19 : 48 + 8 * 19, 24:104] = np.roll(
        frame[40 + 8 * 19 : 48 + 8 * 19, 24:104], 8, axis=1
    )


def lose_row(frame: np.ndarray, piece: list) -> None:
    frame[48:200, 24:104] = frame[40:192, 24:104].copy()


def spoil_cell(frame: np.ndarray, piece: list) -> None:
    cell(frame, 0, 2)[:4] = (0, 112, 232)


def wrong_digit(frame: np.ndarray, piece: list) -> None:
    """A 7 in the score's tens."""
    top, low = np.argwhere(READER.digit == 7)[0]
    for y, pictures, number in ((4, READER.tops.pictures, top), (5, READER.lows.pictures, low)):
        spot(frame, 23, y)[:] = pictures[number].reshape(8, 8, 3)


def no_digit(frame: np.ndarray, piece: list) -> None:
    spot(frame, 24, 4)[:] = 0


def blank_next(frame: np.ndarray, piece: list) -> None:
    frame[128:144, 136:168] = 0


def other_next(frame: np.ndarray, piece: list) -> None:
    """An O in NEXT, drawn with the tile that is the second of pieces."""
    blank_next(frame, piece)
    picture = READER.board.pictures[2].reshape(8, 8, 3)
    for x, y in ((19, 17), (20, 17), (19, 18), (20, 18)):
        spot(frame, x, y)[:] = picture


def break_wall(frame: np.ndarray, piece: list) -> None:
    spot(frame, 1, 20)[:] = 0


def wrong_text(frame: np.ndarray, piece: list) -> None:
    spot(frame, 20, 24)[:] = spot(frame, 20, 3)


CORRUPT = [
    (erase_one, "half piece"),
    (move_half, "half piece"),
    (teleport, "jump"),
    (cut_off, "piece outside"),
    (drop_piece, "piece gone"),
    (shift_row, "board"),
    (lose_row, "board"),
    (spoil_cell, "cell"),
    (wrong_digit, "digit"),
    (no_digit, "digit"),
    (blank_next, "next"),
    (other_next, "next"),
    (break_wall, "static"),
    (wrong_text, "text"),
]


@pytest.fixture(scope="module")
def falling(plays: dict) -> tuple[SimpleNamespace, int]:
    """A play and a step of it at which a piece falls in the middle of the well, above a stack."""
    recorded = plays[PLAYS[2]]
    for step in range(20, STEPS):
        truth = READER.truth(recorded.variables[step])
        steady = recorded.variables[step - 1]["pieces"] == recorded.variables[step + 1]["pieces"]
        if truth["scene"] == "play" and steady and not truth["paused"] and truth["piece"]:
            x, y = np.array(truth["piece"]) % 10, np.array(truth["piece"]) // 10
            if x.min() > 1 and x.max() < 8 and y.min() > 2 and truth["next"] != 1:
                return recorded, step
    raise AssertionError("no such step")


@pytest.mark.parametrize(
    ("corrupt", "reason"), CORRUPT, ids=[corrupt.__name__ for corrupt, _ in CORRUPT]
)
def test_a_fault_is_found_and_counted_once(falling: tuple, corrupt: Callable, reason: str) -> None:
    recorded, step = falling
    frame = recorded.frames[step].copy()
    corrupt(
        frame,
        [(cells % 10, cells // 10) for cells in READER.truth(recorded.variables[step])["piece"]],
    )
    reads = [*recorded.reads[:step], READER.read(frame), *recorded.reads[step + 1 :]]
    reasons = judge(READER, reads).reasons
    assert {number: why for number, why in enumerate(reasons) if why} == {step: (reason,)}


def test_a_lasting_change_is_counted_once(falling: tuple) -> None:
    """The screen shown counts as true after a fault."""
    recorded, step = falling
    reads = list(recorded.reads[:step])
    for frame in recorded.frames[step:]:
        frame = frame.copy()
        if READER.read(frame)["scene"] == "play":
            cell(frame, 0, 19)[:] = cell(frame, 2, 19)
            cell(frame, 5, 19)[:] = 0
        reads.append(READER.read(frame))
        if reads[-1]["scene"] != "play" or reads[-1]["clearing"]:
            break
    reasons = judge(READER, reads[:-1]).reasons
    assert len(reads) - step > 10
    assert [number for number, why in enumerate(reasons) if why] == [step]


def changed(read: Read, **values: Any) -> Read:
    return read | values


def test_clears_are_checked(plays: dict) -> None:
    recorded = plays[PLAYS[1]]
    show = next(i for i, read in enumerate(recorded.reads) if read["clearing"])
    gone = next(i for i in range(show, STEPS) if not recorded.reads[i]["clearing"])
    read, rows = recorded.reads[gone], recorded.reads[show]["clearing"]

    def why(step: int, last: Read) -> tuple[str, ...]:
        return judge(READER, [*recorded.reads[:step], last]).reasons[-1]

    assert why(gone, read) == ()
    assert why(gone, changed(read, score=read["score"] - 10)) == ("digit",)
    assert why(gone, changed(read, lines=read["lines"] + 1)) == ("digit",)
    assert why(gone, changed(read, level=read["level"] + 1)) == ("digit",)
    assert why(gone, changed(read, board=np.roll(read["board"], 1, axis=0))) == ("board",)
    # rows vanish that did not show full, rows show full that are not, a full row stays
    assert "board" in why(show, read)
    wrong = recorded.reads[show]["board"].copy()
    wrong[rows[0] - 1] = 8
    assert why(show, changed(recorded.reads[show], board=wrong, clearing=[rows[0] - 1, *rows])) == (
        "board",
    )


def test_locks_are_checked(plays: dict) -> None:
    recorded = plays[PLAYS[0]]
    spawn = next(
        i for i, events in enumerate(judge(READER, recorded.reads).events) if "lock" in events
    )
    read, before = recorded.reads[spawn], READER.truth(recorded.variables[spawn - 5])
    locked = before["locked"].ravel()
    piece = np.flatnonzero(READER.truth(recorded.variables[spawn])["locked"].ravel() != locked)
    assert piece.min() > 100  # else there is no room above

    def why(board: np.ndarray, **values: Any) -> tuple[str, ...]:
        return judge(
            READER, [*recorded.reads[:spawn], changed(read, board=board.reshape(20, 10), **values)]
        ).reasons[-1]

    flat = read["board"].ravel()
    higher = flat.copy()
    higher[piece], higher[piece - 30] = 0, flat[piece]
    assert why(higher) == ("board",)
    other = flat.copy()  # NEXT showed no O
    other[:20][other[:20] > 0] = 0
    other[[4, 5, 14, 15]] = 2
    assert recorded.reads[spawn - 1]["next"] != 1
    assert why(other)[0] == "next"
    assert why(flat, next=(read["next"] + 1) % 7) == ("next",)


# ---- scores -----------------------------------------------------------------------


def test_events_match_within_the_tolerance() -> None:
    real = [set(), {"spawn"}, set(), {"shift"}, {"shift"}, set(), set(), {"lock", "spawn"}]
    dream = [{"spawn"}, set(), {"shift"}, set(), set(), {"shift"}, set(), {"lock"}]
    assert match_events(real, real) == {
        "lock": {"real": 1, "dream": 1, "matched": 1},
        "shift": {"real": 2, "dream": 2, "matched": 2},
        "spawn": {"real": 2, "dream": 2, "matched": 2},
    }
    assert match_events(real, dream) == {
        "lock": {"real": 1, "dream": 1, "matched": 1},
        "shift": {"real": 2, "dream": 2, "matched": 2},
        "spawn": {"real": 2, "dream": 1, "matched": 1},
    }
    assert match_events(real, dream, tolerance=0)["shift"]["matched"] == 0
    assert match_events([set()], [set()]) == {}
    # one dreamed event pairs with one real one
    assert match_events([{"a"}, {"a"}, {"a"}], [set(), {"a"}, set()])["a"]["matched"] == 1


def test_summary_rates_each_event_and_all() -> None:
    one = {"shift": {"real": 4, "dream": 2, "matched": 2}}
    two = {
        "shift": {"real": 0, "dream": 2, "matched": 0},
        "lock": {"real": 1, "dream": 0, "matched": 0},
    }
    table = summarise([one, two])
    assert table["shift"] == {
        "real": 4,
        "dream": 4,
        "matched": 2,
        "recall": 0.5,
        "precision": 0.5,
        "f1": 0.5,
    }
    assert table["lock"] == {
        "real": 1,
        "dream": 0,
        "matched": 0,
        "recall": 0.0,
        "precision": None,
        "f1": 0.0,
    }
    assert list(table)[-1] == "all"
    assert table["all"]["real"] == 5
    assert summarise([]) == {}


def test_legality_counts_screens_and_reasons() -> None:
    judged = [
        SimpleNamespace(reasons=[(), ("digit",), ("digit", "next"), ()]),
        SimpleNamespace(reasons=[()] * 6),
    ]
    assert legality(judged) == {
        "steps": 10,
        "illegal": 2,
        "share": 0.2,
        "until_first": 3.5,
        "reasons": {"digit": 2, "next": 1},
    }
    assert legality([])["share"] is None


def test_rollout_scores(plays: dict, falling: tuple) -> None:
    """The real frames score one; a dream that stands still loses board and events, and hangs."""
    recorded, step = falling
    real = np.stack(recorded.frames[step + 1 : step + 31])
    variables = recorded.variables[step + 1 : step + 31]
    context = np.stack(recorded.frames[step - 3 : step + 1])
    perfect = score_rollout(READER, context, real, real, [1, 30], variables)
    for scores in perfect["states"].values():
        assert {scores[name] for name in ("board_cells", "digits", "next")} == {1.0}
        assert scores["count"] == 1
    assert perfect["states"]["1"]["piece"] == 1.0
    assert perfect["events"]["all"]["f1"] == 1.0
    assert perfect["legality"]["illegal"] == 0
    still = score_rollout(
        READER, context, real, np.repeat(context[-1:], 30, axis=0), [30], variables
    )
    assert still["states"]["30"]["board_cells"] < 1
    assert still["events"]["all"]["recall"] == 0.0
    assert still["legality"]["reasons"] == {"frozen": 1}


def test_state_scores_see_single_faults(falling: tuple) -> None:
    recorded, step = falling
    frame, read, variables = (
        recorded.frames[step].copy(),
        recorded.reads[step],
        [{1: recorded.variables[step]}],
    )
    piece = READER.truth(recorded.variables[step])["piece"]
    erase_one(frame, [(cells % 10, cells // 10) for cells in piece])
    blank_next(frame, [])
    no_digit(frame, [])
    expected = {"board_cells": 0.995, "piece": 0.0, "digits": 0.0, "next": 0.0, "count": 1}
    dream = [{1: READER.read(frame)}]
    assert state_scores(READER, [{1: read}], dream, [1], variables) == {"1": expected}
    assert state_scores(READER, [{1: read}], dream, [1])["1"]["piece"] is None
    shifted = changed(read, board=read["board"].copy())
    shifted["board"][19] = np.roll(shifted["board"][19], 1)
    locked_alone = state_scores(READER, [{1: read}], [{1: shifted}], [1], variables)["1"]
    assert locked_alone["board_cells"] < 1
    assert state_scores(READER, [{1: changed(read, scene="title")}], dream, [1])["1"]["count"] == 0
    assert (
        state_scores(READER, [{1: read}], [{1: READER.read(np.zeros_like(frame))}], [1], variables)[
            "1"
        ]["board_cells"]
        == 0.0
    )
