"""Stage 4: the latent of every distinct frame, once, for the dynamics to train on.

python -m stages.encode_latents  →  data/<game>/latents/train.npy, val.npy
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dreamcart.arguments import from_params
from dreamcart.config import load_params
from dreamcart.data.processed import load_split
from dreamcart.errors import run_stage
from dreamcart.paths import Paths
from dreamcart.representation.base import load_representation
from dreamcart.representation.encode import encode_frames


def main() -> None:
    paths = Paths(load_params().game)
    model = load_representation(paths.models / "representation.safetensors")
    for name in ("train", "val"):
        encode_frames(model, load_split(paths.processed, name).frames, paths.latents / f"{name}.npy", name)


if __name__ == "__main__":
    run_stage(from_params(main, __doc__))
