"""Playing datasets back, and carts from the Hub: streaming, and only what is needed."""

import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from toys.hub_stand_in import Fault
from toys.recordings import recorder_rows, write_recorder
from toys.synthetic import assert_sentence, make_frame, make_rows, make_world_of_cells, write_raw

from dreamcart.core.errors import UserError
from dreamcart.core.paths import ROOT
from dreamcart.record.convert import convert
from dreamcart.record.push import push
from dreamcart.record.watch import Recording
from dreamcart.world.cart import save_cart
from dreamcart.world.cart_source import cart_path

pytest.importorskip("datasets")


def stage(name: str, *arguments: str, env: dict | None = None) -> subprocess.CompletedProcess:
    command = [sys.executable, str(ROOT / "stages" / name), *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)


def test_a_folder_is_played_into_a_gif(tmp_path):
    """Frames in order, the second half of the run from the beginning again."""
    folder = write_raw(tmp_path / "play", [make_rows(0, 4)])
    done = stage(
        "record.py", "watch", str(folder), "--frames", "5", "--gif", str(tmp_path / "out.gif")
    )
    assert done.returncode == 0, done.stderr
    assert "5 frames, up to episode 0, step 1: B" in done.stdout
    with Image.open(tmp_path / "out.gif") as gif:
        assert gif.size == (64, 48)
        frame = np.asarray(gif.convert("RGB"))[::2, ::2]
    assert np.abs(frame.astype(int) - make_frame(0)).max() < 8  # a GIF has a palette


def test_steps_are_the_frames_of_the_dataset(tmp_path):
    recording = Recording(
        str(write_raw(tmp_path / "play", [make_rows(n, 3, first=5 * n) for n in range(2)]))
    )
    assert recording.spec.step_rate == 10.0
    seen = [recording.reset(), *(recording.step({"A"}) for _ in range(6))]
    for frame, number in zip(seen, [0, 0, 1, 5, 5, 6, 0], strict=True):
        np.testing.assert_array_equal(frame, make_frame(number))


def test_other_columns_play_as_well(tmp_path):
    """A gymnasium-recorder's dataset names no game: frames and episode are all that is known."""
    recording = Recording(write_recorder(tmp_path / "source", recorder_rows([3, 3])), fps=15)
    np.testing.assert_array_equal(recording.reset(), make_frame(0))
    assert (recording.spec.step_rate, recording.caption) == (15, "episode 40, step 0")


def test_an_empty_dataset_is_refused(tmp_path):
    """Columns without rows: neither watched nor converted, and said."""
    folder = write_raw(tmp_path / "play", [])
    with pytest.raises(UserError, match="no rows") as caught:
        Recording(str(folder)).reset()
    assert_sentence(caught.value)
    with pytest.raises(UserError, match="no rows"):
        convert(str(folder), "", tmp_path / "out", None)


def test_a_dataset_of_the_hub_streams(hub, tmp_path):
    """The first frames of a dataset of many shards cost the first shard, and no file on this
    disk.
    """
    folder = tmp_path / "play"
    for number in range(6):
        made = write_raw(tmp_path / "one", [make_rows(number, 8, first=number)])
        folder.mkdir(exist_ok=True)
        shutil.copy(made / "play-00000.parquet", folder / f"play-{number:05d}.parquet")
        shutil.copy(made / "dataset_info.json", folder)
    push(folder, "me/toy")
    hub.requests.clear()
    done = stage(
        "record.py",
        "watch",
        "me/toy",
        "--frames",
        "4",
        "--gif",
        str(tmp_path / "out.gif"),
        env=hub.environment,
    )
    assert done.returncode == 0, done.stderr
    assert "4 frames, up to episode 0, step 4" in done.stdout
    fetched = {path.rsplit("/", 1)[1] for path in hub.asked("GET", r"\.parquet$")}
    assert fetched == {"play-00000.parquet"}
    assert not list((tmp_path / "hf").rglob("*.parquet"))


