"""Recordings made elsewhere: a Hugging Face dataset, from the Hub or from a folder, read as canonical episodes.

Columns are found by name, in the spelling of the first gymnasium-recorder (`image`, `action`), of its later ones and
Dreamcart's (`observations`, `actions`), and of others; actions are bound to buttons by name (see `actions`). A report
says what was made of what.
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from dreamcart.data.actions import AUTO, Binding, bind, held_part
from dreamcart.data.schema import INFO_NAME, SCHEMA_VERSION
from dreamcart.errors import UserError
from dreamcart.games.spec import GameSpec
from dreamcart.huggingface import explain

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
MOST_RETRIES = 2  # of a read from the Hub: `datasets` waits 5 seconds before each, 20 where it is down, 60 where it is busy


@dataclass
class Survey:
    """What a dataset's actions are like: lengths of the lists (1 for a plain number) and the largest number."""

    episodes: int = 0
    lengths: set[int] = field(default_factory=set)
    largest: int = 0

    def note(self, action: Any) -> None:
        action = held_part(action)
        values = action if isinstance(action, (list, tuple)) else [] if action is None else [action]
        self.lengths.add(len(values))
        self.largest = max([self.largest, *(value for value in values if isinstance(value, int))])

    def note_last(self, action: Any) -> None:
        """The last row of an episode may hold none."""
        if not _is_null(action):
            self.note(action)


class ExternalDataset:
    """A dataset by folder or Hub id, streamed: nothing of it is held, and of the Hub only what is read is fetched.

    Raises:
        UserError: it cannot be had, lacks columns, or is of an unknown schema version.
    """

    def __init__(self, source: str, revision: str = "") -> None:
        self.source = source
        self.info = _read_info(source, revision)
        self.data = _open(source, revision)
        found = self.data.column_names or list(self._first_row())
        self.columns = {}
        for canonical, names in NAMES.items():
            name = next((name for name in names if name in found), None)
            if name is not None:
                self.columns[canonical] = name
            elif canonical in NEEDED:
                has = ", ".join(found)
                raise UserError(f"The dataset {source} lacks a column {' or '.join(map(repr, names))}; it has {has}.")
        self.ignored = sorted(set(found) - set(self.columns.values()))
        self.formats: Counter[str] = Counter()
        self.terminal_rows = self.rows = 0

    @property
    def spec(self) -> GameSpec | None:
        """The game that the dataset itself names, where it does."""
        return GameSpec.from_dict(self.info["game"]) if self.info else None

    def _first_row(self) -> dict[str, Any]:
        for row in self.data:
            return row
        raise UserError(f"The dataset {self.source} has no rows.")

    @cached_property
    def survey(self) -> "Survey":
        """Episodes, and what the actions are like, by reading all but the images.

        Raises UserError where an episode is in pieces.
        """
        number, action = self.columns["episode_id"], self.columns["actions"]
        found = Survey()
        seen: set[Any] = set()
        last = held = None
        for row in self.read([number, action]):
            if row[number] != last or not seen:
                if row[number] in seen:
                    raise UserError(f"Episode {row[number]!r} of {self.source} comes in pieces; sort the dataset by episode.")
                found.note_last(held)
                seen.add(last := row[number])
            else:
                found.note(held)
            held = row[action]
        if not seen:
            raise UserError(f"The dataset {self.source} has no rows.")
        found.note_last(held)
        found.episodes = len(seen)
        return found

    def bind(self, spec: GameSpec, said: str = AUTO) -> Binding:
        """What its actions mean in the game `spec`, or as a person has `said`. Raises UserError where they do not fit."""
        recorded_as = self.info["game"]["buttons"] if self.info else None
        return bind(spec, self.survey.lengths, self.survey.largest, recorded_as, said)

    def episodes_of(self, spec: GameSpec, binding: Binding, first: int = 0) -> Iterator[list[dict[str, Any]]]:
        """Each episode as canonical rows (see `schema`), numbered from `first`; `observations` is an image's file, bytes."""
        episode: list[dict[str, Any]] = []
        number = first
        for row in self.read(list(self.columns.values())):
            row = {canonical: row[name] for canonical, name in self.columns.items()}
            if episode and row["episode_id"] != episode[0]["episode_id"]:
                yield self._canonical(episode, number, spec, binding)
                episode, number = [], number + 1
            episode.append(row)
        if episode:
            yield self._canonical(episode, number, spec, binding)

    def read(self, columns: list[str]) -> Iterator[dict[str, Any]]:
        """Rows with these of its own columns, as they come, images not decoded."""
        import datasets

        try:
            data = self.data.select_columns(columns)
            if self.columns["observations"] in columns:
                data = data.cast_column(self.columns["observations"], datasets.Image(decode=False))
            yield from data
        except UserError:
            raise
        except Exception as problem:
            raise _unreadable(self.source, problem) from None

    def _canonical(self, episode: list[dict[str, Any]], number: int, spec: GameSpec, binding: Binding) -> list[dict[str, Any]]:
        """The rows of one episode, images still files: decoded, a long one would fill the memory.

        Where the last row still holds an action its successor was never recorded: the action is dropped and the
        frame becomes the final observation.
        """
        name = episode[0]["episode_id"]
        if len(episode) < 2:
            raise UserError(f"Episode {name} of the dataset has a single observation; leave it out.")
        steps = [row.get("step", step) for step, row in enumerate(episode)]
        if [int(step) - int(steps[0]) for step in steps] != list(range(len(episode))):
            raise UserError(f"Episode {name} of the dataset has steps missing or out of order; sort it or leave it out.")
        whole = _is_null(episode[-1]["actions"])
        self.terminal_rows += whole
        self.rows += len(episode)
        rows = []
        for step, row in enumerate(episode):
            content = image_bytes(row["observations"])
            self.formats[_format(content)] += 1
            last = step == len(episode) - 1
            dropped = last and not whole
            terminated = bool(row.get("terminations")) and not dropped
            cut = bool(row.get("truncations")) and not dropped
            rows.append(
                {
                    "episode_id": number,
                    "step": step,
                    "seed": int(row.get("seed") or 0),
                    "observations": content,
                    "actions": None if last else binding.to_buttons(row["actions"], spec),
                    "rewards": 0.0 if dropped else float(row.get("rewards") or 0.0),
                    "terminations": terminated,
                    # the recording ends here, whatever its last step says
                    "truncations": not terminated if step == len(episode) - 2 else cut and whole,
                    "infos": _infos(row.get("infos")),
                }
            )
        return rows

    @property
    def lossy(self) -> list[str]:
        """Formats among the images read so far that lose detail, and what an earlier import said of them."""
        return sorted((set(self.formats) & {"JPEG", "WebP (lossy)"}) | set((self.info or {}).get("lossy", [])))

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
            "images": dict(self.formats),
            "lossy": self.lossy,
            "terminal_rows": self.terminal_rows,
        }


