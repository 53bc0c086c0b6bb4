"""A dream as a folder of ONNX files, which a browser or any ONNX Runtime plays without Python.

`begin.onnx`  frame uint8 [B, H, W] (palette indices) → the state after it, as many tensors
`step.onnx`   action float32 [B, n], noise float32 [B, 3], uniform on (0, 1), temperature float32
              [], and the state → the next frame, uint8 [B, H, W], and the next state
`dream.json`  what they are of: title, buttons, keys, steps a second, temperature, palette, the
              sizes n, Z, H and W, the names of the state's tensors, and the start states
`starts.bin`  the first frames of the start states, uint8 [S, H, W], in the order of dream.json

B is any number of dreams.
"""

import tempfile
import warnings
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.export import Dim

from dreamcart.core.errors import UserError
from dreamcart.core.files import write_json, writing
from dreamcart.dynamics.cells.chance import CHANCES
from dreamcart.dynamics.cells.model import CellDynamics
from dreamcart.dynamics.cells.state import State
from dreamcart.representation.palette import Palette
from dreamcart.world.model import WorldModel

FORMAT = 1
MOST_DREAMS = 65_536  # in a batch
NAMES = [field.name for field in fields(State)]


class Begin(nn.Module):
    """From a start state's frame to a dream's state."""

    def __init__(self, dynamics: CellDynamics) -> None:
        super().__init__()
        self.dynamics = dynamics

    def forward(self, frame: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """uint8 [B, H, W] → the parts of a state, in the order of NAMES."""
        nothing = torch.zeros(frame.shape[0], 0, self.dynamics.buttons, device=frame.device)
        return self.dynamics.start(frame[:, None], nothing).tensors()


class Step(nn.Module):
    """One step of a dream, all in tensors."""

    def __init__(self, dynamics: CellDynamics) -> None:
        super().__init__()
        self.dynamics = dynamics

    def forward(
        self,
        action: torch.Tensor,
        noise: torch.Tensor,
        temperature: torch.Tensor,
        *state: torch.Tensor,
    ) -> tuple[torch.Tensor, ...]:
        """See `CellDynamics.dream`; the frame first, then the parts of the next state."""
        frame, following = self.dynamics.dream(State(*state), action, noise, temperature)
        return frame, *following.tensors()


@torch.inference_mode()
def export_dream(world: WorldModel, folder: Path) -> None:
    """Write a dream's ONNX folder, all of it or nothing.

    Raises:
        UserError: the dream is of a family that is no function of tensors, or the packages that
            write ONNX are not installed.
    """
    dynamics, palette = world.dynamics, world.representation
    if not isinstance(dynamics, CellDynamics) or not isinstance(palette, Palette):
        raise UserError(
            f"Only dreams of kind 'cells' over a palette can be exported, and this one is of kind"
            f" {dynamics.kind!r}; train one with `dvc exp run -S representation.kind=palette`."
        )
    if not all(find_spec(name) for name in ("onnx", "onnxscript")):
        raise UserError(
            "Writing ONNX needs two packages that are not here; install them with `pip install"
            " onnx onnxscript`."
        )
    starts = torch.stack([world.encode(frame[None])[0] for frame in world.starts.values()]).cpu()
    dynamics = dynamics.cpu()
    folder.mkdir(parents=True, exist_ok=True)
    dynamics.kept_of()  # a constant of the step, so worked out before it is traced
    # two rows, so that a batch is no constant
    first = starts[:1].repeat(2, 1, 1)
    batch = {0: Dim("batch", min=1, max=MOST_DREAMS)}
    state = Begin(dynamics)(first)
    write_onnx(Begin(dynamics), (first,), (batch,), ["frame"], NAMES, folder / "begin.onnx")
    noise = torch.full((2, CHANCES), 0.5)
    action = torch.zeros(2, dynamics.buttons)
    write_onnx(
        Step(dynamics),
        (action, noise, torch.tensor(0.0), *state),
        (batch, batch, None, tuple(batch for _ in state)),
        ["action", "noise", "temperature", *NAMES],
        ["frame", *(f"next_{name}" for name in NAMES)],
        folder / "step.onnx",
    )
    with writing(folder / "starts.bin") as temporary:
        temporary.write_bytes(starts.numpy().astype(np.uint8).tobytes())
    write_json(folder / "dream.json", told_of(world, palette, dynamics))


def told_of(world: WorldModel, palette: Palette, dynamics: CellDynamics) -> dict[str, Any]:
    """Return what dream.json says."""
    spec, (height, width) = world.spec, palette.latent_shape
    colours = palette.colours.cpu().tolist()
    return {
        "format": FORMAT,
        "title": spec.title,
        "buttons": list(spec.buttons),
        "keys": dict(spec.keys),
        "steps_a_second": spec.step_rate,
        "temperature": world.temperature,
        "height": height,
        "width": width,
        "noise": CHANCES,
        "palette": [colour * 3 if len(colour) == 1 else colour for colour in colours],
        "state": NAMES,
        "starts": list(world.starts),
        "first_start": world.first_start,
    }


def write_onnx(
    module: nn.Module,
    given: tuple[torch.Tensor, ...],
    shapes: tuple[Any, ...],
    inputs: list[str],
    outputs: list[str],
    path: Path,
) -> None:
    """Write a module as one ONNX file, its weights inside."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what the exporter could do better, not of the dream
        program = torch.onnx.export(
            module.eval(),
            given,
            dynamo=True,
            dynamic_shapes=shapes,
            input_names=inputs,
            output_names=outputs,
            verbose=False,
        )
    with tempfile.TemporaryDirectory() as scratch, writing(path) as temporary:
        whole = Path(scratch) / path.name
        program.save(whole, external_data=False)
        temporary.write_bytes(whole.read_bytes())
