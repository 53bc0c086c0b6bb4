"""The cart from which training begins, dynamics.init_from: CART@FINGERPRINT.

DVC sees params and not what stands in the file, and would else take an older training for that of a
newer cart.
"""

from dreamcart.core.errors import UserError
from dreamcart.core.tensors import read_metadata
from dreamcart.families import FAMILIES
from dreamcart.params import Params

PIN = 12  # digits of a cart's fingerprint in dynamics.init_from


def check_start(params: Params) -> None:
    """Check dynamics.init_from as far as the cart's first lines tell, before any stage has worked
    for minutes.

    Raises UserError where training cannot begin from it.
    """
    if not params.dynamics.init_from:
        return
    said, path = (
        f"dynamics.init_from is {params.dynamics.init_from!r}, but",
        params.dynamics.start_cart,
    )
    own = params.dynamics_kind
    if not FAMILIES[own].warm:
        raise UserError(
            f"{said} dynamics of kind {own!r} cannot begin from a cart; leave it empty."
        )
    if not path.is_file():
        raise UserError(f"{said} there is no such cart; `ls carts` shows those here.")
    cart = read_metadata(path, "choose a cart")
    kind = cart.get("dynamics", {}).get("kind")
    if "cart" not in cart or kind != own:
        what = f"a dream of kind {kind!r}" if kind else "no cart"
        raise UserError(
            f"{said} that is {what}; choose a cart with one of kind {own!r}, or leave it empty."
        )
    told, now = params.dynamics.init_from, str(cart.get("fingerprint"))[:PIN]
    name = told.rpartition("@")[0] or told
    if told != f"{name}@{now}":
        raise UserError(
            f"{said} the fingerprint of that cart is {now}: write {name}@{now} (so that DVC knows"
            " what a run began from)."
        )
