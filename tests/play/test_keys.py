"""Keys and pads: the player's own keys.yaml, and gamepads in both windows."""

import os
import subprocess
import sys

import numpy as np
import pytest
import yaml
from toys.synthetic import BUTTONS, assert_sentence, make_spec

from dreamcart.core.errors import UserError
from dreamcart.core.paths import ROOT
from dreamcart.games.catalog import load_game
from dreamcart.games.keys import key_map, pad_map
from dreamcart.play.bindings import bind, read_own_keys
from dreamcart.play.gamepad import CONTROLS, DEAD_ZONE, Gamepads
from dreamcart.play.loop import Input
from dreamcart.play.window import MARGIN, OWN_KEYS, Window
from dreamcart.record.recorder_window import RecorderWindow

pygame = pytest.importorskip("pygame")
sdl2 = pytest.importorskip("pygame._sdl2")

KEYS = {"A": "x", "B": "z", "SELECT": "tab", "START": "return"}
KEYS |= {name: name.lower() for name in ("UP", "DOWN", "LEFT", "RIGHT")}
SPEC = make_spec(keys=KEYS)
FRAME = np.zeros((16, 16, 3), np.uint8)


@pytest.fixture(autouse=True)
def display():
    """pygame knows keys by name once it has a display."""
    pygame.display.init()
    yield
    pygame.quit()


@pytest.fixture(autouse=True)
def own(tmp_path, monkeypatch):
    """own(text) writes keys.yaml; there is none at first, whatever who runs the tests has."""
    monkeypatch.setattr("dreamcart.play.bindings.FILE", tmp_path / "keys.yaml")
    return (tmp_path / "keys.yaml").write_text


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """checkout(name, values): a game.yaml in a checkout of its own."""
    for module in ("games.catalog", "core.paths"):
        monkeypatch.setattr(f"dreamcart.{module}.ROOT", tmp_path)

    def write(name: str, values: dict) -> None:
        (tmp_path / "games" / name).mkdir(parents=True)
        (tmp_path / "games" / name / "game.yaml").write_text(yaml.safe_dump(values))

    return write


def keys_of(spec=SPEC) -> dict[str, str]:
    return bind(spec, OWN_KEYS).keys


# keys.yaml


def test_without_an_own_file_the_games_keys_are_bound():
    """As it always was, and in the order in which the game names them."""
    assert list(keys_of().items()) == list(KEYS.items())


@pytest.mark.parametrize("text", ["", "# A: k", "keys:\ngames:\ngamepad:", "games: {toy: {}}"])
def test_an_own_file_that_says_nothing_changes_nothing(own, text):
    """Somebody has commented all of it out."""
    own(text)
    assert keys_of() == KEYS


def test_own_keys_go_to_every_game_that_has_the_button(own):
    """A button that a game lacks is no mistake there: the file is for all games."""
    own("keys: {A: k, FIRE: left shift}\n")
    assert keys_of() == KEYS | {"A": "k"}
    assert keys_of(make_spec(buttons=["FIRE"], keys={"FIRE": "space"})) == {"FIRE": "left shift"}


def test_keys_of_one_game_go_before_those_of_all(own):
    """And they are that game's alone."""
    own("keys: {A: k, B: l}\ngames:\n  toy: {A: v, LEFT: a}\n  other: {B: b}\n")
    assert keys_of() == KEYS | {"A": "v", "B": "l", "LEFT": "a"}
    assert keys_of(make_spec(name="other", keys=KEYS)) == KEYS | {"A": "k", "B": "b"}


def test_a_button_without_a_key_can_get_one(own):
    """What game.yaml leaves out, the player may want."""
    own("keys: {SELECT: tab}\n")
    assert keys_of(make_spec(keys={"A": "x"})) == {"A": "x", "SELECT": "tab"}


def test_a_button_that_loses_its_key_gets_another(own):
    """Its wish where that is free, else a key that game, player and window leave over."""
    own("games: {toy: {A: z, SELECT: q}}\n")
    assert keys_of() == KEYS | {"A": "z", "B": "w", "SELECT": "q"}
    own("keys: {A: left}\n")
    keys = keys_of(make_spec(keys={"A": "x", "LEFT": "left", "B": "q"}))
    assert keys == {"A": "left", "LEFT": "w", "B": "q"}


def test_keys_may_be_swapped(own):
    """What is taken from one is given to the other."""
    own("keys: {A: z, B: x}\n")
    assert keys_of() == KEYS | {"A": "z", "B": "x"}


