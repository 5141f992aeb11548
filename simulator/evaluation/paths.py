"""Where a vehicle goes that has these speeds and yaw rates: poses by integration, and how far two part.

Shapes: N vehicles, T steps.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.ego import DT_S

Floats = NDArray[np.float64]


def heading_rad(yaw_rate_NT: NDArray[Any]) -> Floats:
    """Heading after each step relative to the start, rad, left positive."""
    out: Floats = np.cumsum(np.asarray(yaw_rate_NT, np.float64), 1) * DT_S
    return out


def position_m(speed_NT: NDArray[Any], yaw_rate_NT: NDArray[Any]) -> Floats:
    """Position after each step, (N, T, 2), m: x ahead of the start, y to its left.

    Each step is driven at its speed along the mean of the headings before and after it.
    """
    speed = np.asarray(speed_NT, np.float64)
    turn = np.asarray(yaw_rate_NT, np.float64) * DT_S
    middle = np.cumsum(turn, 1) - turn / 2
    steps = np.stack([np.cos(middle), np.sin(middle)], -1) * (speed * DT_S)[..., None]
    out: Floats = np.cumsum(steps, 1)
    return out


def drift(
    speed_a: NDArray[Any], yaw_a: NDArray[Any], speed_b: NDArray[Any], yaw_b: NDArray[Any]
) -> tuple[Floats, Floats]:
    """Distance in m and difference of heading in rad between two vehicles' poses, (N, T) each."""
    apart = np.linalg.norm(position_m(speed_a, yaw_a) - position_m(speed_b, yaw_b), axis=-1)
    turned = heading_rad(yaw_a) - heading_rad(yaw_b)
    return apart, np.abs((turned + np.pi) % (2 * np.pi) - np.pi)
