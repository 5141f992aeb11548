"""What the reference world knows of a road: lanes, which lane follows which, where the ego's route leads.

Also the pieces that all roads are made of: winding curves, parallel lanes, two-way streets. Lanes of one
direction count from the left, as HighwayEnv's do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from highway_env.road.road import RoadNetwork

from scenarios.schema import RoadSpec, Scenario
from simulator.truth.lane import Curve, CurveLane, Floats
from simulator.truth.scene import LaneStrip, Line

LaneIndex = tuple[str, str, int]

CALM_LATERAL_MPS2 = 2.6
CALM_BRAKE_MPS2 = 1.6


@dataclass(frozen=True, slots=True)
class Way:
    """How one lane passes a crossing: where to wait, where the crossing is left, who goes first."""

    stop_m: float
    clear_m: float
    rank: int  # 0 goes before 1; the ego before everybody


@dataclass(frozen=True, slots=True)
class Crossing:
    """A piece of ground that several lanes need, one vehicle at a time where they conflict.

    Where two lanes become one (`zips`), nobody waits at a line: vehicles file in by turns.
    """

    ways: dict[LaneIndex, Way]
    conflicts: frozenset[tuple[LaneIndex, LaneIndex]]  # both orders
    zips: bool = False


@dataclass(slots=True)
class Layout:
    """A network with what HighwayEnv does not know about it."""

    network: RoadNetwork = field(default_factory=RoadNetwork)
    lanes: dict[LaneIndex, CurveLane] = field(default_factory=dict)
    successors: dict[LaneIndex, tuple[LaneIndex, ...]] = field(default_factory=dict)
    route: list[tuple[str, str]] = field(default_factory=list)  # edges the ego should take
    surfaces: list[CurveLane] = field(default_factory=list)  # drivable, but no lane of traffic
    parking: list[CurveLane] = field(default_factory=list)  # those of them where cars are parked
    crossings: list[Crossing] = field(default_factory=list)
    overlapping: dict[LaneIndex, tuple[LaneIndex, ...]] = field(default_factory=dict)
    sources: dict[int, LaneIndex] = field(default_factory=dict)  # lanelets, on recorded roads
    runout_m: float = 30.0  # this far before its last lane ends, a route is completed

    def add(self, start: str, end: str, *lanes: CurveLane) -> None:
        """Add the lanes of one edge, from the leftmost to the rightmost."""
        for lane in lanes:
            self.network.add_lane(start, end, lane)
            self.lanes[start, end, len(self.network.graph[start][end]) - 1] = lane

    def finish(self) -> None:
        """Link lanes whose ends meet (unless somebody linked them already), and spread the advised
        speeds backwards along the links."""
        for number, lane in enumerate(self.lanes.values()):
            lane.number = number
        for index, lane in self.lanes.items():
            if index in self.successors:
                continue
            end_x, end_y, _ = lane.curve.pose(-1)
            self.successors[index] = tuple(
                other
                for other, candidate in self.lanes.items()
                if other[0] == index[1]
                and math.hypot(candidate.curve.x_m[0] - end_x, candidate.curve.y_m[0] - end_y) < 1.0
            )
        for index in self.lanes:
            self.overlapping[index] = tuple(o for o in self.lanes if self._share_an_end(index, o))
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

    def _share_an_end(self, one: LaneIndex, other: LaneIndex) -> bool:
        """Whether two lanes of different edges fork from or merge into one place."""
        if one[:2] == other[:2]:
            return False
        for node in (0, 1):
            if one[node] == other[node]:
                at = -node
                x, y, _ = self.lanes[one].curve.pose(at)
                other_x, other_y, _ = self.lanes[other].curve.pose(at)
                if math.hypot(x - other_x, y - other_y) < 1.0:
                    return True
        return False

    def lane_at(self, x_m: float, y_m: float, heading_rad: float) -> LaneIndex | None:
        """The lane on which a vehicle stands, the best aligned one where lanes cross."""
        best, least = None, math.inf
        for index, lane in self.lanes.items():
            if not lane.is_near(x_m, y_m) or lane.outside_m((x_m, y_m)) > 1.0:
                continue
            station, offset = lane.local_coordinates((x_m, y_m))
            turned = abs(math.remainder(lane.heading_at(station) - heading_rad, math.tau))
            misfit = abs(offset) + 5.0 * turned
            if turned < 1.0 and misfit < least:
                best, least = index, misfit
        return best

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


def centre_line(scenario: Scenario, rng: np.random.Generator) -> Line:
    wish = scenario.road.centre_line
    if wish == "any":
        wish = "double" if rng.random() < 0.5 else "dashed"
    return Line.DOUBLE if wish == "double" else Line.DASHED_YELLOW


def side_by_side(
    curve: Curve, count: int, width_m: float, limit_mps: float, leftmost_m: float = 0.0
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


def two_way(curve: Curve, spec: RoadSpec, centre: Line) -> tuple[list[CurveLane], list[CurveLane]]:
    """Lanes along `curve` and lanes back, with the line between them."""
    forth = side_by_side(curve, spec.lanes, spec.lane_width_m, spec.speed_limit_mps)
    back = side_by_side(curve.reversed(), spec.lanes, spec.lane_width_m, spec.speed_limit_mps)
    forth[0].left_line = centre
    return forth, back
