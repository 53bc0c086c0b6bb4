"""How fast a trained dream plays on this machine, how long it was trained, and how large it is.

python scripts/speed.py [--game NAME]  →  metrics/<game>/speed.json

A dream by itself and 64 at once press random buttons from the game's first start state. Beside them
stands the speed of the machine, as that of a fixed convolution, by which figures of two machines
can be compared.
"""

import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch
from tqdm import trange

from dreamcart.core.arguments import Parser, game
from dreamcart.core.errors import run_stage
from dreamcart.core.files import write_json
from dreamcart.core.paths import Paths
from dreamcart.core.provenance import stamp
from dreamcart.core.tables import print_table
from dreamcart.params import load_params
from dreamcart.training.device import autocast, make_repeatable, pick_device
from dreamcart.world.cart import model_print
from dreamcart.world.model import PARTS, WorldModel, load_world

MANY = 64
WARM, LEAST, SECONDS = 5, 20, 10.0  # steps not timed, steps timed at least, and for how long
CHANNELS, SIDE, FRAMES = 64, 32, 16  # of the convolution


def parser() -> Parser:
    made = Parser(description=__doc__)
    made.add_argument("--game", type=game, help="which game (default: `game` in params.yaml)")
    return made


def main() -> None:
    args = parser().parse_args()
    name = args.game or load_params().game
    paths = Paths(name)
    make_repeatable(0)
    world = load_world(paths.models, pick_device())
    files = [paths.models / f"{part}.safetensors" for part in (*PARTS, "world")]
    found = {
        "alone": steps_a_second(world, 1),
        f"of_{MANY}": steps_a_second(world, MANY),
        "minutes": trained_for(paths),
        "megabytes": round(sum(file.stat().st_size for file in files) / 1e6, 2),
        "machine": machine_speed(),
        "threads": torch.get_num_threads(),
    }
    print_table(f"{world.spec.title}: speed", list(found), [list(found.values())])
    write_json(paths.metrics / "speed.json", found | {"made": stamp(model_print(paths.models))})


def steps_a_second(world: WorldModel, batch: int) -> float:
    """Play `batch` dreams at once; return steps a second of all together, frames decoded."""
    rng = np.random.default_rng(0)
    frames = world.starts[world.first_start][None, None].repeat(batch, 0)
    buttons = len(world.spec.buttons)
    state = world.start(frames, np.zeros((batch, 0, buttons), np.uint8))
    begun = done = 0
    for step in trange(10**9, desc=f"{batch} at once", unit="step", leave=False):
        if step == WARM:
            begun = time.perf_counter()
        if step % 8 == 0:  # a button is held for a while, as thumbs do
            pressed = (rng.random((batch, buttons)) < 0.2).astype(np.uint8)
        _, state = world.step(state, pressed)
        done = step + 1 - WARM
        if done >= LEAST and time.perf_counter() - begun >= SECONDS:
            break
    return round(batch * done / (time.perf_counter() - begun), 1)


def trained_for(paths: Paths) -> float | None:
    """Return the minutes between the latents and the dynamics trained on them, by their files."""
    latents = paths.latents / "train.npy"
    if not latents.exists():
        return None
    ended = (paths.models / "trained.safetensors").stat().st_mtime
    return round((ended - latents.stat().st_mtime) / 60, 1)


@torch.inference_mode()
def machine_speed() -> dict[str, Any]:
    """Time a 3 x 3 convolution of CHANNELS channels: GFLOP/s, in the precision dreams play in."""
    device = pick_device()
    made = torch.Generator().manual_seed(0)
    size = FRAMES, CHANNELS, SIDE, SIDE
    layout = torch.channels_last
    frames = torch.randn(*size, generator=made).to(device, memory_format=layout)
    layer = torch.nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1).to(device, memory_format=layout)
    work = 2 * 9 * CHANNELS**2 * SIDE**2 * FRAMES
    done, begun = 0, time.perf_counter()
    with autocast(device):
        while done < LEAST or time.perf_counter() - begun < 2:
            layer(frames).sum().item()
            done += 1
    return {"gflops": round(done * work / (time.perf_counter() - begun) / 1e9, 1)}


if __name__ == "__main__":
    run_stage(main)
