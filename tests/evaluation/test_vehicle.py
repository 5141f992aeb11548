"""The commanded motion is what the reference world's vehicle does."""

from __future__ import annotations

import numpy as np
import painted
import pytest

import scenarios
from simulator.evaluation.vehicle import motion, steer_for, wheel_angles
from simulator.truth.world import World


@pytest.mark.parametrize("pedal", [0.6, -0.7])
def test_it_moves_as_the_reference_world_does(pedal):
    world = World(scenarios.load("calm_cruise"), 0)
    steps = np.arange(25)
    actions = np.stack([0.3 * np.sin(steps / 4), np.full(25, pedal)], 1).astype(np.float32)
    start = world.ego.speed_mps
    seen = []
    for action in actions:
        world.step(action)
        seen.append((world.ego.speed_mps, world.ego.yaw_rate_radps))
        assert not world.ego.collision
    speed, yaw_rate = motion(np.array([start]), np.zeros(1), actions[None])
    np.testing.assert_allclose(speed[0], [s for s, _ in seen], atol=1e-6)
    np.testing.assert_allclose(yaw_rate[0], [y for _, y in seen], atol=1e-6)


def test_the_wheels_follow_from_the_actions_since_the_drive_began():
    drives = painted.drives()
    rows = np.array([30, 75, 2 * painted.DRIVE_STEPS])
    wheel = wheel_angles(drives, rows)
    before = drives.state_NS[rows - 1, 0]
    mean_speed = (before + drives.state_NS[rows, 0]) / 2
    np.testing.assert_allclose(
        (mean_speed * np.tan(wheel) / 2.8)[:2], drives.state_NS[rows[:2], 1], atol=1e-4
    )
    assert wheel[2] == 0.0  # the first frame of its drive


def test_a_steer_value_gives_the_lateral_acceleration_asked_for():
    speed = np.array([10.0, 20.0])
    actions = np.zeros((2, 8, 2))
    actions[..., 0] = steer_for(speed, 3.0)[:, None]
    speeds, yaw_rates = motion(speed, np.zeros(2), actions)
    np.testing.assert_allclose(speeds[:, -1] * yaw_rates[:, -1], 3.0, rtol=0.1)
    assert steer_for(np.array([0.5]), 3.0)[0] == 1.0
