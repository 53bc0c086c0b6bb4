"""`scripts/titles.py` counts the titles whose game is found; a ROM that is none is a row too."""

import contextlib
import importlib
import io
import sys

import pytest
from toys import nes_roms

pytest.importorskip("stable_retro")


def test_titles_are_counted(tmp_path, monkeypatch):
    for name, content in {
        "film": nes_roms.rom("film"),
        "dark": nes_roms.rom("dark"),
        "junk": b"words",
    }.items():
        (tmp_path / f"{name}.nes").write_bytes(content)
    roms = [str(tmp_path / f"{name}.nes") for name in ("film", "dark", "junk")]
    monkeypatch.setattr(sys, "argv", ["titles.py", *roms, "--seconds", "9"])
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        importlib.import_module("scripts.titles").main()
    told = printed.getvalue()
    film, dark, junk = told.splitlines()[-4:-1]
    assert film.split()[:2] == ["film", "yes"]
    assert float(film.split()[2]) < 9
    assert film.endswith(("DOWN LEFT RIGHT UP", " "))
    assert "one colour" in dark
    assert junk.split()[:2] == ["junk", "no"]
    assert "1 of 3 titles reach" in told
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dark.nes", "film.nes", "junk.nes"]
