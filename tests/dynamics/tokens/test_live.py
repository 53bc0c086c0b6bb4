"""What is live in a falling-block game, which comes next and when it falls, and that a dream keeps
to it.
"""

from collections import Counter
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from toys.synthetic import BUTTONS, make_spec
from toys.walk import in_doubt, make_model, record, some_state

from dreamcart.data.processed import Split
from dreamcart.dynamics.base import load_dynamics, save_dynamics
from dreamcart.dynamics.layout import Layout, find_layout
from dreamcart.dynamics.tokens.controls import Controls, Hands
from dreamcart.dynamics.tokens.course import Course
from dreamcart.dynamics.tokens.find_controls import find_controls, going_on
from dreamcart.dynamics.tokens.find_lines import find_lines
from dreamcart.dynamics.tokens.find_live import find_live
from dreamcart.dynamics.tokens.find_pace import find_pace
from dreamcart.dynamics.tokens.find_turns import find_turns
from dreamcart.dynamics.tokens.lines import Clears, Lines
from dreamcart.dynamics.tokens.live import UNKNOWN, Deed, Follower, Live
from dreamcart.dynamics.tokens.model import config_for
from dreamcart.dynamics.tokens.pace import Pace, Pacer, Time, Watched
from dreamcart.dynamics.tokens.referee import Referee, likely
from dreamcart.dynamics.tokens.samples import Samples
from dreamcart.dynamics.tokens.state import TURNING
from dreamcart.dynamics.tokens.turns import Turns

HEIGHT, WIDTH = 8, 5  # of the well, at the top left of the screen
BARS = {1: ((0, 1), (0, 2)), 2: ((0, 2), (1, 2)), 3: ((0, 2),)}  # token: where it comes
FLAT, TALL, DOT = BARS
FULL = 6  # what a row shows before it goes
OVER, PAUSED = 8, 9
NOTICE, PANEL = (0, slice(7, 9)), (5, slice(7, 10))
SPEED = (7, 6)  # the cell that tells how fast things fall
FALLS = {0: 3, 7: 2}  # steps, by what it shows
FAST = BUTTONS.index("A")  # falls in each step
LIES = 1  # steps
# columns, if the other is up: at once, after two steps and then in each
SLIDES = {"LEFT": -1, "RIGHT": 1}
TURNS = BUTTONS.index("B")


class Game:
    """A well in which bars fall, next to it the one that comes next, a panel and how fast they
    fall.
    """

    def __init__(
        self, rng: np.random.Generator, ghosts: bool = False, steered: bool = False
    ) -> None:
        self.rng, self.ghosts, self.steered = rng, ghosts, steered
        self.down, self.held = np.zeros(len(BUTTONS), np.uint8), np.full(len(BUTTONS), 31)
        self.begin()

    def begin(self) -> None:
        self.stack = np.zeros((HEIGHT, WIDTH), np.int16)
        self.panel, self.next, self.speed = (
            0,
            int(self.rng.integers(1, 4)),
            int(self.rng.choice(list(FALLS))),
        )
        self.come()

    def come(self) -> None:
        self.token, self.next = self.next, int(self.rng.integers(1, 4))
        self.cells, self.wait = np.array(BARS[self.token]), 0

    def fits(self, cells: np.ndarray) -> bool:
        y, x = cells.T
        return bool(
            (y >= 0).all()
            and (y < HEIGHT).all()
            and (x >= 0).all()
            and (x < WIDTH).all()
            and (self.stack[y, x] == 0).all()
        )

    def press(self) -> np.ndarray:
        """Buttons for a step."""
        down = self.down ^ (self.rng.random(len(BUTTONS)) < 0.2)
        down[
            [
                button
                for button in range(len(BUTTONS))
                if not self.steered or BUTTONS[button] not in (*SLIDES, "B")
            ]
        ] = 0
        down[FAST] = self.rng.random() < 0.15
        self.held = np.where(down == self.down, self.held + 1, 0)
        return down

    def step(self) -> np.ndarray:
        """Returns the buttons that were down."""
        self.down = self.press()
        if self.panel == OVER:
            if self.rng.random() < 0.3:
                self.begin()
        elif self.panel == PAUSED and self.rng.random() < 0.97:
            pass
        elif (self.stack == FULL).any():
            kept = self.stack[(self.stack != FULL).all(1)]
            self.stack = np.concatenate([np.zeros((HEIGHT - len(kept), WIDTH), np.int16), kept])
        elif not self.panel and self.rng.random() < 0.02:
            self.panel = PAUSED
        else:
            self.panel = 0
            self.fall() if len(self.cells) else self.turn()
        return self.down

    def steer(self) -> None:
        """A flat bar turns, by its lower end, and what is pressed slides."""
        y, x = self.cells[-1]
        if self.down[TURNS] and not self.held[TURNS] and self.token == FLAT:
            stands = self.cells[0, 1] == x
            turned = np.array([[y, x], [y, x + 1]] if stands else [[y - 1, x - 1], [y, x - 1]])
            self.cells = turned if self.fits(turned) else self.cells
        for name, way in SLIDES.items():
            own, other = (BUTTONS.index(one) for one in (name, ({*SLIDES} - {name}).pop()))
            since = min(self.held[own], self.held[other])
            slid = self.cells + np.array([0, way])
            if self.down[own] and not self.down[other] and since != 1 and self.fits(slid):
                self.cells = slid

    def fall(self) -> None:
        self.wait += 1
        falls = bool(self.down[FAST]) or self.wait >= FALLS[self.speed]
        if self.steered:
            self.steer()
        wanders = 0 if self.steered else self.rng.integers(-1, 2)
        then = self.cells + np.array([1, 0] if falls else [0, wanders])
        fits = self.fits(then)
        self.cells = then if fits else self.cells
        if falls:
            self.wait = 0
        if fits or not falls:
            return
        self.stack[tuple(self.cells.T)] = self.token
        self.cells = self.cells[:0]
        self.stack[(self.stack > 0).all(1)] = FULL

    def turn(self) -> None:
        if self.fits(np.array(BARS[self.next])):
            self.come()
        else:
            self.panel = OVER

    def screen(self) -> np.ndarray:
        screen = np.zeros((HEIGHT, 11), np.int16)
        screen[:, :WIDTH] = self.stack
        screen[tuple(self.cells.T)] = self.token
        screen[NOTICE], screen[PANEL], screen[SPEED] = self.next, self.panel, self.speed
        if self.ghosts and self.rng.random() < 0.05:  # of what lies something moves
            y, x = (screen[:, :WIDTH] == DOT).nonzero()
            if len(y) and x[0] < WIDTH - 1 and not screen[y[0], x[0] + 1]:
                screen[y[0], x[0] : x[0] + 2] = 0, DOT
        return screen


