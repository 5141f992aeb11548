"""Recorded vehicles drive again: each follows its log and reacts to nobody, the ego is free.

A vehicle is there while its log lasts. One that the ego hits stays where it was hit.
"""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from highway_env.vehicle.kinematics import Vehicle

from scenarios.schema import Scenario, ScenarioError
from simulator.ego import FULL_LOCK_RAD, WHEELBASE_M
from simulator.hashing import array_hash
from simulator.interchange.commonroad import read
from simulator.interchange.traffic_log import Floats, Track, TrafficLog
from simulator.truth.layout import LaneIndex, Layout
from simulator.truth.recorded_road import plan_route, recorded_road
from simulator.truth.scene import BODY_SIZE_M, Body
from simulator.truth.traffic import TrafficRoad
from simulator.truth.vehicle import BRAKE_LIGHT_MPS2, Ego, Moving, draw_colour

TRUCK_FROM_M, VAN_FROM_M = 7.5, 5.8
KEEP_LANE_M = 0.6  # beyond its lane's edge a vehicle is looked for in another one
ROLLING_MPS = 1.0


class Replayed(Moving, Vehicle):  # type: ignore[misc]
    """A vehicle that was recorded."""

    is_scripted = True

    def __init__(self, road: TrafficRoad, track: Track, time_s: float) -> None:
        super().__init__(road, (0.0, 0.0))
        self.track = track
        self.LENGTH, self.WIDTH = track.length_m, track.width_m
        body = _body(track)
        self.body = int(body)
        self.height_m = BODY_SIZE_M[body][2]
        self.colour_rgb = draw_colour(np.random.default_rng(track.number), body)
        self.braking = False
        self.hindrance = None
        self.lane_index = next(iter(road.layout.lanes))
        self.move_to(time_s)

    @property
    def target_lane_index(self) -> LaneIndex:
        """It changes lanes by its log alone."""
        return self.lane_index

    @target_lane_index.setter
    def target_lane_index(self, index: LaneIndex) -> None:
        """Nothing to aim at."""

    def act(self, action: Any = None) -> None:
        """Its log decides."""

    def step(self, dt: float = 0.0) -> None:
        """`Replay.place` moves it."""

    def move_to(self, time_s: float) -> None:
        """Go where the log has it; `time_s` is the log's clock."""
        if self.crashed:
            self.braking = True
            return
        now = self.track.at(time_s)
        self.position = np.array([now.x_m, now.y_m])
        self.heading, self.speed = now.heading_rad, now.speed_mps
        self.braking = now.acceleration_mps2 < BRAKE_LIGHT_MPS2
        lane = self.road.layout.lanes[self.lane_index]
        if lane.outside_m(self.position) > KEEP_LANE_M:
            found = self.road.layout.lane_at(now.x_m, now.y_m, now.heading_rad)
            self.lane_index = found or self.lane_index
        self.lane = self.road.layout.lanes[self.lane_index]


def _body(track: Track) -> Body:
    if track.kind in ("truck", "bus") or track.length_m > TRUCK_FROM_M:
        return Body.TRUCK
    return Body.VAN if track.length_m > VAN_FROM_M else Body.CAR


class Replay:
    """The recorded side of a world: its road, its vehicles, the ego's start and goal."""

    def __init__(self, scenario: Scenario) -> None:
        """Raises ScenarioError for a file that is missing, was changed, or lacks the problem."""
        self._name = scenario.name
        self._log = _read(scenario)
        problems = self._log.problems
        wanted = scenario.road.problem
        if wanted is None:
            wanted = next(iter(problems))
        if wanted not in problems:
            accepted = "one of " + ", ".join(map(str, problems))
            raise ScenarioError(scenario.name, "road.problem", wanted, accepted)
        self.problem = problems[wanted]
        self._limit_mps = scenario.road.speed_limit_mps

    def layout(self) -> Layout:
        """The recorded road, with the ego's route to its goal."""
        layout = recorded_road(self._log, self._limit_mps)
        layout.finish()
        layout.route = plan_route(layout, self._start_lane(layout), self.problem.goals)
        return layout

    def _start_lane(self, layout: Layout) -> LaneIndex:
        start = self.problem.start
        found = layout.lane_at(start.x_m, start.y_m, start.heading_rad)
        if found is None:
            x, y = (
                a + b for a, b in zip((start.x_m, start.y_m), self._log.origin_xy_m, strict=True)
            )
            raise ScenarioError(
                self._name, "road.problem", f"a start at ({x:.1f}, {y:.1f})", "a start on a lane"
            )
        return found

    def ego(self, road: TrafficRoad) -> Ego:
        """The ego at the problem's first instant, its wheel turned as its yaw rate asks for."""
        start = self.problem.start
        index = self._start_lane(road.layout)
        heading = math.remainder(start.heading_rad, math.tau)
        ego = Ego(road, index, start.x_m, start.y_m, heading, max(start.speed_mps, 0.0))
        if ego.speed > ROLLING_MPS:
            wheel = math.atan(self.problem.yaw_rate_radps * WHEELBASE_M / ego.speed)
            ego.wheel_rad = min(max(wheel, -FULL_LOCK_RAD), FULL_LOCK_RAD)
            ego.yaw_rate_radps = ego.speed * math.tan(ego.wheel_rad) / WHEELBASE_M
        return ego

    def place(self, road: TrafficRoad, time_s: float) -> None:
        """Put everybody where they were `time_s` after the ego's start."""
        clock_s = self.problem.start_s + time_s
        there = {driver.track.number: driver for driver in road.drivers}
        now: list[Any] = []
        for track in self._log.tracks:
            driver = there.get(track.number)
            if driver is not None and (driver.crashed or track.covers(clock_s)):
                driver.move_to(clock_s)
                now.append(driver)
            elif track.covers(clock_s):
                now.append(Replayed(road, track, clock_s))
        road.vehicles = [road.ego, *now]

    @staticmethod
    def sizes_m(road: TrafficRoad) -> Floats:
        """Length, width and height of all others, (N, 3)."""
        sizes = [(d.LENGTH, d.WIDTH, d.height_m) for d in road.drivers]
        return np.array(sizes, float).reshape(-1, 3)

    def reached(self, time_s: float, ego: Ego) -> bool:
        """Whether the ego is at one of its goals."""
        x, y = ego.position.tolist()
        clock_s = self.problem.start_s + time_s
        goals = self.problem.goals
        return any(goal.holds(clock_s, x, y, ego.heading, float(ego.speed)) for goal in goals)

    def lapsed(self, time_s: float) -> bool:
        """Whether no goal can be reached any more."""
        return self.problem.start_s + time_s > self.problem.latest_s + 1e-6


def _read(scenario: Scenario) -> TrafficLog:
    road = scenario.road
    path = Path(str(road.file))
    if not path.is_file():
        accepted = "the path of the CommonRoad file that the scenario was imported from"
        raise ScenarioError(scenario.name, "road.file", road.file, accepted)
    found = file_digest(path)
    if found != road.digest:
        accepted = f"{found}, the file's; import the file again if its change is meant"
        raise ScenarioError(scenario.name, "road.digest", road.digest, accepted)
    return _read_once(str(path), found)


@lru_cache(maxsize=32)
def _read_once(path: str, digest: str) -> TrafficLog:
    return read(Path(path))


def file_digest(path: Path) -> str:
    """BLAKE2b-128 of a file's bytes."""
    return array_hash(np.frombuffer(path.read_bytes(), np.uint8))
