"""The info dict: the same keys, units and order in the dream and in the reference world.

No clock of the computer goes in, so equal seeds and actions give equal info.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from simulator.ego import EgoState

TerminationReason = Literal["", "collision", "offroad", "route_completed", "time_limit", "surprise"]

TRUNCATIONS = frozenset({"time_limit", "surprise"})
"""Reasons that cut an episode short; the other reasons end it for good."""


def build_info(
    ego: EgoState,
    *,
    terms: Mapping[str, float],
    reason: TerminationReason,
    speed_limit_mps: float,
    time_s: float,
    scenario: str,
    frame_hash: str,
    surprise: float = 0.0,
    doubt: float = 0.0,
    drift_score: float = 0.0,
    picture_gap_m: float = 0.0,
    reanchored: bool = False,
    unknown: tuple[str, ...] = (),
) -> dict[str, Any]:
    """The info of one frame.

    `unknown` names the ego fields that the world behind the environment cannot tell: those are NaN
    (numbers) or False (events).
    """
    return {
        "speed_mps": float(ego.speed_mps),
        "yaw_rate_radps": float(ego.yaw_rate_radps),
        "lane_offset_m": float(ego.lane_offset_m),
        "heading_error_rad": float(ego.heading_error_rad),
        "curvature_1pm": float(ego.curvature_1pm),
        "lead_distance_m": float(ego.lead_distance_m),
        "progress_m": float(ego.progress_m),
        "collision": bool(ego.collision),
        "offroad": bool(ego.offroad),
        "speed_limit_mps": float(speed_limit_mps),
        "reward_terms": dict(terms),
        "surprise": surprise,
        "doubt": doubt,
        "drift_score": drift_score,
        "picture_gap_m": picture_gap_m,
        "reanchored": reanchored,
        "time_s": time_s,
        "scenario": scenario,
        "frame_hash": frame_hash,
        "termination_reason": reason,
        "unknown": unknown,
    }
