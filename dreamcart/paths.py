"""Where a game's things are kept. Paths carry the game, so that games do not overwrite each other.

A name with a slash is a folder in a folder (data/ALE/Assault-v5/raw): DVC puts `game` into its paths as it stands.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from dreamcart.errors import ROOT, UserError


@dataclass(frozen=True)
class Paths:
    """Folders of one game. Raises UserError for a name that is no plain relative path."""

    game: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\w[\w.-]*(/\w[\w.-]*)*", self.game, re.ASCII):
            raise UserError(f"{self.game!r} cannot name a game: names are letters, digits and . _ - between single slashes.")

    @property
    def spec(self) -> Path:
        """What recordings of the game depend on."""
        return ROOT / "data" / self.game / "game.json"

    @property
    def reader(self) -> Path:
        """What judging its dreams depends on besides."""
        return ROOT / "data" / self.game / "reader.json"

    @property
    def raw(self) -> Path:
        """Recorded play for training and validation."""
        return ROOT / "data" / self.game / "raw"

    @property
    def raw_test(self) -> Path:
        """Recorded play for the test; only rollout_eval opens it."""
        return ROOT / "data" / self.game / "raw_test"

    @property
    def recordings(self) -> Path:
        """What people recorded, a folder a session; `collect.recordings` names those to learn from."""
        return ROOT / "data" / "recordings" / self.game

    @property
    def processed(self) -> Path:
        return ROOT / "data" / self.game / "processed"

    @property
    def latents(self) -> Path:
        return ROOT / "data" / self.game / "latents"

    @property
    def models(self) -> Path:
        return ROOT / "models" / self.game

    @property
    def metrics(self) -> Path:
        return ROOT / "metrics" / self.game

    @property
    def plots(self) -> Path:
        return ROOT / "plots" / self.game

    def checkpoint(self, stage: str, key: str) -> Path:
        """Where a stage keeps its checkpoint: outside its outputs, which DVC deletes before a run.

        DREAMCART_CHECKPOINTS names another folder: clones of the repository that share the work share it too.
        """
        return Path(os.environ.get("DREAMCART_CHECKPOINTS") or ROOT / "checkpoints") / self.game / f"{stage}-{key}.safetensors"
