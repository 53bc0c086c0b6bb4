"""Keyboard keys for buttons, by pygame's names: what players expect of each platform, and never one key twice."""

from collections.abc import Iterable

# Button -> the keys it would like, best first. Consoles and Doom share the table: no button means two things in it.
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


def key_map(buttons: Iterable[str]) -> dict[str, str]:
    """Buttons → keys, all different, in the order of `buttons`. Raises StopIteration beyond 44 unknown buttons."""
    buttons, taken = list(buttons), {}
    for button in sorted(buttons, key=lambda name: len(WISHES.get(name, SPARE))):  # the choosiest first
        taken[button] = next(key for key in (*WISHES.get(button, ()), *SPARE) if key not in taken.values())
    return {button: taken[button] for button in buttons}
