"""Training that begins from a cart: it goes on where the cart stood, and only where the cart's
numbers mean the same.
"""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from toys.synthetic import SEEN_AS, assert_sentence, make_params, make_spec
from toys.walk import make_model, plain_layout, walk

from dreamcart.core.errors import UserError
from dreamcart.core.tensors import read_metadata
from dreamcart.dynamics.base import Trained, load_dynamics, make_dynamics, save_dynamics
from dreamcart.dynamics.layout import MOST_BACKDROPS, Layout, find_layout
from dreamcart.dynamics.tokens.dials import Dial
from dreamcart.dynamics.tokens.grow import SELDOM, renumber
from dreamcart.dynamics.tokens.history import Summary
from dreamcart.dynamics.tokens.init import fit_layout, take_over, take_weights
from dreamcart.dynamics.tokens.model import config_for
from dreamcart.dynamics.tokens.samples import Samples
from dreamcart.dynamics.tokens.train import train_tokens
from dreamcart.params import load_params
from dreamcart.representation.registry import save_representation
from dreamcart.representation.tiles import Tiles
from dreamcart.world.cart import load_cart, load_start, save_cart
from dreamcart.world.cart_pin import PIN, check_start
from dreamcart.world.model import save_world

SHAPE = (12, 12, 1)
SPEC = make_spec()
PATH = Path("walk.cart")
TOKENS = {"representation__kind": "tiles", "preprocess__tile": 8}


def tiles() -> torch.Tensor:
    """uint8 [2, 2, 2, 1]: floor and dot."""
    return torch.stack(
        [torch.zeros(2, 2, 1, dtype=torch.uint8), torch.full((2, 2, 1), 200, dtype=torch.uint8)]
    )


def pinned(path: str) -> str:
    """A cart with its fingerprint, as in dynamics.init_from."""
    return f"{path}@{read_metadata(Path(path), '')['fingerprint'][:PIN]}" if path else ""


def opened(path: Path) -> Trained:
    """A cart as training begins from it."""
    world, _ = load_cart(path, torch.device("cpu"))
    return Trained(str(path), world.dynamics, world.spec.buttons, world.representation.pictures)


def train(
    folder: Path,
    steps: int,
    rate: float = 0.01,
    init_from: str = "",
    flipped: bool = False,
    more: int = 0,
):
    """Train on walks, at a size of toys;

    `flipped`: what is token 0 elsewhere is token 1; `more`: tiles that no cart knows.
    """
    size = {"channels": 16, "blocks": 1, "memory": 32, "history_frames": 2, "batch_size": 64}
    often = {
        "validate_every": steps,
        "checkpoint_every": steps,
        "steps": steps,
        "learning_rate": rate,
        "init_from": pinned(init_from),
    }
    values = {f"dynamics__{key}": value for key, value in (size | often).items()}
    params = make_params(**TOKENS, **values)
    (split, tokens), (val, val_tokens) = walk(60, 60, 0), walk(10, 52, 1)
    (folder / "checkpoint.safetensors").unlink(missing_ok=True)
    pictures = tiles()
    if flipped:
        tokens, val_tokens, pictures = 1 - tokens, 1 - val_tokens, pictures.flip(0)
    if more:  # before those that are known
        tokens, val_tokens = tokens + more, val_tokens + more
        pictures = torch.cat(
            [
                torch.arange(150, 150 + more)[:, None, None, None]
                .expand(-1, 2, 2, 1)
                .to(torch.uint8),
                pictures,
            ]
        )
    start, both = load_start(params), {"train": tokens, "val": val_tokens}
    return train_tokens(
        params, split, val, both, pictures, folder / "checkpoint.safetensors", start
    )


