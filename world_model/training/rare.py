"""What drives show seldom and dreams need most: bends, a car that leaves its lane, a car that stands.

Nineteen frames in twenty of set `town` show a road straighter than a bend of 200 m, and nearly all a car in
the middle of its lane. Taught by those, a dream straightens every road and brings it back under a driver who
doesn't look. A car that stands is one in forty, and its dream boils.

Somebody to follow is rare as well and not drawn more often: dreams took it for usual, and drew vehicles
that weren't there.

Events are rarest of all: a crash is one frame in a thousand, and drives end soon after it.

`rare_windows` says which windows a dream needs, `fresh_event` which frames tell events, `rare_motion` and
`rare_place` which frames the meter needs.

Shapes: N rows, S states (`STATE_HEADS`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from world_model.engine.base import STATE_HEADS
from world_model.heads import MOTIONS
from world_model.training.data import Drives

BEND_1PM = 0.005
LEAVING_M, LEAVING_RAD = 0.5, 0.1  # further off, or more askew, than at the window's start
ROLLING_MPS, STANDING_MPS = 3.0, 0.5
FRESH = 4
"""For so many frames what happened is new."""


def rare_windows(drives: Drives, rows_N: NDArray[np.int64], ahead: int) -> NDArray[np.bool_]:
    """Which windows show one of these, by their first row and the one `ahead` rows later.

    Missing labels tell nothing.
    """
    now, then = (
        dict(zip(STATE_HEADS, drives.state_NS[rows].T, strict=True))
        for rows in (rows_N, rows_N + ahead)
    )

    def grows(name: str, limit: float) -> NDArray[np.bool_]:
        more: NDArray[np.bool_] = np.abs(then[name]) - np.abs(now[name]) > limit
        return more

    bends = np.fmax(np.abs(now["curvature_1pm"]), np.abs(then["curvature_1pm"])) > BEND_1PM
    leaves = grows("lane_offset_m", LEAVING_M) | grows("heading_error_rad", LEAVING_RAD)
    stands = np.fmax(now["speed_mps"], then["speed_mps"]) < STANDING_MPS
    rare: NDArray[np.bool_] = stands | (now["speed_mps"] > ROLLING_MPS) & (bends | leaves)
    return rare


def fresh_event(drives: Drives, rows_N: NDArray[np.int64]) -> NDArray[np.bool_]:
    """After which rows a frame comes with an event that wasn't there `FRESH` frames before it."""
    event_NE = drives.event_NE
    fresh_NE = (event_NE[rows_N + 1] == 1) & (event_NE[rows_N + 1 - FRESH] == 0)
    fresh: NDArray[np.bool_] = np.any(fresh_NE, axis=1)
    return fresh


def rare_motion(state_NS: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Frames that count most in a judgement of motion and are few: hard turning, standing, creeping."""
    speed, yaw_rate = state_NS[:, :MOTIONS].T
    rare: NDArray[np.bool_] = (np.abs(yaw_rate) > 0.15) | (speed < 2.0)
    return rare


def rare_place(state_NS: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Likewise of places: off the lane's centre or its direction, in a bend, behind a car."""
    offset, heading, curvature, lead = state_NS[:, MOTIONS:].T
    rare: NDArray[np.bool_] = (
        (np.abs(offset) > 0.5)
        | (np.abs(heading) > 0.05)
        | (np.abs(curvature) > 0.004)
        | (lead < 60.0)
    )
    return rare
