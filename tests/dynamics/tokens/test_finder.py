"""Finding things that move: whole or in part, whatever hides or colours them, and kept in mind
where nothing shows them.
"""

import numpy as np
import pytest
from toys.flight import HEIGHT, Tiled, picture
from toys.flight_kinds import kinds

from dreamcart.dynamics.tokens.inertia import FAR, stamp
from dreamcart.dynamics.tokens.movers import finder as finding
from dreamcart.dynamics.tokens.movers.finder import MOST_TRIED, Finder
from dreamcart.dynamics.tokens.movers.kinds import MOST_THINGS, UNSEEN, drawn, shown_of, ways_before
from dreamcart.dynamics.tokens.movers.looks import with_looks
from dreamcart.dynamics.tokens.movers.mind import AMONG, keep_in_mind

BALL, BAT = 0, 1


def found(finder: Finder, tiled: Tiled, shown: np.ndarray) -> list[tuple[int, ...]]:
    places = finder.find(tiled(shown))
    assert places.shape == (MOST_THINGS, 3)
    assert places.dtype == np.int16
    return sorted(tuple(thing) for thing in places.tolist() if thing[0] >= 0)


GAME = kinds((1, 2, 2), (1, 2, 8))


@pytest.mark.parametrize(
    ("ball", "bat", "seen"),
    [
        ((5, 7), (20, 10), [(BALL, 5, 7), (BAT, 20, 10)]),
        ((18, 12), (20, 10), [(BALL, 18, 12), (BAT, 20, 10)]),  # they touch
        ((19, 12), (20, 10), [(BALL, 19, 12), (BAT, 20, 10)]),  # half of the ball is before the bat
        ((20, 12), (20, 10), [(BAT, 20, 10)]),  # nothing of it is to be seen
        ((-1, 12), (20, 10), [(BALL, -1, 12), (BAT, 20, 10)]),  # the screen's edge hides a half
        ((0, 0), (22, 24), [(BALL, 0, 0), (BAT, 22, 24)]),
    ],
)
def test_things_are_found_also_where_they_touch(ball, bat, seen):
    # and one of another colour, which is no mover
    shown = picture((1, *ball, 2, 2), (1, *bat, 2, 8), (2, 10, 1, 2, 2))
    tiled = Tiled(shown)
    assert found(Finder(tiled.tiles, GAME), tiled, shown) == seen


def test_a_wall_hides_a_part_of_a_thing_and_is_no_thing():
    walled = kinds((1, 2, 2), (1, 2, 8), fields=[[4, 4, 20, 28], [4, 4, 20, 28]])
    for y, x, seen in (
        (5, 7, True),
        (3, 7, True),
        (3, 3, True),
        (19, 27, True),
        (5, 4, True),
        (2, 7, False),
    ):
        shown = picture((1, y, x, 2, 2), (1, 14, -1, 2, 8))
        shown[:4], shown[20:], shown[:, :4], shown[:, 28:] = 2, 2, 2, 2
        tiled = Tiled(shown)
        things = found(Finder(tiled.tiles, walled), tiled, shown)
        assert things == [(BALL, y, x)] * seen + [(BAT, 14, -1)]
        drawn_again = np.full_like(shown, 2)
        drawn_again[4:20, 4:28] = 0
        for one in things:
            for part in drawn(walled.numpy(), *one):
                stamp(drawn_again, part, part.colour)
        np.testing.assert_array_equal(drawn_again, shown)


def test_a_thing_takes_the_colours_of_its_lines():
    tinted = kinds((1, 2, 2), (1, 2, 8))
    tinted.tints[:, 8:10], tinted.tints[:, 10:12] = 3, 4
    for y, colours in ((7, [1, 3]), (8, [3, 3]), (9, [3, 4]), (11, [4, 1])):
        shown = picture((colours[0], y, 7, 1, 2), (colours[1], y + 1, 7, 1, 2), (1, 20, 10, 2, 8))
        tiled = Tiled(shown)
        assert found(Finder(tiled.tiles, tinted), tiled, shown) == [(BALL, y, 7), (BAT, 20, 10)]
        assert [part.colour for part in drawn(tinted.numpy(), BALL, y, 7)] == sorted(set(colours))


