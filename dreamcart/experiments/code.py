"""Which of the dynamics' files a run depends on: those of its own family, and not of the others.

DVC runs a stage again when any family changes, which costs a person minutes. A night of experiments must not be run again
because a family that most of them do not have was worked on.
"""

import ast
from pathlib import Path

from dreamcart.dynamics.registry import FAMILIES

FOLDER = "dreamcart/dynamics"


def used(kind: str, root: Path) -> set[str]:
    """Paths below `root` of the files in dreamcart/dynamics that the training and the play of a family import."""
    module = FAMILIES[kind].where.split(":")[0].replace(".", "/")
    trained = "tokens/train" if kind == "tokens" else "train"
    left = [f"{FOLDER}/{name}.py" for name in (module, trained)]
    found: set[str] = set()
    while left:
        path = left.pop()
        if path not in found and (root / path).is_file():
            found.add(path)
            left += imported(root / path, root)
    return found


def imported(path: Path, root: Path) -> list[str]:
    """The files of dreamcart/dynamics that a file imports by their full names, relative to `root`."""
    nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
    files = (f"{(node.module or '').replace('.', '/')}.py" for node in nodes)
    return [file for file in files if file.startswith(f"{FOLDER}/") and (root / file).is_file()]


def without_others(tree: str, kind: str, root: Path) -> str:
    """A listing by `git ls-tree` without the lines of the dynamics' files that a family does not use."""
    own = used(kind, root)
    lines = ((line, line.split("\t", 1)[-1]) for line in tree.splitlines())
    return "\n".join(line for line, path in lines if not path.startswith(f"{FOLDER}/") or path in own)
