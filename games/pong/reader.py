"""Reads Pong's screen back into game terms, from pixels alone: ball, both paddles, both scores. No
emulator is needed.

Rows and columns are those of the frame, which lacks the screen's first row and its last: row 0 is
the screen's row 1.
"""

from typing import Any, NamedTuple

import cv2
import numpy as np

SHAPE = (208, 160, 3)
TOP, BOTTOM, WIDTH = 33, 193, 160  # the field is between two white bars and open at both sides
ENEMY, PLAYER = slice(16, 20), slice(140, 144)  # the paddles' columns
HEIGHT = 16  # rows of a paddle; the bars may hide all but one of them
# Halfway between the colours: background (144, 72, 17), ball white (236, 236, 236), enemy (213,
# 130, 74), player (92, 186, 92).
LIT_GREEN = 101  # above it a pixel is not background
WHITE_BLUE = 155  # above it a pixel is white
# a ball has 2 x 4 pixels, or 5 rows now and then; more is something else
BALL_WIDTH, BALL_HEIGHT = 3, 6
# columns and rows that a ball may move in a step: 8 in real play, and what is hidden of it adds
# some
REACH = 12
NEAR, NEAR_PADDLE = 4, 2
# Digits are 3 x 5 blocks of 4 x 4 pixels: an octal digit for each row of blocks. Tens that are not
# drawn are 0.
FONT = ("75557", "22222", "71747", "71317", "55711", "74717", "44757", "71111", "75757", "75711")
DIGITS = {int(blocks, 8): digit for digit, blocks in enumerate(FONT)}
TENS = {0: 0} | {int(FONT[digit], 8): digit for digit in (1, 2)}
SCORES = {"enemy_points": 5, "player_points": 25}  # their first columns of blocks


class Reader:
    """Turns frames into dicts. Stateless: one serves many sequences.

    Attributes:
        shape: of the frames that it reads, (208, 160, 3); field: what is between the bars.
    """

    shape = SHAPE
    field = (slice(TOP, BOTTOM), slice(0, WIDTH))

    def read(self, frame: np.ndarray) -> dict[str, Any]:
        """What a frame, uint8 [208, 160, 3], shows.

        Returns:
            ball: (x, y), the left column and top row of what is seen of the ball, or None; the
                largest of several.
            balls: how many things look like one.
            debris: how many white things look like none.
            player, enemy: top row of what is seen of the paddle, or None.
            broken: how many paddles are in pieces, too tall or, without a bar to hide the rest, too
                short.
            player_points, enemy_points: int, or None where the digits are none.

        Raises:
            ValueError: a frame of another shape or type.
        """
        if frame.shape != SHAPE or frame.dtype != np.uint8:
            raise ValueError(f"Pong's frames are uint8 {SHAPE}, not {frame.dtype} {frame.shape}.")
        white = frame[TOP:BOTTOM, :, 2] > WHITE_BLUE
        red, green = (frame[TOP:BOTTOM, :, channel] for channel in range(2))
        paddles, broken = {}, 0
        for name, columns, colour, other in (
            ("player", PLAYER, green, red),
            ("enemy", ENEMY, red, green),
        ):
            drawn = (
                (green[:, columns] > LIT_GREEN)
                & (colour[:, columns] > other[:, columns])
                & ~white[:, columns]
            )
            rows = np.flatnonzero(drawn.sum(1) >= 2)  # the ball may hide two columns of it
            paddles[name] = int(rows[0]) + TOP if len(rows) else None
            broken += len(rows) > 0 and not is_paddle(rows)
        if white[:, -1].any():
            white[:, 0] = False  # what leaves the screen at the right comes in at the left
        things = cv2.connectedComponentsWithStats(white.view(np.uint8), connectivity=8)[2][
            1:
        ].tolist()
        # (x, y, width, height, pixels); one pixel is noise
        things = [thing for thing in things if thing[4] > 1]
        balls = [thing for thing in things if thing[2] <= BALL_WIDTH and thing[3] <= BALL_HEIGHT]
        x, y, *_ = max(balls, key=lambda thing: thing[4], default=(0, 0))
        blocks = (frame[:20, :, 1] > LIT_GREEN).reshape(5, 4, 40, 4).sum((1, 3)) >= 8
        return {
            "ball": (x, y + TOP) if balls else None,
            "balls": len(balls),
            "debris": len(things) - len(balls),
            **paddles,
            "broken": broken,
            **{name: read_number(blocks[:, first : first + 7]) for name, first in SCORES.items()},
        }

    def truth(self, variables: dict[str, Any]) -> dict[str, Any]:
        """What the frame must show for a step's RAM variables.

        The digits follow their variables a step later.
        """
        x, y = variables["ball_x"] - 49, variables["ball_y"] - 15
        seen = variables["ball_y"] and 0 <= x < WIDTH and TOP - 3 <= y < BOTTOM
        enemy = variables["enemy_y"] - HEIGHT
        return {
            "ball": (x, max(y, TOP)) if seen else None,
            "player": max(variables["player_y"] - 14, TOP),
            "enemy": max(enemy, TOP) if enemy > TOP - HEIGHT else None,
            **{name: variables[name] for name in SCORES},
        }

    def score(self, real: dict[str, Any], dream: dict[str, Any]) -> dict[str, float | None]:
        """How much of a real step a dreamed frame shows, 0 to 1. `real` is a `read` or a `truth`.

        - ball: 1 where a ball is shown, ball_near: within 4 pixels of its place. None where there
          is none to show.
        - player, enemy: 1 where the paddle is shown within 2 rows of its place. None where
          there is none to show.
        - points: 1 where both scores are right.
        """
        scores: dict[str, float | None] = dict.fromkeys(("ball", "ball_near", "player", "enemy"))
        if real["ball"]:
            scores["ball"] = float(dream["ball"] is not None)
            scores["ball_near"] = float(near(real["ball"], dream["ball"], NEAR))
        for name in ("player", "enemy"):
            if real[name] is not None:
                scores[name] = float(
                    dream[name] is not None and abs(real[name] - dream[name]) <= NEAR_PADDLE
                )
        return scores | {"points": float(all(real[name] == dream[name] for name in SCORES))}

    def checker(self) -> "Checker":
        """A fresh judge of one sequence of reads."""
        return Checker()


