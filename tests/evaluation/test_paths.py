"""Poses by integration, on paths that are known."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.evaluation.paths import drift, heading_rad, position_m


def test_straight_on_is_straight_on():
    path = position_m(np.full((1, 20), 5.0), np.zeros((1, 20)))
    np.testing.assert_allclose(path[0, -1], [10.0, 0.0])


def test_a_quarter_circle_to_the_left_ends_where_it_should():
    steps = 100
    yaw_rate = np.full((1, steps), np.pi / 2 / (steps * 0.1))
    speed = yaw_rate * 20.0  # a radius of 20 m
    np.testing.assert_allclose(position_m(speed, yaw_rate)[0, -1], [20.0, 20.0], atol=0.01)
    assert heading_rad(yaw_rate)[0, -1] == pytest.approx(np.pi / 2)


def test_drift_of_a_vehicle_from_itself_is_nothing_and_grows_with_the_difference():
    speed, yaw_rate = np.full((1, 40), 10.0), np.full((1, 40), 0.1)
    apart, turned = drift(speed, yaw_rate, speed, yaw_rate)
    assert apart.max() == turned.max() == 0.0
    apart, _ = drift(speed, 0 * yaw_rate, speed + 1.0, 0 * yaw_rate)
    np.testing.assert_allclose(apart[0], 0.1 * np.arange(1, 41))
    _, turned = drift(speed, yaw_rate, speed, yaw_rate + 0.05)
    assert turned[0, -1] == pytest.approx(0.2)
    worse = [drift(speed, yaw_rate, speed, yaw_rate + e)[0][0, -1] for e in (0.01, 0.05, 0.2)]
    assert worse == sorted(worse)


def test_headings_are_compared_the_short_way_round():
    speed, none = np.ones((1, 10)), np.zeros((1, 10))
    _, turned = drift(speed, none, speed, none + 2 * np.pi)
    assert turned[0, -1] == pytest.approx(0.0, abs=1e-9)
