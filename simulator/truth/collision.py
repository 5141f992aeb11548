"""Exact overlap of two rectangles on the ground."""

from __future__ import annotations

import math
from typing import NamedTuple


class Box(NamedTuple):
    """An oriented rectangle: its centre, its heading and its full length and width."""

    x_m: float
    y_m: float
    heading_rad: float
    length_m: float
    width_m: float


def overlap(a: Box, b: Box) -> bool:
    """Whether two rectangles share any point (separating axes: no axis of either keeps them apart)."""
    dx, dy = b.x_m - a.x_m, b.y_m - a.y_m
    reach = 0.5 * (math.hypot(a.length_m, a.width_m) + math.hypot(b.length_m, b.width_m))
    if dx * dx + dy * dy > reach * reach:
        return False
    turn = b.heading_rad - a.heading_rad
    cos, sin = abs(math.cos(turn)), abs(math.sin(turn))
    for box, other in ((a, b), (b, a)):
        c, s = math.cos(box.heading_rad), math.sin(box.heading_rad)
        along, across = abs(dx * c + dy * s), abs(dy * c - dx * s)
        if along > 0.5 * (box.length_m + other.length_m * cos + other.width_m * sin):
            return False
        if across > 0.5 * (box.width_m + other.length_m * sin + other.width_m * cos):
            return False
    return True
