"""Which files a Python file imports, read without running it."""

import ast
from pathlib import Path


def reached(left: list[str], root: Path, folder: str) -> set[str]:
    """The files `left`, and those of `folder` that they import, directly or not; what is not there
    is left out.
    """
    found: set[str] = set()
    while left:
        path = left.pop()
        if path not in found and (root / path).is_file():
            found.add(path)
            left += imported(root / path, root, folder)
    return found


def imported(path: Path, root: Path, folder: str) -> list[str]:
    """The files of `folder` that a file imports by their full names, relative to `root`."""
    nodes = [
        node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)
    ]
    files = (f"{(node.module or '').replace('.', '/')}.py" for node in nodes)
    return [file for file in files if file.startswith(f"{folder}/") and (root / file).is_file()]