@cache
def played(ghosts: bool = False, episodes: int = 40, steps: int = 400, steered: bool = False):
    """Recordings of the game: the distinct frames, the records, those with a successor, and the
    layout.
    """
    recorded = []
    for seed in range(episodes):
        game = Game(np.random.default_rng(seed), ghosts, steered)
        frames, actions = [game.screen()], np.zeros((steps, len(BUTTONS)), np.uint8)
        for step in range(steps):
            actions[step] = game.step()
            frames.append(game.screen())
        recorded.append((frames, actions))
    split, tokens = record(recorded)
    return (
        tokens,
        split.index,
        split.transitions,
        find_layout(tokens, split.index["frame"], split.transitions),
    )


@cache
def course(steered: bool = False, buttons: bool = True) -> tuple[Course, np.ndarray]:
    """What happens in recordings, and their records. buttons: whether these are told."""
    tokens, index, transitions, layout = played(steered=steered, episodes=25 if steered else 40)
    live = find_live(tokens, index, transitions, layout)
    turns = find_turns(tokens, index, transitions, layout, live)
    index = index.copy()
    index["action"] *= buttons
    return Course(tokens, index, transitions, live, turns), index


@cache
def found() -> tuple[Live, Turns, Pace]:
    live = find_live(*played())
    return live, find_turns(*played(), live), find_pace(course()[0], played()[3], live)


@cache
def steered() -> tuple[Live, Turns, Pace, Controls]:
    """What is found where buttons slide and turn things."""
    shown = played(steered=True, episodes=25)
    live = find_live(*shown)
    pace = find_pace(course(steered=True)[0], shown[3], live)
    return live, find_turns(*shown, live), pace, find_controls(*course(steered=True), live, pace)


@cache
def lines() -> Lines:
    return find_lines(course()[0], found()[2])


def referee(lines: Lines | None = None) -> Referee:
    return Referee(*found(), Controls.empty(), lines or Lines.empty())


def well(*lines: str, panel: int = 0, notice: int = TALL) -> np.ndarray:
    """A screen of which the lowest lines of the well are given."""
    screen = np.zeros((HEIGHT, 11), np.int16)
    for y, line in enumerate(lines, HEIGHT - len(lines)):
        screen[y, :WIDTH] = [0 if cell == "." else int(cell) for cell in line]
    screen[NOTICE], screen[PANEL] = notice, panel
    return screen


def bar(screen: np.ndarray, *cells: tuple[int, int]) -> np.ndarray:
    live = np.zeros(screen.shape, np.int8)
    live[tuple(np.array(cells).T)] = 1
    return live


def test_what_is_live_is_found():
    live = found()[0]
    assert live.tokens.tolist() == [FLAT, TALL, DOT]
    assert live.ground == 0
    assert live.sizes.nonzero().flatten().tolist() == [1, 2]
    assert live.area[:, :WIDTH].all()
    assert not live.area[:, WIDTH:].any()
    assert live.falls.tolist() == [[1, 0]]
    shapes = {
        (token, tuple(map(tuple, shape.tolist())))
        for token, shape in zip(live.made_of.tolist(), live.shapes, strict=True)
    }
    assert shapes == {(FLAT, ((0, 0), (0, 1))), (TALL, ((0, 0), (1, 0))), (DOT, ((0, 0), (-1, -1)))}


