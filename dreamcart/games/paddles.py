"""Paddles: knobs that an emulator turns for a player by a fixed step a frame, which no picture
shows.
"""

from collections.abc import Sequence

# Games that ALE plays with a paddle. Of the resistance that it reports to them (src/ale/emucore,
# `ALEState`): its ends, and the step of one frame. A game begins in the middle.
GAMES = ("Breakout", "Kaboom", "Pong")
ENDS, STEP = (27_450, 790_196), 23_000


def paddles_of(env: str, buttons: Sequence[str], frame_skip: int) -> list[tuple[int, int, float]]:
    """Return the paddles of a game, an Atari's by its name in Gymnasium; see `GameSpec.paddles`."""
    if env.removeprefix("ALE/").removesuffix("-v5") not in GAMES or not {"LEFT", "RIGHT"} <= set(
        buttons
    ):
        return []
    step = STEP * frame_skip / (ENDS[1] - ENDS[0])
    return [(buttons.index("RIGHT"), buttons.index("LEFT"), step)]
