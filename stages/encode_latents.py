"""Stage 4: the latent of every distinct frame, once, for the dynamics to train on.

python -m stages.encode_latents  →  data/<game>/latents/train.npy, val.npy (and tiles.npy,
                                    where they are cells of a palette)
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dreamcart.core.arguments import from_params
from dreamcart.core.errors import run_stage
from dreamcart.core.paths import Paths
from dreamcart.data.processed import load_split
from dreamcart.params import load_params
from dreamcart.representation.encode import encode_splits
from dreamcart.representation.registry import load_representation


def main() -> None:
    paths = Paths(load_params().game)
    model = load_representation(paths.models / "representation.safetensors")
    splits = {name: load_split(paths.processed, name).frames for name in ("train", "val")}
    encode_splits(model, splits, paths.latents)


if __name__ == "__main__":
    run_stage(from_params(main, __doc__))
