"""Small things that screens of the window share."""

from __future__ import annotations

import math

import pygame


def darken(surface: pygame.Surface, box: pygame.Rect, alpha: int) -> None:
    """Shade what is in the box: 0 not at all, 255 to black."""
    shade = pygame.Surface(box.size, pygame.SRCALPHA)
    shade.fill((0, 0, 0, alpha))
    surface.blit(shade, box)


def place_in(box: pygame.Rect, place: tuple[int, int]) -> tuple[float, float]:
    """Where in the box: right and up from its middle, -1 to 1; outside of it, the nearest edge."""
    across, up = (place[0] - box.centerx) / box.width, (box.centery - place[1]) / box.height
    return min(1.0, max(-1.0, 2 * across)), min(1.0, max(-1.0, 2 * up))


def number(value: float, form: str) -> str:
    """A number, or a dash where the world can't tell it."""
    return format(value, form) if math.isfinite(value) else "-"
