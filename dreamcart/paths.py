"""Where a game's things are kept. Paths carry the game, so that games do not overwrite each other."""

from dataclasses import dataclass
from pathlib import Path

from dreamcart.errors import ROOT


@dataclass(frozen=True)
class Paths:
    """Folders of one game."""

    game: str

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
        """Where a stage keeps its checkpoint: outside its outputs, which DVC deletes before a run."""
        return ROOT / "checkpoints" / self.game / f"{stage}-{key}.safetensors"