def test_where_what_lies_moves_too_nothing_is_known():
    assert not len(find_live(*played(ghosts=True)).tokens)


def test_a_few_recordings_are_not_enough_to_know():
    assert not len(find_live(*played(episodes=1)).tokens)


def test_a_game_in_which_nothing_moves_has_nothing_live():
    frames = np.arange(8, dtype=np.int16).reshape(8, 1, 1).repeat(2, 1)
    split, tokens = record([(list(frames), np.zeros((7, len(BUTTONS)), np.uint8))])
    layout = find_layout(tokens, split.index["frame"], split.transitions)
    live = find_live(tokens, split.index, split.transitions, layout)
    assert not len(live.tokens)
    turns = find_turns(tokens, split.index, split.transitions, layout, live)
    assert not len(turns.notes)
    course = Course(tokens, split.index, split.transitions, live, turns)
    pace = find_pace(course, layout, live)
    assert not len(pace.contents)
    assert not find_lines(course, pace).known


def test_turns_are_found():
    turns = found()[1]
    assert [played()[0].shape[2] * NOTICE[0] + x for x in (7, 8)] == turns.notice.tolist()
    shown = turns.notes[:, 0].tolist()
    comes = {
        note: (int(token), tuple(sorted(divmod(cell, 11) for cell in cells.tolist() if cell >= 0)))
        for note, token, cells in zip(shown, turns.comes, turns.places, strict=True)
    }
    assert comes == {token: (token, cells) for token, cells in BARS.items()}
    assert (turns.follows > 0).all()
    panel = {int(content[0]): number for number, content in enumerate(turns.contents)}
    assert set(panel) == {0, OVER, PAUSED}
    for name, those in (
        ("ends", {OVER}),
        ("begins", {OVER}),
        ("runs", {0}),
        ("still", {OVER, PAUSED}),
    ):
        assert {
            content for content, number in panel.items() if getattr(turns, name)[number]
        } == those, name
    assert turns.patience == max(FALLS.values()) - 1 + LIES


def test_the_pace_is_found():
    pace = found()[2]
    assert pace.part.tolist() == [SPEED[0] * 11 + SPEED[1]]
    assert {
        int(shown): int(every) for shown, every in zip(pace.contents[:, 0], pace.every, strict=True)
    } == {0: 2, 7: 1}
    assert pace.fast.nonzero().flatten().tolist() == [FAST]
    assert pace.lies == LIES


def test_what_full_lines_do_is_found():
    assert lines() == Lines(torch.tensor(FULL, dtype=torch.int16), torch.tensor(0), torch.tensor(0))


def test_where_lines_go_otherwise_nothing_is_known():
    """The same steps, but on a few screens something is left of a line that has gone."""
    tokens, index, transitions, _ = played()
    shows = (tokens[:, :HEIGHT, :WIDTH] == FULL).any((1, 2))
    at = transitions[shows[index["frame"][transitions]] & ~shows[index["frame"][transitions + 1]]]
    other = tokens.copy()
    other[index["frame"][at[:5] + 1], HEIGHT - 1, 0] = FLAT
    live, turns, pace = found()
    assert not find_lines(Course(other, index, transitions, live, turns), pace).known


NONE = np.zeros((HEIGHT, 11), np.int8)  # live


def test_a_line_that_is_full_is_marked_when_the_thing_lies_down():
    now, marked = well("11...", "..333"), well(".....", "66666")
    now[HEIGHT - 2], now[HEIGHT - 1, :2] = 0, FLAT
    live = bar(now, (7, 0), (7, 1))
    gone = well("3....", "66666", panel=0)
    for dreamed in (now, marked, gone, come(now, TALL, DOT)):
        np.testing.assert_array_equal(
            referee(lines()).in_time(live, now, dreamed, Time(True)), marked
        )
        np.testing.assert_array_equal(
            referee(lines()).in_time(live, now, dreamed, Time(False)), now
        )
    assert referee(lines()).presses(live, now, Time(True))
    assert not referee().presses(live, now, Time(True))


def test_no_line_is_marked_that_is_not_full():
    now = well("11...", "..333")
    dreamed, live = well("11...", "66666"), bar(now, (6, 0), (6, 1))
    for time in (Time(True), Time(False), Time(False, True)):
        then = referee(lines()).in_time(live, now, dreamed, time)
        assert not (then == FULL).any()


