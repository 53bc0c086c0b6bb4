"""Stage 1: record scripted play from the emulator, or import recordings, as a raw dataset; add
recordings of people.

python -m stages.collect  →  data/<game>/raw, data/<game>/raw_test,
                             metrics/<game>/collect.json + collect_details.json
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dreamcart.core.arguments import from_params
from dreamcart.core.errors import UserError, run_stage
from dreamcart.core.paths import Paths
from dreamcart.core.reports import pick, write_report
from dreamcart.core.tables import print_table
from dreamcart.data.collect import record
from dreamcart.data.imports import import_recordings, report_lines
from dreamcart.data.recordings import add_recordings, find_recordings
from dreamcart.games.catalog import load_game
from dreamcart.params import load_params
from dreamcart.world.cart_pin import check_start

# What of a coverage report is printed, and what of a report is a metric.
COUNTED = {
    "episodes": "episodes",
    "ended": "ended",
    "frames": "frames",
    "distinct_frames": "distinct",
    "changed_share": "of the screen changed",
    "repeated_share": "repeated",
}
HEADLINE = ("frames", "play.frames", "play.distinct_frames", "play.changed_share", "play.ended")


def main() -> None:
    params = load_params()
    check_start(params)  # a training that cannot begin is said before minutes of work
    paths = Paths(params.game)
    spec = load_game(params.game)
    if params.preprocess.tile and spec.images == "webp":
        raise UserError(
            f"{spec.title} is drawn in three dimensions and not from tiles: add -S"
            " preprocess.tile=0 -S representation.kind=ae -S latent_dim=0 (experiments/doom.yaml"
            " has a setting that trains)."
        )
    recordings = find_recordings(params.collect.recordings, spec)
    if params.collect.source == "emulator":
        report = record(spec, params.collect, params.seed, paths.raw, paths.raw_test)
        print_table(
            f"Recorded {spec.title}",
            ["", *COUNTED.values(), *spec.events],
            [
                [name, *(counted[key] for key in COUNTED), *counted["events"].values()]
                for name, counted in report.items()
            ],
        )
        print_table(
            "Share of steps each button was held",
            spec.buttons,
            [list(report["play"]["held"].values())],
        )
    else:
        report = import_recordings(spec, params.collect, paths.raw, paths.raw_test)
        print("\n".join(report_lines(report)))
        if not params.collect.revision:
            print(
                "DVC does not see what is in a folder; pin it with -S"
                f" collect.revision={report['revision']}"
            )
    if recordings:
        report["recordings"] = add_recordings(recordings, spec, paths.raw)
        print_table(
            "Recordings added",
            list(report["recordings"][0]),
            [list(r.values()) for r in report["recordings"]],
        )
    size = sum(file.stat().st_size for file in paths.raw.glob("*.parquet"))
    frames = report["play"]["frames"] if "play" in report else report["frames"]
    frames += sum(recording.frames for recording in recordings)
    print(f"{size / 2**20:.1f} MiB in {paths.raw}, {size / frames:.0f} bytes a frame")
    write_report(paths.metrics / "collect.json", report, pick(report, HEADLINE))


if __name__ == "__main__":
    run_stage(from_params(main, __doc__))
