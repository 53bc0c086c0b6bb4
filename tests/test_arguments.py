"""Every command and every one of its arguments, with what a slip or malice could write there."""

import argparse
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from toys.commands import (
    BY_ID,
    COMMANDS,
    STAGES,
    Command,
    leave_out_work,
    make_world,
    parser_of,
    problem_of,
    run_command,
    scripts_in,
)

from dreamcart.core.arguments import from_params
from dreamcart.core.paths import ROOT

COMMON = ["nan", "inf", "-inf", "-1", "0"]
NUMBERS = ["1e400", str(10**30), "9" * 5000, "1,5", "0x10"]
TEXTS = ["", " ", "\t", "a\nb", "\x1b[31mred", "\udcff", "odd näme; rm -rf *", "%s %(prog)s {0}"]
TEXTS += ["-", "--", "@x", "none"]
PATHS = ["../../x", "/", ".", "..", "/nowhere/at/all", "/proc/x.gif", "gone", "n" * 300]
PATHS += ["m/" * 3000, "~nobody-of-that-name/x", str(ROOT / "README.md"), str(ROOT)]
HERE = "folder file.txt junk.cart junk.png junk.gif junk.yaml loop.gif loop/x.gif file.txt/x.gif"
APART = ("", "-1", "-inf", "--", "gone")  # also given as a word of its own, not behind =

every_command = pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.id)


@pytest.fixture
def world(tmp_path, monkeypatch):
    # what ../../x leads to: a folder that is not empty, which nothing may fill
    taken = tmp_path.parents[1] / "x"
    taken.mkdir(exist_ok=True)
    (taken / "mine.txt").write_text("mine")
    return make_world(tmp_path, monkeypatch)


def test_no_command_is_left_out():
    """A new one belongs into the lists of tests/toys/commands.py."""
    listed = {command.module for command in COMMANDS} | {f"stages.{name}" for name in STAGES}
    assert listed == set(scripts_in("stages", "scripts"))
    known = importlib.import_module("stages.record").COMMANDS
    assert {command.word for command in COMMANDS} - {""} == set(known)


def calls(command: Command, place: Path) -> Iterator[list[str]]:
    """sys.argv for every argument of a command with every value, without one, and without it."""
    paths = [*PATHS, *(str(place / name) for name in HERE.split())]
    for action in command.actions:
        if isinstance(action, argparse._HelpAction):
            continue
        option = action.option_strings[-1] if action.option_strings else ""
        bare = command.without(option or action.dest)
        for value in [*COMMON, *TEXTS, *(NUMBERS if hasattr(action.type, "allowed") else paths)]:
            if not option:
                yield bare.call({action.dest: [value]})
            elif action.nargs in (None, 0):
                yield bare.call({f"{option}={value}": []})
            if option and (action.nargs or (action.nargs is None and value in APART)):
                yield bare.call({option: [value]})
        yield bare.call({})
        if option:
            yield bare.call({option: []})


@every_command
def test_no_argument_ends_in_a_traceback_or_harm(command, world, monkeypatch):
    """An allowed value comes as far as the work; any other gets a sentence."""
    leave_out_work(command, monkeypatch)
    main = command.main
    assert problem_of(main, command.call({}), world, monkeypatch) == ""
    found = []
    for words in calls(command, world):
        problem = problem_of(main, words, world, monkeypatch)
        found += [f"{' '.join(words)[:200]!r}: {problem}"] if problem else []
    assert not found, "\n".join(found)


REFUSED = """
stages.play: --frames 1000000000000000000 | --frames 0 | --scale 0 | --scale 1000000000 | --seed -1
stages.play: --seed=-- | --temperature nan | --gif README.md | --gif folder | --game | --cart
stages.play: --game= | --cart= | --real --game ../../x | --actions folder | --actions junk.gif
stages.cart: --out / | --out x.txt | --game ../x | --gaem x | x
stages.record.games: x y | --name
stages.record.import: --force
stages.record.new: --seconds 0 | --seconds nan | --start -1 | --name ../x | --seed -1
stages.record.play: --speed nan | --episodes 0 | --seed -1 | --out file.txt
stages.record.play: --actions A*99999999999
stages.record.verify: --workers 0 | --workers nan | --pictures file.txt
stages.record.convert: --first-episode -1 | --game ../x | --revision= | --columns mine
stages.record.watch: --fps nan | --fps inf | --fps 0 | --revision= | --frames 0 | --scale 1000
stages.record.watch: --gif README.md
scripts.coverage: --frames 99 | --steps 1 | --workers 0 | --seed -1 | --json x.txt
scripts.judge: --starts 0 | --longest 0 | --filmstrip x.gif | --starts 3 --write
scripts.league: --minutes 0 | --minutes nan | --label a/b | --set x=1 | --games none
scripts.minute: --dreams 0 | --dreams -1 | --seconds nan | --seconds -1 | --cart gone.cart
scripts.roadmap: --jobs 0 | --seeds 0 | nothing
scripts.run: --jobs 4096 | --jobs nan | nothing
scripts.speed: --game ../x | --cart x
scripts.titles: --seconds 0 | --seconds nan | --seed -1 | nowhere.nes
scripts.unattended: --minutes nan | --minutes -1 | --minutes 0 | --minutes inf | --dreams 0
scripts.unattended: --seed -1
scripts.validate: --starts 0 | --pictures file.txt
"""
LINES = [line.split(": ", 1) for line in REFUSED.strip().splitlines()]


