"""HighwayEnv's road with a look-up of who is in which lane, and traffic that never runs out.

The look-up replaces HighwayEnv's search over all pairs and lanes: each tick every vehicle is entered once
in the lanes it occupies, and neighbours are found across lane ends too.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from highway_env.road.road import Road
from numpy.typing import NDArray

from simulator.ego import DT_S, LEAD_RANGE_M
from simulator.truth.lane import Floats
from simulator.truth.layout import LaneIndex, Layout
from simulator.truth.scene import Body
from simulator.truth.vehicle import Driver, Ego
from simulator.truth.yielding import hold_back

LOOK_AHEAD_M = 110.0
SPAWN_AHEAD_M = (115.0, 175.0)
SPAWN_BEHIND_M = (45.0, 80.0)
GONE_AHEAD_M = 190.0
GONE_BEHIND_M = 100.0
RESPAWN_CHANCE = 0.5  # per tick while somebody is missing
_NODE_EVERY_M = 6.0


class TrafficRoad(Road):  # type: ignore[misc]
    """All moving vehicles of one episode; the ego is `vehicles[0]`."""

    def __init__(self, layout: Layout, rng: np.random.Generator) -> None:
        super().__init__(network=layout.network, np_random=rng)
        self.layout = layout
        self.occupants: dict[LaneIndex, list[tuple[float, Any]]] = {}

    @property
    def ego(self) -> Ego:
        """The car one drives."""
        ego: Ego = self.vehicles[0]
        return ego

    @property
    def drivers(self) -> list[Driver]:
        """Everybody else."""
        return self.vehicles[1:]  # type: ignore[no-any-return]

    def enter_all(self) -> None:
        """Note for each lane who is in it, with their stations. Call after anybody moved."""
        self.occupants = {}
        ego = self.ego
        x, y = float(ego.position[0]), float(ego.position[1])
        for index, lane in self.layout.lanes.items():
            if lane.is_near(x, y):
                station, offset = lane.local_coordinates(ego.position)
                if abs(offset) < lane.width / 2 + 0.7 and -5.0 < station < lane.length + 5.0:
                    self.occupants.setdefault(index, []).append((station, ego))
        for driver in self.drivers:
            station, _ = driver.lane.local_coordinates(driver.position)
            self.occupants.setdefault(driver.lane_index, []).append((station, driver))
            others = self.layout.overlapping[driver.lane_index]
            if driver.target_lane_index != driver.lane_index:
                others = (driver.target_lane_index, *others)
            for index in others:
                lane = self.layout.lanes[index]
                station, offset = lane.local_coordinates(driver.position)
                if abs(offset) < lane.width / 2 + 0.5 and 0.0 <= station <= lane.length:
                    self.occupants.setdefault(index, []).append((station, driver))

    def neighbour_vehicles(self, vehicle: Any, lane_index: LaneIndex | None = None) -> Any:
        """Who is next ahead and next behind in a lane, the lanes before and after it included."""
        index = lane_index or vehicle.lane_index
        lane = self.layout.lanes[index]
        station, _ = lane.local_coordinates(vehicle.position)
        front = rear = None
        front_m, rear_m = math.inf, -math.inf
        for other_m, other in self.occupants.get(index, ()):
            if other is vehicle:
                continue
            if station <= other_m < front_m:
                front_m, front = other_m, other
            elif rear_m < other_m < station:
                rear_m, rear = other_m, other
        if front is None:
            front = self._first_after(vehicle, index, lane.length - station)
        return front, rear

    def _first_after(self, vehicle: Any, index: LaneIndex, run_m: float) -> Any:
        following = self.next_lane(vehicle, index)
        while following is not None and run_m < LOOK_AHEAD_M:
            entries = [e for e in self.occupants.get(following, ()) if e[1] is not vehicle]
            if entries:
                return min(entries, key=lambda entry: entry[0])[1]
            run_m += self.layout.lanes[following].length
            following = self.next_lane(vehicle, following)
        return None

    def next_lane(self, vehicle: Any, index: LaneIndex) -> LaneIndex | None:
        """Where a vehicle goes after a lane; the ego by its route."""
        if isinstance(vehicle, Driver):
            return vehicle.next_lane(index)
        following = self.layout.successors[index]
        on_route = [lane for lane in following if lane[:2] in self.layout.route]
        return next(iter(on_route or following), None)

    def distance_ahead(self, vehicle: Any, other: Any) -> float:
        """Distance from centre to centre along the lanes `vehicle` will take; negative behind."""
        index: LaneIndex | None = vehicle.lane_index
        station, _ = vehicle.lane.local_coordinates(vehicle.position)
        run_m = -station
        while index is not None and run_m < LOOK_AHEAD_M + 50.0:
            for other_m, occupant in self.occupants.get(index, ()):
                if occupant is other:
                    return float(run_m + other_m)
            if other.lane_index[:2] == index[:2]:  # beside it, in another lane of the same edge
                other_m, _ = self.layout.lanes[index].local_coordinates(other.position)
                return float(run_m + other_m)
            run_m += self.layout.lanes[index].length
            index = self.next_lane(vehicle, index)
        other_m, _ = vehicle.lane.local_coordinates(other.position)
        return float(other_m - station)

    def lead_distance_m(self) -> float:
        """Gap to whoever reaches into the ego's lane ahead, following its route; at most `LEAD_RANGE_M`."""
        car = self.ego
        station, _ = car.lane.local_coordinates(car.position)
        nearest, run_m = LEAD_RANGE_M, -station
        index: LaneIndex | None = car.lane_index
        near: list[Any] = [
            d for d in self.drivers if np.hypot(*(d.position - car.position)) < 100.0
        ]
        visited = 0
        while index is not None and run_m < LEAD_RANGE_M and visited < 8:
            lane = self.layout.lanes[index]
            for driver in near:
                other_m, offset = lane.local_coordinates(driver.position)
                reach = lane.width / 2 - 0.4 + driver.WIDTH / 2
                ahead = run_m + other_m
                if abs(offset) < reach and ahead > 0.0 and -2.0 < other_m < lane.length + 2.0:
                    gap = ahead - 0.5 * (car.LENGTH + driver.LENGTH)
                    nearest = min(nearest, max(gap, 0.0))
            run_m += lane.length
            index, visited = self.next_lane(car, index), visited + 1
        return float(nearest)

    def act(self) -> None:
        """Everybody but the ego decides."""
        self.enter_all()
        hold_back(self)
        for driver in self.drivers:
            driver.act()

    def step(self, dt: float = DT_S) -> None:
        """Everybody moves. Collisions are the world's business."""
        for vehicle in self.vehicles:
            vehicle.step(dt)


