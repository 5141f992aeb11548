"""Recorded traffic as plain data: lanes between bounds, tracks of vehicles, starts and goals.

Kept apart from the file formats that say it and from the world that replays it. Metres, seconds, radians;
x to the right on the map, y up, angles counter-clockwise; right-hand traffic.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Neighbour:
    """The lane beside a lane."""

    lane: int
    same_direction: bool


@dataclass(frozen=True, slots=True)
class Lanelet:
    """A stretch of lane, from its beginning to its end in the direction of travel."""

    number: int
    left_xy_m: Floats  # (N, 2)
    right_xy_m: Floats  # (M, 2)
    successors: tuple[int, ...]
    left: Neighbour | None
    right: Neighbour | None
    left_marking: str | None  # as the file calls it; None where it says nothing
    right_marking: str | None
    speed_limit_mps: float | None

    def outline(self) -> Floats:
        """The polygon between the bounds, (N + M, 2)."""
        return np.concatenate([self.left_xy_m, self.right_xy_m[::-1]])


@dataclass(frozen=True, slots=True)
class Instant:
    """A vehicle at one time; `acceleration_mps2` is negative when it slows down."""

    x_m: float
    y_m: float
    heading_rad: float
    speed_mps: float
    acceleration_mps2: float


@dataclass(frozen=True, slots=True)
class Track:
    """One recorded vehicle. All arrays are (N,); a single row stands there for ever."""

    number: int
    kind: str
    length_m: float
    width_m: float
    time_s: Floats
    x_m: Floats
    y_m: Floats
    heading_rad: Floats  # unwrapped
    speed_mps: Floats

    def __deepcopy__(self, memo: object) -> Track:
        """A log is never changed: saved states share it."""
        return self

    def covers(self, time_s: float) -> bool:
        """Whether the vehicle was seen at a time."""
        slack = 1e-6
        return len(self.time_s) == 1 or (
            float(self.time_s[0]) - slack <= time_s <= float(self.time_s[-1]) + slack
        )

    def at(self, time_s: float) -> Instant:
        """The vehicle between its recorded instants: positions and headings linearly."""
        x, y, heading, speed = (
            float(np.interp(time_s, self.time_s, values))
            for values in (self.x_m, self.y_m, self.heading_rad, self.speed_mps)
        )
        rate = 0.0
        if len(self.time_s) > 1:
            last = len(self.time_s) - 1
            row = min(max(int(np.searchsorted(self.time_s, time_s, "right")), 1), last)
            run_s = float(self.time_s[row] - self.time_s[row - 1])
            rate = float(self.speed_mps[row] - self.speed_mps[row - 1]) / run_s
        return Instant(x, y, math.remainder(heading, math.tau), speed, rate)


@dataclass(frozen=True, slots=True)
class Goal:
    """Where and how to arrive. Reached when everything that is given holds at one instant."""

    areas_xy_m: tuple[Floats, ...]  # polygons (N, 2), any of them; empty: anywhere
    time_s: tuple[float, float]
    speed_mps: tuple[float, float] | None
    heading_rad: tuple[float, float] | None  # counter-clockwise from the first to the second

    def holds(
        self, time_s: float, x_m: float, y_m: float, heading_rad: float, speed_mps: float
    ) -> bool:
        """Whether a vehicle has arrived; `time_s` is the log's clock."""
        slack = 1e-6
        if not self.time_s[0] - slack <= time_s <= self.time_s[1] + slack:
            return False
        if self.speed_mps and not self.speed_mps[0] <= speed_mps <= self.speed_mps[1]:
            return False
        if self.heading_rad:
            first, last = self.heading_rad
            if (heading_rad - first) % math.tau > last - first:
                return False
        return not self.areas_xy_m or any(inside(area, x_m, y_m) for area in self.areas_xy_m)


@dataclass(frozen=True, slots=True)
class Problem:
    """The ego's part: its first instant, and its goals, one of which is to be reached."""

    number: int
    start_s: float
    start: Instant
    yaw_rate_radps: float
    goals: tuple[Goal, ...]

    @property
    def latest_s(self) -> float:
        """When the last goal lapses, on the log's clock."""
        return max(goal.time_s[1] for goal in self.goals)


@dataclass(frozen=True, slots=True)
class TrafficLog:
    """All that a file says about one place and a few seconds of its traffic."""

    name: str
    tags: tuple[str, ...]
    lanelets: dict[int, Lanelet]
    tracks: tuple[Track, ...]
    problems: dict[int, Problem]
    origin_xy_m: tuple[float, float]  # of these coordinates, in the file's
    notes: tuple[str, ...]  # what the file says that is not used


def inside(polygon_xy_m: Floats, x_m: float, y_m: float) -> bool:
    """Whether a point lies in a polygon: an odd number of edges to its right (crossing number)."""
    x, y = polygon_xy_m[:, 0], polygon_xy_m[:, 1]
    next_x, next_y = np.roll(x, -1), np.roll(y, -1)
    spans = (y > y_m) != (next_y > y_m)
    rise = np.where(spans, next_y - y, 1.0)
    return bool(np.count_nonzero(spans & (x_m < x + (y_m - y) / rise * (next_x - x))) % 2)