@pytest.mark.parametrize("game", [None, {"A": "v", "B": "z"}])
def test_game_yaml_of_the_checkout_goes_before_what_was_recorded(checkout, own, game):
    """An edited key works for a model trained before, and the player's own file comes first."""
    if game:
        values = SPEC.to_dict() | {"keys": game, "scripts": [{"policy": "held", "state": "Begin"}]}
        del values["name"]
        checkout("toy", values)
    assert keys_of() == (game or KEYS)
    own("keys: {A: k}\n")
    assert keys_of() == (game or KEYS) | {"A": "k"}


def test_an_older_model_keeps_the_keys_of_buttons_that_are_gone(checkout):
    """game.yaml now has other buttons: what both have goes by game.yaml, the rest by the model."""
    values = SPEC.to_dict() | {"buttons": ["A", "X"], "keys": {"A": "v", "X": "s"}}
    del values["name"]
    checkout("toy", values)
    assert keys_of() == {**KEYS, "A": "v"}


def test_another_game_of_the_same_name_is_not_asked(checkout):
    """A cart called toy from elsewhere has nothing to do with games/toy."""
    values = SPEC.to_dict() | {"env": "Else-Nes-v0", "keys": {"A": "v"}}
    del values["name"]
    checkout("toy", values)
    assert keys_of() == KEYS


def test_a_dream_needs_no_emulator_for_its_keys(checkout, monkeypatch):
    """Its game.yaml builds on a library that is not installed: it keeps the keys it came with."""
    checkout("toy", {"extends": "ALE/Pong-v5"})
    spec = make_spec(backend="ale", keys=KEYS)
    monkeypatch.setattr("dreamcart.games.catalog.Platform.module", lambda self: None)
    assert keys_of(spec) == KEYS


def test_a_wrong_game_yaml_is_named(checkout, tmp_path):
    """Whoever has just edited the keys there must hear of it."""
    checkout("toy", {})
    (tmp_path / "games" / "toy" / "game.yaml").write_text("keys: {A: [x]}\n")
    with pytest.raises(UserError, match=r"games/toy/game\.yaml") as caught:
        keys_of()
    assert_sentence(caught.value)


def test_what_is_only_looked_at_asks_for_no_keys(own):
    """A recording is played back without buttons, whatever keys.yaml says of its game."""
    own("games: {toy: {FLY: k}}\n")
    spec = make_spec()
    spec.buttons.clear()
    assert bind(spec, OWN_KEYS).keys == {}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("keys: {A: kk}", "keys.A is 'kk', which is no name of a key"),
        ("keys: {A: ''}", "keys.A"),
        ('keys: {A: "\\0"}', "keys.A"),
        ('keys: {A: "\\n"}', "keys.A"),
        ('keys: {A: "\\ud800"}', "keys.A"),
        (f"keys: {{A: {'k' * 5000}}}", "keys.A"),
        ("keys: {A: 1}", "keys.A is 1; it must be a text"),
        ("keys: {A: [k]}", "keys.A"),
        ("keys: {A: null}", "keys.A"),
        ("keys: {1: k}", "a name in keys"),
        ("keys: {'A B': k}", "a name in keys"),
        ("keys: [A, k]", "keys is"),
        ("keys: &k {A: *k}", "keys.A"),
        ("key: {A: k}", "unknown key 'key'; allowed here: keys, games, gamepad"),
        ("A: k", "unknown key 'A'"),
        ("just words", "must be a mapping"),
        ("- A", "must be a mapping"),
        ("0", "must be a mapping"),
        ("keys: {A: k, A: l}", "twice"),
        ("keys: {A: k", "not valid YAML"),
        ("keys: {a: k}", "keys has 'a'; write the button's name A"),
        ("keys: {A: r}", "A has the key 'r', which Dreamcart itself uses; choose another"),
        ("keys: {A: R}", "A has the key 'r', which Dreamcart itself uses"),
        ("keys: {A: ESCAPE}", "A has the key 'escape', which Dreamcart itself uses"),
        ("keys: {A: k, B: K}", "'k' is given to both A and B; choose another for one of them"),
        ("keys: {A: k}\ngames: {toy: {B: k}}", "'k' is given to both A and B"),
        ("games: {toy: {A: k, B: k}}", "both A and B; choose another for one of them in games.toy"),
        ("games: {other: {A: k, B: k}}", "in games.other"),
        ("games: {other: {A: kk}}", "games.other.A"),
        ("games: {toy: {FLY: k}}", "games.toy has 'FLY'; the game's buttons are A, B,"),
        ("games: {toy: k}", "games.toy is 'k'"),
        ("games: {toy: null}", "games.toy"),
        ("games: {../toy: {A: k}}", "cannot name a game"),
        ("games: {1: {A: k}}", "a name in games"),
        ("gamepad: {A: z}", "gamepad.A is 'z'; allowed: a, b, x, y, back, start"),
        ("gamepad: {A: guide}", "gamepad.A is 'guide'"),
        ("gamepad: {A: 0}", "gamepad.A"),
        ("gamepad: {A: a, B: a}", "both A and B; choose another for one of them in gamepad"),
        ("gamepad: {left: dpup}", "gamepad has 'left'; write the button's name LEFT"),
    ],
)
def test_a_wrong_own_file_is_one_sentence(own, text, named):
    """It names the file, the place in it, and what to do."""
    own(text + "\n")
    with pytest.raises(UserError) as caught:
        Window(SPEC, 16, 16, "Toy", scale=1)
    assert_sentence(caught.value)
    assert "keys.yaml" in str(caught.value)
    assert named in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("make", ["folder", "link", "bytes"])
