"""params.yaml as frozen dataclasses that refuse what they do not know.

Every key has its sentence in params.yaml; types and ranges stand here, and a wrong one is reported
with the key, the value and what is allowed, before any stage does work.
"""

import dataclasses
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from dreamcart.core.errors import UserError
from dreamcart.core.files import read_yaml
from dreamcart.core.paths import ROOT, game_name
from dreamcart.core.typed import Count, Positive, Rate, Scale, Share, build
from dreamcart.families import FAMILIES, REPRESENTATIONS, fitting, latents_of

Pixels = Annotated[int, (0, 1024)]
MOST_CODES = 32_767  # tokens are int16

LATENTS = {"pixels": "pixels", "tokens": "tokens", "vector": "vectors", "grid": "grids"}


@dataclass(frozen=True)
class CollectConfig:
    source: str
    revision: str
    frames: Positive
    episode_steps: Annotated[int, (2, 10**6)]
    test_episodes: Positive
    test_steps: Annotated[int, (2, 10**6)]
    workers: Annotated[int, (1, 256)]
    recordings: list[str] = dataclasses.field(default_factory=list)
    actions: str = "auto"

    def __post_init__(self) -> None:
        """Refuse what only recordings have, where the emulator is played. Raises UserError."""
        for name, unset in (("revision", ""), ("actions", "auto")):
            if self.source == "emulator" and getattr(self, name) != unset:
                raise UserError(
                    f"collect.{name} is {getattr(self, name)!r}, but it is about recordings, and"
                    f" collect.source is 'emulator'; set it to {unset!r}, or collect.source to a"
                    " folder or a dataset."
                )


