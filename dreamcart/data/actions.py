"""Actions of other recorders and Dreamcart's buttons, bound by name.

stable-retro records a list of 0 and 1 in its console's own order; Atari recordings hold the number
of one of ALE's actions, counted in the game's minimal set (Gymnasium's default) or in the full one.
VizDoom's environments count one button at a time, or have a list of 0 and 1; with a mouse both are
in a dictionary, {"binary": …, "continuous": […]}.
"""

from dataclasses import dataclass, field
from typing import Any

from dreamcart.core.errors import UserError, shown
from dreamcart.games.ale import buttons_of
from dreamcart.games.spec import GameSpec

# Console, as in stable-retro's names of games → its order of buttons; None is a place without a
# button.
CONSOLES: dict[str, list[str | None]] = {
    "Nes": ["B", None, "SELECT", "START", "UP", "DOWN", "LEFT", "RIGHT", "A"],
    "GameBoy": ["B", None, "SELECT", "START", "UP", "DOWN", "LEFT", "RIGHT", "A"],
    "Snes": ["B", "Y", "SELECT", "START", "UP", "DOWN", "LEFT", "RIGHT", "A", "X", "L", "R"],
    "Genesis": ["B", "A", "MODE", "START", "UP", "DOWN", "LEFT", "RIGHT", "C", "Y", "X", "Z"],
    "Sms": ["B", None, None, "PAUSE", "UP", "DOWN", "LEFT", "RIGHT", "A"],
    "Atari2600": ["BUTTON", None, "SELECT", "RESET", "UP", "DOWN", "LEFT", "RIGHT"],
    "GbAdvance": ["B", None, "SELECT", "START", "UP", "DOWN", "LEFT", "RIGHT", "A", None, "L", "R"],
    "PCEngine": ["II", "III", "SELECT", "RUN", "UP", "DOWN", "LEFT", "RIGHT", "I", "IV", "V", "VI"],
}
CONSOLES["32x"] = CONSOLES["Genesis"]
# ALE's 18 actions by number.
ALE_ACTIONS = [
    "NOOP",
    "FIRE",
    "UP",
    "RIGHT",
    "LEFT",
    "DOWN",
    "UPRIGHT",
    "UPLEFT",
    "DOWNRIGHT",
    "DOWNLEFT",
    "UPFIRE",
]
ALE_ACTIONS += [
    "RIGHTFIRE",
    "LEFTFIRE",
    "DOWNFIRE",
    "UPRIGHTFIRE",
    "UPLEFTFIRE",
    "DOWNRIGHTFIRE",
    "DOWNLEFTFIRE",
]


AUTO = "auto"  # find out


@dataclass
class Binding:
    """How recorded actions become buttons: by the name at each place of a list, or by the buttons
    of each number.
    """

    says: str
    places: list[str | None] | None = None
    numbers: list[set[str]] | None = None
    # presses of buttons that the game does not have
    lost: dict[str, int] = field(default_factory=dict)

    def to_buttons(self, action: Any, spec: GameSpec) -> list[int]:
        """A recorded action → multi-hot in the game's button order.

        Raises UserError where it is none.
        """
        if (
            isinstance(action, dict)
            and isinstance(moved := action.get("continuous"), list)
            and any(moved)
        ):
            self.lost["the mouse"] = self.lost.get("the mouse", 0) + 1
        values = action_values(held_part(action), spec)
        if self.numbers is not None:
            if len(values) != 1 or not 0 <= values[0] < len(self.numbers):
                known = f"{len(self.numbers)} ({self.says})"
                raise UserError(
                    f"The dataset has the action {shown(action)}, and {spec.title} has {known}."
                )
            pressed = self.numbers[values[0]]
        else:
            if len(values) != len(self.places) or any(value not in (0, 1) for value in values):
                buttons = ", ".join(name or "none" for name in self.places)
                raise UserError(
                    f"The dataset has the action {shown(action)}, which is no list of 0 and 1 for"
                    f" {buttons}."
                )
            pressed = {
                name for name, value in zip(self.places, values, strict=True) if value and name
            }
        for name in pressed - set(spec.buttons):
            self.lost[name] = self.lost.get(name, 0) + 1
        return spec.vector(pressed & set(spec.buttons))


def held_part(action: Any) -> Any:
    """Of an action in a dictionary the part of the buttons that can be held; others as they are.

    Raises UserError.
    """
    if not isinstance(action, dict):
        return action
    if "binary" not in action:
        keys = shown(list(action))[1:-1] or "nothing"
        raise UserError(
            f"The dataset has actions in a dictionary of {keys}; the buttons must be in 'binary',"
            " as VizDoom has them."
        )
    return action["binary"]


def action_values(action: Any, spec: GameSpec) -> list[int]:
    """A list or a number → whole numbers. Raises UserError on anything else."""
    values = action if isinstance(action, (list, tuple)) else [] if action is None else [action]
    if not all(
        isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        for value in values
    ):
        raise UserError(
            f"The dataset has the action {shown(action)}, which is no list of 0 and 1 for"
            f" {', '.join(spec.buttons)}."
        )
    return [int(value) for value in values]


