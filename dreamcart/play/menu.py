"""A menu of dreams in a pygame window: thumbnails of their start screens, chosen by arrow keys or
mouse.
"""

import numpy as np
import torch

from dreamcart.core.errors import UserError
from dreamcart.play.display import require_display
from dreamcart.play.library import Title

THUMB, GAP, COLUMNS, LABEL = 180, 24, 4, 22
BACKGROUND, TEXT, BRIGHT, BROKEN = (16, 16, 24), (150, 150, 165), (255, 210, 90), (200, 90, 90)

DAMAGED = "damaged"


def thumbnail(title: Title) -> tuple[np.ndarray, str]:
    """Start screen, uint8 [H, W, 3], and what to write under it; a damaged cart shows an empty
    picture and says so.
    """
    try:
        world = title.load(torch.device("cpu"))
    except UserError:
        return np.zeros((8, 8, 3), np.uint8), f"{title.game}: {DAMAGED}"
    frame = world.starts[world.first_start]
    return np.ascontiguousarray(np.broadcast_to(frame, (*frame.shape[:2], 3))), title.label


def choose(titles: list[Title]) -> Title | None:
    """Show the menu; the chosen title, or None where the player closes it.

    Raises UserError without a display.
    """
    if not titles:
        raise UserError(
            "There is no dream to choose from: train one with `make`, or fetch the carts with `git"
            " checkout carts`."
        )
    require_display("--headless, with --game to name one")
    import pygame

    try:
        pygame.display.init()
        pygame.font.init()
        columns = min(COLUMNS, len(titles))
        rows = -(-len(titles) // columns)
        size = (columns * (THUMB + GAP) + GAP, rows * (THUMB + LABEL + GAP) + GAP + LABEL)
        screen = pygame.display.set_mode((max(size[0], 420), size[1]))
    except pygame.error as problem:
        raise UserError(
            f"Cannot open a window ({problem}); name a game with --game and use --headless."
        ) from None
    pygame.display.set_caption("Dreamcart")
    font, clock = pygame.font.Font(None, 20), pygame.time.Clock()
    pictures = [thumbnail(title) for title in titles]
    boxes = [
        pygame.Rect(
            GAP + n % columns * (THUMB + GAP),
            GAP + n // columns * (THUMB + LABEL + GAP),
            THUMB,
            THUMB,
        )
        for n in range(len(titles))
    ]
    at = 0
    moves = {pygame.K_LEFT: -1, pygame.K_RIGHT: 1, pygame.K_UP: -columns, pygame.K_DOWN: columns}
    while True:
        for event in pygame.event.get():
            if event.type == pygame.QUIT or (
                event.type == pygame.KEYDOWN and event.key == pygame.K_ESCAPE
            ):
                pygame.quit()
                return None
            if event.type == pygame.KEYDOWN and event.key in moves:
                at = min(max(at + moves[event.key], 0), len(titles) - 1)
            clicked = [
                n
                for n, box in enumerate(boxes)
                if event.type == pygame.MOUSEBUTTONDOWN
                and event.button == 1
                and box.collidepoint(event.pos)
            ]
            if clicked or (
                event.type == pygame.KEYDOWN and event.key in (pygame.K_RETURN, pygame.K_SPACE)
            ):
                at = clicked[0] if clicked else at
                if not pictures[at][1].endswith(DAMAGED):
                    return titles[at]
        screen.fill(BACKGROUND)
        for n, (box, (picture, label)) in enumerate(zip(boxes, pictures, strict=True)):
            fit = min(THUMB / picture.shape[0], THUMB / picture.shape[1])
            small = pygame.transform.scale(
                pygame.surfarray.make_surface(picture.swapaxes(0, 1)),
                (int(picture.shape[1] * fit), int(picture.shape[0] * fit)),
            )
            screen.blit(small, small.get_rect(center=box.center))
            if n == at:
                pygame.draw.rect(screen, BRIGHT, box.inflate(8, 8), 2)
            colour = BROKEN if label.endswith(DAMAGED) else BRIGHT if n == at else TEXT
            words = font.render(label, True, colour)
            screen.blit(words, words.get_rect(midtop=(box.centerx, box.bottom + 6)))
        screen.blit(
            font.render("arrows or mouse: choose   RETURN: play   ESC: quit", True, TEXT),
            (GAP, size[1] - LABEL),
        )
        pygame.display.flip()
        clock.tick(30)
