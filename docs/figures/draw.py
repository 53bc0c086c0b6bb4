"""Draw the figures of the documentation: docs/figures/pipeline.svg and step.svg.

python docs/figures/draw.py

The same code writes the same bytes: no date, fixed ids, letters as paths.
"""

from pathlib import Path

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle

HERE = Path(__file__).parent
INK, GREY, LINE = "#1c2430", "#5b6675", "#8a94a3"
DATA, MODEL, RESULT, CHANCE = "#e3eefb", "#fde9d2", "#e2f3e4", "#f1e6f7"  # fills, by kind of box
PIECE, BLOCK, EMPTY = "#c8401f", "#3f7fbf", "#f4f6f9"

plt.rcParams.update(
    {"svg.hashsalt": "dreamcart", "svg.fonttype": "path", "font.family": "DejaVu Sans"}
)


def canvas(width: float, height: float) -> Axes:
    """Return axes of width x height units, 100 of them to an inch, y down."""
    figure = plt.figure(figsize=(width / 100, height / 100), facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.axis("off")
    return axes


def box(
    axes: Axes, x: float, y: float, w: float, h: float, title: str, text: str = "", fill: str = DATA
) -> None:
    """Draw a box with its upper left corner at (x, y), a bold title and lines of text."""
    axes.add_patch(
        FancyBboxPatch((x, y), w, h, boxstyle="round,pad=0,rounding_size=7", fc=fill, ec=LINE, lw=1)
    )
    axes.text(
        x + w / 2, y + 17, title, ha="center", va="center", color=INK, fontsize=9, weight="bold"
    )
    if text:
        axes.text(
            x + w / 2,
            y + 30,
            text,
            ha="center",
            va="top",
            color=INK,
            fontsize=7.6,
            linespacing=1.45,
        )


def arrow(
    axes: Axes, start: tuple[float, float], end: tuple[float, float], bend: float = 0
) -> None:
    """Draw an arrow from start to end; bend curves it."""
    axes.add_patch(
        FancyArrowPatch(
            start,
            end,
            arrowstyle="-|>",
            mutation_scale=11,
            color=GREY,
            lw=1.3,
            shrinkA=0,
            shrinkB=0,
            connectionstyle=f"arc3,rad={bend}",
        )
    )


def elbow(axes: Axes, points: list[tuple[float, float]]) -> None:
    """Draw straight lines through points, an arrow head at the last."""
    axes.plot(*zip(*points[:-1], strict=True), color=GREY, lw=1.3, solid_capstyle="butt")
    arrow(axes, points[-2], points[-1])


def note(axes: Axes, x: float, y: float, text: str, align: str = "center", ink: str = INK) -> None:
    """Write small text."""
    axes.text(x, y, text, ha=align, va="center", color=ink, fontsize=7.4, linespacing=1.45)


def grid(axes: Axes, x: float, y: float, size: float, rows: list[str]) -> None:
    """Draw a grid of cells: '#' settled, 'o' the piece, '.' empty, '?' to be decided."""
    colours = {"#": BLOCK, "o": PIECE, ".": EMPTY, "?": "#f3c552"}
    for row, line in enumerate(rows):
        for column, cell in enumerate(line):
            place = (x + column * size, y + row * size)
            axes.add_patch(Rectangle(place, size, size, fc=colours[cell], ec="#c3cad4", lw=0.5))


def save(name: str) -> None:
    """Write the current figure."""
    plt.savefig(HERE / f"{name}.svg", metadata={"Date": None, "Creator": None})
    plt.close()


def pipeline() -> None:
    """Draw the way of the data, stage by stage."""
    axes = canvas(1072, 330)
    stages = [
        ("collect", "play in the emulator\n→ frames, buttons,\nrewards, RAM\n(Parquet)", DATA),
        ("preprocess", "crop, resize;\neach tile stored once;\nsplit by episode", DATA),
        ("train_ae", "frames ⇄ latents:\nthe palette,\nor a learned\nautoencoder", MODEL),
        ("encode_latents", "every distinct\nframe, once", DATA),
        ("train_dynamics", "past latents\nand buttons\n→ next latent", MODEL),
        (
            "refine",
            "dream beside game;\nmore play where\nthey first differ\n(off by default)",
            MODEL,
        ),
        ("rollout_eval", "dream against game\non test episodes\n→ metrics, plots", RESULT),
    ]
    width, gap = 132, 20
    for number, (name, text, fill) in enumerate(stages):
        x = 14 + number * (width + gap)
        box(axes, x, 60, width, 108, name, text, fill)
        if number:
            arrow(axes, (x - gap + 2, 114), (x - 2, 114))
    note(
        axes,
        14,
        34,
        "game: looks up games/<name>/game.yaml; a change to one game reruns that one only",
        "left",
        GREY,
    )
    elbow(axes, [(46, 43), (46, 58)])
    elbow(axes, [(80, 170), (80, 204), (992, 204), (992, 172)])
    note(
        axes,
        380,
        194,
        "test episodes, from seeds of their own: no other stage opens them",
        ink=GREY,
    )
    axes.plot((840, 840), (198, 210), color="white", lw=6)  # a bridge, where two ways cross
    elbow(axes, [(840, 170), (840, 222), (542, 222), (542, 236)])
    box(axes, 476, 238, 132, 72, "cart", "one file, 8 MB\nat most", MODEL)
    box(axes, 630, 238, 132, 72, "play", "window or GIF;\nno emulator needed", RESULT)
    box(axes, 14, 238, 132, 72, "record", "your own play, or\nother people's", DATA)
    arrow(axes, (610, 274), (628, 274))
    elbow(axes, [(30, 236), (30, 170)])
    for row, (fill, what) in enumerate(
        [(DATA, "data"), (MODEL, "models"), (RESULT, "what you see")]
    ):
        axes.add_patch(Rectangle((930, 250 + 18 * row), 14, 12, fc=fill, ec=LINE, lw=0.8))
        note(axes, 951, 256 + 18 * row, what, "left", GREY)
    save("pipeline")


def step() -> None:
    """Draw one step of a dream of cells."""
    axes = canvas(940, 332)
    before = ["......", "..o...", ".ooo..", "......", "......", "#..###"]
    asked = ["......", "..?...", ".?o?..", ".???..", "......", "#..###"]
    after = ["......", "......", "..o...", ".ooo..", "......", "#..###"]
    box(axes, 14, 20, 206, 226, "what it knows", fill=DATA)
    for shift in (12, 6, 0):
        axes.add_patch(Rectangle((26 + shift, 60 - shift), 90, 90, fc=EMPTY, ec="#c3cad4", lw=0.8))
    grid(axes, 26, 60, 15, before)
    note(axes, 137, 97, "cells of 8 × 8\npixels: what\neach shows,\nand showed", "left")
    note(axes, 26, 171, "how long ago each cell changed,\nthe last time and before", "left")
    note(axes, 26, 204, "the last 32 steps: what each did,\nand the buttons held in it", "left")
    note(axes, 26, 232, "pressed now: DOWN", "left")
    box(axes, 256, 20, 196, 226, "what the network says", fill=MODEL)
    note(axes, 270, 56, "1  which kind of event is it?", "left")
    note(axes, 270, 74, "2  does anything change?", "left")
    note(axes, 270, 92, "3  which cells do?", "left")
    grid(axes, 309, 103, 15, asked)
    note(axes, 270, 219, "4  to what? A known tile, or\n    pixels that it paints", "left")
    box(axes, 488, 20, 196, 226, "chance", fill=CHANCE)
    note(
        axes,
        502,
        72,
        "Drawn once a step: which kind\nof event, and whether anything\nchanges.",
        "left",
    )
    note(axes, 502, 132, "All cells follow from it, so\na random event comes whole.", "left")
    note(axes, 502, 184, "Sure (95 % or more):\nnothing is left to chance.", "left")
    box(axes, 720, 20, 206, 226, "the next frame", fill=RESULT)
    grid(axes, 778, 68, 15, after)
    note(axes, 823, 188, "other cells are copied;\ncolours by number → pixels,\nwithout loss")
    note(axes, 823, 231, "played at 30 steps a second")
    for x in (220, 452, 684):
        arrow(axes, (x + 3, 132), (x + 33, 132))
    elbow(axes, [(823, 248), (823, 292), (117, 292), (117, 250)])
    note(
        axes,
        470,
        280,
        "the dream goes on from its own frame; no emulator is asked any more",
        ink=GREY,
    )
    note(
        axes,
        470,
        316,
        "Training asks the same of recorded steps, whose next frame is known; what is often wrong"
        " comes more often.",
        ink=GREY,
    )
    save("step")


if __name__ == "__main__":
    pipeline()
    step()
