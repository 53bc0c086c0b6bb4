"""The pictures of a run, for eyes: pairs, reconstructions, loss curves, filmstrip, and an
animation.
"""

import io
import itertools
from pathlib import Path
from typing import Any

import cv2
import matplotlib
import numpy as np
from PIL import Image

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from dreamcart.core.files import writing
from dreamcart.data.processed import Split

INK = {"savefig.bbox": "tight", "savefig.dpi": 100, "font.size": 9, "savefig.facecolor": "white"}


def curve_picture(curve: list[dict[str, float]], unit: str, title: str, path: Path) -> None:
    """Training and validation loss against steps."""
    with plt.rc_context(INK):
        figure, axes = plt.subplots(figsize=(6, 3.5))
        steps = [point["step"] for point in curve]
        for name, label in (("train", "training"), ("val", "validation")):
            axes.plot(
                steps, [point[name] for point in curve], marker="o", markersize=3, label=label
            )
        axes.set(xlabel="training step", ylabel=unit, title=title, yscale="log")
        axes.grid(alpha=0.3, which="both")
        axes.legend()
        save_figure(figure, path)


def tiles_picture(tiles: np.ndarray, path: Path, columns: int = 32) -> None:
    """A sheet of all tiles, uint8 [K, t, t, C], in the order of their numbers."""
    side = tiles.shape[1] + 1
    sheet = np.full(
        (-(-len(tiles) // columns) * side, min(columns, len(tiles)) * side, 3), 96, np.uint8
    )
    for number, tile in enumerate(tiles):
        y, x = number // columns * side, number % columns * side
        sheet[y : y + side - 1, x : x + side - 1] = tile
    save_png(sheet, path, scale=3)


def pairs_picture(split: Split, seed: int, path: Path, count: int = 10) -> None:
    """Random transitions in which something changes: frame, buttons, next frame, and what
    changed.
    """
    index, at = split.index, split.transitions
    changing = at[index["frame"][at] != index["frame"][at + 1]]
    at = changing if len(changing) else at
    chosen = np.random.default_rng(seed).choice(at, min(count, len(at)), replace=False)
    rows = []
    for i in chosen:
        before, after = split.frames[index["frame"][i]], split.frames[index["frame"][i + 1]]
        rows.append([before, after, np.abs(before.astype(int) - after).astype(np.uint8)])
    names = [
        "+".join(b for b, on in zip(split.spec.buttons, index["action"][i], strict=True) if on)
        or "no button"
        for i in chosen
    ]
    _grid(
        list(map(list, zip(*rows, strict=True))),
        ["frame t", "frame t+1", "difference"],
        names,
        path,
    )


def before_after_picture(
    frames: np.ndarray, decoded: np.ndarray, names: list[str], path: Path, columns: int = 8
) -> None:
    """Frames above their reconstructions, both uint8 [N, H, W, C], in rows of `columns`, with a
    name each.
    """
    with plt.rc_context(INK):
        lines = max(1, -(-len(frames) // columns))
        height, width = frames.shape[1:3]
        # a pixel of the game is at least one of the picture
        inches = max(1.6, 1.1 * width / INK["savefig.dpi"])
        size = inches * columns, (2 * inches * height / width + 0.3) * lines
        figure, axes = plt.subplots(2 * lines, columns, figsize=size, squeeze=False)
        for axis in axes.flat:
            axis.axis("off")
        for n, name in enumerate(names):
            line, column = divmod(n, columns)
            for offset, picture in enumerate((frames[n], decoded[n])):
                _show(axes[2 * line + offset, column], picture)
            axes[2 * line, column].set_title(name, fontsize=7)
        figure.subplots_adjust(
            left=0.01, right=0.99, bottom=0.01, top=0.96, wspace=0.04, hspace=0.1
        )
        save_figure(figure, path)


def filmstrip_picture(
    real: np.ndarray,
    dream: np.ndarray,
    horizons: list[int],
    path: Path,
    made: dict[str, str] | None = None,
) -> None:
    """Draw one rollout: real, dreamed and difference at the horizons. Both uint8 [len(horizons), H,
    W, C].

    `made` (see `provenance.stamp`) is kept in the file, as texts.
    """
    difference = np.abs(real.astype(int) - dream).astype(np.uint8)
    _grid(
        [list(real), list(dream), list(difference)],
        ["real", "dream", "difference"],
        [f"+{h}" for h in horizons],
        path,
        made,
    )


def comparison_frames(real: np.ndarray, dream: np.ndarray) -> np.ndarray:
    """uint8 [T, H, W, C] twice → real | dream | difference side by side, uint8 [T, H, 3 W + gaps,
    3].
    """
    difference = np.abs(real.astype(int) - dream).astype(np.uint8)
    panels = [np.broadcast_to(x, (*x.shape[:3], 3)) for x in (real, dream, difference)]
    gap = np.full((*panels[0].shape[:2], 2, 3), 96, np.uint8)
    return np.concatenate([panels[0], gap, panels[1], gap, panels[2]], axis=2)


def horizons_picture(table: dict[str, dict[str, dict[str, float]]], path: Path) -> None:
    """SSIM and changed_l1 against the horizon, for the model, the baselines and the ceiling."""
    with plt.rc_context(INK):
        figure, panels = plt.subplots(1, 2, figsize=(8, 3.2))
        for axes, metric in zip(panels, ("ssim", "changed_l1"), strict=True):
            for source, by_horizon in table.items():
                style = "-" if source == "model" else "--"
                axes.plot(
                    [int(h) for h in by_horizon],
                    [np.nan if v[metric] is None else v[metric] for v in by_horizon.values()],
                    style,
                    marker="o",
                    label=source,
                )
            axes.set(xlabel="steps ahead", ylabel=metric, xscale="log")
            axes.grid(alpha=0.3)
        panels[0].legend()
        save_figure(figure, path)


def save_png(frame: np.ndarray, path: Path, scale: int = 1) -> None:
    """Write uint8 [H, W, 3] as a PNG, enlarged by a whole number.

    Raises OSError where it cannot be written.
    """
    content = io.BytesIO()
    Image.fromarray(frame.repeat(scale, 0).repeat(scale, 1)).save(content, "PNG")
    _write(content, path)


def save_gif(
    frames: np.ndarray | list[np.ndarray], path: Path, rate: float, scale: int = 2
) -> None:
    """Write uint8 [T, H, W, 1 or 3] as a looping GIF at about `rate` frames a second.

    GIF counts hundredths of a second. Raises OSError where it cannot be written.
    """
    images = []
    for frame in frames:
        large = np.broadcast_to(frame, (*frame.shape[:2], 3)).repeat(scale, 0).repeat(scale, 1)
        images.append(Image.fromarray(large).quantize(64, dither=Image.Dither.NONE))
    # hundredths: right on the whole
    ends = [max(2 * n, round(100 * n / rate)) for n in range(len(images) + 1)]
    durations = [10 * (end - begin) for begin, end in itertools.pairwise(ends)]
    content = io.BytesIO()
    first, *rest = images
    timing = {"duration": durations, "loop": 0}
    first.save(content, "GIF", save_all=True, append_images=rest, optimize=True, **timing)
    _write(content, path)


def _show(axis: Any, picture: np.ndarray) -> None:
    """Draw a picture with square, sharp pixels."""
    scale = max(1, 120 // picture.shape[1])
    large = cv2.resize(
        np.ascontiguousarray(picture), None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST
    )
    axis.imshow(large, cmap="gray", vmin=0, vmax=255, interpolation="nearest")


def _grid(
    rows: list[list[np.ndarray]],
    labels: list[str],
    names: list[str],
    path: Path,
    made: dict[str, str] | None = None,
) -> None:
    """Pictures in rows with a label each and a name a column, drawn pixel for pixel (scaled by
    whole numbers).
    """
    height, width = rows[0][0].shape[:2]
    with plt.rc_context(INK):
        # a pixel of the game is at least one of the picture
        inches = max(1.6, 1.1 * width / INK["savefig.dpi"])
        size = (inches * len(rows[0]), inches * len(rows) * height / width + 0.3)
        figure, axes = plt.subplots(len(rows), len(rows[0]), figsize=size, squeeze=False)
        for r, row in enumerate(rows):
            for c, picture in enumerate(row):
                _show(axes[r, c], picture)
                axes[r, c].set(xticks=[], yticks=[])
                if r == 0 and c < len(names):
                    axes[r, c].set_title(names[c], fontsize=7)
                if c == 0:
                    axes[r, c].set_ylabel(labels[r], fontsize=8)
        figure.subplots_adjust(
            left=0.01, right=0.99, bottom=0.01, top=0.96, wspace=0.04, hspace=0.06
        )
        save_figure(figure, path, made)


def save_figure(figure: Any, path: Path, made: dict[str, str] | None = None) -> None:
    """Write a figure as a PNG; `made` is kept in the file, as texts."""
    content = io.BytesIO()
    # matplotlib's version is left out: the same run gives the same bytes
    figure.savefig(content, format="png", metadata={"Software": None} | (made or {}))
    plt.close(figure)
    _write(content, path)


def _write(content: io.BytesIO, path: Path) -> None:
    """Write a picture's bytes, atomically. Pillow writing to the disk would hide why it cannot."""
    with writing(path) as temporary:
        temporary.write_bytes(content.getbuffer())
