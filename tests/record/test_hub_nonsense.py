"""A Hub that answers nonsense, as a login page does: one sentence, no damage, and nothing is kept.

Each command meets each kind of nonsense, first in place of every answer, then in place of one among
good ones. All of it goes into one cache; with a good Hub again, the command must work at the end as
if nothing had happened.
"""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from toys.hub_stand_in import Fault, HubStandIn
from toys.synthetic import assert_sentence, make_rows, make_spec, make_world_of_cells, write_raw

from dreamcart.core.errors import UserError
from dreamcart.data.imports import import_recordings
from dreamcart.data.schema import INFO_NAME
from dreamcart.params import CollectConfig
from dreamcart.record.convert import convert, find_source
from dreamcart.record.pull import pull
from dreamcart.record.push import push
from dreamcart.record.watch import Recording
from dreamcart.world.cart import load_cart, save_cart
from dreamcart.world.cart_source import cart_path

pytest.importorskip("datasets")
REPO, KEY = "me/toy", "datasets/me/toy"
CARTS, CARTS_KEY = "me/dreams", "models/me/dreams"
HTML = b"<!DOCTYPE html><html><body><form>Room number</form></body></html>"
ANY = "GET|HEAD|POST|PUT"


def as_git_names(body: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()


def kinds(commit: str) -> dict[str, tuple[int, bytes, dict[str, str]]]:
    """Status, body and headers of what no Hub says; `commit` is what it could be asked for."""
    bodies = {
        "a page": HTML,
        "an empty object": b"{}",
        "null": b"null",
        "an empty list": b"[]",
        "a list": b"[1, 2, 3]",
        "a list of objects": b'[{}, {"type": "file"}]',
        "a number": b"7",
        "a text": b'"hello"',
        "nothing": b"",
        "half": b'{"id": "me/toy", "sha": "',
        "an id": (
            b'{"id": "me/toy", "url": "x", "sha": null, "commitOid": 3, "files": null,'
            b' "objects": {}}'
        ),
        "nested": b"[" * 100_000,
        "megabytes": bytes(range(256)) * 10_000,
    }
    named = {"X-Repo-Commit": commit}
    said = {name: (200, body, {}) for name, body in bodies.items()}
    said["a redirect"] = (302, b"", {"Location": "/login"})
    said["a page as a file"] = (200, HTML, named | {"ETag": f'"{"0" * 40}"'})
    said["a list by its hash"] = (
        200,
        b"[1, 2, 3]",
        named | {"ETag": f'"{as_git_names(b"[1, 2, 3]")}"'},
    )
    said["a card by its hash"] = (200, b"---\n[1]\n---\n", named | {"ETag": f'"{"1" * 64}"'})
    said["other headers"] = (
        200,
        b"{}",
        {"X-Repo-Commit": "../../../../x", "ETag": '"../../../../y"'},
    )
    said["another hash"] = (
        200,
        b"{}",
        named | {"ETag": '"../../../../../y"', "X-Linked-Size": "many"},
    )
    return said


PLACES = {
    "create": r"/api/repos/create",
    "revision": r"/api/datasets/me/toy(/revision/[^/]*)?$",
    "tree": r"/tree/",
    "paths": r"/paths-info/",
    "info": rf"/resolve/.*{INFO_NAME}",
    "readme": r"/resolve/.*README",
    "files": r"/resolve/",
    "large": r"/lfs/[0-9a-f]{64}$",
    "preupload": r"/preupload/",
    "batch": r"/objects/batch",
    "commit": r"/commit/",
}
AT_A_PLACE = (
    "a page",
    "an empty object",
    "an empty list",
    "a list by its hash",
    "a page as a file",
)


@dataclass
class Made:
    """What lies on the Hub: a dataset with three shards, and a cart."""

    folder: Path
    files: dict[str, bytes]
    cart: bytes


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Made:
    """Made once, by a push, without the Hub of a test."""
    from dreamcart.record.card import PREVIEW, card
    from dreamcart.record.manifest import describe

    top = tmp_path_factory.mktemp("made")
    folder = top / "play"
    for number in range(3):
        one = write_raw(top / "one", [make_rows(number, 6, first=number)])
        folder.mkdir(exist_ok=True)
        shutil.copy(one / "play-00000.parquet", folder / f"play-{number:05d}.parquet")
        shutil.copy(one / INFO_NAME, folder / INFO_NAME)
    info = describe(folder) | {"first_episode": 0, "episodes": 3}
    files = {path.name: path.read_bytes() for path in folder.glob("*.parquet")}
    files |= {
        INFO_NAME: json.dumps(info).encode(),
        "README.md": card(REPO, info, True).encode(),
        PREVIEW: b"GIF",
    }
    save_cart(top / "toy.cart", make_world_of_cells(top / "model"), {})
    return Made(folder, files, (top / "toy.cart").read_bytes())


@dataclass
class Scene:
    """A Hub with what was `made`, a folder to work in, and the commits."""

    hub: HubStandIn
    made: Made
    folder: Path
    commit: str
    cart_commit: str

    def meet(
        self,
        nonsense: tuple[int, bytes, dict[str, str]],
        place: str = "^/(?!login)",
        method: str = ANY,
    ) -> None:
        """Answer with nonsense from now on, and with a page to who is led to the login."""
        status, body, headers = nonsense
        repo = self.hub.repos[KEY]
        repo.commits[1:], repo.titles[1:] = [], []  # what an earlier push added
        self.hub.objects.clear()
        login = Fault(ANY, "^/login", 200, body=HTML, headers={"Content-Type": "text/html"})
        self.hub.faults[:] = [login, Fault(method, place, status, body=body, headers=headers)]

    def files(self) -> dict[str, bytes]:
        """All that lies in the working folder."""
        return {
            path.relative_to(self.folder).as_posix(): path.read_bytes()
            for path in self.folder.rglob("*")
            if path.is_file()
        }


@pytest.fixture
def scene(hub, made, tmp_path) -> Scene:
    commit = hub.put(KEY, made.files)
    cart_commit = hub.put(CARTS_KEY, {"toy.cart": made.cart})
    folder = tmp_path / "work"
    shutil.copytree(made.folder, folder / "play")
    one = write_raw(folder / "one", [make_rows(3, 6)])
    (one / "play-00000.parquet").rename(folder / "play" / "play-00003.parquet")
    shutil.rmtree(one)
    return Scene(hub, made, folder, commit, cart_commit)


def do_pull(scene: Scene) -> Any:
    out = scene.folder / "out"
    try:
        pull(REPO, "main", out)
        return {path.name: path.read_bytes() for path in out.iterdir()} == {
            name: data for name, data in scene.made.files.items() if not name.startswith(".")
        }
    finally:
        if out.exists():  # what arrived before is whole, and stands under its name
            assert all(scene.made.files[path.name] == path.read_bytes() for path in out.iterdir())
            shutil.rmtree(out)


def do_push(scene: Scene) -> Any:
    push(scene.folder / "play", REPO)
    return len(json.loads(scene.hub.files(KEY)[INFO_NAME])["shards"]) == 4


def do_watch(scene: Scene) -> Any:
    return Recording(*find_source(REPO, "")).reset().shape == (24, 32, 3)


def do_convert(scene: Scene) -> Any:
    out = scene.folder / "converted"
    try:
        return convert(*find_source(REPO, ""), out, None)["frames"] == 18
    finally:
        shutil.rmtree(out, ignore_errors=True)


def do_collect(scene: Scene) -> Any:
    folders = scene.folder / "raw", scene.folder / "raw_test"
    config = CollectConfig(
        REPO, scene.commit, frames=100, episode_steps=10, test_episodes=1, test_steps=10, workers=1
    )
    try:
        return import_recordings(make_spec(), config, *folders)["frames"] == 18
    finally:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)


