"""The other driver of a critical scenario: does the one thing that a careless ego does not survive.

Each event is a driver with a script; before and after it the driver is like all others. Scripts read the
clock and the ego, no randomness, so they replay and branch exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from scenarios.schema import CriticalSpec, Scenario, ScenarioError
from simulator.ego import DT_S
from simulator.truth.layout import LaneIndex
from simulator.truth.ramps import BESIDE_M, TAPER_M
from simulator.truth.scene import BODY_SIZE_M, Body
from simulator.truth.traffic import TrafficRoad
from simulator.truth.vehicle import Driver

BEND_1PM = 0.003
LENGTHS_M = {body: size[0] for body, size in BODY_SIZE_M.items()}


class Scripted(Driver):
    """A driver that the spawner leaves alone and that keeps its lane unless its script says so."""

    is_scripted = True

    def __init__(
        self, road: TrafficRoad, lane: LaneIndex, station_m: float, speed_mps: float,
        spec: CriticalSpec, body: Body = Body.CAR,
    ) -> None:  # fmt: skip
        super().__init__(road, lane, station_m, speed_mps, body)
        self.spec = spec
        self.clock_s = 0.0
        self.enable_lane_change = False
        self.drift_m = 0.0
        self.cruise_mps: float | None = None

    def desired_mps(self) -> float:
        """The script's speed, where it has one."""
        usual = super().desired_mps()
        return usual if self.cruise_mps is None else min(self.cruise_mps, usual)

    def act(self, action: Any = None) -> None:
        """Drive like others; then let the script change what it wants to change."""
        super().act()
        if not self.crashed:
            self.script()
        self.clock_s += DT_S

    def script(self) -> None:
        """Change `self.action` or the driver's aims. The plain script does nothing."""

    def push(self, acceleration_mps2: float) -> None:
        """Override pedal and brake for this tick."""
        self.action["acceleration"] = acceleration_mps2

    def hold_speed(self, speed_mps: float) -> None:
        """Go for a speed whatever is ahead."""
        self.push(min(max((speed_mps - self.speed) / 0.5, -8.0), 4.0))

    def ahead_of_ego_m(self) -> float:
        """Distance from the ego's front bumper to this rear bumper, along the ego's lane."""
        ego = self.road.ego
        here, _ = ego.lane.local_coordinates(self.position)
        there, _ = ego.lane.local_coordinates(ego.position)
        return float(here - there) - 0.5 * (self.LENGTH + ego.LENGTH)


class HardBraking(Scripted):
    """Drives ahead at the given speed, brakes hard to a halt, stands, drives on."""

    def script(self) -> None:
        since = self.clock_s - self.spec.at_s
        self.cruise_mps = self.spec.speed_mps if since < 0.0 else None
        if 0.0 <= since < self.spec.halt_s:
            self.push(-self.spec.decel_mps2)


class CutIn(Scripted):
    """Drives beside the ego, a little ahead; changes into its lane and slows down."""

    def script(self) -> None:
        ego = self.road.ego
        if self.clock_s < self.spec.at_s:
            self.hold_speed(ego.speed + 0.6 * (self.spec.gap_m - self.ahead_of_ego_m()))
            return
        if self.clock_s < self.spec.at_s + 0.5 * DT_S:
            self.target_lane_index = ego.lane_index
            self.KP_LATERAL = 1.0
        if self.clock_s < self.spec.at_s + 8.0:
            self.cruise_mps = self.spec.speed_mps
            slower = self.speed > self.spec.speed_mps
            self.push(-self.spec.decel_mps2 if slower else min(self.action["acceleration"], 0.5))
        else:
            self.cruise_mps = None


class Stopped(Scripted):
    """Stands in the lane, for ever."""

    def script(self) -> None:
        self.push(-1.0)