def make_cart(folder: Path, model, config, pictures: torch.Tensor | None = None, spec=SPEC) -> Path:
    pictures = tiles() if pictures is None else pictures
    seen = {"shape": list(SHAPE), "tile": 2, "vocabulary": len(pictures)}
    representation = Tiles(**seen)
    representation.tiles.copy_(pictures)
    save_representation(
        folder / "representation.safetensors", representation, {"kind": "tiles", **seen}
    )
    save_dynamics(folder / "dynamics.safetensors", model, config)
    blank = np.zeros(SHAPE, np.uint8)
    save_world(folder / "world.safetensors", spec, {"Begin": blank}, blank.copy(), SEEN_AS)
    save_cart(folder / "walk.cart", folder, {})
    return folder / "walk.cart"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A cart of a dream that has half learnt to walk, and what it got wrong at last."""
    folder = tmp_path_factory.mktemp("trained")
    model, config, curve = train(folder, 120)
    return make_cart(folder, model, config), model, curve[-1]["val"]


def test_training_goes_on_where_the_cart_stood(trained, tmp_path):
    """One tiny step from the cart is as good as the cart, and one from nothing is not; more steps
    make it better.
    """
    path, _, wrong = trained
    assert 0.01 < wrong < 0.5  # something was learnt, and something is left to learn
    _, _, begun = train(tmp_path, 1, 1e-6, str(path))
    assert begun[-1]["val"] == pytest.approx(wrong, abs=0.01)
    _, _, fresh = train(tmp_path, 1, 1e-6)
    assert fresh[-1]["val"] > wrong + 0.2
    _, _, more = train(tmp_path, 100, 0.005, str(path))
    assert more[-1]["val"] < wrong


def test_a_fresh_network_believes_what_the_trained_one_does(trained):
    """All tables and weights are taken over; looks, which the trained tables hold already, add
    nothing.
    """
    path, model, _ = trained
    found = take_over(opened(path), tiles(), SPEC.buttons)
    own = SimpleNamespace(channels=16, blocks=1, history_frames=2, memory=32)
    fresh = make_dynamics(
        config_for(model.layout, 2, len(SPEC.buttons), own) | {"pictures": tiles()}
    ).eval()
    fresh.set_layout(model.layout)
    take_weights(fresh, found, path)
    split, tokens = walk(4, 9, 3)
    first = torch.from_numpy(tokens[split.index["frame"][split.index["step"] == 0]])[:, None]
    action = torch.from_numpy(split.index["action"][split.index["step"] == 0]).float()
    nothing = torch.zeros(4, 0, len(SPEC.buttons))
    with torch.inference_mode():
        one, other = (m.network(m.start(first, nothing), action) for m in (model, fresh))
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b)


def test_an_older_network_is_believed_alike():
    """Carts from before glances and deeds: what is new in the network says nothing of its own until
    it is trained.
    """
    torch.manual_seed(0)
    split, tokens = walk(4, 9, 3)
    layout = find_layout(tokens, split.index["frame"], split.transitions)
    own = SimpleNamespace(channels=16, blocks=1, history_frames=5, memory=32)
    config = config_for(layout, 2, len(SPEC.buttons), own)
    older = make_dynamics(
        {key: value for key, value in config.items() if key not in ("glances", "deeds")}
    ).eval()
    fresh = make_dynamics(config | {"pictures": tiles()}).eval()
    for model in (older, fresh):
        model.set_layout(layout)
    take_weights(fresh, older, Path("old.cart"))
    samples = Samples(split, tokens, older)
    state, action, *_ = samples.get(samples.all)
    with torch.inference_mode():
        one, other = (model.network(state, action) for model in (older, fresh))
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b)


def test_a_longer_past_of_dials_and_inertia_are_believed_alike():
    """Carts that know where a dial stands now, and nothing of where it stood, nor of what
    goes on.
    """
    torch.manual_seed(0)
    layout, own = (
        plain_layout(3, 4),
        SimpleNamespace(channels=16, blocks=1, history_frames=5, memory=32),
    )
    config = config_for(
        layout, 4, len(SPEC.buttons), own, [Dial(0, 1, 0.1), Dial(1, 2, 0.2)], side=2
    )
    older = make_dynamics(config | {"dial_past": 1, "side": 0}).eval()
    fresh = make_dynamics(config).eval()
    assert fresh.network.dial_past > 1
    for part in (
        older.network.dialled.rows,
        older.network.dialled.columns,
        older.network.dialled.tell.weight,
    ):
        torch.nn.init.normal_(part)
    for model in (older, fresh):
        model.set_layout(layout)
    take_weights(fresh, older, Path("old.cart"))
    shown = torch.randint(0, 4, (5, 9, 3, 4), dtype=torch.int16)
    held = torch.randint(0, 2, (5, 9, len(SPEC.buttons))).float()
    with torch.inference_mode():
        one, other = (m.network(m.start(shown, held[:, :8]), held[:, 8]) for m in (older, fresh))
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b)


def test_tiles_may_have_other_numbers(trained, tmp_path):
    """A tile's number is its place by how often it was seen, which other recordings change: the
    same tiles, the same dream.
    """
    path, _, wrong = trained
    _, _, begun = train(tmp_path, 1, 1e-6, str(path), flipped=True)
    assert begun[-1]["val"] == pytest.approx(wrong, abs=0.01)


def test_tiles_may_be_new(trained, tmp_path):
    """A few steps are enough to tell them from those that they began as (with two tiles the cart
    never had to choose one), and not nearly enough from nothing.
    """
    path, _, wrong = trained
    _, config, begun = train(tmp_path, 20, 0.005, str(path), flipped=True, more=2)
    assert config["vocabulary"] == 4
    assert begun[-1]["val"] < wrong + 0.03
    _, _, fresh = train(tmp_path, 20, 0.005, flipped=True, more=2)
    assert fresh[-1]["val"] > wrong + 0.2


@pytest.mark.parametrize(
    "order",
    [torch.tensor([2, 0, 1]), torch.randperm(70, generator=torch.Generator().manual_seed(1))],
)
def test_renumbered_tokens_are_believed_alike(order):
    """Few kinds and many, in a window with a place that stands for no cell."""
    torch.manual_seed(0)
    count = len(order)
    layout = Layout(
        torch.tensor([[0, 1, 2], [3, 4, -1]]),
        torch.tensor([[True, True, False], [True, True, False]]),
        torch.tensor([[[2, 0, 1, 1, 2]]], dtype=torch.int16),
    )
    one, other = (make_model(layout, count) for _ in range(2))
    one.network.settle()
    other.network.settle()
    torch.nn.init.normal_(one.network.glance.tell.weight)  # a fresh one tells nothing
    other.load_state_dict(one.state_dict())
    renumber(other, order, order.argsort())
    assert other.network.codes == (count > Summary.LIMIT)
    shown = torch.randint(0, count, (8, 4, 1, 5), dtype=torch.int16)
    held = torch.randint(0, 2, (8, 3, one.buttons)).float()
    with torch.inference_mode():
        before = one.network(one.start(order[shown.long()], held), held[:, 0])
        after = other.network(other.start(shown, held), held[:, 0])
        tokens = [
            m.network.tokens(out[3].flatten(0, 2)) for m, out in ((one, before), (other, after))
        ]
    for a, b in zip(before, after, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(tokens[0][:, order], tokens[1], rtol=1e-4, atol=1e-5)


def grey(count: int, first: int = 0) -> torch.Tensor:
    """uint8 [count, 2, 2, 1]: plain tiles, each three shades lighter than the one before."""
    return (
        (3 * torch.arange(first, first + count))[:, None, None, None]
        .expand(-1, 2, 2, 1)
        .to(torch.uint8)
    )


OWN = SimpleNamespace(channels=8, blocks=1, history_frames=3, memory=16)


def wake(model) -> None:
    """Give random weights to what begins at nothing, where no mistake would be seen."""
    for name, weight in model.network.named_parameters():
        if not weight.any():
            torch.nn.init.normal_(weight, std=0.1)
        assert weight.any(), name


def begun_from(path: Path, layout: Layout, pictures: torch.Tensor):
    """What training on these recordings begins with, and its config."""
    trained = take_over(opened(path), pictures, SPEC.buttons)
    layout = fit_layout(layout, trained, path)
    config = config_for(layout, len(pictures), len(SPEC.buttons), OWN, codes=trained.network.codes)
    model = make_dynamics(config).eval()
    model.set_layout(layout)
    take_weights(model, trained, path)
    return model, config


def cart_of(folder: Path, layout: Layout, pictures: torch.Tensor):
    """A cart of random weights, and its model."""
    torch.manual_seed(0)
    config = config_for(layout, len(pictures), len(SPEC.buttons), OWN)
    model = make_dynamics(config).eval()
    wake(model)
    model.set_layout(layout)
    return make_cart(folder, model, config, pictures), model


def beliefs(model, shown: torch.Tensor, held: torch.Tensor):
    """What a model believes after screens, and the logits of all new tokens, [B, h, w,
    vocabulary].
    """
    with torch.inference_mode():
        event, scene, gate, features = model.network(model.start(shown, held[:, 1:]), held[:, 0])
        return (
            event,
            scene,
            gate,
            model.network.tokens(features.flatten(0, 2)).unflatten(0, gate.shape),
        )


def close(one, other) -> None:
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def screens(count: int, height: int = 6, width: int = 6):
    """Five random pasts of six screens of so many tokens, and the buttons."""
    generator = torch.Generator().manual_seed(2)
    shown = torch.randint(0, count, (5, 6, height, width), dtype=torch.int16, generator=generator)
    return shown, torch.randint(0, 2, (5, 6, len(SPEC.buttons)), generator=generator).float()


@pytest.mark.parametrize(("known", "gone", "more"), [(8, 2, 3), (70, 0, 3), (70, 0, 0), (72, 4, 9)])
def test_tiles_that_are_known_are_believed_alike(tmp_path, known, gone, more):
    """Recordings that show tiles in another order, new ones among them, and not all of the cart's.
    Then a model and a cart of it, whose files hold which sums stand for a tile; and recordings with
    the cart's own order again.
    """
    layout = plain_layout(6, 6)
    path, model = cart_of(tmp_path, layout, grey(known))
    # each new one is nearest to the known one with its number
    pictures = torch.cat([grey(known - gone), grey(more) + 1])
    shuffled = torch.randperm(len(pictures), generator=torch.Generator().manual_seed(1))
    number = shuffled.argsort()[: known - gone]
    begun, config = begun_from(path, layout, pictures[shuffled])
    assert config["codes"] == (known > Summary.LIMIT)
    shown, held = screens(known - gone)
    before = beliefs(model, shown, held)
    again = number.to(torch.int16)[shown.long()]
    after = beliefs(begun, again, held)
    close(before[:3], after[:3])
    torch.testing.assert_close(
        before[3][..., : known - gone], after[3][..., number], rtol=1e-4, atol=1e-5
    )
    copies = after[3][..., shuffled.argsort()[known - gone :]]
    torch.testing.assert_close(copies, before[3][..., :more] - SELDOM, rtol=1e-4, atol=1e-5)

    save_dynamics(tmp_path / "one.safetensors", begun, config)
    close(after, beliefs(load_dynamics(tmp_path / "one.safetensors"), again, held))
    second = make_cart(tmp_path, begun, config, pictures[shuffled])
    back, config = begun_from(second, layout, pictures)
    assert config["codes"] == (known > Summary.LIMIT)
    close(before[:3], beliefs(back, shown, held)[:3])
    same, config = begun_from(second, layout, pictures[shuffled])
    assert config["codes"] == (known > Summary.LIMIT)
    close(after, beliefs(same, again, held))


def test_many_tiles_in_the_carts_order_need_no_codes(tmp_path):
    """A model's file is then as one that was trained from nothing."""
    layout = plain_layout(6, 6)
    path, model = cart_of(tmp_path, layout, grey(70))
    begun, config = begun_from(path, layout, grey(70))
    assert not config["codes"]
    assert begun.state_dict().keys() == model.state_dict().keys()
    close(beliefs(model, *screens(70)), beliefs(begun, *screens(70)))


