"""A dataset in other columns: recordings made elsewhere into Dreamcart's, and any of them into the
gymnasium-recorder's. Files of other tools (see `data.foreign`) are read likewise.
"""

import argparse
from pathlib import Path
from typing import Any

from tqdm import tqdm

from dreamcart.core.arguments import game, new_folder, text, whole
from dreamcart.core.errors import UserError
from dreamcart.core.files import write_json
from dreamcart.core.hub import hub_api, patiently
from dreamcart.core.tables import print_table
from dreamcart.data.actions import AUTO
from dreamcart.data.imports import (
    EpisodeWriter,
    imported_info,
    open_dataset,
    report_lines,
    report_of,
)
from dreamcart.data.schema import INFO_NAME
from dreamcart.data.whole import check_free, making
from dreamcart.games.catalog import load_game
from dreamcart.games.spec import GameSpec
from dreamcart.record.folders import find_folder
from dreamcart.record.recorder_columns import write_recorder


def add(parser: argparse.ArgumentParser) -> None:
    words = (
        "a folder with Parquet files or of `save_to_disk`, of PNG frames or videos with a CSV of"
        " buttons, of Minari, DIAMOND or LeRobot, a game in data/, or OWNER/NAME on the Hub"
    )
    parser.add_argument("source", type=text, help=words)
    parser.add_argument("out", type=new_folder, help="a new folder")
    words = "which game it is, where the dataset does not say so itself"
    parser.add_argument("--game", type=game, help=words)
    words = "commit of a Hub dataset (default: its newest, which is printed)"
    parser.add_argument("--revision", type=text, help=words)
    words = "whose columns to write"
    parser.add_argument(
        "--columns", choices=["dreamcart", "recorder"], default="dreamcart", help=words
    )
    parser.add_argument(
        "--actions",
        type=text,
        default=AUTO,
        metavar="MEANING",
        help=(
            "what its actions mean, where that is left open: minimal or full (numbers of Atari's"
            " action sets), or the buttons at the places of a list, B,none,SELECT,…; by default"
            " found out, and reported"
        ),
    )
    words = "number episodes from N on"
    parser.add_argument("--first-episode", type=whole(0, 10**9), default=0, metavar="N", help=words)


def run(args: argparse.Namespace) -> None:
    source, revision = find_source(args.source, args.revision or "")
    spec = load_game(args.game) if args.game else None
    report = convert(
        source, revision, args.out, spec, args.columns, args.first_episode, args.actions
    )
    print("\n".join(report_lines(report)))
    if "held" in report:
        _print_summary(args.out, report)
    print(
        f"{args.out}: written in {args.columns}'s columns"
        + (f", from revision {revision}" if revision else "")
    )


def convert(
    source: str,
    revision: str,
    out: Path,
    spec: GameSpec | None,
    columns: str = "dreamcart",
    first: int = 0,
    actions: str = AUTO,
) -> dict[str, Any]:
    """Write the dataset `source` into the new folder `out`, which appears only when it is whole.
    Returns the report.

    Raises:
        UserError: the source cannot be read or does not fit the game, no game is named, or `out` is
            not empty.
    """
    check_free(out)
    data = open_dataset(source, revision)
    spec = spec or data.spec
    if spec is None:
        raise UserError(
            f"{source} does not say which game it was recorded from; name it with --game."
        )
    binding = data.bind(spec, actions)
    with making(out) as part:
        with EpisodeWriter(part, spec.images) as writer:
            episodes = data.episodes_of(spec, binding, first)
            for name, rows in tqdm(
                episodes,
                total=data.survey.episodes,
                unit="episode",
                desc=f"convert {source}",
                delay=2,
            ):
                writer.add(name, rows)
        if columns == "recorder":
            write_recorder(part, spec)
        else:
            numbers = range(first, first + data.survey.episodes)
            write_json(part / INFO_NAME, imported_info(spec, data, revision, numbers))
    return report_of(data, spec, binding)


def _print_summary(out: Path, report: dict[str, Any]) -> None:
    """Print how often each button was held: one that never was is not learned."""
    steps = report["frames"] - report["episodes"]
    rows = [
        [name, held, f"{100 * held / max(1, steps):.1f} %"] for name, held in report["held"].items()
    ]
    title = f"{out}: {report['episodes']} episodes, {report['frames']} frames, {steps} steps"
    print_table(title, ["button", "steps held", "share"], rows)


def find_source(source: str, revision: str) -> tuple[str, str]:
    """The folder or the Hub dataset that a person means, the latter with a commit."""
    folder = find_folder(source)
    if folder is not None:
        return str(folder), ""
    if "/" not in source or source.startswith((".", "/", "~")):
        raise UserError(
            f"There is no folder {source!r}, and it is no OWNER/NAME of the Hub either."
        )
    return source, revision or patiently(source, lambda: hub_api().dataset_info(source).sha)
