"""Training that begins from a cart: params say at once where it cannot."""

from dataclasses import replace

import pytest
from toys.synthetic import assert_sentence, make_params, make_world_of_cells

from dreamcart.core.errors import UserError
from dreamcart.core.paths import ROOT
from dreamcart.core.tensors import read_metadata
from dreamcart.families import FAMILIES
from dreamcart.params import Params, load_params
from dreamcart.world.cart import save_cart
from dreamcart.world.cart_pin import PIN, check_start

CELLS = {"representation__kind": "palette", "preprocess__tile": 8, "latent_dim": 4}
MODEL = "tests/golden/world_v1"


@pytest.fixture
def cart(tmp_path, monkeypatch):
    """A cart of a family that can begin from one."""
    monkeypatch.setitem(FAMILIES, "cells", replace(FAMILIES["cells"], warm=True))
    path = tmp_path / "toy.cart"
    save_cart(path, make_world_of_cells(tmp_path / "model"), {})
    return path


def begins_from(cart: object, **changes: object) -> Params:
    return make_params(**CELLS | {"dynamics__init_from": str(cart)} | changes)


def refused(what: str, params: Params) -> None:
    with pytest.raises(UserError, match=what) as caught:
        check_start(params)
    assert_sentence(caught.value)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("carts/none.cart", "no such cart"),
        ("README.md", "no safetensors file"),
        (f"{MODEL}/dynamics.safetensors", "no cart"),
    ],
)
def test_what_is_no_cart_is_refused(cart, name, what):
    """Before any stage has worked for minutes."""
    refused(what, begins_from(name))


def test_only_what_can_go_on_begins_from_a_cart(cart):
    """Of its own kind, and of a family that is trained so."""
    other = {"representation__kind": "ae", "preprocess__tile": 0, "dynamics__kind": "mlp"}
    refused("'mlp' cannot begin from a cart", begins_from(cart, **other))
    mlp = cart.with_name("mlp.cart")
    save_cart(mlp, ROOT / MODEL, {})
    refused("a dream of kind 'mlp'; choose a cart with one of kind 'cells'", begins_from(mlp))


def test_the_cart_is_pinned_by_its_fingerprint(cart):
    """DVC knows params, and not what a file holds."""
    told = read_metadata(cart, "")["fingerprint"][:PIN]
    assert load_params().dynamics.init_from == ""
    check_start(load_params())
    refused(f"write .*toy.cart@{told} ", begins_from(cart))
    refused(f"write .*toy.cart@{told} ", begins_from(f"{cart}@0123456789ab"))
    check_start(begins_from(f"{cart}@{told}"))
