"""What is known about the ego vehicle at one instant, the same in the dream and in the reference world.

Kept apart so that the reference world, the environments, recordings and agents share one vocabulary
without importing each other.
"""

from __future__ import annotations

from dataclasses import dataclass

DT_S = 0.1
"""The world's tick: 10 Hz in both environments."""

WHEELBASE_M = 2.8
"""Distance between the axles of the ego vehicle."""

FULL_LOCK_RAD = 0.5
"""Road-wheel angle at `steer = +1` (to the left) or `-1` (to the right)."""

LEAD_RANGE_M = 80.0
"""`lead_distance_m` saturates here: farther vehicles count as no lead at all."""


@dataclass(frozen=True, slots=True)
class EgoState:
    """Ego state that belongs to one camera frame.

    Signs follow ISO 8855 seen from above: left and counter-clockwise are positive.
    `lane_offset_m` is the distance of the car's centre to the left of the centre line of its lane;
    `heading_error_rad` is the car's heading minus the lane's heading, in (-pi, pi];
    `curvature_1pm` is the lane's curvature 10 m ahead (positive bends to the left);
    `lead_distance_m` is the gap to the next vehicle ahead in the lane, at most `LEAD_RANGE_M`;
    `progress_m` is the distance travelled along the lanes since the episode began.
    """

    speed_mps: float
    yaw_rate_radps: float
    lane_offset_m: float
    heading_error_rad: float
    curvature_1pm: float
    lead_distance_m: float
    progress_m: float
    collision: bool
    offroad: bool
