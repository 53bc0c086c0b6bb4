"""Which folder a person means by DATASET."""

from pathlib import Path

from dreamcart.errors import UserError
from dreamcart.paths import Paths


def dataset_folder(name: str) -> Path:
    """A folder by its path, or by a game's name the recordings that `collect` made of it. Raises UserError."""
    for folder in (Path(name).expanduser(), Paths(name).raw):
        if folder.is_dir():
            return folder
    raise UserError(
        f"There is no dataset {name!r}: neither a folder of that name nor recordings of a game called so in data/; "
        "record some with `dvc repro collect`."
    )
