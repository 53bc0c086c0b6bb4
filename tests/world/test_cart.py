"""Carts: one file plays the dream anywhere, what was tampered with is refused, and the menu chooses
among them.
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from toys.synthetic import (
    GOLDEN,
    assert_sentence,
    empty,
    foreign,
    garbage,
    make_spec,
    make_world_of_cells,
    truncate,
)

from dreamcart.core.errors import UserError, run_stage
from dreamcart.core.tensors import load_tensors, save_tensors
from dreamcart.play.library import Title, find, titles
from dreamcart.play.loop import Input
from dreamcart.world.cart import (
    FORMAT,
    MOST_BYTES,
    OLDEST,
    load_cart,
    model_print,
    save_cart,
    write_cart,
)
from dreamcart.world.model import WorldModel, load_world

CPU = torch.device("cpu")
METRICS = {"model": {"1": {"exact": 1.0, "changed_l1": None}}}


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A checkout of its own as far as models and carts go: models/blockfall is there, and no
    cart.
    """
    for name in ("dreamcart.core.paths.ROOT", "dreamcart.play.library.ROOT"):
        monkeypatch.setattr(name, tmp_path)
    monkeypatch.setattr("dreamcart.world.cart.FOLDER", tmp_path / "carts")
    make_world_of_cells(
        tmp_path / "models" / "blockfall", make_spec(name="blockfall", title="Blockfall")
    )
    return tmp_path


def put(home: Path, game: str = "blockfall") -> Path:
    """The model of `home` on a cart."""
    path = home / "carts" / f"{game}.cart"
    save_cart(path, home / "models" / "blockfall", METRICS)
    return path


def play_on(world: WorldModel, steps: int = 8) -> np.ndarray:
    """Frames of a dream with luck, uint8 [steps, H, W, C], a button more every step."""
    buttons, generator = len(world.spec.buttons), torch.Generator().manual_seed(3)
    state = world.start(world.starts["Begin"][None, None], np.zeros((1, 0, buttons), np.uint8))
    frames = []
    for step in range(steps):
        shown, state = world.step(
            state, np.array([[int(b <= step) for b in range(buttons)]], np.uint8), 1.0, generator
        )
        frames.append(shown[0])
    return np.stack(frames)


# The file


def test_a_cart_plays_the_same_dream(home):
    """The cart is all that is needed: the same frames as from the folder, the same spec, start
    states and metrics.
    """
    path = put(home)
    folder = load_world(home / "models" / "blockfall", CPU)
    shutil.rmtree(home / "models")
    world, meta = load_cart(path, CPU)
    shown = play_on(world)
    assert len(np.unique(shown, axis=0)) > 4
    np.testing.assert_array_equal(shown, play_on(folder))
    assert (world.spec, world.seen_as, world.shape, list(world.starts)) == (
        folder.spec,
        folder.seen_as,
        (32, 40, 3),
        ["Begin"],
    )
    assert (meta["cart"], meta["metrics"]) == (FORMAT, METRICS)


def test_the_same_model_makes_the_same_cart(home):
    """A cart is committed: made again from the same model it must not differ."""
    assert put(home).read_bytes() == put(home, "again").read_bytes()


def test_a_former_model_goes_on_a_cart(tmp_path):
    """Models of the first format play, so they must be of use on a cart too."""
    save_cart(tmp_path / "old.cart", GOLDEN / "world_v1", {})
    assert load_cart(tmp_path / "old.cart", CPU)[0].shape == (16, 16, 1)


