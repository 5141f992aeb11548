"""The expert: keeps its lane and its distance from what `info` says, in any world that says it.

Steering is the lane's curvature plus a feedback that acts like pure pursuit (damping 0.7 at every
speed); speed follows the Intelligent Driver Model (Treiber et al. 2000) with a limit in bends.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.ego import DT_S, FULL_LOCK_RAD, LEAD_RANGE_M, WHEELBASE_M


@dataclass(frozen=True, slots=True)
class LaneKeeperConfig:
    """How the lane keeper drives; the defaults are calm."""

    lookahead_s: float = 0.8
    lookahead_min_m: float = 6.0
    approach_rad: float = 0.3  # steepest angle at which it comes back to its line
    speed_factor: float = 0.95  # of the speed limit
    lateral_mps2: float = 2.5  # what it accepts in bends
    throttle_mps2: float = 2.0
    brake_mps2: float = 3.0
    headway_s: float = 1.4
    standstill_gap_m: float = 3.0
    default_limit_mps: float = 20.0  # where the world doesn't know its limit


class LaneKeeper:
    """Drives by the ego state in `info`.

    Reads speed_mps, lane_offset_m, heading_error_rad, curvature_1pm, lead_distance_m and
    speed_limit_mps. What is missing or NaN counts as "nothing special": on its line, straight road,
    no vehicle ahead. `target_offset_m` may be set while driving to keep left (positive) or right of
    the centre line; `speed_factor` likewise.
    """

    uses_camera = False

    # What full throttle and full brake do to the ego vehicle, m/s^2.
    FULL_THROTTLE_MPS2 = 3.5
    FULL_BRAKE_MPS2 = 8.0

    def __init__(self, config: LaneKeeperConfig | None = None) -> None:
        self.config = config or LaneKeeperConfig()
        self.reset()

    def reset(self, seed: int | None = None) -> None:
        """Forget the vehicle ahead. It uses no randomness."""
        self.target_offset_m = 0.0
        self.speed_factor = self.config.speed_factor
        self._last_gap_m: float | None = None
        self._closing_mps = 0.0

    def act(self, observation: Any, info: Mapping[str, Any]) -> NDArray[np.float32]:
        """Steer along the lane, keep speed and distance."""
        speed = max(0.0, _read(info, "speed_mps", 0.0))
        return np.array([self._steer(speed, info), self._accelerate(speed, info)], np.float32)

    def _steer(self, speed: float, info: Mapping[str, Any]) -> float:
        ahead = max(self.config.lookahead_min_m, self.config.lookahead_s * speed)
        offset = _read(info, "lane_offset_m", 0.0) - self.target_offset_m
        reach = self.config.approach_rad * ahead
        offset = max(-reach, min(reach, offset))
        heading = math.sin(_read(info, "heading_error_rad", 0.0))
        curvature = _read(info, "curvature_1pm", 0.0)
        wanted = curvature - 2.0 * (offset + ahead * heading) / ahead**2
        return _clip(math.atan(WHEELBASE_M * wanted) / FULL_LOCK_RAD)

    def _accelerate(self, speed: float, info: Mapping[str, Any]) -> float:
        config = self.config
        limit = _read(info, "speed_limit_mps", config.default_limit_mps) * self.speed_factor
        bend = abs(_read(info, "curvature_1pm", 0.0))
        wanted = max(1.0, min(limit, math.sqrt(config.lateral_mps2 / max(bend, 1e-6))))
        free = 1.0 - (speed / wanted) ** 4
        acceleration = config.throttle_mps2 * (free if free > 0.0 else max(free, -1.0))
        gap = max(0.1, _read(info, "lead_distance_m", LEAD_RANGE_M))
        closing = self._track(gap)
        if gap < LEAD_RANGE_M:
            braking = 2.0 * math.sqrt(config.throttle_mps2 * config.brake_mps2)
            keep = config.standstill_gap_m + max(
                0.0, speed * config.headway_s + speed * closing / braking
            )
            acceleration -= config.throttle_mps2 * (keep / gap) ** 2
        return self.pedal(acceleration)

    @classmethod
    def pedal(cls, acceleration_mps2: float) -> float:
        """The `accelerate` that gives an acceleration, as near as the pedals can."""
        full = cls.FULL_THROTTLE_MPS2 if acceleration_mps2 >= 0.0 else cls.FULL_BRAKE_MPS2
        return _clip(acceleration_mps2 / full)

    def _track(self, gap_m: float) -> float:
        """Closing speed from successive gaps, m/s; a new vehicle ahead starts at zero."""
        last, self._last_gap_m = self._last_gap_m, gap_m if gap_m < LEAD_RANGE_M else None
        if self._last_gap_m is None or last is None or abs(gap_m - last) > 5.0:
            self._closing_mps = 0.0
        else:
            self._closing_mps += 0.5 * ((last - gap_m) / DT_S - self._closing_mps)
        return self._closing_mps


def _read(info: Mapping[str, Any], key: str, otherwise: float) -> float:
    value = info.get(key)
    return float(value) if value is not None and math.isfinite(value) else otherwise


def _clip(value: float) -> float:
    return max(-1.0, min(1.0, value))
