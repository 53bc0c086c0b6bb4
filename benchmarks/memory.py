"""Peak memory of every stage, at some number of frames and at four times as many.

python benchmarks/memory.py [--frames N]

Runs the stages in a copy of the checkout, with the default sizes of pictures, models and batches
but few training steps and rollouts, and prints each stage's peak resident memory (its largest
process). The larger number is by default params.yaml's own.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import yaml

from dreamcart.core.arguments import Parser, whole
from dreamcart.core.errors import run_stage
from dreamcart.core.paths import ROOT
from dreamcart.core.tables import print_table

STAGES = list(yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"])
FEW_STEPS = 20
SHORT = [1, 10]


def peaks(frames: int) -> dict[str, int]:
    """Stage → peak MiB."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "copy"
        for folder in ("dreamcart", "stages", "games"):
            shutil.copytree(ROOT / folder, copy / folder)
        params = yaml.safe_load((ROOT / "params.yaml").read_text())
        params["collect"] |= {"frames": frames, "test_episodes": 8}
        params["representation"] |= {"steps": FEW_STEPS}
        params["dynamics"] |= {"steps": FEW_STEPS}
        # two batches, for the second comes while the first is not yet gone; and short, for an
        # untrained dream is in doubt of all
        params["rollout_eval"] |= {
            "starts": 2 * params["rollout_eval"]["batch_size"],
            "control_states": 2,
            "horizons": SHORT,
        }
        (copy / "params.yaml").write_text(yaml.safe_dump(params))
        found = {}
        for stage in STAGES:
            process = subprocess.Popen(
                [sys.executable, f"stages/{stage}.py"],
                cwd=copy,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            _, status, usage = os.wait4(process.pid, 0)
            if status:
                raise SystemExit(f"the stage {stage} failed; run `dvc repro` to see why")
            found[stage] = usage.ru_maxrss // 1024
        return found


def parser() -> Parser:
    made = Parser(description=__doc__)
    words = "of the smaller run"
    made.add_argument("--frames", type=whole(1000, 10**8), default=25_000, metavar="N", help=words)
    return made


def main() -> None:
    args = parser().parse_args()
    small, large = peaks(args.frames), peaks(4 * args.frames)
    print_table(
        "Peak resident memory, MiB",
        ["stage", f"{args.frames} frames", f"{4 * args.frames} frames", "ratio"],
        [[stage, small[stage], large[stage], large[stage] / small[stage]] for stage in STAGES],
    )


if __name__ == "__main__":
    run_stage(main)
