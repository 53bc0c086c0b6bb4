"""Training that begins from a cart: it goes on where the cart stood, and only where the cart's numbers mean the same."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from synthetic import SEEN_AS, assert_sentence, make_params, make_spec
from test_tokens import make_model, plain_layout, walk

from dreamcart.cart import save_cart
from dreamcart.config import load_params
from dreamcart.dynamics.base import make_dynamics, save_dynamics
from dreamcart.dynamics.tokens.dials import Dial
from dreamcart.dynamics.tokens.init import fit_layout, load_trained, renumber, take_weights
from dreamcart.dynamics.tokens.layout import Layout, find_layout
from dreamcart.dynamics.tokens.model import config_for
from dreamcart.dynamics.tokens.samples import Samples
from dreamcart.dynamics.tokens.train import train_tokens
from dreamcart.errors import UserError
from dreamcart.representation.base import save_representation
from dreamcart.representation.tiles import Tiles
from dreamcart.start_cart import PIN
from dreamcart.tensors import read_metadata
from dreamcart.world_model import save_world

SHAPE = (12, 12, 1)
SPEC = make_spec()
PATH = Path("walk.cart")
TOKENS = {"representation__kind": "tiles", "preprocess__tile": 8}


def tiles() -> torch.Tensor:
    """uint8 [2, 2, 2, 1]: floor and dot."""
    return torch.stack([torch.zeros(2, 2, 1, dtype=torch.uint8), torch.full((2, 2, 1), 200, dtype=torch.uint8)])


def pinned(path: str) -> str:
    """A cart with its fingerprint, as in dynamics.init_from."""
    return f"{path}@{read_metadata(Path(path), '')['fingerprint'][:PIN]}" if path else ""


def train(folder: Path, steps: int, rate: float = 0.01, init_from: str = "", flipped: bool = False):
    """Train on walks, at a size of toys; `flipped`: what is token 0 elsewhere is token 1."""
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
    return train_tokens(params, split, val, {"train": tokens, "val": val_tokens}, pictures, folder / "checkpoint.safetensors")


def make_cart(folder: Path, model, config, pictures: torch.Tensor | None = None, spec=SPEC) -> Path:
    pictures = tiles() if pictures is None else pictures
    seen = {"shape": list(SHAPE), "tile": 2, "vocabulary": len(pictures)}
    representation = Tiles(**seen)
    representation.tiles.copy_(pictures)
    save_representation(folder / "representation.safetensors", representation, {"kind": "tiles", **seen})
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
    """One tiny step from the cart is as good as the cart, and one from nothing is not; more steps make it better."""
    path, _, wrong = trained
    assert 0.01 < wrong < 0.5  # something was learnt, and something is left to learn
    _, _, begun = train(tmp_path, 1, 1e-6, str(path))
    assert begun[-1]["val"] == pytest.approx(wrong, abs=0.01)
    _, _, fresh = train(tmp_path, 1, 1e-6)
    assert fresh[-1]["val"] > wrong + 0.2
    _, _, more = train(tmp_path, 100, 0.005, str(path))
    assert more[-1]["val"] < wrong


def test_a_fresh_network_believes_what_the_trained_one_does(trained):
    """All tables and weights are taken over; looks, which the trained tables hold already, add nothing."""
    path, model, _ = trained
    found = load_trained(path, tiles(), SPEC.buttons)
    own = SimpleNamespace(channels=16, blocks=1, history_frames=2, memory=32)
    fresh = make_dynamics(config_for(model.layout, 2, len(SPEC.buttons), own) | {"pictures": tiles()}).eval()
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
    """Carts from before glances and deeds: what is new in the network says nothing of its own until it is trained."""
    torch.manual_seed(0)
    split, tokens = walk(4, 9, 3)
    layout = find_layout(tokens, split.index["frame"], split.transitions)
    own = SimpleNamespace(channels=16, blocks=1, history_frames=5, memory=32)
    config = config_for(layout, 2, len(SPEC.buttons), own)
    older = make_dynamics({key: value for key, value in config.items() if key not in ("glances", "deeds")}).eval()
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
    """Carts that know where a dial stands now, and nothing of where it stood, nor of what goes on."""
    torch.manual_seed(0)
    layout, own = plain_layout(3, 4), SimpleNamespace(channels=16, blocks=1, history_frames=5, memory=32)
    config = config_for(layout, 4, len(SPEC.buttons), own, [Dial(0, 1, 0.1), Dial(1, 2, 0.2)], side=2)
    older = make_dynamics(config | {"dial_past": 1, "side": 0}).eval()
    fresh = make_dynamics(config).eval()
    assert fresh.network.dial_past > 1
    for part in (older.network.dialled.rows, older.network.dialled.columns, older.network.dialled.tell.weight):
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
    """A tile's number is its place by how often it was seen, which other recordings change: the same tiles, the same dream."""
    path, _, wrong = trained
    _, _, begun = train(tmp_path, 1, 1e-6, str(path), flipped=True)
    assert begun[-1]["val"] == pytest.approx(wrong, abs=0.01)


