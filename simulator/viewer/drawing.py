"""Small things that screens of the window share."""

from __future__ import annotations

import math

import pygame


def darken(surface: pygame.Surface, box: pygame.Rect, alpha: int) -> None:
    """Shade what is in the box: 0 not at all, 255 to black."""
    shade = pygame.Surface(box.size, pygame.SRCALPHA)
    shade.fill((0, 0, 0, alpha))
    surface.blit(shade, box)


def number(value: float, form: str) -> str:
    """A number, or a dash where the world can't tell it."""
    return format(value, form) if math.isfinite(value) else "-"
