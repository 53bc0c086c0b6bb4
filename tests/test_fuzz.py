"""Whatever stands in a file from outside, there is a sentence or a result: never another exception,
never a hang.
"""

import copy
import json
from typing import Any

import pytest
import torch
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from toys.synthetic import assert_sentence, make_spec, make_world_of_cells

from dreamcart.core import paths
from dreamcart.core.errors import UserError
from dreamcart.core.paths import ROOT
from dreamcart.core.tensors import load_tensors
from dreamcart.data.schema import INFO_NAME, SCHEMA_VERSION, read_info
from dreamcart.games.catalog import load_game
from dreamcart.play.sources import Dream
from dreamcart.world.cart import load_cart, save_cart, write_cart

EXAMPLES = 100  # of each kind: fixed, so that a run is like the one before
OURS = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
ODD = [
    0,
    -1,
    1,
    10**9,
    10**30,
    0.0,
    -0.5,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "x",
    "../x",
    "/",
    "a" * 5000,
    "\0",
    "é\n",
]
ODD += [None, True, False, [], {}, [[]], [0] * 5000, {"": 0}]
values = st.recursive(
    st.sampled_from(ODD) | st.integers() | st.floats(allow_subnormal=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
    # those of ODD are one object in every example: a change to one would stay, or hold itself
).map(copy.deepcopy)


def places(value: Any, at: tuple = ()) -> list[tuple]:
    """Where something stands in nested mappings and lists."""
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [at, *(place for key, part in inner for place in places(part, (*at, key)))]


@st.composite
def changed(draw: st.DrawFn, original: Any) -> Any:
    """The original with one to three values replaced, removed or added."""
    value = copy.deepcopy(original)
    for _ in range(draw(st.integers(1, 3))):
        *way, last = draw(
            st.sampled_from([place for place in places(value) if place] or [("game",)])
        )
        inner = value
        for key in way:
            inner = inner[key]
        what = draw(st.sampled_from(["replace", "replace", "replace", "remove", "add"]))
        if what == "remove":
            del inner[last]
        elif what == "add" and isinstance(inner, dict):
            inner[draw(st.text(max_size=8))] = draw(values)
        elif isinstance(inner, dict) or last < len(inner):
            inner[last] = draw(values)
        if not isinstance(value, dict) or not value:
            break
    return value


def own_yaml(name: str) -> Any:
    return yaml.safe_load((ROOT / "games" / name / "game.yaml").read_text())


GAMES = {name: own_yaml(name) for name in ("blockfall", "pong")}
INFO = {
    "schema_version": SCHEMA_VERSION,
    "game": make_spec().to_dict(),
    "episodes": 2,
    "first_episode": 0,
    "rom_sha1": "0" * 40,
}
INFO |= {
    "emulator": "stable-retro",
    "emulator_version": "1",
    "source": "a/b",
    "revision": "c",
    "lossy": ["JPEG"],
}
INFO |= {
    "shards": {
        "play-00000.parquet": {"sha256": "0" * 64, "bytes": 5, "rows": 4, "episodes": [0, 1]}
    }
}


def only_a_sentence(ask: Any) -> None:
    try:
        ask()
    except UserError as problem:
        said = problem
    else:
        return
    assert_sentence(said)
    assert len(str(said)) < 3000


@pytest.mark.parametrize("name", GAMES)
@OURS
@given(data=st.data())
def test_game_yaml(tmp_path, monkeypatch, name, data):
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    (tmp_path / "games" / "mine").mkdir(parents=True, exist_ok=True)
    written = data.draw(changed(GAMES[name]) | values)
    (tmp_path / "games" / "mine" / "game.yaml").write_text(
        yaml.safe_dump(written, allow_unicode=True), encoding="utf-8"
    )
    only_a_sentence(lambda: load_game("mine"))


@OURS
@given(text=st.text(max_size=200) | st.binary(max_size=200))
def test_game_yaml_of_anything(tmp_path, monkeypatch, text):
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    (tmp_path / "games" / "mine").mkdir(parents=True, exist_ok=True)
    content = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    (tmp_path / "games" / "mine" / "game.yaml").write_bytes(content)
    only_a_sentence(lambda: load_game("mine"))


@OURS
@given(info=changed(INFO) | values)
def test_dataset_info(tmp_path, info):
    (tmp_path / INFO_NAME).write_text(json.dumps(info), encoding="utf-8")
    only_a_sentence(lambda: read_info(tmp_path))


@pytest.fixture(scope="module")
def cart(tmp_path_factory):
    """(tensors, metadata) of a small cart."""
    folder = tmp_path_factory.mktemp("cart")
    make_world_of_cells(folder / "model")
    save_cart(folder / "a.cart", folder / "model", {"model": {"1": {"exact": 1.0}}})
    tensors, meta = load_tensors(folder / "a.cart")
    meta.pop("fingerprint")
    return tensors, meta


@OURS
@given(data=st.data())
def test_cart_metadata(tmp_path, cart, data):
    """Signed as it is: the fingerprint says that nobody changed it since, not that it is well
    meant.
    """
    tensors, meta = cart
    write_cart(tmp_path / "a.cart", tensors, data.draw(changed(meta)))
    device = torch.device("cpu")
    only_a_sentence(lambda: Dream(load_cart(tmp_path / "a.cart", device)[0], None).reset())


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, "{" * 100_000, "&a [" * 20_000, '{"a":' * 100_000, "1" * 10_000, "- " * 50_000],
)
def test_deep_and_long_files(tmp_path, monkeypatch, text):
    """A million brackets end a recursion, and a number of ten thousand digits is none that Python
    reads.
    """
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    (tmp_path / "games" / "mine").mkdir(parents=True)
    (tmp_path / "games" / "mine" / "game.yaml").write_text(text)
    (tmp_path / INFO_NAME).write_text(text)
    for ask in (lambda: load_game("mine"), lambda: read_info(tmp_path)):
        with pytest.raises(UserError) as caught:
            ask()
        assert_sentence(caught.value)


BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n"
    for before, name in zip("abcdefghij", "bcdefghijk", strict=True)
)


def test_a_bomb_of_aliases_is_repeated_in_short(tmp_path, monkeypatch):
    """Ten thousand million entries by ten lines: the sentence must not spell them out."""
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    (tmp_path / "games" / "mine").mkdir(parents=True)
    (tmp_path / "games" / "mine" / "game.yaml").write_text(
        BOMB + "extends: ALE/Pong-v5\ntitle: *k\n"
    )
    with pytest.raises(UserError) as caught:
        load_game("mine")
    assert_sentence(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda meta: meta["dynamics"].update(blocks=10**9),
        lambda meta: meta["dynamics"].update(blocks=60_000),
        lambda meta: meta["dynamics"].update(channels=60_000),
        lambda meta: meta["dynamics"].update(memory=60_000, depth=60_000),
        lambda meta: meta["dynamics"].update(backdrops=60_000, latent_shape=[60_000, 60_000]),
        lambda meta: meta["dynamics"].update(known=60_000),
        lambda meta: meta["representation"].update(colours=60_000),
        lambda meta: meta["representation"].update(shape=[60_000, 60_000, 3]),
        lambda meta: meta["game"].update(fps=0),
        lambda meta: meta["game"].update(frame_skip=10**9),
    ],
)
def test_a_cart_too_large_to_be_true_is_refused_at_once(tmp_path, cart, change):
    """It would hang, or fill the memory, while it is built."""
    tensors, meta = cart
    meta = copy.deepcopy(meta)
    change(meta)
    write_cart(tmp_path / "a.cart", tensors, meta)
    with pytest.raises(UserError, match=r"a\.cart") as caught:
        load_cart(tmp_path / "a.cart", torch.device("cpu"))
    assert_sentence(caught.value)
