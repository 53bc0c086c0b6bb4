"""The types of arguments, and lists of actions: what is meant passes, all else gets a sentence."""

import os
from pathlib import Path

import pytest
from toys.commands import make_world, raises, run_command
from toys.synthetic import assert_sentence, make_spec

from dreamcart.core import arguments
from dreamcart.core.arguments import existing, existing_file, new_file, new_folder, number, whole
from dreamcart.core.errors import UserError
from dreamcart.games.action_lists import parse_actions

LONG = "n" * 300
OTHERS = ["new", ".gif", "a.png", "folder", "file.txt/a.gif", f"{LONG}.gif", "loop/a.gif", "/"]
NO_FOLDER = ["file.txt", "file.txt/a", "loop", LONG, ""]
NO_TEXT = ["", " ", "a\nb", "\0", "\x1b[0m", "\udcff", "\u2028"]
NO_NUMBER = ["0", "2.1", "nan", "inf", "-inf", "", "x", "0" * 40 + "1"]


@pytest.fixture
def world(tmp_path, monkeypatch):
    return make_world(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (whole(1, 9), ["1", "9", " 3 "], ["0", "10", "1.0", "", "x", "nan", "9" * 5000, "1e0"]),
        (number(0.1, 2), ["0.1", "2", "1e0"], NO_NUMBER),
        (arguments.text, ["a", "a b", "ä"], NO_TEXT),
        (arguments.game, ["blockfall", "ALE/Pong-v5"], ["", "../x", "/x", "a b", "a" * 101]),
        (arguments.path, ["gone", "a/b"], ["", "~nobody-of-that-name/x"]),
        (existing, ["file.txt", "folder"], ["gone", "loop", LONG]),
        (existing_file(".txt"), ["file.txt"], ["folder", "gone", "junk.gif", "loop"]),
        (new_file(".gif"), ["new.gif", "NEW.GIF", "a/b/new.gif", "junk.gif"], OTHERS),
        (new_folder, ["folder", "new", "new/deep", "."], NO_FOLDER),
    ],
)
def test_types_take_what_is_meant(kind, good, bad, world):
    assert [value for value in good if raises(kind, value)] == []
    assert [value for value in bad if not raises(kind, value)] == []


def test_a_folder_that_must_be_renamed_has_a_name(world):
    """Path(".") and Path("..") have none, and what is written beside such a folder would fail."""
    assert new_folder(".") == world
    assert new_folder("folder/..") == world


def test_what_cannot_be_written_is_known_before_work(world, monkeypatch):
    """Not after an hour of it; as the system says, for the superuser may write everywhere."""
    monkeypatch.setattr(os, "access", lambda place, how: Path(place).name != "folder")
    assert raises(new_file(".gif"), "folder/a.gif")
    assert raises(new_folder, "folder/new/deep")
    assert not raises(new_folder, "other")


WRONG = [["--n", "a\nb\x1b[2J"], ["a\nb\x1b[2J"], ["--n=1", "\u2028"], ["--m\n=--"], ["x" * 10**5]]


@pytest.mark.parametrize("words", WRONG, ids=range(len(WRONG)))
def test_an_error_is_one_sentence_whatever_it_repeats(words, monkeypatch):
    """Line ends and escapes of the terminal are shown, not obeyed."""
    parser = arguments.Parser(prog="p")
    parser.add_argument("--n", type=whole(1, 3))
    code, said = run_command(lambda: parser.parse_args(words), ["p"], monkeypatch)
    assert (code, len(said.splitlines())) == (2, 1)
    assert said.removesuffix("\n").isprintable()
    assert len(said) < 600


# Lists of actions


def too_large(place: Path) -> str:
    with open(place / "large.txt", "w") as file:
        file.truncate(2**40)
    return str(place / "large.txt")


def repeated(text: str, times: int) -> object:
    return lambda place: text * times


@pytest.mark.parametrize(
    "make",
    [lambda place: "A*" + "9" * 5000, repeated("A", 5000), repeated("n/", 3000), too_large],
)
def test_actions_that_nobody_means_are_refused(make, tmp_path):
    """A number of 5,000 digits, a name that no system looks up, a file larger than memory."""
    with pytest.raises(UserError) as caught:
        parse_actions(make(tmp_path), make_spec())
    assert_sentence(caught.value)
    assert len(str(caught.value)) < 400


def test_a_button_comes_before_a_folder_of_its_name(world):
    (world / "LEFT").mkdir()
    assert parse_actions("LEFT .", make_spec()) == [{"LEFT"}, set()]
    assert parse_actions("LEFT", make_spec()) == [{"LEFT"}]
    assert parse_actions(".", make_spec()) == [set()]
    assert parse_actions("file.txt", make_spec()) == [{"LEFT"}]