def test_too_large_a_model_is_refused(home):
    """A repository holds carts: a large one must be refused before it is written, with the way to a
    smaller one.
    """
    folder = home / "models" / "blockfall"
    tensors, meta = load_tensors(folder / "world.safetensors")
    large = torch.zeros(MOST_BYTES // 3 + 1, 1, 3, dtype=torch.uint8)
    save_tensors(folder / "world.safetensors", tensors | {"start.Begin": large}, meta)
    with pytest.raises(UserError, match=r"8\.\d MB.*settings of dynamics\.cells") as caught:
        put(home)
    assert_sentence(caught.value)
    assert not (home / "carts").exists()


@pytest.mark.parametrize("part", ["representation", "dynamics", "world"])
def test_no_cart_of_half_a_model(home, part):
    """A model that is not there, or not whole, is named."""
    (home / "models" / "blockfall" / f"{part}.safetensors").unlink()
    with pytest.raises(UserError, match=part) as caught:
        put(home)
    assert_sentence(caught.value)


def rewrite(path: Path, change) -> None:
    """Let `change` change a cart's tensors and metadata, as somebody with a tool would."""
    with safe_open(path, framework="pt") as handle:
        meta = json.loads(handle.metadata()["json"])
    tensors = load_file(path)
    change(tensors, meta)
    save_file(tensors, path, {"json": json.dumps(meta)})


def other_model(path):
    shutil.copy(GOLDEN / "world_v1" / "dynamics.safetensors", path)


def newer(path):
    rewrite(path, lambda tensors, meta: meta.update(cart=FORMAT + 1))


def older(path):
    rewrite(path, lambda tensors, meta: meta.update(cart=OLDEST - 1))


def better_metrics(path):
    rewrite(path, lambda tensors, meta: meta["metrics"]["model"]["1"].update(exact=0.99))


def other_title(path):
    rewrite(path, lambda tensors, meta: meta["game"].update(title="Mine"))


def no_fingerprint(path):
    rewrite(path, lambda tensors, meta: meta.pop("fingerprint"))


def one_pixel(path):
    def change(tensors, meta):
        tensors["start.Begin"][0, 0, 0] ^= 1

    rewrite(path, change)


def one_weight(path):
    def change(tensors, meta):
        tensors["dynamics.network.gate.weight"][0, 0] += 1e-3

    rewrite(path, change)


def lose_tensor(path):
    rewrite(path, lambda tensors, meta: tensors.pop(sorted(tensors)[3]))


def put_nan(path):
    def change(tensors, meta):
        tensors["dynamics.network.gate.weight"][0, 0] = float("nan")

    rewrite(path, change)


def half_precision(path):
    rewrite(
        path,
        lambda tensors, meta: tensors.update(
            {name: t.bfloat16() for name, t in tensors.items() if t.is_floating_point()}
        ),
    )


def list_as_metadata(path):
    save_file(load_file(path), path, {"json": "[1]"})


def remove(path):
    path.unlink()


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (truncate, "damaged.*git checkout carts"),
        (empty, "damaged"),
        (garbage, "damaged"),
        (foreign, "no cart"),
        (other_model, "no cart"),
        (newer, f"format {FORMAT + 1}.*update Dreamcart"),
        (older, f"format {OLDEST - 1}, for an older Dreamcart; train it again"),
        (better_metrics, "fingerprint"),
        (other_title, "fingerprint"),
        (no_fingerprint, "fingerprint"),
        (one_pixel, "fingerprint"),
        (one_weight, "fingerprint"),
        (lose_tensor, "fingerprint"),
        (half_precision, "fingerprint"),
        (list_as_metadata, "damaged"),
        (put_nan, "NaN"),
        (remove, "--list"),
    ],
)
def test_a_bad_cart_is_refused_in_one_sentence(home, damage, named):
    """Carts travel: whatever happened to one on the way, a person is told which and what to do, and
    nothing plays.
    """
    path = put(home)
    damage(path)
    with pytest.raises(UserError, match=named) as caught:
        load_cart(path, CPU)
    assert_sentence(caught.value)
    assert path.name in str(caught.value)


