"""Which key and which control of a pad is which button of a game, in the window.

The player's own choice is keys.yaml in the repository's root. Git ignores it, and no dataset, model
or cart depends on it. All parts of it may be left out:

    keys:                 # every game that has such a button
      A: k
    games:                # one game only
      blockfall: {A: x, LEFT: a}
    gamepad:              # button -> control of the pad, by SDL's names; every game
      A: b
      START: start

Keys go by pygame's names: k, 1 (in quotes), space, return, left, left ctrl, f1, [1] on the keypad.
A button's key is the first of: `games`, `keys`, games/NAME/game.yaml of this checkout, and what the
game said when it was recorded. A button that loses its key to keys.yaml gets another one.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated

from dreamcart.core.errors import UserError, shown
from dreamcart.core.files import read_yaml
from dreamcart.core.paths import ROOT, game_name
from dreamcart.core.typed import build
from dreamcart.games.catalog import PLATFORMS, game_names, load_game
from dreamcart.games.keys import key_map, pad_map
from dreamcart.games.spec import Button, GameSpec, Text
from dreamcart.play.gamepad import CONTROLS

FILE = ROOT / "keys.yaml"
Keys = Annotated[dict[Button, Text], (0, 1000)]


@dataclass(frozen=True)
class OwnKeys:
    """What keys.yaml says: button -> key for every game and for one, button -> pad's control."""

    keys: Keys = field(default_factory=dict)
    games: dict[Text, Keys] = field(default_factory=dict)
    gamepad: Keys = field(default_factory=dict)


@dataclass(frozen=True)
class Bindings:
    """Button -> key by pygame's name, and button -> control of a pad by SDL's name."""

    keys: dict[str, str]
    controls: dict[str, str]


def bind(spec: GameSpec, reserved: Iterable[str]) -> Bindings:
    """Return what presses the game's buttons. pygame's display must be initialised.

    Args:
        reserved: the keys that the window uses itself.

    Raises:
        UserError: keys.yaml or the game's own `keys` is wrong, or gives one key two meanings.
    """
    if not spec.buttons:  # something to look at, such as a recording
        return Bindings({}, {})
    own, reserved = read_own_keys(), {_canonical(key) for key in reserved}
    return Bindings(_bind_keys(spec, own, reserved), _bind_pad(spec, own))


def read_own_keys() -> OwnKeys:
    """Read and check keys.yaml; no file says nothing. Raises UserError."""
    if not os.path.lexists(FILE):
        return OwnKeys()
    values = read_yaml(FILE, f"{FILE} is a link to nothing; correct it, or delete it.", "delete it")
    if values is None:  # all of it is commented out
        values = {}
    if isinstance(values, dict):
        values = {name: {} if part is None else part for name, part in values.items()}
    own = build(OwnKeys, values, "", FILE.name)
    games = {name: _named(keys, f"games.{name}") for name, keys in own.games.items()}
    for name, keys in games.items():
        try:
            game_name(name)
        except UserError as problem:
            raise UserError(f"{FILE.name}: games: {problem}") from None
        _refuse_twice(keys, f"games.{name}")
    for button, control in own.gamepad.items():
        if control not in CONTROLS:
            raise _wrong(f"gamepad.{button} is {shown(control)}", f"allowed: {', '.join(CONTROLS)}")
    return OwnKeys(_named(own.keys, "keys"), games, own.gamepad)


def _bind_keys(spec: GameSpec, own: OwnKeys, reserved: set[str]) -> dict[str, str]:
    """Button -> key, in the order in which the game names them."""
    chosen = _chosen_keys(spec, own, reserved)
    defaults = _game_keys(spec)
    kept, lost = {}, []
    for button, key in defaults.items():
        if button in chosen:
            continue
        said = f"`keys` of {spec.name}"
        key = _known(key, f"{said}: {button}")
        if key in chosen.values():
            lost.append(button)
        elif key in reserved or key in kept.values():
            user = next((other for other in kept if kept[other] == key), "Dreamcart itself")
            remedy = f"choose another in game.yaml, or in {FILE.name}"
            raise UserError(f"{said} gives {key!r} to {button}, but {user} uses it; {remedy}.")
        else:
            kept[button] = key
    moved = key_map(lost, {*reserved, *chosen.values(), *kept.values()})
    bound = kept | moved | chosen
    return {button: bound[button] for button in defaults | chosen if button in bound}


