"""Is there a screen? SDL does not say so: on Linux without one it draws into memory, and a window
would wait for keys for ever.
"""

import os
import sys

from dreamcart.core.errors import UserError

SCREENS = ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER")


def require_display(otherwise: str) -> None:
    """Raise UserError where nobody would see a window;

    `otherwise`: the options that do without one.
    """
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    import pygame

    problem = ""
    if sys.platform == "linux" and not any(map(os.environ.get, SCREENS)):
        problem = "neither DISPLAY nor WAYLAND_DISPLAY is set"
    else:
        try:
            pygame.display.init()
            if pygame.display.get_driver() == "offscreen" and not os.environ.get("SDL_VIDEODRIVER"):
                problem = "the display that DISPLAY or WAYLAND_DISPLAY names does not answer"
        except pygame.error as error:
            problem = str(error)
    if problem:
        raise UserError(
            f"Cannot open a window ({problem}); on a machine without a display use {otherwise}."
        )
