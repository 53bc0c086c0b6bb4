"""Every command, and a way to call it in this process that sees what it says and what it writes."""

import argparse
import contextlib
import functools
import importlib
import io
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from dreamcart.core.errors import run_stage
from dreamcart.core.paths import ROOT
from dreamcart.world.cart import save_cart
from toys.synthetic import make_rows, make_spec, make_world_of_cells, write_raw

Words = dict[str, list[str]]  # option, or name of a positional → its words
Main = Callable[[], None]


@dataclass(frozen=True)
class Command:
    """A command, with arguments that bring it as far as its work, which a walk leaves out."""

    module: str
    needs: Words = field(default_factory=dict)
    work: tuple[str, ...] = ()  # replaced by a way out with status 0
    empty: tuple[str, ...] = ()  # replaced by what finds nothing
    word: str = ""  # of stages/record.py

    @property
    def id(self) -> str:
        return f"{self.module}.{self.word}".strip(".")

    @property
    def main(self) -> Main:
        return importlib.import_module(self.module).main

    @property
    def actions(self) -> list[argparse.Action]:
        """What argparse knows of its arguments."""
        return parser_of(self.module, self.word)._actions

    def without(self, *names: str) -> "Command":
        """The same with these of its `needs` left out."""
        needs = {name: words for name, words in self.needs.items() if name not in names}
        return Command(self.module, needs, word=self.word)

    def call(self, words: Words) -> list[str]:
        """sys.argv with these arguments."""
        given = self.needs | words
        places = [action.dest for action in self.actions if not action.option_strings]
        line = [f"{self.module}.py", *filter(None, [self.word])]
        line += [word for place in places for word in given.pop(place, [])]
        return line + [word for name, own in given.items() for word in (name, *own)]


@functools.cache
def parser_of(module: str, word: str = "") -> argparse.ArgumentParser:
    """The parser of a script, or of a command of stages/record.py."""
    make = importlib.import_module(module).parser
    if not word:
        return make()
    (chosen,) = (action for action in make(word)._actions if isinstance(action.choices, dict))
    return chosen.choices[word]


def script(module: str, needs: Words, *work: str) -> Command:
    return Command(module, needs, tuple(f"{module}.{name}" for name in work))


def record(word: str, needs: Words, *work: str, empty: tuple[str, ...] = ()) -> Command:
    module = f"dreamcart.record.{ {'import': 'roms', 'play': 'person'}.get(word, word) }"
    named = [tuple(f"{module}.{name}" for name in names) for names in (work, empty)]
    return Command("stages.record", needs, *named, word)


CART, DATASET = ["toy.cart"], ["toy"]  # as `make_world` makes them
RUNS = ("dreamcart.lab.runner.Runner.run_all",)
DREAM = {"--cart": CART, "--headless": [], "--frames": ["2"]}
OWN_ROM = ROOT / "games/blockfall/Blockfall-Nes-v0/rom.nes"
UNSEEN = ("stages.play.Real", "stages.play.choose")
PLAY = {"game": ["breakout"], "--headless": [], "--actions": ["FIRE"]}
COMMANDS = [
    script("stages.cart", {}, "save_cart"),
    Command("stages.play", DREAM, UNSEEN, ("stages.play.carts",)),
    record("games", {}, empty=("all_games", "near_names")),
    record("import", {"folder": ["folder"]}, "import_roms"),
    record("new", {"rom": [str(OWN_ROM)]}, "search_apart"),
    record("play", PLAY, "open_emulator"),
    record("verify", {"dataset": DATASET}, "verify"),
    record("convert", {"source": DATASET, "out": ["converted"]}, "convert"),
    record("minari", {"dataset": DATASET}, "export"),
    record("pull", {"repo_id": ["me/toy"]}, "pull"),
    record("push", {"dataset": DATASET, "repo_id": ["me/toy"]}, "push"),
    record("watch", {"source": DATASET, "--frames": ["2"]}, "_in_window"),
    script("scripts.coverage", {"game": ["blockfall"]}, "record"),
    script("scripts.export", {"cart": CART, "--out": ["onnx"]}, "load_cart", "load_world"),
    Command("scripts.pin_carts", {}, ("scripts.pin_carts.read_json",)),
    script("scripts.judge", {"cart": CART}, "load_tensors"),
    Command("scripts.league", {}, (*RUNS, "scripts.league.recorded")),
    script("scripts.minute", {"--cart": CART}, "held"),
    Command("scripts.roadmap", {"what": ["run"]}, RUNS),
    Command("scripts.run", {"list": ["list.yaml"]}, RUNS),
    script("scripts.speed", {}, "load_world"),
    script("scripts.table", {}, "read_report"),
    script("scripts.titles", {"rom": [str(OWN_ROM)]}, "search_apart"),
    script("scripts.unattended", {"--cart": CART}, "load_reader"),
    script("scripts.validate", {"--cart": CART}, "load_split"),
]
BY_ID = {command.id: command for command in COMMANDS}
STAGES = ["game", "collect", "preprocess", "train_ae", "encode_latents", "train_dynamics"]
STAGES += ["refine", "rollout_eval"]


