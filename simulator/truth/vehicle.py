"""The two kinds of moving vehicles: the ego, a kinematic bicycle, and the drivers around it.

`Driver` is HighwayEnv's IDM + MOBIL vehicle with parameters of its own per instance (class attributes
are shared by the whole process and never touched), scalar arithmetic in the hot path, real bumpers,
and a memory of which way to take at forks.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from highway_env.vehicle.behavior import IDMVehicle
from highway_env.vehicle.kinematics import Vehicle
from numpy.typing import NDArray

from simulator.ego import DT_S, FULL_LOCK_RAD, WHEELBASE_M
from simulator.truth.collision import Box
from simulator.truth.scene import BODY_SIZE_M, Body

if TYPE_CHECKING:
    from simulator.truth.lane import CurveLane
    from simulator.truth.layout import LaneIndex
    from simulator.truth.traffic import TrafficRoad

STEER_RATE_RADPS = 1.0
GRIP_MPS2 = 8.0
MAX_BRAKE_MPS2 = 8.0
MAX_THROTTLE_MPS2 = 3.5
POWER_W_PER_KG = 35.0
ROLLING_MPS2 = 0.1
AIR_DRAG_1PM = 0.0008
BRAKE_LIGHT_MPS2 = -0.8
EGO_SIZE_M = (4.6, 1.85)


class Hindrance(NamedTuple):
    """What a crossing puts in a driver's way: a stop line, or somebody to let in."""

    gap_m: float  # from the front bumper
    speed_mps: float
    hardest_mps2: float  # the driver brakes no harder than this for it


_STATIC = ("road", "lane", "log", "history")


class Moving:
    """What all kinds share: attributes (for the type checker), outline, snapshots."""

    road: TrafficRoad
    lane: CurveLane
    lane_index: LaneIndex
    position: NDArray[np.float64]
    heading: float
    speed: float
    crashed: bool
    action: dict[str, float]
    LENGTH: float
    WIDTH: float

    def box(self) -> Box:
        """The rectangle it covers."""
        x, y = self.position.tolist()
        return Box(x, y, self.heading, self.LENGTH, self.WIDTH)

    def snapshot(self) -> dict[str, Any]:
        """A copy of all attributes that change or differ between vehicles."""
        state = {k: v for k, v in self.__dict__.items() if k not in _STATIC}
        state["position"] = tuple(state["position"].tolist())
        state["action"] = dict(state["action"])
        return state

    @classmethod
    def from_snapshot(cls, road: TrafficRoad, state: dict[str, Any]) -> Any:
        """The vehicle that `snapshot` described, on the same road."""
        vehicle = cls.__new__(cls)
        vehicle.__dict__.update(state)
        vehicle.__dict__["position"] = np.array(state["position"])
        vehicle.__dict__["action"] = dict(state["action"])
        vehicle.road, vehicle.lane = road, road.layout.lanes[vehicle.lane_index]
        vehicle.__dict__["log"], vehicle.__dict__["history"] = [], []
        return vehicle