def test_it_plays_in_a_window(tmp_path):
    """On SDL's dummy display: the window closes at ESC, and the frame it showed is the
    recording's.
    """
    code = f"""
import sys; sys.path.insert(0, {str(ROOT)!r})
import argparse, pygame
from dreamcart.play.window import Window
from dreamcart.record import watch
shown = []
show = Window.show
def counted(self, frame, paused, message):
    shown.append(pygame.display.get_caption()[0])
    show(self, frame, paused, message)
    if len(shown) == 5:
        pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=pygame.K_ESCAPE))
Window.show = counted
parser = argparse.ArgumentParser(); watch.add(parser)
watch.run(parser.parse_args([{str(write_raw(tmp_path / "play", [make_rows(0, 9)]))!r}]))
print(shown[0])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-2:] == [
        "5 frames, up to episode 0, step 5: DOWN",
        "episode 0, step 1: B",
    ]


def make_cart(tmp_path):
    path = tmp_path / "toy.cart"
    save_cart(path, make_world_of_cells(tmp_path / "model"), {})
    return path


@pytest.mark.parametrize(
    "name",
    ["hf://me/dreams/toy.cart", "hf://me/dreams/toy.cart@REV", "hf://me/dreams@REV/toy.cart"],
)
def test_a_cart_of_the_hub_plays(hub, tmp_path, name):
    """By the command, at a revision that a later, broken commit does not change; the second time
    from the cache.
    """
    commit = hub.put("models/me/dreams", {"toy.cart": make_cart(tmp_path).read_bytes()})
    if "REV" in name:
        hub.put("models/me/dreams", {"toy.cart": b"broken"})
    name = name.replace("REV", commit)
    done = stage("play.py", "--cart", name, "--headless", "--frames", "3", env=hub.environment)
    assert done.returncode == 0, done.stderr
    assert "3 steps" in done.stdout
    hub.requests.clear()
    assert cart_path(name).read_bytes() == make_cart(tmp_path).read_bytes()
    assert not hub.asked("GET", "/lfs/")


def test_a_cart_that_is_no_cart_is_refused(hub, tmp_path):
    """Whatever lies there under that name is read as safetensors, or not at all."""
    hub.put("models/me/dreams", {"toy.cart": b"\x80\x04 a pickle " * 50})
    done = stage(
        "play.py",
        "--cart",
        "hf://me/dreams/toy.cart",
        "--headless",
        "--frames",
        "3",
        env=hub.environment,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("hf://me/toy.cart", "hf://OWNER"),
        ("hf://me/dreams/model.bin", "hf://OWNER"),
        ("hf://me/dreams@a/toy.cart@b", "hf://OWNER"),
        ("hf://me/dreams/other.cart", "no such file"),
        ("hf://me/dreams/toy.cart@" + "0" * 40, "no such revision"),
        ("hf://me/none/toy.cart", "The Hub has no me/none"),
    ],
)
def test_a_cart_that_cannot_be_had_is_refused(hub, tmp_path, name, named):
    hub.put("models/me/dreams", {"toy.cart": b"x"})
    with pytest.raises(UserError, match=named) as caught:
        cart_path(name)
    assert_sentence(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "hf://a/b/../../x.cart",
            "hf://a/b/c/../../../x.cart",
            "hf://a/b/./x.cart",
            "hf://../b/x.cart",
            "hf://a/../x.cart",
        ),
        *(
            "hf:///b/x.cart",
            "hf://a//x.cart",
            "hf://a/b//x.cart",
            "hf://a/b/c//x.cart",
            "hf://a/b/.cart",
            "hf://a/b/",
        ),
        *(
            "hf://a/b/%2e%2e/x.cart",
            "hf://a/b/%2e%2e%2fx.cart",
            "hf://a%2fb/c/x.cart",
            "hf://a/b/..\\x.cart",
        ),
        *(
            "hf://a/b/x.cart@..",
            "hf://a/b@../x.cart",
            "hf://a/b/x.cart@a/b",
            "hf://a/b/x.cart@../../x",
            "hf://a/b/x.cart@/etc",
        ),
        *(
            "hf://a/b/x.cart@",
            "hf://a/b/x.cart@a..b",
            "hf://a/b/x.cart@%2e%2e",
            "hf://a/b/x\n.cart",
            "hf://a/b/x\0.cart",
        ),
        *("hf:a/b/x.cart", "hf://a..b/c/x.cart", "hf://", "hf://a/b/x.cart\n"),
    ],
)
def test_a_name_that_leads_elsewhere_is_refused_before_anything_is_asked(hub, name):
    with pytest.raises(UserError) as caught:
        cart_path(name)
    assert_sentence(caught.value)
    assert not hub.requests


def test_a_name_with_folders_is_fetched(hub, tmp_path):
    cart = make_cart(tmp_path).read_bytes()
    hub.put("models/me/dreams", {"ALE/My Toy-v5.cart": cart})
    assert cart_path("hf://me/dreams/ALE/My Toy-v5.cart").read_bytes() == cart


def test_a_cart_that_was_swapped_on_the_way_is_not_kept(hub, tmp_path):
    """As long as the one that was announced, and other bytes."""
    cart = make_cart(tmp_path).read_bytes()
    commit = hub.put("models/me/dreams", {"toy.cart": cart})
    hub.faults.append(Fault("GET", "/lfs/", 200, body=cart[:-1] + bytes([cart[-1] ^ 1])))
    with pytest.raises(UserError, match="none that a Hub gives") as caught:
        cart_path(f"hf://me/dreams/toy.cart@{commit}")
    assert_sentence(caught.value)
    hub.faults.clear()
    assert cart_path(f"hf://me/dreams/toy.cart@{commit}").read_bytes() == cart


def test_what_an_older_dreamcart_cached_is_checked_as_well(hub, tmp_path):
    """A page that was saved as a cart, or as the card beside a dataset, is fetched anew."""
    cart = make_cart(tmp_path).read_bytes()
    commit = hub.put("models/me/dreams", {"toy.cart": cart})
    for name in (f"hf://me/dreams/toy.cart@{commit}", "hf://me/dreams/toy.cart"):
        path = cart_path(name)
        path.resolve().write_bytes(b"<html>")
        assert cart_path(name).read_bytes() == cart
    folder = write_raw(tmp_path / "play", [make_rows(0, 6)])
    commit = push(folder, "me/toy")["revision"]
    Recording("me/toy", commit).reset()
    readme = next(
        (tmp_path / "hf" / "hub" / "datasets--me--toy" / "snapshots" / commit).glob("README.md")
    )
    readme.resolve().write_bytes(b"---\n[1]\n---\n")
    Recording("me/toy", commit).reset()
    assert readme.read_bytes() == hub.files("datasets/me/toy")["README.md"]


def test_a_cart_comes_through_a_busy_hub(hub, tmp_path):
    cart = make_cart(tmp_path)
    hub.put("models/me/dreams", {"toy.cart": cart.read_bytes()})
    hub.faults.append(Fault("HEAD", "/resolve/", 503, times=2))
    assert cart_path("hf://me/dreams/toy.cart").read_bytes() == cart.read_bytes()
    assert cart_path(str(cart)) == cart


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        (Fault("GET", "/lfs/", 429, times=99), "slow down"),
        (Fault("GET", "/lfs/", 401, times=99), "hf auth login"),
        (Fault("GET", "/lfs/", 500, times=99), "500"),
    ],
)
def test_a_hub_that_refuses_while_streaming_is_one_sentence(hub, tmp_path, fault, named):
    """After a few tries, not after half an hour of them."""
    commit = push(write_raw(tmp_path / "play", [make_rows(0, 6)]), "me/toy")["revision"]
    hub.faults.append(fault)
    hub.waits.clear()
    with pytest.raises(UserError, match=named) as caught:
        Recording("me/toy", commit).reset()
    assert_sentence(caught.value)
    assert sum(hub.waits) <= 240
