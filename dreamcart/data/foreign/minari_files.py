"""Minari's datasets, in both of its formats: hdf5, and Arrow, which `record.py minari` writes.

Minari itself is not needed: hdf5 is read with h5py, Arrow with what Dreamcart has.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dreamcart.core.errors import UserError
from dreamcart.core.files import read_json
from dreamcart.data.foreign.base import Episode, ForeignDataset
from dreamcart.data.foreign.files import kept
from dreamcart.data.foreign.hdf5 import import_h5py
from dreamcart.data.foreign.minari_storage import (
    ABOUT,
    FIELDS,
    MAIN,
    REMEDY,
    Stored,
    numbered,
    of_arrow,
    of_hdf5,
)


def minari_data(folder: Path) -> Path | None:
    """The folder with Minari's data, this one or `data` in it; None where there is none."""
    for place in (folder / "data", folder):
        if (place / MAIN).exists() or ((place / ABOUT).is_file() and numbered(place)):
            return place
    return None


class MinariFolder(ForeignDataset):
    """A dataset of Minari whose observations are one picture a step.

    Raises UserError where they are none, or what is there is damaged.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.place = minari_data(folder) or folder
        about = self.place / ABOUT
        self.about = read_json(kept(folder, about), REMEDY) if about.exists() else {}
        self.about = self.about if isinstance(self.about, dict) else {}
        # `record.py minari` writes the names of the places into the description
        said = re.search(r"Buttons: ([\w ,-]+)\.$", str(self.about.get("description") or ""))
        self.recorded_as = said[1].split(", ") if said else None
        self.columns = {name: name for name in ("observations", "actions", *FIELDS)}
        self.hdf5 = (self.place / MAIN).exists()
        if self.hdf5:
            import_h5py()

    def episodes(self) -> Iterator[Episode]:
        """Yield the episodes by number."""
        main = self.place / MAIN
        found = (
            of_hdf5(self.folder, main)
            if self.hdf5
            else of_arrow(self.folder, self.place, self._space())
        )
        for stored in found:
            self.ignored += stored.ignored
            if stored.infos:
                self.columns["infos"] = "infos"
            yield Episode(stored.name, _rows(stored), stored.images)

    def _space(self) -> Any:
        """What metadata.json says of the observations: JSON in JSON."""
        try:
            return json.loads(self.about.get("observation_space") or "null")
        except (ValueError, TypeError, RecursionError):
            return None


def _rows(stored: Stored) -> list[dict[str, Any]]:
    """Rows as `Episode` has them; the last holds no action. Raises UserError."""
    for name, values in {"actions": stored.actions, **stored.fields}.items():
        if not isinstance(values, list) or len(values) != stored.frames - 1:
            count = len(values) if isinstance(values, list) else 1
            raise UserError(
                f"{stored.name} has {stored.frames} observations and {count} {name}, and needs one"
                f" observation more than {name}; {REMEDY}."
            )
    rows = [
        {
            "actions": action,
            **{name: values[step] for name, values in stored.fields.items()},
        }
        for step, action in enumerate(stored.actions)
    ]
    rows.append({"actions": None})
    for step, row in enumerate(rows):
        row["seed"] = stored.seed
        row["infos"] = {name: values[step] for name, values in stored.infos.items()}
    return rows