def test_a_lost_tile_of_a_backdrop_becomes_the_nearest(tmp_path):
    """The cart's scenes keep their numbers though recordings do not show one of their tiles any
    more.
    """
    layout = Layout(
        torch.tensor([[0, 1]]),
        torch.ones(1, 2, dtype=torch.bool),
        torch.full((1, 6, 6), 5, dtype=torch.int16),
    )
    path, _ = cart_of(tmp_path, layout, grey(6))
    assert take_over(opened(path), grey(5).flip(0), SPEC.buttons).backdrops.unique().tolist() == [0]


def part(rows: slice, columns: slice, backdrops: int = 1) -> Layout:
    """Some rows and columns of a screen of 6 x 6 change, before backdrops that differ in its last
    row.
    """
    cells = torch.arange(36).view(6, 6)[rows, columns]
    scenes = torch.zeros(backdrops, 6, 6, dtype=torch.int16)
    scenes[:, 5] = torch.arange(backdrops)[:, None]
    return Layout(cells, torch.ones(cells.shape, dtype=torch.bool), scenes)


def test_the_window_grows_to_what_recordings_change(tmp_path):
    """New rows and columns begin as their neighbours; what is learned of a place goes with its cell
    of the screen.
    """
    path, model = cart_of(tmp_path, part(slice(1, 3), slice(2, 5)), grey(4))
    begun, _ = begun_from(path, part(slice(0, 2), slice(4, 6)), grey(4))
    assert torch.equal(begun.cells, part(slice(0, 3), slice(2, 6)).cells)
    assert begun.mask.tolist() == [[False, False, True, True], [True] * 4, [True] * 3 + [False]]
    one, other = model.network, begun.network
    assert torch.equal(other.place[1:, :3], one.place)
    assert torch.equal(other.place[0, :3], one.place[0])
    assert torch.equal(other.place[:, 3], other.place[:, 2])
    assert torch.equal(other.glance.where[1:, :3], one.glance.where)
    assert not other.glance.where[0].any()
    assert not other.glance.where[:, 3].any()
    shown, held = screens(4)
    latent, _ = begun.step(begun.start(shown, held[:, 1:]), held[:, 0])
    assert latent.shape == (5, 6, 6)


