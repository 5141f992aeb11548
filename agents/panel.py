"""A panel of drivers from expert to hopeless, to find out whether a dream ranks them as the truth does.

Most are the lane keeper with one fault of known size. All drive by `info` alone, so they run wherever its
keys are known; none looks at the picture (`uses_camera`), which lets a dream leave it undrawn.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.lane_keeper import LaneKeeper, LaneKeeperConfig
from agents.policy import Policy
from agents.random_policy import Random
from simulator.ego import DT_S

OWN_SENSORS = ("speed_mps", "yaw_rate_radps", "speed_limit_mps", "time_s", "scenario")
"""What a car knows without looking out of the window."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a driver; the defaults are nothing."""

    keeper: LaneKeeperConfig = field(default_factory=LaneKeeperConfig)
    steer_noise: float = 0.0  # standard deviation of the noise on the wheel, share of full lock
    pedal_noise: float = 0.0
    noise_s: float = 0.6  # how long the noise remembers itself (Ornstein-Uhlenbeck)
    delay_steps: int = 0  # from seeing to acting
    steer_gain: float = 1.0
    drift_m: float = 0.0  # how far it sways to the left and right of its lane's centre
    drift_s: float = 8.0  # period of the swaying


class Faulty:
    """The lane keeper with a fault."""

    uses_camera = False

    def __init__(self, fault: Fault | None = None) -> None:
        self.fault = fault or Fault()
        self._keeper = LaneKeeper(self.fault.keeper)
        self.reset(0)

    def reset(self, seed: int | None = None) -> None:
        """Equal seeds give equal noise."""
        self._rng = np.random.default_rng(seed)
        self._keeper.reset()
        self._noise = np.zeros(2)
        self._tick = 0
        idle = np.zeros(2, np.float32)
        self._waiting = deque([idle] * self.fault.delay_steps)

    def act(self, observation: Any, info: Mapping[str, Any]) -> NDArray[np.float32]:
        """What the lane keeper does, spoiled."""
        fault = self.fault
        phase = math.tau * self._tick * DT_S / fault.drift_s
        self._keeper.target_offset_m = fault.drift_m * math.sin(phase)
        self._tick += 1
        action = self._keeper.act(observation, info) * (fault.steer_gain, 1.0)
        memory = math.exp(-DT_S / fault.noise_s)
        size = np.array([fault.steer_noise, fault.pedal_noise])
        fresh = math.sqrt(1.0 - memory**2) * size * self._rng.standard_normal(2)
        self._noise = memory * self._noise + fresh
        self._waiting.append(np.clip(action + self._noise, -1.0, 1.0).astype(np.float32))
        return self._waiting.popleft()


class ConstantVelocity:
    """Keeps its lane and the speed it began with, whatever is ahead: every critical scenario must
    defeat it."""

    uses_camera = False

    def __init__(self) -> None:
        self._keeper = LaneKeeper()
        self.reset()

    def reset(self, seed: int | None = None) -> None:
        """Forget the speed. It uses no randomness."""
        self._keeper.reset()
        self._wanted_mps: float | None = None

    def act(self, observation: Any, info: Mapping[str, Any]) -> NDArray[np.float32]:
        """Steer along the lane, hold the speed."""
        speed = float(np.nan_to_num(info.get("speed_mps", 0.0)))
        if self._wanted_mps is None:
            self._wanted_mps = speed
        steer = self._keeper.act(observation, info)[0]
        pedal = np.clip(1.2 * (self._wanted_mps - speed) + 0.15, -1.0, 1.0)
        return np.array([steer, pedal], np.float32)


class StandStill:
    """Brakes along its lane, gently, and stays there."""

    uses_camera = False
    PEDAL = -0.4

    def __init__(self) -> None:
        self._keeper = LaneKeeper()

    def reset(self, seed: int | None = None) -> None:
        """It uses no randomness."""
        self._keeper.reset()

    def act(self, observation: Any, info: Mapping[str, Any]) -> NDArray[np.float32]:
        """Steer along the lane, brake."""
        return np.array([self._keeper.act(observation, info)[0], self.PEDAL], np.float32)


class Blind:
    """Another driver who sees black, and of `info` gets only what the car's own sensors tell.

    How much of its score it keeps is how much of it needed no eyes.
    """

    def __init__(self, driver: Policy | None = None) -> None:
        self.driver = driver or LaneKeeper()
        self.obs = str(getattr(self.driver, "obs", "camera"))
        self.uses_camera = bool(getattr(self.driver, "uses_camera", True))

    def reset(self, seed: int | None = None) -> None:
        """Reset the driver behind the blindfold."""
        self.driver.reset(seed)

    def act(self, observation: Any, info: Mapping[str, Any]) -> NDArray[np.float32]:
        """What the driver does on a black picture."""
        if isinstance(observation, Mapping):
            black: Any = {**observation, "camera": np.zeros_like(observation["camera"])}
        else:
            black = np.zeros_like(observation)
        return self.driver.act(black, {k: _hidden(k, v) for k, v in info.items()})


def _hidden(key: str, value: Any) -> Any:
    """What needs eyes is unknown, as to a model that can't tell it: NaN, or False for events."""
    if key in OWN_SENSORS:
        return value
    if isinstance(value, (bool, np.bool_)):
        return False
    return math.nan if isinstance(value, (int, float, np.number)) else None


def _faulty(**changes: Any) -> Callable[[], Policy]:
    return partial(Faulty, Fault(**changes))


PANEL: dict[str, Callable[[], Policy]] = {
    "lane_keeper": LaneKeeper,
    "slight_noise": _faulty(steer_noise=0.008, pedal_noise=0.1),
    "medium_noise": _faulty(steer_noise=0.025, pedal_noise=0.3),
    "strong_noise": _faulty(steer_noise=0.08, pedal_noise=0.6),
    "late": _faulty(delay_steps=3),
    "very_late": _faulty(delay_steps=8),
    "weak_wheel": _faulty(steer_gain=0.4),
    "harsh_wheel": _faulty(steer_gain=3.0),
    "tailgater": _faulty(
        keeper=LaneKeeperConfig(headway_s=0.25, standstill_gap_m=1.0, speed_factor=1.1)
    ),
    "speeder": _faulty(keeper=LaneKeeperConfig(speed_factor=1.4, lateral_mps2=6.0)),
    "crawler": _faulty(keeper=LaneKeeperConfig(speed_factor=0.4)),
    "lane_drifter": _faulty(drift_m=1.2),
    "constant_velocity": ConstantVelocity,
    "blind": Blind,
    "stand_still": StandStill,
    "random": Random,
}
"""Sixteen drivers by name, the expert first."""