def test_an_own_file_that_is_none_is_one_sentence(tmp_path, make):
    """A folder, a link to nothing, a picture."""
    file = tmp_path / "keys.yaml"
    {
        "folder": file.mkdir,
        "link": lambda: file.symlink_to(tmp_path / "gone.yaml"),
        "bytes": lambda: file.write_bytes(b"\xff\xfe\x00"),
    }[make]()
    with pytest.raises(UserError, match=r"keys\.yaml") as caught:
        read_own_keys()
    assert_sentence(caught.value)


def test_a_games_own_conflict_can_be_settled(own):
    """A cart has a key that is the window's own: keys.yaml is the way out for who got it."""
    spec = make_spec(keys={"A": "x", "B": "r"})
    with pytest.raises(UserError, match=r"'r' to B, but Dreamcart itself .* keys\.yaml") as caught:
        keys_of(spec)
    assert_sentence(caught.value)
    own("keys: {B: k}\n")
    assert keys_of(spec) == {"A": "x", "B": "k"}


def test_the_recorder_has_other_keys_of_its_own(own):
    """R is free there, + is not."""
    own("keys: {A: r}\n")
    window = RecorderWindow(SPEC, FRAME, 1.0)
    assert window.keys["A"] == "r"
    window.close()
    pygame.display.init()
    own("keys: {A: +}\n")
    with pytest.raises(UserError, match=r"keys\.yaml: A has the key '\+'") as caught:
        RecorderWindow(SPEC, FRAME, 1.0)
    assert_sentence(caught.value)


@pytest.mark.parametrize("kind", ["play", "record"])
def test_an_own_key_presses_its_button_and_is_in_the_help(own, monkeypatch, kind):
    """The old key does nothing any more, and the help says what is bound."""
    own("keys: {A: left}\n")
    played = Window(SPEC, 16, 16, "Toy", scale=1), lambda: window.read().pressed
    recorded = RecorderWindow(SPEC, FRAME, 10.0), lambda: window.act({}, None)
    window, press = played if kind == "play" else recorded
    down = set()
    monkeypatch.setattr(pygame.key, "get_pressed", lambda: Down(down))
    down.add(pygame.K_LEFT)
    assert press() == {"A"}
    down.add(pygame.K_x)
    assert press() == {"A"}
    down.clear()
    pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=pygame.K_LEFT))
    assert press() == {"A"}
    text = "   ".join(window.help())
    assert "left: A" in text
    assert "q: LEFT" in text  # which lost its own
    assert "x: A" not in text
    window.close()


class Down:
    """What pygame.key.get_pressed gives."""

    def __init__(self, keys: set[int]) -> None:
        self.keys = keys

    def __getitem__(self, key: int) -> bool:
        return key in self.keys