def do_cart(scene: Scene) -> Any:
    return bool(load_cart(cart_path(f"hf://{CARTS}/toy.cart"), torch.device("cpu")))


def do_pinned_cart(scene: Scene) -> Any:
    return bool(
        load_cart(cart_path(f"hf://{CARTS}/toy.cart@{scene.cart_commit}"), torch.device("cpu"))
    )


COMMANDS = (do_pull, do_push, do_watch, do_convert, do_collect, do_cart, do_pinned_cart)


def forget_listings() -> None:
    """What datasets and fsspec remember in a process; every command has one of its own."""
    from huggingface_hub import HfFileSystem

    HfFileSystem.clear_instance_cache()


def outcome(command: Callable[[Scene], Any], scene: Scene) -> str:
    """The sentence of a command that was refused; "" where it did what it should."""
    forget_listings()
    before = scene.files()
    try:
        assert command(scene) is True
        return ""
    except UserError as problem:
        assert_sentence(problem)
        assert scene.files() == before
        return str(problem)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_answer_is_nonsense(scene, tmp_path, command):
    """A sentence for each kind, nothing is written but the cache, and then it works."""
    commit = scene.cart_commit if "cart" in command.__name__ else scene.commit
    top, there = {path.name for path in tmp_path.parent.iterdir()}, scene.hub.files(KEY)
    for kind, nonsense in kinds(commit).items():
        scene.meet(nonsense)
        said = outcome(command, scene)
        assert said, kind
        assert (
            "none that a Hub gives" in said or "on the Hub is no" in said or command is do_collect
        ), f"{kind}: {said}"
    scene.hub.faults.clear()
    assert {path.name for path in tmp_path.parent.iterdir()} == top
    assert {path.name for path in tmp_path.iterdir()} <= {"hf", "work"}
    assert {path.name for path in tmp_path.glob("hf/*")} <= {"hub", "datasets", "modules"}
    assert scene.hub.files(KEY) == there
    assert outcome(command, scene) == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_one_request_is_answered_with_nonsense(scene, tmp_path, command):
    """A sentence, or the right result where the answer was not needed; and then it works."""
    commit = scene.cart_commit if "cart" in command.__name__ else scene.commit
    there, refused = scene.hub.files(KEY), set()
    for name, place in PLACES.items():
        shutil.rmtree(tmp_path / "hf", ignore_errors=True)
        asked = True
        for kind in AT_A_PLACE:
            if not asked:
                break
            scene.meet(kinds(commit)[kind], place)
            scene.hub.requests.clear()
            said = outcome(command, scene)
            asked = bool(scene.hub.asked(ANY, place))
            refused |= {name} if said else set()
            now = scene.hub.files(KEY)
            assert all(now[path] == there[path] for path in there if path.endswith(".parquet"))
            assert set(json.loads(now[INFO_NAME])["shards"]) >= set(
                json.loads(there[INFO_NAME])["shards"]
            )
        scene.hub.faults.clear()
        assert (outcome(command, scene) if asked else said) == "", name
    assert len(refused) >= (1 if "cart" in command.__name__ else 3), refused
