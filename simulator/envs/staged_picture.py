"""The other driver of a critical scenario, laid over a dream's picture.

A model that is told of a vehicle ahead draws one, but a small one, and late. So where one is staged, a car
cut out of the reference world stands in the picture that is shown (`simulator.palette`), as large as it is
far away. The dream itself goes on without it: put into its memory step after step, it made others grow
beside it, and within seconds a wall of them. It is always seen from behind.

Shapes: B dreams, H W picture.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from simulator import palette
from simulator.ego import EgoState
from simulator.envs.dream_episode import DreamEpisode
from world_model.engine.base import Engine

FARTHEST_M = 50.0
"""Beyond it a car is a few pixels, and where the road leads there isn't known to them."""
BODIES = {"slow_leader": "van"}  # others are cars
DAYLIGHT = 80.0  # grey level of the road before the car by day, when the cars were cut out
DARKEST, ROAD_ROWS = 0.3, 45


def sees_as_reference(engine: Engine) -> bool:
    """Whether an engine's pictures are those of the reference camera: cut-outs stand where that sees them."""
    from world_model.families.reprojection import CameraConfig  # brings torch along

    return engine.camera == CameraConfig() and engine.frame_shape[:2] == (128, 256)


def put_staged(
    frames_BHWC: NDArray[np.uint8], episodes: Sequence[DreamEpisode | None]
) -> dict[int, NDArray[np.uint8]]:
    """The pictures with their staged vehicles: the slots that have one to be seen, and what they show.

    Args:
        frames_BHWC: the newest frames.
        episodes: those that have just been told of a vehicle; None for all others.
    """
    # who has just left the vehicle's lane has none ahead any more; who has just hit it sees what was hit
    staged = [e.staged if e and e.staged and e.staged.lead().is_vehicle else None for e in episodes]
    if not any(staged):  # nearly always: no picture is copied for nothing
        return {}
    egos = [e.ego if e and s else None for e, s in zip(episodes, staged, strict=True)]
    events = ["" if s is None else s.spec.event for s in staged]
    mask_BHW, pasted_BHWC = with_staged(frames_BHWC, egos, events)
    return {slot: pasted_BHWC[slot] for slot in np.flatnonzero(mask_BHW.any((1, 2))).tolist()}


def light_of(frame_HWC: NDArray[np.uint8]) -> float:
    """How light it is before the car; 1 by day."""
    return float(np.clip(frame_HWC[-ROAD_ROWS:].mean() / DAYLIGHT, DARKEST, 1.0))


def with_staged(
    frames_BHWC: NDArray[np.uint8], egos: Sequence[EgoState | None], events: Sequence[str]
) -> tuple[NDArray[np.bool_], NDArray[np.uint8]]:
    """The masks (B, H, W) of what is put there, and the pictures with it.

    Args:
        frames_BHWC: uint8, of the reference camera.
        egos: of each dream, None where nothing is staged.
        events: the scenario's, of each dream.
    """
    mask_BHW, pasted_BHWC = np.zeros(frames_BHWC.shape[:3], np.bool_), frames_BHWC.copy()
    for slot, (ego, event) in enumerate(zip(egos, events, strict=True)):
        if ego is None or not ego.lead_distance_m < FARTHEST_M:
            continue
        column, row = palette.seen_at(
            ego.lead_distance_m, ego.lane_offset_m, ego.heading_error_rad, ego.curvature_1pm
        )
        height, width = frames_BHWC.shape[1:3]
        if 0 <= column < width:
            row = min(row, height - 1.0)  # at the bumper it stands below the picture's edge
            body = BODIES.get(event, "car")
            mask_BHW[slot], pasted_BHWC[slot] = palette.put(
                frames_BHWC[slot], body, column, row, light_of(frames_BHWC[slot])
            )
    return mask_BHW, pasted_BHWC
