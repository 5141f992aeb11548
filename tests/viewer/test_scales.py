"""K shows the picture scale by scale, whether time goes on or not; worlds without scales show none."""

from __future__ import annotations

import pygame


def bright(driven) -> float:
    """Share of the picture's lower third that the first scales' colour has."""
    driven.viewer.pump()
    box = driven.viewer._hud.picture
    pixels = pygame.surfarray.array3d(driven.viewer._surface)[
        box.left : box.right, box.centery : box.bottom
    ]
    return float((pixels > 240).all(2).mean())


def test_k_shows_the_scales_of_every_frame(drive):
    driven = drive("toy/Layered-v0", frames=10_000)
    driven.until_steps(2)
    assert bright(driven) == 0.0
    driven.key(pygame.K_k)
    driven.until(lambda: bright(driven) > 0.05)
    driven.until_steps(3)
    driven.until(lambda: bright(driven) > 0.05)
    driven.key(pygame.K_k)
    driven.until(lambda: bright(driven) == 0.0)


def test_a_paused_world_is_looked_at_as_well(drive):
    driven = drive("toy/Layered-v0", frames=10_000)
    driven.until_steps(2)
    driven.pause()
    steps = driven.session.totals.steps
    driven.key(pygame.K_k)
    driven.until(lambda: bright(driven) > 0.05)
    assert driven.session.totals.steps == steps


def test_a_world_without_scales_drives_on(drive):
    driven = drive(frames=10_000)
    driven.key(pygame.K_k)
    driven.until_steps(4)
    assert bright(driven) == 0.0
