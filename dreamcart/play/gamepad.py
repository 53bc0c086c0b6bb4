"""Gamepads: all that are plugged in act as one, by the names that SDL has for their controls.

SDL's game controller API gives every pad the same controls, whatever its maker prints on them. Here
the left stick is a second d-pad, a trigger is a button, and the guide button is no control.
"""

import contextlib
from typing import Any

# Control -> its number in SDL_GameControllerButton; 5 is the guide button.
_BUTTONS = {
    "a": 0,
    "b": 1,
    "x": 2,
    "y": 3,
    "back": 4,
    "start": 6,
    "leftstick": 7,
    "rightstick": 8,
    "leftshoulder": 9,
    "rightshoulder": 10,
    "dpup": 11,
    "dpdown": 12,
    "dpleft": 13,
    "dpright": 14,
}
# Control -> (its number in SDL_GameControllerAxis, which way it is pushed).
_AXES = {
    "dpleft": (0, -1),
    "dpright": (0, 1),
    "dpup": (1, -1),
    "dpdown": (1, 1),
    "lefttrigger": (4, 1),
    "righttrigger": (5, 1),
}
CONTROLS = list(dict.fromkeys([*_BUTTONS, *_AXES]))
# Of an axis' -32768 to 32767: about as far as makes the stick's eight directions equally wide.
DEAD_ZONE = 0.4 * 32768
_OPPOSITES = ({"dpleft", "dpright"}, {"dpup", "dpdown"})


class Gamepads:
    """The pads that are plugged in, now and later. pygame's display must be initialised."""

    def __init__(self) -> None:
        import pygame
        from pygame._sdl2 import controller

        self._pygame, self._sdl = pygame, controller
        self._pads: list[Any] = []
        self._taps: set[str] = set()
        with contextlib.suppress(pygame.error):  # a system without joysticks
            controller.init()  # it posts an event for each pad that is there

    def __bool__(self) -> bool:
        """Whether there is a pad."""
        return bool(self._pads)

    def notice(self, event: Any) -> None:
        """Take note of a pygame event: a pad is plugged in or unplugged, or a button goes down."""
        if event.type == self._pygame.CONTROLLERDEVICEADDED:
            self._open(event.device_index)
        elif event.type == self._pygame.CONTROLLERDEVICEREMOVED:
            self._pads = [pad for pad in self._pads if pad.attached()]
        elif event.type == self._pygame.CONTROLLERBUTTONDOWN:
            self._taps |= {name for name, number in _BUTTONS.items() if number == event.button}

    def look(self) -> tuple[set[str], set[str]]:
        """Return the controls that went down since the last look, and those that are held now.

        Opposite directions never come together, as on a d-pad: where both are held, neither is.
        """
        held = set().union(*map(_held, self._pads))
        taps, self._taps = self._taps, set()
        for pair in _OPPOSITES:
            if pair <= held | taps:
                taps -= pair
            if pair <= held:
                held -= pair
        return taps, held

    def close(self) -> None:
        """Let go of all pads. It must come before pygame.quit, or the next window finds none."""
        self._pads.clear()
        self._sdl.quit()

    def _open(self, index: int) -> None:
        """Open the pad at SDL's `index`; one that SDL has no mapping for is left alone."""
        with contextlib.suppress(self._pygame.error):  # unplugged already, or nobody may read it
            if self._sdl.is_controller(index):
                self._pads.append(self._sdl.Controller(index))


def _held(pad: Any) -> set[str]:
    """The controls of one pad that are down."""
    buttons = {name for name, number in _BUTTONS.items() if pad.get_button(number)}
    pushed = {name for name, (axis, way) in _AXES.items() if pad.get_axis(axis) * way > DEAD_ZONE}
    return buttons | pushed
