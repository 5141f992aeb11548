"""Closer looks at the picture, drawn over it: scale by scale (K), where the model was unsure (U), and a
wider view (O)."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pygame
from numpy.typing import NDArray

from simulator.viewer.colours import DIM, INK
from simulator.viewer.drawing import darken, surface_of

MOST_NATS = 6.0
"""An entropy from which on a place is as unsure as it is shown; of a thousand codes, 6.9 is the most."""


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


def draw_unsure(
    surface: pygame.Surface,
    picture: pygame.Rect,
    nats_hw: NDArray[np.float32],
    font: pygame.font.Font,
) -> None:
    """From dark blue (sure) to yellow, half transparent; below it what the colours mean.

    The scale of colours rises in brightness as well, for eyes that tell few of them apart.
    """
    shares = np.clip(nats_hw / MOST_NATS * 255, 0, 255).astype(np.uint8)
    smooth = cv2.resize(shares, (256, 128), interpolation=cv2.INTER_LINEAR)
    tint = pygame.transform.smoothscale(surface_of(coloured(smooth)), picture.size)
    tint.set_alpha(150)
    surface.blit(tint, picture)
    line = font.get_linesize()
    legend = pygame.Rect(0, 0, picture.width // 3, line + line // 2)
    legend.bottomleft = (picture.left + line // 2, picture.bottom - line // 2)
    darken(surface, legend, 170)
    bar = pygame.Rect(
        legend.left + legend.width // 4, legend.top + line // 4, legend.width // 2, line
    )
    ramp = surface_of(coloured(np.arange(256, dtype=np.uint8)[None]))
    surface.blit(pygame.transform.scale(ramp, bar.size), bar)
    surface.blit(font.render("sure", True, INK), (legend.left + line // 3, bar.top))
    unsure = font.render(f"{MOST_NATS:g} nats", True, INK)
    surface.blit(unsure, (bar.right + line // 3, bar.top))


def coloured(levels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Levels (H, W) as colours, RGB."""
    return np.ascontiguousarray(cv2.applyColorMap(levels, cv2.COLORMAP_VIRIDIS)[..., ::-1])


def draw_wide(
    surface: pygame.Surface,
    picture: pygame.Rect,
    wide_HWC: NDArray[np.uint8],
    font: pygame.font.Font,
) -> None:
    """Across the whole picture, half as high; what the camera sees is framed."""
    darken(surface, picture, 225)
    height = picture.width * wide_HWC.shape[0] // wide_HWC.shape[1]
    box = pygame.Rect(picture.left, 0, picture.width, height)
    box.centery = picture.centery
    surface.blit(pygame.transform.smoothscale(surface_of(wide_HWC), box.size), box)
    seen = pygame.Rect(0, box.top, box.width // 2, height)
    seen.centerx = box.centerx
    pygame.draw.rect(surface, INK, seen, max(1, height // 100))
    for text, ink, x in (
        ("a guess", DIM, box.left + box.width // 8),
        ("the picture", INK, box.centerx),
        ("a guess", DIM, box.right - box.width // 8),
    ):
        drawn = font.render(text, True, ink)
        surface.blit(drawn, drawn.get_rect(midtop=(x, box.bottom + font.get_linesize() // 4)))