class Spawner:
    """Keeps a number of drivers alive around the ego: leaves out of sight, comes back out of sight."""

    def __init__(
        self,
        road: TrafficRoad,
        cars: int,
        truck_share: float,
        speed_factor: tuple[float, float],
    ) -> None:
        self.road, self.cars = road, cars
        self.truck_share, self.speed_factor = truck_share, speed_factor
        rows = [
            (*lane.position(station, 0.0), station, lane.heading_at(station), number)
            for number, lane in enumerate(road.layout.lanes.values())
            if lane.length > 30.0  # nobody appears inside a junction
            for station in np.arange(5.0, lane.length - 10.0, _NODE_EVERY_M)
        ]
        self._places = np.array(rows)
        self._lanes = list(road.layout.lanes)

    def populate(self, clear_ahead_m: float = 0.0) -> None:
        """The traffic of the first instant: anywhere around the ego, but not on top of it.

        With `clear_ahead_m` nobody is placed on the ego's side of the road that near ahead of it.
        """
        away = self._distances()
        same_way = np.cos(self._places[:, 3] - self.road.ego.heading) > 0.0
        allowed = (away < SPAWN_AHEAD_M[1]) & ~(self._ahead() & same_way & (away < clear_ahead_m))
        for _ in range(6 * self.cars):
            if len(self.road.drivers) >= self.cars:
                return
            self._try_place(allowed, from_m=25.0)

    def tick(self) -> None:
        """Remove who is out of sight; now and then bring in somebody new."""
        ego = self.road.ego
        cos, sin = math.cos(ego.heading), math.sin(ego.heading)
        staying = [ego]
        for driver in self.road.drivers:
            dx, dy = (driver.position - ego.position).tolist()
            away = math.hypot(dx, dy)
            behind = dx * cos + dy * sin < 0.0
            at_end = not self.road.layout.successors[driver.lane_index] and (
                driver.lane.local_coordinates(driver.position)[0] > driver.lane.length - 3.0
            )
            gone = away > (GONE_BEHIND_M if behind else GONE_AHEAD_M) or at_end
            if not gone or driver.is_scripted:
                staying.append(driver)
        self.road.vehicles = staying
        if len(staying) - 1 < self.cars and self.road.np_random.random() < RESPAWN_CHANCE:
            distances, ahead = self._distances(), self._ahead()
            near, far = SPAWN_AHEAD_M
            in_front = ahead & (distances > near) & (distances < far)
            near, far = SPAWN_BEHIND_M
            # who appears behind and drives away would never be seen
            along = np.cos(self._places[:, 3] - ego.heading) > 0.3
            at_back = ~ahead & along & (distances > near) & (distances < far)
            self._try_place(in_front | at_back, from_m=40.0)

    def _distances(self) -> Floats:
        x, y = self.road.ego.position
        return np.asarray(np.hypot(self._places[:, 0] - x, self._places[:, 1] - y))

    def _ahead(self) -> NDArray[np.bool_]:
        ego = self.road.ego
        dx, dy = self._places[:, 0] - ego.position[0], self._places[:, 1] - ego.position[1]
        return np.asarray(dx * math.cos(ego.heading) + dy * math.sin(ego.heading) > 0.0)

    def _try_place(self, allowed: NDArray[np.bool_], from_m: float) -> None:
        """Add a driver at a random allowed place, if there is room for it."""
        rng = self.road.np_random
        choices = np.flatnonzero(allowed)
        if not len(choices):
            return
        x, y, station, heading, number = self._places[int(choices[rng.integers(len(choices))])]
        index = self._lanes[int(number)]
        factor = float(rng.uniform(*self.speed_factor))
        body = self._draw_body()
        lane = self.road.layout.lanes[index]
        speed = factor * lane.advised_at(station)
        for vehicle in self.road.vehicles:
            dx, dy = (vehicle.position - (x, y)).tolist()
            room = from_m if vehicle is self.road.ego else 14.0
            closing = abs(vehicle.speed - speed * math.cos(vehicle.heading - heading))
            same_way = abs(-dx * math.sin(heading) + dy * math.cos(heading)) < 2.5
            if math.hypot(dx, dy) < room + (speed + 2.0 * closing if same_way else 0.0):
                return
        self.road.vehicles.append(Driver(self.road, index, float(station), speed, body, factor))

    def _draw_body(self) -> Body:
        draw = self.road.np_random.random()
        if draw < self.truck_share:
            return Body.TRUCK
        return Body.VAN if draw < self.truck_share + 0.15 else Body.CAR