def _chosen_keys(spec: GameSpec, own: OwnKeys, reserved: set[str]) -> dict[str, str]:
    """Button -> key by keys.yaml, for this game. Raises UserError where they cannot be."""
    of_game = own.games.get(spec.name, {})
    for button in of_game:
        if button not in spec.buttons:
            remedy = f"the game's buttons are {', '.join(spec.buttons)}"
            raise _wrong(f"games.{spec.name} has {button!r}", remedy)
    keys = _for_buttons(own.keys, spec, "keys") | of_game
    for button, key in keys.items():
        if key in reserved:
            said = f"{button} has the key {key!r}, which Dreamcart itself uses"
            raise _wrong(said, "choose another")
    _refuse_twice(keys, f"games.{spec.name}")
    return keys


def _bind_pad(spec: GameSpec, own: OwnKeys) -> dict[str, str]:
    """Button -> control of a pad. Raises UserError where keys.yaml gives one to two buttons."""
    chosen = _for_buttons(own.gamepad, spec, "gamepad")
    _refuse_twice(chosen, "gamepad")
    others = [button for button in spec.buttons if button not in chosen]
    return pad_map(others, chosen.values()) | chosen


def _game_keys(spec: GameSpec) -> dict[str, str]:
    """Button -> key by game.yaml of this checkout, which may be newer than `spec`, else by `spec`.

    Raises UserError where that game.yaml is wrong.
    """
    if spec.name not in game_names():
        return spec.keys
    try:
        here = load_game(spec.name)
    except UserError:
        if PLATFORMS[spec.backend].module() is None:  # it may build on the library that is not here
            return spec.keys
        raise
    if (here.backend, here.env) != (spec.backend, spec.env):  # another game of the same name
        return spec.keys
    newer = {button: key for button, key in here.keys.items() if button in spec.buttons}
    older = {button: key for button, key in spec.keys.items() if button not in here.buttons}
    return newer | older


def _for_buttons(values: dict[str, str], spec: GameSpec, where: str) -> dict[str, str]:
    """Return the entries for the game's buttons. Raises UserError for one in small letters."""
    for button in values:
        if button not in spec.buttons and button.upper() in spec.buttons:
            raise _wrong(f"{where} has {button!r}", f"write the button's name {button.upper()}")
    return {button: value for button, value in values.items() if button in spec.buttons}


def _refuse_twice(values: dict[str, str], where: str) -> None:
    """Raise UserError where two buttons have one key or control."""
    buttons: dict[str, str] = {}
    for button, value in values.items():
        if value in buttons:
            said = f"{value!r} is given to both {buttons[value]} and {button}"
            raise _wrong(said, f"choose another for one of them in {where}")
        buttons[value] = button


def _wrong(said: str, remedy: str) -> UserError:
    """Return the sentence about something in keys.yaml."""
    return UserError(f"{FILE.name}: {said}; {remedy}.")


def _named(keys: dict[str, str], where: str) -> dict[str, str]:
    """Return button -> key as pygame writes it. Raises UserError for one that it does not know."""
    return {button: _known(key, f"{FILE.name}: {where}.{button}") for button, key in keys.items()}


def _known(key: str, where: str) -> str:
    """Return a key as pygame writes it. Raises UserError for one that it does not know."""
    try:
        return _canonical(key)
    except ValueError:
        known = "k, space, return, left ctrl or f1"
        problem = f"{where} is {shown(key)}, which is no name of a key"
        raise UserError(f"{problem}; names are such as {known}.") from None


def _canonical(key: str) -> str:
    """Return one name for all spellings of a key. Raises ValueError where pygame knows none."""
    import pygame

    code = pygame.key.key_code(key)
    if not key.isprintable():
        raise ValueError(key)
    return pygame.key.name(code) or key
