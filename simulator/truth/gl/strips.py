"""Lane strips turned into triangles, cut into chunks so that a long road costs only what is in view."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulator.truth.scene import LaneStrip, Line

CHUNK_SEGMENTS = 16
ASPHALT_MARGIN_M = 0.35
"""Asphalt beyond the lane's edge."""

SHOULDER_M = 2.2
"""Gravel beyond the asphalt, fading into grass."""

TRACK_OFFSET_M, TRACK_HALF_WIDTH_M = 0.85, 0.42
"""Where wheels darken the lane."""

_INTERIOR = (Line.DASHED, Line.DOUBLE, Line.DASHED_YELLOW)
"""Lines that have asphalt on both sides: no shoulder there."""


@dataclass(frozen=True, slots=True)
class StripMesh:
    """Ribbons of quads with two vertices at each cross-section.

    `vertices` is (M, F); `index` (chunks, 6 * CHUNK_SEGMENTS), short chunks padded with degenerate
    triangles; `centre_m` (chunks, 2) and `radius_m` (chunks,) bound each chunk.
    """

    vertices: NDArray[np.float32]
    index: NDArray[np.int32]
    centre_m: NDArray[np.float64]
    radius_m: NDArray[np.float64]


def join(ribbons: list[NDArray[np.float64]], fields: int) -> StripMesh:
    """One mesh from ribbons of shape (N, 2, fields) whose first two fields are x and y."""
    index, centres, radii, first_vertex = [], [], [], 0
    for ribbon in ribbons:
        segments = len(ribbon) - 1
        starts = np.arange(0, segments, CHUNK_SEGMENTS)
        segment = starts[:, None] + np.arange(CHUNK_SEGMENTS)
        corner = first_vertex + 2 * np.minimum(segment, segments)[..., None]
        quads = corner + np.array([0, 1, 2, 2, 1, 3])
        quads[segment >= segments] = first_vertex
        index.append(quads.reshape(len(starts), -1))
        ends = np.minimum(starts + CHUNK_SEGMENTS, segments)
        middle = ribbon[:, :, :2].mean(axis=1)
        centre = (middle[starts] + middle[ends]) / 2
        members = np.minimum(starts[:, None] + np.arange(CHUNK_SEGMENTS + 1), segments)
        reach = np.linalg.norm(middle[members] - centre[:, None], axis=2).max(axis=1)
        centres.append(centre)
        radii.append(reach + 4.0)
        first_vertex += 2 * len(ribbon)
    if not ribbons:
        empty = np.zeros((0, fields), np.float32)
        return StripMesh(empty, np.zeros((0, 1), np.int32), np.zeros((0, 2)), np.zeros(0))
    return StripMesh(
        np.concatenate([ribbon.reshape(-1, fields) for ribbon in ribbons]).astype(np.float32),
        np.concatenate(index).astype(np.int32),
        np.concatenate(centres),
        np.concatenate(radii),
    )


def _left(lane: LaneStrip) -> NDArray[np.float64]:
    return np.stack([-np.sin(lane.heading_rad), np.cos(lane.heading_rad)], axis=1)


def _ribbon(
    lane: LaneStrip, offsets_m: tuple[float, float], across: tuple[float, float]
) -> NDArray[np.float64]:
    """(N, 2, 3): x, y and an across coordinate at two offsets to the left of the centre line."""
    sides = [
        np.column_stack([lane.points_xy_m + offset * _left(lane), np.full(len(lane.heading_rad), a)])
        for offset, a in zip(offsets_m, across, strict=True)
    ]
    return np.stack(sides, axis=1)


def asphalt(lanes: tuple[LaneStrip, ...]) -> StripMesh:
    """Surface of all lanes. Fields: x, y, unused across coordinate."""
    reach = [lane.width_m / 2 + ASPHALT_MARGIN_M for lane in lanes]
    return join(
        [_ribbon(lane, (r, -r), (1.0, -1.0)) for lane, r in zip(lanes, reach, strict=True)], 3
    )


def shoulders(lanes: tuple[LaneStrip, ...]) -> StripMesh:
    """Gravel beside outer edges. Fields: x, y, metres beyond the asphalt."""
    ribbons = []
    for lane in lanes:
        inner = lane.width_m / 2 + ASPHALT_MARGIN_M - 0.1
        outer = inner + SHOULDER_M
        for side, line in ((1.0, lane.left_line), (-1.0, lane.right_line)):
            if line not in _INTERIOR:
                ribbons.append(_ribbon(lane, (side * inner, side * outer), (0.0, SHOULDER_M)))
    return join(ribbons, 3)


def wheel_tracks(lanes: tuple[LaneStrip, ...]) -> StripMesh:
    """Fields: x, y, -1..1 across one track."""
    ribbons = []
    for lane in lanes:
        for side in (1.0, -1.0):
            centre = side * TRACK_OFFSET_M
            edges = (centre - TRACK_HALF_WIDTH_M, centre + TRACK_HALF_WIDTH_M)
            ribbons.append(_ribbon(lane, edges, (-1.0, 1.0)))
    return join(ribbons, 3)


def lines(lanes: tuple[LaneStrip, ...]) -> StripMesh:
    """Painted lines. Fields: x, y of the line, unit normal, arc length, style.

    Normal and style change sign between the two sides of the line.
    """
    ribbons = []
    for lane in lanes:
        left = _left(lane)
        steps = np.linalg.norm(np.diff(lane.points_xy_m, axis=0), axis=1)
        arc = np.concatenate([[0.0], np.cumsum(steps)])
        for side, line in ((1.0, lane.left_line), (-1.0, lane.right_line)):
            if line == Line.NONE:
                continue
            middle = lane.points_xy_m + side * lane.width_m / 2 * left
            style = np.full(len(arc), float(line))
            ribbons.append(
                np.stack(
                    [np.column_stack([middle, s * left, arc, s * style]) for s in (1.0, -1.0)], axis=1
                )
            )
    return join(ribbons, 6)