def test_a_cart_that_was_signed_without_its_parts_is_refused(home):
    """Who makes a fingerprint can leave things out: carts come from strangers."""
    path = put(home)
    tensors, meta = load_tensors(path)
    for lost in ("starts", "game", "dynamics"):
        write_cart(
            path,
            tensors,
            {key: value for key, value in meta.items() if key not in (lost, "fingerprint")},
        )
        with pytest.raises(UserError, match="lacks") as caught:
            load_cart(path, CPU)
        assert_sentence(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda meta: meta.update(dynamics=[1]),
        lambda meta: meta["dynamics"].update(window=[-1, 2]),
        lambda meta: meta["game"].update(buttons=meta["game"]["buttons"][:-1], keys={}),
        lambda meta: meta.update(starts=[]),
    ],
    ids=["no object", "window", "buttons", "starts"],
)
def test_a_cart_that_was_signed_with_parts_that_do_not_fit_is_refused(home, change):
    """A fingerprint says that a cart is as it was made, not that it was made well: no traceback at
    the first step.
    """
    path = put(home)
    tensors, meta = load_tensors(path)
    meta.pop("fingerprint")
    change(meta)
    write_cart(path, tensors, meta)
    with pytest.raises(UserError, match="do not fit together") as caught:
        load_cart(path, CPU)
    assert_sentence(caught.value)


# What is here to play


def test_the_own_model_goes_before_the_cart(home):
    """Who trains wants to see what was trained; who has trained nothing plays the cart."""
    path = put(home)
    put(home, "other")
    assert [title.label for title in titles()] == [
        "blockfall (trained here)",
        "blockfall (cart)",
        "other (cart)",
    ]
    assert find("blockfall") == Title("blockfall", None)
    shutil.rmtree(home / "models")
    assert find("blockfall") == Title("blockfall", path)
    np.testing.assert_array_equal(
        play_on(find("blockfall").load(CPU)), play_on(load_cart(path, CPU)[0])
    )


@pytest.mark.parametrize("with_cart", [True, False])
def test_a_game_that_is_not_here_is_named(home, with_cart):
    """The sentence lists what there is, so that nobody has to search."""
    if with_cart:
        put(home)
    shutil.rmtree(home / "models")
    with pytest.raises(UserError, match="'pacman'") as caught:
        find("pacman")
    assert_sentence(caught.value)
    assert ("blockfall" if with_cart else "none yet") in str(caught.value)


# The stages


@pytest.fixture
def stage(home, monkeypatch, capsys):
    """stage(name, arguments) → (exit code, what was printed, what was complained)."""

    def run_it(name: str, *arguments: str) -> tuple[int, str, str]:
        from stages import cart as cart_stage
        from stages import play

        monkeypatch.setattr(sys, "argv", [f"{name}.py", *arguments])
        code = 0
        try:
            run_stage({"cart": cart_stage, "play": play}[name].main)
        except SystemExit as end:
            code = end.code
        return code, *capsys.readouterr()

    return run_it


def test_from_a_trained_model_to_a_played_cart(home, stage):
    """The way of a cart: made, with the metrics of the last evaluation; listed; and played where
    nothing was trained.
    """
    (home / "metrics" / "blockfall").mkdir(parents=True)
    report = METRICS | {
        "of": {"starts": 1},
        "made": {"model": model_print(home / "models" / "blockfall")},
    }
    (home / "metrics" / "blockfall" / "rollout.json").write_text(json.dumps(report))
    path = home / "carts" / "my_blockfall.cart"
    code, printed, _ = stage("cart", "--game", "blockfall", "--out", str(path))
    assert (code, printed.startswith("Blockfall is on "), f"--cart {path}" in printed) == (
        0,
        True,
        True,
    )
    assert load_cart(path, CPU)[1]["metrics"] == report
    shutil.rmtree(home / "models")
    assert stage("play", "--list")[:2] == (0, "my_blockfall (cart)\n")
    mine = path.rename(home / "mine.cart")
    gif = home / "dream.gif"
    arguments = ["--headless", "--actions", "LEFT*3 . A", "--temperature", "1", "--gif", str(gif)]
    code, printed, complaint = stage("play", "--cart", str(mine), *arguments)
    assert code == 0, complaint
    assert printed.splitlines()[0] == "Dreaming mine (cart)."
    assert printed.splitlines()[1].startswith("5 steps; ")
    with Image.open(gif) as saved:
        assert saved.size == (80, 64)
        assert saved.n_frames > 1


def test_a_cart_without_an_evaluation_has_no_metrics(home, stage):
    """A model may be played before it is measured."""
    out = home / "elsewhere" / "my.cart"
    code, printed, _ = stage("cart", "--game", "blockfall", "--out", str(out))
    assert (code, "not been evaluated" in printed) == (0, True)
    assert load_cart(out, CPU)[1]["metrics"] == {}