def test_help_of_long_keys_is_seen_whole(own):
    """The window is as wide as the keys that are bound ask for, not those of the game."""
    long = ["left shift", "right shift", "left ctrl", "right ctrl"]
    long += ["page down", "caps lock", "backspace", "print screen"]
    own(yaml.safe_dump({"games": {"toy": dict(zip(BUTTONS, long, strict=True))}}))
    window = Window(SPEC, 16, 16, "Toy", scale=1)
    lines, room = window.help(), window.screen.get_width() - 2 * MARGIN
    for button, key in zip(BUTTONS, long, strict=True):
        assert f"{key}: {button}" in "   ".join(lines)
    assert max(window.fonts[0].size(line)[0] for line in lines) <= room
    window.close()


# Defaults


def test_a_game_of_very_many_buttons_has_keys_for_most():
    """The rest stays without one: scripts can record it all the same."""
    names = [f"BUTTON_{number}" for number in range(64)]
    keys, controls = key_map(names), pad_map(names)
    assert 40 < len(set(keys.values())) == len(keys) < 64
    assert len(set(controls.values())) == len(controls) == 8


@pytest.mark.parametrize(
    ("buttons", "controls"),
    [
        (["A", "B", "SELECT", "START", "UP"], ["a", "b", "back", "start", "dpup"]),
        (["FIRE", "RIGHT"], ["a", "dpright"]),
        (["BUTTON", "SELECT"], ["a", "back"]),
        (["II", "I", "RUN", "SELECT"], ["b", "a", "start", "back"]),
        (["B", "PAUSE", "A"], ["b", "start", "a"]),
        (["A", "B", "C", "START"], ["a", "b", "x", "start"]),
        # six on a Genesis pad
        ([*"BACYXZ"], ["b", "a", "rightshoulder", "y", "x", "leftshoulder"]),
        ([*"ABXYLR"], [*"abxy", "leftshoulder", "rightshoulder"]),
        (["ATTACK", "USE", "MOVE_LEFT", "MOVE_RIGHT"], ["a", "b", "dpleft", "dpright"]),
        (["MOVE_LEFT", "TURN_LEFT", "MOVE_FORWARD"], ["leftshoulder", "dpleft", "dpup"]),
        (["GRAB", "A"], ["b", "a"]),  # a name that nobody knows
    ],
)
def test_controls_are_those_one_expects_and_never_shared(buttons, controls):
    """By name where the pad has the name, by place where it has not."""
    assert pad_map(buttons) == dict(zip(buttons, controls, strict=True))


CONSOLES = ["SuperMarioBros3-Nes-v0", "Airstriker-Genesis-v0"]


@pytest.mark.parametrize("game", ["blockfall", "ALE/Pong-v5", *CONSOLES])
def test_every_button_of_a_console_is_on_the_pad(game):
    """All that SDL knows, none twice."""
    spec = load_game(game)
    controls = bind(spec, OWN_KEYS).controls
    assert set(controls) == set(spec.buttons)
    assert len(set(controls.values())) == len(controls)
    assert set(controls.values()) <= set(CONTROLS)


def test_the_own_file_changes_the_pad(own):
    """A control taken by the player is no other button's any more."""
    own("gamepad: {A: x, B: a, UP: rightshoulder}\n")
    controls = bind(SPEC, OWN_KEYS).controls
    changed = [controls[name] for name in ("A", "B", "UP", "LEFT")]
    assert changed == ["x", "a", "rightshoulder", "dpleft"]
    own("gamepad: {A: start}\n")
    controls = bind(SPEC, OWN_KEYS).controls
    assert (controls["A"], controls["START"]) == ("start", "a")
    assert len(set(controls.values())) == len(BUTTONS)


# Pads


class Pad:
    """A controller by pygame's interface: buttons and axes by SDL's numbers."""

    def __init__(self, name: int) -> None:
        self.name, self.buttons, self.axes, self.plugged = name, set(), {}, True

    def attached(self) -> bool:
        return self.plugged

    def get_button(self, number: int) -> bool:
        return number in self.buttons

    def get_axis(self, number: int) -> int:
        return self.axes.get(number, 0)

    def press(self, *controls: str) -> None:
        """From now on these are down, and no others."""
        now = {number_of("BUTTON", SDL_NAMES.get(name, name.upper())) for name in controls}
        for number in now - self.buttons:
            post(pygame.CONTROLLERBUTTONDOWN, instance_id=self.name, button=number)
        self.buttons = now

    def stick(self, x: float, y: float) -> None:
        """Push the left stick, -1 to 1."""
        self.axes[number_of("AXIS", "LEFTX")] = int(x * 32767)
        self.axes[number_of("AXIS", "LEFTY")] = int(y * 32767)


