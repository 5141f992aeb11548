"""Curves, and the lane class that HighwayEnv drives on: ten cars at hundreds of ticks a second.

A curve is sampled about once a metre and understood as a chain of circular arcs (a clothoid in small
steps). Projection starts from a table of nearby nodes, so it needs no search and keeps no state.
All coordinates are in our frame (y up, counter-clockwise, lateral positive to the LEFT): HighwayEnv's
formulas hold in either handedness, only its own pictures are drawn y down.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from typing import Any

import numpy as np
from highway_env.road.lane import AbstractLane, LineType
from numpy.typing import NDArray

from simulator.truth.scene import LaneStrip, Line

Floats = NDArray[np.float64]

_CELL_M = 8.0
_REMEMBERED = 64  # points of which a lane remembers where they lie along it


@dataclass(frozen=True, slots=True)
class Curve:
    """A directed plane curve in nodes: arc length, position, heading and curvature, each (N,)."""

    s_m: Floats
    x_m: Floats
    y_m: Floats
    heading_rad: Floats
    curvature_1pm: Floats

    @property
    def length_m(self) -> float:
        return float(self.s_m[-1])

    @staticmethod
    def from_curvature(
        curvature_1pm: Floats,
        step_m: float = 1.0,
        x_m: float = 0.0,
        y_m: float = 0.0,
        heading_rad: float = 0.0,
    ) -> Curve:
        """Integrate a curvature profile with nodes `step_m` apart."""
        turn = 0.5 * (curvature_1pm[1:] + curvature_1pm[:-1]) * step_m
        heading = heading_rad + np.concatenate([[0.0], np.cumsum(turn)])
        middle = 0.5 * (heading[1:] + heading[:-1])
        x = x_m + np.concatenate([[0.0], np.cumsum(np.cos(middle) * step_m)])
        y = y_m + np.concatenate([[0.0], np.cumsum(np.sin(middle) * step_m)])
        s = step_m * np.arange(len(x), dtype=np.float64)
        return Curve(s, x, y, heading, np.asarray(curvature_1pm, float))

    @staticmethod
    def through(points_xy_m: Floats) -> Curve:
        """The curve through dense points; heading and curvature come from differences."""
        dx, dy = np.gradient(points_xy_m[:, 0]), np.gradient(points_xy_m[:, 1])
        heading = np.unwrap(np.arctan2(dy, dx))
        steps = np.hypot(np.diff(points_xy_m[:, 0]), np.diff(points_xy_m[:, 1]))
        s = np.concatenate([[0.0], np.cumsum(steps)])
        return Curve(s, points_xy_m[:, 0], points_xy_m[:, 1], heading, np.gradient(heading, s))

    @staticmethod
    def between(
        start: tuple[float, float, float], end: tuple[float, float, float], pull: float = 1.0
    ) -> Curve:
        """A smooth curve from pose to pose (x, y, heading); `pull` scales its end tangents."""
        (x0, y0, h0), (x1, y1, h1) = start, end
        reach = pull * math.hypot(x1 - x0, y1 - y0)
        fine = np.linspace(0.0, 1.0, 201)[:, None]
        p0, p1 = np.array([x0, y0]), np.array([x1, y1])
        t0 = reach * np.array([math.cos(h0), math.sin(h0)])
        t1 = reach * np.array([math.cos(h1), math.sin(h1)])
        u2, u3 = fine**2, fine**3
        points = (
            (2 * u3 - 3 * u2 + 1) * p0 + (u3 - 2 * u2 + fine) * t0
            + (3 * u2 - 2 * u3) * p1 + (u3 - u2) * t1
        )  # fmt: skip
        s = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
        even = np.linspace(0.0, s[-1], max(round(float(s[-1])), 4) + 1)
        curve = Curve.through(
            np.stack([np.interp(even, s, points[:, 0]), np.interp(even, s, points[:, 1])], axis=1)
        )
        heading = curve.heading_rad.copy()  # the ends are known exactly
        heading[0] += math.remainder(h0 - heading[0], math.tau)
        heading[-1] += math.remainder(h1 - heading[-1], math.tau)
        curvature = np.gradient(heading, curve.s_m)
        return Curve(curve.s_m, curve.x_m, curve.y_m, heading, curvature)

    def offset(self, left_m: float | Floats) -> Curve:
        """The parallel curve `left_m` to the left (an array moves each node by its own amount)."""
        x = self.x_m - np.sin(self.heading_rad) * left_m
        y = self.y_m + np.cos(self.heading_rad) * left_m
        if np.ndim(left_m):
            return Curve.through(np.stack([x, y], axis=1))
        stretch = 1.0 - self.curvature_1pm * left_m
        mean = 0.5 * (stretch[1:] + stretch[:-1])
        s = np.concatenate([[0.0], np.cumsum(np.diff(self.s_m) * mean)])
        return Curve(s, x, y, self.heading_rad, self.curvature_1pm / stretch)

    def reversed(self) -> Curve:
        """The same curve driven the other way."""
        return Curve(
            self.s_m[-1] - self.s_m[::-1],
            self.x_m[::-1],
            self.y_m[::-1],
            self.heading_rad[::-1] + math.pi,
            -self.curvature_1pm[::-1],
        )

    def cut(self, first: int, last: int) -> Curve:
        """Nodes `first` to `last`, both included."""
        part = slice(first, last + 1)
        s = self.s_m[part]
        return Curve(
            s - s[0],
            self.x_m[part],
            self.y_m[part],
            self.heading_rad[part],
            self.curvature_1pm[part],
        )

    def pose(self, node: int) -> tuple[float, float, float]:
        """Position and heading at one node."""
        return float(self.x_m[node]), float(self.y_m[node]), float(self.heading_rad[node])


class CurveLane(AbstractLane):  # type: ignore[misc]
    """A lane of constant width along a curve.

    `local_coordinates` is a pure function, exact for a chain of arcs; before the start and past the
    end the lane goes on straight. `advised_mps` is what a calm driver does, bends ahead included.
    """

    def __init__(
        self,
        curve: Curve,
        width_m: float,
        speed_limit_mps: float,
        left_line: Line = Line.NONE,
        right_line: Line = Line.NONE,
    ) -> None:
        self.curve = curve
        self.width = width_m
        self.speed_limit = speed_limit_mps
        self.left_line, self.right_line = left_line, right_line
        self.length = curve.length_m
        self.number = 0  # set by the layout: its place among all lanes
        self.line_types = [LineType.NONE, LineType.NONE]  # for HighwayEnv's own drawing only
        self.forbidden, self.priority = False, 0
        self.advised_mps = [speed_limit_mps] * len(curve.s_m)
        self._s: list[float] = curve.s_m.tolist()
        self._x: list[float] = curve.x_m.tolist()
        self._y: list[float] = curve.y_m.tolist()
        self._h: list[float] = curve.heading_rad.tolist()
        self._k: list[float] = curve.curvature_1pm.tolist()
        self._cos: list[float] = np.cos(curve.heading_rad).tolist()
        self._sin: list[float] = np.sin(curve.heading_rad).tolist()
        self._last = len(self._s) - 1
        self._step = self.length / self._last
        self._cells = self._make_cells()
        self._found: dict[tuple[float, float], tuple[float, float]] = {}

    def _make_cells(self) -> dict[tuple[int, int], int]:
        """For each grid cell within about two cells of the lane, the node nearest to its middle."""
        cells: dict[tuple[int, int], tuple[float, int]] = {}
        for node in [*range(0, self._last, 3), self._last]:
            x, y = self._x[node], self._y[node]
            column, row = int(x // _CELL_M), int(y // _CELL_M)
            for i in (column - 2, column - 1, column, column + 1, column + 2):
                for j in (row - 2, row - 1, row, row + 1, row + 2):
                    away = (x - (i + 0.5) * _CELL_M) ** 2 + (y - (j + 0.5) * _CELL_M) ** 2
                    best = cells.get((i, j))
                    if best is None or away < best[0]:
                        cells[i, j] = (away, node)
        return {cell: node for cell, (_, node) in cells.items()}

    def is_near(self, x_m: float, y_m: float) -> bool:
        """Whether the lane passes within two cells (at least 16 m) of a point."""
        return (int(x_m // _CELL_M), int(y_m // _CELL_M)) in self._cells

    def local_coordinates(self, position: Any) -> tuple[float, float]:
        """Station along the lane and offset to its left of a point (x, y)."""
        point = float(position[0]), float(position[1])
        found = self._found.get(point)  # the rules of one tick ask some ten times for each vehicle
        if found is None:
            if len(self._found) >= _REMEMBERED:
                self._found.clear()
            found = self._found[point] = self._locate(*point)
        return found

    def _locate(self, x: float, y: float) -> tuple[float, float]:
        node = self._cells.get((int(x // _CELL_M), int(y // _CELL_M)), -1)
        if node < 0:
            node = int(np.argmin((self.curve.x_m - x) ** 2 + (self.curve.y_m - y) ** 2))
        for _ in range(8):
            dx, dy = x - self._x[node], y - self._y[node]
            along = dx * self._cos[node] + dy * self._sin[node]
            nearer = min(max(node + round(along / self._step), 0), self._last)
            if nearer == node:
                break
            node = nearer
        dx, dy = x - self._x[node], y - self._y[node]
        cos, sin, k = self._cos[node], self._sin[node], self._k[node]
        along, across = dx * cos + dy * sin, dy * cos - dx * sin
        outside = (node == 0 and along < 0.0) or (node == self._last and along > 0.0)
        towards_centre = 1.0 - k * across
        if outside or abs(k) < 1e-6 or towards_centre < 0.2:
            return self._s[node] + along, across
        return (
            self._s[node] + math.atan2(k * along, towards_centre) / k,
            (1.0 - math.hypot(k * along, towards_centre)) / k,
        )

    def _node(self, longitudinal: float) -> int:
        return min(max(bisect_right(self._s, longitudinal) - 1, 0), self._last)

    def position(self, longitudinal: float, lateral: float) -> Floats:
        """The world point at a station and an offset to the left."""
        node = self._node(longitudinal)
        rest = longitudinal - self._s[node]
        k = self._k[node] if 0.0 <= longitudinal <= self.length else 0.0
        chord = self._h[node] + 0.5 * k * rest
        heading = self._h[node] + k * rest
        return np.array(
            [
                self._x[node] + rest * math.cos(chord) - lateral * math.sin(heading),
                self._y[node] + rest * math.sin(chord) + lateral * math.cos(heading),
            ]
        )

    def heading_at(self, longitudinal: float) -> float:
        """Heading of the lane at a station, not wrapped."""
        node = self._node(longitudinal)
        if not 0.0 <= longitudinal <= self.length:
            return self._h[node]
        return self._h[node] + self._k[node] * (longitudinal - self._s[node])

    def curvature_at(self, longitudinal: float) -> float:
        """Signed curvature, positive to the left; zero outside the lane."""
        return self._k[self._node(longitudinal)] if 0.0 <= longitudinal <= self.length else 0.0

    def advised_at(self, longitudinal: float) -> float:
        """What a calm driver does at a station."""
        return self.advised_mps[self._node(longitudinal)]

    def width_at(self, longitudinal: float) -> float:
        """The constant width."""
        return self.width

    def outside_m(self, position: Any) -> float:
        """How far a point lies outside the lane's surface; negative inside."""
        station, offset = self.local_coordinates(position)
        return max(abs(offset) - self.width / 2, -station, station - self.length)

    def strip(self) -> LaneStrip:
        """The lane as the camera sees it, nodes about 2 m apart."""
        keep = np.unique(np.append(np.arange(0, self._last, 2), self._last))
        return LaneStrip(
            np.stack([self.curve.x_m[keep], self.curve.y_m[keep]], axis=1),
            self.curve.heading_rad[keep],
            self.width,
            self.left_line,
            self.right_line,
        )

    def to_config(self) -> dict[str, Any]:
        raise NotImplementedError("lanes are rebuilt from the scenario and its seed")

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> CurveLane:
        raise NotImplementedError("lanes are rebuilt from the scenario and its seed")
