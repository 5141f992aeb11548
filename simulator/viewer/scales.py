"""A picture scale by scale, as a model draws it: the row of small pictures that K shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pygame
from numpy.typing import NDArray

from simulator.viewer.colours import INK
from simulator.viewer.drawing import darken, surface_of


class Scales:
    """What the world's thread has looked at for the window.

    Attributes:
        wanted: the window shows them; each costs the world a look, so it looks only then.
    """

    def __init__(self) -> None:
        self.wanted = False
        self._seen: tuple[object, Sequence[NDArray[np.uint8]]] = (None, ())

    def look(self, world: Any, frame: object) -> None:
        """In the world's thread, at its newest frame; a world without scales has none to show."""
        if self.missing(frame):
            self._seen = frame, list(world.pyramid()) if hasattr(world, "pyramid") else []

    def of(self, frame: object) -> Sequence[NDArray[np.uint8]]:
        """The pictures (H, W, 3) after each scale of this frame; none, if they weren't looked at."""
        return self._seen[1] if self.wanted and self._seen[0] is frame else ()

    def missing(self, frame: object) -> bool:
        """Whether they are wanted and not there."""
        return self.wanted and self._seen[0] is not frame


def draw_scales(
    surface: pygame.Surface,
    picture: pygame.Rect,
    frames: Sequence[NDArray[np.uint8]],
    font: pygame.font.Font,
) -> None:
    """In a row along the picture's lower edge, coarse to fine."""
    pad = picture.width // 100
    width = (picture.width - pad) // max(5, len(frames)) - pad
    height = width * frames[0].shape[0] // frames[0].shape[1]
    title = font.get_linesize()
    band = pygame.Rect(picture.left, 0, picture.width, height + title + 2 * pad)
    band.bottom = picture.bottom
    darken(surface, band, 150)
    for k, frame in enumerate(frames):
        place = (band.left + pad + k * (width + pad), band.top + pad)
        surface.blit(pygame.transform.smoothscale(surface_of(frame), (width, height)), place)
        text = f"scale 1 to {k + 1}" if k else "scale 1"
        surface.blit(font.render(text, True, INK), (place[0], place[1] + height))
