"""Names become paths in dreamcart/paths.py alone, and every file is written beside its place first."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from dreamcart.errors import ROOT, UserError
from dreamcart.paths import Paths, below, game_name, hub_folder, inside

CODE = [path for folder in ("dreamcart", "stages", "experiments") for path in sorted((ROOT / folder).rglob("*.py"))]
# Joins of a name to a folder of the checkout that are meant, with the reason.
JOINS = {
    "dreamcart/config.py: ROOT / (self.init_from.rpartition('@')[0] or self.init_from)": "a cart to read, wherever it is kept",
    "dreamcart/data/recordings.py: ROOT / Path(name).expanduser()": "a folder to read, wherever it is kept",
    "dreamcart/evaluation/ablate.py: ROOT / name": "files of the code, named there",
}
# Files that write in place, with the reason.
WRITES = {
    "dreamcart/files.py": "it makes sure of room on the disk",
    "dreamcart/hub_client.py": "it fills a temporary file that `pull` names",
    "dreamcart/experiments/runner.py": "the lock that all runners share must be one file",
    "dreamcart/experiments/clone.py": "a log that grows while a command runs",
    "dreamcart/training.py": "it calls save_tensors",
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
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and isinstance(begin, ast.Name) and begin.id in bases


def bases() -> set[str]:
    """ROOT, and the constants that are made of it: FOLDER of the carts, RESULTS, …"""
    known = {"ROOT"}
    for path in CODE:
        for node in tree(path).body:
            if isinstance(node, ast.Assign) and is_join(node.value, known):
                known |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return known


def joins(code: ast.Module, known: set[str]) -> Iterator[ast.BinOp]:
    """Every / that joins something to a folder of the checkout that is no literal."""
    for node in ast.walk(code):
        if is_join(node, known) and not (isinstance(node.right, ast.Constant) and isinstance(node.right.value, str)):
            yield node


def test_names_become_paths_in_one_place_alone():
    """A name from a command line, a dataset or a cart must not lead out of its folder."""
    known = bases()
    assert {"ROOT", "FOLDER", "RESULTS"} <= known
    found = [
        f"{name_of(path)}: {ast.unparse(node)}" for path in CODE if path.name != "paths.py" for node in joins(tree(path), known)
    ]
    assert sorted(found) == sorted(JOINS)


@pytest.mark.parametrize(
    "line",
    ['ROOT / "data" / game', 'FOLDER / f"{game}.cart"', 'ROOT / game / "raw"', "ROOT / Path(name)"],
)
def test_a_join_by_hand_is_found(line):
    assert list(joins(ast.parse(line), {"ROOT", "FOLDER"}))


@pytest.mark.parametrize("line", ['ROOT / "data" / "hub"', "folder / name", "ROOT == 1 / 2", "1 / 2"])
def test_other_lines_are_left_alone(line):
    assert not list(joins(ast.parse(line), {"ROOT", "FOLDER"}))


def opens_to_write(call: ast.Call) -> bool:
    """open(…, "w") and its like, and a mode that only the caller knows."""
    if not (isinstance(call.func, ast.Name) and call.func.id == "open") or len(call.args) + len(call.keywords) < 2:
        return False
    modes = [
        *call.args[1:2],
        *(keyword.value for keyword in call.keywords if keyword.arg == "mode"),
    ]
    return any(not isinstance(mode, ast.Constant) or set(mode.value) & set("wax+") for mode in modes)


def writes_at_once(call: ast.Call) -> bool:
    """A call that writes a file: not a picture saved into memory (a BytesIO called `content` or `buffer`), no emulator's save()."""
    if opens_to_write(call):
        return "writing(" not in ast.unparse(call)
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in METHODS or not call.args:
        return False
    return call.func.attr.startswith("write_") or ast.unparse(call.args[0]) not in (
        "content",
        "buffer",
    )


def bare_writes(code: ast.AST, inside_writing: bool = False) -> Iterator[ast.Call]:
    """Calls that write a file outside of a `with writing(…)` block."""
    for node in ast.iter_child_nodes(code):
        safe = inside_writing
        if isinstance(node, ast.With):
            safe |= any(ast.unparse(item.context_expr).startswith("writing(") for item in node.items)
        if isinstance(node, ast.Call) and not safe and writes_at_once(node):
            yield node
        yield from bare_writes(node, safe)


def test_every_file_is_written_beside_its_place_first():
    """A full disk or a power cut leaves either the old file or the new one."""
    found = [f"{name_of(path)}:{node.lineno}: {ast.unparse(node)}" for path in CODE for node in bare_writes(tree(path))]
    assert [line for line in found if line.split(":")[0] not in WRITES] == []
    assert {line.split(":")[0] for line in found} == set(WRITES), "an exception that nothing needs any more"


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


@pytest.mark.parametrize("line", ["open(path)", "open(path, 'rb')", "image.save(buffer, 'PNG')", "emulator.save()"])
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
    assert paths.own_cart == ROOT / "carts/ALE/my_Pong-v5.cart"
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