def test_a_cart_has_no_other_models_metrics(home, stage):
    """The metrics that lie there may be those that came with the repository, of another
    training.
    """
    (home / "metrics" / "blockfall").mkdir(parents=True)
    (home / "metrics" / "blockfall" / "rollout.json").write_text(
        json.dumps(METRICS | {"of": {"starts": 1, "model": "another"}})
    )
    assert stage("cart", "--game", "blockfall", "--out", str(home / "my.cart"))[0] == 0
    assert load_cart(home / "my.cart", CPU)[1]["metrics"] == {}


def test_play_falls_back_to_the_cart(home, stage):
    """After a clone nothing is trained, and play must work all the same."""
    put(home)
    shutil.rmtree(home / "models")
    code, printed, complaint = stage("play", "--headless", "--frames", "2", "--game", "blockfall")
    assert (code, printed.splitlines()[0]) == (0, "Dreaming blockfall (cart)."), complaint


@pytest.mark.parametrize(
    ("name", "arguments", "named"),
    [
        ("cart", ["--game", "pacman"], "pacman"),
        ("play", ["--cart", "gone.cart", "--headless", "--frames", "2"], "gone.cart"),
        ("play", ["--menu", "--headless", "--frames", "2"], "--menu is a window"),
        (
            "play",
            ["--seed", str(10**25), "--headless", "--frames", "2"],
            "allowed: 0 to 2147483647",
        ),
        ("play", ["--seed", "-1", "--headless", "--frames", "2"], "allowed: 0 to 2147483647"),
    ],
)
def test_what_is_not_there_is_one_line_and_exit_code_2(stage, name, arguments, named):
    """A person's mistake is told in one line, and scripts see that it failed."""
    code, _, complaint = stage(name, *arguments)
    lines = [line for line in complaint.splitlines() if line.startswith("error: ")]
    assert (code, len(lines)) == (2, 1)
    assert named in lines[0]
    assert "Traceback" not in complaint


# The menu

pygame = pytest.importorskip("pygame")
from dreamcart.play.menu import COLUMNS, GAP, LABEL, THUMB, choose, thumbnail  # noqa: E402


@pytest.fixture
def shelf(home):
    """Two carts to choose from."""
    put(home)
    put(home, "other")
    shutil.rmtree(home / "models")
    yield titles()
    pygame.quit()


def key(code: int) -> pygame.event.Event:
    return pygame.event.Event(pygame.KEYDOWN, key=code)


def click(column: int, row: int = 0) -> pygame.event.Event:
    place = (
        GAP + column * (THUMB + GAP) + THUMB // 2,
        GAP + row * (THUMB + LABEL + GAP) + THUMB // 2,
    )
    return pygame.event.Event(pygame.MOUSEBUTTONDOWN, pos=place, button=1)


def choose_by(shelf: list[Title], *events: pygame.event.Event) -> Title | None:
    pygame.display.init()
    for event in events:
        pygame.event.post(event)
    return choose(shelf)


@pytest.mark.parametrize(
    ("events", "chosen"),
    [
        ([key(pygame.K_RETURN)], 0),
        ([key(pygame.K_RIGHT), key(pygame.K_RETURN)], 1),
        ([key(pygame.K_RIGHT), key(pygame.K_RIGHT), key(pygame.K_SPACE)], 1),
        ([key(pygame.K_RIGHT), key(pygame.K_LEFT), key(pygame.K_UP), key(pygame.K_RETURN)], 0),
        ([click(1)], 1),
        ([click(0)], 0),
        ([pygame.event.Event(pygame.MOUSEBUTTONDOWN, pos=(2, 2), button=1), click(1)], 1),
        ([key(pygame.K_ESCAPE)], None),
        ([pygame.event.Event(pygame.QUIT)], None),
    ],
)
def test_the_menu_is_chosen_from_by_keys_and_mouse(shelf, events, chosen):
    """Arrows move and stop at the ends, RETURN and SPACE choose, a click chooses what is under it,
    ESC closes.
    """
    assert choose_by(shelf, *events) == (None if chosen is None else shelf[chosen])


