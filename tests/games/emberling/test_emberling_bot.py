"""The bot's picture of the player's motion is the ROM's, and the bot plays well with it."""

import numpy as np
import pytest
from emberling_console import GAME_DIR, PLAYING, load_module

from dreamcart.games.catalog import game_module

CAVE = load_module(GAME_DIR / "cave.py")
CAVES = CAVE.load_caves()


@pytest.mark.parametrize(
    "state",
    ["Level1", "Gap1", "Pools1", "Steps1", "Hops2", "Tower2", "Pillars2", "Tunnel3", "Goal1"],
)
def test_the_motion_is_the_roms(console, state):
    """Position, speed and ground, in every frame of random play."""
    rng, held, before = np.random.default_rng(len(state)), set(), set()
    console.load(state, alone=True)
    compared = 0
    for number in range(250):
        if number % 7 == 0:
            chances = (("RIGHT", 0.6), ("LEFT", 0.25), ("A", 0.5), ("B", 0.4))
            held = {name for name, chance in chances if rng.random() < chance}
        if console.phase == PLAYING:
            body = CAVE.Body(console.info)
            way, press = ("RIGHT" in held) - ("LEFT" in held), "A" in held - before
            lives = body.step(CAVES[console.layout], way, "B" in held, "A" in held, press)
            after = console.frame(*held)
            assert lives == (after["phase"] in (0, 3)), number
            if lives:
                moved = CAVE.Body(after)
                assert all(getattr(body, x) == getattr(moved, x) for x in CAVE.Body.__slots__)
                compared += 1
        else:
            console.frame(*held)
        before = held
    assert compared > 80


def test_the_bot_finishes_levels(console):
    """It comes through most of six levels, and the logic is never late."""
    module, goals, deaths = game_module("emberling", "bot.py"), 0, 0
    for level in range(1, 7):
        console.load(f"Level{level}", seed=level)
        bot, rng = module.make_bot(), np.random.default_rng(level)
        reached = lost = 0
        for _ in range(900):
            console.frame(*bot.act(console.info, rng), times=2)
            reached, lost = max(reached, console.goals), max(lost, console.deaths)
            if reached:
                break
        goals, deaths = goals + reached, deaths + lost
        assert console.lag == 0
    assert goals >= 4
    assert deaths <= 12
