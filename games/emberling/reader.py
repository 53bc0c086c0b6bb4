"""Reads Emberling's screen back into game terms, from pixels alone, as a person would: the status
bar's numbers and words, and where the player is.

The pictures come from src/ (font, tiles and sprites), the colours are the emulator's. No emulator
is needed. `reader_checker.py` beside it judges sequences of what this reads.
"""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

HERE = Path(__file__).resolve().parent
SHAPE = (224, 240, 3)
CROP = 8  # pixels that the emulator cuts off every edge
BAR, TOP = 16, 24  # lines of the status bar that hold its words; first line below its edge
SIZE = 16  # of the player's sprite
FOOT = 209  # a player whose top is this low is cut by the edge of the picture and not read

# Root mean square over a cell's 192 values, of 255, up to which it still counts as a character: a
# decoder may shimmer. The two digits most alike are 45 apart, D and O 38.
TOLERANCE = 19.0
SPRITE_TOLERANCE = 60.0  # likewise over the opaque pixels of a sprite
DARK = 6.0  # mean value below the bar up to which that is dark

# Palettes as stable-retro's NES core shows them: golden text, white text, the player.
GOLD = np.array([(0, 0, 0), (64, 44, 0), (240, 188, 56), (248, 228, 160)], np.uint8)
COLD = np.array([(0, 0, 0), (32, 24, 136), (56, 188, 248), (248, 252, 248)], np.uint8)
PLAYER = np.array([(0, 0, 0), (160, 0, 0), (248, 152, 56), (248, 216, 168)], np.uint8)
POSES = ("idle1", "idle2", "run1", "run2", "run3", "jump", "fall", "out")
OUTLINE_NEAR = 48  # of each channel, within which a pixel counts as the player's outline
OUTLINE_LEAST = 14  # such pixels in 16 x 16 without which no player is looked for
MESSAGES = ("NONE", "PAUSED", "OVER", "READY", "DONE")  # by the RAM variable `message`
METRICS = ("player", "player_near", "points", "lives", "level")
NEAR = 4  # pixels


