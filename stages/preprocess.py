"""Stage 2: resize, split by episode, keep each distinct frame once; draw ten random transitions.

python -m stages.preprocess  →  data/<game>/processed, metrics/<game>/preprocess.json
                                + preprocess_details.json, plots/<game>/pairs.png
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dreamcart.core.arguments import from_params
from dreamcart.core.errors import run_stage
from dreamcart.core.paths import Paths
from dreamcart.core.reports import pick, write_report
from dreamcart.core.tables import print_table
from dreamcart.data.preprocess import preprocess
from dreamcart.data.processed import load_split
from dreamcart.evaluation.pictures import pairs_picture
from dreamcart.params import load_params
from dreamcart.world.cart_pin import check_start


def main() -> None:
    params = load_params()
    check_start(params)  # a training that cannot begin is said before minutes of work
    paths = Paths(params.game)
    report = preprocess(paths.raw, paths.processed, params.preprocess, params.seed)
    print_table(
        "Processed",
        ["split", *report["train"]],
        [[name, *r.values()] for name, r in report.items()],
    )
    pairs_picture(load_split(paths.processed, "train"), params.seed, paths.plots / "pairs.png")
    write_report(
        paths.metrics / "preprocess.json",
        report,
        pick(report, ("train.transitions", "val.transitions")),
    )


if __name__ == "__main__":
    run_stage(from_params(main, __doc__))
