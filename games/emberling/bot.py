"""A scripted player: reads the game's RAM variables, presses its buttons.

It tries a few ways to press on in a copy of the player's motion (cave.py), with the enemies drawn
on as they move now, and takes the one that comes farthest and picks up most. What it cannot know
are the enemies' choices, so it loses a life now and then. Some of the time it plays about: it
stands, goes back or hops, for a network learns what it has seen.
"""

import importlib.util
from pathlib import Path

PLAYING, SQUASHED = 0, 4
BEETLE, BAT, TOAD = 1, 2, 3
LOOK = 54  # frames ahead
REPLAN = 3  # steps after which it thinks again
# (way, dash, frames before A, frames of A)
WAYS = (
    (1, False, 99, 0),
    (1, True, 99, 0),
    (1, False, 0, 26),
    (1, True, 0, 26),
    (1, False, 0, 6),
    (1, True, 10, 26),
    (1, False, 10, 26),
    (0, False, 0, 20),
    (0, False, 99, 0),
    (-1, False, 0, 22),
    (-1, True, 99, 0),
)
PLAYFUL = 0.006  # chance a step that it begins to play about
STUCK = 90  # steps without getting on, after which it tries anything
DEATH, SPARK_WORTH, STOMP_WORTH, NEAR = 1000.0, 14.0, 10.0, 3.0