def is_paddle(rows: np.ndarray) -> bool:
    """Do int [N], N > 0, rising rows of the field make up what is seen of one paddle?"""
    in_one = rows[-1] - rows[0] + 1 == len(rows)
    at_a_bar = rows[0] == 0 or rows[-1] == BOTTOM - TOP - 1
    return bool(in_one and (len(rows) == HEIGHT or (at_a_bar and len(rows) < HEIGHT)))


def read_number(blocks: np.ndarray) -> int | None:
    """The number that bool [5, 7] blocks show: tens, a gap, units. None where they show none."""
    octal = (blocks[:, [[0, 1, 2], [4, 5, 6]]] @ [4, 2, 1]).T @ 8 ** np.arange(4, -1, -1)
    tens, units = TENS.get(int(octal[0])), DIGITS.get(int(octal[1]))
    return None if tens is None or units is None else tens * 10 + units


def near(place: tuple[int, int], other: tuple[int, int] | None, pixels: int) -> bool:
    """Are both shown, and no further apart than `pixels` in either direction?"""
    return (
        other is not None and max(abs(a - b) for a, b in zip(place, other, strict=True)) <= pixels
    )


def in_the_open(ball: tuple[int, int]) -> bool:
    """Is a ball so far from the bars and the sides that it cannot be hidden or out a step before or
    after?
    """
    x, y = ball
    return REACH <= x < WIDTH - REACH and TOP + REACH <= y < BOTTOM - REACH


class Verdict(NamedTuple):
    """`reasons` are empty for a legal screen; `events` as in Checker."""

    reasons: tuple[str, ...]
    events: frozenset[str]


class Checker:
    """Judges one sequence: `step` with one read a step. What the screen before showed counts as
    true.

    Reasons: "two balls", "debris", "no paddle" (the enemy's leaves the field, but not while a ball
    is in play), "broken paddle" and "digit" (unreadable) of the screen alone; "jump" (the ball is
    too far from where it was), "ball gone" (it vanished in the open) and "score" (neither as before
    nor a point more for one side). Events: "point", "serve" (a ball appears in the open) and
    "bounce" (the ball turns back to the other side).
    """

    def __init__(self) -> None:
        self.before: dict[str, Any] | None = None
        # sign of the ball's last movement along the columns; 0 where it has not moved yet
        self.heading = 0

    def step(self, read: dict[str, Any]) -> Verdict:
        """Judge the next screen, a dict of `Reader.read`."""
        points = [read[name] for name in SCORES]
        faults = {
            "two balls": read["balls"] > 1,
            "debris": read["debris"] > 0,
            "no paddle": (
                read["player"] is None or (read["ball"] is not None and read["enemy"] is None)
            ),
            "broken paddle": read["broken"] > 0,
            "digit": None in points,
        }
        events = {}
        if self.before:
            was, now = self.before["ball"], read["ball"]
            faults["jump"] = was and now and not near(was, now, REACH)
            faults["ball gone"] = was and not now and in_the_open(was)
            earlier = [self.before[name] for name in SCORES]
            more = (
                None
                if None in points + earlier
                else [a - b for a, b in zip(points, earlier, strict=True)]
            )
            faults["score"] = more not in (None, [0, 0], [0, 1], [1, 0])
            heading = int(np.sign(now[0] - was[0])) if was and now else 0
            events = {
                "point": more in ([0, 1], [1, 0]),
                "serve": now and not was and in_the_open(now),
                "bounce": not faults["jump"] and heading * self.heading < 0,
            }
            self.heading = heading or (self.heading if now else 0)
        self.before = read
        reasons, seen = (
            [name for name, is_so in told.items() if is_so] for told in (faults, events)
        )
        return Verdict(tuple(reasons), frozenset(seen))


def make_reader() -> Reader:
    """The reader of this game."""
    return Reader()