class Ego(Moving, Vehicle):  # type: ignore[misc]
    """The car one drives: steering with a rate limit, power that falls with speed, limited grip."""

    def __init__(
        self, road: TrafficRoad, lane_index: LaneIndex, x_m: float, y_m: float,
        heading_rad: float, speed_mps: float,
    ) -> None:  # fmt: skip
        super().__init__(road, (x_m, y_m), heading_rad, speed_mps)
        self.LENGTH, self.WIDTH = EGO_SIZE_M
        self.lane_index, self.lane = lane_index, road.layout.lanes[lane_index]
        self.wheel_rad = 0.0
        self.yaw_rate_radps = 0.0
        self.acceleration_mps2 = 0.0

    def act(self, action: NDArray[np.float32] | None = None) -> None:
        """Store `[steer, accelerate]` for the next `step`; without one the last is repeated."""
        if action is not None:
            self.action = {"steer": float(action[0]), "accelerate": float(action[1])}

    def desired_mps(self) -> float:
        """What others may expect of the ego when they look for a gap."""
        return max(self.speed, float(self.lane.speed_limit))

    def step(self, dt: float = DT_S) -> None:
        """Advance by one tick."""
        if self.crashed:
            self.speed = self.yaw_rate_radps = self.acceleration_mps2 = 0.0
            return
        wanted = self.action.get("steer", 0.0) * FULL_LOCK_RAD
        reach = STEER_RATE_RADPS * dt
        self.wheel_rad += min(max(wanted - self.wheel_rad, -reach), reach)
        before = self.speed
        self.speed = max(before + self._push_mps2() * dt, 0.0)
        self.acceleration_mps2 = (self.speed - before) / dt
        mean = 0.5 * (before + self.speed)
        yaw_rate = mean * math.tan(self.wheel_rad) / WHEELBASE_M
        if mean * abs(yaw_rate) > GRIP_MPS2:
            yaw_rate = math.copysign(GRIP_MPS2 / mean, yaw_rate)
        self._roll(mean * dt, yaw_rate * dt)
        self.yaw_rate_radps = yaw_rate

    def _push_mps2(self) -> float:
        pedal = self.action.get("accelerate", 0.0)
        if pedal >= 0.0:
            push = pedal * min(MAX_THROTTLE_MPS2, POWER_W_PER_KG / max(self.speed, 1.0))
        else:
            push = pedal * MAX_BRAKE_MPS2
        if self.speed > 0.0:
            push -= ROLLING_MPS2 + AIR_DRAG_1PM * self.speed**2
        return float(push)

    def _roll(self, run_m: float, turn_rad: float) -> None:
        """Move the rear axle along an arc; the position is the car's centre, half a base ahead."""
        half = WHEELBASE_M / 2
        x = self.position[0] - half * math.cos(self.heading)
        y = self.position[1] - half * math.sin(self.heading)
        chord = self.heading + turn_rad / 2
        x, y = x + run_m * math.cos(chord), y + run_m * math.sin(chord)
        self.heading = math.remainder(self.heading + turn_rad, math.tau)
        self.position = np.array(
            [x + half * math.cos(self.heading), y + half * math.sin(self.heading)]
        )


