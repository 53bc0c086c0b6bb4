"""Names become paths in dreamcart/core/paths.py alone; every file is written beside its place
first.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from dreamcart.core.errors import UserError
from dreamcart.core.paths import ROOT, Paths, below, game_name, hub_folder, inside

FOLDERS = [ROOT / name for name in ("dreamcart", "stages", "scripts")]
CODE = [path for folder in FOLDERS for path in sorted(folder.rglob("*.py"))]
# Joins of a name to a folder of the checkout that are meant, with the reason.
NAMED = "what a person names to be read, wherever it is kept"
JOINS = {
    "params.py: ROOT / (self.init_from.rpartition('@')[0] or self.init_from)": NAMED,
    "recordings.py: ROOT / Path(name).expanduser()": NAMED,
    "pin_carts.py: FOLDER / f'{name}.cart'": "names of pins.json alone are taken",
    "pin_carts.py: GOLDEN / name": "names of pins.json alone are taken",
}
# Files that write in place, with the reason.
WRITES = {
    "dreamcart/core/files.py": "it makes sure of room on the disk",
    "dreamcart/core/hub_client.py": "it fills a temporary file that `pull` names",
    "dreamcart/lab/runner.py": "the lock that all runners share must be one file",
    "dreamcart/lab/clone.py": "a log that grows while a command runs",
    "dreamcart/training/loop.py": "it calls save_tensors",
    "stages/refine.py": "it calls Rounds.save, and that save_tensors",
    "dreamcart/record/live.py": "a reserve of room, deleted at the end",
    "dreamcart/record/roms.py": "a scratch folder of tempfile",
    "dreamcart/record/push.py": "a scratch folder of tempfile",
}
METHODS = {"write_text", "write_bytes", "savefig", "save", "tofile"}


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def left_end(node: ast.AST) -> ast.AST:
    """What a chain of / begins with."""
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        node = node.left
    return node


def is_join(node: ast.AST, bases: set[str]) -> bool:
    begin = left_end(node)
    return begin is not node and isinstance(begin, ast.Name) and begin.id in bases


def bases() -> set[str]:
    """ROOT, and the constants that are made of it: FOLDER of the carts, RESULTS, …"""
    known = {"ROOT"}
    for path in CODE:
        for node in tree(path).body:
            if isinstance(node, ast.Assign) and is_join(node.value, known):
                known |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return known


def is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def joins(code: ast.Module, known: set[str]) -> Iterator[ast.BinOp]:
    """Every / that joins something to a folder of the checkout that is no literal."""
    yield from (node for node in ast.walk(code) if is_join(node, known) and not is_text(node.right))


def test_names_become_paths_in_one_place_alone():
    """A name from a command line, a dataset or a cart must not lead out of its folder."""
    known = bases()
    assert {"ROOT", "FOLDER", "RESULTS"} <= known
    found = []
    for path in CODE:
        if path.name != "paths.py":
            found += [f"{path.name}: {ast.unparse(node)}" for node in joins(tree(path), known)]
    assert sorted(found) == sorted(JOINS)


OTHER_LINES = ['ROOT / "data" / "hub"', "folder / name", "ROOT == 1 / 2", "1 / 2"]


@pytest.mark.parametrize("line", OTHER_LINES)
def test_other_lines_are_left_alone(line):
    assert not list(joins(ast.parse(line), {"ROOT", "FOLDER"}))


def opens_to_write(call: ast.Call) -> bool:
    """open(…, "w") and its like, and a mode that only the caller knows."""
    if ast.unparse(call.func) != "open":
        return False
    modes = [*call.args[1:2], *(word.value for word in call.keywords if word.arg == "mode")]
    return any(not is_text(mode) or set(mode.value) & set("wax+") for mode in modes)


def writes_at_once(call: ast.Call) -> bool:
    """A call that writes a file; not into memory (a BytesIO called `content` or `buffer`)."""
    if opens_to_write(call):
        return "writing(" not in ast.unparse(call)
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in METHODS or not call.args:
        return False
    into_memory = ast.unparse(call.args[0]) in ("content", "buffer")
    return call.func.attr.startswith("write_") or not into_memory


def bare_writes(code: ast.AST, safe: bool = False) -> Iterator[ast.Call]:
    """Calls that write a file outside of a `with writing(…)` block."""
    for node in ast.iter_child_nodes(code):
        opened = [ast.unparse(item.context_expr) for item in getattr(node, "items", [])]
        inside = safe or any(name.startswith("writing(") for name in opened)
        if isinstance(node, ast.Call) and not inside and writes_at_once(node):
            yield node
        yield from bare_writes(node, inside)


def test_every_file_is_written_beside_its_place_first():
    """A full disk or a power cut leaves either the old file or the new one."""
    found: dict[str, list[str]] = {}
    for path in CODE:
        for call in bare_writes(tree(path)):
            found.setdefault(name_of(path), []).append(ast.unparse(call))
    assert {name: calls for name, calls in found.items() if name not in WRITES} == {}
    assert set(found) == set(WRITES), "an exception that nothing needs any more"


@pytest.mark.parametrize(
    "line",
    [
        "open(path, 'w')",
        "with open(path, mode='ab') as f: pass",
        "open(log, mode)",
        "path.write_text('x')",
        "path.write_bytes(b)",
        "np.save(path, array)",
        "Image.fromarray(x).save(path)",
        "figure.savefig(path)",
    ],
)
def test_a_write_in_place_is_found(line):
    assert list(bare_writes(ast.parse(line)))
    assert not list(bare_writes(ast.parse(f"with writing(p) as t:\n    {line}")))


HARMLESS = ["open(path)", "open(path, 'rb')", "image.save(buffer, 'PNG')", "emulator.save()"]


@pytest.mark.parametrize("line", HARMLESS)
def test_what_writes_nothing_is_left_alone(line):
    assert not list(bare_writes(ast.parse(line)))


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../x", "a/../b", "/a", "a//b", "a/", "a b", "a\n", "é", "x" * 101, None, 3],
)
def test_what_cannot_name_a_game_becomes_no_path(name):
    for make in (game_name, lambda name: below(ROOT, name), lambda name: Paths(name).cart):
        with pytest.raises(UserError, match="cannot name a game"):
            make(name)


def test_the_paths_of_a_game_are_below_their_folders():
    paths = Paths("ALE/Pong-v5")
    assert paths.cart == ROOT / "carts/ALE/Pong-v5.cart"
    assert paths.own_cart == ROOT / "models/ALE/Pong-v5/dream.cart"
    assert (paths.clips, paths.verify) == (
        ROOT / "plots/ALE/Pong-v5/clips",
        ROOT / "plots/ALE/Pong-v5/verify",
    )
    assert hub_folder("me/toy") == ROOT / "data/hub/me__toy"


def test_a_path_of_somebody_else_stays_inside(tmp_path):
    """By .., an absolute path or a link."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link").symlink_to(tmp_path)
    assert inside(tmp_path / "in", "a/b") == tmp_path / "in" / "a" / "b"
    for path in ("../x", "/etc/passwd", "link/x", "a\0b", None):
        with pytest.raises(UserError, match="does not stay inside"):
            inside(tmp_path / "in", path)
