"""Of how many titles does `record.py new` find the game, from their ROMs alone?

python scripts/titles.py ROM... [--seconds 60] [--seed N]

Runs its search on each ROM, in a temporary folder, and prints a row a title: the second in which a
state was reached in which at least two buttons (START, SELECT and the like aside) change the screen
within two steps, and which buttons do so in the start state that it would save. Writes nothing.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dreamcart.core import arguments
from dreamcart.core.arguments import Parser
from dreamcart.core.errors import UserError, run_stage
from dreamcart.core.tables import print_table
from dreamcart.record.new import check_core, search_apart
from dreamcart.record.rom_files import read_rom

HEADER = ["title", "reached", "second", "searched for", "act within two steps", "later", "why not"]


def parser() -> Parser:
    made = Parser(description=__doc__)
    words = "a ROM, or a zip with one in it"
    made.add_argument("rom", type=arguments.existing, nargs="+", metavar="ROM", help=words)
    words = "for the search of each"
    seconds = arguments.number(1, 3600)
    made.add_argument("--seconds", type=seconds, default=60.0, metavar="S", help=words)
    words = "another one searches in another order"
    seeds = arguments.whole(*arguments.SEED)
    made.add_argument("--seed", type=seeds, default=0, metavar="N", help=words)
    return made


def main() -> None:
    args = parser().parse_args()
    rows = []
    for path in args.rom:
        rows.append(row_of(path, args.seconds, args.seed))
        print(*rows[-1][:3], file=sys.stderr)  # a list of titles takes long
    print_table(f"Searched for {args.seconds:g} s each at most, seed {args.seed}", HEADER, rows)
    reached = sum(row[1] == "yes" for row in rows)
    print(f"{reached} of {len(rows)} titles reach a state in which two buttons act at once.")


def row_of(path: Path, seconds: float, seed: int) -> list[str]:
    """What became of one ROM; a ROM that is none, damaged or dead is a row too."""
    try:
        rom = read_rom(path)
        check_core(rom)
        found = search_apart(rom, f"Title-{rom.console.system}-v0", seconds, seed, 1)
    except UserError as problem:
        return [path.stem, "no", "", "", "", "", str(problem).split(": ")[0]]
    start = found.starts[0] if found.starts else None
    acts = (" ".join(start.acts), " ".join(start.late)) if start else ("", "")
    second = "" if found.reached is None else f"{found.reached:.1f}"
    answer = "yes" if second else "no"
    return [path.stem, answer, second, f"{found.seconds:.0f} s", *acts, ""]


if __name__ == "__main__":
    run_stage(main)