def test_dials_follow_the_rows_and_columns_of_the_screen(tmp_path):
    """Each of them has weights of its own for where a dial stands."""
    small, large = part(slice(1, 3), slice(2, 5)), part(slice(0, 3), slice(2, 6))
    config = config_for(small, 4, len(SPEC.buttons), OWN, [Dial(0, 1, 0.1)])
    one, other = (
        make_dynamics(config | {"window": list(layout.mask.shape)}) for layout in (small, large)
    )
    wake(one)
    one.set_layout(small)
    other.set_layout(fit_layout(large, one, PATH))
    rows, columns = one.network.dialled.rows.clone(), one.network.dialled.columns.clone()
    take_weights(other, one, PATH)
    assert torch.equal(other.network.dialled.rows, rows[:, [0, 0, 1]])
    assert torch.equal(other.network.dialled.columns, columns[:, :, [0, 1, 2, 2]])


@pytest.mark.parametrize(
    "parts", [(slice(1, 3), slice(2, 5)), (slice(0, 3), slice(2, 5)), (slice(2, 3), slice(3, 4))]
)
def test_the_carts_window_stays_where_it_has_all(tmp_path, parts):
    """Recordings that change less of the screen are seen through the window that is known, and
    believed alike.
    """
    path, model = cart_of(tmp_path, part(slice(0, 3), slice(2, 5)), grey(4))
    begun, _ = begun_from(path, part(*parts), grey(4))
    assert torch.equal(begun.cells, model.cells)
    close(beliefs(model, *screens(4)), beliefs(begun, *screens(4)))