def bind(
    spec: GameSpec,
    lengths: set[int],
    largest: int,
    recorded_as: list[str] | None = None,
    said: str = AUTO,
) -> Binding:
    """Find out what recorded actions mean.

    Args:
        lengths: all lengths of action lists in the dataset (1 for a plain number).
        largest: the largest number in any of them.
        recorded_as: names of the places, where the dataset itself says them.
        said: what a person says that they mean, where numbers and lengths leave it open: see
            `as_said`.

    Raises:
        UserError: they fit neither the game's buttons nor its console's.
    """
    if len(lengths) != 1:
        which = ", ".join(map(str, sorted(lengths)[:10]))
        raise UserError(
            f"The dataset has actions of different kinds ({which} entries); leave out the episodes"
            " that do not belong."
        )
    (length,) = lengths
    if said != AUTO:
        return as_said(said, spec, length)
    if recorded_as is not None and length == len(recorded_as):
        return Binding(
            f"{length} entries, named by the dataset ({', '.join(recorded_as)})",
            places=list(recorded_as),
        )
    if spec.backend == "ale" and length == 1 and len(spec.buttons) != 1:
        if largest < len(minimal := minimal_actions(spec)) < len(ALE_ACTIONS):
            return Binding(
                f"numbers of the game's {len(minimal)} minimal actions ({', '.join(minimal)}); if"
                " they are of ALE's full set, say `--actions full` (`collect.actions: full`)",
                numbers=[*map(buttons_of, minimal)],
            )
        return as_said("full", spec, length)
    if spec.backend == "vizdoom" and length == 1 and len(spec.buttons) != 1:
        says = (
            "numbers of one button at a time, as VizDoom's environments count them (1 is"
            f" {spec.buttons[-1]})"
        )
        return Binding(says, numbers=[set(), *({name} for name in reversed(spec.buttons))])
    console = console_order(spec)
    if console is not None and length == len(console):
        order = ", ".join(name or "none" for name in console)
        return Binding(f"{length} entries, in stable-retro's order ({order})", places=console)
    if length == len(spec.buttons):
        return Binding(
            f"{length} entries, in the game's own order ({', '.join(spec.buttons)})",
            places=list(spec.buttons),
        )
    fits = f"{len(spec.buttons)} buttons ({', '.join(spec.buttons)})" + (
        f", stable-retro {len(console)}" if console else ""
    )
    raise UserError(
        f"The dataset has actions with {length} entries, and {spec.title} has {fits}; name the"
        " right game."
    )


def as_said(said: str, spec: GameSpec, length: int) -> Binding:
    """What a person says that actions mean.

    Args:
        said: "minimal" or "full" (numbers of ALE's actions), or names separated by commas: the
            button at each place of a list ("none" for a place without), or, where actions are
            single numbers, the button of each number from 0 on.
        length: entries in each recorded action.

    Raises:
        UserError: it fits neither the game nor the actions.
    """
    if said in ("minimal", "full"):
        if spec.backend != "ale" or length != 1:
            raise UserError(
                f"Only an Atari game's actions, by number, are {said!r}; these have {length}"
                f" entries, of {spec.title}."
            )
        names = ALE_ACTIONS if said == "full" else minimal_actions(spec)
        return Binding(
            f"numbers of ALE's {said} set of {len(names)} actions",
            numbers=[*map(buttons_of, names)],
        )
    names = [
        None if name.strip().lower() in ("none", "") else name.strip() for name in said.split(",")
    ]
    known = {*spec.buttons, *(console_order(spec) or ())} - {None}
    unknown = [name for name in names if name is not None and name not in known]
    if unknown:
        raise UserError(
            f"{shown(unknown[0])}, named as what the recorded actions mean, is no button of"
            f" {spec.title}; it has {', '.join(sorted(known))}, and 'none' is a place without one."
        )
    if length == 1 and len(names) > 1:
        return Binding(
            f"numbers, as you say, of {said}", numbers=[{name} if name else set() for name in names]
        )
    if length != len(names):
        given = f"{len(names)} places of an action ({shown(said)[1:-1]})"
        raise UserError(f"You name {given}, and the dataset's actions have {length} entries.")
    return Binding(f"{length} entries, in the order that you say ({said})", places=names)


def console_order(spec: GameSpec) -> list[str | None] | None:
    """stable-retro's order for the console of a retro game (NAME-CONSOLE-v0);

    None where it is not known.
    """
    return (
        next((CONSOLES[part] for part in spec.env.split("-") if part in CONSOLES), None)
        if spec.backend == "retro"
        else None
    )


def minimal_actions(spec: GameSpec) -> list[str]:
    """Names of the actions that an Atari game uses, in ALE's order.

    Raises UserError where its ROM is missing.
    """
    from dreamcart.games.emulator import open_emulator

    emulator = open_emulator(spec)
    names = [action.name for action in emulator.ale.getMinimalActionSet()]
    emulator.close()
    return names
