"""Run a list of experiments through DVC, one after another, and write their table.

python experiments/run.py experiments/latent_dim.yaml   →  experiments/latent_dim.md

Each run is `dvc exp run --temp -n NAME -S …` on the committed state; one that exists already is not run again,
so a stopped list goes on where it was. "all" in the list holds overrides that every run gets. Where all runs are of
one game that has a committed cart, the table ends with what is on record for it.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import yaml

from dreamcart.cart import FOLDER
from dreamcart.config import load_params
from dreamcart.errors import ROOT, UserError, run_stage
from dreamcart.tensors import load_tensors

ENVIRONMENT = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def call(*command: str) -> str:
    """Output of a command in the repository. Raises UserError where it fails."""
    done = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, text=True, capture_output=True, check=False)
    if done.returncode:
        raise UserError(
            f"`{' '.join(command)}` failed: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else 'no message'}"
        )
    return done.stdout


def references() -> dict[str, str]:
    """Experiments by name: their git reference, the newest where a name is there twice."""
    found = call("git", "for-each-ref", "--sort=creatordate", "--format=%(refname)", "refs/exps/").split()
    return {ref.rsplit("/", 1)[1]: ref for ref in found}


def read(revision: str, game: str, path: str) -> Any:
    """A metric of an experiment: "file.key.key"; None where it has none of that name."""
    file, keys = path.split(".", 1)
    return find(json.loads(call("git", "show", f"{revision}:metrics/{game}/{file}.json")), keys)


def find(value: Any, path: str) -> Any:
    """`value` at "key.key"; None where there is none."""
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def game_of(overrides: list[str]) -> str:
    """The game that a run with these overrides plays."""
    given = [change.removeprefix("game=") for change in overrides if change.startswith("game=")]
    return given[-1] if given else load_params().game


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("list", type=Path)
    args = parser.parse_args()
    plan = yaml.safe_load(args.list.read_text())
    games = {name: game_of(overrides) for name, overrides in plan["runs"].items()}
    for name, overrides in plan["runs"].items():
        if name in references():
            print(f"{name}: done already")
            continue
        changes = [*plan.get("all", []), *overrides]
        command = ["dvc", "exp", "run", "--temp", "-n", name, *(part for change in changes for part in ("-S", change))]
        print("+", " ".join(command), flush=True)
        if subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, check=False).returncode:
            raise UserError(f"The run {name} failed; its messages are above. Run the same command again to go on.")
    lines = [f"# {plan['title']}", "", f"`python experiments/run.py {args.list.as_posix()}`", ""]
    alone = set(games.values()) if len(set(games.values())) == 1 else set()
    carts = [FOLDER / f"{game}.cart" for game in alone if (FOLDER / f"{game}.cart").is_file()]
    names = [*plan["runs"], *(f"carts/{cart.name}" for cart in carts)]
    lines += ["| | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
    for label, path in plan["columns"].items():
        values = [read(references()[name], games[name], path) for name in plan["runs"]]
        values += [find(load_tensors(cart)[1].get("metrics", {}), path.removeprefix("rollout.")) for cart in carts]
        cells = ["–" if value is None else f"{value:.4g}" for value in values]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    args.list.with_suffix(".md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    run_stage(main)