def test_full_lines_go_in_their_time_and_then_the_next_comes():
    keeper, full, left = referee(lines()), well("2....", "66666", ".33.."), well("2....", ".33..")
    late = referee(Lines(lines().mark, torch.tensor(2), torch.tensor(1)))
    assert late.time(Watched(NONE, 1), full, NOTHING, HELD).lines.tolist() == full.tolist()
    time = keeper.time(Watched(NONE), full, NOTHING, HELD)
    assert time.lines.tolist() == left.tolist()
    assert keeper.presses(NONE, full, time)
    for dreamed in (
        full,
        left,
        well("2....", "66666"),
        come(full, TALL, DOT),
        well("2....", ".33..", panel=OVER),
    ):
        assert keeper.rule(NONE, full, dreamed, time) is None
        np.testing.assert_array_equal(
            keeper.in_time(NONE, full, dreamed, time)[:, :WIDTH], left[:, :WIDTH]
        )
    assert keeper.time(Watched(NONE), left, NOTHING, HELD).ends
    after = keeper.rule(NONE, left, left, keeper.time(Watched(NONE), left, NOTHING, HELD))
    np.testing.assert_array_equal(after[:, :WIDTH], come(left, TALL, DOT)[:, :WIDTH])
    paused = well("2....", "66666", ".33..", panel=PAUSED)
    np.testing.assert_array_equal(keeper.in_time(NONE, full, paused, time), paused)


@pytest.mark.parametrize("way", [(1, 0), (-1, 0), (0, 1), (0, -1)])
def test_lines_lie_across_the_way_things_fall(way):
    area = np.zeros((4, 5), bool)
    area[:3, :2] = True
    follower = SimpleNamespace(area=area, ground=0, falls=np.array([way], np.int16))
    clears = Clears(follower, Lines(torch.tensor(6), torch.tensor(0), torch.tensor(0)))
    well = clears.well(np.zeros((4, 5), np.int16))
    assert well.shape == ((3, 2) if way[0] else (2, 3))
    screen = np.zeros((4, 5), np.int16)
    clears.well(screen)[-1], clears.well(screen)[-2, 0] = 6, 1
    then = clears.gone(screen)
    assert clears.well(then)[-1].tolist() == [1] + [0] * (well.shape[1] - 1)
    assert then.sum() == 1


def test_what_is_told_changes_only_when_it_comes():
    now, told = well("11...", "....."), well("11...", ".....", notice=DOT)
    live = bar(now, (6, 0), (6, 1))
    np.testing.assert_array_equal(referee().in_time(live, now, told, Time()), now)
    paused = well("11...", ".....", panel=PAUSED, notice=DOT)
    np.testing.assert_array_equal(
        referee().in_time(live, now, paused, Time()), well("11...", ".....", panel=PAUSED)
    )


def test_what_buttons_do_is_found():
    live, _, _, controls = steered()
    slides = {
        tuple(way): (button, against)
        for way, button, against in zip(*(part.tolist() for part in sliding(controls)), strict=True)
    }
    left, right = (BUTTONS.index(name) for name in SLIDES)
    assert slides == {(0, -1): (left, right), (0, 1): (right, left)}
    assert controls.beats[:, :6].tolist() == [[1, 0, 1, 1, 1, 1]] * 2
    assert controls.turns.tolist() == [TURNS]
    shapes = {
        (token, tuple(map(tuple, shape.tolist()))): number
        for number, (token, shape) in enumerate(
            zip(live.made_of.tolist(), live.shapes, strict=True)
        )
    }
    flat, stands = shapes[FLAT, ((0, 0), (0, 1))], shapes[FLAT, ((0, 0), (1, 0))]
    assert controls.becomes[0, [flat, stands]].tolist() == [stands, flat]
    assert controls.offsets[flat, stands].tolist() == [-1, 0]
    assert controls.offsets[stands, flat].tolist() == [1, 0]
    assert live.turned[[flat, stands], [stands, flat]].tolist() == [-1, 1]


@pytest.mark.parametrize(
    ("beats", "then"),
    [
        ([1, 0, 0, 1, 0, 1, 0, 1, -1, -1, -1], [1, 0, 0, 1, 0, 1, 0, 1, 0, 1, 0]),
        ([1, 0, 0, 1, 0, 1, 0, 1, -1, 1, -1], [1, 0, 0, 1, 0, 1, 0, 1, 0, 1, 0]),
        ([1, 0, 0, 1, 0, 1, 0, 1, -1, 0, -1], [1, 0, 0, 1, 0, 1, 0, 1, -1, 0, -1]),  # not so
        ([1, 0, 0, 1, 0, 1, -1, -1], [1, 0, 0, 1, 0, 1, -1, -1]),  # too few
        ([1, 0, 0, 0, -1, -1], [1, 0, 0, 0, -1, -1]),  # it may yet
        ([0, 1, 1, 1, -1, -1], [0, 1, 1, 1, 1, 1]),
        ([1, 0, 1], [1, 0, 1]),
    ],
)
def test_beats_go_on(beats, then):
    assert going_on(np.array(beats, np.int8)).tolist() == then


def sliding(controls: Controls):
    return controls.ways, controls.button, controls.against


def test_where_things_wander_no_controls_are_known():
    live, _, pace = found()
    assert not find_controls(*course(), live, pace).known


