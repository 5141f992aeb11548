"""The other driver of a critical scenario, put into a dream's picture.

A model that is told of a vehicle ahead draws it badly, and one that comes in between hardly at all. So where
one is staged, a car cut out of the reference world stands in the picture (`simulator.palette`), as large as
it is far away, and the dream goes on from that. It is always seen from behind.

Shapes: B dreams, H W picture.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from simulator import palette
from simulator.ego import EgoState

FARTHEST_M = 60.0
"""Beyond it a car is a few pixels, and a cell of the latent map is changed for nothing."""
BODIES = {"slow_leader": "van"}  # others are cars


def with_staged(
    frames_BHWC: NDArray[np.uint8], egos: Sequence[EgoState | None], events: Sequence[str]
) -> tuple[NDArray[np.bool_], NDArray[np.uint8]]:
    """What `repaint` takes: the masks (B, H, W) of what is put there, and the pictures with it.

    Args:
        frames_BHWC: uint8, of the reference camera.
        egos: of each dream, None where nothing is staged.
        events: the scenario's, of each dream.
    """
    mask_BHW, pasted_BHWC = np.zeros(frames_BHWC.shape[:3], np.bool_), frames_BHWC.copy()
    for slot, (ego, event) in enumerate(zip(egos, events, strict=True)):
        if ego is None or not 0.0 < ego.lead_distance_m < FARTHEST_M:
            continue
        column, row = palette.seen_at(
            ego.lead_distance_m, ego.lane_offset_m, ego.heading_error_rad, ego.curvature_1pm
        )
        height, width = frames_BHWC.shape[1:3]
        if 0 <= column < width and row < height:
            body = BODIES.get(event, "car")
            mask_BHW[slot], pasted_BHWC[slot] = palette.put(frames_BHWC[slot], body, column, row)
    return mask_BHW, pasted_BHWC