class Driver(Moving, IDMVehicle):  # type: ignore[misc]
    """One of the others. Its temper is drawn once from the road's generator."""

    is_scripted = False
    target_lane_index: LaneIndex
    timer: float
    enable_lane_change: bool

    def __init__(
        self, road: TrafficRoad, lane_index: LaneIndex, station_m: float, speed_mps: float,
        body: Body = Body.CAR, speed_factor: float = 1.0,
    ) -> None:  # fmt: skip
        lane = road.layout.lanes[lane_index]
        super().__init__(
            road, lane.position(station_m, 0.0), lane.heading_at(station_m), speed_mps,
            target_lane_index=lane_index,
        )  # fmt: skip
        rng = road.np_random
        self.lane_index, self.lane = lane_index, lane
        self.body = int(body)
        self.LENGTH, self.WIDTH, _ = BODY_SIZE_M[body]
        self.colour_rgb = draw_colour(rng, body)
        self.speed_factor = speed_factor
        self.fork_choice = float(rng.random())
        self.drift_m = float(rng.uniform(-0.25, 0.25))
        heavy = body == Body.TRUCK
        self.COMFORT_ACC_MAX = float(rng.uniform(0.7, 1.1) if heavy else rng.uniform(1.2, 2.2))
        self.COMFORT_ACC_MIN = -float(rng.uniform(2.0, 3.5))
        self.TIME_WANTED = float(rng.uniform(0.9, 1.8))
        self.DISTANCE_WANTED = float(rng.uniform(2.0, 3.5))
        self.ACC_MAX = 7.0
        self.KP_LATERAL = float(rng.uniform(0.45, 0.7))
        self.KP_HEADING = 3.0
        self.POLITENESS = float(rng.uniform(0.1, 0.5))
        self.LANE_CHANGE_DELAY = float(rng.uniform(1.5, 5.0))
        self.timer = float(rng.uniform(0.0, self.LANE_CHANGE_DELAY))
        self.hindrance: Hindrance | None = None  # set by `yielding` each tick

    @property
    def braking(self) -> bool:
        """Whether the brake lights are on."""
        return self.crashed or float(self.action["acceleration"]) < BRAKE_LIGHT_MPS2

    def desired_mps(self) -> float:
        """The speed it would drive here if nobody were ahead."""
        station, _ = self.lane.local_coordinates(self.position)
        return self.speed_factor * min(self.lane.advised_at(station), self.lane.speed_limit)

    def next_lane(self, index: LaneIndex) -> LaneIndex | None:
        """The lane this driver takes after `index`; None at a dead end."""
        following = self.road.layout.successors[index]
        if not following:
            return None
        if len(following) == 1:
            return following[0]
        number = self.road.layout.lanes[index].number  # another choice at each fork
        return following[int(self.fork_choice * (7 * number + 3) % 1.0 * len(following))]

    def follow_road(self) -> None:
        """Nothing to do: `on_state_update` passes from lane to lane."""

    def on_state_update(self) -> None:
        """Find out which lane it is in now: the old one, the one it changes to, or the next one."""
        station, offset = self.lane.local_coordinates(self.position)
        if self.target_lane_index != self.lane_index:
            target = self.road.layout.lanes[self.target_lane_index]
            target_station, target_offset = target.local_coordinates(self.position)
            if abs(target_offset) < abs(offset):
                self.lane_index, self.lane, station = self.target_lane_index, target, target_station
        if station > self.lane.length:
            following = self.next_lane(self.lane_index)
            if following is not None:
                changing = self.target_lane_index != self.lane_index
                target_next = self.next_lane(self.target_lane_index) if changing else None
                self.lane_index, self.lane = following, self.road.layout.lanes[following]
                self.target_lane_index = target_next or following

    def steering_control(self, target_lane_index: LaneIndex) -> float:
        """HighwayEnv's cascade (offset to heading to steering) on scalars, with curve feed-forward."""
        lane = self.road.layout.lanes[target_lane_index]
        station, offset = lane.local_coordinates(self.position)
        speed = max(self.speed, 1.0)
        sideways = -self.KP_LATERAL * (offset - self.drift_m)
        towards = math.asin(min(max(sideways / speed, -0.5), 0.5))
        ahead = station + 0.5 * speed * DT_S
        curvature = lane.curvature_at(ahead)
        # in a bend the centre moves along the lane while the nose points inwards
        nose = math.asin(min(max(curvature * self.LENGTH / 2, -0.6), 0.6))
        error = math.remainder(lane.heading_at(ahead) - nose + towards - self.heading, math.tau)
        turn = self.KP_HEADING * error + curvature * self.speed
        slip = math.asin(min(max(turn * self.LENGTH / 2 / speed, -0.6), 0.6))
        return math.atan(2.0 * math.tan(slip))

    def acceleration(
        self, ego_vehicle: Any, front_vehicle: Any = None, rear_vehicle: Any = None
    ) -> float:
        """IDM for `ego_vehicle` with this driver's temper; braking from excess speed is bounded."""
        if ego_vehicle is None:
            return 0.0
        speed = max(float(ego_vehicle.speed), 0.0)
        desired = max(ego_vehicle.desired_mps(), 0.1)
        if speed <= desired:
            push = self.COMFORT_ACC_MAX * (1.0 - (speed / desired) ** self.DELTA)
        else:
            push = self.COMFORT_ACC_MIN * (1.0 - desired / speed)
        if front_vehicle is not None:
            lengths = 0.5 * (ego_vehicle.LENGTH + front_vehicle.LENGTH)
            gap = max(ego_vehicle.lane_distance_to(front_vehicle) - lengths, 0.1)
            push -= self.COMFORT_ACC_MAX * (self.desired_gap(ego_vehicle, front_vehicle) / gap) ** 2
        return float(push)

    def desired_gap(
        self, ego_vehicle: Any, front_vehicle: Any = None, projected: bool = True
    ) -> float:
        """The gap IDM wants between the bumpers."""
        turn = front_vehicle.heading - ego_vehicle.heading
        return self._wanted_gap(ego_vehicle.speed, front_vehicle.speed * math.cos(turn))

    def _wanted_gap(self, speed: float, front_speed: float) -> float:
        comfort = 2.0 * math.sqrt(-self.COMFORT_ACC_MAX * self.COMFORT_ACC_MIN)
        moving = speed * self.TIME_WANTED + speed * (speed - front_speed) / comfort
        return self.DISTANCE_WANTED + max(moving, 0.0)

    def act(self, action: Any = None) -> None:
        """MOBIL for the lane, IDM for the speed; a hindrance counts as a car ahead."""
        if self.crashed:
            self.action = {"steering": 0.0, "acceleration": -MAX_BRAKE_MPS2}
            return
        if self.enable_lane_change:
            self.change_lane_policy()
        steering = self.steering_control(self.target_lane_index)
        front, _ = self.road.neighbour_vehicles(self, self.lane_index)
        push = self.acceleration(self, front)
        if self.lane_index != self.target_lane_index:
            front, _ = self.road.neighbour_vehicles(self, self.target_lane_index)
            push = min(push, self.acceleration(self, front))
        if self.hindrance is not None:
            gap_m, speed, hardest = self.hindrance
            wanted = self._wanted_gap(self.speed, speed) / max(gap_m, 0.1)
            push = min(push, max(self.COMFORT_ACC_MAX * (1.0 - wanted**2), -hardest))
        self.action = {
            "steering": steering,
            "acceleration": min(max(push, -self.ACC_MAX), self.ACC_MAX),
        }

    def lane_distance_to(self, other: Any, lane: Any = None) -> float:
        """Distance along the lanes this driver will take."""
        return self.road.distance_ahead(self, other)

    def step(self, dt: float = DT_S) -> None:
        """HighwayEnv's bicycle on scalars; never backwards."""
        self.timer += dt
        speed, heading = self.speed, self.heading
        slip = math.atan(0.5 * math.tan(self.action["steering"]))
        mean = 0.5 * (speed + max(speed + self.action["acceleration"] * dt, 0.0))
        turn = mean * math.sin(slip) / (self.LENGTH / 2) * dt
        course = heading + slip + turn / 2
        self.position = self.position + np.array(
            [mean * math.cos(course) * dt, mean * math.sin(course) * dt]
        )
        self.heading = math.remainder(heading + turn, math.tau)
        self.speed = max(speed + self.action["acceleration"] * dt, 0.0)
        self.on_state_update()


def draw_colour(rng: np.random.Generator, body: Body) -> tuple[float, float, float]:
    """Mostly greys, as on the road; some colours; trucks lighter."""
    if rng.random() < 0.55:
        grey = float(rng.uniform(0.45, 0.95) if body == Body.TRUCK else rng.uniform(0.06, 0.92))
        return grey, grey, min(grey * 1.03, 1.0)
    palette = (
        (0.62, 0.07, 0.06), (0.08, 0.16, 0.50), (0.10, 0.33, 0.20), (0.80, 0.60, 0.10),
        (0.45, 0.12, 0.10), (0.25, 0.42, 0.62), (0.75, 0.35, 0.08), (0.85, 0.83, 0.74),
    )  # fmt: skip
    base = palette[int(rng.integers(len(palette)))]
    shade = float(rng.uniform(0.8, 1.15))
    return tuple(min(c * shade, 1.0) for c in base)  # type: ignore[return-value]