def test_where_things_fall_at_random_no_pace_is_known():
    """The same screens, but the button that made things fall is not told."""
    assert not len(find_pace(course(buttons=False)[0], played()[3], found()[0]).contents)


def test_the_live_thing_is_followed():
    follower = referee().follower
    tokens, index, transitions, _ = played()
    rows, game = index["frame"], index["episode"] == 0
    live = follower.begin(tokens[rows[0]])
    deeds = []
    for at in transitions[game[transitions]]:
        deed, live = follower.follow(live, tokens[rows[at]], tokens[rows[at + 1]])
        deeds.append(deed)
    assert set(deeds) >= {Deed.NOTHING, Deed.MOVES, Deed.COMES}


def test_of_two_that_look_alike_the_one_that_lies_does_not_move():
    now = well("11...", "..11.")
    live = bar(now, (6, 0), (6, 1))
    falls, slides = well(".....", "1111."), well("11...", ".11..")
    assert referee().follower.follow(live, now, falls)[0] is Deed.MOVES
    assert referee().follower.follow(live, now, slides)[0] is Deed.STRANGER
    assert referee().allows(live, now, falls)
    assert not referee().allows(live, now, slides)
    assert not referee().allows(live, now, well("1....", "1.11."))  # half of it


def test_when_rows_have_gone_nothing_moves_until_something_comes():
    follower = referee().follower
    full = well("2....", "66666")
    _, live = follower.follow(bar(full, (7, 0), (7, 1)), well("2....", "11222"), full)
    _, live = follower.follow(live, full, well("2...."))
    assert not live.any()
    assert follower.follow(live, well("2...."), well(".2..."))[0] is Deed.STRANGER
    came = well("2....") + 0
    came[0, 2] = DOT
    deed, live = follower.follow(live, well("2...."), came)
    assert deed is Deed.COMES
    assert np.argwhere(live).tolist() == [[0, 2]]


def test_what_is_left_alone_when_rows_have_gone_is_not_live():
    full, left = well(".....", "11...", "66666"), well(".....", "11...")
    gone = referee().follow(Watched(np.zeros_like(full, np.int8)), full, left, NOTHING)
    assert not gone.live.any()
    assert not gone.timed
    begun = referee().follow(
        Watched(np.zeros_like(full, np.int8)), full, come(well(), TALL, DOT), NOTHING
    )
    assert np.argwhere(begun.live).tolist() == [[0, 2], [1, 2]]
    assert begun.timed


def come(screen: np.ndarray, token: int, notice: int, panel: int = 0) -> np.ndarray:
    after = screen.copy()
    after[tuple(np.array(BARS[token]).T)] = token
    after[NOTICE], after[PANEL] = notice, panel
    return after


def test_nothing_comes_or_ends_while_the_live_thing_can_fall():
    now = well("11...", ".....")
    fallen = well("11...")
    for dreamed in (
        come(now, TALL, DOT),
        well("11...", ".....", panel=OVER),
        well("66666", "....."),
    ):
        np.testing.assert_array_equal(
            referee().rule(bar(now, (6, 0), (6, 1)), now, dreamed), fallen
        )


def test_what_comes_is_what_was_told_whole_and_in_its_place():
    now = well("11...")
    live = bar(now, (7, 0), (7, 1))
    half = now.copy()
    half[0, 1:3] = FLAT, TALL
    half[NOTICE] = DOT
    for dreamed in (half, come(now, DOT, DOT), come(now, TALL, DOT)):
        np.testing.assert_array_equal(referee().rule(live, now, dreamed), come(now, TALL, DOT))
    assert not referee().allows(live, now, half)
    assert referee().allows(live, now, come(now, TALL, DOT))


def test_a_game_ends_when_what_comes_has_no_room_and_only_then():
    # a dot lies where a tall bar would come
    high, ended = well(*["..3.."] * 7), well(*["..3.."] * 7, panel=OVER)
    overwritten, told = high.copy(), ended.copy()
    overwritten[0, 2] = TALL
    told[NOTICE] = DOT
    for dreamed in (ended, overwritten, told):
        np.testing.assert_array_equal(referee().rule(bar(high, (1, 2)), high, dreamed), ended)
    low = well("11...")
    over = well("11...", panel=OVER)
    np.testing.assert_array_equal(
        referee().rule(bar(low, (7, 0), (7, 1)), low, over)[:, :WIDTH],
        come(low, TALL, DOT)[:, :WIDTH],
    )


def test_a_game_begins_with_one_whole_thing():
    over = well("22..2", "11.33", panel=OVER)
    dreamed = np.zeros_like(over)
    dreamed[0, 1], dreamed[0, 2], dreamed[7, 4] = FLAT, TALL, DOT
    dreamed[NOTICE] = DOT
    begun = referee().rule(np.full(over.shape, UNKNOWN, np.int8), over, dreamed)
    first = {int(token) for token in begun[:, :WIDTH].ravel()} - {0}
    assert len(first) == 1
    np.testing.assert_array_equal(begun, come(well(), *first, DOT))
    assert (found()[1].blank[PANEL] == 0).all()
    assert (found()[1].blank[NOTICE] < 0).all()
    going = well("22..2", "11.33")  # none has ended: what is told comes
    np.testing.assert_array_equal(
        referee().rule(bar(going, (7, 0), (7, 1)), going, come(well(), DOT, DOT)),
        come(going, TALL, DOT),
    )