@dataclass(frozen=True)
class PreprocessConfig:
    height: Pixels  # 0: the game's own
    width: Pixels
    color: Literal["gray", "rgb"]
    resize: Literal["area", "nearest", "linear"]
    val_share: Annotated[float, (0.01, 0.9)]
    # whole frames, where params were written before there were tiles
    tile: Annotated[int, (0, 32)] = 0

    def __post_init__(self) -> None:
        """Refuse pictures that tiles do not fill. Raises UserError."""
        for side in ("height", "width"):
            if 0 < getattr(self, side) < 8:
                raise UserError(
                    f"preprocess.{side} is {getattr(self, side)}; allowed: 8 to 1024, or 0 for the"
                    " game's own."
                )
            if self.tile and getattr(self, side) % self.tile:
                raise UserError(
                    f"preprocess.{side} is {getattr(self, side)}, but with preprocess.tile"
                    f" {self.tile} it must be a multiple of {self.tile}; preprocess.tile 0 stores"
                    " whole frames."
                )

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) as configured."""
        return self.height, self.width

    @property
    def unit(self) -> int:
        """Pixels of which the sides of a frame of the game's own size are a multiple: what is
        beyond is cut off.
        """
        return self.tile or 8


@dataclass(frozen=True)
class AeConfig:
    grid_channels: Positive
    noise_factor: Scale


@dataclass(frozen=True)
class VaeConfig(AeConfig):
    beta: Annotated[float, (0.0, 1000.0)]


@dataclass(frozen=True)
class VqConfig:
    codes: Annotated[int, (2, MOST_CODES)]
    code_size: Annotated[int, (1, 1024)]
    commitment_weight: Annotated[float, (0.0, 1000.0)]


@dataclass(frozen=True)
class FsqConfig:
    # of 2, one would hardly ever be reached: the edge lies at 3.8 deviations
    levels: list[Annotated[int, (3, 64)]]

    def __post_init__(self) -> None:
        """Refuse more codes than tokens can count. Raises UserError."""
        if not self.levels or math.prod(self.levels) > MOST_CODES:
            raise UserError(
                f"representation.fsq.levels is {self.levels}, which makes"
                f" {math.prod(self.levels):,} codes; allowed: one entry or more, whose product is"
                f" at most {MOST_CODES:,}."
            )


@dataclass(frozen=True)
class RepresentationConfig:
    kind: Literal[*REPRESENTATIONS]
    channels: list[Positive]
    steps: Positive
    batch_size: Annotated[int, (2, 10**6)]
    learning_rate: Rate
    weight_decay: Scale
    l1_weight: Annotated[float, (0.0, 1000.0)]
    mse_weight: Annotated[float, (0.0, 1000.0)]
    perceptual_weight: Annotated[float, (0.0, 1000.0)]
    validate_every: Positive
    checkpoint_every: Positive
    ae: AeConfig
    vae: VaeConfig
    vq: VqConfig
    fsq: FsqConfig

    def __post_init__(self) -> None:
        """Refuse settings that the family cannot use, where they would change what is trained.

        Raises UserError.
        """
        if self.counted and self.perceptual_weight:
            raise UserError(
                f"representation.perceptual_weight is {self.perceptual_weight}, but {self.kind!r}"
                " trains nothing and loses nothing; set it to 0, or representation.kind to 'ae',"
                " 'vae', 'vq' or 'fsq'."
            )
        if not self.counted and not (self.l1_weight or self.mse_weight or self.perceptual_weight):
            raise UserError(
                "representation.l1_weight, mse_weight and perceptual_weight are all 0, so there is"
                " nothing to learn from; allowed: one of them above 0."
            )

    @property
    def counted(self) -> bool:
        """Whether it is counted in the recordings, and nothing is trained."""
        return self.kind in ("palette", "tiles")

    @property
    def tokens(self) -> bool:
        """Whether latents are grids of tokens, not of real numbers."""
        return REPRESENTATIONS[self.kind].latents == "tokens"

    @property
    def own(self) -> dict[str, Any]:
        """The settings of the chosen family alone."""
        return {} if self.counted else asdict(getattr(self, self.kind))


@dataclass(frozen=True)
class CellsConfig:
    channels: Positive
    blocks: Annotated[int, (1, 64)]
    memory: Positive


@dataclass(frozen=True)
class MlpConfig:
    hidden: Positive


@dataclass(frozen=True)
class ConvConfig:
    channels: Positive
    dead_zone: Scale


@dataclass(frozen=True)
class GaussianConfig:
    hidden: Positive
    beta: Scale


@dataclass(frozen=True)
class GruConfig:
    units: Positive


@dataclass(frozen=True)
class FlowConfig:
    hidden: Positive
    channels: Positive
    dead_zone: Scale
    flow_steps: Annotated[int, (1, 64)]


@dataclass(frozen=True)
class TransformerConfig:
    hidden: Positive
    blocks: Annotated[int, (1, 64)]
    heads: Positive

    def __post_init__(self) -> None:
        """Refuse vectors that the heads cannot share. Raises UserError."""
        if self.hidden % self.heads:
            near = max(self.heads, self.hidden // self.heads * self.heads)
            raise UserError(
                f"dynamics.transformer.hidden is {self.hidden}, but with dynamics.transformer.heads"
                f" {self.heads} it must be a multiple of that, as {near} is."
            )


@dataclass(frozen=True)
class DynamicsConfig:
    kind: Literal["auto", *FAMILIES]
    history_frames: Annotated[int, (1, 256)]
    history_actions: Annotated[int, (1, 256)]
    init_from: str
    steps: Positive
    minutes: Annotated[float, (0.0, 100_000.0)]
    batch_size: Annotated[int, (2, 10**6)]
    changed_share: Share
    rare_power: Annotated[float, (0.0, 2.0)]
    learning_rate: Rate
    weight_decay: Scale
    input_noise: Scale
    training: Literal["teacher", "self_fed", "k_step"]
    rollout_steps: Annotated[int, (1, 256)]
    self_fed_probability: Share
    validate_every: Positive
    checkpoint_every: Positive
    cells: CellsConfig
    mlp: MlpConfig
    conv: ConvConfig
    gaussian: GaussianConfig
    gru: GruConfig
    flow: FlowConfig
    transformer: TransformerConfig

    @property
    def start_cart(self) -> Path | None:
        """The cart of init_from, CART@FINGERPRINT."""
        return (
            ROOT / (self.init_from.rpartition("@")[0] or self.init_from) if self.init_from else None
        )


@dataclass(frozen=True)
class RefineConfig:
    rounds: Annotated[int, (0, 9)]  # seeds of streams have one digit for it
    streams: Annotated[int, (1, 500)]
    stream_steps: Annotated[int, (2, 10**6)]
    branches: Annotated[int, (1, 256)]
    branch_steps: Annotated[int, (1, 10_000)]
    before: Annotated[int, (0, 10_000)]
    steps: Positive
    learning_rate: Rate
    aimed: bool

    def __post_init__(self) -> None:
        """Refuse branches that end before what they are to show. Raises UserError."""
        if self.before >= self.branch_steps:
            raise UserError(
                f"refine.before is {self.before}, but branches of refine.branch_steps"
                f" {self.branch_steps} end before the difference then; allowed: 0 to"
                f" {self.branch_steps - 1}."
            )


@dataclass(frozen=True)
class RolloutConfig:
    horizons: list[Positive]
    starts: Positive
    batch_size: Positive
    control_states: Count


@dataclass(frozen=True)
class Params:
    game: str
    seed: Annotated[int, (0, 2**31 - 1)]
    latent_dim: Annotated[int, (0, 4096)]
    collect: CollectConfig
    preprocess: PreprocessConfig
    representation: RepresentationConfig
    dynamics: DynamicsConfig
    refine: RefineConfig
    rollout_eval: RolloutConfig

    @property
    def dynamics_kind(self) -> str:
        """The family of dynamics: as asked, or for "auto" the default for the latents."""
        return fitting(self.latent_kind)[0] if self.dynamics.kind == "auto" else self.dynamics.kind

    @property
    def latent_kind(self) -> str:
        """What the representation's latents are, see `families.latents_of`."""
        return latents_of(self.representation.kind, self.latent_dim)

    def __post_init__(self) -> None:
        """Refuse combinations that cannot work. Raises UserError."""
        game_name(self.game)
        self._check_dynamics()
        if self.representation.kind == "tiles" and not self.preprocess.tile:
            raise UserError(
                "representation.kind 'tiles' needs preprocess.tile, the side of a tile in pixels;"
                " it is 0."
            )
        if not self.representation.channels or not self.rollout_eval.horizons:
            raise UserError(
                "representation.channels and rollout_eval.horizons need at least one entry each."
            )
        if max(self.rollout_eval.horizons) >= self.collect.test_steps:
            raise UserError(
                f"rollout_eval.horizons reaches {max(self.rollout_eval.horizons)} steps, but"
                f" collect.test_steps is {self.collect.test_steps}: test episodes must be longer"
                " than the largest horizon."
            )
        if self.representation.counted:
            return
        shrink = 2 ** len(self.representation.channels)
        for side in ("height", "width"):
            given = getattr(self.preprocess, side)
            if (given or self.preprocess.unit) % shrink:
                known = (
                    ""
                    if given
                    else (
                        f" (the game's own, of which only a multiple of {self.preprocess.unit} is"
                        " certain)"
                    )
                )
                raise UserError(
                    f"preprocess.{side} is {given}{known}, but with"
                    f" {len(self.representation.channels)} convolutions in representation.channels"
                    f" it must be a multiple of {shrink}: write such a number, or fewer"
                    " convolutions."
                )

    def _check_dynamics(self) -> None:
        """Refuse dynamics that cannot predict the representation's latents, or be trained as asked.

        Raises UserError.
        """
        own, latents = self.dynamics, self.latent_kind
        if own.kind not in ("auto", *fitting(latents)):
            raise UserError(
                f"dynamics.kind is {own.kind!r}, which does not fit representation"
                f" {self.representation.kind!r} with latent_dim {self.latent_dim} (its latents are"
                f" {LATENTS[latents]}); use 'auto' or {' or '.join(map(repr, fitting(latents)))}."
            )
        if latents == "pixels" and not self.latent_dim:
            raise UserError(
                "latent_dim is 0, but dynamics of cells carry so many numbers of each past step;"
                " allowed: 1 to 4096."
            )
        if own.training == "k_step" and latents in ("pixels", "tokens"):
            raise UserError(
                f"dynamics.training is 'k_step', but {latents} have no gradients to train a rollout"
                f" by; use 'teacher' or 'self_fed' (both train {latents} on real frames), or a"
                " representation of vectors or grids."
            )
        if own.training == "k_step" and own.rollout_steps >= self.collect.episode_steps:
            raise UserError(
                f"dynamics.rollout_steps is {own.rollout_steps}, but with collect.episode_steps"
                f" {self.collect.episode_steps} no rollout is longer than"
                f" {self.collect.episode_steps - 1} steps; allowed: 1 to that."
            )
        if own.input_noise and latents in ("pixels", "tokens"):
            raise UserError(
                f"dynamics.input_noise is {own.input_noise}, but no noise can be added to"
                f" {latents}; set it to 0, or take a representation of vectors or grids ('ae' or"
                " 'vae')."
            )


def load_params(path: Path | None = None) -> Params:
    """Read and check params.yaml (the repository's own by default). Raises UserError."""
    path = path or ROOT / "params.yaml"
    values = read_yaml(path, f"{path} is missing; restore it with `git checkout params.yaml`.")
    return build(Params, values, "")
