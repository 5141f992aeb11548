"""The roads of the reference world as OpenDRIVE 1.7 (ASAM), written with `scenariogeneration`.

One OpenDRIVE road for each edge of our network, so a two-way street is two roads side by side; its
reference line is the left edge of its leftmost lane. Roads that fork or merge meet in direct junctions.
The ground is flat: hills are for the camera only.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

import numpy as np
from scenariogeneration import xodr

from simulator.truth.lane import Curve, CurveLane
from simulator.truth.layout import Layout
from simulator.truth.scene import Line

LARGEST_DEVIATION_M = 0.01
PIECES = (40, 20, 10, 5, 2, 1)
"""Lengths tried for one cubic, in nodes (about metres)."""

Edge = tuple[str, str]
_SOLID, _BROKEN = xodr.RoadMarkType.solid, xodr.RoadMarkType.broken
_WHITE, _YELLOW = xodr.RoadMarkColor.white, xodr.RoadMarkColor.yellow
_MARKS = {
    Line.SOLID: (_SOLID, _WHITE),
    Line.DASHED: (_BROKEN, _WHITE),
    Line.DOUBLE: (xodr.RoadMarkType.solid_solid, _YELLOW),
    Line.DASHED_YELLOW: (_BROKEN, _YELLOW),
}


def opendrive(layout: Layout, name: str) -> Any:
    """The `xodr.OpenDrive` of a network whose lanes are parallel and of one width in each edge."""
    edges: dict[Edge, list[CurveLane]] = defaultdict(list)
    for (start, end, _), lane in layout.lanes.items():
        edges[start, end].append(lane)
    roads = {edge: _road(number, lanes) for number, (edge, lanes) in enumerate(edges.items())}
    made = xodr.OpenDrive(name, revMinor="7")
    for road in roads.values():
        made.add_road(road)
    for number, joint in enumerate(_joints(layout).items(), start=len(roads)):
        _join(made, roads, number, *joint)
    return made


def road_ids(layout: Layout) -> dict[Edge, int]:
    """The OpenDRIVE road of each edge."""
    return {edge: n for n, edge in enumerate(dict.fromkeys(i[:2] for i in layout.lanes))}


def _road(number: int, lanes: list[CurveLane]) -> Any:
    first = lanes[0]
    middle = xodr.Lane(a=0.0, lane_type=xodr.LaneType.none)
    middle.add_roadmark(_mark(first.left_line))
    section = xodr.LaneSection(0.0, middle)
    for place, lane in enumerate(lanes):
        right = lanes[place + 1].left_line if place + 1 < len(lanes) else Line.NONE
        drawn = xodr.Lane(a=lane.width)
        drawn.add_roadmark(_mark(lane.right_line if right == Line.NONE else right))
        section.add_right_lane(drawn)
    sections = xodr.Lanes()
    sections.add_lanesection(section)
    road = xodr.Road(number, _planview(first.curve.offset(first.width / 2)), sections)
    kind = xodr.RoadType.motorway if first.speed_limit > 25.0 else xodr.RoadType.rural
    road.add_type(kind, speed=first.speed_limit)
    return road


def _mark(line: Line) -> Any:
    if line not in _MARKS:
        return xodr.RoadMark(xodr.RoadMarkType.none)
    kind, colour = _MARKS[line]
    return xodr.RoadMark(kind, width=0.15, color=colour)


def _planview(curve: Curve) -> Any:
    """The curve in cubics that stay within `LARGEST_DEVIATION_M` of its nodes."""
    view = xodr.PlanView()
    node, last = 0, len(curve.s_m) - 1
    while node < last:
        for piece in PIECES:
            end = min(node + piece, last)
            cubic, deviation_m = _cubic(curve, node, end)
            if deviation_m < LARGEST_DEVIATION_M or piece == 1:
                break
        view.add_fixed_geometry(cubic, *curve.pose(node), s=float(curve.s_m[node]))
        node = end
    return view


def _cubic(curve: Curve, first: int, last: int) -> tuple[Any, float]:
    """The Hermite cubic from node to node, and how far nodes between lie from it."""
    x, y, heading = curve.pose(first)
    cos, sin = math.cos(heading), math.sin(heading)
    part = slice(first, last + 1)
    dx, dy = curve.x_m[part] - x, curve.y_m[part] - y
    u, v = dx * cos + dy * sin, dy * cos - dx * sin
    turn = float(curve.heading_rad[last]) - heading
    p = curve.s_m[part] - curve.s_m[first]
    run = float(p[-1])
    cu, du = _ends(float(u[-1]) - run, math.cos(turn) - 1.0, run)
    cv, dv = _ends(float(v[-1]), math.sin(turn), run)
    away = np.hypot(p + cu * p**2 + du * p**3 - u, cv * p**2 + dv * p**3 - v)
    cubic = xodr.ParamPoly3(0.0, 1.0, cu, du, 0.0, 0.0, cv, dv, prange="arcLength", length=run)
    return cubic, float(away.max())


def _ends(value: float, slope: float, run: float) -> tuple[float, float]:
    """c and d of c p^2 + d p^3 with that value and slope at p = run."""
    return (3.0 * value - slope * run) / run**2, (slope * run - 2.0 * value) / run**3


def _joints(layout: Layout) -> dict[str, dict[tuple[Edge, Edge], list[tuple[int, int]]]]:
    """At each node where roads meet: from which edge to which, and lane to lane (OpenDRIVE's ids)."""
    joints: dict[str, dict[tuple[Edge, Edge], list[tuple[int, int]]]] = {}
    for index, followers in layout.successors.items():
        for other in followers:
            pairs = joints.setdefault(index[1], {}).setdefault((index[:2], other[:2]), [])
            pairs.append((-1 - index[2], -1 - other[2]))
    return joints


def _join(
    made: Any, roads: dict[Edge, Any], number: int, node: str,
    links: dict[tuple[Edge, Edge], list[tuple[int, int]]],
) -> None:  # fmt: skip
    if len(links) == 1:
        ((before, after), pairs), *_ = links.items()
        one, two = roads[before], roads[after]
        one.add_successor(xodr.ElementType.road, two.id, xodr.ContactPoint.start)
        two.add_predecessor(xodr.ElementType.road, one.id, xodr.ContactPoint.end)
        for here, there in pairs:
            _lane(one, here).add_link("successor", str(there))
            _lane(two, there).add_link("predecessor", str(here))
        return
    junction = xodr.Junction(node, number, xodr.JunctionType.direct)
    for (before, after), pairs in links.items():
        connection = xodr.Connection(roads[before].id, roads[after].id, xodr.ContactPoint.start)
        for here, there in pairs:
            connection.add_lanelink(here, there)
        junction.add_connection(connection)
    for edge in dict.fromkeys(before for before, _ in links):
        roads[edge].add_successor(xodr.ElementType.junction, number)
    for edge in dict.fromkeys(after for _, after in links):
        roads[edge].add_predecessor(xodr.ElementType.junction, number)
    made.add_junction(junction)


def _lane(road: Any, number: int) -> Any:
    return road.lanes.lanesections[0].rightlanes[-1 - number]
