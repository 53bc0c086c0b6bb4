"""What does a dream owe to what is not its network? Switches off each such part, and all of them.

python scripts/ablate.py carts/pong.cart [--list] [--starts N] [--rows NAME ...] [--markdown]
    →  metrics/<game>/ablation[_<cart>][_<starts>].json

Prints for every row how often the frame is exact in every pixel after 10, 60 and 300 steps, how
many screens the game could not show, and controllability, with 95 % intervals. In a game that draws
its next piece the draws are given for the exact frames. The test episodes are those of
`rollout_eval`; where they are not here they are recorded first, beside where those would be.

Each row is written when it is done: the same command goes on where it was stopped, and measures
again what another cart or other code has made.
"""

import sys
import tempfile
from pathlib import Path
from time import monotonic
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dreamcart.core.arguments import Parser, path, text, whole
from dreamcart.core.errors import UserError, run_stage
from dreamcart.core.files import read_json, write_json
from dreamcart.core.paths import Paths
from dreamcart.core.tables import print_table
from dreamcart.core.tensors import load_tensors
from dreamcart.evaluation import ablate
from dreamcart.evaluation.ablate import Bench, Row
from dreamcart.evaluation.ablation_table import HEADER, markdown, table
from dreamcart.params import load_params
from dreamcart.training.device import make_repeatable, pick_device
from dreamcart.world.cart import load_cart

STARTS = 400
GAME = Row("game", (), "the game's own screens, judged as the dreams' are")
Rows = dict[str, dict[str, Any]]  # as measured, by name


def parser() -> Parser:
    made = Parser(description=__doc__)
    made.add_argument("cart", type=path, help="the file")
    made.add_argument("--list", action="store_true", help="say what the rows are, measure nothing")
    count, words = whole(1, 10_000), f"dreams a row (default: {STARTS})"
    made.add_argument("--starts", type=count, default=STARTS, metavar="N", help=words)
    words = "only these rows, as --list names them (default: all)"
    made.add_argument("--rows", type=text, nargs="+", metavar="NAME", help=words)
    made.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    return made


def main() -> None:
    args = parser().parse_args()
    params = load_params()
    make_repeatable(params.seed)
    world, _ = load_cart(args.cart, pick_device())
    rows = [GAME, *ablate.rows_of(world)]
    if args.list:
        print_table(f"Rows of {args.cart}", ["off", ""], [[row.name, row.says] for row in rows])
        return
    wanted = chosen(rows, args.rows)
    raw = ablate.episodes_for(world, params)
    with tempfile.TemporaryDirectory() as scratch:
        bench = ablate.make_bench(world, params, raw, Path(scratch), args.starts)
        cart = load_tensors(args.cart)[1]["fingerprint"]
        stamp = ablate.stamp_of(cart, raw, bench, world.spec.name)
        done = go_through(wanted, args.cart, bench, file_for(args, world.spec.name), stamp)
        if bench.emulator:
            bench.emulator.close()
    title = f"{args.cart}: {len(bench.starts)} dreams a row, shares with 95 % intervals (Wilson)"
    if args.markdown:
        sys.stdout.write(f"{title}\n\n{markdown(rows, done)}")
    else:
        print_table(title, HEADER, table(rows, done))


def chosen(rows: list[Row], names: list[str] | None) -> list[Row]:
    """Return the rows of these names, in order. Raises UserError for a name that is none."""
    known = [row.name for row in rows]
    for name in names or ():
        if name not in known:
            raise UserError(f"--rows: there is no {name!r} in this cart, but {', '.join(known)}.")
    return [row for row in rows if row.name in (names or known)]


def file_for(args: Any, game: str) -> Path:
    """Return where the rows are kept: other starts or another cart have a file of their own."""
    other = f"_{args.cart.stem}" * (args.cart.stem != game)
    tried = f"_{args.starts}" * (args.starts != STARTS)
    return Paths(game).metrics / f"ablation{other}{tried}.json"


def go_through(rows: list[Row], cart: Path, bench: Bench, file: Path, stamp: dict) -> Rows:
    """Measure what `file` does not hold yet, and write it row by row.

    Returns all rows of this stamp, those of former calls included."""
    kept = kept_in(file)
    for row in rows:
        if not ablate.is_current(kept.get(row.name), stamp):
            begun = monotonic()
            found = row_of(row, cart, bench)
            kept[row.name] = ablate.stamped(found, stamp, monotonic() - begun)
            write_json(file, {"rows": kept})
    return {name: row for name, row in kept.items() if ablate.is_current(row, stamp)}


def row_of(row: Row, cart: Path, bench: Bench) -> dict[str, Any]:
    """Measure a row, in a freshly loaded dream."""
    if row is GAME:
        return ablate.judge_game(bench)
    return ablate.measure(load_cart(cart, pick_device())[0], bench, row)


def kept_in(file: Path) -> Rows:
    """Return the rows that a file holds, of whatever stamp. Raises UserError for a foreign file."""
    if not file.is_file():
        return {}
    told = read_json(file, "delete it and run this again")
    try:
        rows = told["rows"].items()
        return {name: {**row, "measured": {**row["measured"]}} for name, row in rows}
    except (AttributeError, LookupError, TypeError, ValueError):
        raise UserError(f"{file} is of another command; delete it and run this again.") from None


if __name__ == "__main__":
    run_stage(main)
