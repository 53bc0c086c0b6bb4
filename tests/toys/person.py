"""A person at the recorder, whose keys are given."""

from pathlib import Path

import pytest

from dreamcart.data.reader import read_episodes
from dreamcart.record.live import LiveRecording
from dreamcart.record.person import record_session
from dreamcart.record.recorder_window import RecorderWindow
from toys.synthetic import make_spec
from toys.toy_emulator import ToyEmulator

SPEC = make_spec()
pygame = pytest.importorskip("pygame")


class Keys:
    """What is held in each look at the keyboard, one set after the other; the last one stays."""

    def __init__(self, *looks: set[str]) -> None:
        self.looks, self.now = [*looks], set()

    def turn(self) -> None:
        """Next look: keys that were up and are down now have gone down."""
        before, self.now = self.now, self.looks.pop(0) if self.looks else self.now
        for key in self.now - before:
            pygame.event.post(pygame.event.Event(pygame.QUIT) if key == "quit" else self._down(key))

    @staticmethod
    def _down(key: str) -> pygame.event.Event:
        return pygame.event.Event(pygame.KEYDOWN, key=pygame.key.key_code(key))

    def __getitem__(self, code: int) -> bool:
        return code in {pygame.key.key_code(key) for key in self.now if key != "quit"}


def sit_down(
    monkeypatch, folder: Path, *looks: set[str], spec=SPEC, speed: float = 10.0, emulator=None
) -> RecorderWindow:
    """A session in the window with these keys held, look by look."""
    keys, emulator = Keys(*looks), emulator or ToyEmulator()
    window = RecorderWindow(spec, emulator.reset(spec.start_states[0], 0), speed)
    monkeypatch.setattr(pygame.key, "get_pressed", lambda: keys)
    present = window._present
    window.statuses = []

    def look(status):
        window.statuses.append(status)
        present(status)
        assert keys.looks, "the session should have ended"
        keys.turn()

    window._present = look
    try:
        with LiveRecording(folder, spec, emulator.versions()) as recording:
            record_session(emulator, spec, window, recording, spec.start_states[0], 0, None)
    finally:
        window.close()
    return window


def pressed(folder: Path, spec=SPEC) -> list[list[set[str]]]:
    """Buttons of each step of each episode."""
    episodes = read_episodes(folder)
    return [
        [{b for b, on in zip(spec.buttons, row["actions"], strict=True) if on} for row in e[:-1]]
        for e in episodes
    ]
