"""What drives show seldom and dreams need most: bends, a car that leaves its lane, somebody to follow.

Nineteen frames in twenty of set `town` show a road straighter than a bend of 200 m, and nearly all a car in
the middle of its lane. Taught by those, a dream straightens every road and brings it back under a driver who
doesn't look.

Shapes: N rows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from world_model.engine.base import STATE_HEADS
from world_model.training.data import Drives

BEND_1PM = 0.005
LEAVING_M, LEAVING_RAD = 0.5, 0.1  # further off, or more askew, than at the window's start
FOLLOWING_M, STEADY_M = 40.0, 4.0  # nearer than this, and the distance changes by less than that
ROLLING_MPS = 3.0


def is_rare(drives: Drives, rows_N: NDArray[np.int64], ahead: int) -> NDArray[np.bool_]:
    """Which windows, from a row to `ahead` rows later, show one of these; missing labels tell nothing."""
    columns = range(len(STATE_HEADS))
    now, then = (
        dict(zip(STATE_HEADS, (drives.state_NS[rows, i] for i in columns), strict=True))
        for rows in (rows_N, rows_N + ahead)
    )

    def grows(name: str, limit: float) -> NDArray[np.bool_]:
        more: NDArray[np.bool_] = np.abs(then[name]) - np.abs(now[name]) > limit
        return more

    lead = "lead_distance_m"
    follows = (now[lead] < FOLLOWING_M) & (np.abs(then[lead] - now[lead]) < STEADY_M)
    bends = np.fmax(np.abs(now["curvature_1pm"]), np.abs(then["curvature_1pm"])) > BEND_1PM
    leaves = grows("lane_offset_m", LEAVING_M) | grows("heading_error_rad", LEAVING_RAD)
    rare: NDArray[np.bool_] = (now["speed_mps"] > ROLLING_MPS) & (bends | leaves | follows)
    return rare
