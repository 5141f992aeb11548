"""Lane strips turned into triangles, cut into chunks so that a long road costs only what is in view."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulator.truth.scene import LaneStrip, Line

CHUNK_SEGMENTS = 16
COARSE_STRIDE = 4
"""Far chunks keep every fourth cross-section."""

ASPHALT_MARGIN_M = 0.35
"""Asphalt beyond the lane's edge."""

SHOULDER_M = 2.2
"""Gravel beyond the asphalt, fading into grass."""

TRACK_OFFSET_M, TRACK_HALF_WIDTH_M = 0.85, 0.42
"""Where wheels darken the lane."""

_Offset = float | NDArray[np.float64]

_INTERIOR = (Line.DASHED, Line.DOUBLE, Line.DASHED_YELLOW)
"""Lines that have asphalt on both sides: no shoulder there."""


@dataclass(frozen=True, slots=True)
class StripMesh:
    """Ribbons of quads with two vertices at each cross-section.

    `vertices` is (M, F). `fine` (chunks, 6 * CHUNK_SEGMENTS) and `coarse` (chunks, a quarter) are
    vertex indices; short chunks are padded with degenerate triangles. `centre_m` (chunks, 2) and
    `radius_m` (chunks,) bound each chunk.
    """

    vertices: NDArray[np.float32]
    fine: NDArray[np.int32]
    coarse: NDArray[np.int32]
    centre_m: NDArray[np.float64]
    radius_m: NDArray[np.float64]


def join(ribbons: list[NDArray[np.float64]], fields: int) -> StripMesh:
    """One mesh from ribbons of shape (N, 2, fields) whose first two fields are x and y."""
    fine, coarse, centres, radii, first_vertex = [], [], [], [], 0
    for ribbon in ribbons:
        segments = len(ribbon) - 1
        starts = np.arange(0, segments, CHUNK_SEGMENTS)
        section = np.minimum(starts[:, None] + np.arange(CHUNK_SEGMENTS + 1), segments)
        fine.append(_quads(first_vertex, section))
        coarse.append(_quads(first_vertex, section[:, ::COARSE_STRIDE]))
        middle = ribbon[:, :, :2].mean(axis=1)
        centre = (middle[section[:, 0]] + middle[section[:, -1]]) / 2
        reach = np.linalg.norm(middle[section] - centre[:, None], axis=2).max(axis=1)
        centres.append(centre)
        radii.append(reach + 4.0)
        first_vertex += 2 * len(ribbon)
    if not ribbons:
        none = np.zeros((0, 6), np.int32)
        return StripMesh(
            np.zeros((0, fields), np.float32), none, none, np.zeros((0, 2)), np.zeros(0)
        )
    return StripMesh(
        np.concatenate([ribbon.reshape(-1, fields) for ribbon in ribbons]).astype(np.float32),
        np.concatenate(fine),
        np.concatenate(coarse),
        np.concatenate(centres),
        np.concatenate(radii),
    )


def _quads(first_vertex: int, section: NDArray[np.int64]) -> NDArray[np.int32]:
    """(chunks, 6 * (sections - 1)): two triangles between neighbouring cross-sections."""
    here, there = first_vertex + 2 * section[:, :-1], first_vertex + 2 * section[:, 1:]
    corners = np.stack([here, here + 1, there, there, here + 1, there + 1], axis=2)
    return corners.reshape(len(section), -1).astype(np.int32)


def _left(lane: LaneStrip) -> NDArray[np.float64]:
    return np.stack([-np.sin(lane.heading_rad), np.cos(lane.heading_rad)], axis=1)


def _half_width(lane: LaneStrip) -> NDArray[np.float64]:
    """(N, 1), or (1, 1) where the width is the same everywhere."""
    return np.reshape(np.asarray(lane.width_m, float), (-1, 1)) / 2