@pytest.mark.parametrize(
    ("ball", "seen"),
    [
        ((20, 12), True),  # the bat is seen at both sides of it
        ((20, 9), True),  # half before it
        ((19, 10), True),
        ((20, 11), True),
    ],
)
def test_what_another_thing_covers_is_found_by_what_is_left_of_it(ball, seen):
    game = kinds((2, 2, 2), (1, 2, 8))
    shown = picture((1, 20, 10, 2, 8), (2, *ball, 2, 2))
    tiled = Tiled(shown)
    assert (
        found(Finder(tiled.tiles, game), tiled, shown) == [(BALL, *ball)] + [(BAT, 20, 10)] * seen
    )
    # half a bat that nothing covers is none, nor is one too long
    for torn in (
        picture((1, 20, 10, 2, 5), (2, 4, 4, 2, 2)),
        picture((1, 20, 10, 2, 9), (2, 20, 12, 2, 2)),
    ):
        tiled = Tiled(torn)
        assert [kind for kind, *_ in found(Finder(tiled.tiles, game), tiled, torn)] == [BALL]


def test_where_and_in_which_colours_things_are_seen_is_found_in_recordings():
    """A ball in a box; two of its lines are blue, and another is drawn twice."""
    rng = np.random.default_rng(0)

    def shown(y: int, x: int) -> np.ndarray:
        ball = picture((1, y, x, 2, 2))
        ball = np.insert(ball, 15, ball[14], 0)[:HEIGHT]
        ball[10:12][ball[10:12] == 1] = 3
        inside = ball[4:20, 4:28].copy()
        ball = picture((2, 3, 3, 18, 26))
        ball[4:20, 4:28] = inside
        return ball

    screens = [shown(rng.integers(2, 22), rng.integers(2, 30)) for _ in range(1500)]
    tiled = Tiled(*screens)
    tokens = np.stack([tiled(one) for one in screens])
    steps = np.arange(len(screens) - 1)
    table = with_looks(kinds((1, 2, 2)), tiled.tiles, tokens, steps, steps + 1)
    assert table.fields.tolist() == [[4, 4, 20, 28]]
    assert table.tints[0].tolist() == [3 if line in (10, 11) else 1 for line in range(HEIGHT)]
    assert np.flatnonzero(table.taller[0]).tolist() == [13, 14]
    finder = Finder(tiled.tiles, table)
    for y, top, height in ((12, 12, 2), (13, 13, 3), (14, 14, 3), (15, 16, 2)):
        one = shown(y, 9)
        assert found(finder, tiled, one) == [(BALL, top, 9)]
        assert sum(part.mask.sum() for part in drawn(table.numpy(), BALL, top, 9)) == 2 * height


def test_a_field_ends_where_the_last_part_of_a_thing_is_seen():
    """A ball that moves by two pixels is whole from the sixth line on; half of it is to be seen in
    the fifth.
    """
    rng = np.random.default_rng(0)

    def shown(y: int, x: int) -> np.ndarray:
        ball = picture((1, y, x, 2, 2))
        ball[:5] = 2
        return ball

    screens = [shown(2 * rng.integers(1, 12), 2 * rng.integers(0, 15)) for _ in range(1500)]
    tiled = Tiled(*screens)
    tokens, steps = np.stack([tiled(one) for one in screens]), np.arange(len(screens) - 1)
    table = with_looks(kinds((1, 2, 2)), tiled.tiles, tokens, steps, steps + 1)
    assert table.fields.tolist() == [[5, 0, HEIGHT, 30]]
    assert found(Finder(tiled.tiles, table), tiled, shown(4, 8)) == [(BALL, 4, 8)]


def test_there_is_room_for_a_few_things_and_no_more_are_looked_for(monkeypatch):
    shown = picture(*((1, 4 * n, 8 * m, 2, 2) for n in range(5) for m in range(4)))
    tiled, looked_at, parts = Tiled(shown), [], Finder._parts
    monkeypatch.setattr(Finder, "_parts", lambda *given: looked_at.append(given) or parts(*given))
    assert len(found(Finder(tiled.tiles, GAME), tiled, shown)) == MOST_THINGS == len(looked_at)


