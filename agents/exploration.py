"""Drivers for training data: what a policy under training will do, mistakes included.

A world model that has only seen good driving heals every mistake. Each driver here is the lane keeper
with one habit, drawn anew from the seed at `reset`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.lane_keeper import LaneKeeper
from agents.policy import Policy
from simulator.ego import DT_S, FULL_LOCK_RAD, WHEELBASE_M

Action = NDArray[np.float32]


class Explorer:
    """A lane keeper whose action a habit may change. Subclasses fill in `begin` and `habit`."""

    speed_factors = (0.5, 1.15)

    def __init__(self) -> None:
        self.keeper = LaneKeeper()
        self.reset(0)

    def reset(self, seed: int | None = None) -> None:
        """Draw this episode's habit; equal seeds drive equally."""
        self.rng = np.random.default_rng(seed)
        self.keeper.reset()
        self.keeper.speed_factor = float(self.rng.uniform(*self.speed_factors))
        self.tick = 0
        self.begin()

    def act(self, observation: Any, info: Mapping[str, Any]) -> Action:
        """The habit's action, within the action space."""
        action = self.habit(self.keeper.act(observation, info).astype(np.float64), info)
        self.tick += 1
        return np.clip(action, -1.0, 1.0).astype(np.float32)

    def begin(self) -> None:
        """Draw what holds for the whole episode."""

    def habit(self, action: NDArray[np.float64], info: Mapping[str, Any]) -> NDArray[np.float64]:
        """Change the lane keeper's action."""
        return action

    def ticks(self, least_s: float, most_s: float) -> int:
        """A random time span as a number of ticks, at least one."""
        return max(1, round(float(self.rng.uniform(least_s, most_s)) / DT_S))


class Expert(Explorer):
    """The lane keeper at various speeds."""

    speed_factors = (0.6, 1.05)


class NoisyExpert(Explorer):
    """Ornstein-Uhlenbeck noise on both controls, from slight to wild."""

    def begin(self) -> None:
        self.size = np.array([0.06, 0.35]) * float(self.rng.uniform(0.3, 2.0))
        self.noise = np.zeros(2)
        self.memory = float(np.exp(-DT_S / self.rng.uniform(0.3, 1.5)))

    def habit(self, action: NDArray[np.float64], info: Mapping[str, Any]) -> NDArray[np.float64]:
        fresh = np.sqrt(1.0 - self.memory**2) * self.size * self.rng.standard_normal(2)
        self.noise = self.memory * self.noise + fresh
        return action + self.noise


class OffCentre(Explorer):
    """Wanders off the centre line and comes back; now and then the wheel is knocked."""

    def begin(self) -> None:
        self.until, self.kick_until, self.kick = 0, 0, 0.0

    def habit(self, action: NDArray[np.float64], info: Mapping[str, Any]) -> NDArray[np.float64]:
        if self.tick >= self.until:
            self.until = self.tick + self.ticks(2.0, 6.0)
            away = self.rng.random() < 0.6
            self.keeper.target_offset_m = float(self.rng.uniform(-1.6, 1.6)) if away else 0.0
            if self.rng.random() < 0.4:
                self.kick_until = self.tick + self.ticks(0.3, 0.9)
                self.kick = _bend(float(self.rng.uniform(-3.0, 3.0)), info)
        if self.tick < self.kick_until:
            action[0] += self.kick
        return action