def load_sibling(path: Path):
    """Load a module from its file: the folders of games are no packages."""
    spec = importlib.util.spec_from_file_location(f"emberling_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Reader:
    """Turns frames into dicts. Stateless: one serves many sequences.

    Attributes:
        shape: of the frames that it reads, (224, 240, 3); field: what is below the status bar.
    """

    shape = SHAPE
    field = (slice(TOP, SHAPE[0]), slice(0, SHAPE[1]))

    def __init__(self) -> None:
        self.assets = load_sibling(HERE / "src" / "assets.py")
        art = self.assets.Art()
        planes = np.unpackbits(np.frombuffer(art.back.data, np.uint8)).reshape(-1, 2, 8, 8)
        tiles = planes[:, 0] + 2 * planes[:, 1]
        self.letters = " " + "".join(art.font)
        numbers = [art.tile[c.strip()] for c in self.letters]
        self.golden = GOLD[tiles[numbers]].reshape(len(numbers), -1).astype(np.float32)
        self.white = COLD[tiles[numbers]].reshape(len(numbers), -1).astype(np.float32)
        self.texts = [self.assets.TEXTS[name].ljust(10) for name in MESSAGES]
        pictures = self.assets.pictures.read_pictures(HERE / "src" / "sprites.txt")
        sprites = np.array([pictures[name] for name in POSES])
        sprites = np.stack([sprites, sprites[:, :, ::-1]], 1).reshape(-1, SIZE, SIZE)
        self.opaque = (sprites > 0).repeat(3).reshape(len(sprites), -1).astype(np.float32)
        self.sprites = PLAYER[sprites].reshape(len(sprites), -1).astype(np.float32)

    def read(self, frame: np.ndarray) -> dict[str, Any]:
        """Read a frame, uint8 [224, 240, 3].

        Returns:
            scene: "title", "dark" (before a life), "play", or None where the bar is none.
            score, level, lives: the bar's numbers, None where a digit is none.
            message: one of MESSAGES, None where it is none of them.
            player: (x, y), the left column and top row of his sprite, or None.
            pose: one of POSES, or None; players: how many are seen, 2 for more than one.

        Raises:
            ValueError: a frame of another shape or type.
        """
        if frame.shape != SHAPE or frame.dtype != np.uint8:
            raise ValueError(
                f"Emberling's frames are uint8 {SHAPE}, not {frame.dtype} {frame.shape}."
            )
        a = self.assets
        score, level = self._number(frame, a.SCORE, 5), self._number(frame, a.LEVEL, 2)
        lives = self._number(frame, a.LIVES, 1)
        told = self._text(frame, a.TEXT, 10, self.golden)
        message = MESSAGES[self.texts.index(told)] if told in self.texts else None
        labels = self._text(frame, (19, 1), 11, self.golden)
        scene = "play" if labels == "LEVEL LIVES" else None
        if scene is None and self._text(frame, (11, 17), 11, self.white) == "PRESS START":
            scene, score, level, lives, message = "title", None, None, None, None
        place, pose, players = None, None, 0
        if scene == "play" and frame[TOP::4, ::4].mean() < DARK:
            scene = "dark"
        elif scene != "title":
            place, pose, players = self._find(frame)
        return {
            "scene": scene,
            "score": score,
            "level": level,
            "lives": lives,
            "message": message,
            "player": place,
            "pose": pose,
            "players": players,
        }

    def truth(self, variables: dict[str, Any]) -> dict[str, Any]:
        """Tell what the frame must show for a step's RAM variables, as `read` gives it; without
        pose and players.
        """
        scene = "title" if variables["shown_scene"] == 0 else "play"
        if scene == "play" and variables["shown_phase"] == 1:
            scene = "dark"
        bar = scene != "title"
        x = int(variables["shown_x"]) - int(variables["shown_camera"]) - CROP
        y = int(variables["shown_y"]) - CROP
        return {
            "scene": scene,
            "score": int(variables["shown_score"]) if bar else None,
            "level": int(variables["shown_level"]) if bar else None,
            "lives": int(variables["shown_lives"]) if bar else None,
            "message": MESSAGES[variables["shown_message"]] if bar else None,
            "player": (x, y) if scene == "play" and y < FOOT else None,
        }

    def score(self, real: dict[str, Any], dream: dict[str, Any]) -> dict[str, float | None]:
        """Rate what a dreamed frame shows of a real step, 0 or 1. `real` is a `read` or a `truth`.

        - player: 1 where one is shown, player_near: within 4 pixels of his place. None where there
          is none to show.
        - points, lives, level: 1 where the bar's number is right. None on the title.
        """
        scores: dict[str, float | None] = dict.fromkeys(METRICS)
        if real["player"]:
            scores["player"] = float(dream["player"] is not None)
            scores["player_near"] = float(
                dream["player"] is not None
                and max(abs(a - b) for a, b in zip(real["player"], dream["player"], strict=True))
                <= NEAR
            )
        for metric, name in (("points", "score"), ("lives", "lives"), ("level", "level")):
            if real[name] is not None:
                scores[metric] = float(real[name] == dream[name])
        return scores

    def checker(self) -> Any:
        """Make a fresh judge of one sequence of reads."""
        return load_sibling(HERE / "reader_checker.py").Checker()

    def _text(self, frame: np.ndarray, at: tuple[int, int], count: int, letters: Any) -> str | None:
        """Read a row of characters (cells counted as the ROM does); None where one is none."""
        x, y = 8 * at[0] - CROP, 8 * at[1] - CROP
        cells = frame[y : y + 8, x : x + 8 * count].reshape(8, count, 8, 3).swapaxes(0, 1)
        shown = cells.reshape(count, -1).astype(np.float32)
        far = ((shown[:, None] - letters) ** 2).mean(2)
        best = far.argmin(1)
        if far[np.arange(count), best].max() > TOLERANCE**2:
            return None
        return "".join(self.letters[i] for i in best)

    def _number(self, frame: np.ndarray, at: tuple[int, int], count: int) -> int | None:
        told = self._text(frame, at, count, self.golden)
        return int(told) if told and told.isdigit() else None

    def _find(self, frame: np.ndarray) -> tuple[tuple[int, int] | None, str | None, int]:
        """Find the player: his place, his pose, and how many there are."""
        low, high = (PLAYER[1].astype(int) + side for side in (-OUTLINE_NEAR, OUTLINE_NEAR))
        outline = np.ones((SHAPE[0] - TOP, SHAPE[1]), bool)
        for channel in range(3):
            plane = frame[TOP:, :, channel]
            outline &= (plane >= max(low[channel], 0)) & (plane <= high[channel])
        if outline.sum() < OUTLINE_LEAST:
            return None, None, 0
        field = np.pad(frame[TOP:], ((SIZE, SIZE), (SIZE, SIZE), (0, 0)))
        outline = np.pad(outline, SIZE)
        found = self._best(field, outline)
        if found is None:
            return None, None, 0
        y, x, pose = found
        outline[max(y - 2, 0) : y + SIZE + 2, max(x - 2, 0) : x + SIZE + 2] = False
        again = outline.sum() >= OUTLINE_LEAST and self._best(field, outline) is not None
        place = x - SIZE, y - SIZE + TOP
        if place[1] >= FOOT:
            return None, None, 0
        return place, pose, 1 + int(again)

    def _best(self, field: np.ndarray, outline: np.ndarray) -> tuple[int, int, str] | None:
        """Fit the sprites where most of an outline is: (y, x, pose) of the best."""
        sums = np.pad(outline.cumsum(0, np.int32).cumsum(1), ((1, 0), (1, 0)))
        boxes = sums[SIZE:, SIZE:] - sums[:-SIZE, SIZE:] - sums[SIZE:, :-SIZE]
        boxes = boxes + sums[:-SIZE, :-SIZE]
        y, x = divmod(int(boxes.argmax()), boxes.shape[1])
        if boxes[y, x] < OUTLINE_LEAST // 2:
            return None
        return self._fit(field, y, x, 4) or self._fit(field, y, x, 8)

    def _fit(self, field: np.ndarray, y: int, x: int, around: int) -> tuple[int, int, str] | None:
        """Fit the sprites within `around` pixels of a place: (y, x, pose) of the best, or None."""
        rows = slice(max(y - around, 0), y + SIZE + around)
        columns = slice(max(x - around, 0), x + SIZE + around)
        inside = np.zeros(field.shape[:2], np.float32)
        inside[SIZE:-SIZE, SIZE:-SIZE] = 1
        windows = sliding_window_view(field[rows, columns], (SIZE, SIZE), (0, 1))
        high, wide = windows.shape[:2]
        shown = windows.transpose(0, 1, 3, 4, 2).reshape(high * wide, -1).astype(np.float32)
        seen = sliding_window_view(inside[rows, columns], (SIZE, SIZE))
        seen = seen.reshape(high * wide, -1).repeat(3, 1)
        # |a - b|² over what is opaque in the sprite and inside the picture
        far = (shown**2) @ self.opaque.T - 2 * shown @ (self.sprites * self.opaque).T
        far += seen @ (self.sprites**2 * self.opaque).T
        count = seen @ self.opaque.T
        mean = np.where(count > 90, far / np.maximum(count, 1), np.inf)
        best, sprite = divmod(int(mean.argmin()), mean.shape[1])
        if mean[best, sprite] > SPRITE_TOLERANCE**2:
            return None
        return rows.start + best // wide, columns.start + best % wide, POSES[sprite // 2]


def make_reader() -> Reader:
    """Make the reader of this game."""
    return Reader()
