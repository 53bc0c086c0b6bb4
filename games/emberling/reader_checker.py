"""Judges sequences of what Emberling's reader reads: whether a screen may follow the one before."""

from typing import Any, NamedTuple

REACH_X, REACH_Y = 12, 16  # pixels that the player may move on the screen in a step of two frames
OPEN = 160  # a player above this line is in no pit, from which he may vanish
LEAP = 250  # points that a step may bring: the goal's hundred and what else comes with it
FIRST_LIVES = 3


class Verdict(NamedTuple):
    """`reasons` are empty for a legal screen; `events` as in Checker."""

    reasons: tuple[str, ...]
    events: frozenset[str]


class Checker:
    """Judges one sequence: `step` with one read a step. What the screen before showed counts as
    true.

    Reasons: "no bar" (its words or numbers cannot be read) and "two players" of the screen alone;
    "jump" (the player is too far from where he was), "player gone" (he vanished in the open),
    "points" (fewer, or too many more), "lives" and "level" (changed otherwise than the game does).
    Events: "points" (more of them), "life lost", "level" (a new one), "game over".
    """

    def __init__(self) -> None:
        self.before: dict[str, Any] | None = None

    def step(self, read: dict[str, Any]) -> Verdict:
        """Judge the next screen, a dict of `Reader.read`."""
        reasons, events = set(), set()
        bar = [read[name] for name in ("score", "level", "lives", "message")]
        if read["scene"] is None or (read["scene"] != "title" and None in bar):
            reasons.add("no bar")
        if read["players"] > 1:
            reasons.add("two players")
        if self.before and read["scene"] in ("play", "dark"):
            self._compare(self.before, read, reasons, events)
        if not reasons or self.before is None:
            self.before = read
        else:  # numbers that cannot be read are those of before
            self.before = {
                name: self.before[name] if read[name] is None and name != "player" else read[name]
                for name in read
            }
        return Verdict(tuple(sorted(reasons)), frozenset(events))

    @staticmethod
    def _compare(was: dict[str, Any], now: dict[str, Any], reasons: set, events: set) -> None:
        here, there = was["player"], now["player"]
        if was["scene"] == now["scene"] == "play":
            if here and there:
                far = abs(here[0] - there[0]) > REACH_X or abs(here[1] - there[1]) > REACH_Y
                reasons |= {"jump"} if far else set()
            elif here and here[1] < OPEN:
                reasons.add("player gone")
        pairs = [(was[name], now[name]) for name in ("score", "level", "lives")]
        if any(value is None for pair in pairs for value in pair):
            return
        (points, more), (level, next_level), (lives, left) = pairs
        fresh = now["scene"] == "dark" and more == 0 and left == FIRST_LIVES and next_level == 1
        if fresh:
            return  # a new game
        if not 0 <= more - points <= LEAP:
            reasons.add("points")
        elif more > points:
            events.add("points")
        if next_level - level not in (0, 1) or (next_level > level and now["scene"] != "dark"):
            reasons.add("level")
        elif next_level > level:
            events.add("level")
        if abs(left - lives) > 1:
            reasons.add("lives")
        elif left < lives:
            events.add("life lost")
        if now["message"] == "OVER" and was["message"] != "OVER":
            events.add("game over")
