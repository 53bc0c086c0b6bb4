"""Turns names into paths: the one place where a name that somebody wrote becomes a path.

A name may come from params.yaml, a command line, a dataset or a cart. None of them leads out of its
folder. Paths carry the game, so that games do not overwrite each other. A name with a slash is a
folder in a folder (data/ALE/Assault-v5/raw): DVC puts `game` into its paths as it stands.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from dreamcart.core.errors import UserError, shown

ROOT = Path(__file__).resolve().parents[2]  # the checkout
NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)*", re.ASCII)
LONGEST_NAME = 100  # characters: file systems allow 255 in a part, and files get endings


def game_name(name: object) -> str:
    """Return `name` where it can name a game.

    Raises UserError for anything but parts of letters between single slashes.
    """
    if not isinstance(name, str) or not NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        raise UserError(
            f"{shown(name)} cannot name a game: names are letters, digits and . _ - between single"
            f" slashes, {LONGEST_NAME} characters at most."
        )
    return name


def plain_name(text: str, otherwise: str = "dataset") -> str:
    """Make a plain name of any text, such as a folder's;

    `otherwise` where nothing of it is left.
    """
    return re.sub(r"[^\w.-]", "_", text, flags=re.ASCII).lstrip("._-")[:LONGEST_NAME] or otherwise


def below(folder: Path, *names: str) -> Path:
    """Join names to a folder that is ours.

    Raises UserError where a name is no plain one (see `game_name`).
    """
    return folder.joinpath(*map(game_name, names))


def inside(folder: Path, relative: str) -> Path:
    """Join a relative path that somebody else wrote to `folder`, links followed.

    Raises UserError where it would lead out of the folder: by .., an absolute path or a link.
    """
    try:
        path = (folder / relative).resolve()
    except (OSError, ValueError, RuntimeError, TypeError):
        # a circle of links, a null byte, no text
        path = None
    if path is None or not path.is_relative_to(folder.resolve()):
        raise UserError(
            f"The path {shown(relative)} does not stay inside {folder}; correct it, or leave it"
            " out."
        )
    return path


def games_folder() -> Path:
    """The folder that holds a folder for each game."""
    return ROOT / "games"


def game_folder(name: str) -> Path:
    """The folder of games/ that a name means; it need not be there.

    Raises UserError for no plain name.
    """
    return below(games_folder(), name)


def hub_folder(repo_id: str) -> Path:
    """Where a Hub dataset is pulled to, data/hub/OWNER__NAME.

    Raises UserError for no plain name.
    """
    return below(ROOT / "data" / "hub", repo_id.replace("/", "__"))


@dataclass(frozen=True)
class Paths:
    """Files and folders of one game. Raises UserError for a name that is no plain relative path."""

    game: str

    def __post_init__(self) -> None:
        game_name(self.game)

    def _at(self, top: str, *names: str) -> Path:
        return below(ROOT / top, self.game, *names)

    @property
    def spec(self) -> Path:
        """What recordings of the game depend on."""
        return self._at("data", "game.json")

    @property
    def reader(self) -> Path:
        """What judging its dreams depends on besides."""
        return self._at("data", "reader.json")

    @property
    def raw(self) -> Path:
        """Recorded play for training and validation."""
        return self._at("data", "raw")

    @property
    def raw_test(self) -> Path:
        """Recorded play for the test; only rollout_eval opens it."""
        return self._at("data", "raw_test")

    @property
    def recordings(self) -> Path:
        """What people recorded, a folder a session;

        `collect.recordings` names those to learn from.
        """
        return below(ROOT / "data" / "recordings", self.game)

    @property
    def processed(self) -> Path:
        """Frames and buttons as models read them."""
        return self._at("data", "processed")

    @property
    def latents(self) -> Path:
        """The latent of every distinct frame."""
        return self._at("data", "latents")

    @property
    def models(self) -> Path:
        """The trained model."""
        return self._at("models")

    @property
    def metrics(self) -> Path:
        """Measured numbers."""
        return self._at("metrics")

    @property
    def plots(self) -> Path:
        """Pictures and curves."""
        return self._at("plots")

    @property
    def clips(self) -> Path:
        """GIFs that a player saves."""
        return self._at("plots", "clips")

    @property
    def verify(self) -> Path:
        """Pictures of the first differences that `record.py verify` finds."""
        return self._at("plots", "verify")

    @property
    def cart(self) -> Path:
        """The cart that comes with Dreamcart."""
        return below(ROOT / "carts", f"{self.game}.cart")

    @property
    def own_cart(self) -> Path:
        """The cart of the model that is trained here."""
        return self._at("models", "dream.cart")

    def checkpoint(self, stage: str, key: str) -> Path:
        """Where a stage keeps its checkpoint: outside its outputs, which DVC deletes before a run.

        DREAMCART_CHECKPOINTS names another folder: clones of the repository that share the work
        share it too.
        """
        top = Path(os.environ.get("DREAMCART_CHECKPOINTS") or ROOT / "checkpoints")
        return below(top, self.game, f"{stage}-{key}.safetensors")