def scripts_in(*folders: str) -> list[str]:
    """Modules of the scripts in folders of the checkout."""
    files = (path for folder in folders for path in (ROOT / folder).glob("[a-z]*.py"))
    return sorted(f"{path.parent.name}.{path.stem}" for path in files)


# What a command touches. An audit hook cannot be taken out again, so it is switched off and on.
WITNESS = SimpleNamespace(on=False, seen=[])
CHANGES = ["os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate", "os.symlink"]
CHANGES += ["os.link", "shutil.rmtree"]
TO_WRITE = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


def _note(event: str, args: tuple) -> None:
    if WITNESS.on and (event in CHANGES or (event == "open" and (args[2] or 0) & TO_WRITE)):
        names = args[:2] if event == "os.rename" else args[:1]
        WITNESS.seen += [name for name in names if isinstance(name, (str, bytes, os.PathLike))]


sys.addaudithook(_note)


def outside(place: Path) -> list[str]:
    """Files that were written or removed and are not below `place`."""
    touched = {Path(os.path.abspath(os.fsdecode(name))) for name in WITNESS.seen}
    left = [path for path in touched if not path.is_relative_to(place)]
    system = ("/dev", "/proc")  # which keeps itself from being written
    return [str(p) for p in left if "__pycache__" not in p.parts and not str(p).startswith(system)]


def run_command(main: Main, words: list[str], patch: pytest.MonkeyPatch) -> tuple[int, str]:
    """(exit status, standard error) of a command with these words as sys.argv."""
    patch.setattr(sys, "argv", words)
    said, code = io.StringIO(), 0
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
        try:
            WITNESS.on = True
            run_stage(main)
        except SystemExit as end:
            code = end.code
        finally:
            WITNESS.on = False
    return code, said.getvalue()


def problem_of(main: Main, words: list[str], place: Path, patch: pytest.MonkeyPatch) -> str:
    """What a command should not have done; nothing where it was right."""
    WITNESS.seen.clear()
    try:
        code, said = run_command(main, words, patch)
    except BaseException as problem:
        return f"{type(problem).__name__}: {problem}"
    errors = [line for line in said.splitlines(keepends=True) if line.startswith("error: ")]
    if code not in (0, 1, 2):
        return f"exit status {code}"
    if code == 2 and (len(errors) != 1 or not said.endswith(errors[0]) or errors[0][-2:] != ".\n"):
        return f"said {said!r}"
    return f"touched {outside(place)}" if outside(place) else ""


def leave_out_work(command: Command, patch: pytest.MonkeyPatch) -> None:
    """Let a command end where its work begins, and read files of ours once."""

    def reached(*_: object, **__: object) -> None:
        raise SystemExit(0)

    module = importlib.import_module(command.module)
    for name in command.work:
        patch.setattr(name, reached)
    for name in command.empty:
        patch.setattr(name, lambda *_, **__: {})
    if hasattr(module, "make_repeatable"):  # it would change how the tests after this compute
        patch.setattr(module, "make_repeatable", lambda seed: None)
    patch.setattr("dreamcart.games.catalog.near_names", lambda name: [])  # it looks at all games
    for where in (command.module, "dreamcart.record.person"):
        for name in ("load_params", "load_plan", "load_game"):
            read = getattr(sys.modules.get(where), name, None)
            if read:
                patch.setattr(f"{where}.{name}", functools.cache(read))


def make_world(place: Path, patch: pytest.MonkeyPatch) -> Path:
    """Go into a folder with a cart, a dataset, a list of experiments, and junk of every kind."""
    model = make_world_of_cells(place / "model", make_spec(name="blockfall", title="Blockfall"))
    save_cart(place / "toy.cart", model, {})
    write_raw(place / "toy", [make_rows(0, 9)])
    shutil.copy(ROOT / "experiments/latent_dim.yaml", place / "list.yaml")
    (place / "folder").mkdir()
    (place / "file.txt").write_text("LEFT")
    for ending in ("cart", "png", "gif", "yaml"):
        (place / f"junk.{ending}").write_bytes(bytes(range(256)) * 20)
    for name in ("loop", "loop.gif"):
        (place / name).symlink_to(name)
    patch.chdir(place)
    patch.setattr(tempfile, "tempdir", str(place))
    return place


def raises(kind: Callable[[str], object], value: str) -> bool:
    """Whether a type of `dreamcart.core.arguments` refuses a value."""
    try:
        kind(value)
    except argparse.ArgumentTypeError:
        return True
    return False