def test_while_a_game_is_paused_nothing_moves():
    now, paused = well("11...", "....."), well("11...", panel=PAUSED)
    np.testing.assert_array_equal(
        referee().rule(bar(now, (6, 0), (6, 1)), now, paused), well("11...", ".....", panel=PAUSED)
    )


def test_a_pause_may_end_in_the_step_in_which_something_falls_instead():
    paused, going = well("11...", ".....", panel=PAUSED), well("11...", ".....")
    after = referee().rule(bar(paused, (6, 0), (6, 1)), paused, come(going, TALL, DOT))
    np.testing.assert_array_equal(after, well("11..."))


def slow() -> Referee:
    """One who does not know the pace."""
    live, turns, _ = found()
    return Referee(live, turns, Pace.empty(buttons=len(BUTTONS)), Controls.empty(), Lines.empty())


NOTHING, PRESSED = np.zeros(len(BUTTONS)), np.eye(len(BUTTONS))[FAST]
HELD = np.zeros(len(BUTTONS), np.int64)


def test_what_hangs_falls_and_what_lies_is_followed():
    now = well("11...", ".....")
    live = bar(now, (6, 0), (6, 1))
    longest = int(found()[1].patience)
    times = [
        slow().time(Watched(live, steps), now, NOTHING, HELD) for steps in (longest - 1, longest)
    ]
    assert [time.ends for time in times] == [False, True]
    assert [slow().presses(live, now, time) for time in times] == [False, True]
    assert (
        not slow()
        .time(Watched(live, 1000), well("11...", ".....", panel=PAUSED), NOTHING, HELD)
        .ends
    )
    assert slow().rule(live, now, now) is None
    np.testing.assert_array_equal(slow().rule(live, now, now, times[1]), well("11..."))
    lies = well("11...")
    after = slow().rule(bar(lies, (7, 0), (7, 1)), lies, lies, times[1])
    np.testing.assert_array_equal(after[:, :WIDTH], come(lies, TALL, DOT)[:, :WIDTH])


def test_turning_is_no_fall_and_turning_while_it_falls_is():
    """A bar that stands up rises by a row where it does not fall."""
    live = found()[0]
    shapes = {tuple(map(tuple, shape.tolist())): number for number, shape in enumerate(live.shapes)}
    flat, tall = shapes[(0, 0), (0, 1)], shapes[(0, 0), (1, 0)]
    made_of, turned = live.made_of.clone(), live.turned.clone()
    made_of[tall], turned[flat, tall] = FLAT, -1
    follower = Follower(Live(**vars(live) | {"made_of": made_of, "turned": turned}))
    lies, stands = bar(well(), (4, 0), (4, 1)), bar(well(), (3, 0), (4, 0))
    now = well("11...", ".....", ".....", ".....")
    assert [
        follower.falls_of(lies, then, now)
        for then in (stands, np.roll(stands, 1, 0), np.roll(lies, 1, 0))
    ] == [0, 1, 1]
    unknown = np.full_like(lies, UNKNOWN)
    assert follower.falls_of(unknown, lies, now) == follower.falls_of(lies, unknown, now) == 0


@pytest.mark.parametrize(
    ("watched", "pressed", "expected"),
    [
        ((1, True, 0), NOTHING, Time(False)),
        ((2, True, 0), NOTHING, Time(True)),
        ((0, True, 0), PRESSED, Time(True)),
        ((2, False, 0), NOTHING, Time()),  # it is not known since when it waits
        ((0, False, 0), PRESSED, Time(True)),
        ((3, True, LIES), PRESSED, Time(False, True, True)),
    ],
)
def test_when_it_falls(watched, pressed, expected):
    now = well("11...", ".....")
    assert (
        referee().time(Watched(bar(now, (6, 0), (6, 1)), *watched), now, pressed, HELD) == expected
    )


def test_where_its_turn_ends_at_once_it_ends_with_the_fall():
    live, _, pace = found()
    pacer = Pacer(Follower(live), Pace(**vars(pace) | {"lies": torch.tensor(0)}))
    now, lies = well("11...", "....."), well("11...")
    assert pacer.time(Watched(bar(now, (6, 0), (6, 1))), now, PRESSED) == Time(True)
    assert pacer.time(Watched(bar(lies, (7, 0), (7, 1))), lies, PRESSED) == Time(True, ends=True)


