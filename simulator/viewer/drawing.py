"""Small things that screens of the window share."""

from __future__ import annotations

import math

import numpy as np
import pygame
from numpy.typing import NDArray


def darken(surface: pygame.Surface, box: pygame.Rect, alpha: int) -> None:
    """Shade what is in the box: 0 not at all, 255 to black."""
    shade = pygame.Surface(box.size, pygame.SRCALPHA)
    shade.fill((0, 0, 0, alpha))
    surface.blit(shade, box)


def surface_of(frame_HWC: NDArray[np.uint8]) -> pygame.Surface:
    """A frame, RGB, as pygame draws it."""
    size = (frame_HWC.shape[1], frame_HWC.shape[0])
    return pygame.image.frombuffer(np.ascontiguousarray(frame_HWC).tobytes(), size, "RGB")


def place_in(box: pygame.Rect, place: tuple[int, int]) -> tuple[float, float]:
    """Where in the box: right and up from its middle, -1 to 1; outside of it, the nearest edge."""
    across, up = (place[0] - box.centerx) / box.width, (box.centery - place[1]) / box.height
    return min(1.0, max(-1.0, 2 * across)), min(1.0, max(-1.0, 2 * up))


def number(value: float, form: str) -> str:
    """A number, or a dash where the world can't tell it."""
    return format(value, form) if math.isfinite(value) else "-"
