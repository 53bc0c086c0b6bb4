"""One emulator for these tests (stable-retro permits one a process)."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))


@pytest.fixture(scope="module")
def console():
    pytest.importorskip("stable_retro")
    from emberling_console import Console

    c = Console()
    yield c
    c.close()


@pytest.fixture(scope="module")
def artist(console):
    from emberling_artist import Artist

    return Artist(console)
