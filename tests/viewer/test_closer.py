"""A closer look at the picture, whether time goes on or not: scale by scale, where it is unsure, what is
beside it. Worlds that can't say so tell the driver."""

from __future__ import annotations

import gymnasium
import numpy as np
import pygame
import pytest

from simulator.viewer import colours
from simulator.viewer.looks import Look, Looks


def picture(driven) -> np.ndarray:
    """What is drawn where the frame is: (W, H, 3)."""
    driven.viewer.pump()
    box = driven.viewer.canvas.hud.picture
    pixels = pygame.surfarray.array3d(driven.viewer.canvas.surface)
    return pixels[box.left : box.right, box.top : box.bottom].astype(float)


def yellow(driven) -> tuple[float, float]:
    """By how much red and green outweigh blue in the left and the right half of the picture's upper part."""
    upper = picture(driven)[20:-20, 20:100]
    warm = upper[..., :2].mean(2) - upper[..., 2]
    return warm[: len(warm) // 2 - 20].mean(), warm[len(warm) // 2 + 20 :].mean()


def bright(driven) -> float:
    """Share of the picture's lower third that the first scales' colour has."""
    driven.viewer.pump()
    box = driven.viewer.canvas.hud.picture
    pixels = pygame.surfarray.array3d(driven.viewer.canvas.surface)[
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


@pytest.mark.parametrize("key", [pygame.K_k, pygame.K_u])
def test_a_world_that_cannot_say_so_tells_the_driver_and_drives_on(drive, key):
    driven = drive(frames=10_000)
    driven.key(key)
    driven.until(lambda: driven.session.travel.notice.startswith("this world does"))
    driven.key(pygame.K_UP)
    driven.until_steps(4)
    assert bright(driven) == 0.0


def test_u_shows_where_the_picture_is_unsure(drive):
    driven = drive("toy/Layered-v0", frames=10_000)
    driven.until_steps(3)
    assert max(map(abs, yellow(driven))) < 1
    driven.key(pygame.K_u)
    driven.until(lambda: yellow(driven)[1] > 40)
    assert yellow(driven)[0] < 0  # sure: dark blue
    driven.key(pygame.K_u)
    driven.until(lambda: max(map(abs, yellow(driven))) < 1)


def test_what_is_shown_does_not_flash_between_two_frames():
    world, look = gymnasium.make("toy/Layered-v0").unwrapped, Look("pyramid", "no")
    look.wanted = True
    world.reset()
    look.take(world, "first")
    found = look.of("first", held=True)
    assert found is not None
    assert look.of("second", held=True) is found  # until that was looked at
    assert look.missing("second", driving=True)
    assert look.of("second", held=False) is None  # time runs backwards: of another moment
    look.wanted = False
    assert look.of("first", held=True) is None


def test_a_wider_view_is_of_one_frame_alone():
    world, wide = gymnasium.make("toy/Layered-v0").unwrapped, Looks().wide
    wide.wanted = True
    world.reset()
    wide.take(world, "first")
    assert wide.of("first", held=True) is not None
    assert wide.of("second", held=True) is None


def test_the_first_picture_is_nobody_s_guess(drive):
    driven = drive("toy/Layered-v0")
    driven.until(lambda: driven.session.latest is not None)
    driven.key(pygame.K_u)
    driven.until(lambda: not driven.session.looks.unsure.missing(driven.session.latest.frame, True))
    assert max(map(abs, yellow(driven))) < 1


def test_o_stops_time_for_a_wider_view_and_lets_it_go_on(drive):
    driven = drive("toy/Layered-v0", frames=10_000)
    driven.until_steps(2)
    driven.key(pygame.K_o)
    middle = lambda: picture(driven)[:, 120:136].mean((1, 2))  # noqa: E731  (across the picture)
    driven.until(lambda: abs(middle()[40] - 220) < 3)
    assert abs(middle()[-40] - 150) < 3
    assert driven.session.paused
    steps = driven.session.totals.steps
    driven.key(pygame.K_o)
    driven.until_steps(steps + 3)
    assert abs(middle()[40] - middle()[-40]) < 3


def test_a_world_without_a_wider_view_says_so(drive):
    driven = drive(frames=10_000)
    driven.until_steps(2)
    driven.key(pygame.K_o)
    driven.until(lambda: "no wider view" in driven.session.travel.notice)


def border(driven) -> tuple[int, ...]:
    driven.viewer.pump()
    box = driven.viewer.canvas.hud.picture
    pixels = pygame.surfarray.array3d(driven.viewer.canvas.surface)
    return tuple(pixels[box.centerx, box.top].tolist())


def test_z_goes_on_from_a_recorded_picture_whose_border_is_red(drive):
    driven = drive("toy/Layered-v0", frames=10_000)
    driven.until_steps(3)
    driven.pause()
    driven.until(lambda: border(driven) == colours.DRAWN)
    driven.key(pygame.K_z)
    driven.until(lambda: border(driven) == colours.REANCHORED)
    tick = driven.session.latest.tick
    driven.key(pygame.K_n)
    driven.until(lambda: driven.session.latest.tick == tick + 1)
    driven.until(lambda: border(driven) == colours.DRAWN)


def test_worlds_without_recorded_pictures_say_so(drive):
    driven = drive("toy/Paintable-v0", frames=10_000)
    driven.until_steps(2)
    driven.key(pygame.K_z)
    driven.until(lambda: "no recorded pictures" in driven.session.travel.notice)


# -- text ------------------------------------------------------------------------------------------


def test_f2_changes_the_size_of_text_and_leaves_the_picture(drive):
    driven = drive(frames=10_000)
    driven.until_steps(2)
    driven.pause()
    picture(driven)
    hud, heights = driven.viewer.canvas.hud, []
    for _ in range(4):
        box = hud.picture
        assert (box.width, box.height) == pytest.approx((512, 256), abs=1)
        heights.append(pygame.display.get_surface().get_height() - box.height)
        size = hud.text_size
        driven.key(pygame.K_F2)
        driven.until(lambda: hud.text_size != size)  # noqa: B023
        picture(driven)
    assert hud.text_size == 1.0  # round and round
    assert heights[0] < heights[1] < heights[2]
    assert heights[3] < heights[0]


def test_text_that_is_too_wide_becomes_smaller(drive):
    driven = drive()
    driven.until(lambda: driven.session.latest is not None)
    hud, surface = driven.viewer.canvas.hud, driven.viewer.canvas.surface
    wide = hud.text(surface, "W" * 60, (0, 0), 40, colours.INK)
    assert hud.text(surface, "W" * 60, (0, 0), 40, colours.INK, room=wide // 3) <= wide // 3
    assert hud.text(surface, "W", (0, 0), 40, colours.INK, room=wide) < wide


def test_what_a_person_asks_for_is_shown_before_the_world_answers(drive):
    driven = drive(env_arguments={"step_s": 1.0}, frames=5)
    driven.until(lambda: driven.session.latest is not None)
    driven.key(pygame.K_UP)
    driven.until_steps(1)
    before = picture(driven)  # of the frame; the gauges are below it
    surface = lambda: pygame.surfarray.array3d(driven.viewer.canvas.surface)  # noqa: E731
    steps, unlit = driven.session.totals.steps, (surface() == colours.WARN).all(2).sum()
    driven.key(pygame.K_LEFT)
    for _ in range(3):
        driven.viewer.pump()
    assert driven.session.totals.steps == steps
    assert (surface() == colours.WARN).all(2).sum() > unlit
    np.testing.assert_array_equal(picture(driven), before)  # nothing else was invented