def test_it_falls_in_its_time_whatever_else_it_does():
    now = well("11...", ".....", ".....")
    live = bar(now, (5, 0), (5, 1))
    stays, slides, falls = now, well(".11..", ".....", "....."), well("11...", ".....")
    both = well(".11..", ".....")
    for decided, early, due in (
        (stays, stays, falls),
        (slides, slides, both),
        (falls, stays, falls),
        (both, slides, both),
    ):
        np.testing.assert_array_equal(referee().in_time(live, now, decided, Time(False)), early)
        np.testing.assert_array_equal(referee().in_time(live, now, decided, Time(True)), due)
        np.testing.assert_array_equal(referee().in_time(live, now, decided, Time()), decided)
        # it lies
        np.testing.assert_array_equal(
            referee().in_time(live, now, decided, Time(False, True)), stays
        )


@pytest.mark.parametrize(
    ("lines", "cells", "pressed", "since", "then"),
    [
        (["11...", "....."], [(6, 0), (6, 1)], ["RIGHT"], 0, [(6, 1), (6, 2)]),
        (["11...", "....."], [(6, 0), (6, 1)], ["RIGHT"], 1, [(6, 0), (6, 1)]),
        (["11...", "....."], [(6, 0), (6, 1)], ["LEFT"], 0, [(6, 0), (6, 1)]),  # no room
        (["11...", "....."], [(6, 0), (6, 1)], ["LEFT", "RIGHT"], 0, [(6, 0), (6, 1)]),
        (["11...", "....."], [(6, 0), (6, 1)], ["B"], 0, [(5, 0), (6, 0)]),
        (["2....", "11..."], [(7, 0), (7, 1)], ["B"], 0, [(7, 0), (7, 1)]),  # no room
        (["11...", "....."], [(6, 0), (6, 1)], ["B"], 3, [(6, 0), (6, 1)]),  # it has been down
        (["11...", "....."], [(6, 0), (6, 1)], ["B", "RIGHT"], 0, [(5, 1), (6, 1)]),
        (["11...", "....."], [(6, 0), (6, 1)], ["RIGHT"], 31, None),  # it was not seen for so long
    ],
)
def test_buttons_move_it(lines, cells, pressed, since, then):
    live, _, _, controls = steered()
    hands = Hands(Follower(live), live.shapes, controls)
    now, down = well(*lines), np.array([name in pressed for name in BUTTONS], np.float32)
    moved = hands.moved(bar(now, *cells), now, down, np.where(down, since, 31))
    assert (
        moved is None
        if then is None
        else np.argwhere(moved > 0).tolist() == [list(cell) for cell in then]
    )


def test_a_dream_is_steered_whatever_it_decides():
    """And something happens though a network says that nothing does."""
    live, turns, pace, controls = steered()
    referee = Referee(live, turns, pace, controls, Lines.empty())
    now, right = (
        well("11...", ".....", "....."),
        np.array([name == "RIGHT" for name in BUTTONS], np.float32),
    )
    watched = Watched(bar(now, (5, 0), (5, 1)), 0, True)
    time = referee.time(watched, now, right, np.where(right, 0, 31))
    assert referee.presses(watched.live, now, time)
    for decided in (now, well("11...", "....."), come(now, TALL, DOT)):
        np.testing.assert_array_equal(
            referee.in_time(watched.live, now, decided, time), well(".11..", ".....", ".....")
        )
    early = well(".....", "66666", ".....")
    np.testing.assert_array_equal(
        referee.in_time(watched.live, now, early, time), well(".11..", ".....", ".....")
    )


def test_it_slides_only_where_there_is_room_before_it_falls():
    now, decided = well("113..", "....."), well("..3..", ".11..")
    np.testing.assert_array_equal(
        referee().in_time(bar(now, (6, 0), (6, 1)), now, decided, Time(True)),
        well("..3..", "11..."),
    )


def test_nothing_comes_or_ends_before_its_time():
    lies = well("11...")
    live = bar(lies, (7, 0), (7, 1))
    for dreamed in (come(lies, TALL, DOT), well("11...", panel=OVER)):
        assert referee().rule(live, lies, dreamed, Time(False, True)) is None
        np.testing.assert_array_equal(
            referee().in_time(live, lies, dreamed, Time(False, True)), lies
        )
    paused = well("11...", panel=PAUSED)
    np.testing.assert_array_equal(
        referee().in_time(live, lies, paused, Time(False, True, True)), paused
    )
    after = referee().rule(live, lies, lies, Time(False, True, True))
    np.testing.assert_array_equal(after[:, :WIDTH], come(lies, TALL, DOT)[:, :WIDTH])


def test_a_turn_is_counted():
    """A fall, what waits, a pause, a fall that is not possible any more, and the next."""
    now, low = well("11...", "....."), well("11...")
    watched, seen = Watched(bar(now, (6, 0), (6, 1))), []
    paused = well("11...", panel=PAUSED)
    for before, after, pressed in (
        (now, low, PRESSED),
        (low, low, NOTHING),
        (low, paused, NOTHING),
        (paused, paused, NOTHING),
        (paused, low, NOTHING),
        (low, low, NOTHING),
        (low, come(low, TALL, DOT), NOTHING),
    ):
        watched = referee().follow(watched, before, after, pressed)
        seen.append(tuple(watched[1:]))
    assert seen == [
        (0, True, 0),
        (1, True, 0),
        (1, True, 0),
        (1, True, 0),
        (2, True, 0),
        (3, True, 1),
        (0, True, 0),
    ]


