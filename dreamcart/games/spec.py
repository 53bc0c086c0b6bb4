"""GameSpec: what the pipeline must know of a game (where it comes from: `catalog`).

It travels with the data and with the models, so that a dream can be played by button *name* on a
machine that has neither the game folder nor an emulator.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from dreamcart.core.errors import UserError, shown
from dreamcart.core.paths import LONGEST_NAME, game_name
from dreamcart.core.typed import Pattern, build
from dreamcart.games.paddles import paddles_of

PLAIN = Pattern(rf"\w[\w.-]{{0,{LONGEST_NAME}}}", "letters, digits and . _ -, a letter first")
Address = Annotated[int, (0, 127)]  # in the Atari's 128 bytes of RAM
Text = Annotated[
    str, Pattern(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]{1,200}", "1 to 200 characters on one line")
]
Button = Annotated[str, PLAIN]
State = Annotated[str, PLAIN]  # the emulators make a file's name of it
Variable = Annotated[str, PLAIN]
Condition = Annotated[
    str, Pattern(r"most [\w.-]+|[\w.-]+ = -?\w[\w.]*", "'VARIABLE = VALUE' or 'most VARIABLE'")
]
LEAST_RATE = 0.1  # steps a second: below it nobody plays


@dataclass(frozen=True)
class Script:
    """One kind of scripted play: which policy starts from which state, for which share of the
    episodes.
    """

    policy: Literal["play", "held", "menu", "lean", "explore", "bot", "person"]
    state: Annotated[str, Pattern(rf"(\w[\w.-]{{0,{LONGEST_NAME}}})?", PLAIN.words)] = ""
    share: Annotated[float, (0.0, 1000.0)] = 1.0


@dataclass(frozen=True)
class GameSpec:
    """A game as the pipeline sees it.

    `buttons` fixes the order of the multi-hot action vector; `crop` is (top, bottom, left, right)
    pixels cut off the emulator's picture; `frame_skip` emulator frames make one model step, `fps`
    is the emulator's native rate, so the model runs at fps / frame_skip steps a second.

    Where the game's files are (ROM, integration, bot) is no part of it: they are looked up in
    games/ by `name`.
    """

    name: str
    title: Text
    backend: Literal["retro", "ale", "vizdoom"]
    env: Annotated[
        str, Pattern(r"\w[\w.-]*(/\w[\w.-]*)?", "a name as Gymnasium or stable-retro has it")
    ]
    buttons: Annotated[list[Button], (1, 64)]
    keys: Annotated[dict[Button, Text], (0, 64)]
    fps: Annotated[float, (1.0, 1000.0)]
    frame_skip: Annotated[int, (1, 240)]
    scripts: Annotated[list[Script], (1, 1000)]
    start_states: Annotated[list[State], (0, 1000)] = field(default_factory=list)
    crop: Annotated[list[Annotated[int, (0, 4096)]], (4, 4)] = field(
        default_factory=lambda: [0, 0, 0, 0]
    )
    # RAM variable poked after a reset with 1 + (seed mod 65535), or mod 255 where it is
    # one byte, for games that draw from a generator.
    seed_variable: Annotated[str, Pattern(r"[\w.-]*", "the name of a variable")] = ""
    # What no picture tells decides some of what happens (a counter in RAM, say): a dream of it must
    # draw.
    hidden: bool = False
    # Variable -> its address, for Atari games; stable-retro has its own list in data.json.
    ram: Annotated[dict[Variable, Address], (0, 128)] = field(default_factory=dict)
    # The game goes on after its own "done" (game over is a screen like any other).
    continuing: bool = False
    # After its own "done" a console's game begins anew from its start state, at the next step;
    # Atari's and Doom's do so where they are `continuing`.
    restarts: bool = False
    # How recordings hold its frames, both without loss: PNG put together from strips that come
    # again, or WebP.
    images: Literal["png", "webp"] = "png"
    # Event name -> RAM variable whose increase counts as one such event.
    events: Annotated[dict[Text, Variable], (0, 100)] = field(default_factory=dict)
    # Edge case -> "variable = value", or "most array": the frame where that array has most non-zero
    # entries.
    edge_cases: Annotated[dict[Text, Condition], (0, 100)] = field(default_factory=dict)

    @property
    def step_rate(self) -> float:
        """Model steps a second for play in real time."""
        return self.fps / self.frame_skip

    @property
    def random(self) -> bool:
        """The game draws from a generator of its own, or seems to: a dream of it must draw too."""
        return bool(self.seed_variable) or self.hidden

    @property
    def temperature(self) -> float:
        """At which a dream of it is played unless the player says otherwise."""
        return 1.0 if self.random else 0.0

    @property
    def paddles(self) -> list[tuple[int, int, float]]:
        """Knobs that buttons turn and no picture shows: of each the numbers of the buttons that
        turn it back and on, and the share of its whole way that a step turns it.
        """
        return paddles_of(self.env, self.buttons, self.frame_skip) if self.backend == "ale" else []

    def vector(self, pressed: set[str]) -> list[int]:
        """Button names -> multi-hot list in `buttons` order.

        Raises UserError for an unknown name.
        """
        unknown = pressed - set(self.buttons)
        if unknown:
            raise UserError(
                f"{self.title} has no button {shown(min(unknown))}; it has"
                f" {', '.join(self.buttons)}."
            )
        return [int(name in pressed) for name in self.buttons]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form, for datasets and models."""
        return dataclasses.asdict(self)

    @staticmethod
    def from_dict(values: dict[str, Any], source: str = "The game") -> "GameSpec":
        """Make a spec of what `to_dict` gave, or of what somebody wrote.

        `source` says in messages where it was read. Raises UserError on keys that are unknown or
        missing, values of another type or range, and values that do not go together.
        """
        # datasets and carts of the first formats say where their maker's files were
        if isinstance(values, dict):
            values = {key: value for key, value in values.items() if key != "integration"}
        spec = build(GameSpec, values, "", source)
        for problem in _problems(spec):
            raise UserError(f"{source}: {problem}.")
        return spec


def _problems(spec: GameSpec) -> Iterator[str]:
    """What of a spec does not go together, in words."""
    try:
        game_name(spec.name)
    except UserError as problem:
        yield str(problem).rstrip(".")
    twice = next((name for name in spec.buttons if spec.buttons.count(name) > 1), None)
    if twice:
        yield f"buttons has {twice!r} twice; leave one of them out"
    for button, key in spec.keys.items():
        if button not in spec.buttons:
            yield f"keys binds {button!r}, which is none of the buttons ({', '.join(spec.buttons)})"
        other = next(name for name, bound in spec.keys.items() if bound == key)
        if other != button:
            yield f"keys gives {key!r} to both {other} and {button}; choose another for one of them"
    if not sum(script.share for script in spec.scripts) > 0:
        yield "scripts has no share above 0, so nothing would be recorded"
    if spec.step_rate < LEAST_RATE:
        yield (
            f"fps {spec.fps:g} with frame_skip {spec.frame_skip} is less than {LEAST_RATE} steps a"
            " second; raise fps"
        )
