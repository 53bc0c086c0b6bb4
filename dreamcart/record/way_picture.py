"""The filmstrip of `new`: the way from power-on to the start state, and what each button does."""

import numpy as np
from PIL import Image, ImageDraw

from dreamcart.record.machine import Frame

GAP, CAPTION, COLUMNS = 4, 14, 8  # pixels, pixels, frames in a row
PAPER, INK = (255, 255, 255), (20, 20, 30)
LONGEST = 22  # characters of a caption: more would not fit above a frame


def draw_way(way: list[tuple[str, Frame]], answers: list[tuple[str, Frame]]) -> np.ndarray:
    """Draw captioned frames in rows, the way first; uint8 [H, W, 3].

    Of a long way the first frames and the last ones are shown.
    """
    if len(way) > 2 * COLUMNS:
        way = [*way[: COLUMNS - 1], *way[-COLUMNS - 1 :]]
    rows = [part[n : n + COLUMNS] for part in (way, answers) for n in range(0, len(part), COLUMNS)]
    height = max(frame.shape[0] for row in rows for _, frame in row) + CAPTION + GAP
    width = max(frame.shape[1] for row in rows for _, frame in row) + GAP
    size = (GAP + width * max(map(len, rows)), GAP + height * len(rows))
    sheet = Image.new("RGB", size, PAPER)
    pen = ImageDraw.Draw(sheet)
    for y, row in enumerate(rows):
        for x, (caption, frame) in enumerate(row):
            place = (GAP + x * width, GAP + y * height)
            pen.text(place, caption[:LONGEST], fill=INK)
            sheet.paste(Image.fromarray(frame), (place[0], place[1] + CAPTION))
    return np.array(sheet)
