"""A road as it was recorded: lanelets become lanes, with the links and lines that the file gives.

What a file doesn't say is filled in so that the picture is a road: lines between lanes (none where
others drive across), and straight lanes beyond the edge of the map.
"""

from __future__ import annotations

import math

import networkx as nx
import numpy as np

from simulator.interchange.traffic_log import Floats, Goal, Lanelet, Neighbour, TrafficLog, inside
from simulator.truth.lane import Curve, CurveLane
from simulator.truth.layout import LaneIndex, Layout
from simulator.truth.paving import pave
from simulator.truth.scene import Line
from simulator.truth.surveyed import Survey, SurveyedLane

RUNOUT_M = 3.0
LANE_CHANGE_M = 50.0  # what a change of lane is worth when the shortest way is sought
BEYOND_M, BEYOND_STEP_M = 160.0, 4.0
CROSSED_SHARE = 0.2

_LINES = {
    "solid": Line.SOLID, "broad_solid": Line.SOLID,
    "dashed": Line.DASHED, "broad_dashed": Line.DASHED,
    "solid_solid": Line.DOUBLE, "dashed_dashed": Line.DASHED,
    "solid_dashed": Line.DASHED, "dashed_solid": Line.DASHED,
}  # fmt: skip
_YELLOW = {Line.SOLID: Line.DOUBLE, Line.DASHED: Line.DASHED_YELLOW}


def recorded_road(log: TrafficLog, speed_limit_mps: float) -> Layout:
    """The lanes of a log; `speed_limit_mps` holds where the file gives no limit."""
    layout = Layout(runout_m=RUNOUT_M)
    lanelets = log.lanelets
    surveys = {n: Survey.between(each.left_xy_m, each.right_xy_m) for n, each in lanelets.items()}
    before, after = _continuations(lanelets, surveys)
    crossed = _Crossed(lanelets)
    marked = any(each.left_marking or each.right_marking for each in lanelets.values())
    for group in _side_by_side(lanelets):
        lanes = []
        for number in group:
            each = lanelets[number]
            curve, widths = surveys[number].smooth(
                surveys.get(before.get(number, -1)), surveys.get(after.get(number, -1))
            )
            lanes.append(
                SurveyedLane(
                    curve,
                    widths,
                    each.speed_limit_mps or speed_limit_mps,
                    _line(lanelets, each, "left", marked, crossed),
                    _line(lanelets, each, "right", marked, crossed),
                )
            )
            lanes[-1].bare = crossed.bound(each, "left") and crossed.bound(each, "right")
            layout.sources[number] = (f"{group[0]} start", f"{group[0]} end", len(lanes) - 1)
        layout.add(f"{group[0]} start", f"{group[0]} end", *lanes)
    layout.successors = {
        index: tuple(layout.sources[number] for number in lanelets[source].successors)
        for source, index in layout.sources.items()
    }
    layout.surfaces += pave([each.outline() for each in lanelets.values()], crossed.numbers())
    for number, index in layout.sources.items():
        lane = layout.lanes[index]
        if not lanelets[number].successors:
            layout.surfaces += _beyond(number, lane, crossed, forwards=True)
        if not any(number in each.successors for each in lanelets.values()):
            layout.surfaces += _beyond(number, lane, crossed, forwards=False)
    return layout


def plan_route(layout: Layout, start: LaneIndex, goals: tuple[Goal, ...]) -> list[tuple[str, str]]:
    """Edges from a lane to the nearest goal, few lane changes preferred; only the first without one."""
    graph = nx.DiGraph()
    for index, lane in layout.lanes.items():
        for following in layout.successors[index]:
            graph.add_edge(index, following, cost_m=lane.length)
        for other in ((*index[:2], index[2] - 1), (*index[:2], index[2] + 1)):
            if other in layout.lanes:
                graph.add_edge(index, other, cost_m=LANE_CHANGE_M)
    graph.add_node(start)
    cost_m, paths = nx.single_source_dijkstra(graph, start, weight="cost_m")
    areas = [area for goal in goals for area in goal.areas_xy_m]
    arrivals = [index for index in paths if _passes(layout.lanes[index], areas)]
    best = min(arrivals, key=lambda index: cost_m[index], default=start)
    return list(dict.fromkeys(index[:2] for index in paths[best]))


def _passes(lane: CurveLane, areas_xy_m: list[Floats]) -> bool:
    """Whether the lane leads through an area; touching it with an end is not enough."""
    nodes = list(zip(lane.curve.x_m[1:-1].tolist(), lane.curve.y_m[1:-1].tolist(), strict=True))
    return any(inside(area, x, y) for area in areas_xy_m for x, y in nodes)


