"""What comes with the repository is overwritten by --force alone."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from toys.commands import BY_ID, COMMANDS, Command, leave_out_work, make_world, raises, run_command

from dreamcart.core.errors import UserError
from dreamcart.core.tracked import spare

ENDINGS = (".gif", ".png", ".cart", ".json")


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A git repository to be in that tracks files of every kind."""
    world = make_world(tmp_path, monkeypatch)
    (world / "toy.cart").rename(world / "junk.cart")
    shutil.copy(world / "junk.cart", world / "toy.cart")
    (world / "junk.json").write_text("{}")
    for folder in (world, world / "folder"):
        for ending in ENDINGS:
            shutil.copy(world / f"junk{ending}", folder / f"tracked{ending}")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c"]
    tracked = " ".join(f"tracked{ending}" for ending in ENDINGS)
    for words in ("init -q", f"add -f {tracked} folder", "commit -qm a"):
        subprocess.run([*git, *words.split()], cwd=world, check=True)
    (world / "link").symlink_to("folder")
    return world


def outputs() -> Iterator[tuple[Command, str, str]]:
    """(command, option, ending) of every file that is written under a name that is given."""
    for command in COMMANDS:
        for action in command.actions:
            if getattr(action.type, "__qualname__", "").startswith("new_file."):
                ending = next(e for e in ENDINGS if not raises(action.type, f"new{e}"))
                yield command, action.option_strings[-1], ending


def test_what_git_tracks_wants_force(repository, monkeypatch):
    """Every file that a command is given to write, in whatever way it is named."""
    found = list(outputs())
    assert len(found) == 6
    for command, option, ending in found:
        leave_out_work(command, monkeypatch)
        for way in ("", "folder/", "./folder/../", "link/"):
            name = f"{way}tracked{ending}"
            before = Path(name).read_bytes()
            code, said = run_command(command.main, command.call({option: [name]}), monkeypatch)
            assert (code, "--force" in said) == (2, True), (command.id, name, said)
            assert Path(name).read_bytes() == before
        force, new = {option: [f"tracked{ending}"], "--force": []}, {option: [f"new{ending}"]}
        for words in (force, new):
            code, said = run_command(command.main, command.call(words), monkeypatch)
            assert code == 0, (command.id, words, said)


def test_a_tracked_cart_is_not_written_into_unasked(repository, monkeypatch):
    command = BY_ID["scripts.judge"]
    leave_out_work(command, monkeypatch)
    for words, status in (["tracked.cart"], 2), (["toy.cart"], 0), (["tracked.cart", "--force"], 0):
        words = ["judge", *words, "--write"]
        assert run_command(command.main, words, monkeypatch)[0] == status


@pytest.mark.parametrize("around", [False, True])
def test_in_a_download_the_carts_that_came_along_are_spared(around, tmp_path, monkeypatch):
    """No git knows of them there, though one may be around the checkout."""
    checkout = tmp_path / "dreamcart-main"
    if around:
        subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    monkeypatch.setattr("dreamcart.core.tracked.ROOT", checkout)
    shipped = ["carts/blockfall.cart", "carts/ALE/Pong-v5.cart"]
    own = ["carts/my_blockfall.cart", "mine/blockfall.cart"]
    for name in (*shipped, *own):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_bytes(b"a cart")
    for name in (*shipped, "mine/../carts/blockfall.cart"):
        with pytest.raises(UserError, match="--force"):
            spare(checkout / name, force=False)
        spare(checkout / name, force=True)
    for name in (*own, "carts/new.cart"):
        spare(checkout / name, force=False)


def test_without_git_the_carts_that_came_along_are_spared(repository, monkeypatch):
    """An answer that git cannot give is no leave to overwrite."""
    monkeypatch.setattr("dreamcart.core.tracked.ROOT", repository)
    cart = repository / "carts" / "a.cart"
    cart.parent.mkdir()
    cart.write_bytes(b"a cart")
    spare(cart, force=False)  # git knows that it is not tracked
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match="--force"):
        spare(cart, force=False)
