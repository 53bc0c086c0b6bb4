"""Recordings, command by command; `python stages/record.py COMMAND --help` tells more of each."""

import importlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dreamcart.core.arguments import Parser
from dreamcart.core.errors import run_stage

# Command → its module in dreamcart.record (with `add(parser)` and `run(args)`) and what it does.
COMMANDS: dict[str, tuple[str, str]] = {
    "games": ("games", "list what can be played here, or search it by name"),
    "import": ("roms", "import the ROMs you own from a folder, by stable-retro's importer"),
    "new": ("new", "make a game of one ROM file, and find a state in which its buttons act"),
    "play": (
        "person",
        "play a game in a window, or by a list of actions without one, and record it",
    ),
    "verify": (
        "verify",
        "replay a recording in the emulator and compare every frame, reward and end",
    ),
    "convert": (
        "convert",
        "recordings made elsewhere into Dreamcart's columns, or any into the gymnasium-recorder's",
    ),
    "minari": ("minari", "export a dataset that minari.load_dataset opens"),
    "pull": ("pull", "fetch a dataset from the Hugging Face Hub"),
    "push": ("push", "add a dataset to the Hugging Face Hub, with its card"),
    "watch": ("watch", "play a dataset back, from a folder or streaming from the Hub"),
}


def parser(command: str) -> Parser:
    """Know all commands, and the arguments of one: only its module is imported."""
    made = Parser(description=__doc__)
    chosen = made.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (module, what) in COMMANDS.items():
        own = chosen.add_parser(name, help=what, description=what)
        if name == command:
            importlib.import_module(f"dreamcart.record.{module}").add(own)
    return made


def main() -> None:
    command = next((word for word in sys.argv[1:] if word in COMMANDS), "")
    args = parser(command).parse_args()
    importlib.import_module(f"dreamcart.record.{COMMANDS[args.command][0]}").run(args)


if __name__ == "__main__":
    run_stage(main)
