"""Keyboard keys (pygame's names) and pad controls (SDL's names) for buttons: what players expect.

No key and no control is given to two buttons of a game.
"""

from collections.abc import Iterable

# Button -> the keys it would like, best first. Consoles and Doom share the table: no button means
# two things in it.
WISHES: dict[str, tuple[str, ...]] = {
    **{name: (name.lower(),) for name in ("UP", "DOWN", "LEFT", "RIGHT")},
    # Atari
    **dict.fromkeys(("FIRE", "BUTTON"), ("space",)),
    # consoles: A beside B, as on the pad
    "A": ("x",),
    "B": ("z",),
    "C": ("c",),
    "X": ("s",),
    "Y": ("a",),
    "Z": ("d",),
    "L": ("q",),
    "R": ("w",),
    "I": ("x",),
    "II": ("z",),
    "III": ("c",),
    "IV": ("a",),
    "V": ("s",),
    "VI": ("d",),
    **dict.fromkeys(("START", "PAUSE", "RUN"), ("return",)),
    "SELECT": ("tab",),
    # Doom: the arrows walk and turn, or step aside where a scenario has no turning
    "MOVE_FORWARD": ("up",),
    "MOVE_BACKWARD": ("down",),
    "TURN_LEFT": ("left",),
    "TURN_RIGHT": ("right",),
    "MOVE_LEFT": ("left", "a"),
    "MOVE_RIGHT": ("right", "d"),
    "ATTACK": ("left ctrl",),
    "USE": ("space",),
    "SPEED": ("left shift",),
    "STRAFE": ("left alt",),
    "JUMP": ("j",),
    "CROUCH": ("c",),
    "ALTATTACK": ("x",),
    **{f"SELECT_WEAPON{number}": (str(number),) for number in range(10)},
    "SELECT_NEXT_WEAPON": ("e",),
    "SELECT_PREV_WEAPON": ("q",),
    "RELOAD": ("v",),
    "ZOOM": ("z",),
}
# For what has no wish left: free in the window too, which has r, p, g, m and escape for itself.
SPARE = [*"qwetyuioasdfhjklzxcvbn1234567890", *(f"f{number}" for number in range(1, 13))]

# The same for pads. a is the lower face button, b the right one, x the left one, y the upper one.
PAD_WISHES: dict[str, tuple[str, ...]] = {
    **{name: (f"dp{name.lower()}",) for name in ("UP", "DOWN", "LEFT", "RIGHT")},
    **{name: (name.lower(),) for name in "ABXY"},
    **dict.fromkeys(("FIRE", "BUTTON", "I"), ("a",)),
    "II": ("b",),
    "III": ("x",),
    "IV": ("y",),
    "C": ("x", "rightshoulder", "righttrigger"),
    "Z": ("leftshoulder", "lefttrigger"),
    **dict.fromkeys(("L", "V"), ("leftshoulder",)),
    **dict.fromkeys(("R", "VI"), ("rightshoulder",)),
    "L2": ("lefttrigger",),
    "R2": ("righttrigger",),
    **dict.fromkeys(("START", "PAUSE", "RUN"), ("start",)),
    "SELECT": ("back",),
    # Doom
    "MOVE_FORWARD": ("dpup",),
    "MOVE_BACKWARD": ("dpdown",),
    "TURN_LEFT": ("dpleft",),
    "TURN_RIGHT": ("dpright",),
    "MOVE_LEFT": ("dpleft", "leftshoulder", "lefttrigger"),
    "MOVE_RIGHT": ("dpright", "rightshoulder", "righttrigger"),
    "ATTACK": ("a",),
    "USE": ("b",),
    "SPEED": ("x",),
    "JUMP": ("y",),
    "ALTATTACK": ("righttrigger",),
    "STRAFE": ("rightstick",),
    "CROUCH": ("leftstick",),
    "SELECT_PREV_WEAPON": ("leftshoulder",),
    "SELECT_NEXT_WEAPON": ("rightshoulder",),
}
PAD_SPARE = [*"abxy", "leftshoulder", "rightshoulder", "lefttrigger", "righttrigger"]


def key_map(buttons: Iterable[str], taken: Iterable[str] = ()) -> dict[str, str]:
    """Return button -> key, without the keys in `taken`; see `_share_out`."""
    return _share_out(buttons, WISHES, SPARE, taken)


def pad_map(buttons: Iterable[str], taken: Iterable[str] = ()) -> dict[str, str]:
    """Return button -> control of a pad, without those in `taken`; see `_share_out`."""
    return _share_out(buttons, PAD_WISHES, PAD_SPARE, taken)


def _share_out(
    buttons: Iterable[str],
    wishes: dict[str, tuple[str, ...]],
    spare: list[str],
    taken: Iterable[str],
) -> dict[str, str]:
    """Give each button its first free wish, else a spare, in the order of `buttons`.

    All that is given is different. A button for which nothing is left is left out.
    """
    buttons, used, given = list(buttons), set(taken), {}
    for button in sorted(buttons, key=lambda name: len(wishes.get(name, spare))):  # choosiest first
        free = (wish for wish in (*wishes.get(button, ()), *spare) if wish not in used)
        given[button] = next(free, None)
        used.add(given[button])
    return {button: given[button] for button in buttons if given[button] is not None}
