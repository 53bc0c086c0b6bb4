"""Which files a run depends on beyond what DVC says: of the families its own and not the others, of
the games likewise, and what its checks play with.

DVC runs a stage again when any family or game changes, which costs a person minutes. A night of
experiments must not be run again because a family that most of them do not have was worked on.
"""

from pathlib import Path

from dreamcart.core.imports import imported, reached
from dreamcart.families import FAMILIES
from dreamcart.games.catalog import game_files

FOLDER = "dreamcart/dynamics"
PLAY = "dreamcart/play"


def used(kind: str, root: Path) -> set[str]:
    """Paths below `root` of the files in dreamcart/dynamics that the training and the play of a
    family import.
    """
    family = FAMILIES[kind]
    files = [
        f"dreamcart/{where.split(':')[0].replace('.', '/')}.py"
        for where in (family.where, family.trainer)
    ]
    return reached(files, root, FOLDER)


def played(checks: list[str], root: Path) -> set[str]:
    """Paths below `root` of the files in dreamcart/play that the Python files `checks` import, and
    those import in turn.
    """
    return reached(
        [file for check in checks for file in imported(root / check, root, PLAY)], root, PLAY
    )


def without_others(tree: str, kind: str, game: str, root: Path) -> str:
    """A listing by `git ls-tree` without the lines of the dynamics' files that a family does not
    use, and of other games.
    """
    own, folders = used(kind, root), {path.parent.name for path in game_files(game)}

    def wanted(path: str) -> bool:
        top, _, rest = path.partition("/")
        if top == "games" and "/" in rest:
            return rest.split("/")[0] in folders
        return not path.startswith(f"{FOLDER}/") or path in own

    return "\n".join(line for line in tree.splitlines() if wanted(line.split("\t", 1)[-1]))
