"""Recordings made elsewhere become the canonical raw dataset, with a report of what was made of
what.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from dreamcart.core.errors import UserError
from dreamcart.core.files import fingerprint, write_json
from dreamcart.data.actions import Binding
from dreamcart.data.external import ExternalDataset
from dreamcart.data.foreign import open_foreign
from dreamcart.data.foreign.base import ForeignDataset, Streamed
from dreamcart.data.images import decode_image
from dreamcart.data.schema import INFO_NAME, SCHEMA_VERSION, ShardWriter
from dreamcart.data.sources import check_apart, local_folder
from dreamcart.data.whole import fresh
from dreamcart.games.spec import GameSpec
from dreamcart.params import CollectConfig

ROWS_IN_SHARD = 20_000  # about: a shard ends with an episode
MOST_HELD = 2**25  # bytes of images in memory after which it ends as well
CONVERT = "bring its shard back, or keep what is left by `python stages/record.py convert`"
# which dataset_info.json may name, and which are carried over
VERSIONS = ("emulator", "emulator_version", "rom_sha1")


def open_dataset(source: str, revision: str) -> ExternalDataset | ForeignDataset:
    """Open a folder, whichever tool wrote it, or a dataset of the Hub.

    Raises UserError where it cannot be had, or is of no known format.
    """
    folder = local_folder(source)
    return (open_foreign(folder) if folder else None) or ExternalDataset(source, revision)


def report_of(
    data: ExternalDataset | ForeignDataset, spec: GameSpec, binding: Binding
) -> dict[str, Any]:
    """Return what was made of what, once the rows were read; of other tools also remarks."""
    remarks = {"remarks": data.remarks(spec)} if isinstance(data, ForeignDataset) else {}
    return data.report(binding) | remarks


def report_lines(report: dict[str, Any]) -> list[str]:
    """The report of an import in words."""
    renamed = ", ".join(
        f"{name} → {canonical}" if name != canonical else name
        for canonical, name in report["columns"].items()
    )
    lines = [
        f"{report['episodes']} episodes, {report['frames']} frames from {report['source']}",
        f"columns: {renamed}"
        + (f"; not used: {', '.join(report['ignored'])}" if report["ignored"] else ""),
        f"actions: {report['actions']}",
        "images: " + ", ".join(f"{count} {name}" for name, count in report["images"].items()),
    ]
    if report["lossy"]:
        lines.append(
            f"{' and '.join(report['lossy'])} lost detail when it was recorded: frames that were"
            " equal may differ now"
        )
    if report["missing"] is not None:
        lines.append(
            f"episode {report['missing']} is missing in the source, and perhaps others: what is"
            " there was numbered anew"
        )
    if report["presses_lost"]:
        lost = ", ".join(f"{count} of {name}" for name, count in report["presses_lost"].items())
        lines.append(f"presses of buttons that the game does not have, left out: {lost}")
    if report["terminal_rows"] < report["episodes"]:
        lines.append(
            "episodes without a final screen end one step earlier: what their last action led to"
            " was not recorded"
        )
    return [*lines, *report.get("remarks", [])]


class EpisodeWriter:
    """Writes episodes into shards of about ROWS_IN_SHARD rows, named by their first episode.

    A context manager: left by an exception it leaves no half-written shard.
    """

    def __init__(self, folder: Path, images: str) -> None:
        """images: their format, see `images.ENCODERS`."""
        self.folder, self.images = folder, images
        self.shard: ShardWriter | None = None
        self.rows = 0
        # an image's file, and the frame in it
        self.last: tuple[bytes | None, np.ndarray | None] = (None, None)
        self.size: tuple[int, ...] | None = None  # of all its frames

    def __enter__(self) -> "EpisodeWriter":
        return self

    def __exit__(self, *failure: Any) -> None:
        if failure[0] is None:
            self.close()
        elif self.shard is not None:
            self.shard.__exit__(*failure)

    def add(self, name: str, episode: Sequence[dict[str, Any]]) -> None:
        """Append an episode as `episodes_of` of a dataset has it.

        Raises UserError where an image is damaged, or of another size than those before.
        """
        if self.shard is None or self.rows >= ROWS_IN_SHARD:
            self.close()
            path = self.folder / f"play-{episode[0]['episode_id']:05d}.parquet"
            self.shard, self.rows = ShardWriter(path, self.images), 0
        for row in episode:
            self.shard.add(
                row
                | {
                    "observations": self._frame(
                        row["observations"], f"The image at step {row['step']} of {name}"
                    )
                }
            )
        self.rows += len(episode)
        if isinstance(episode, Streamed) and self.shard.encoder.size > MOST_HELD:
            self.close()  # no frame of a video comes twice, and a shard holds all

    def _frame(self, content: bytes, what: str) -> np.ndarray:
        """An image's frame, one at a time; one that comes again at once is the very same array."""
        if content != self.last[0]:
            frame = decode_image(content, what)
            self.size = self.size or frame.shape[:2]
            if frame.shape[:2] != self.size:
                raise UserError(
                    f"{what} is {frame.shape[0]} x {frame.shape[1]}, and those before are"
                    f" {self.size[0]} x {self.size[1]}: the frames of a dataset are of one size, so"
                    " leave that episode out."
                )
            self.last = (content, frame)
        return self.last[1]

    def close(self) -> None:
        """Give the last shard its name."""
        shard, self.shard = self.shard, None
        if shard is not None:
            shard.close()