def test_on_a_crowded_screen_only_so_many_places_are_tried(monkeypatch):
    """Dots, each of which might be what is left to be seen of a large thing, at some hundred
    places.
    """
    game = kinds((2, 2, 2), (1, 12, 16))
    dots = [(1, 3 * n + 1, 3 * m + 1, 1, 1) for n in range(7) for m in range(10)]
    shown = picture(*dots, (2, 22, 20, 2, 2))
    tiled, tried = Tiled(shown), []
    assert len(dots) * 12 * 16 > 2 * MOST_TRIED
    monkeypatch.setattr(finding, "shown_of", lambda *given: tried.append(given) or shown_of(*given))
    assert found(Finder(tiled.tiles, game), tiled, shown) == [(0, 22, 20)]
    assert MOST_TRIED <= len(tried) < MOST_TRIED + 10


def test_how_a_thing_came_is_followed_back_as_long_as_it_is_seen():
    past = np.full((1, 4, MOST_THINGS, 3), -1)
    past[0, 3, 1] = BALL, 10, 10
    past[0, 2, 0] = BALL, 7, 12
    past[0, 2, 1] = BALL, 7 + 2 * FAR, 12
    past[0, 0, 0] = BALL, 7, 12  # after a screen without one: who knows whether it is the same
    ways = ways_before(past, np.array([[BALL, 13, 8]]))
    assert ways[0].tolist() == [[FAR + 3, FAR - 2], [FAR + 3, FAR - 2], [UNSEEN] * 2, [UNSEEN] * 2]
    assert (ways_before(past, np.array([[BAT, 13, 8]])) == UNSEEN).all()


def test_what_is_not_seen_for_a_moment_is_kept_in_mind():
    found = np.full((2, 7, MOST_THINGS, 3), -1, np.int16)
    for step, place in enumerate(((5, 5), (7, 6), (9, 7), None, (13, 9), None, None)):
        if place:
            found[0, step, 0] = BALL, *place
    found[1, :2, 0] = BALL, 5, 5
    found[1, 5] = BALL, 9, 9
    things, lost = keep_in_mind(found, lambda *_: None)
    assert things[0, :, 0].tolist() == [[BALL, 5 + 2 * step, 5 + step] for step in range(7)]
    assert lost[0, :, 0].tolist() == [0, 0, 0, 1, 0, 1, 2]
    assert (things[0, :, 1:] == -1).all()
    assert things[1, 2:5, 0].tolist() == [[BALL, 5, 5], [BALL, 5, 5], [-1, -1, -1]]  # not for ever
    # of one way only is it known where it should be
    assert things[1, 6, 0].tolist() == [-1, -1, -1]
    assert (keep_in_mind(found[:, :2], lambda *_: None)[0] == found[:, :2]).all()
    things, lost = keep_in_mind(
        found, lambda row, step, thing: (thing[1] + 1, thing[2]) if row == 0 else None
    )
    assert things[0, 3:, 0].tolist() == [[BALL, 10, 7], [BALL, 13, 9], [BALL, 14, 9], [BALL, 15, 9]]
    assert lost[0, 3:, 0].tolist() == [AMONG, 0, AMONG, AMONG]


def test_a_thing_among_what_has_its_colour_is_found_again():
    """A ball comes to a brick of its own colour, and lies on it in part; where that colour is new
    tells where.
    """
    brick = (1, 8, 12, 4, 8)
    before = picture((1, 15, 10, 2, 2), brick)
    for y, x, wanted in (
        (12, 11, True),
        (11, 13, True),
        (9, 10, True),
        (11, 11, True),
        (9, 14, False),
        (3, 3, False),
    ):
        now = picture((1, y, x, 2, 2), brick)
        tiled = Tiled(before, now)
        finder = Finder(tiled.tiles, GAME)
        place = finder.refind(tiled(before), (BALL, 15, 10), tiled(now))
        if wanted:
            assert place[:2] == (y, x)
            alone = picture((1, y, x, 2, 2)) > picture(brick)
            np.testing.assert_array_equal(place[2], alone)
        else:
            assert place is None or (y, x) == (3, 3)  # that one is seen, and nobody asks for it