def test_a_window_of_parts_set_one_above_the_other_cannot_grow():
    """But it may stay, where recordings change no more than it has."""
    cells = torch.tensor([[0, 1], [6, 7], [11, -1]])
    stacked = Layout(cells, cells >= 0, torch.zeros(1, 6, 6, dtype=torch.int16))
    trained = make_model(stacked, 4)
    assert torch.equal(fit_layout(part(slice(0, 2), slice(1, 2)), trained, PATH).cells, cells)
    refused("another part of the screen", fit_layout, part(slice(0, 3), slice(0, 2)), trained, PATH)


def test_a_new_backdrop_begins_as_the_nearest(tmp_path):
    """It comes after the cart's, which are believed as before."""
    path, model = cart_of(tmp_path, part(slice(0, 2), slice(0, 6), 3), grey(5))
    shown = part(slice(0, 2), slice(0, 6), 3)
    shown.backdrops[0, 5] = torch.tensor([2, 2, 2, 2, 4, 4])  # most like the last
    shown.backdrops[1, 0] = 3  # what stands in cells that move is no part of a backdrop
    begun, config = begun_from(path, shown, grey(5))
    assert config["backdrops"] == 4
    assert torch.equal(begun.backdrops[:3], model.backdrops)
    assert torch.equal(begun.backdrops[3], shown.backdrops[0])
    past, held = screens(5)
    past[:, :, 2:] = model.backdrops[1, 2:]
    before, after = beliefs(model, past, held), beliefs(begun, past, held)
    close((before[0], before[1], *before[2:]), (after[0], after[1][:, :3], *after[2:]))
    torch.testing.assert_close(after[1][:, 3], before[1][:, 2] - SELDOM)
    likest, new = past.clone(), past.clone()
    likest[:, :, 2:], new[:, :, 2:] = model.backdrops[2, 2:], begun.backdrops[3, 2:]
    assert begun.start(new, held[:, 1:]).backdrop.tolist() == [3] * 5
    close(beliefs(begun, likest, held), beliefs(begun, new, held))


