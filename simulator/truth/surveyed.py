"""Lanes as they were surveyed: a left and a right bound instead of a designed curve and one width."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from simulator.truth.lane import Curve, CurveLane, Floats
from simulator.truth.scene import LaneStrip, Line

FINE_M = 0.25
SMOOTH_M = 1.2  # standard deviation: corners of the polygon become bends that a car can follow
CONTEXT_M = 4.0
FITS_M, FITS_RAD = 1.0, 0.6


@dataclass(frozen=True, slots=True)
class Survey:
    """A lane's centre line and width at points about `FINE_M` apart."""

    centre_xy_m: Floats  # (N, 2)
    width_m: Floats  # (N,)

    @staticmethod
    def between(left_xy_m: Floats, right_xy_m: Floats) -> Survey:
        """Midway between the bounds: point by point where they are paired, else by share of length."""
        left_run, right_run = _run_m(left_xy_m), _run_m(right_xy_m)
        if len(left_run) == len(right_run):
            left_run = right_run = 0.5 * (left_run + right_run)
        length_m = 0.5 * float(left_run[-1] + right_run[-1])
        share = np.linspace(0.0, 1.0, max(round(length_m / FINE_M), 4) + 1)
        left, right = (
            np.stack([np.interp(share, run / run[-1], line[:, axis]) for axis in (0, 1)], axis=1)
            for run, line in ((left_run, left_xy_m), (right_run, right_xy_m))
        )
        centre, across = 0.5 * (left + right), left - right
        along = np.gradient(centre, axis=0)
        along /= np.maximum(np.hypot(*along.T), 1e-9)[:, None]
        # the bounds' points need not lie square to the lane
        width = along[:, 0] * across[:, 1] - along[:, 1] * across[:, 0]
        return Survey(centre, np.abs(width))

    def heading_rad(self, end: int) -> float:
        """Heading at the beginning (0) or at the end (-1)."""
        step = self.centre_xy_m[1 if end == 0 else -1] - self.centre_xy_m[0 if end == 0 else -2]
        return float(np.arctan2(step[1], step[0]))

    def continues(self, other: Survey) -> bool:
        """Whether `other` begins where this one ends, in about the same direction."""
        away = np.hypot(*(other.centre_xy_m[0] - self.centre_xy_m[-1]))
        turn = np.angle(np.exp(1j * (other.heading_rad(0) - self.heading_rad(-1))))
        return bool(away < FITS_M and abs(turn) < FITS_RAD)

    def smooth(self, before: Survey | None, after: Survey | None) -> tuple[Curve, Floats]:
        """The lane as a curve with nodes a metre apart, and its width (N,) there.

        The neighbours' ends are smoothed along, so that heading and edges go on without a kink.
        """
        count = round(CONTEXT_M / FINE_M)
        tail = before.centre_xy_m if before else _straight_on(self.centre_xy_m[::-1], count)[::-1]
        head = after.centre_xy_m if after else _straight_on(self.centre_xy_m, count)
        tail, head = _padded(tail[:-1][::-1], count)[::-1], _padded(head[1:], count)
        line = np.concatenate([tail, self.centre_xy_m, head])
        at = np.arange(-count, count + 1) * FINE_M
        weight = np.exp(-0.5 * (at / SMOOTH_M) ** 2)
        weight /= weight.sum()
        x, y = (np.convolve(line[:, axis], weight, "valid") for axis in (0, 1))
        run = _run_m(np.stack([x, y], axis=1))
        heading = np.unwrap(np.arctan2(np.gradient(y), np.gradient(x)))
        s = np.linspace(0.0, run[-1], max(round(float(run[-1])), 2) + 1)
        x, y, heading, width = (np.interp(s, run, v) for v in (x, y, heading, self.width_m))
        return Curve(s, x, y, heading, np.gradient(heading, s)), width


def _run_m(line_xy_m: Floats) -> Floats:
    return np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line_xy_m, axis=0).T))])


def _straight_on(line_xy_m: Floats, count: int) -> Floats:
    """The end of a line and `count` points beyond it."""
    step = line_xy_m[-1] - line_xy_m[-2]
    return np.asarray(line_xy_m[-1] + np.arange(count + 1)[:, None] * step)


def _padded(line_xy_m: Floats, count: int) -> Floats:
    """The first `count` points, going on straight where there are fewer."""
    if len(line_xy_m) >= count:
        return line_xy_m[:count]
    beyond = _straight_on(line_xy_m, count - len(line_xy_m))[1:]
    return np.concatenate([line_xy_m, beyond])


class SurveyedLane(CurveLane):
    """A lane whose width changes on its way; `width` is the median."""

    def __init__(
        self, curve: Curve, widths_m: Floats, speed_limit_mps: float,
        left_line: Line = Line.NONE, right_line: Line = Line.NONE,
    ) -> None:  # fmt: skip
        super().__init__(curve, float(np.median(widths_m)), speed_limit_mps, left_line, right_line)
        self.widths_m = widths_m
        self.bare = False  # in the middle of a crossing: no lane to be seen

    def width_at(self, longitudinal: float) -> float:
        """Width at a station."""
        return float(np.interp(longitudinal, self.curve.s_m, self.widths_m))

    def outside_m(self, position: Any) -> float:
        """How far a point lies outside the lane's surface; negative inside."""
        station, offset = self.local_coordinates(position)
        return max(abs(offset) - self.width_at(station) / 2, -station, station - self.length)

    def strip(self) -> LaneStrip:
        """The lane as the camera sees it, with its changing width."""
        curve = self.curve
        points = np.stack([curve.x_m, curve.y_m], axis=1)
        return LaneStrip(
            points, curve.heading_rad, self.widths_m, self.left_line, self.right_line, self.bare
        )