@pytest.fixture
def model():
    """A network in doubt about everything, that keeps to the game's turns."""
    layout = played()[3]
    model = in_doubt(make_model(layout, 10))
    model.network.event[2].bias.data[0] = 20.0  # something always changes
    model.set_live(*found(), Controls.empty(), lines())
    return model


@torch.inference_mode()
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_dream_keeps_to_it(model, temperature, tmp_path):
    """However wild the network: nothing moves but what is live, and what comes was told; also read
    from its file.
    """
    live, turns, pace = found()
    own = SimpleNamespace(channels=8, blocks=1, history_frames=4, memory=16)
    config = config_for(model.layout, 10, len(BUTTONS), own) | {
        "live": live.size,
        "turns": turns.size,
        "pace": pace.size,
    }
    config["lines"] = True
    save_dynamics(tmp_path / "dynamics.safetensors", model, config)
    again = load_dynamics(tmp_path / "dynamics.safetensors")
    first = torch.from_numpy(well()[None, None].repeat(6, 0))
    for row, token in enumerate((FLAT, TALL, DOT) * 2):
        first[row, 0] = torch.from_numpy(come(well(), token, DOT))
    actions = torch.zeros(6, 0, len(BUTTONS))
    states = [one.start(first, actions) for one in (model, again)]
    assert states[0].live.gt(0).flatten(1).sum(1).tolist() == [2, 2, 1] * 2
    generators = [torch.Generator().manual_seed(0) for _ in states]
    screens, deeds, timed = first[:, 0], Counter(), Counter()
    for number in range(60):
        before, was = screens.numpy(), [getattr(states[0], name).numpy() for name in TURNING]
        action = torch.zeros(6, len(BUTTONS))
        action[:3, FAST] = number % 2
        steps = [
            one.step(state, action, temperature, generator)
            for one, state, generator in zip((model, again), states, generators, strict=True)
        ]
        assert torch.equal(steps[0][0], steps[1][0])
        screens, states = steps[0][0], [state for _, state in steps]
        for row, (one, other) in enumerate(zip(before, screens.numpy(), strict=True)):
            now = Watched(*(part[row] for part in was))
            deed, then = model.referee.follower.follow(now.live, one, other)
            assert model.referee.allows(now.live, one, other), (now, one, other)
            deeds[deed] += 1
            time = model.referee.time(now, one, action[row].numpy(), HELD)
            if (
                (now.live > 0).any()
                and time.falls is not None
                and model.referee.runs_on(other)
                and deed is not Deed.OTHER
            ):
                fell = (
                    deed is Deed.MOVES and model.referee.follower.falls_of(now.live, then, one) > 0
                )
                room = fell or model.referee.follower.fallen(then, other) is not None
                assert deed is Deed.COMES or fell == (time.falls and room), (now, one, other)
                assert deed is not Deed.COMES or time.ends, (now, one, other)
                timed[deed] += 1
    assert min(timed[Deed.NOTHING], timed[Deed.MOVES]) > 0, timed
    # drawn at random something else happens before
    assert timed[Deed.COMES] > 0 or temperature, timed


@torch.inference_mode()
def test_a_state_made_of_a_record_is_looked_at(model):
    """It does not tell what is live (`scripts/mistakes.py`)."""
    tokens, index, transitions, _ = played()
    split = Split(np.zeros((len(tokens), 1, 1, 1), np.uint8), index, make_spec())
    state, action, *_ = Samples(split, tokens, model).get(transitions[:4])
    assert state.live.numel() == 0
    _, then = model.step(state, action)
    assert then.live.shape == (4, *tokens.shape[1:])


def test_a_dream_without_knows_nothing(tmp_path):
    model = make_model(Layout(*vars(played()[3]).values()), 10)
    state, action = some_state(model, vocabulary=4)
    assert model.referee is None
    assert state.live.shape == (7, 0, 0)
    assert model.step(state, action)[1].live.shape == (7, 0, 0)


@pytest.mark.parametrize(
    ("times", "told", "before", "then"),
    [
        ((0, 99, 2), None, None, 1),
        ((0, 99, 2), 2, None, 2),  # seldom, but it did
        ((0, 99, 2), 0, None, 1),
        ((2, 99, 0), 0, 0, 1),  # it was not seen that anything comes
        ((30, 40, 0), 2, None, 2),  # in a game of chance what was drawn stays
        ((30, 40, 30), 0, 0, 0),
    ],
)
def test_what_is_told_next_is_what_nearly_always_was(times, told, before, then):
    assert likely(np.array(times), told, before) == then