def test_no_more_backdrops_than_a_layout_may_have():
    """The cart's own, and as many of the others as there is room for."""
    most = part(slice(0, 1), slice(0, 2), MOST_BACKDROPS - 1)
    trained = make_model(most, MOST_BACKDROPS + 2)
    seen = Layout(most.cells, most.mask, most.backdrops[:3] + MOST_BACKDROPS - 1)
    fitted = fit_layout(seen, trained, PATH)
    assert torch.equal(fitted.backdrops, torch.cat([most.backdrops, seen.backdrops[:1]]))


def refused(what: str, call, *arguments) -> None:
    with pytest.raises(UserError, match=what) as caught:
        call(*arguments)
    assert_sentence(caught.value)


def test_a_cart_of_other_tiles_or_buttons_is_refused(trained):
    path = trained[0]
    refused("other tiles", take_over, opened(path), tiles() + 1, SPEC.buttons)
    refused(
        "other tiles", take_over, opened(path), torch.cat([tiles()[:1], tiles() + 1]), SPEC.buttons
    )
    refused(
        "other tiles",
        take_over,
        opened(path),
        torch.zeros(2, 4, 4, 1, dtype=torch.uint8),
        SPEC.buttons,
    )
    refused("buttons", take_over, opened(path), tiles(), [*SPEC.buttons[1:], SPEC.buttons[0]])


@pytest.mark.parametrize(("known", "shown"), [(60, 70), (70, 60)])
def test_few_tiles_do_not_become_many(tmp_path, known, shown):
    """Few are summed each for itself, and many by random sums."""
    path, _ = cart_of(tmp_path, plain_layout(6, 6), grey(known))
    refused(
        f"knows {known} tiles .* {shown}, .* another size",
        take_over,
        opened(path),
        grey(shown),
        SPEC.buttons,
    )


def test_a_cart_of_another_window_or_size_is_refused(trained):
    path, model, _ = trained
    refused("another part of the screen", fit_layout, plain_layout(6, 5), model, path)
    refused("another size", take_weights, make_model(model.layout, 2), model, path)


def test_backdrops_keep_the_carts_numbers():
    """The recordings show two of the cart's three scenes, in another order and with one more cell
    that moves.
    """
    cells = torch.tensor([[0, 1]])
    scenes = torch.tensor([[[9, 9, number, 5]] for number in (1, 2, 3)], dtype=torch.int16)
    trained = make_model(Layout(cells, torch.tensor([[True, False]]), scenes), 16)
    seen = scenes[[2, 0]].clone()
    seen[:, :, :2] = 4  # what stands in cells that move is no part of a backdrop
    fitted = fit_layout(Layout(cells, torch.tensor([[True, True]]), seen), trained, PATH)
    assert torch.equal(fitted.backdrops, scenes)
    assert fitted.mask.tolist() == [[True, True]]
    seen[0, 0, 3] = 6
    fitted = fit_layout(Layout(cells, torch.tensor([[True, True]]), seen), trained, PATH)
    assert torch.equal(fitted.backdrops, torch.cat([scenes, seen[:1]]))


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"dynamics__init_from": "carts/none.cart", **TOKENS}, "no such cart"),
        ({"dynamics__init_from": "carts/blockfall.cart", "representation__kind": "ae"}, "tokens"),
        (
            {"dynamics__init_from": "carts/blockfall.cart", "representation__kind": "vq"},
            "over 'tiles'",
        ),
        ({"dynamics__init_from": "README.md", **TOKENS}, "no safetensors file"),
        (
            {"dynamics__init_from": "tests/golden/world_v1/dynamics.safetensors", **TOKENS},
            "no cart",
        ),
        (
            {"dynamics__init_from": "carts/blockfall.cart", **TOKENS},
            "write carts/blockfall.cart@[0-9a-f]{12} ",
        ),
        (
            {"dynamics__init_from": "carts/blockfall.cart@0123456789ab", **TOKENS},
            "write carts/blockfall.cart@[0-9a-f]{12} ",
        ),
    ],
)
def test_params_say_at_once_what_cannot_begin(change, what):
    """Before any stage has worked for minutes."""
    assert load_params().dynamics.init_from == ""
    refused(what, lambda: check_start(make_params(**change)))
