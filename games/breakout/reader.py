"""Reads Breakout's screen back into game terms, from pixels alone: ball, paddle and bricks. No
emulator is needed.

Rows and columns are those of the frame, which lacks the screen's first row and its last: row 0 is
the screen's row 1.
"""

from typing import Any, NamedTuple

import cv2
import numpy as np

SHAPE = (208, 160, 3)
# the field between the walls; below BOTTOM nothing is drawn
TOP, BOTTOM, LEFT, RIGHT = 31, 195, 8, 152
WALL_TOP, WALL_BOTTOM = 56, 92  # the bricks: six rows of 18, 6 x 8 pixels each
PADDLE_TOP, PADDLE_BOTTOM = 188, 192
GREY, RED = (142, 142, 142), (200, 72, 72)
BRICKS = (RED, (198, 108, 58), (180, 122, 48), (162, 162, 42), (72, 160, 72), (66, 72, 200))
# of a colour's channels: every colour differs by 142 at least from the black around it
TOLERANCE = 64
MIN_PADDLE = 6  # columns from which something is read as the paddle
WIDTHS = range(12, 19)  # it has 16, later 12, a ball adds two, and the right wall hides some
# a ball has 2 x 4 pixels, 5 rows where its colour changes; more is something else
BALL_WIDTH, BALL_HEIGHT = 3, 6
# columns and rows that a ball may move in a step: 8 in real play, and what is hidden of it adds
# some
REACH = 12
NEAR, NEAR_PADDLE = 4, 2
LOST_AFTER = 3  # screens without a ball


def row_colours() -> np.ndarray:
    """uint8 [164, 144, 3]: what a ball looks like in the field, pixel by pixel: it takes the colour
    of its row.
    """
    colours = np.empty((BOTTOM - TOP, RIGHT - LEFT, 3), np.uint8)
    colours[: WALL_TOP - TOP] = GREY
    colours[WALL_TOP - TOP : WALL_BOTTOM - TOP] = np.repeat(np.array(BRICKS, np.uint8), 6, axis=0)[
        :, None
    ]
    colours[WALL_BOTTOM - TOP :] = RED
    return colours


def longest_run(lit: np.ndarray) -> tuple[int, int]:
    """(first, last + 1) of the longest run of True in bool [N]; (0, 0) without any."""
    edges = np.flatnonzero(np.diff(lit, prepend=False, append=False)).reshape(-1, 2)
    return tuple(max(edges.tolist(), key=lambda run: run[1] - run[0], default=(0, 0)))


class Reader:
    """Turns frames into dicts. Stateless: one serves many sequences.

    Attributes:
        shape: of the frames that it reads, (208, 160, 3); field: what is between the walls.
    """

    shape = SHAPE
    field = (slice(TOP, BOTTOM), slice(LEFT, RIGHT))

    def __init__(self) -> None:
        colours = row_colours()
        self.least, self.most = (
            cv2.subtract(colours, (TOLERANCE,) * 3),
            cv2.add(colours, (TOLERANCE,) * 3),
        )

    def read(self, frame: np.ndarray) -> dict[str, Any]:
        """What a frame, uint8 [208, 160, 3], shows.

        Returns:
            ball: (x, y), the left column and top row of what is seen of the ball, or None; the
                largest of several.
            balls: how many things look like one.
            debris: how many things look like no ball, brick or paddle.
            paddle: its left column, or None.
            broken: the paddle is too short or too long.
            bricks: bool [6, 18], those that stand.

        Raises:
            ValueError: a frame of another shape or type.
        """
        if frame.shape != SHAPE or frame.dtype != np.uint8:
            raise ValueError(
                f"Breakout's frames are uint8 {SHAPE}, not {frame.dtype} {frame.shape}."
            )
        field = frame[TOP:BOTTOM, LEFT:RIGHT]
        # not OpenCV's: its threads are slow where others compute
        right = (self.least <= field) & (field <= self.most)
        lit = right[..., 0] & right[..., 1] & right[..., 2]
        wall = lit[WALL_TOP - TOP : WALL_BOTTOM - TOP]
        # half of the pixels; a ball in a gap has eight
        bricks = wall.reshape(6, 6, 18, 8).sum((1, 3)) >= 24
        wall &= ~bricks.repeat(6, 0).repeat(8, 1)
        low = lit[PADDLE_TOP - TOP : PADDLE_BOTTOM - TOP]
        first, end = longest_run(low.sum(0) >= 3)
        paddle, broken = None, False
        if end - first >= MIN_PADDLE:
            paddle, broken = first + LEFT, end - first not in WIDTHS and end + LEFT != RIGHT
            low[:, first:end] = False
        things = cv2.connectedComponentsWithStats(lit.view(np.uint8), connectivity=8)[2][
            1:
        ].tolist()
        # (x, y, width, height, pixels); one pixel is noise
        things = [thing for thing in things if thing[4] > 1]
        balls = [thing for thing in things if thing[2] <= BALL_WIDTH and thing[3] <= BALL_HEIGHT]
        x, y, *_ = max(balls, key=lambda thing: thing[4], default=(0, 0))
        return {
            "ball": (x + LEFT, y + TOP) if balls else None,
            "balls": len(balls),
            "debris": len(things) - len(balls),
            "paddle": paddle,
            "broken": broken,
            "bricks": bricks,
        }

    def truth(self, variables: dict[str, Any]) -> dict[str, Any]:
        """What the frame must show for a step's RAM variables: ball and paddle; the bricks are not
        among them.

        A ball that bricks hide (in one frame of 400, where it slips between them) counts as shown.
        """
        x, y, paddle = variables["ball_x"] - 49, variables["ball_y"] + 8, variables["player_x"] - 47
        y -= y < WALL_BOTTOM  # from the bricks upwards the ball is drawn a row higher
        # in a wall, in the paddle
        hidden = x + 1 < LEFT or x >= RIGHT or (y == PADDLE_TOP and paddle <= x < paddle + 15)
        lost = not variables["ball_y"] or y > PADDLE_BOTTOM + 1
        return {"ball": None if hidden or lost else (max(x, LEFT), max(y, TOP)), "paddle": paddle}

    def score(self, real: dict[str, Any], dream: dict[str, Any]) -> dict[str, float | None]:
        """How much of a real step a dreamed frame shows, 0 to 1. `real` is a `read` or a `truth`.

        - ball: 1 where a ball is shown, ball_near: within 4 pixels of its place. None where there
          is none to show.
        - paddle: 1 where it is shown within 2 columns of its place.
        - bricks: share of the 108 places that are right. None for a truth, which knows of no
          bricks.
        """
        scores: dict[str, float | None] = dict.fromkeys(("ball", "ball_near", "paddle", "bricks"))
        if real["ball"]:
            scores["ball"] = float(dream["ball"] is not None)
            scores["ball_near"] = float(near(real["ball"], dream["ball"], NEAR))
        if real["paddle"] is not None:
            scores["paddle"] = float(
                dream["paddle"] is not None and abs(real["paddle"] - dream["paddle"]) <= NEAR_PADDLE
            )
        if real.get("bricks") is not None:
            scores["bricks"] = float((real["bricks"] == dream["bricks"]).mean())
        return scores

    def checker(self) -> "Checker":
        """A fresh judge of one sequence of reads."""
        return Checker()


