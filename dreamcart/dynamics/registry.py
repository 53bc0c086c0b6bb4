"""The families of dynamics: one line each. Read with the params, so nothing heavy is imported here.

Of those that fit the latents, the first is what dynamics.kind "auto" picks.
"""

from dataclasses import dataclass

# What a representation's latents are: float vectors [D], float grids [C, h, w] or tokens [H, W].
TOKEN_REPRESENTATIONS = ("tiles", "vq", "fsq")


@dataclass(frozen=True)
class Family:
    """A family of dynamics.

    where: its "module:class" in dreamcart.dynamics; latents: the kinds of latents that it predicts; settings: the keys of
    `dynamics` in params.yaml that its constructor takes beside the shapes; random: it can draw different futures, and so
    has a temperature.
    """

    where: str
    latents: tuple[str, ...]
    settings: tuple[str, ...] = ()
    random: bool = False


HISTORY = ("history_frames", "history_actions")
FAMILIES = {
    "tokens": Family("tokens.model:TokenDynamics", ("tokens",), random=True),
    "mlp": Family("mlp:MlpDynamics", ("vector",), ("hidden", *HISTORY)),
    "conv": Family("conv:ConvDynamics", ("grid",), ("channels", "dead_zone", *HISTORY)),
    "gaussian": Family("gaussian:GaussianDynamics", ("vector",), ("hidden", "beta", *HISTORY), random=True),
    "gru": Family("gru:GruDynamics", ("vector",), ("units", "history_frames")),
    "flow": Family(
        "flow:FlowDynamics", ("vector", "grid"), ("hidden", "channels", "dead_zone", "flow_steps", *HISTORY), random=True
    ),
    "transformer": Family(
        "transformer:TransformerDynamics", ("tokens",), ("hidden", "blocks", "heads", "history_frames"), random=True
    ),
}


def latents_of(representation: str, latent_dim: int) -> str:
    """The kind of a representation's latents: "tokens", "vector" or "grid"."""
    if representation in TOKEN_REPRESENTATIONS:
        return "tokens"
    return "vector" if latent_dim else "grid"


def fitting(latents: str) -> list[str]:
    """The families for a kind of latents, the default first."""
    return [name for name, family in FAMILIES.items() if latents in family.latents]