class OverTheLine(Scripted):
    """Comes the other way, drifts over the line into the ego's lane, swerves back at the last moment."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.crosses_at_s = math.inf
        self.returns_at_s = math.inf

    def script(self) -> None:
        self.cruise_mps = self.spec.speed_mps
        ego = self.road.ego
        gap_m = self.ahead_of_ego_m()
        if math.isinf(self.crosses_at_s) and gap_m < self.spec.gap_m:
            self.crosses_at_s = self.clock_s
            meeting_s = gap_m / max(self.speed + ego.speed, 1.0)
            self.returns_at_s = self.clock_s + meeting_s - 0.1
            self.KP_LATERAL = 1.3
        over = self.crosses_at_s <= self.clock_s < self.returns_at_s
        self.drift_m = self.lane.width if over else 0.0
        if self.clock_s < self.returns_at_s + 2.0:
            self.hold_speed(self.spec.speed_mps)


class MergingTruck(Scripted):
    """Comes in by the slip road just ahead of the ego, slower than it, and takes no notice of it."""

    def script(self) -> None:
        station, _ = self.lane.local_coordinates(self.position)
        slides_in = self.lane_index[0] == "ramp gore" and station > BESIDE_M + 0.6 * TAPER_M
        if self.lane_index[0] == "join" or slides_in:
            self.cruise_mps = self.spec.speed_mps
            slower = self.speed > self.spec.speed_mps
            self.push(-self.spec.decel_mps2 if slower else min(self.action["acceleration"], 0.5))
        else:
            wanted = self.road.ego.speed + 0.5 * (self.spec.gap_m - self.ahead_of_ego_m())
            self.hold_speed(max(wanted, 3.0))


class SlowLeader(Scripted):
    """Drives ahead, far slower than the road allows."""

    def script(self) -> None:
        self.cruise_mps = self.spec.speed_mps


def stage(road: TrafficRoad, scenario: Scenario) -> None:
    """Put the other driver of a critical scenario on the road. Raises ScenarioError without room."""
    spec = scenario.critical
    if spec is None:
        return
    road.vehicles.append(_STAGES[spec.event](road, scenario, spec))


def _ahead(
    kind: type[Scripted], body: Body = Body.CAR
) -> Callable[[TrafficRoad, Scenario, CriticalSpec], Scripted]:
    def place(road: TrafficRoad, scenario: Scenario, spec: CriticalSpec) -> Scripted:
        at_m = scenario.start.station_m + spec.gap_m + 0.5 * (road.ego.LENGTH + LENGTHS_M[body])
        return kind(road, road.ego.lane_index, at_m, spec.speed_mps, spec, body)

    return place


def _behind_bend(road: TrafficRoad, scenario: Scenario, spec: CriticalSpec) -> Scripted:
    """At least `gap_m` ahead, where the first bend ends."""
    lane = road.ego.lane
    at_m, seen_bend = scenario.start.station_m + spec.gap_m, False
    while at_m < lane.length - 50.0:
        bends = abs(lane.curvature_at(at_m)) > BEND_1PM
        if seen_bend and not bends:
            break
        seen_bend, at_m = seen_bend or bends, at_m + 2.0
    return Stopped(road, road.ego.lane_index, at_m, 0.0, spec)


def _beside(road: TrafficRoad, scenario: Scenario, spec: CriticalSpec) -> Scripted:
    start, end, number = road.ego.lane_index
    for other in (number - 1, number + 1):
        if (start, end, other) in road.layout.lanes:
            at_m = scenario.start.station_m + spec.gap_m + road.ego.LENGTH
            speed = scenario.start.speed_mps
            return CutIn(road, (start, end, other), at_m, speed, spec)
    raise ScenarioError(scenario.name, "road.lanes", scenario.road.lanes, "2 or more for a cut-in")


def _oncoming(road: TrafficRoad, scenario: Scenario, spec: CriticalSpec) -> Scripted:
    """As far off as lets the two be `gap_m` apart at `at_s`, if the ego keeps its speed."""
    start = scenario.start
    lead_m = spec.gap_m + road.ego.LENGTH + spec.at_s * (start.speed_mps + spec.speed_mps)
    meeting = road.ego.lane.position(start.station_m + lead_m, 0.0)
    index = ("end back", "start back", 0)
    station, _ = road.layout.lanes[index].local_coordinates(meeting)
    return OverTheLine(road, index, station, spec.speed_mps, spec)


def _on_ramp(road: TrafficRoad, scenario: Scenario, spec: CriticalSpec) -> Scripted:
    at_m = spec.gap_m + 0.5 * (road.ego.LENGTH + LENGTHS_M[Body.TRUCK])
    speed = scenario.start.speed_mps
    return MergingTruck(road, ("ramp", "ramp gore", 0), at_m, speed, spec, Body.TRUCK)


_STAGES: dict[str, Callable[[TrafficRoad, Scenario, CriticalSpec], Scripted]] = {
    "hard_braking_lead": _ahead(HardBraking),
    "slow_leader": _ahead(SlowLeader, Body.VAN),
    "stopped_car": _behind_bend,
    "cut_in": _beside,
    "oncoming_over_line": _oncoming,
    "merging_truck": _on_ramp,
}
