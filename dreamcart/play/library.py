"""The dreams that can be played here: the models trained in this checkout, and the carts."""

from dataclasses import dataclass
from pathlib import Path

import torch

from dreamcart.core.errors import UserError
from dreamcart.core.paths import ROOT, Paths
from dreamcart.core.tensors import read_metadata
from dreamcart.world.cart import carts, load_cart, model_print
from dreamcart.world.model import WorldModel, load_world


@dataclass(frozen=True)
class Title:
    """One choice: a game's own trained model (`cart` None) or its cart."""

    game: str
    cart: Path | None

    @property
    def label(self) -> str:
        return f"{self.game} (trained here)" if self.cart is None else f"{self.game} (cart)"

    @property
    def fingerprint(self) -> str:
        """Which model it is: by its files, or as its cart says."""
        if self.cart is None:
            return model_print(Paths(self.game).models)
        return str(read_metadata(self.cart, "choose another cart").get("fingerprint", ""))

    def load(self, device: torch.device) -> WorldModel:
        """Raises UserError where it is damaged or does not fit this Dreamcart."""
        return (
            load_world(Paths(self.game).models, device)
            if self.cart is None
            else load_cart(self.cart, device)[0]
        )


def titles() -> list[Title]:
    """Everything that can be played, trained models first."""
    models = ROOT / "models"
    trained = sorted(
        path.parent.relative_to(models).as_posix() for path in models.rglob("world.safetensors")
    )
    return [Title(game, None) for game in trained] + [
        Title(game, path) for game, path in carts().items()
    ]


def find(game: str) -> Title:
    """The dream of `game`: the model trained here, else its cart.

    Raises UserError where there is neither.
    """
    for title in titles():
        if title.game == game:
            return title
    have = ", ".join(sorted({title.game for title in titles()})) or "none yet"
    raise UserError(
        f"There is neither a trained model nor a cart of {game!r} (there are: {have}); "
        f"train it with `dvc exp run -S game={game}`, or choose another with --game."
    )