class LaneChanger(Explorer):
    """Moves over to a neighbouring lane, wanted or not, and drives on there."""

    lane_m = 3.6

    def begin(self) -> None:
        self.until = self.ticks(1.0, 4.0)
        self.side = -1.0 if self.rng.random() < 0.75 else 1.0  # turned round before each change
        self.last_offset_m = 0.0

    def habit(self, action: NDArray[np.float64], info: Mapping[str, Any]) -> NDArray[np.float64]:
        offset = float(np.nan_to_num(info.get("lane_offset_m", 0.0)))
        if abs(offset - self.last_offset_m) > 0.5 * self.lane_m:
            self.keeper.target_offset_m = 0.0  # arrived: the offset now counts from the new lane
        self.last_offset_m = offset
        if self.tick >= self.until:
            self.until = self.tick + self.ticks(3.5, 8.0)
            under_way = self.keeper.target_offset_m != 0.0
            # Often back to where it came from: elsewhere there may be no lane at all.
            self.side = -self.side if self.rng.random() < 0.75 else self.side
            self.keeper.target_offset_m = 0.0 if under_way else self.side * self.lane_m
        return action


class StopAndGo(Explorer):
    """Brakes to a standstill for no reason, gently or hard, stands for seconds, pulls away."""

    def begin(self) -> None:
        standing_start = self.rng.random() < 0.3
        self.phase = "brake" if standing_start else "drive"
        self.until = self.ticks(2.0, 7.0)
        self.pedal = -1.0

    def habit(self, action: NDArray[np.float64], info: Mapping[str, Any]) -> NDArray[np.float64]:
        speed = float(np.nan_to_num(info.get("speed_mps", 0.0)))
        if self.phase == "brake" and speed < 0.1:
            self.phase, self.until = "stand", self.tick + self.ticks(1.0, 8.0)
            # A still world must stay still under any brake, and turning the wheel must not move it.
            self.pedal = float(self.rng.uniform(-1.0, -0.1))
            self.wheel = float(self.rng.uniform(-1.0, 1.0)) * float(self.rng.random() < 0.5)
        elif self.phase == "stand" and self.tick >= self.until:
            self.phase, self.until = "pull away", self.tick + self.ticks(1.5, 4.0)
            self.pedal = float(self.rng.uniform(0.2, 1.0))
        elif self.phase == "pull away" and self.tick >= self.until:
            self.phase, self.until = "drive", self.tick + self.ticks(1.0, 7.0)
        elif self.phase == "drive" and self.tick >= self.until:
            self.phase = "brake"
            self.pedal = float(self.rng.choice([-1.0, self.rng.uniform(-1.0, -0.2)]))
        if self.phase == "stand":
            return np.array([self.wheel, self.pedal])
        if self.phase == "brake" or (self.phase == "pull away" and action[1] > 0.0):
            action[1] = self.pedal
        return action


class Swerver(Explorer):
    """Weaves from side to side, each time with another rhythm."""

    def begin(self) -> None:
        self.until = 0
        self.period_s, self.lateral_mps2, self.side = 2.0, 0.0, 1.0

    def habit(self, action: NDArray[np.float64], info: Mapping[str, Any]) -> NDArray[np.float64]:
        if self.tick >= self.until:
            self.period_s = float(self.rng.uniform(1.0, 4.0))
            self.lateral_mps2 = float(self.rng.choice([0.0, 1.5, 3.0, 5.0]))
            self.begun = self.tick
            self.until = self.tick + 2 * self.ticks(0.5, self.period_s)
        phase = 2.0 * np.pi * (self.tick - self.begun) * DT_S / self.period_s
        action[0] += _bend(self.lateral_mps2 * float(np.sin(phase)), info)
        return action


class RoadLeaver(Explorer):
    """Lets the car run off the road, in various ways; sometimes it comes back at the last moment."""

    def begin(self) -> None:
        self.leave_at = self.ticks(2.0, 10.0)
        self.side = float(self.rng.choice([-1.0, 1.0]))
        self.lateral_mps2 = float(self.rng.uniform(0.3, 4.0))
        self.lets_go = self.rng.random() < 0.3
        self.return_at = self.leave_at + (
            self.ticks(0.5, 2.0) if self.rng.random() < 0.4 else 10**6
        )

    def habit(self, action: NDArray[np.float64], info: Mapping[str, Any]) -> NDArray[np.float64]:
        if self.tick >= self.return_at:
            self.leave_at = self.tick + self.ticks(2.0, 6.0)
            self.return_at = 10**6
        elif self.tick >= self.leave_at:
            bend = 0.0 if self.lets_go else _bend(self.side * self.lateral_mps2, info)
            action[0] = bend
        return action


