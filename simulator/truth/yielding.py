"""Who waits at a crossing, and who lets whom in where two lanes become one.

At a crossing there is a stop line in front of every driver whose way is not free. The order is: who is in
it or can't stop any more, then the ego (others are polite to it, as lane and lead say nothing of cross
traffic), then the right of way, then who is nearer. Where lanes become one, each driver keeps its
distance from whoever is next before it in the other lane, as if they were in one lane already.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simulator.truth.layout import Crossing, LaneIndex
from simulator.truth.vehicle import MAX_BRAKE_MPS2, Hindrance

if TYPE_CHECKING:
    from simulator.truth.traffic import TrafficRoad

HORIZON_M = 90.0
ZIP_FROM_M = 200.0  # before the point where two lanes are one
ZIP_CLOSE_M = 50.0  # from here on drivers brake as hard as they must
EGO_AHEAD_M = 10.0  # who is less than this ahead of the ego lets it go first
FIRM_BRAKE_MPS2 = 4.0
ZIP_BRAKE_MPS2 = 1.8
LINE_MARGIN_M = 0.5
_LANES_AHEAD = 4

_Path = tuple[Any, list[tuple[LaneIndex, float]]]


@dataclass(frozen=True, slots=True)
class _Approach:
    vehicle: Any
    lane: LaneIndex
    line_m: float  # from the front bumper to the stop line; negative inside
    arrival_s: float
    passing_s: float
    order: tuple[bool, bool, int, float]

    @property
    def can_stop(self) -> bool:
        return self.order[0]


def hold_back(road: TrafficRoad) -> None:
    """Set the hindrance of every driver that has one, and clear it for the others."""
    for driver in road.drivers:
        driver.hindrance = None
    if not road.layout.crossings:
        return
    paths = [(vehicle, _path(road, vehicle)) for vehicle in road.vehicles]
    for crossing in road.layout.crossings:
        if crossing.zips:
            _zip(road, paths, crossing)
            continue
        found = (_approach(road, vehicle, path, crossing) for vehicle, path in paths)
        first_come = sorted((a for a in found if a is not None), key=lambda a: a.order)
        going: list[_Approach] = []
        for one in first_come:
            is_ego = one.vehicle is road.ego
            if one.can_stop and not is_ego and any(_blocks(g, one, crossing) for g in going):
                stop_m = max(one.line_m - LINE_MARGIN_M, 0.1)
                before = one.vehicle.hindrance
                if before is None or stop_m < before.gap_m:
                    one.vehicle.hindrance = Hindrance(stop_m, 0.0, MAX_BRAKE_MPS2)
            else:
                going.append(one)


def _zip(road: TrafficRoad, paths: list[_Path], crossing: Crossing) -> None:
    queue = []
    for vehicle, path in paths:
        for index, run_m in path:
            if index in crossing.ways:
                left_m = run_m + crossing.ways[index].clear_m
                if 0.0 < left_m < ZIP_FROM_M:
                    bonus = EGO_AHEAD_M if vehicle is road.ego else 0.0
                    queue.append((left_m - bonus, left_m, index, vehicle))
    queue.sort(key=lambda entry: entry[0])
    for place, (_, left_m, index, vehicle) in enumerate(queue):
        others = [entry for entry in queue[:place] if entry[2] != index]
        if not others or vehicle is road.ego:
            continue
        _, ahead_left_m, _, ahead = others[-1]
        gap_m = left_m - ahead_left_m - 0.5 * (vehicle.LENGTH + ahead.LENGTH)
        hardest = MAX_BRAKE_MPS2 if left_m < ZIP_CLOSE_M else ZIP_BRAKE_MPS2
        vehicle.hindrance = Hindrance(max(gap_m, 1.0), float(ahead.speed), hardest)


def _path(road: TrafficRoad, vehicle: Any) -> list[tuple[LaneIndex, float]]:
    """The lanes ahead, each with the distance from the vehicle's centre to its beginning."""
    index: LaneIndex | None = vehicle.lane_index
    station, _ = vehicle.lane.local_coordinates(vehicle.position)
    path: list[tuple[LaneIndex, float]] = []
    run_m = -station
    while index is not None and len(path) < _LANES_AHEAD and run_m < HORIZON_M:
        path.append((index, run_m))
        run_m += road.layout.lanes[index].length
        index = road.next_lane(vehicle, index)
    return path


def _approach(
    road: TrafficRoad, vehicle: Any, path: list[tuple[LaneIndex, float]], crossing: Crossing
) -> _Approach | None:
    for index, run_m in path:
        way = crossing.ways.get(index)
        if way is None:
            continue
        half_m, speed = vehicle.LENGTH / 2, float(vehicle.speed)
        line_m = run_m + way.stop_m - half_m
        if run_m + way.clear_m + half_m < 0.0 or line_m > HORIZON_M:
            continue
        is_ego = vehicle is road.ego
        if is_ego and speed < 0.3 and line_m > 0.0:
            return None  # it waits: let the others go
        can_stop = line_m > speed**2 / (2 * FIRM_BRAKE_MPS2)
        return _Approach(
            vehicle,
            index,
            line_m,
            arrival_s=max(line_m, 0.0) / max(speed, 1.5),
            passing_s=(way.clear_m - way.stop_m + vehicle.LENGTH) / max(speed, 6.0) + 0.8,
            order=(can_stop, not is_ego, way.rank, line_m),
        )
    return None


def _blocks(going: _Approach, other: _Approach, crossing: Crossing) -> bool:
    if (going.lane, other.lane) not in crossing.conflicts:
        return False
    return going.arrival_s < other.arrival_s + other.passing_s
