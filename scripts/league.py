"""The league: train and judge one setting on many games, the same params for all but `game`.

python scripts/league.py [--games NAME ...] [--minutes M] [--label NAME] [--set KEY=VALUE ...]
    →  experiments/results/league*/, metrics/league.json, docs/league.md
python scripts/league.py --page     the page again, from what is on record

The games are those of experiments/league.yaml. Each is a run of the whole pipeline in a clone at
the last commit; a game that is on record for the same params and code is not run again, a stopped
one goes on, and one that takes more than 40 minutes is a failed row. --label names another setting
than the default, which --set makes; --minutes trains shorter, for trying out, and then nothing but
a table is written.
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dreamcart.core.arguments import Parser, number, text
from dreamcart.core.errors import UserError, run_stage
from dreamcart.core.files import read_json, write_json, write_text
from dreamcart.core.paths import ROOT
from dreamcart.core.provenance import stamp
from dreamcart.core.tables import print_table
from dreamcart.lab.league import FIDELITY, PICTURES, cells, page, row_of, summary
from dreamcart.lab.plan import NAME, Plan, expand, load_plan
from dreamcart.lab.results import load_results
from dreamcart.lab.runner import Runner

LIMIT = 40  # minutes a game
LIST, DEFAULT = "league", "default"
NUMBERS, PAGE = ROOT / "metrics/league.json", ROOT / "docs/league.md"


def parser() -> Parser:
    made = Parser(description=__doc__)
    words = "games of experiments/league.yaml, by their names there (default: all)"
    made.add_argument("--games", type=text, nargs="+", default=[], metavar="NAME", help=words)
    words = "of training, in place of the list's; nothing is recorded for the page"
    made.add_argument("--minutes", type=number(0.05, 600), metavar="M", help=words)
    words = "what to call this setting"
    made.add_argument("--label", type=text, default=DEFAULT, metavar="NAME", help=words)
    words = "settings of params.yaml that are other than the default's"
    made.add_argument("--set", type=text, nargs="+", default=[], metavar="KEY=VALUE", help=words)
    made.add_argument("--page", action="store_true", help="write the page alone")
    return made


def main() -> None:
    args = parser().parse_args()
    if not NAME.fullmatch(args.label):
        raise UserError(f"--label {args.label!r}: use letters, digits, - and _ alone.")
    if args.set and args.label == DEFAULT:
        raise UserError("--set makes another setting than the default: name it by --label.")
    plan = load_plan(ROOT / "experiments/league.yaml")
    name = LIST if args.label == DEFAULT else f"{LIST}-{args.label}"
    changes = list(args.set)
    if args.minutes:
        name, changes = f"{name}-trial", [*changes, f"dynamics.minutes={args.minutes}"]
    plan = replace(plan, all=[*plan.all, *changes])
    if not args.page:
        runs = expand(plan, name, args.games, quick=False, seeds=1)
        Runner(plan, limit=LIMIT).run_all(runs)
    summed = recorded(plan, name)
    for columns in (FIDELITY, PICTURES):
        title = f"{plan.title}, {args.label}: {summed['done']} games, {summed['failed']} failed"
        print_table(title, list(columns), cells(summed, columns))
    if args.minutes:
        return
    league = read_json(NUMBERS).get("settings", {}) if NUMBERS.is_file() else {}
    league[args.label] = summed
    write_json(NUMBERS, {"settings": league, "made": stamp()})
    write_text(PAGE, page(plan.title, league, "python scripts/league.py --page"))


def recorded(plan: Plan, name: str) -> dict[str, Any]:
    """Return the rows of a setting that are on record. Raises UserError where there are none."""
    results = load_results(name, quick=False)
    rows = {game: row_of(results[game, 0]) for game in plan.runs if (game, 0) in results}
    if not rows:
        raise UserError("No game is on record for this setting yet, so there is no table.")
    return summary(rows)


if __name__ == "__main__":
    run_stage(main)
