"""Reads Blockfall's screen back into game terms, from pixels alone, as a person would.

The pictures of the tiles come from src/ (tiles.txt and the screens in assets.py), the colours are
the emulator's. No emulator is needed. `reader_checker.py` beside it judges sequences of what this
reads.
"""

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
SHAPE = (224, 240, 3)
ROWS, COLUMNS = 28, 30  # cells of 8 x 8 pixels; the emulator crops one cell at every edge
CLEAR = 8  # what a cell of a full row shows before it vanishes

# Root mean square over a cell's 192 values, of 255, up to which it still counts as a tile: a pixel
# in 64 may be black for white, and a decoder may shimmer. Any two tiles that can stand in one place
# are 71 apart at least, so no cell is near enough to two of them.
TOLERANCE = 32.0

# Palettes as stable-retro's NES core shows them: well, white text, wall, gold text.
NAVY, BLUE, WHITE = (32, 24, 136), (0, 112, 232), (248, 252, 248)
COLOURS = np.array(
    [
        [(0, 0, 0), (216, 40, 0), (0, 232, 216), WHITE],
        [(0, 0, 0), NAVY, BLUE, WHITE],
        [(0, 0, 0), NAVY, BLUE, (136, 0, 112)],
        [(0, 0, 0), NAVY, BLUE, (240, 188, 56)],
    ],
    np.uint8,
)
SCENES = ("title", "play", "game_over")  # by the RAM variable `scene`
TEXTS = ("", "  PAUSED  ", "GAME  OVER")
METRICS = ("board_cells", "piece", "digits", "next")