def load_cave_module():
    """Load cave.py beside this file: the folders of games are no packages."""
    path = Path(__file__).resolve().parent / "cave.py"
    spec = importlib.util.spec_from_file_location("emberling_cave", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Foe:
    """An enemy as it will probably move: its choices are the game's."""

    __slots__ = ("aside", "fast", "kind", "slack", "speed", "state", "timer", "x", "y")

    def __init__(self, info, n, x):
        self.kind, self.x, self.y = int(info["enemy_kind"][n]), float(x), float(info["enemy_y"][n])
        self.aside = -1 if info["enemy_dir"][n] else 1
        self.state, self.timer = int(info["enemy_state"][n]), int(info["enemy_timer"][n])
        self.speed = int(info["enemy_speed"][n]) - 256 * (info["enemy_speed"][n] > 127)
        self.fast = 1.0 if info["level"] > 1 else 0.5
        self.slack = 4 if self.kind == BEETLE else 7

    def copy(self):
        """Make another of the same motion."""
        twin = object.__new__(Foe)
        for name in Foe.__slots__:
            setattr(twin, name, getattr(self, name))
        return twin

    def step(self, body, cave, m):
        """Move by a frame."""
        away = body.x - self.x
        if self.kind == BEETLE:
            pace = 0.5
            if abs(away) < 80 and abs(body.y - self.y) < 24:
                self.aside, pace, self.state = (1 if away > 0 else -1), self.fast, 0
            edge = int(self.x) + (13 if self.aside > 0 else 2)
            if not self.state and cave.at(edge, int(self.y) + 16) >= m.LEDGE:
                self.x += self.aside * pace
        elif self.kind == BAT:
            if self.state == 1:
                self.x += 0.8 if away > 2 else -0.8 if away < -2 else 0
                self.y += 0.75 if body.y > self.y else -0.75
            elif self.state == 2:
                self.y -= 1
            elif abs(away) < 88 and body.y > self.y:
                self.timer = 8 if self.timer > 8 else self.timer - 1
                self.state = int(self.timer <= 0)
        elif self.state == 0:
            self.timer -= 1
            if self.timer <= 0:
                self.state, self.speed, self.aside = 1, -50, (1 if away > 0 else -1)
        else:
            self.y += self.speed >> 4
            self.speed = min(self.speed + 3, 62)
            self.x += self.aside
            if self.speed > 0 and cave.at(int(self.x) + 8, int(self.y) + 16) >= m.LEDGE:
                self.y, self.state, self.timer = (int(self.y) & ~15), 0, 40


class Bot:
    """Plays one episode. `caves`: the levels."""

    def __init__(self, module):
        self.module = module
        self.caves = module.load_caves()
        self.plan = None  # one of WAYS
        self.age = 0  # frames since it was chosen
        self.play = 0  # steps left of playing about
        self.best, self.since = 0, 0  # the farthest place, and steps since
        self.held = set()

    def act(self, info, rng):
        """Choose the buttons to hold for the next two frames, by their names."""
        if info["scene"] != 1 or info["paused"]:
            held = {"START"} if "START" not in self.held and rng.random() < 0.2 else set()
        elif info["phase"] != PLAYING:
            self.plan, self.play, self.best, held = None, 0, 0, set()
        else:
            held = self.decide(info, rng)
        self.held = held
        return set(held)

    def decide(self, info, rng):
        """Choose the buttons in play."""
        x = int(info["player_x"])
        self.since = 0 if x > self.best else self.since + 1
        self.best = max(self.best, x)
        if self.play:
            self.play -= 1
        elif rng.random() < PLAYFUL:
            self.play = int(rng.integers(8, 50))
            self.plan = WAYS[rng.choice([0, 4, 7, 8, 9, 10])]
            self.age = 0
        done = self.plan is None or self.age >= 2 * REPLAN
        if not self.play and done:
            self.choose(info, rng)
        elif self.play and (self.age >= 40 or self.danger(info)):
            self.play = 0
            self.choose(info, rng)
        way, dash, wait, hold = self.plan
        held = {"RIGHT"} if way > 0 else {"LEFT"} if way < 0 else set()
        if dash:
            held.add("B")
        if wait <= self.age < wait + hold:
            held.add("A")
        self.age += 2
        return held

    def danger(self, info):
        """Ask whether the present plan would cost a life soon."""
        return self.worth(info, self.plan, self.age, self.foes(info)) < -DEATH / 2

    def choose(self, info, rng):
        """Take the way that promises most; in the air one goes on with A as it was begun."""
        foes = self.foes(info)
        rising = self.plan and info["vel_y"] < 0 and self.plan[3]
        best, chosen = None, None
        options = [(way, 0) for way in WAYS]
        if rising:
            options.append((self.plan, self.age))
        elif not foes and not info["vel_y"] and self.plain(info):
            self.plan, self.age = WAYS[int(rng.random() < 0.5)], 0
            return
        for way, age in options:
            value = self.worth(info, way, age, foes) + rng.random() * 4
            if self.since > STUCK:
                value += rng.random() * 60
            if best is None or value > best:
                best, chosen = value, (way, age)
        self.plan, self.age = chosen

    def plain(self, info):
        """Ask whether the way ahead is flat and empty: nothing to think about."""
        cave, m = self.cave(info), self.module
        column, row = int(info["player_x"]) + 8 >> 4, int(info["player_y"]) + 8 >> 4
        for cells in cave.cells[column : column + 6]:
            if cells[row] in (m.ROCK, m.DEADLY) or cells[row + 1] != m.ROCK or m.SPARK in cells:
                return False
        return True

    def cave(self, info):
        """Give the level that is played."""
        return self.caves[int(info["layout"])]

    def foes(self, info):
        """List the enemies that matter."""
        x, found = int(info["player_x"]), []
        for n, kind in enumerate(info["enemy_kind"]):
            if kind not in (0, SQUASHED):
                at = int(info["enemy_x"][n]) + 256 * int(info["enemy_room"][n])
                if -90 < at - x < 180:
                    found.append(Foe(info, n, at))
        return found

    def worth(self, info, way, age, foes):
        """Rate a way: pixels to the right, more for sparks and stomps, less for danger."""
        cave, m = self.cave(info), self.module
        body, (aside, dash, wait, hold) = m.Body(info), way
        foes = [foe.copy() for foe in foes]
        down_before = "A" in self.held
        gain, seen = 0.0, set()
        start = body.x
        for frame in range(LOOK):
            jump = wait <= age + frame < wait + hold
            if not body.step(cave, aside, dash, jump, jump and not down_before):
                return gain - DEATH - 200 + 4 * frame
            down_before = jump
            for foe in foes:
                foe.step(body, cave, m)
                dx, dy = abs(body.x - foe.x), body.y - foe.y
                if dx < 11 and -13 <= dy < 12:
                    if body.vy <= 0 or dy > -3:
                        return gain - DEATH + 4 * frame
                    gain += STOMP_WORTH
                    body.vy = -m.BOUNCE
                    foes.remove(foe)
                    break
                if dx < 11 + foe.slack and -6 < dy < 12 + foe.slack:
                    gain -= NEAR
            cell = body.x + 8 >> 4, body.y + 8 >> 4
            if cell not in seen:
                seen.add(cell)
                met = cave.at(body.x + 8, body.y + 8)
                if met == m.GOAL:
                    return gain + 400 - frame
                if met == m.SPARK and not info["taken"][cell[0] >> 3] >> (cell[0] & 7) & 1:
                    gain += SPARK_WORTH
        # in the air at the end: nobody knows where he lands
        return gain + (body.x - start) - (0 if body.ground else 12)


def make_bot():
    """Make a bot for one episode."""
    return Bot(load_cave_module())