class Crasher(Explorer):
    """Runs into others: ignores the vehicle ahead, or moves over into the next lane for good."""

    speed_factors = (0.9, 1.5)

    def begin(self) -> None:
        self.careless_at = self.ticks(0.5, 6.0)
        self.pedal = float(self.rng.uniform(0.3, 1.0))
        moves_over = self.rng.random() < 0.4
        self.offset_m = float(self.rng.uniform(2.0, 3.8)) if moves_over else 0.0
        self.fastest = float(self.rng.uniform(15.0, 35.0))

    def habit(self, action: NDArray[np.float64], info: Mapping[str, Any]) -> NDArray[np.float64]:
        if self.tick >= self.careless_at:
            self.keeper.target_offset_m = self.offset_m
            slow = float(np.nan_to_num(info.get("speed_mps", 0.0))) < self.fastest
            action[1] = self.pedal if slow else 0.0
        return action


class ConstantSteer(Explorer):
    """Holds the wheel at steps of the sweep at all speeds: the plain meaning of the controls."""

    def begin(self) -> None:
        self.until = 0
        self.back = False

    def habit(self, action: NDArray[np.float64], info: Mapping[str, Any]) -> NDArray[np.float64]:
        if self.tick >= self.until:
            self.back = not self.back  # in between the lane keeper brings the car back
            span = self.ticks(2.0, 4.0) if self.back else self.ticks(0.3, 2.0)
            self.until = self.tick + span
            # Held for `span`, this moves the car about `sideways_m` across the road.
            sideways_m = float(self.rng.uniform(-2.2, 2.2))
            lateral = 2.0 * sideways_m / (span * DT_S) ** 2
            self.wheel = _bend(float(np.clip(lateral, -8.0, 8.0)), info)
            self.keeper.speed_factor = float(self.rng.uniform(0.1, 1.2))
        if not self.back:
            action[0] = self.wheel
        return action


class RandomSmooth(Explorer):
    """Random but smooth controls, with the lane keeper's help fading in and out."""

    def begin(self) -> None:
        self.wander = self.rng.standard_normal(2) * 0.5
        self.pedal_bias = float(self.rng.uniform(-0.2, 0.4))
        self.blend, self.until = 0.5, 0

    def habit(self, action: NDArray[np.float64], info: Mapping[str, Any]) -> NDArray[np.float64]:
        if self.tick >= self.until:
            self.blend = float(self.rng.choice([0.15, 0.4, 0.7, 1.0]))
            self.until = self.tick + self.ticks(0.8, 3.0)
        self.wander += -0.12 * self.wander + 0.45 * self.rng.standard_normal(2)
        steer = _bend(1.8 * float(self.wander[0]), info)
        wild = np.array([steer, self.pedal_bias + 0.6 * float(self.wander[1])])
        return self.blend * action + (1.0 - self.blend) * wild


def _bend(lateral_mps2: float, info: Mapping[str, Any]) -> float:
    """The wheel that gives a lateral acceleration at the present speed; near full lock when slow."""
    speed = max(2.0, float(np.nan_to_num(info.get("speed_mps", 0.0))))
    return float(np.arctan(WHEELBASE_M * lateral_mps2 / speed**2) / FULL_LOCK_RAD)


DRIVERS: dict[str, Callable[[], Policy]] = {
    "expert": Expert,
    "noisy_expert": NoisyExpert,
    "off_centre": OffCentre,
    "lane_changer": LaneChanger,
    "stop_and_go": StopAndGo,
    "swerver": Swerver,
    "road_leaver": RoadLeaver,
    "crasher": Crasher,
    "constant_steer": ConstantSteer,
    "random_smooth": RandomSmooth,
}
"""All exploring drivers by name."""