def number_of(kind: str, name: str) -> int:
    """The number that SDL has for a button or an axis."""
    return getattr(pygame, f"CONTROLLER_{kind}_{name}")


SDL_NAMES = {f"dp{way}": f"DPAD_{way.upper()}" for way in ("up", "down", "left", "right")}


class Sdl:
    """pygame._sdl2.controller with pads of ours; None is a device that SDL has no mapping for."""

    def __init__(self, *pads: Pad | None) -> None:
        self.devices, self.on = [*pads], False

    def init(self) -> None:
        self.on = True
        for index, pad in enumerate(self.devices):
            if pad:
                post(pygame.CONTROLLERDEVICEADDED, device_index=index)

    def quit(self) -> None:
        self.on = False

    def is_controller(self, index: int) -> bool:
        return index < len(self.devices) and self.devices[index] is not None

    def Controller(self, index: int) -> Pad:  # noqa: N802 - pygame's name
        if self.devices[index].plugged:
            return self.devices[index]
        raise pygame.error("Index is invalid or not a supported joystick.")

    def plug(self, pad: Pad | None) -> None:
        self.devices.append(pad)
        post(pygame.CONTROLLERDEVICEADDED, device_index=len(self.devices) - 1)

    def unplug(self, pad: Pad) -> None:
        self.devices.remove(pad)
        pad.plugged, pad.buttons = False, set()
        post(pygame.CONTROLLERDEVICEREMOVED, instance_id=pad.name)


def post(kind: int, **values: int) -> None:
    pygame.event.post(pygame.event.Event(kind, **values))


@pytest.fixture
def sdl(monkeypatch):
    """sdl(pad, …): these are plugged in, and no key is down."""

    def make(*pads: Pad | None) -> Sdl:
        made = Sdl(*pads)
        monkeypatch.setattr(sdl2, "controller", made)
        monkeypatch.setattr(pygame.key, "get_pressed", lambda: Down(set()))
        return made

    return make


@pytest.fixture
def look():
    """look(pads) → (what went down, what is held), after the events that are waiting."""

    def now(pads: Gamepads) -> tuple[set[str], set[str]]:
        for event in pygame.event.get():
            pads.notice(event)
        return pads.look()

    pygame.display.set_mode((8, 8))
    return now


def test_every_control_is_sdls(sdl, look):
    """Each by the number that pygame has for its name; the guide button is none."""
    pad = Pad(0)
    sdl(pad)
    pads = Gamepads()
    for control in CONTROLS:
        pad.press()
        if "trigger" in control:
            side = control.removesuffix("trigger").upper()
            pad.axes = {number_of("AXIS", f"TRIGGER{side}"): 30000}
            assert look(pads) == (set(), {control})
            pad.axes = {}
        else:
            pad.press(control)
            assert look(pads) == ({control}, {control})
    pad.press("guide")
    assert look(pads) == (set(), set())


def test_a_press_lasts_until_it_is_let_go(sdl, look):
    """It goes down once, is held, and then is neither."""
    pad = Pad(0)
    sdl(pad)
    pads = Gamepads()
    pad.press("a", "dpleft")
    assert look(pads) == ({"a", "dpleft"}, {"a", "dpleft"})
    assert look(pads) == (set(), {"a", "dpleft"})
    pad.press("dpleft")
    assert look(pads) == (set(), {"dpleft"})
    pad.press()
    assert look(pads) == (set(), set())


def test_a_short_tap_of_a_pad_is_not_lost(sdl, look):
    """Down and up between two looks was a press."""
    pad = Pad(0)
    sdl(pad)
    pads = Gamepads()
    pad.press("b")
    pad.press()
    assert look(pads) == ({"b"}, set())
    assert look(pads) == (set(), set())


@pytest.mark.parametrize(
    ("x", "y", "ways"),
    [
        (0, 0, set()),
        (0.3, -0.3, set()),  # a stick that does not come quite back
        (-1, 0.1, {"dpleft"}),
        (1, 0, {"dpright"}),
        (0, -1, {"dpup"}),
        (-0.2, 0.9, {"dpdown"}),
        (0.71, 0.71, {"dpright", "dpdown"}),
        (-0.71, -0.71, {"dpleft", "dpup"}),
        (1, 0.35, {"dpright"}),  # nearer to the side than to the corner
    ],
)
def test_the_stick_is_a_pad_of_eight_directions(sdl, look, x, y, ways):
    """Beyond the dead zone, and up is up."""
    pad = Pad(0)
    sdl(pad)
    pads = Gamepads()
    pad.stick(x, y)
    assert look(pads)[1] == ways
    assert 0.3 * 32768 < DEAD_ZONE < 0.5 * 32768


