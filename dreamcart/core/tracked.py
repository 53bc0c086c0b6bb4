"""Files that come with the repository: no command overwrites one of them unasked."""

import os
import subprocess
from pathlib import Path

from dreamcart.core.errors import UserError
from dreamcart.core.paths import ROOT

OWN = "my_"  # names of the carts of models that are trained here begin so


def spare(path: Path, force: bool) -> None:
    """Raise UserError where `path` is a file that git tracks, or a cart that came with a download.

    `force`: the person has said that it shall be overwritten.
    """
    if not force and path.is_file() and came_with_repository(path):
        what = f"{path} comes with the repository and would be overwritten"
        raise UserError(f"{what}; name another file, or add --force.")


def came_with_repository(path: Path) -> bool:
    """Tell whether git tracks a file or, where git cannot say (a ZIP), it is a cart of ours."""
    command = ["git", "--literal-pathspecs", "ls-files", "--", path.name]
    setting = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        asked = subprocess.run(command, cwd=path.parent, env=setting, capture_output=True)
    except OSError:  # no git here
        return _is_shipped(path)
    # without .git an answer is that of a repository around the checkout
    knows = asked.returncode == 0 and (ROOT / ".git").exists()
    return bool(asked.stdout) or (not knows and _is_shipped(path))


def _is_shipped(path: Path) -> bool:
    place = path.resolve()
    is_cart = place.suffix == ".cart" and place.is_relative_to(ROOT / "carts")
    return is_cart and not place.name.startswith(OWN)