@pytest.mark.parametrize(("name", "said"), [(n, s) for n, own in LINES for s in own.split(" | ")])
def test_what_cannot_be_meant_is_refused(name, said, world, monkeypatch):
    """It is never taken for something else, whose result would look right."""
    command, words = BY_ID[name], said.split()
    leave_out_work(command, monkeypatch)
    other = ["--cart"] if "--game" in words[:-1] else []
    given = command.without(*words, *other).call({}) + words
    code, told = run_command(command.main, given, monkeypatch)
    assert (code, told.count("\n")) == (2, 1), told
    assert told.startswith("error: ")
    assert words[-1] in told or words[0].split("=")[0] in told, told


@every_command
def test_an_abbreviation_is_no_argument(command, world, monkeypatch):
    """--forc would be --force today, and another word when a second one begins so."""
    leave_out_work(command, monkeypatch)
    for action in command.actions:
        for name in filter(lambda option: option.startswith("--"), action.option_strings):
            words = command.call({name[:-1]: [] if action.nargs == 0 else ["1"]})
            code, said = run_command(command.main, words, monkeypatch)
            assert (code, name[:-1] in said) == (2, True), name


@every_command
def test_help_says_what_every_argument_is_and_its_range(command):
    """A range stands where it is declared, and is read there."""
    told = " ".join(parser_of(command.module, command.word).format_help().split())
    for action in command.actions:
        assert action.help, action.dest
        assert getattr(action.type, "allowed", "") in told, action.dest


STATUS = {"": 0, "--help": 0, "--gaem=pong": 2, "x": 2, "--hel": 2, "--x=--": 2}


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_without_arguments_takes_none(name, world, monkeypatch):
    """--help is a reason to begin nothing, and so is what it does not know."""
    about, begun = importlib.import_module(f"stages.{name}").__doc__, []
    main = from_params(lambda: begun.append(1), about)
    for said, status in STATUS.items():
        assert problem_of(main, [name, *said.split()], world, monkeypatch) == ""
        assert run_command(main, [name, *said.split()], monkeypatch)[0] == status
    assert len(begun) == 2
    assert "from_params(main, __doc__)" in (ROOT / "stages" / f"{name}.py").read_text()


@pytest.mark.parametrize("name", scripts_in("benchmarks", "scripts"))
def test_a_tool_refuses_what_cannot_be_meant(name, world, monkeypatch):
    """As far as its arguments go."""
    parse = importlib.import_module(name).parser().parse_args
    for words in calls(Command(name), world):
        assert problem_of(parse, words, world, monkeypatch) == "", words


# params.yaml, which most commands read


def as_folder(path: Path) -> None:
    path.mkdir()


def with_seed_twice(path: Path) -> None:
    path.write_text((ROOT / "params.yaml").read_text() + "\nseed: 7\n")


@pytest.mark.parametrize("name", ["stages.cart", "stages.play", "scripts.minute"])
@pytest.mark.parametrize(
    ("damage", "named"),
    [(as_folder, "is a folder"), (with_seed_twice, "the key 'seed' twice")],
)
def test_params_that_cannot_be_meant_are_refused(name, damage, named, tmp_path, monkeypatch):
    """The first of two seeds would be lost without a word."""
    damage(tmp_path / "params.yaml")
    monkeypatch.setattr("dreamcart.params.ROOT", tmp_path)
    code, told = run_command(BY_ID[name].main, [name], monkeypatch)
    assert (code, told.startswith("error: "), told.count("\n")) == (2, True, 1)
    assert named in told