def test_opposite_directions_are_none(sdl, look):
    """No d-pad can press both, and neither game nor dream has ever seen it."""
    pad = Pad(0)
    sdl(pad)
    pads = Gamepads()
    pad.press("dpleft", "dpup", "a")
    pad.stick(1, 0)
    assert look(pads) == ({"dpup", "a"}, {"dpup", "a"})
    pad.stick(0, 0)
    assert look(pads)[1] == {"dpleft", "dpup", "a"}
    pad.press("dpright")  # so quickly that both went down since the last look
    pad.press("dpleft")
    assert look(pads) == (set(), {"dpleft"})


def test_pads_come_and_go_during_play(sdl, look):
    """One that is unplugged lets go of its buttons, and the other plays on."""
    first, second = Pad(0), Pad(1)
    system = sdl(first)
    pads = Gamepads()
    first.press("a")
    system.plug(second)
    look(pads)
    second.press("b", "a")
    assert look(pads)[1] == {"a", "b"}
    system.unplug(second)
    assert look(pads)[1] == {"a"}
    system.unplug(first)
    assert look(pads)[1] == set()
    assert not pads
    again = Pad(2)
    again.press("x")
    system.plug(again)
    assert look(pads)[1] == {"x"}
    post(pygame.CONTROLLERDEVICEREMOVED, instance_id=77)  # which never was
    post(pygame.CONTROLLERDEVICEADDED, device_index=9)  # gone before it could be looked at
    short = Pad(3)
    system.plug(short)
    short.plugged = False  # gone before it could be opened
    assert look(pads)[1] == {"x"}


def test_a_pad_that_is_told_of_twice_is_one(sdl, look):
    """Its buttons count once, and unplugged it is gone."""
    pad = Pad(3)
    system = sdl(pad)
    pads = Gamepads()
    post(pygame.CONTROLLERDEVICEADDED, device_index=0)
    pad.press("a")
    assert look(pads)[1] == {"a"}
    system.unplug(pad)
    assert look(pads)[1] == set()
    assert not pads


def test_an_unknown_device_is_left_alone(sdl, look):
    """A steering wheel that SDL has no mapping for."""
    pad = Pad(1)
    system = sdl(None, pad)
    pads = Gamepads()
    system.plug(None)
    pad.press("a")
    post(pygame.CONTROLLERBUTTONDOWN, instance_id=1, button=20)  # a paddle on its back
    assert look(pads) == ({"a"}, {"a"})


def test_a_system_without_joysticks_plays_by_keyboard(sdl, monkeypatch):
    """No pad is no mistake."""
    system = sdl(Pad(0))

    def fail() -> None:
        raise pygame.error("no joystick driver")

    monkeypatch.setattr(system, "init", fail)
    window = Window(SPEC, 16, 16, "Toy", scale=1)
    monkeypatch.setattr(pygame.key, "get_pressed", lambda: Down({pygame.K_x}))
    assert window.read().pressed == {"A"}
    window.close()


def test_keyboard_and_pads_are_one_in_the_window(sdl, monkeypatch, own):
    """Two pads and the keyboard press together; Dreamcart's own keys stay on the keyboard."""
    own("gamepad: {A: x, B: y}\n")
    first, second = Pad(0), Pad(1)
    system = sdl(first)
    window = Window(SPEC, 16, 16, "Toy", scale=1)
    system.plug(second)
    monkeypatch.setattr(pygame.key, "get_pressed", lambda: Down({pygame.K_DOWN}))
    first.press("x", "start")
    second.stick(-1, 0)
    assert window.read().pressed == {"DOWN", "A", "START", "LEFT"}
    first.press(*(control for control in CONTROLS if "trigger" not in control), "guide")
    turn = window.read()
    assert turn == Input(turn.pressed)
    window.close()
    assert not system.on  # else pygame would not tell the next window of pads