def near(place: tuple[int, int], other: tuple[int, int] | None, pixels: int) -> bool:
    """Are both shown, and no further apart than `pixels` in either direction?"""
    return (
        other is not None and max(abs(a - b) for a, b in zip(place, other, strict=True)) <= pixels
    )


def in_the_open(ball: tuple[int, int]) -> bool:
    """Is a ball so far from walls, bricks and paddle that it cannot be hidden a step before or
    after?
    """
    x, y = ball
    return LEFT + 8 <= x < RIGHT - 8 and WALL_BOTTOM + REACH <= y < PADDLE_TOP - REACH


class Verdict(NamedTuple):
    """`reasons` are empty for a legal screen; `events` as in Checker."""

    reasons: tuple[str, ...]
    events: frozenset[str]


class Checker:
    """Judges one sequence: `step` with one read a step. What the screen before showed counts as
    true.

    Reasons: "two balls", "debris", "no paddle" and "broken paddle" of the screen alone; "jump" (the
    ball is too far from where it was), "ball gone" (it vanished in the open) and "brick back" (only
    the whole wall comes back, after the last brick). Events: "brick" (some vanished), "serve" (a
    ball appears in the open) and "lost" (no ball for LOST_AFTER screens after it was at the
    paddle).
    """

    def __init__(self) -> None:
        self.before: dict[str, Any] | None = None
        self.missing = 0  # screens since a ball vanished at the paddle; 0 where none did

    def step(self, read: dict[str, Any]) -> Verdict:
        """Judge the next screen, a dict of `Reader.read`."""
        faults = {
            "two balls": read["balls"] > 1,
            "debris": read["debris"] > 0,
            "no paddle": read["paddle"] is None,
            "broken paddle": read["broken"],
        }
        events = {}
        if self.before:
            was, now, bricks = self.before["ball"], read["ball"], self.before["bricks"]
            faults["jump"] = was and now and not near(was, now, REACH)
            faults["ball gone"] = was and not now and in_the_open(was)
            faults["brick back"] = bricks.any() and (read["bricks"] & ~bricks).any()
            if now:
                self.missing = 0
            elif self.missing or (was and was[1] >= PADDLE_TOP - REACH):
                self.missing += 1
            events = {
                "brick": (bricks & ~read["bricks"]).any(),
                "serve": now and not was and in_the_open(now),
                "lost": self.missing == LOST_AFTER,
            }
        self.before = read
        return Verdict(
            *(
                kind(name for name, is_so in told.items() if is_so)
                for kind, told in ((tuple, faults), (frozenset, events))
            )
        )


def make_reader() -> Reader:
    """The reader of this game."""
    return Reader()