def load_sibling(path: Path):
    """A module from its file: the folders of games are no packages."""
    spec = importlib.util.spec_from_file_location(f"blockfall_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Slot:
    """Cells that change, and what each of them may show.

    Args:
        cells: numbers of the cells, row by row over the screen.
        pictures: the legal tiles, uint8 [K, 192].
    """

    def __init__(self, cells: np.ndarray, pictures: np.ndarray) -> None:
        self.cells = np.asarray(cells).ravel()
        self.pictures = pictures.astype(np.float32)
        self.squares = np.square(self.pictures).sum(1)

    def read(self, cells: np.ndarray, limit: float) -> np.ndarray:
        """Number of the tile that each cell shows, -1 where it is none;

        `cells` is uint8 [840, 192], int8 back.
        """
        shown = cells[self.cells].astype(np.float32)
        # |a - b|² = |a|² - 2ab + |b|²: one matrix product instead of a difference for every pair
        far = self.squares - 2 * (shown @ self.pictures.T)
        best = far.argmin(1)
        far = far[np.arange(len(best)), best] + np.einsum("ij,ij->i", shown, shown)
        return np.where(far <= limit, best, -1).astype(np.int8)


class Reader:
    """Turns frames into dicts. Stateless: one serves many sequences.

    Attributes:
        shape: of the frames that it reads, (224, 240, 3); field: where in them the well is.
    """

    shape = SHAPE

    def __init__(self, tolerance: float = TOLERANCE) -> None:
        self.limit = tolerance**2 * 192
        self.cells = json.loads((HERE / "pieces.json").read_text())["cells"]
        self.checkers = load_sibling(HERE / "reader_checker.py")
        assets = load_sibling(HERE / "src" / "assets.py")
        tile, chars = assets.read_tiles(HERE / "src" / "tiles.txt")
        planes = np.unpackbits(np.frombuffer(chars, np.uint8)).reshape(-1, 2, 8, 8)
        pixels = planes[:, 0] + 2 * planes[:, 1]

        def pictures(names, palette):
            return np.stack([COLOURS[palette][pixels[tile[name]]].ravel() for name in names])

        def area(at, width, height=1):
            return (
                np.arange(at[1] - 1, at[1] - 1 + height)[:, None] * COLUMNS
                + np.arange(at[0] - 1, at[0] - 1 + width)
            ).ravel()

        pieces = list(tile)[: CLEAR + 1]  # empty, the seven, the full row: what the game counts on
        self.board = Slot(area(assets.BOARD, 10, 20), pictures(pieces, assets.WELL))
        left, top = (8 * (cell - 1) for cell in assets.BOARD)
        self.field = (slice(top, top + 160), slice(left, left + 80))
        self.following = Slot(area(assets.NEXT, 4, 2), pictures(pieces[:CLEAR], assets.WELL))
        self.mode = Slot(area(assets.TYPE, 1), pictures(["'A", "'B"], assets.WHITE))
        numbers = ((assets.SCORE, 5), (assets.LINES, 3), (assets.LEVEL, 2))
        tops, lows = sorted(set(assets.TOPS)), sorted(set(assets.LOWS))
        below = [(x, y + 1) for (x, y), _ in numbers]
        self.tops = Slot(
            np.concatenate([area(at, n) for at, n in numbers]),
            pictures([f"top_{name}" for name in tops], assets.WHITE),
        )
        self.lows = Slot(
            np.concatenate([area(at, n) for at, (_, n) in zip(below, numbers, strict=True)]),
            pictures([f"low_{name}" for name in lows], assets.WHITE),
        )
        # digit by (top, low); the last row and column catch -1
        self.digit = np.full((len(tops) + 1, len(lows) + 1), -1)
        for value, (top, low) in enumerate(zip(assets.TOPS, assets.LOWS, strict=True)):
            self.digit[tops.index(top), lows.index(low)] = value
        self.next_shapes = {}
        for kind, turns in enumerate(self.cells):
            box = np.zeros((2, 4), np.int8)
            for dx, dy in turns[0]:
                box[dy, dx] = kind + 1
            self.next_shapes[box.tobytes()] = kind
        self.text_cells = area((assets.TEXT[0], assets.TEXT[1] - 1), 10, 3)
        self.texts = []
        for words in TEXTS:
            bars = ["BAR" if words else "empty"] * 10
            names = ["empty" if c == " " else f"'{c}" for c in words.ljust(10)]
            self.texts.append(pictures(bars + names + bars, assets.WHITE).astype(np.float32))
        cursors = np.concatenate([area(at, 1) for at in (assets.CURSOR_A, assets.CURSOR_B)])
        self.cursors = Slot(cursors, pictures(["empty", "CURSOR"], assets.WHITE))
        self.titles = self._still(assets.title_screen(tile), pixels, [cursors])
        slots = (self.board, self.following, self.mode, self.tops, self.lows)
        self.plays = self._still(
            assets.play_screen(tile), pixels, [*(slot.cells for slot in slots), self.text_cells]
        )

    @staticmethod
    def _still(
        screen: bytes, pixels: np.ndarray, changing: list[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """A screen's picture, uint8 [840, 192], and which of its cells never change, bool [840]."""
        data = np.frombuffer(screen, np.uint8)
        y, x = np.mgrid[1 : ROWS + 1, 1 : COLUMNS + 1]
        palettes = data[960 + (y // 4) * 8 + x // 4] >> ((y & 2) * 2 + (x & 2)) & 3
        tiles = data[:960].reshape(30, 32)[1:-1, 1:-1]
        picture = COLOURS[palettes[..., None, None], pixels[tiles]].reshape(ROWS * COLUMNS, 192)
        still = np.ones(len(picture), bool)
        still[np.concatenate(changing)] = False
        return picture, still

    def _wrong(self, cells: np.ndarray, screen: tuple[np.ndarray, np.ndarray]) -> int:
        """How many of the cells that never change show something else."""
        picture, still = screen
        unequal = np.flatnonzero((cells.view(np.uint64) != picture.view(np.uint64)).any(1) & still)
        if not len(unequal):
            return 0
        error = cells[unequal].astype(np.float32) - picture[unequal]
        return int((np.einsum("ij,ij->i", error, error) > self.limit).sum())

    def read(self, frame: np.ndarray) -> dict[str, Any]:
        """What a frame, uint8 [224, 240, 3], shows.

        Returns:
            scene: "title", "play", "game_over", or None where half of the still cells fit no
                screen; then and on the title the rest is None, but for static_ok and the title's
                mode.
            board: int8 [20, 10]: 0 empty, type + 1, 8 a cell of a full row about to vanish, -1 no
                legal picture.
            next: type 0-6, or None where the box shows no legal piece.
            score, lines, level: int, or None where a digit is none.
            mode: 0 (A), 1 (B) or None.
            paused: bool, or None where the panel says neither PAUSED nor GAME OVER nor nothing.
            clearing: rows that are shown full, list of int.
            static_ok: every cell that never changes in this scene is right.

        Raises:
            ValueError: a frame of another shape or type.
        """
        if frame.shape != SHAPE or frame.dtype != np.uint8:
            raise ValueError(
                f"Blockfall's frames are uint8 {SHAPE}, not {frame.dtype} {frame.shape}."
            )
        cells = (
            np.ascontiguousarray(frame)
            .reshape(ROWS, 8, COLUMNS, 24)
            .swapaxes(1, 2)
            .reshape(ROWS * COLUMNS, 192)
        )
        out = dict.fromkeys(
            ("scene", "board", "next", "score", "lines", "level", "mode", "paused", "clearing")
        )
        wrong = self._wrong(cells, self.plays)
        out["static_ok"] = not wrong
        if wrong > self.plays[1].sum() // 2:
            wrong = self._wrong(cells, self.titles)
            if wrong <= self.titles[1].sum() // 2:
                cursor = self.cursors.read(cells, self.limit).tolist()
                mode = {(1, 0): 0, (0, 1): 1}.get(tuple(cursor))
                out |= {"scene": "title", "mode": mode, "static_ok": not wrong}
            return out
        text = self._text(cells)
        out["scene"] = "game_over" if text == 2 else "play"
        out["paused"] = None if text is None else text == 1
        board = out["board"] = self.board.read(cells, self.limit).reshape(20, 10)
        out["clearing"] = np.flatnonzero((board == CLEAR).all(1)).tolist()
        out["next"] = self.next_shapes.get(self.following.read(cells, self.limit).tobytes())
        mode = int(self.mode.read(cells, self.limit)[0])
        out["mode"] = mode if mode >= 0 else None
        digits = self.digit[
            self.tops.read(cells, self.limit), self.lows.read(cells, self.limit)
        ].tolist()
        for name, part in (("score", digits[:5]), ("lines", digits[5:8]), ("level", digits[8:])):
            out[name] = None if -1 in part else int("".join(map(str, part)))
        return out

    def _text(self, cells: np.ndarray) -> int | None:
        """Which of TEXTS the panel says, cell for cell."""
        shown = cells[self.text_cells]
        for number, picture in enumerate(self.texts):
            error = shown - picture
            if (np.einsum("ij,ij->i", error, error) <= self.limit).all():
                return number
        return None

    def truth(self, variables: dict[str, Any]) -> dict[str, Any]:
        """What the screen must show for a step's RAM variables: as `read`, and for the board's
        scenes

        locked: int8 [20, 10], the board without the falling piece.
        piece: the falling piece's four cells, y * 10 + x in rising order; () where none falls.
        """
        keys = ("board", "next", "score", "lines", "level", "paused", "clearing")
        out = dict.fromkeys(keys) | {
            "scene": SCENES[variables["scene"]],
            "mode": variables["mode"],
            "static_ok": True,
        }
        if out["scene"] == "title":
            return out
        locked = np.array(variables["board"], np.int8).reshape(20, 10)
        board, piece = locked.copy(), ()
        if variables["phase"] == 2:
            board[board.all(1)] = CLEAR
        elif out["scene"] == "play" and variables["phase"] == 0:
            turn = self.cells[variables["piece_type"]][variables["piece_rot"]]
            piece = tuple(
                sorted(
                    (variables["piece_y"] + dy) * 10 + variables["piece_x"] + dx for dx, dy in turn
                )
            )
            board.ravel()[list(piece)] = variables["piece_type"] + 1
        out |= {
            "board": board,
            "locked": locked,
            "piece": piece,
            "paused": bool(variables["paused"]),
        }
        out["clearing"] = np.flatnonzero((board == CLEAR).all(1)).tolist()
        return (
            out
            | {"next": variables["next_type"]}
            | {name: variables[name] for name in ("score", "lines", "level")}
        )

    def score(self, real: dict[str, Any], dream: dict[str, Any]) -> dict[str, float | None]:
        """How much of a real step a dreamed frame shows: {metric of METRICS: 0 to 1}.

        `real` is a `read` of the real frame, or better the `truth` of its variables: `piece` is
        None without. All are None where the real scene is not play: then there is nothing to show.

        - board_cells: share of the well's 200 cells that show the same.
        - piece: 1 where the falling piece, and nothing else, stands in cells that are empty in
          RAM's locked board. None while no piece falls.
        - digits: 1 where score, lines and level are all right.
        - next: 1 where NEXT is right.
        """
        if real["scene"] != "play":
            return dict.fromkeys(METRICS)
        scores: dict[str, float | None] = {
            "board_cells": 0.0,
            "piece": 0.0 if real.get("piece") else None,
        }
        if dream["board"] is not None:
            scores["board_cells"] = float((dream["board"] == real["board"]).mean())
            if real.get("piece"):
                empty = real["locked"] == 0
                scores["piece"] = float(np.array_equal(dream["board"][empty], real["board"][empty]))
        scores["digits"] = float(
            all(dream[name] == real[name] for name in ("score", "lines", "level"))
        )
        return scores | {"next": float(dream["next"] == real["next"])}

    def checker(self):
        """A fresh judge of one sequence of reads, see reader_checker.py."""
        return self.checkers.Checker()


def make_reader() -> Reader:
    """The reader with this game's own tiles and pieces."""
    return Reader()
