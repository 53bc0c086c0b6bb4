"""Scripted play that covers a game: what the buttons do, what a good player meets, and the edge
cases.

A policy is made once an episode and asked once a step: `act(variables, rng) -> set of button
names`, or None to end it.
"""

from typing import Any, Protocol

import numpy as np

from dreamcart.core.errors import UserError
from dreamcart.data.explore_script import Explorer
from dreamcart.games.catalog import game_module
from dreamcart.games.spec import GameSpec, Script

MENU_BUTTONS = {"START", "SELECT", "PAUSE", "RUN"}
TAP, HOLD = 0.6, 0.15  # chance to let go at each step: about 2 steps, about 7
LEAN = 60, 400  # steps for which one button is the favourite
# What a game without a bot is recorded by: policy and share. START pauses most games, so that the
# policies that press it have little of it.
WITHOUT_BOT = (("explore", 0.5), ("play", 0.2), ("lean", 0.15), ("held", 0.1), ("menu", 0.05))
# Where it begins at power-on, with a title and menus before the game.
FROM_POWER_ON = (("explore", 0.4), ("held", 0.3), ("menu", 0.3))


class Policy(Protocol):
    """Presses buttons."""

    def act(self, variables: dict[str, Any], rng: np.random.Generator) -> set[str] | None:
        """Buttons to hold for the next step; None ends the episode here (scripts never do)."""


class Held:
    """Holds a random choice of up to two buttons for a random while, as thumbs do, then another.

    Short and long holds both matter: taps rotate once, long holds reach auto-repeat. `menu` is the
    chance that a choice includes START or SELECT: rare in play, common in menus.
    """

    def __init__(self, spec: GameSpec, menu: float) -> None:
        self.menu_buttons = [name for name in spec.buttons if name in MENU_BUTTONS]
        self.buttons = [name for name in spec.buttons if name not in MENU_BUTTONS]
        self.menu = menu
        self.left = 0
        self.held: set[str] = set()

    def act(self, variables: dict[str, Any], rng: np.random.Generator) -> set[str]:
        if self.left == 0:
            count = int(rng.choice([0, 1, 2], p=[0.3, 0.6, 0.1]))
            self.held = set(
                rng.choice(self.buttons, size=min(count, len(self.buttons)), replace=False).tolist()
            )
            self.left = int(rng.geometric(rng.choice([TAP, HOLD])))
            if self.menu_buttons and rng.random() < self.menu:
                self.held = {str(rng.choice(self.menu_buttons))}
                self.left = int(rng.geometric(0.5))
        self.left -= 1
        return self.held


class Lean(Held):
    """`Held`, but leaning on one button for seconds at a time: most of what it presses is that one.

    Boards are topped out, walls pushed against and pieces turned round and round: what neither
    chance nor a good player does for long enough.
    """

    def __init__(self, spec: GameSpec) -> None:
        super().__init__(spec, menu=0.08)
        self.favourite = ""
        self.until_next = 0

    def act(self, variables: dict[str, Any], rng: np.random.Generator) -> set[str]:
        if self.until_next == 0:
            self.favourite = str(rng.choice(self.buttons))
            self.until_next = int(rng.integers(*LEAN))
        self.until_next -= 1
        fresh = self.left == 0
        held = super().act(variables, rng)
        if fresh and rng.random() < 0.5:
            self.held = held = {self.favourite}
        return held


class Bot:
    """The game's own bot (games/<game>/bot.py), interrupted now and then by random holds.

    The interruptions show the model what follows from buttons that no good player would press.
    """

    def __init__(self, spec: GameSpec) -> None:
        self.bot = _load_bot(spec)
        self.noise = Held(spec, menu=0.05)
        self.noisy = 0

    def act(self, variables: dict[str, Any], rng: np.random.Generator) -> set[str]:
        if self.noisy == 0 and rng.random() < 0.02:
            self.noisy = int(rng.integers(5, 40))
        if self.noisy:
            self.noisy -= 1
            return self.noise.act(variables, rng)
        return self.bot.act(variables, rng)


def make_policy(name: str, spec: GameSpec) -> Policy:
    """A fresh policy by name. Raises UserError for an unknown one."""
    policies = {
        "play": lambda: Held(spec, menu=0.0),
        "held": lambda: Held(spec, menu=0.02),
        "menu": lambda: Held(spec, menu=0.35),
        "lean": lambda: Lean(spec),
        "explore": lambda: Explorer(spec, *(Held(spec, menu) for menu in (0.02, 0.0, 0.35))),
        "bot": lambda: Bot(spec),
    }
    if name not in policies:
        raise UserError(
            f"games/{spec.name}/game.yaml names a script {name!r}; there are {', '.join(policies)}."
        )
    return policies[name]()


def built_in(
    states: list[str], policies: tuple[tuple[str, float], ...] = WITHOUT_BOT
) -> list[Script]:
    """The scripts of a game without a bot, over its start states in equal parts."""
    return [
        Script(policy, state, round(part / len(states), 4))
        for state in states
        for policy, part in policies
    ]


def _load_bot(spec: GameSpec) -> Policy:
    module = game_module(spec.name, "bot.py")
    if module:
        return module.make_bot()
    raise UserError(
        f"games/{spec.name} has no bot.py, which its script 'bot' needs; use 'held' in its"
        " game.yaml."
    )
