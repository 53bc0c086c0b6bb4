"""Recordings, command by command; `python stages/record.py COMMAND --help` tells more of each."""

import argparse
import importlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dreamcart.errors import run_stage

# Command → its module in dreamcart.record (with `add(parser)` and `run(args)`) and what it does.
COMMANDS: dict[str, tuple[str, str]] = {
    "games": ("games", "list what can be played here, or search it by name"),
    "import": ("roms", "import the ROMs you own from a folder, by stable-retro's importer"),
    "play": ("person", "play a game in a window, or by a list of actions without one, and record it"),
    "verify": ("verify", "replay a recording in the emulator and compare every frame, reward and end"),
    "convert": ("convert", "recordings made elsewhere into Dreamcart's columns, or any into the gymnasium-recorder's"),
    "minari": ("minari", "export a dataset that minari.load_dataset opens"),
    "pull": ("pull", "fetch a dataset from the Hugging Face Hub"),
    "push": ("push", "add a dataset to the Hugging Face Hub, with its card"),
    "watch": ("watch", "play a dataset back, from a folder or streaming from the Hub"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    chosen = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    asked = sys.argv[1] if len(sys.argv) > 1 else ""
    for name, (_, what) in COMMANDS.items():
        chosen.add_parser(name, help=what, description=what)
    if asked in COMMANDS:  # only its own module is imported: most need no emulator, no window or no network
        module = importlib.import_module(f"dreamcart.record.{COMMANDS[asked][0]}")
        module.add(chosen.choices[asked])
        run_stage(lambda: module.run(parser.parse_args()))
    else:
        parser.parse_args()


if __name__ == "__main__":
    main()
