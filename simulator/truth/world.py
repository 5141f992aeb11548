"""The reference world: one scenario, one seed, stepped at 10 Hz.

It knows no camera, no reward and no environment; `view()` and `scene` are all a camera needs, and `ego`
is all a label needs.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from scenarios.schema import RECORDED, Scenario, ScenarioError
from simulator.ego import DT_S, EgoState
from simulator.truth import road as roads
from simulator.truth import scenery
from simulator.truth.collision import overlap
from simulator.truth.events import stage
from simulator.truth.lane import CurveLane
from simulator.truth.layout import LaneIndex
from simulator.truth.parking import park
from simulator.truth.scene import Actors, Scene, View
from simulator.truth.traffic import Spawner, TrafficRoad
from simulator.truth.vehicle import Ego

if TYPE_CHECKING:
    from simulator.truth.replay import Replay

OFFROAD_TOLERANCE_M = 0.3
CURVATURE_AHEAD_M = 10.0
LANE_HYSTERESIS_M = 0.3
CLEAR_AHEAD_M = 150.0
PITCH_RAD_PER_MPS2 = 0.0035
PITCH_SHARE = 0.35  # of the way to its new value that the suspension goes in one tick


@dataclass(frozen=True, slots=True)
class WorldState:
    """A world at one instant, for `World.restore_state` of a world of the same scenario and seed."""

    scenario: Scenario
    seed: int
    values: dict[str, Any]


def _replay(scenario: Scenario) -> Replay | None:
    if scenario.road.kind != RECORDED:
        return None
    from simulator.truth.replay import Replay  # brings an XML reader that no other road needs

    return Replay(scenario)


class World:
    """Ego, traffic and road. Equal scenario, seed and actions give an equal drive, bit by bit."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self.scenario, self.seed = scenario, int(seed)
        shape, looks, behaviour = (
            np.random.default_rng(child) for child in np.random.SeedSequence(self.seed).spawn(3)
        )
        self.replay = _replay(scenario)
        self.layout = self.replay.layout() if self.replay else roads.build(scenario, shape)
        self.scene = Scene(
            lanes=self.layout.strips(),
            hills=scenery.hills(looks, scenario.road.hills_m),
            scenery=scenery.scenery(self.layout, scenario.road.kind, looks),
            weather=scenario.weather,
            seed=int(looks.integers(2**31)),
        )
        self.road = TrafficRoad(self.layout, behaviour)
        self.road.vehicles.append(self._place_ego())
        self.parked = park(self.layout.parking, scenario.traffic.parked_per_km, looks)
        traffic = scenario.traffic
        self.spawner = Spawner(self.road, traffic.cars, traffic.truck_share, traffic.speed_factor)
        stage(self.road, scenario)
        # the event's actors need room between them and the ego
        self.spawner.populate(clear_ahead_m=CLEAR_AHEAD_M if scenario.critical else 0.0)
        self.tick = 0
        if self.replay:
            self.replay.place(self.road, 0.0)
        self._progress_m = 0.0
        self._pitch_rad = 0.0
        self._collision = self._arrived = False
        self._finish_instant()

    def _place_ego(self) -> Ego:
        if self.replay:
            return self.replay.ego(self.road)
        start = self.scenario.start
        index = (*self.layout.route[0], start.lane)
        if index not in self.layout.lanes:
            count = sum(lane[:2] == self.layout.route[0] for lane in self.layout.lanes)
            accepted = f"a lane from 0 (leftmost) to {count - 1}"
            raise ScenarioError(self.scenario.name, "start.lane", start.lane, accepted)
        lane = self.layout.lanes[index]
        if start.station_m > lane.length - 10.0:
            accepted = f"at most {lane.length - 10.0:.0f} on this road"
            raise ScenarioError(self.scenario.name, "start.station_m", start.station_m, accepted)
        x, y = lane.position(start.station_m, start.offset_m)
        heading = math.remainder(lane.heading_at(start.station_m) + start.heading_rad, math.tau)
        return Ego(self.road, index, float(x), float(y), heading, start.speed_mps)

    # What can be seen and known

    @property
    def time_s(self) -> float:
        """Time since the start."""
        return self.tick * DT_S

    @property
    def ego(self) -> EgoState:
        """Ego state of this instant."""
        return self._ego_state

    @property
    def speed_limit_mps(self) -> float:
        """The limit of the ego's lane."""
        return float(self._car.lane.speed_limit)

    @property
    def advised_speed_mps(self) -> float:
        """What a calm driver would do here: the limit, or less before and in bends."""
        station, _ = self._car.lane.local_coordinates(self._car.position)
        return float(self._car.lane.advised_at(station))

    @property
    def lane_width_m(self) -> float:
        """Width of the ego's lane."""
        return float(self._car.lane.width)

    @property
    def done_route(self) -> bool:
        """Whether the road ends here, or a recorded drive's goal is reached."""
        if self._arrived:
            return True
        if self.layout.successors[self._car.lane_index]:
            return False
        station, _ = self._car.lane.local_coordinates(self._car.position)
        return bool(station > self._car.lane.length - self.layout.runout_m)

    @property
    def success(self) -> bool | None:
        """Whether the scenario was passed; None while that is open."""
        if self._ego_state.collision or self._ego_state.offroad:
            return False
        if self.replay:
            return self._arrived or (False if self.replay.lapsed(self.time_s) else None)
        if self.time_s < self.scenario.duration_s - 1e-9 and not self.done_route:
            return None
        return self._progress_m >= self.scenario.success.min_progress_m

    def view(self) -> View:
        """Where the ego is and who is around, for the camera."""
        drivers = self.road.drivers
        actors = Actors(
            pose=np.array([[*d.position, d.heading] for d in drivers]).reshape(-1, 3),
            body=np.array([d.body for d in drivers], dtype=np.int64),
            colour_rgb=np.array([d.colour_rgb for d in drivers]).reshape(-1, 3),
            braking=np.array([d.braking for d in drivers], dtype=np.bool_),
            size_m=self.replay.sizes_m(self.road) if self.replay else None,
        )
        x, y = self._car.position.tolist()
        if len(self.parked.pose):
            actors = self.parked.seen_with(actors, x, y)
        return View(x, y, self._car.heading, self._pitch_rad, actors)

    @property
    def _car(self) -> Ego:
        return self.road.ego

    # Time

    def step(self, action: NDArray[np.float32]) -> None:
        """Advance by one tick. `action` is `[steer, accelerate]`, each in [-1, 1], shape (2,)."""
        given = np.asarray(action, dtype=float)
        if given.shape != (2,) or not np.all(np.abs(given) <= 1.0):  # NaN fails the comparison
            raise ValueError(f"action {action!r}: give two finite numbers in [-1, 1], shape (2,)")
        before = self._car.position.copy()
        self._car.act(given)
        self.road.act()
        self.road.step(DT_S)
        self._find_lane(before)
        if self.replay:
            self.replay.place(self.road, self.time_s + DT_S)
        else:
            self.spawner.tick()
        self._find_collision()
        target = PITCH_RAD_PER_MPS2 * self._car.acceleration_mps2
        self._pitch_rad += PITCH_SHARE * (target - self._pitch_rad)
        self.tick += 1
        if self.replay and not self._collision:
            self._arrived = self._arrived or self.replay.reached(self.time_s, self._car)
        self._finish_instant()

    def _find_lane(self, before: NDArray[np.float64]) -> None:
        """Follow the ego from lane to lane, off its route too, and add up its progress."""
        car = self._car
        station, _ = car.lane.local_coordinates(car.position)
        index: LaneIndex = car.lane_index
        if station > car.lane.length:
            index = self.road.next_lane(car, index) or index
        away_m, best = min(
            (abs(lane.local_coordinates(car.position)[1]), other)
            for other, lane in self.layout.lanes.items()
            if other[:2] == index[:2]
        )
        if away_m > 0.75 * self.layout.lanes[best].width:
            best = self._lane_off_route(away_m) or best
        car.lane_index, car.lane = best, self.layout.lanes[best]
        now, _ = car.lane.local_coordinates(car.position)
        self._progress_m += now - car.lane.local_coordinates(before)[0]

    def _lane_off_route(self, away_m: float) -> LaneIndex | None:
        """A lane of about the same direction that the ego is clearly nearer to, if any."""
        car = self._car
        station, _ = car.lane.local_coordinates(car.position)
        heading, nearest, best = car.lane.heading_at(station), away_m - LANE_HYSTERESIS_M, None
        x, y = car.position.tolist()
        for index, lane in self.layout.lanes.items():
            if not lane.is_near(x, y):
                continue
            station, offset = lane.local_coordinates((x, y))
            turned = abs(math.remainder(lane.heading_at(station) - heading, math.tau))
            if 0.0 <= station <= lane.length and turned < 1.0 and abs(offset) < nearest:
                nearest, best = abs(offset), index
        return best

    def _find_collision(self) -> None:
        if self._collision:
            return
        car, box = self._car, self._car.box()
        hit = [driver for driver in self.road.drivers if overlap(box, driver.box())]
        parked = self.parked.boxes_near(box.x_m, box.y_m) if len(self.parked.pose) else []
        if hit or any(overlap(box, other) for other in parked):
            self._collision = True
            for vehicle in (car, *hit):
                vehicle.crashed, vehicle.speed = True, 0.0
            car.yaw_rate_radps = car.acceleration_mps2 = 0.0

    def _is_offroad(self) -> bool:
        x, y = self._car.position.tolist()
        surfaces: list[CurveLane] = [*self.layout.lanes.values(), *self.layout.surfaces]
        near = (lane for lane in surfaces if lane.is_near(x, y))
        return not any(lane.outside_m((x, y)) <= OFFROAD_TOLERANCE_M for lane in near)

    def _finish_instant(self) -> None:
        car = self._car
        self.road.enter_all()
        station, offset = car.lane.local_coordinates(car.position)
        self._ego_state = EgoState(
            speed_mps=float(car.speed),
            yaw_rate_radps=float(car.yaw_rate_radps),
            lane_offset_m=offset,
            heading_error_rad=math.remainder(car.heading - car.lane.heading_at(station), math.tau),
            curvature_1pm=car.lane.curvature_at(station + CURVATURE_AHEAD_M),
            lead_distance_m=self.road.lead_distance_m(),
            progress_m=self._progress_m,
            collision=self._collision,
            offroad=self._is_offroad(),
        )

    # Branching

    def save_state(self) -> WorldState:
        """Everything that the future depends on besides scenario and seed."""
        values = {
            "ego": self._car.snapshot(),
            "drivers": [(type(d), d.snapshot()) for d in self.road.drivers],
            "rng": self.road.np_random.bit_generator.state,
            "tick": self.tick,
            "progress_m": self._progress_m,
            "pitch_rad": self._pitch_rad,
            "collision": self._collision,
            "arrived": self._arrived,
        }
        return WorldState(self.scenario, self.seed, copy.deepcopy(values))

    def restore_state(self, state: WorldState) -> None:
        """Go back to (or over to) a saved instant of the same scenario and seed."""
        if not isinstance(state, WorldState):
            raise ValueError(f"got {type(state).__name__}: give what World.save_state returned")
        if (state.scenario, state.seed) != (self.scenario, self.seed):
            raise ValueError(
                f"state of scenario '{state.scenario.name}' seed {state.seed} does not fit a world "
                f"of '{self.scenario.name}' seed {self.seed}: make a World of the former first"
            )
        values = copy.deepcopy(state.values)
        self.road.vehicles = [Ego.from_snapshot(self.road, values["ego"])]
        self.road.vehicles += [kind.from_snapshot(self.road, s) for kind, s in values["drivers"]]
        self.road.np_random.bit_generator.state = values["rng"]
        self.tick, self._progress_m = values["tick"], values["progress_m"]
        self._pitch_rad, self._collision = values["pitch_rad"], values["collision"]
        self._arrived = values["arrived"]
        self._finish_instant()
