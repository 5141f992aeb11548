"""Asphalt between the lanes of a recorded crossing: lanes that fork leave gaps that no real place has."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from simulator.interchange.traffic_log import Floats
from simulator.truth.lane import Curve, CurveLane
from simulator.truth.scene import LaneStrip

CELL_M = 0.5
ROW_M = 1.0
GAP_M = 7.0  # gaps up to twice this wide are paved
NEAR_M = 4.0  # around lanes that others cross


class PavedStrip(CurveLane):
    """A piece of asphalt to drive on that is no lane."""

    def strip(self) -> LaneStrip:
        """Asphalt only."""
        curve = self.curve
        ends = [0, -1]
        points = np.stack([curve.x_m[ends], curve.y_m[ends]], axis=1)
        return LaneStrip(
            points, curve.heading_rad[ends], self.width, self.left_line, self.right_line, bare=True
        )


def pave(outlines_xy_m: list[Floats], crossed: list[int]) -> list[PavedStrip]:
    """Strips, one a row from west to east, that close the gaps around crossed lanes.

    `crossed` are places in `outlines_xy_m`; without any nothing is paved.
    """
    if not crossed:
        return []
    around = np.concatenate([outlines_xy_m[place] for place in crossed])
    low = around.min(axis=0) - 3 * GAP_M
    size = np.ceil((around.max(axis=0) + 3 * GAP_M - low) / CELL_M).astype(int)
    grid = _Grid(low, (int(size[1]), int(size[0])))
    lanes = grid.filled(outlines_xy_m)
    core = grid.filled([outlines_xy_m[place] for place in crossed])
    closed = cv2.morphologyEx(lanes, cv2.MORPH_CLOSE, _disc(GAP_M)) > 0
    paved = np.logical_and(closed, cv2.dilate(core, _disc(NEAR_M)) > 0)
    return grid.rows(paved, np.logical_and(paved, lanes == 0))


def _disc(radius_m: float) -> NDArray[np.uint8]:
    width = 2 * round(radius_m / CELL_M) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width)), np.uint8)


class _Grid:
    """A raster of the ground; `low_xy_m` is the corner of its first cell, rows go north."""

    def __init__(self, low_xy_m: Floats, shape: tuple[int, int]) -> None:
        self.low_xy_m, self.shape = low_xy_m, shape

    def filled(self, polygons_xy_m: list[Floats]) -> NDArray[np.uint8]:
        """1 inside any polygon."""
        mask = np.zeros(self.shape, np.uint8)
        for polygon in polygons_xy_m:
            cells = np.floor((polygon - self.low_xy_m) / CELL_M).astype(np.int32)
            cv2.fillPoly(mask, [cells], 1)
        return mask

    def rows(self, paved: NDArray[np.bool_], gap: NDArray[np.bool_]) -> list[PavedStrip]:
        """Strips of the paved runs that hold a gap."""
        strips = []
        step = round(ROW_M / CELL_M)
        for row in range(0, self.shape[0] - step + 1, step):
            whole = np.logical_and.reduce(paved[row : row + step], axis=0)
            holes = np.logical_or.reduce(gap[row : row + step], axis=0)
            edges = np.flatnonzero(np.diff(np.concatenate([[0], whole.astype(int), [0]])))
            for first, last in zip(edges[::2], edges[1::2], strict=True):
                length_m = (last - first) * CELL_M
                if not holes[first:last].any() or length_m < 2 * CELL_M:
                    continue
                nodes = math.ceil(length_m) + 1
                curve = Curve.from_curvature(
                    np.zeros(nodes),
                    length_m / (nodes - 1),
                    float(self.low_xy_m[0] + first * CELL_M),
                    float(self.low_xy_m[1] + row * CELL_M + ROW_M / 2),
                )
                strips.append(PavedStrip(curve, ROW_M, 5.0))
        return strips