def test_a_pad_plays_to_be_recorded(sdl, monkeypatch):
    """START begins an episode, and is a button in it once it was let go."""
    pad = Pad(0)
    system = sdl(pad)
    window = RecorderWindow(SPEC, FRAME, 10.0)
    statuses, turns = [], []
    present = window._present

    def look(status: str) -> None:
        statuses.append(status)
        present(status)
        turns.pop(0)()

    window._present = look
    turns += [lambda: pad.press("a"), lambda: pad.press("a", "start")]
    assert window.wait(0)
    assert statuses[1].startswith("SPACE or START of the pad: record episode 0")
    turns += [lambda: None, lambda: pad.press("start", "dpleft")]
    turns += [lambda: pad.press("a"), lambda: pad.press("start")]
    assert [window.act({}, None) for _ in range(4)] == [set(), {"LEFT"}, {"A"}, {"START"}]
    escape = lambda: post(pygame.KEYDOWN, key=pygame.K_ESCAPE)  # noqa: E731
    turns += [lambda: pad.press("guide"), lambda: system.unplug(pad), escape]
    assert [window.act({}, None) for _ in range(3)] == [set(), set(), None]
    turns += [escape]
    assert not window.wait(1)
    assert statuses[-1].startswith("SPACE: record episode 1")
    window.close()


VIRTUAL = """
import ctypes, os, sys
sys.path.insert(0, sys.argv[1])
import pygame
from dreamcart.games.spec import GameSpec
from dreamcart.play import bindings
from dreamcart.play.window import Window
bindings.FILE = bindings.ROOT / "there" / "is" / "none.yaml"
library = next(line.split()[-1] for line in open("/proc/self/maps") if "libSDL2-" in line)
sdl = ctypes.CDLL(library)
sdl.SDL_JoystickFromInstanceID.restype = ctypes.c_void_p
button, axis = sdl.SDL_JoystickSetVirtualButton, sdl.SDL_JoystickSetVirtualAxis
button.argtypes = axis.argtypes = ctypes.c_void_p, ctypes.c_int, ctypes.c_int16
plug = lambda: sdl.SDL_JoystickAttachVirtual(1, 6, 15, 0)  # a pad of 6 axes and 15 buttons
spec = GameSpec("toy", "Toy", "retro", "Toy", ["A", "B", "UP", "LEFT", "RIGHT"], {}, 60.0, 2, [])
for turn in range(2):  # the second window, after the first one has left pygame
    pygame.display.init()
    pygame.joystick.init()
    plug()
    last = pygame.joystick.Joystick(0).get_instance_id()
    window = Window(spec, 16, 16, "Toy", 1)
    window.read()
    plug()
    print(sorted(window.read().pressed), len(window.pads._pads))
    (first, second) = (sdl.SDL_JoystickFromInstanceID(n) for n in range(last, last + 2))
    button(first, 0, 1), button(second, 1, 1), axis(second, 0, -32768)
    print(sorted(window.read().pressed))
    sdl.SDL_JoystickDetachVirtual(0)  # the first
    plug()
    print(sorted(window.read().pressed), len(window.pads._pads))
    button(second, 1, 0), axis(second, 0, 5000)
    print(sorted(window.read().pressed))
    sdl.SDL_JoystickDetachVirtual(0), sdl.SDL_JoystickDetachVirtual(0)
    window.read()
    print(bool(window.pads))
    window.close()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="finds SDL where Linux says that it is loaded")
def test_sdls_own_virtual_pads_play(tmp_path):
    """SDL itself plugs in, presses and unplugs, in two windows one after the other."""
    script = tmp_path / "virtual.py"
    script.write_text(VIRTUAL)
    environment = {**os.environ, "SDL_JOYSTICK_ALLOW_BACKGROUND_EVENTS": "1"}
    line = [sys.executable, str(script), str(ROOT)]
    done = subprocess.run(line, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    told = ["[] 2", "['A', 'B', 'LEFT']", "['B', 'LEFT'] 2", "[]", "False"]
    assert done.stdout.splitlines() == told * 2


def test_the_docstring_shows_a_file_that_works(own):
    """What is written down about keys.yaml is so."""
    from dreamcart.play import bindings

    lines = bindings.__doc__.splitlines()
    example = "\n".join(line.removeprefix("    ") for line in lines if line.startswith("    "))
    own(example)
    bound = bind(make_spec(name="blockfall", env="Blockfall-Nes-v0", keys=KEYS), OWN_KEYS)
    assert bound.keys == KEYS | {"A": "x", "LEFT": "a"}
    assert (bound.controls["A"], bound.controls["START"]) == ("b", "start")
