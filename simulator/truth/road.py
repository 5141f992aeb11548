"""The road network of one episode: lanes, which lane follows which, and where the ego's route leads.

`Layout` is what the rest of the reference world knows of a road; `build` makes one for a scenario.
Lanes of one direction count from the left, as HighwayEnv's do.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from highway_env.road.road import RoadNetwork

from scenarios.schema import Scenario
from simulator.truth.lane import Curve, CurveLane, Floats
from simulator.truth.scene import LaneStrip, Line

LaneIndex = tuple[str, str, int]

CALM_LATERAL_MPS2 = 2.6
CALM_BRAKE_MPS2 = 1.6


@dataclass(slots=True)
class Layout:
    """A network with what HighwayEnv does not know about it."""

    network: RoadNetwork = field(default_factory=RoadNetwork)
    lanes: dict[LaneIndex, CurveLane] = field(default_factory=dict)
    successors: dict[LaneIndex, tuple[LaneIndex, ...]] = field(default_factory=dict)
    route: list[tuple[str, str]] = field(default_factory=list)  # edges the ego should take
    surfaces: list[CurveLane] = field(default_factory=list)  # drivable, but no lane of traffic

    def add(self, start: str, end: str, *lanes: CurveLane) -> None:
        """Add the lanes of one edge, from the leftmost to the rightmost."""
        for lane in lanes:
            self.network.add_lane(start, end, lane)
            self.lanes[start, end, len(self.network.graph[start][end]) - 1] = lane

    def finish(self) -> None:
        """Link lanes whose ends meet, and spread the advised speeds backwards along the links."""
        for index, lane in self.lanes.items():
            end_x, end_y, _ = lane.curve.pose(-1)
            self.successors[index] = tuple(
                other
                for other, candidate in self.lanes.items()
                if other[0] == index[1]
                and math.hypot(candidate.curve.x_m[0] - end_x, candidate.curve.y_m[0] - end_y) < 1.0
            )
        for lane in self.lanes.values():
            bend = np.sqrt(CALM_LATERAL_MPS2 / np.maximum(np.abs(lane.curve.curvature_1pm), 1e-6))
            lane.advised_mps = np.minimum(bend, lane.speed_limit).tolist()
        for _ in range(4):  # a few rounds carry a slow place back over several short lanes
            for index, lane in self.lanes.items():
                self._brake_in_time(index, lane)

    def _brake_in_time(self, index: LaneIndex, lane: CurveLane) -> None:
        speeds, stations = lane.advised_mps, lane.curve.s_m
        following = [self.lanes[other].advised_mps[0] for other in self.successors[index]]
        if following:
            speeds[-1] = min(speeds[-1], *following)
        for node in range(len(speeds) - 2, -1, -1):
            run_m = float(stations[node + 1] - stations[node])
            fastest = math.sqrt(speeds[node + 1] ** 2 + 2 * CALM_BRAKE_MPS2 * run_m)
            speeds[node] = min(speeds[node], fastest)

    def strips(self) -> tuple[LaneStrip, ...]:
        """Every surface for the camera."""
        return tuple(lane.strip() for lane in [*self.surfaces, *self.lanes.values()])


def winding(
    rng: np.random.Generator,
    length_m: float,
    radius_m: tuple[float, float],
    turn_rad: tuple[float, float] = (0.25, 1.3),
    straight_m: tuple[float, float] = (20.0, 120.0),
    first_straight_m: float = 40.0,
    wander_rad: float = 1.1,
) -> Floats:
    """Curvature at one node a metre: straights and bends joined by clothoids.

    The heading never leaves +-`wander_rad`, so the road cannot cross itself.
    """
    pieces = [np.zeros(int(first_straight_m))]
    total, heading = int(first_straight_m), 0.0
    while total < length_m:
        radius = math.exp(rng.uniform(math.log(radius_m[0]), math.log(radius_m[1])))
        turn = rng.uniform(*turn_rad) * (1.0 if rng.random() < 0.5 else -1.0)
        if abs(heading + turn) > wander_rad:
            turn = -turn
        if abs(heading + turn) > wander_rad:
            turn = math.copysign(wander_rad - abs(heading), turn)
        ramp = int(min(max(0.35 * radius, 15.0), 60.0))
        plateau = abs(turn) * radius - ramp  # the two ramps turn as much as one full ramp length
        peak = 1.0 / radius
        if plateau < 0:  # too short a turn for this radius: a shallower one
            plateau, peak = 0.0, abs(turn) / ramp
        up = np.linspace(0.0, 1.0, ramp, endpoint=False)
        shape = np.concatenate([up, np.ones(int(plateau)), 1.0 - up])
        bend = math.copysign(peak, turn) * shape
        heading += float(bend.sum())
        straight = np.zeros(int(rng.uniform(*straight_m)))
        pieces += [bend, straight]
        total += len(bend) + len(straight)
    return np.concatenate(pieces)[: int(length_m) + 1]


def needed_length_m(scenario: Scenario) -> float:
    """Enough road for the whole drive at 15 % above the limit, and some to look at."""
    travelled = 1.15 * scenario.road.speed_limit_mps * scenario.duration_s
    return max(1500.0, scenario.start.station_m + travelled + 300.0)


def _centre_line(scenario: Scenario, rng: np.random.Generator) -> Line:
    wish = scenario.road.centre_line
    if wish == "any":
        wish = "double" if rng.random() < 0.5 else "dashed"
    return Line.DOUBLE if wish == "double" else Line.DASHED_YELLOW


def side_by_side(
    curve: Curve, count: int, width_m: float, limit_mps: float, leftmost_m: float
) -> list[CurveLane]:
    """Parallel lanes of one direction; `leftmost_m` is the offset of the first one's left edge.

    Each lane paints its own left line (the first one none: the caller decides), the last one its
    right line too, so that no line is painted twice.
    """
    lanes = []
    for number in range(count):
        lanes.append(
            CurveLane(
                curve.offset(leftmost_m - (number + 0.5) * width_m),
                width_m,
                limit_mps,
                Line.DASHED if number else Line.NONE,
                Line.SOLID if number == count - 1 else Line.NONE,
            )
        )
    return lanes


def two_way(
    layout: Layout, curve: Curve, scenario: Scenario, centre: Line, nodes: tuple[str, str]
) -> None:
    """Lanes along `curve` and back; the way back has its own nodes, so nobody turns round."""
    spec = scenario.road
    start, end = nodes
    forth = side_by_side(curve, spec.lanes, spec.lane_width_m, spec.speed_limit_mps, 0.0)
    back = side_by_side(curve.reversed(), spec.lanes, spec.lane_width_m, spec.speed_limit_mps, 0.0)
    forth[0].left_line = centre
    layout.add(start, end, *forth)
    layout.add(f"{end} back", f"{start} back", *back)


def rural(scenario: Scenario, rng: np.random.Generator) -> Layout:
    """A two-way country road."""
    layout = Layout(route=[("start", "end")])
    curvature = winding(rng, needed_length_m(scenario), scenario.road.radius_m)
    curve = Curve.from_curvature(curvature, heading_rad=rng.uniform(-math.pi, math.pi))
    two_way(layout, curve, scenario, _centre_line(scenario, rng), ("start", "end"))
    return layout


def highway(scenario: Scenario, rng: np.random.Generator) -> Layout:
    """One carriageway of a dual road."""
    layout = Layout(route=[("start", "end")])
    curvature = winding(
        rng,
        needed_length_m(scenario),
        scenario.road.radius_m,
        turn_rad=(0.1, 0.6),
        straight_m=(60.0, 300.0),
    )
    curve = Curve.from_curvature(curvature, heading_rad=rng.uniform(-math.pi, math.pi))
    spec = scenario.road
    lanes = side_by_side(
        curve,
        spec.lanes,
        spec.lane_width_m,
        spec.speed_limit_mps,
        spec.lanes * spec.lane_width_m / 2,
    )
    lanes[0].left_line = Line.SOLID
    layout.add("start", "end", *lanes)
    return layout


BUILDERS: dict[str, Callable[[Scenario, np.random.Generator], Layout]] = {
    "rural": rural,
    "highway": highway,
}


def build(scenario: Scenario, rng: np.random.Generator) -> Layout:
    """The road of a scenario; `rng` decides where the scenario leaves freedom."""
    layout = BUILDERS[scenario.road.kind](scenario, rng)
    layout.finish()
    return layout
