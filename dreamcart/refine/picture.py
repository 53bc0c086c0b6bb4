"""Draws where on the screen, and after which button, a dream went wrong first: before and after."""

from pathlib import Path
from typing import Any

import numpy as np

from dreamcart.evaluation.pictures import INK, plt, save_figure
from dreamcart.refine.counterexamples import NOTHING_NEW, REGION

DIM = 0.35  # how bright the real frame behind the heat map is


def differences_picture(
    frame: np.ndarray, told: dict[str, dict[str, Any]], note: str, path: Path
) -> None:
    """Draw summaries (see `counterexamples.summary`) side by side, by their names: a map of the
    screen over a dimmed frame, uint8 [H, W, C], and the share of wrong steps by button.

    `note` stands above; the same colours and heights mean the same in all of them.
    """
    most = max((max(one["regions"].values(), default=0) for one in told.values()), default=0)
    shares = [row["share"] or 0 for one in told.values() for row in one["by_button"].values()]
    with plt.rc_context(INK):
        figure, panels = plt.subplots(2, len(told), figsize=(4.2 * len(told), 6.4), squeeze=False)
        for (name, one), screen, bars in zip(told.items(), *panels, strict=True):
            _screen(screen, frame, one, most)
            screen.set_title(
                f"{name}: {one['differences']} of {one['stretches']} stretches go wrong"
            )
            _bars(bars, one["by_button"], max(shares, default=0) or 1)
        figure.suptitle(note, fontsize=9)
        figure.tight_layout()
        save_figure(figure, path)


def note_picture(text: str, path: Path) -> None:
    """Draw a sentence, where there is nothing to show."""
    with plt.rc_context(INK):
        figure, axes = plt.subplots(figsize=(6, 0.6))
        axes.axis("off")
        axes.text(0.5, 0.5, text, ha="center", va="center", wrap=True)
        save_figure(figure, path)


def _screen(axes: Any, frame: np.ndarray, one: dict[str, Any], most: int) -> None:
    """Draw how often each square of the screen was part of a first difference."""
    height, width = frame.shape[:2]
    heat = np.full((-(-height // REGION), -(-width // REGION)), np.nan)
    for place, count in one["regions"].items():
        row, column = map(int, place.split(","))
        heat[row, column] = count
    dimmed = np.broadcast_to(frame, (height, width, 3)) * DIM / 255
    axes.imshow(dimmed, interpolation="nearest", extent=(0, width, height, 0))
    extent = (0, heat.shape[1] * REGION, heat.shape[0] * REGION, 0)
    shown = axes.imshow(
        heat, cmap="inferno", vmin=0, vmax=most or 1, extent=extent, interpolation="nearest"
    )
    shown.set_alpha(0.85)
    axes.set(xlim=(0, width), ylim=(height, 0), xticks=[], yticks=[])
    axes.figure.colorbar(shown, ax=axes, label="differences", fraction=0.05, pad=0.02)


def _bars(axes: Any, by_button: dict[str, dict[str, Any]], most: float) -> None:
    """Draw the share of steps that went wrong after each button had gone down."""
    names = [*by_button]
    shares = [by_button[name]["share"] or 0 for name in names]
    colours = ["#8a94a3" if name == NOTHING_NEW else "#c8401f" for name in names]
    axes.barh(names, shares, color=colours)
    for place, name in enumerate(names):
        row = by_button[name]
        axes.text(shares[place], place, f" {row['differences']}/{row['steps']}", va="center")
    axes.set(xlim=(0, 1.3 * most), xlabel="share of steps that differ first")
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)