def test_the_arrows_reach_every_row(shelf):
    """Down is the next row, and up the one before."""
    many = [Title(f"game {number}", shelf[0].cart) for number in range(COLUMNS + 2)]
    down, up, enter = key(pygame.K_DOWN), key(pygame.K_UP), key(pygame.K_RETURN)
    assert choose_by(many, key(pygame.K_RIGHT), down, enter) == many[COLUMNS + 1]
    assert choose_by(many, down, up, enter) == many[0]
    assert choose_by(many, click(1, 1)) == many[COLUMNS + 1]


def test_the_menu_shows_start_screens(shelf):
    """A thumbnail is the dream's own first frame, and its label says where it comes from."""
    picture, label = thumbnail(shelf[0])
    np.testing.assert_array_equal(picture, shelf[0].load(CPU).starts["Begin"])
    assert label == "blockfall (cart)"


def test_a_damaged_cart_does_not_stop_the_menu(shelf):
    """One bad file must not keep anybody from the others; it says that it is damaged, and loading
    it says why.
    """
    truncate(shelf[0].cart)
    picture, label = thumbnail(shelf[0])
    assert (picture.any(), label) == (False, "blockfall: damaged")
    drawn = []
    clock = pygame.time.Clock

    class Impatient:
        """Presses RETURN on the second title once both have been drawn."""

        def tick(self, rate):
            drawn.append(pygame.surfarray.array3d(pygame.display.get_surface()))
            pygame.event.post(key(pygame.K_RETURN))  # nothing happens on the damaged one
            pygame.event.post(key(pygame.K_RIGHT))
            pygame.event.post(key(pygame.K_RETURN))

    pygame.time.Clock = Impatient
    try:
        assert choose_by(shelf) == shelf[1]
    finally:
        pygame.time.Clock = clock
    assert drawn[0].any()
    with pytest.raises(UserError, match="damaged"):
        shelf[0].load(CPU)


def test_a_menu_of_nothing_is_refused(home, stage):
    """Where there is neither a model nor a cart, --menu must say so as play does."""
    shutil.rmtree(home / "models")
    code, _, complaint = stage("play", "--menu")
    assert (code, complaint.startswith("error: ")) == (2, True)


def test_the_menu_is_reached_from_play_and_leads_back(shelf, stage, monkeypatch):
    """M leaves the game for the menu, what is chosen there is played, and closing the menu ends it
    all.
    """
    from stages import play

    turns, chosen, offered = [Input(menu=True), Input(quit=True)], [shelf[1]], []
    monkeypatch.setattr("dreamcart.play.window.Window.read", lambda self: turns.pop(0))
    monkeypatch.setattr(
        play, "choose", lambda titles: offered.append(titles) or (chosen.pop(0) if chosen else None)
    )
    code, printed, complaint = stage("play", "--game", "blockfall")
    assert code == 0, complaint
    assert [line for line in printed.splitlines() if "Dreaming" in line] == [
        "Dreaming blockfall (cart).",
        "Dreaming other (cart).",
    ]
    assert (offered, turns) == ([shelf], [])


def test_the_menu_can_be_the_first_thing(shelf, stage, monkeypatch):
    """--menu opens on the shelf; closing it plays nothing."""
    from stages import play

    monkeypatch.setattr(play, "choose", lambda titles: None)
    assert stage("play", "--menu")[:2] == (0, "")
    monkeypatch.setattr(play, "choose", lambda titles: titles[1])
    played = []
    # and then nothing more
    monkeypatch.setattr(play, "play", lambda args, title, game: played.append(title))
    assert stage("play", "--menu")[0] == 0
    assert played == [shelf[1]]


def test_the_menu_without_a_display_is_refused(shelf, monkeypatch):
    """On a machine without a display the sentence names the way to play there."""
    monkeypatch.setenv("SDL_VIDEODRIVER", "no_such_driver")
    pygame.quit()
    with pytest.raises(UserError, match="--headless") as caught:
        choose(shelf)
    assert_sentence(caught.value)