def test_renumbered_tokens_are_believed_alike():
    """Three kinds, in a window with a place that stands for no cell."""
    torch.manual_seed(0)
    layout = Layout(
        torch.tensor([[0, 1, 2], [3, 4, -1]]),
        torch.tensor([[True, True, False], [True, True, False]]),
        torch.tensor([[[2, 0, 1, 1, 2]]], dtype=torch.int16),
    )
    one, other = (make_model(layout, 3) for _ in range(2))
    one.network.settle()
    other.network.settle()
    torch.nn.init.normal_(one.network.glance.tell.weight)  # a fresh one tells nothing
    other.load_state_dict(one.state_dict())
    order = torch.tensor([2, 0, 1])
    renumber(other, order)
    shown = torch.randint(0, 3, (8, 4, 1, 5), dtype=torch.int16)
    held = torch.randint(0, 2, (8, 3, one.buttons)).float()
    with torch.inference_mode():
        before = one.network(one.start(order[shown.long()], held), held[:, 0])
        after = other.network(other.start(shown, held), held[:, 0])
        tokens = [m.network.tokens(out[3].flatten(0, 2)) for m, out in ((one, before), (other, after))]
    for a, b in zip(before, after, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(tokens[0][:, order], tokens[1], rtol=1e-4, atol=1e-5)


def refused(what: str, call, *arguments) -> None:
    with pytest.raises(UserError, match=what) as caught:
        call(*arguments)
    assert_sentence(caught.value)


def test_a_cart_of_other_tiles_or_buttons_is_refused(trained):
    path = trained[0]
    refused("other tiles", load_trained, path, tiles() + 1, SPEC.buttons)
    refused("other tiles", load_trained, path, torch.cat([tiles(), tiles()[:1]]), SPEC.buttons)
    refused("buttons", load_trained, path, tiles(), [*SPEC.buttons[1:], SPEC.buttons[0]])
    refused("no cart", load_trained, path.with_name("none.cart"), tiles(), SPEC.buttons)


def test_a_cart_of_another_window_or_size_is_refused(trained):
    path, model, _ = trained
    refused("another part of the screen", fit_layout, plain_layout(6, 5), model, path)
    refused("another size", take_weights, make_model(model.layout, 2), model, path)


def test_backdrops_keep_the_carts_numbers():
    """The recordings show two of the cart's three scenes, in another order and with one more cell that moves."""
    cells = torch.tensor([[0, 1]])
    scenes = torch.tensor([[[9, 9, number, 5]] for number in (1, 2, 3)], dtype=torch.int16)
    trained = make_model(Layout(cells, torch.tensor([[True, False]]), scenes), 16)
    seen = scenes[[2, 0]].clone()
    seen[:, :, :2] = 4  # what stands in cells that move is no part of a backdrop
    fitted = fit_layout(Layout(cells, torch.tensor([[True, True]]), seen), trained, PATH)
    assert torch.equal(fitted.backdrops, scenes)
    assert fitted.mask.tolist() == [[True, True]]
    seen[0, 0, 3] = 6
    refused("backdrops", fit_layout, Layout(cells, torch.tensor([[True, True]]), seen), trained, PATH)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"dynamics__init_from": "carts/none.cart", **TOKENS}, "no such cart"),
        ({"dynamics__init_from": "carts/blockfall.cart", "representation__kind": "ae"}, "tokens"),
        ({"dynamics__init_from": "carts/blockfall.cart", "representation__kind": "vq"}, "over 'tiles'"),
        ({"dynamics__init_from": "README.md", **TOKENS}, "no safetensors file"),
        ({"dynamics__init_from": "tests/golden/world_v1/dynamics.safetensors", **TOKENS}, "no cart"),
        ({"dynamics__init_from": "carts/blockfall.cart", **TOKENS}, "write carts/blockfall.cart@[0-9a-f]{12} "),
        ({"dynamics__init_from": "carts/blockfall.cart@0123456789ab", **TOKENS}, "write carts/blockfall.cart@[0-9a-f]{12} "),
    ],
)
def test_params_say_at_once_what_cannot_begin(change, what):
    """Before any stage has worked for minutes."""
    assert load_params().dynamics.init_from == ""
    refused(what, lambda: make_params(**change))
