"""Recordings made elsewhere: a Hugging Face dataset, from the Hub or from a folder, read as
canonical episodes.

Columns are found by name, in the spelling of the first gymnasium-recorder (`image`, `action`), of
its later ones and Dreamcart's (`observations`, `actions`), and of others; actions are bound to
buttons by name (see `actions`). A report says what was made of what.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from dreamcart.core.errors import UserError, shown
from dreamcart.core.files import read_json
from dreamcart.data.actions import AUTO, Binding, bind, held_part
from dreamcart.data.canonical import canonical_rows, episode_name, is_null
from dreamcart.data.images import image_format
from dreamcart.data.reader import missing_episodes
from dreamcart.data.schema import INFO_NAME, checked_info
from dreamcart.data.sources import image_file, local_folder, open_rows
from dreamcart.games.spec import GameSpec

# Canonical column → the names that it goes by; the first three are needed.
NAMES = {
    "episode_id": ("episode_id", "episode"),
    "observations": ("observations", "observation", "image", "frame"),
    "actions": ("actions", "action"),
    "step": ("step",),
    "seed": ("seed",),
    "rewards": ("rewards", "reward"),
    "terminations": ("terminations", "termination", "terminated", "done"),
    "truncations": ("truncations", "truncation", "truncated"),
    "infos": ("infos", "info"),
}
NEEDED = ("episode_id", "observations", "actions")
MOST_NAMED = 50  # columns that a message lists


@dataclass
class Survey:
    """What a dataset's actions are like: lengths of the lists (1 for a plain number) and the
    largest number.
    """

    names: set[Any] = field(default_factory=set)  # of its episodes
    lengths: set[int] = field(default_factory=set)
    largest: int = 0

    @property
    def episodes(self) -> int:
        return len(self.names)

    def note(self, action: Any) -> None:
        action = held_part(action)
        values = action if isinstance(action, (list, tuple)) else [] if action is None else [action]
        self.lengths.add(len(values))
        self.largest = max([self.largest, *(value for value in values if isinstance(value, int))])

    def note_last(self, action: Any) -> None:
        """The last row of an episode may hold none."""
        if not is_null(action):
            self.note(action)


class ExternalDataset:
    """A dataset by folder or Hub id, streamed: nothing of it is held, and of the Hub only what is
    read is fetched.

    Raises:
        UserError: it cannot be had, lacks columns, or is of an unknown schema version.
    """

    def __init__(self, source: str, revision: str = "") -> None:
        self.source, self.folder = source, local_folder(source)
        self.info = _read_info(source, self.folder, revision)
        self.data = open_rows(source, revision)
        found = self.data.columns
        self.columns = {}
        for canonical, names in NAMES.items():
            name = next((name for name in names if name in found), None)
            if name is not None:
                self.columns[canonical] = name
            elif canonical in NEEDED:
                has = ", ".join(_plain(found)) or "none"
                raise UserError(
                    f"The dataset {source} lacks a column {' or '.join(map(repr, names))}; it has"
                    f" {has}."
                )
        self.ignored = _plain(sorted(set(found) - set(self.columns.values())))
        self.formats: Counter[str] = Counter()
        self.terminal_rows = self.rows = 0

    @property
    def spec(self) -> GameSpec | None:
        """The game that the dataset itself names, where it does."""
        return GameSpec.from_dict(self.info["game"]) if self.info else None

    @cached_property
    def survey(self) -> "Survey":
        """Episodes, and what the actions are like, by reading all but the images.

        Raises UserError where an episode is in pieces.
        """
        number, action = self.columns["episode_id"], self.columns["actions"]
        found = Survey()
        last = held = None
        for row in self.read([number, action]):
            name = episode_name(row[number], f"The dataset {self.source}")
            if name != last or not found.names:
                if name in found.names:
                    raise UserError(
                        f"Episode {shown(name)} of {self.source} comes in pieces; sort the dataset"
                        " by episode."
                    )
                found.note_last(held)
                found.names.add(last := name)
            else:
                found.note(held)
            held = row[action]
        if not found.names:
            raise UserError(f"The dataset {self.source} has no rows.")
        found.note_last(held)
        return found

    @property
    def missing(self) -> int | None:
        """The first episode that its dataset_info.json tells of and that is not there, or None."""
        names = self.survey.names
        return (
            next(missing_episodes(self.info, names), None)
            if self.info and all(type(n) is int for n in names)
            else None
        )

    def bind(self, spec: GameSpec, said: str = AUTO) -> Binding:
        """What its actions mean in the game `spec`, or as a person has `said`.

        Raises UserError where they do not fit.
        """
        recorded_as = self.info["game"]["buttons"] if self.info else None
        return bind(spec, self.survey.lengths, self.survey.largest, recorded_as, said)

    def episodes_of(
        self, spec: GameSpec, binding: Binding, first: int = 0
    ) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        """Each episode, numbered from `first`: what messages call it, and its canonical rows.

        `observations` is an image's file, bytes: decoded, a long episode would fill the memory.
        """
        episode: list[dict[str, Any]] = []
        number = first
        for row in self.read(list(self.columns.values())):
            row = {canonical: row[name] for canonical, name in self.columns.items()}
            if episode and row["episode_id"] != episode[0]["episode_id"]:
                yield self._canonical(episode, number, spec, binding)
                episode, number = [], number + 1
            row["observations"] = image_bytes(row["observations"])
            episode.append(row)
        if episode:
            yield self._canonical(episode, number, spec, binding)

    def read(self, columns: list[str]) -> Iterator[dict[str, Any]]:
        """Rows with these of its own columns, as they come; images are files, {"bytes": …}."""
        images = self.columns["observations"]
        for row in self.data.read(columns):
            if images in row:
                row[images] = {
                    "bytes": image_file(row[images], self.folder, f"An image of {self.source}"),
                    "path": None,
                }
            yield row

    def _canonical(
        self, episode: list[dict[str, Any]], number: int, spec: GameSpec, binding: Binding
    ) -> tuple[str, list[dict[str, Any]]]:
        name = f"{shown(episode[0]['episode_id'])} of {self.source}"
        rows = canonical_rows(
            episode, number, lambda action: binding.to_buttons(action, spec), f"Episode {name}"
        )
        self.terminal_rows += is_null(episode[-1]["actions"])
        self.rows += len(rows)
        self.formats.update(image_format(row["observations"]) for row in rows)
        return f"episode {name}", rows

    @property
    def lossy(self) -> list[str]:
        """Formats among the images read so far that lose detail, and what an earlier import said of
        them.
        """
        return sorted(
            (set(self.formats) & {"JPEG", "WebP (lossy)"}) | set((self.info or {}).get("lossy", []))
        )

    def report(self, binding: Binding) -> dict[str, Any]:
        """What was made of what, once the rows were read."""
        return {
            "source": self.source,
            "episodes": self.survey.episodes,
            "frames": self.rows,
            "columns": self.columns,
            "ignored": self.ignored,
            "actions": binding.says,
            "presses_lost": binding.lost,
            "missing": self.missing,
            "images": dict(self.formats),
            "lossy": self.lossy,
            "terminal_rows": self.terminal_rows,
        }


def _plain(names: list[str]) -> list[str]:
    """Names of columns as a sentence or a report repeats them: not too many, each on one line."""
    return [shown(name)[1:-1] for name in names[:MOST_NAMED]] + ["…"] * (len(names) > MOST_NAMED)


def image_bytes(image: dict[str, Any]) -> bytes:
    """The file of an image as `ExternalDataset.read` has it."""
    return image["bytes"]


def _read_info(source: str, folder: Path | None, revision: str) -> dict[str, Any] | None:
    """Read dataset_info.json of a source that is Dreamcart's. Raises UserError."""
    if folder is None and not revision:
        raise UserError(
            f"collect.source is the Hub dataset {shown(source)}, so collect.revision must pin one"
            " of its commits (a branch moves, and the run could not be repeated)."
        )
    path = _from_hub(source, revision) if folder is None else folder / INFO_NAME
    if path is None or not path.is_file():
        return None
    info = read_json(path, "fetch the dataset again")
    if not isinstance(info, dict) or "schema_version" not in info:
        return None  # `datasets` has a file of that name as well
    return checked_info(info, f"{INFO_NAME} of {source}")


def _from_hub(source: str, revision: str) -> Path | None:
    from huggingface_hub.errors import RemoteEntryNotFoundError

    from dreamcart.core.hub import hub_api, patiently

    def ask() -> Path | None:
        try:
            return Path(
                hub_api().hf_hub_download(source, INFO_NAME, repo_type="dataset", revision=revision)
            )
        except RemoteEntryNotFoundError:
            return None

    return patiently(source, ask)
