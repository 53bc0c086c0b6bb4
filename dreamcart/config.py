"""params.yaml as frozen dataclasses that refuse what they do not know.

Every key has its sentence in params.yaml; types and ranges stand here, and a wrong one is reported with
the key, the value and what is allowed, before any stage does work.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import yaml

from dreamcart.errors import ROOT, UserError

T = TypeVar("T")

Positive = Annotated[int, (1, 10**9)]
Count = Annotated[int, (0, 10**9)]
Pixels = Annotated[int, (0, 1024)]
Share = Annotated[float, (0.0, 1.0)]
Scale = Annotated[float, (0.0, 10.0)]
Rate = Annotated[float, (1e-7, 1.0)]


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


@dataclass(frozen=True)
class PreprocessConfig:
    height: Pixels  # 0: the game's own
    width: Pixels
    color: Literal["gray", "rgb"]
    resize: Literal["area", "nearest", "linear"]
    val_share: Annotated[float, (0.01, 0.9)]
    tile: Annotated[int, (0, 32)] = 0  # whole frames, where params were written before there were tiles

    def __post_init__(self) -> None:
        """Refuse pictures that tiles do not fill. Raises UserError."""
        for side in ("height", "width"):
            if 0 < getattr(self, side) < 8:
                raise UserError(f"preprocess.{side} is {getattr(self, side)}; allowed: 8 to 1024, or 0 for the game's own.")
            if self.tile and getattr(self, side) % self.tile:
                raise UserError(
                    f"preprocess.{side} is {getattr(self, side)}, but with preprocess.tile {self.tile} it must be a multiple of "
                    f"{self.tile}; preprocess.tile 0 stores whole frames."
                )

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) as configured."""
        return self.height, self.width

    @property
    def unit(self) -> int:
        """Pixels of which the sides of a frame of the game's own size are a multiple: what is beyond is cut off."""
        return self.tile or 8


@dataclass(frozen=True)
class RepresentationConfig:
    kind: Literal["tiles", "ae"]
    channels: list[Positive]
    grid_channels: Positive
    steps: Positive
    batch_size: Annotated[int, (2, 10**6)]
    learning_rate: Rate
    weight_decay: Scale
    noise_factor: Scale
    l1_weight: Annotated[float, (0.0, 1000.0)]
    mse_weight: Annotated[float, (0.0, 1000.0)]
    validate_every: Positive
    checkpoint_every: Positive


@dataclass(frozen=True)
class DynamicsConfig:
    kind: Literal["auto", "tokens", "mlp", "conv"]
    hidden: Positive
    channels: Positive
    blocks: Annotated[int, (1, 64)]
    memory: Positive
    history_frames: Annotated[int, (1, 256)]
    history_actions: Annotated[int, (1, 256)]
    steps: Positive
    batch_size: Annotated[int, (2, 10**6)]
    dead_zone: Scale
    changed_share: Share
    rare_power: Annotated[float, (0.0, 2.0)]
    learning_rate: Rate
    weight_decay: Scale
    input_noise: Scale
    self_fed_steps: Annotated[int, (0, 256)]
    validate_every: Positive
    checkpoint_every: Positive


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
    rollout_eval: RolloutConfig

    @property
    def dynamics_kind(self) -> str:
        """The family that fits the latents: tokens, a grid or a vector."""
        if self.representation.kind == "tiles":
            return "tokens"
        return "mlp" if self.latent_dim else "conv"

    def __post_init__(self) -> None:
        """Refuse combinations that cannot work. Raises UserError."""
        if self.dynamics.kind not in ("auto", self.dynamics_kind):
            raise UserError(
                f"dynamics.kind is {self.dynamics.kind!r}, which does not fit representation {self.representation.kind!r} with "
                f"latent_dim {self.latent_dim}; use 'auto' or {self.dynamics_kind!r}."
            )
        if self.representation.kind == "tiles" and not self.preprocess.tile:
            raise UserError("representation.kind 'tiles' needs preprocess.tile, the side of a tile in pixels; it is 0.")
        if not self.representation.channels or not self.rollout_eval.horizons:
            raise UserError("representation.channels and rollout_eval.horizons need at least one entry each.")
        if max(self.rollout_eval.horizons) >= self.collect.test_steps:
            raise UserError(
                f"rollout_eval.horizons reaches {max(self.rollout_eval.horizons)} steps, but collect.test_steps is "
                f"{self.collect.test_steps}: test episodes must be longer than the largest horizon."
            )
        if self.representation.kind == "tiles":
            return
        shrink = 2 ** len(self.representation.channels)
        for side in ("height", "width"):
            if (getattr(self.preprocess, side) or self.preprocess.unit) % shrink:
                raise UserError(
                    f"preprocess.{side} is {getattr(self.preprocess, side)}, but with {len(self.representation.channels)} "
                    f"convolutions in representation.channels it must be a multiple of {shrink}."
                )


def load_params(path: Path | None = None) -> Params:
    """Read and check params.yaml (the repository's own by default). Raises UserError."""
    path = path or ROOT / "params.yaml"
    try:
        values = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise UserError(f"{path} is missing; restore it with `git checkout params.yaml`.") from None
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        where = f" near line {mark.line + 1}" if mark else ""
        raise UserError(
            f"{path.name} is not valid YAML{where}; correct it or restore it with `git checkout params.yaml`."
        ) from None
    return build(Params, values, "")


def build(cls: type[T], values: Any, where: str) -> T:
    """Make dataclass `cls` from a mapping, checking names, types and ranges. `where` prefixes the key names."""
    if not isinstance(values, dict):
        raise UserError(f"params: {where.rstrip('.') or 'the file'} must be a mapping of settings, not {values!r}.")
    hints = get_type_hints(cls, include_extras=True)
    known = {field.name: field for field in dataclasses.fields(cls)}
    for name in values:
        if name not in known:
            raise UserError(f"params: unknown key {where + str(name)!r}; allowed here: {', '.join(known)}.")
    checked = {}
    for name, field in known.items():
        if name in values:
            checked[name] = _check(hints[name], values[name], where + name)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise UserError(f"params: key {where + name!r} is missing.")
    return cls(**checked)


def _check(hint: Any, value: Any, key: str) -> Any:
    """`value` if it fits the type hint, else UserError; whole numbers are accepted for floats."""
    if dataclasses.is_dataclass(hint):
        return build(hint, value, key + ".")
    origin, bounds = get_origin(hint), None
    if origin is Annotated:
        hint, bounds = get_args(hint)
        origin = get_origin(hint)
    if origin is Literal:
        if value not in get_args(hint):
            raise UserError(f"params: {key} is {value!r}; allowed: {', '.join(map(repr, get_args(hint)))}.")
        return value
    if origin is list:
        if not isinstance(value, list):
            raise UserError(f"params: {key} is {value!r}; it must be a list.")
        return [_check(get_args(hint)[0], entry, f"{key}[{i}]") for i, entry in enumerate(value)]
    if origin is dict:
        if not isinstance(value, dict):
            raise UserError(f"params: {key} is {value!r}; it must be a mapping.")
        return {str(k): _check(get_args(hint)[1], v, f"{key}.{k}") for k, v in value.items()}
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not hint:
        words = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
        raise UserError(f"params: {key} is {value!r}; it must be {words[hint]}.")
    if bounds and not bounds[0] <= value <= bounds[1]:
        raise UserError(f"params: {key} is {value!r}; allowed: {bounds[0]} to {bounds[1]}.")
    return value
