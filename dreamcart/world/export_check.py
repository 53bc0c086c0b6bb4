"""Does ONNX Runtime dream what torch dreams?"""

from pathlib import Path

import numpy as np
import torch
from tqdm import trange

from dreamcart.dynamics.cells.chance import CHANCES
from dreamcart.dynamics.cells.state import State
from dreamcart.world.export import NAMES, Step
from dreamcart.world.model import WorldModel


@torch.inference_mode()
def differing_frames(
    world: WorldModel, folder: Path, steps: int, temperature: float, seed: int = 0
) -> int:
    """Return how many of `steps` frames differ, with random buttons and the same noise.

    Both begin with the first start state, and each goes on from its own state. Raises ImportError
    without onnxruntime.
    """
    import onnxruntime

    begin, step = (
        onnxruntime.InferenceSession(folder / f"{name}.onnx", providers=["CPUExecutionProvider"])
        for name in ("begin", "step")
    )
    rng, module = np.random.default_rng(seed), Step(world.dynamics)
    first = world.encode(world.starts[world.first_start][None])
    own = module.dynamics.start(first[:, None], torch.zeros(1, 0, world.dynamics.buttons))
    other = begin.run(None, {"frame": first.numpy()})
    action = np.zeros((1, world.dynamics.buttons), np.float32)
    wrong = 0
    for _ in trange(steps, desc=f"ONNX Runtime, temperature {temperature:g}", delay=2):
        action = np.where(rng.random(action.shape) < 0.2, 1 - action, action).astype(np.float32)
        noise = rng.random((1, CHANCES), np.float32)
        given = torch.from_numpy(action), torch.from_numpy(noise), torch.tensor(temperature)
        frame, *parts = module(*given, *own.tensors())
        own = State(*parts)
        told = {"action": action, "noise": noise, "temperature": np.array(temperature, np.float32)}
        shown, *other = step.run(None, told | dict(zip(NAMES, other, strict=True)))
        wrong += int((frame.numpy() != shown).any())
    return wrong
