"""The window in which a person plays to be recorded: SPACE begins an episode, ESC ends and saves
it.

START of a pad begins one too, so that nobody has to reach for the pad while it is being recorded.
F5 keeps what is seen as a start state, in an episode or between two; with Shift it asks for a name.
"""

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from dreamcart.core.errors import UserError
from dreamcart.games.spec import GameSpec
from dreamcart.play.window import MARGIN, Window
from dreamcart.record.start_states import NAME

SPEEDS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0)
RED = (235, 50, 50)
PAD_START = "start"


class RecorderWindow(Window):
    """A `Player` (see `person`) with keyboard and pads.

    SPACE and a pad's START may be buttons too: they begin only where no episode runs.
    """

    own_keys: ClassVar = {
        "space": "start",
        "escape": "end and save",
        "p": "pause",
        "+ -": "speed",
        "f5": "keep as start state (Shift: name it)",
    }
    taken_keys = ("escape", "p", "+", "-", "=", "[+]", "[-]", "f5")
    without_display = "--headless --actions FILE"

    def __init__(
        self,
        spec: GameSpec,
        frame: np.ndarray,
        speed: float,
        save_state: Callable[[str], str] | None = None,
    ) -> None:
        """Open the window.

        `save_state` keeps what is seen as a start state under a name ("": one of its own) and
        returns it; its UserError is shown.
        """
        super().__init__(spec, frame.shape[1], frame.shape[0], f"Recording {spec.title}")
        self.frame, self.speed = frame, speed
        self.save_state, self.note = save_state, ""
        self.paused = self.leaving = False
        self.number = self.steps = 0
        # What was down when the episode began: not pressed in it until let go.
        self.ignored: set[int | str] = set()

    def see(self, frame: np.ndarray) -> None:
        """What to show next, uint8 [H, W, 3]."""
        self.frame = frame

    def wait(self, number: int) -> bool:
        """Until the player begins episode `number` (True) or leaves (False)."""
        pygame = self.pygame
        while not self.leaving:
            keys = "SPACE or START of the pad" if self.pads else "SPACE"
            self._present(f"{keys}: record episode {number}   ESC: leave")
            down = self._keys_down()
            taps, held = self.look()
            if pygame.K_ESCAPE in down:
                return False
            if {pygame.K_SPACE, PAD_START} & (down | taps):
                self.number, self.steps, self.paused = number, 0, False
                self.ignored = held
                return True
        return False

    def act(self, variables: dict[str, Any], rng: np.random.Generator) -> set[str] | None:
        """The buttons held when it is time for the next step; None: the player ends the episode."""
        pygame = self.pygame
        while True:
            seconds = int(self.steps / self.spec.step_rate)
            state = "PAUSED" if self.paused else "REC"
            self._present(
                f"{state} episode {self.number}   {seconds // 60}:{seconds % 60:02d}   {self.steps}"
                " steps"
            )
            down = self._keys_down()
            taps, held = self.look()
            if self.leaving or pygame.K_ESCAPE in down:
                return None
            self.paused ^= pygame.K_p in down
            if self.paused:
                continue
            self.ignored &= held
            self.steps += 1
            return self.pressed((down | taps | held) - self.ignored)

    def _present(self, status: str) -> None:
        """Draw, and wait for the next step's time."""
        self.draw(
            self.frame,
            f"{status}   {self.rate:.0f} of {self.spec.step_rate:.0f} FPS, speed {self.speed:g}"
            f"   {self.note}",
        )
        if status.startswith("REC"):
            self.pygame.draw.circle(self.screen, RED, (MARGIN, MARGIN), MARGIN // 2)
        self.pygame.display.flip()
        self.clock.tick(self.spec.step_rate * self.speed)

    def _keys_down(self) -> set[int]:
        """Keys that have gone down since the last look; speed and F5 are dealt with here."""
        pygame, down, named = self.pygame, set(), False
        for event in self._events():
            down.add(event.key)
            shift = event.dict.get("mod", 0) & pygame.KMOD_SHIFT
            named |= event.key == pygame.K_F5 and bool(shift)
        if pygame.K_F5 in down and self.save_state:
            self._keep_state(named)
        if down & {pygame.K_PLUS, pygame.K_EQUALS, pygame.K_KP_PLUS}:
            self.speed = min((speed for speed in SPEEDS if speed > self.speed), default=self.speed)
        if down & {pygame.K_MINUS, pygame.K_KP_MINUS}:
            self.speed = max((speed for speed in SPEEDS if speed < self.speed), default=self.speed)
        return down

    def _events(self) -> list[Any]:
        """Keys that have gone down, as pygame's events; pads and the window are dealt with."""
        found = self.pygame.event.get()
        for event in found:
            self.pads.notice(event)
            self.leaving |= event.type == self.pygame.QUIT
        return [event for event in found if event.type == self.pygame.KEYDOWN]

    def _keep_state(self, named: bool) -> None:
        """Keep what is seen as a start state; what became of that is shown."""
        name = self._ask_name() if named else ""
        if named and not name:
            return
        try:
            self.note = f"saved start state {self.save_state(name)}"
        except (UserError, OSError) as problem:  # a recording goes on
            self.note = str(problem)

    def _ask_name(self) -> str:
        """Let the player type a name; "" where they cancel. The game waits."""
        pygame, name, ended = self.pygame, "", False
        self.note = ""
        while not (ended or self.leaving):
            self._present(f"Name of the start state: {name}_   ENTER: save   ESC: cancel")
            for event in self._events():
                if event.key == pygame.K_ESCAPE:
                    name, ended = "", True
                elif event.key in (pygame.K_RETURN, pygame.K_KP_ENTER):
                    ended = bool(name)
                elif event.key == pygame.K_BACKSPACE:
                    name = name[:-1]
                elif NAME.fullmatch(name + event.unicode):
                    name += event.unicode
                if ended:
                    break
        self.ignored |= self.look()[1]  # ENTER may be a button: not pressed until let go
        return "" if self.leaving else name
