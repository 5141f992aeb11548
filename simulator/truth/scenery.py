"""Trees, houses, reflector posts, parked cars and hills: what stands beside the road, drawn by seed."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from simulator.truth.lane import CurveLane, Floats
from simulator.truth.layout import Layout
from simulator.truth.scene import Hills, Scenery

_WAVELENGTHS_M = (500.0, 260.0, 170.0)
_SHARES = (0.55, 0.3, 0.15)


@dataclass(frozen=True, slots=True)
class Look:
    """How a kind of road is dressed. Densities are tries a kilometre of each direction of travel:
    what would stand on a road or in a house is left out."""

    trees_per_km: float
    houses_per_km: float
    setback_m: float  # of houses from the edge of the road
    house_height_m: tuple[float, float] = (3.5, 8.0)
    tree_from_m: float = 3.5
    tree_scatter_m: float = 16.0
    posts_every_m: float = 0.0  # 0: none


_HIGHWAY = Look(700, 13, 25.0, tree_from_m=7.0, tree_scatter_m=25.0, posts_every_m=50.0)

LOOKS = {
    "rural": Look(420, 14, 12.0, posts_every_m=33.0),
    "highway": _HIGHWAY,
    "merge": _HIGHWAY,
    "exit": _HIGHWAY,
    "roundabout": Look(180, 16, 9.0, posts_every_m=33.0),
    "junction": Look(150, 28, 8.0, house_height_m=(3.5, 10.0)),
    "commonroad": Look(150, 20, 10.0, house_height_m=(4.0, 12.0)),
    "town": Look(220, 190, 3.0, (5.0, 14.0), tree_from_m=3.5, tree_scatter_m=8.0),
}

_FAR_M = 12.0


class _Surface:
    """Distance to the nearest drivable surface, exact up to `_FAR_M` and never more than that."""

    def __init__(self, lanes: list[CurveLane]) -> None:
        self._lanes = lanes

    def clearance_m(self, points_xy_m: Floats) -> Floats:
        """(N,) from (N, 2); negative on the road."""
        return np.array([self._clearance_m(float(x), float(y)) for x, y in points_xy_m])

    def _clearance_m(self, x_m: float, y_m: float) -> float:
        near = (lane for lane in self._lanes if lane.is_near(x_m, y_m))
        return min((lane.outside_m((x_m, y_m)) for lane in near), default=_FAR_M)


def hills(rng: np.random.Generator, amplitude_m: float) -> Hills:
    """Three waves in random directions; their amplitudes add up to `amplitude_m`."""
    waves = []
    for share, length in zip(_SHARES, _WAVELENGTHS_M, strict=True):
        direction, number = rng.uniform(0.0, math.tau), math.tau / (length * rng.uniform(0.9, 1.2))
        waves.append(
            [
                amplitude_m * share,
                number * math.cos(direction),
                number * math.sin(direction),
                rng.uniform(0.0, math.tau),
            ]
        )
    return Hills(np.array(waves))


def scenery(layout: Layout, kind: str, rng: np.random.Generator) -> Scenery:
    """Everything beside the road; nothing of it stands on any road."""
    look = LOOKS[kind]
    lanes = list(layout.lanes.values())
    surface = _Surface([*lanes, *layout.surfaces])
    verges = layout.parking or lanes  # the outermost
    road_km = sum(lane.length for index, lane in layout.lanes.items() if index[2] == 0) / 1000.0
    houses = _houses(verges, surface, int(look.houses_per_km * road_km), look, rng)
    trees = _trees(verges, surface, houses, int(look.trees_per_km * road_km), look, rng)
    return Scenery(trees, houses, _posts(lanes, surface, look))


def _beside(
    lanes: list[CurveLane], away_m: Floats, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Random places beside random lanes, one for each distance: points (N, 2), headings (N,)."""
    lengths = np.array([lane.length for lane in lanes])
    count = len(away_m)
    which = rng.choice(len(lanes), size=count, p=lengths / lengths.sum())
    share, side = rng.random(count), np.where(rng.random(count) < 0.5, -1.0, 1.0)
    points, headings = np.zeros((count, 2)), np.zeros(count)
    for row, number in enumerate(which):
        lane = lanes[number]
        station = float(share[row] * lane.length)
        points[row] = lane.position(station, float(side[row] * (lane.width / 2 + away_m[row])))
        headings[row] = lane.heading_at(station)
    return points, headings


def _trees(
    lanes: list[CurveLane], surface: _Surface, houses: Floats, tries: int, look: Look,
    rng: np.random.Generator,
) -> Floats:  # fmt: skip
    away = look.tree_from_m + rng.exponential(look.tree_scatter_m, tries)
    points, _ = _beside(lanes, away, rng)
    heights = rng.uniform(4.0, 9.5, tries)
    kinds = rng.integers(0, 4, tries)
    clear = surface.clearance_m(points) > look.tree_from_m - 0.5
    if len(houses):
        away = np.hypot(*(points[:, None, :] - houses[None, :, :2]).transpose(2, 0, 1))
        clear &= np.all(away > 0.5 * np.hypot(houses[:, 3], houses[:, 4]) + 1.0, axis=1)
    return np.column_stack([points, heights, kinds])[clear]


def _houses(
    lanes: list[CurveLane], surface: _Surface, tries: int, look: Look, rng: np.random.Generator
) -> Floats:
    size = np.column_stack(
        [
            rng.uniform(8, 18, tries),
            rng.uniform(8, 14, tries),
            rng.uniform(*look.house_height_m, tries),
        ]
    )
    scatter = rng.exponential(0.35 * look.setback_m + 1.0, tries)
    points, headings = _beside(lanes, look.setback_m + size[:, 1] / 2 + scatter, rng)
    tint = rng.random(tries)
    wanted = min(look.setback_m, _FAR_M) - 0.5
    kept: list[int] = []
    for row in np.flatnonzero(surface.clearance_m(points) > wanted):
        room = 0.5 * (size[kept, 0] + size[row, 0]) + 1.5
        if kept and np.any(np.hypot(*(points[kept] - points[row]).T) < room):
            continue
        outline = _outline(points[row], headings[row], size[row])
        if np.all(surface.clearance_m(outline) > wanted):
            kept.append(int(row))
    return np.column_stack([points, headings, size, tint])[kept]


def _outline(centre: Floats, heading_rad: float, size_m: Floats) -> Floats:
    """Corners and middles of the sides of a rectangle, (8, 2)."""
    along = np.array([math.cos(heading_rad), math.sin(heading_rad)]) * size_m[0] / 2
    across = np.array([-math.sin(heading_rad), math.cos(heading_rad)]) * size_m[1] / 2
    corners = ((1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1), (0, 1))
    return np.array([centre + a * along + b * across for a, b in corners])


def _posts(lanes: list[CurveLane], surface: _Surface, look: Look) -> Floats:
    if not look.posts_every_m:
        return np.zeros((0, 2))
    places = [
        lane.position(float(station), side * (lane.width / 2 + 0.9))
        for lane in lanes
        for station in np.arange(10.0, lane.length, look.posts_every_m)
        for side in (-1.0, 1.0)
    ]
    points = np.array(places).reshape(-1, 2)
    return points[surface.clearance_m(points) > 0.7]
