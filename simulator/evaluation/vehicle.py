"""What the reference world's ego vehicle would do: the motion that actions command.

The same arithmetic as `simulator.truth.vehicle.Ego`, for many starts at once and without a road; a test
drives both. Shapes: N starts, T steps, A=2 action.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.ego import DT_S, FULL_LOCK_RAD, WHEELBASE_M
from simulator.truth.vehicle import (
    AIR_DRAG_1PM,
    GRIP_MPS2,
    MAX_BRAKE_MPS2,
    MAX_THROTTLE_MPS2,
    POWER_W_PER_KG,
    ROLLING_MPS2,
    STEER_RATE_RADPS,
)
from world_model.training.data import Drives

Floats = NDArray[np.float64]


def motion(
    speed_N: NDArray[Any], wheel_N: NDArray[Any], actions_NTA: NDArray[Any]
) -> tuple[Floats, Floats]:
    """Speed in m/s and yaw rate in rad/s after each action, (N, T) each.

    Args:
        speed_N: at the start, m/s.
        wheel_N: angle of the road wheels at the start, rad, left positive.
        actions_NTA: steer and accelerate of each step, in [-1, 1].
    """
    speed = np.asarray(speed_N, np.float64)
    wheel = np.asarray(wheel_N, np.float64)
    speeds, yaw_rates = [], []
    for steer, pedal in np.moveaxis(np.asarray(actions_NTA, np.float64), (1, 2), (0, 1)):
        wheel = _turn(wheel, steer)
        push = np.where(
            pedal >= 0,
            pedal * np.minimum(MAX_THROTTLE_MPS2, POWER_W_PER_KG / np.maximum(speed, 1.0)),
            pedal * MAX_BRAKE_MPS2,
        )
        push = push - np.where(speed > 0, ROLLING_MPS2 + AIR_DRAG_1PM * speed**2, 0.0)
        after = np.maximum(speed + push * DT_S, 0.0)
        yaw_rates.append(_yaw_rate(0.5 * (speed + after), wheel))
        speeds.append(after)
        speed = after
    return np.stack(speeds, 1), np.stack(yaw_rates, 1)


def wheel_trace(wheel_N: NDArray[Any], actions_NTA: NDArray[Any]) -> Floats:
    """Angle of the road wheels during each step, (N, T), rad, from the angle at the start."""
    wheel, angles = np.asarray(wheel_N, np.float64), []
    for steer in np.asarray(actions_NTA, np.float64)[..., 0].T:
        wheel = _turn(wheel, steer)
        angles.append(wheel)
    return np.stack(angles, 1)


def kinematic_yaw_rate(
    start_speed_N: NDArray[Any], speed_NT: NDArray[Any], wheel_NT: NDArray[Any]
) -> Floats:
    """Yaw rate v tan(delta) / L within the tyres' grip, (N, T), rad/s.

    Args:
        start_speed_N: speed before the first step, m/s.
        speed_NT: after each step; v is the mean of the speeds before and after it.
        wheel_NT: angle of the road wheels during each step, rad.
    """
    before = np.concatenate([np.asarray(start_speed_N)[:, None], speed_NT[:, :-1]], 1)
    return _yaw_rate(0.5 * (before + speed_NT), wheel_NT)


def wheel_angles(drives: Drives, rows: NDArray[np.int64]) -> Floats:
    """Angle of the road wheels with each row's frame, rad: its drive began with the wheels straight."""
    angles = np.zeros(len(rows))
    for i, row in enumerate(rows):
        first = int(np.searchsorted(drives.episode_N, drives.episode_N[row]))
        wheel = np.zeros(1)
        for steer in np.nan_to_num(drives.action_NA[first:row, 0]):
            wheel = _turn(wheel, steer)
        angles[i] = wheel[0]
    return angles


def steer_for(speed_N: NDArray[Any], lateral_mps2: float) -> Floats:
    """The steer value at which each speed would be turned into this lateral acceleration, at most 1."""
    speed = np.maximum(np.asarray(speed_N, np.float64), 0.1)
    return np.minimum(np.arctan(WHEELBASE_M * lateral_mps2 / speed**2) / FULL_LOCK_RAD, 1.0)


def _yaw_rate(speed: Floats, wheel: Floats) -> Floats:
    grip = GRIP_MPS2 / np.maximum(speed, 1e-6)
    out: Floats = np.clip(speed * np.tan(wheel) / WHEELBASE_M, -grip, grip)
    return out


def _turn(wheel: Floats, steer: Any) -> Floats:
    reach = STEER_RATE_RADPS * DT_S
    turned: Floats = wheel + np.clip(steer * FULL_LOCK_RAD - wheel, -reach, reach)
    return turned
