"""Which folder a person means by DATASET."""

import contextlib
from pathlib import Path

from dreamcart.core.errors import UserError, shown
from dreamcart.core.paths import Paths
from dreamcart.data.sources import local_folder


def find_folder(name: str) -> Path | None:
    """The folder that `name` is the path of, or the recordings that `collect` made of a game called
    so; None if neither is.
    """
    folder = local_folder(name)
    if folder is not None:
        return folder
    with contextlib.suppress(UserError):  # no path of a folder, and no name of a game either
        folder = Paths(name).raw
    return folder if folder and folder.is_dir() else None


def dataset_folder(name: str) -> Path:
    """As `find_folder`. Raises UserError where there is none."""
    folder = find_folder(name)
    if folder is None:
        raise UserError(
            f"There is no dataset {shown(name)}: neither a folder of that name nor recordings of a"
            " game called so in data/; record some with `dvc repro collect`."
        )
    return folder
