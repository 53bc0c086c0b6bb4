"""Emberling's screens read back: equal to RAM on real play, legal there, and faults found."""

from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest

from dreamcart.data.scripts import make_policy
from dreamcart.evaluation.readback import judge, legality, load_reader, state_scores
from dreamcart.games.catalog import load_game

SPEC = load_game("emberling")
READER = load_reader(SPEC)
STEPS = 110
PLAYS = [
    ("bot", "Level1", 0),
    ("bot", "Goal1", 6),
    ("bot", "Level4", 1),
    ("lean", "Pools1", 1),
    ("held", "LastLife", 3),
    ("menu", "Title", 4),
]


@pytest.fixture(scope="module")
def plays(console):
    """Record PLAYS at two frames a step: frames, RAM variables and reads."""
    recorded = {}
    for play in PLAYS:
        name, state, seed = play
        policy, rng = make_policy(name, SPEC), np.random.default_rng(seed)
        console.load(state, seed=seed)
        frames, variables = [console.screen], [console.info]
        for _ in range(STEPS):
            console.frame(*policy.act(variables[-1], rng), times=2)
            frames.append(console.screen)
            variables.append(console.info)
        reads = [READER.read(frame) for frame in frames]
        recorded[play] = SimpleNamespace(frames=frames, variables=variables, reads=reads)
    return recorded


@pytest.mark.parametrize("play", PLAYS, ids=lambda play: "-".join(map(str, play)))
def test_reads_equal_ram(plays, play):
    recorded = plays[play]
    for step, (read, variables) in enumerate(zip(recorded.reads, recorded.variables, strict=True)):
        truth = READER.truth(variables)
        assert {name: read[name] for name in truth} == truth, step


def test_the_plays_meet_what_there_is(plays):
    reads = [read for play in plays.values() for read in play.reads]
    assert {read["scene"] for read in reads} == {"title", "dark", "play"}
    assert {read["message"] for read in reads} >= {None, "NONE", "READY", "DONE", "PAUSED"}
    assert {read["pose"] for read in reads} >= {"idle1", "run1", "run2", "run3", "jump", "fall"}
    assert len({read["score"] for read in reads}) > 10


def test_real_play_is_legal_and_its_events_are_seen(plays):
    events = Counter()
    for play in plays.values():
        judged = judge(READER, play.reads)
        assert legality([judged])["illegal"] == 0
        events.update(event for step in judged.events for event in step)
    assert events["points"] >= 8
    assert events["level"] == 1
    assert events["life lost"] >= 1


def test_a_soft_picture_reads_the_same(plays):
    """A decoder shimmers."""
    rng = np.random.default_rng(0)
    for play in PLAYS[:3]:
        for step in range(0, STEPS, 11):
            soft = plays[play].frames[step] + rng.normal(0, 12, (224, 240, 3))
            read = READER.read(np.clip(soft, 0, 255).astype(np.uint8))
            assert read == plays[play].reads[step], step


def test_what_is_no_screen_is_none():
    noise = np.random.default_rng(0).integers(0, 256, (224, 240, 3), dtype=np.uint8)
    for frame in (noise, np.full_like(noise, 90)):
        read = READER.read(frame)
        assert (read["scene"], read["score"], read["player"]) == (None, None, None)


@pytest.mark.parametrize(
    ("shape", "kind"), [((224, 256, 3), np.uint8), ((224, 240, 3), np.float32)]
)
def test_another_shape_is_refused(shape, kind):
    with pytest.raises(ValueError, match="224, 240, 3"):
        READER.read(np.zeros(shape, kind))


def in_play(plays):
    """Find a frame with the player in the open. Returns it and its read."""
    play = plays[PLAYS[0]]
    for frame, read in zip(play.frames, play.reads, strict=True):
        if read["player"] and 60 < read["player"][0] < 180 and read["player"][1] < 185:
            return frame.copy(), read
    raise AssertionError


def test_faults_are_found(plays):
    frame, read = in_play(plays)
    x, y = read["player"]
    sprite = frame[y : y + 16, x : x + 16].copy()
    wall = frame[40:56, 100:116].copy()

    def reasons(change):
        changed = frame.copy()
        change(changed)
        return judge(READER, [READER.read(changed)], [read]).reasons[0]

    def moved(picture, far):
        picture[y : y + 16, x : x + 16] = wall
        picture[y : y + 16, x + far : x + far + 16] = sprite

    def paint(picture, place, content):
        picture[place] = content

    assert reasons(lambda picture: None) == ()
    assert reasons(lambda p: moved(p, 8)) == ()
    assert reasons(lambda p: moved(p, 30)) == ("jump",)
    two = slice(y, y + 16), slice(x + 40, x + 56)
    assert reasons(lambda p: paint(p, two, sprite)) == ("two players",)
    if y < 160:
        here = slice(y, y + 16), slice(x, x + 16)
        assert reasons(lambda p: paint(p, here, wall)) == ("player gone",)
    digits = slice(8, 16), slice(8, 48)
    assert reasons(lambda p: paint(p, digits, 128)) == ("no bar",)
    fewer = dict(read, score=read["score"] + 10)
    assert judge(READER, [read], [fewer]).reasons[0] == ("points",)
    assert judge(READER, [dict(read, lives=1)], [read]).reasons[0] == ("lives",)
    assert judge(READER, [dict(read, level=3)], [read]).reasons[0] == ("level",)


def test_scores_compare_what_the_game_shows(plays):
    frame, read = in_play(plays)
    assert set(READER.score(read, read).values()) == {1.0}
    x, y = read["player"]
    far = dict(read, player=(x + 9, y), lives=0, score=None)
    assert READER.score(read, far) == {
        "player": 1.0, "player_near": 0.0, "points": 0.0, "lives": 0.0, "level": 1.0
    }  # fmt: skip
    title = plays[PLAYS[-1]].reads[0]
    assert set(READER.score(title, read).values()) == {None}
    variables = plays[PLAYS[0]].variables[5]
    shown = READER.read(plays[PLAYS[0]].frames[5])
    table = state_scores(READER, [{5: shown}], [{5: shown}], [5], [{5: variables}])
    assert table["5"] == {
        "player": 1.0, "player_near": 1.0, "points": 1.0, "lives": 1.0, "level": 1.0, "count": 1
    }  # fmt: skip
    assert frame[READER.field].shape == (200, 240, 3)
