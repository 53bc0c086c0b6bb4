"""Which folder a person means by DATASET."""

import contextlib
from pathlib import Path

from dreamcart.errors import UserError
from dreamcart.paths import Paths


def find_folder(name: str) -> Path | None:
    """The folder that `name` is the path of, or the recordings that `collect` made of a game called so; None if neither is."""
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    with contextlib.suppress(UserError):  # no path of a folder, and no name of a game either
        folder = Paths(name).raw
    return folder if folder.is_dir() else None


def dataset_folder(name: str) -> Path:
    """As `find_folder`. Raises UserError where there is none."""
    folder = find_folder(name)
    if folder is None:
        raise UserError(
            f"There is no dataset {name!r}: neither a folder of that name nor recordings of a game called so in data/; "
            "record some with `dvc repro collect`."
        )
    return folder