def import_recordings(
    spec: GameSpec, config: CollectConfig, play: Path, test: Path
) -> dict[str, Any]:
    """Convert `config.source` into the raw datasets `play` and `test`.

    The last `test_episodes` episodes (at most a fifth of them) become the test. Returns a report.

    Raises:
        UserError: the source cannot be had, lacks columns or episodes, lies where the import goes,
            is another than `config.revision` pins, or has actions that do not fit the game; once
            its images are read, both folders are gone then.
    """
    check_apart(config.source, "collect.source", play, test)
    revision = _pinned(config)
    data = open_dataset(config.source, config.revision)
    if data.survey.episodes < 3:
        raise UserError(
            f"The dataset {config.source} has {data.survey.episodes} episodes; training, validation"
            " and test need three at least."
        )
    if data.missing is not None:
        raise UserError(f"The dataset {config.source} lacks episode {data.missing}: {CONVERT}.")
    binding = data.bind(spec, config.actions)
    held_out = min(config.test_episodes, max(1, data.survey.episodes // 5))
    test_from = data.survey.episodes - held_out
    with fresh(play, test):
        with EpisodeWriter(play, spec.images) as first, EpisodeWriter(test, spec.images) as second:
            episodes = data.episodes_of(spec, binding)
            bar = tqdm(
                episodes, total=data.survey.episodes, unit="episode", desc=f"import {config.source}"
            )
            for number, (name, rows) in enumerate(bar):
                (second if number >= test_from else first).add(name, rows)
        for folder, numbers in (
            (play, range(test_from)),
            (test, range(test_from, data.survey.episodes)),
        ):
            write_json(folder / INFO_NAME, imported_info(spec, data, revision, numbers))
    return report_of(data, spec, binding) | {"revision": revision, "test_episodes": held_out}


def _pinned(config: CollectConfig) -> str:
    """What pins the source: a commit, or a folder's fingerprint.

    Raises UserError for another folder than was pinned.
    """
    folder = local_folder(config.source)
    if folder is None:
        return config.revision  # `ExternalDataset` insists on one
    files = (path for path in folder.rglob("*") if path.is_file())
    # what begins with a dot is no data: a download's own notes, which the next one writes anew
    now = fingerprint(
        *sorted(path for path in files if not path.relative_to(folder).as_posix().startswith("."))
    )
    if config.revision and config.revision != now:
        raise UserError(
            f"collect.revision pins {config.source} at {config.revision}, and the folder's"
            f" fingerprint is {now}: write that, or bring back what it held."
        )
    return now


def imported_info(
    spec: GameSpec,
    data: ExternalDataset | ForeignDataset,
    revision: str,
    numbers: range,
) -> dict[str, Any]:
    """dataset_info.json of the episodes `numbers` of what was imported: the emulator is the
    source's.
    """
    versions = {name: data.info[name] for name in VERSIONS if data.info and name in data.info}
    origin = {"source": data.source, "revision": revision, "lossy": data.lossy}
    episodes = {"first_episode": numbers.start, "episodes": numbers.stop}
    return {
        "schema_version": SCHEMA_VERSION,
        "game": spec.to_dict(),
        **episodes,
        **origin,
        **versions,
    }
