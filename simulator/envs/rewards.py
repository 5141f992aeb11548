"""What good driving is worth per step: one function for the dream and the reference world.

Every term is already weighted, so the reward is their plain sum. A quantity that a world model does
not know arrives as NaN and its term is zero.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from simulator.ego import DT_S, EgoState

PROGRESS = 1.0  # driving along the lane at exactly the speed limit
SPEEDING = 1.0  # times the share by which the limit is exceeded
LANE_OFFSET = 0.5  # at LANE_OFFSET_SCALE_M from the centre, growing with the square
HEADING = 0.5  # at HEADING_SCALE_RAD, growing with the square
COMFORT = 0.5  # at twice the comfortable acceleration; nothing below it
SMOOTHNESS = 0.05  # full-range change of both controls within one tick
COLLISION = 20.0  # once, as it happens; usually it ends the episode
OFFROAD = 10.0  # once, as the road is left

LANE_OFFSET_SCALE_M = 1.75
HEADING_SCALE_RAD = 0.5
COMFORTABLE_THROTTLE_MPS2 = 2.40
COMFORTABLE_BRAKE_MPS2 = 4.05
COMFORTABLE_LATERAL_MPS2 = 4.89

TERMS = (
    "progress",
    "speeding",
    "lane_offset",
    "heading",
    "comfort",
    "smoothness",
    "collision",
    "offroad",
)


def no_terms() -> dict[str, float]:
    """The terms of a frame that no action led to."""
    return dict.fromkeys(TERMS, 0.0)


def reward_terms(
    previous: EgoState,
    current: EgoState,
    action: NDArray[np.float32],
    previous_action: NDArray[np.float32],
    speed_limit_mps: float,
    dt_s: float = DT_S,
) -> dict[str, float]:
    """Weighted terms for the tick from `previous` to `current` under `action` (2,).

    Returns `TERMS` in order. Progress is in [-1, 1]; all other terms are at most zero, and each
    but the two events is at least -1, so a step without an event is worth between about -5 and 1.
    """
    speed = _known(current.speed_mps)
    limit = max(speed_limit_mps, 1.0) if speed_limit_mps == speed_limit_mps else math.inf
    advanced_m = _known(current.progress_m - previous.progress_m)
    steer_change = float(action[0]) - float(previous_action[0])
    accelerate_change = float(action[1]) - float(previous_action[1])
    terms = {
        "progress": PROGRESS * max(-1.0, min(1.0, advanced_m / (limit * dt_s))),
        "speeding": -SPEEDING * max(0.0, min(1.0, speed / limit - 1.0)),
        "lane_offset": -LANE_OFFSET * _square(current.lane_offset_m / LANE_OFFSET_SCALE_M),
        "heading": -HEADING * _square(current.heading_error_rad / HEADING_SCALE_RAD),
        "comfort": -COMFORT * _discomfort(previous, current, dt_s),
        "smoothness": -SMOOTHNESS * (steer_change**2 + accelerate_change**2) / 8.0,
        "collision": -COLLISION if current.collision and not previous.collision else 0.0,
        "offroad": -OFFROAD if current.offroad and not previous.offroad else 0.0,
    }
    return {name: term + 0.0 for name, term in terms.items()}  # no -0.0 in anyone's table


def total(terms: Mapping[str, float]) -> float:
    """The reward of one step."""
    return float(sum(terms.values()))


def _known(value: float) -> float:
    return value if math.isfinite(value) else 0.0


def _square(ratio: float) -> float:
    """Square of a ratio, at most 2: far outside the lane one metre more says nothing new."""
    return min(2.0, _known(ratio) ** 2)


def _discomfort(previous: EgoState, current: EgoState, dt_s: float) -> float:
    """By how much the worse of the two accelerations exceeds comfort: 0 at it, 1 at twice as much."""
    along = _known((current.speed_mps - previous.speed_mps) / dt_s)
    comfortable = COMFORTABLE_THROTTLE_MPS2 if along > 0.0 else COMFORTABLE_BRAKE_MPS2
    across = _known(abs(current.speed_mps * current.yaw_rate_radps))
    worst = max(abs(along) / comfortable, across / COMFORTABLE_LATERAL_MPS2)
    return max(0.0, min(2.0, worst - 1.0))
