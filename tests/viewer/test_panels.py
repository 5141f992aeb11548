"""Graphs and plan: what led to the moment that is shown, and where the car has been."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pygame
import pytest

from simulator.viewer.panels import SECONDS, draw_panels, recent, way
from simulator.viewer.timeline import Moment, Timeline


def driven(steps: int, **info: Any) -> Moment:
    """The last of so many moments, a tenth of a second each."""
    timeline = Timeline(10_000)
    for t in range(steps):
        told = {"time_s": t / 10, "speed_mps": 10.0, "yaw_rate_radps": 0.0} | info
        frame, action = np.zeros((2, 2, 3), np.uint8), np.zeros(2, np.float32)
        moment = Moment(frame, told, action, 0.0, "", t, None)
        (timeline.begin if t == 0 else timeline.add)(moment)
    assert timeline.now is not None
    return timeline.now


def test_recent_is_half_a_minute_at_most_and_ends_now():
    now = driven(500)
    moments = recent(now)
    assert moments[-1] is now
    assert now.info["time_s"] - moments[0].info["time_s"] == pytest.approx(SECONDS)
    assert len(recent(driven(20))) == 20
    assert recent(None) == []


def test_a_straight_way_lies_behind_the_car():
    places = way(recent(driven(11)))
    np.testing.assert_allclose(places[-1], (0, 0))
    np.testing.assert_allclose(places[0], (-10, 0), atol=1e-9)


def test_who_turned_left_came_from_behind_on_the_left_hand_circle():
    quarter = 51  # 5 s at 0.1 pi rad/s and 10 m/s: a quarter of a circle
    x, y = way(recent(driven(quarter, yaw_rate_radps=0.1 * math.pi)))[0]
    radius = 10 / (0.1 * math.pi)
    assert x == pytest.approx(-radius, rel=1e-3)
    assert y == pytest.approx(radius, rel=1e-3)


def test_where_the_world_tells_no_motion_there_is_no_way():
    assert way(recent(driven(5, speed_mps=math.nan))) == [(0.0, 0.0)]


def test_g_shows_the_graphs_and_hides_them_again(drive):
    started = drive(frames=10_000)
    started.until_steps(5)
    started.pause()

    def corner() -> np.ndarray:
        started.viewer.pump()
        return pygame.surfarray.array3d(started.viewer.canvas.surface)[5:150, 5:200].copy()

    plain = corner()
    started.key(pygame.K_g)
    started.until(lambda: not np.array_equal(corner(), plain))
    assert corner().max() > plain.max() + 50  # white lines on a shade
    started.key(pygame.K_g)
    started.until(lambda: np.array_equal(corner(), plain))


def test_what_the_reward_is_made_of_is_shown_under_the_plan():
    pygame.font.init()
    font = pygame.font.Font(None, 20)
    picture = pygame.Rect(0, 0, 640, 320)

    def drawn(**info: Any) -> np.ndarray:
        surface = pygame.Surface(picture.size)
        draw_panels(surface, picture, recent(driven(5, **info)), font)
        return pygame.surfarray.array3d(surface)[440:, 190:]  # the lower right

    nothing, some = drawn(), drawn(reward_terms={"progress": 0.8, "lane_keeping": -0.1})
    assert not nothing.any()
    assert some.any()
    many = {f"term_{i}": 0.0 for i in range(40)}
    assert drawn(reward_terms=many).any()  # as many as there is room for