def _read_info(source: str, revision: str) -> dict[str, Any] | None:
    """dataset_info.json, where the source is Dreamcart's. Raises UserError for an unknown version."""
    folder = Path(source).expanduser()
    if folder.is_dir():
        path = folder / INFO_NAME
    else:
        if not revision:
            raise UserError(
                f"collect.source is the Hub dataset {source!r}, so collect.revision must pin one of its commits "
                "(a branch moves, and the run could not be repeated)."
            )
        path = _from_hub(source, revision)
    if path is None or not path.is_file():
        return None
    try:
        info = json.loads(path.read_text())
    except ValueError:
        raise UserError(f"{INFO_NAME} of {source} is damaged (not JSON); fetch the dataset again.") from None
    if not isinstance(info, dict) or "schema_version" not in info:
        return None  # `datasets` has a file of that name as well
    if info["schema_version"] != SCHEMA_VERSION:
        raise UserError(
            f"The dataset {source} has schema version {info['schema_version']!r}, and this Dreamcart reads version "
            f"{SCHEMA_VERSION}: use the Dreamcart that wrote it."
        )
    return info


def _from_hub(source: str, revision: str) -> Path | None:
    from huggingface_hub.errors import RemoteEntryNotFoundError

    from dreamcart.huggingface import hub_api, patiently

    def ask() -> Path | None:
        try:
            return Path(hub_api().hf_hub_download(source, INFO_NAME, repo_type="dataset", revision=revision))
        except RemoteEntryNotFoundError:
            return None

    return patiently(source, ask)


def _open(source: str, revision: str) -> Any:
    """The source as a streaming `datasets` iterable."""
    import datasets

    folder = Path(source).expanduser()
    try:
        if not folder.is_dir():
            datasets.config.STREAMING_READ_MAX_RETRIES = MOST_RETRIES
            return datasets.load_dataset(source, revision=revision, split="train", streaming=True)
        files = sorted(str(path) for path in folder.rglob("*.parquet"))
        if files:
            return datasets.load_dataset("parquet", data_files=files, split="train", streaming=True)
        data = datasets.load_from_disk(str(folder))
        return (data["train"] if isinstance(data, datasets.DatasetDict) else data).to_iterable_dataset()
    except Exception as problem:  # the Hub's and Arrow's errors share no base class
        raise _unreadable(source, problem) from None


def _unreadable(source: str, problem: Exception) -> UserError:
    told = None if Path(source).expanduser().is_dir() else explain(problem, source)
    what = f"{type(problem).__name__}: {(str(problem).splitlines() or [''])[0][:200]}"
    return UserError(told or f"Cannot read the dataset {source}: {what}; check its name, revision, files and the network.")


def image_bytes(image: dict[str, Any]) -> bytes:
    """The file of an undecoded image. Raises UserError where it is named and not there."""
    if image["bytes"] is not None:
        return image["bytes"]
    try:
        return Path(image["path"]).read_bytes()
    except (OSError, TypeError):
        raise UserError(f"The dataset's image file {image['path']} is missing; copy the images along with it.") from None


def _format(content: bytes) -> str:
    """Name of an image's format, from its first bytes."""
    if content[:3] == b"\xff\xd8\xff":
        return "JPEG"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "WebP" if b"VP8L" in content[12:64] else "WebP (lossy)"
    return "PNG" if content[:8] == b"\x89PNG\r\n\x1a\n" else "other"


def _is_null(action: Any) -> bool:
    if isinstance(action, dict):
        action = action.get("binary")
    return action is None or action == []


def _infos(value: Any) -> dict[str, Any]:
    """Emulator variables, where the recording has them as a JSON object or a mapping."""
    try:
        value = json.loads(value) if isinstance(value, str) else value
    except json.JSONDecodeError:
        value = None
    return value if isinstance(value, dict) else {}
