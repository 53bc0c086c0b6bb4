"""A pygame window as player: keyboard and gamepads by button name, scaled picture, key help."""

import time
from collections import deque

import numpy as np

from dreamcart.core.errors import UserError
from dreamcart.games.spec import GameSpec
from dreamcart.play.bindings import bind
from dreamcart.play.display import require_display
from dreamcart.play.gamepad import Gamepads
from dreamcart.play.loop import Input

OWN_KEYS = {
    "r": "restart",
    "p": "pause",
    "g": "GIF of the last 10 s",
    "m": "menu",
    "[": "cooler",
    "]": "warmer",
    "escape": "quit",
}
BACKGROUND, TEXT, BRIGHT = (16, 16, 24), (150, 150, 165), (255, 210, 90)
MARGIN, LINE = 12, 20
LETTERS = range(20, 9, -1)  # sizes of the help's, in pixels
LONGEST_STATUS = (
    "888.8 FPS (real time: 60)   PAUSED   temperature 1.0   saved blockfall-20260101-120000.gif"
)


class Window:
    """Opens on construction. Raises UserError where there is no display, or keys conflict.

    What a player presses is told by pygame's key code (int) or the name of a pad's control (str).
    """

    own_keys = taken_keys = OWN_KEYS  # those the help shows; those that no button may have
    without_display = "--headless --frames 300 --gif dream.gif"

    def __init__(
        self,
        spec: GameSpec,
        width: int,
        height: int,
        title: str,
        scale: int | None = None,
        without_display: str | None = None,
    ) -> None:
        self.without_display = without_display or self.without_display
        require_display(self.without_display)
        import pygame

        self.pygame, self.spec = pygame, spec
        try:
            pygame.display.init()
            pygame.font.init()
            bound = bind(spec, self.taken_keys)
            self.keys = bound.keys  # button -> key's name
            self.buttons: dict[int | str, str] = {  # key code or control -> button
                **{pygame.key.key_code(key): button for button, key in bound.keys.items()},
                **{control: button for button, control in bound.controls.items()},
            }
            if scale is None:
                room_x, room_y = pygame.display.get_desktop_sizes()[0]
                scale = max(
                    1,
                    min(
                        int(room_x * 0.7) // width,
                        int(room_y * 0.7) // height,
                        max(1, 560 // height),
                    ),
                )
            self.fonts = [pygame.font.Font(None, size) for size in LETTERS]
            # some games have twenty buttons
            words = max(self.fonts[0].size(line)[0] for line in (LONGEST_STATUS, *self.help()))
            words = min(words, pygame.display.get_desktop_sizes()[0][0] - 2 * MARGIN)
            size = (max(width * scale, words) + 2 * MARGIN, height * scale + 4 * LINE + 2 * MARGIN)
            self.screen = pygame.display.set_mode(size, pygame.RESIZABLE)
        except pygame.error as problem:
            raise UserError(
                f"Cannot open a window ({problem}); on a machine without a display use"
                f" {self.without_display}."
            ) from None
        self.pads = Gamepads()
        pygame.display.set_caption(title)
        self.title = title
        self.clock = pygame.time.Clock()
        self.times: deque[float] = deque(maxlen=60)

    def read(self) -> Input:
        """Keys and pads held now are buttons; R, P, G, M, [, ] and ESC act when they go down."""
        pygame = self.pygame
        turn, down = Input(), set()
        for event in pygame.event.get():
            self.pads.notice(event)
            if event.type == pygame.QUIT:
                turn.quit = True
            elif event.type == pygame.KEYDOWN:
                turn.quit |= event.key == pygame.K_ESCAPE
                turn.restart |= event.key == pygame.K_r
                turn.pause |= event.key == pygame.K_p
                turn.save_gif |= event.key == pygame.K_g
                turn.menu |= event.key == pygame.K_m
                turn.warmer += (event.key == pygame.K_RIGHTBRACKET) - (
                    event.key == pygame.K_LEFTBRACKET
                )
                down.add(event.key)  # down and up again since the last look is a press all the same
        turn.pressed = self.pressed(set().union(down, *self.look()))
        return turn

    def look(self) -> tuple[set[int | str], set[int | str]]:
        """Return the pads' controls that went down since the last look, and all that is held
        now.
        """
        taps, held = self.pads.look()
        keyboard = self.pygame.key.get_pressed()
        return taps, held | {key for key in self.buttons if isinstance(key, int) and keyboard[key]}

    def pressed(self, down: set[int | str]) -> set[str]:
        """Return the buttons of what is down."""
        return {button for key, button in self.buttons.items() if key in down}

    def show(self, frame: np.ndarray, paused: bool, message: str) -> None:
        """Draw the frame, the help under it, and wait for the next frame time."""
        status = f"{self.rate:4.1f} FPS (real time: {self.spec.step_rate:.0f})"
        self.draw(frame, status + ("   PAUSED" if paused else "") + f"   {message}")
        self.pygame.display.flip()
        self.clock.tick(self.spec.step_rate)

    def draw(self, frame: np.ndarray, status: str) -> None:
        """Draw the frame as large as fits with its aspect kept, `status` under it, then the keys;
        not shown yet.
        """
        pygame = self.pygame
        self.screen.fill(BACKGROUND)
        width, height = self.screen.get_size()
        height -= 4 * LINE
        fits = min((width - 2 * MARGIN) / frame.shape[1], (height - 2 * MARGIN) / frame.shape[0])
        # whole factors keep pixels square and sharp
        factor = max(int(fits), 1) if fits >= 1 else fits
        size = (max(1, round(frame.shape[1] * factor)), max(1, round(frame.shape[0] * factor)))
        picture = pygame.transform.scale(pygame.surfarray.make_surface(frame.swapaxes(0, 1)), size)
        self.screen.blit(picture, ((width - size[0]) // 2, (height - size[1]) // 2))
        self.times.append(time.perf_counter())
        self._line(status, 0, BRIGHT)
        for number, line in enumerate(self.help(), start=1):
            self._line(line, number, TEXT)

    def help(self) -> list[str]:
        """Three lines: the keys of the game's buttons, and the window's own."""
        names = [f"{key}: {button}" for button, key in self.keys.items()]
        own = [f"{key}: {what}" for key, what in self.own_keys.items()]
        return [
            "   ".join(part) for part in (names[: len(names) // 2], names[len(names) // 2 :], own)
        ]

    @property
    def rate(self) -> float:
        """Pictures a second, lately."""
        span = self.times[-1] - self.times[0] if self.times else 0.0
        return (len(self.times) - 1) / span if span else 0.0

    def close(self) -> None:
        """Close the window and let go of the pads."""
        self.pads.close()
        self.pygame.quit()

    def _line(self, text: str, number: int, colour: tuple[int, int, int]) -> None:
        """A line under the picture, in the largest letters in which all of it can be seen."""
        room = self.screen.get_width() - 2 * MARGIN
        font = next((font for font in self.fonts if font.size(text)[0] <= room), self.fonts[-1])
        y = self.screen.get_height() - (4 - number) * LINE - MARGIN // 2
        self.screen.blit(font.render(text, True, colour), (MARGIN, y))
