"""Imports inside the package point down only, and no two of its folders import each other."""

import ast

import pytest

from dreamcart.core.paths import ROOT

# From the ground up: a folder (or a module of the package's root) imports its own row never, and
# rows below freely.
ROWS = [
    {"core"},
    {"families"},
    {"params"},
    {"games"},
    {"data", "training"},
    {"representation", "dynamics"},
    {"world"},
    {"evaluation"},
    {"play", "lab", "refine"},
    {"record"},
]
PACKAGE = ROOT / "dreamcart"
FILES = sorted(PACKAGE.rglob("*.py"))


def room_of(module: str) -> str:
    """Return the folder or root module of "dreamcart.X.…", or "" for the package itself."""
    return module.split(".")[1] if "." in module else ""


def imports(text: str) -> set[str]:
    """Return the folders of the package that a file imports from, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module == "dreamcart":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dreamcart."):
            found.add(room_of(node.module))
        elif isinstance(node, ast.Import):
            found |= {
                room_of(alias.name) for alias in node.names if alias.name.startswith("dreamcart.")
            }
    return found - {""}


def row_of(room: str) -> int:
    return next(number for number, row in enumerate(ROWS) if room in row)


def own_room(path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_point_down(path):
    room = own_room(path)
    if room == "__init__":
        assert imports(path.read_text()) == set()
        return
    upward = {
        other for other in imports(path.read_text()) - {room} if row_of(other) >= row_of(room)
    }
    assert not upward, f"{path.relative_to(ROOT)} imports {upward}, which stand beside it or above"


def test_every_folder_has_its_row():
    assert {own_room(path) for path in FILES} - {"__init__"} == set().union(*ROWS)


def test_an_import_from_above_is_seen():
    """The test itself: each way to write an import counts, also inside a function."""
    text = (
        "def f():\n    from dreamcart.world.cart import carts\n\nimport dreamcart.play.loop\nfrom"
        " dreamcart import params\n"
    )
    assert imports(text) == {"world", "play", "params"}