def _ribbon(
    lane: LaneStrip, offsets_m: tuple[_Offset, _Offset], across: tuple[float, float]
) -> NDArray[np.float64]:
    """(N, 2, 3): x, y and an across coordinate at two offsets to the left of the centre line."""
    sides = [
        np.column_stack(
            [lane.points_xy_m + offset * _left(lane), np.full(len(lane.heading_rad), a)]
        )
        for offset, a in zip(offsets_m, across, strict=True)
    ]
    return np.stack(sides, axis=1)


def asphalt(lanes: tuple[LaneStrip, ...]) -> StripMesh:
    """Surface of all lanes. Fields: x, y, unused across coordinate."""
    reach = [_half_width(lane) + ASPHALT_MARGIN_M for lane in lanes]
    return join(
        [_ribbon(lane, (r, -r), (1.0, -1.0)) for lane, r in zip(lanes, reach, strict=True)], 3
    )


def shoulders(lanes: tuple[LaneStrip, ...]) -> StripMesh:
    """Gravel beside outer edges. Fields: x, y, metres beyond the asphalt."""
    ribbons = []
    for lane in lanes:
        if lane.bare:
            continue
        inner = _half_width(lane) + ASPHALT_MARGIN_M - 0.1
        outer = inner + SHOULDER_M
        for side, line in ((1.0, lane.left_line), (-1.0, lane.right_line)):
            if line in _INTERIOR:
                continue
            ribbon = _ribbon(lane, (side * inner, side * outer), (0.0, SHOULDER_M))
            if line == Line.NONE:
                ribbons += _uncovered(ribbon, lane, lanes)
            else:
                ribbons.append(ribbon)
    return join(ribbons, 3)


def _uncovered(
    ribbon: NDArray[np.float64], lane: LaneStrip, lanes: tuple[LaneStrip, ...]
) -> list[NDArray[np.float64]]:
    """The stretches of a ribbon, in chunks, that do not lie wholly on other lanes."""
    starts = np.arange(0, len(ribbon) - 1, CHUNK_SEGMENTS)
    stretches = [ribbon[start : start + CHUNK_SEGMENTS + 1] for start in starts]
    probes = np.stack([stretch[[0, len(stretch) // 2, -1]].mean(axis=1) for stretch in stretches])
    hidden = np.zeros(probes.shape[:2], bool)
    low, high = probes[..., :2].min(axis=(0, 1)) - 4.0, probes[..., :2].max(axis=(0, 1)) + 4.0
    for other in lanes:
        near = ((other.points_xy_m > low) & (other.points_xy_m < high)).all(axis=1)
        if other is lane or not near.any():
            continue
        points, heading = other.points_xy_m[near], other.heading_rad[near]
        away = probes[:, :, None, :2] - points[None, None]
        nearest = np.argmin((away**2).sum(axis=3), axis=2)
        offset = np.take_along_axis(away, nearest[:, :, None, None], axis=2)[:, :, 0]
        ahead = np.stack([np.cos(heading), np.sin(heading)], axis=1)[nearest]
        along = np.abs((offset * ahead).sum(axis=2))
        aside = np.abs(offset[..., 1] * ahead[..., 0] - offset[..., 0] * ahead[..., 1])
        half = np.broadcast_to(_half_width(other)[:, 0], len(near))[near][nearest]
        hidden |= (along < 4.0) & (aside < half + ASPHALT_MARGIN_M)
    kept = np.flatnonzero((~hidden).any(axis=1))
    return [stretches[index] for index in kept]


def wheel_tracks(lanes: tuple[LaneStrip, ...]) -> StripMesh:
    """Fields: x, y, -1..1 across one track."""
    ribbons = []
    for lane in lanes:
        if lane.bare:
            continue
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
            middle = lane.points_xy_m + side * _half_width(lane) * left
            style = np.full(len(arc), float(line))
            ribbons.append(
                np.stack(
                    [np.column_stack([middle, s * left, arc, s * style]) for s in (1.0, -1.0)],
                    axis=1,
                )
            )
    return join(ribbons, 6)