def _side_by_side(lanelets: dict[int, Lanelet]) -> list[list[int]]:
    """Lanelets of one direction beside each other, each group from left to right."""
    groups: list[list[int]] = []
    seen: set[int] = set()
    for number in lanelets:
        if number in seen:
            continue
        passed = {number}
        while (left := _same_way(lanelets[number].left)) is not None and left not in passed | seen:
            number = left
            passed.add(number)
        group = [number]
        seen.add(number)
        while (right := _same_way(lanelets[number].right)) is not None and right not in seen:
            number = right
            group.append(number)
            seen.add(number)
        groups.append(group)
    return groups


def _same_way(neighbour: Neighbour | None) -> int | None:
    return neighbour.lane if neighbour is not None and neighbour.same_direction else None


def _continuations(
    lanelets: dict[int, Lanelet], surveys: dict[int, Survey]
) -> tuple[dict[int, int], dict[int, int]]:
    """For each lanelet the one that it comes smoothly from, and the one that it goes smoothly to."""
    before: dict[int, int] = {}
    after: dict[int, int] = {}
    for number, each in lanelets.items():
        for following in each.successors:
            if surveys[number].continues(surveys[following]):
                after.setdefault(number, following)
                before.setdefault(following, number)
    return before, after


class _Crossed:
    """Which bounds lie on the ground of other lanelets, so that no line can be painted there."""

    def __init__(self, lanelets: dict[int, Lanelet]) -> None:
        self._lanelets = lanelets
        self._outlines = {n: each.outline() for n, each in lanelets.items()}
        self._boxes = {n: (o.min(axis=0), o.max(axis=0)) for n, o in self._outlines.items()}

    def covered(self, x_m: float, y_m: float, but: tuple[int | None, ...]) -> bool:
        """Whether a point lies on a lanelet other than those in `but`."""
        for number, (low, high) in self._boxes.items():
            near = low[0] <= x_m <= high[0] and low[1] <= y_m <= high[1]
            if near and number not in but and inside(self._outlines[number], x_m, y_m):
                return True
        return False

    def bound(self, each: Lanelet, side: str) -> bool:
        """Whether others drive across a lanelet's bound."""
        line, beside = (
            (each.left_xy_m, each.left) if side == "left" else (each.right_xy_m, each.right)
        )
        run = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
        at = np.linspace(0.1, 0.9, 9) * run[-1]
        points = zip(np.interp(at, run, line[:, 0]), np.interp(at, run, line[:, 1]), strict=True)
        but = (each.number, beside.lane if beside else None)
        return float(np.mean([self.covered(x, y, but) for x, y in points])) > CROSSED_SHARE

    def numbers(self) -> list[int]:
        """Places, among all lanelets, of those that others drive across."""
        return [
            place
            for place, each in enumerate(self._lanelets.values())
            if self.bound(each, "left") or self.bound(each, "right")
        ]


def _line(
    lanelets: dict[int, Lanelet], each: Lanelet, side: str, marked: bool, crossed: _Crossed
) -> Line:
    """What to paint on one side of a lanelet. A bound of two lanelets is painted once: by the right
    one of two lanes of one direction, by the one with the lower number of an oncoming pair."""
    beside, said = (
        (each.left, each.left_marking) if side == "left" else (each.right, each.right_marking)
    )
    other = lanelets[beside.lane] if beside else None
    if beside is not None and other is not None:
        painted_there = side == "right" if beside.same_direction else other.number < each.number
        if painted_there:
            return Line.NONE
        shared = other.right_marking if beside.same_direction else other.left_marking
        said = said or shared
    if said is None and marked:
        return Line.NONE
    if said is None and crossed.bound(each, side):
        return Line.NONE
    if beside is None:
        return Line.SOLID if said is None else _LINES.get(said, Line.NONE)
    if beside.same_direction:
        return Line.DASHED if said is None else _LINES.get(said, Line.NONE)
    oncoming = Line.SOLID if said is None else _LINES.get(said, Line.NONE)
    return _YELLOW.get(oncoming, oncoming)


def _beyond(number: int, lane: CurveLane, crossed: _Crossed, forwards: bool) -> list[CurveLane]:
    """The straight continuation of a lane at the edge of the map, as far as no lanelet is in its way."""
    node = -1 if forwards else 0
    x, y, heading = lane.curve.pose(node)
    sign = 1.0 if forwards else -1.0
    reach = 0.0
    while reach < BEYOND_M:
        at = sign * (reach + BEYOND_STEP_M)
        if crossed.covered(x + at * math.cos(heading), y + at * math.sin(heading), (number,)):
            break
        reach += BEYOND_STEP_M
    if reach < 2 * BEYOND_STEP_M:
        return []
    from_x = x if forwards else x - reach * math.cos(heading)
    from_y = y if forwards else y - reach * math.sin(heading)
    curve = Curve.from_curvature(np.zeros(int(reach) + 1), 1.0, from_x, from_y, heading)
    width = lane.width_at(lane.length if forwards else 0.0)
    return [CurveLane(curve, width, lane.speed_limit, lane.left_line, lane.right_line)]
