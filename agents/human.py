"""A person at the wheel: keys become smooth steering and pedals; axes are taken as they are.

It knows nothing of windows: whoever reads the keyboard calls `press` and `release`, from any thread.
"""

from __future__ import annotations

import enum
import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.ego import DT_S, FULL_LOCK_RAD, WHEELBASE_M


class Control(enum.Enum):
    """What a key can do to the car."""

    LEFT = "left"
    RIGHT = "right"
    THROTTLE = "throttle"
    BRAKE = "brake"


@dataclass(frozen=True, slots=True)
class HumanConfig:
    """How keys move the wheel and the pedals. Rates are shares of the full range per second."""

    steer_per_s: float = 1.5
    """Towards the side whose key is down, as a share of the lock that the speed allows."""

    centre_per_s: float = 4.0
    """Back to straight, keys released: almost three times as quick as away: corrections feel light."""

    throttle_per_s: float = 2.5
    brake_per_s: float = 4.0
    release_per_s: float = 6.0
    lateral_mps2: float = 5.0
    """Full lock at speed would throw the car off the road: a key asks for at most this."""


class HumanPolicy:
    """Policy that follows a keyboard. A tap shorter than one tick still counts for one tick."""

    def __init__(self, config: HumanConfig | None = None, dt_s: float = DT_S) -> None:
        self._config = config or HumanConfig()
        self._dt_s = dt_s
        self._lock = threading.Lock()
        self._held: set[Control] = set()
        self._tapped: set[Control] = set()
        self._steer_share = 0.0
        self._accelerate = 0.0
        self._axes: tuple[float, float] | None = None

    def hold(self, steer: float, pedal: float) -> None:
        """Axes of a gamepad or a wheel, both in [-1, 1]: they hold until they move, or a key is pressed."""
        with self._lock:
            self._axes = (min(1.0, max(-1.0, steer)), min(1.0, max(-1.0, pedal)))

    def leave_axes(self) -> None:
        """Keys drive again."""
        with self._lock:
            self._axes = None

    def press(self, control: Control) -> None:
        """A key went down."""
        with self._lock:
            self._held.add(control)
            self._tapped.add(control)
            self._axes = None

    def release(self, control: Control) -> None:
        """A key went up."""
        with self._lock:
            self._held.discard(control)

    def release_all(self) -> None:
        """Forget all keys, as when the window loses the focus and misses their going up."""
        with self._lock:
            self._held.clear()
            self._tapped.clear()
            self._axes = None

    def reset(self, seed: int | None = None) -> None:
        """Centre the wheel and lift the pedals; keys that are still down stay down."""
        self._steer_share = self._accelerate = 0.0

    @property
    def asked(self) -> tuple[float, float]:
        """Where the person wants wheel (left positive) and pedals just now, each in [-1, 1]: keys ask for all
        or nothing, which a tick at a time brings about."""
        with self._lock:
            down, axes = self._held | self._tapped, self._axes
        if axes is not None:
            return axes
        pedal = -1.0 if Control.BRAKE in down else float(Control.THROTTLE in down)
        return float((Control.LEFT in down) - (Control.RIGHT in down)), pedal

    @property
    def wheel_and_pedal(self) -> tuple[float, float]:
        """Where the wheel (share of the lock that the speed allows) and the pedals are; may be set."""
        return self._steer_share, self._accelerate

    @wheel_and_pedal.setter
    def wheel_and_pedal(self, value: tuple[float, float]) -> None:
        self._steer_share, self._accelerate = value

    def act(self, observation: Any, info: Mapping[str, Any]) -> NDArray[np.float32]:
        """`[steer, accelerate]` after one more tick of the keys; reads only `info["speed_mps"]`."""
        with self._lock:
            down, axes = self._held | self._tapped, self._axes
            self._tapped.clear()
        allowed = self._allowed_steer(float(info.get("speed_mps", 0.0)))
        if axes is not None:  # an axis is smooth by itself
            self._steer_share, self._accelerate = axes
            return np.array([axes[0] * allowed, axes[1]], np.float32)
        config = self._config
        side = (Control.LEFT in down) - (Control.RIGHT in down)
        away = side * self._steer_share >= 0.0 and side != 0
        rate = config.steer_per_s if away else config.centre_per_s
        self._steer_share = _approach(self._steer_share, float(side), rate * self._dt_s)
        if Control.BRAKE in down:
            pedal, rate = -1.0, config.brake_per_s
        elif Control.THROTTLE in down:
            pedal, rate = 1.0, config.throttle_per_s
        else:
            pedal, rate = 0.0, config.release_per_s
        if pedal * self._accelerate < 0.0:
            self._accelerate = 0.0  # from one pedal to the other the foot lifts at once
        self._accelerate = _approach(self._accelerate, pedal, rate * self._dt_s)
        return np.array([self._steer_share * allowed, self._accelerate], np.float32)

    def _allowed_steer(self, speed_mps: float) -> float:
        """Share of full lock that keeps lateral acceleration within `lateral_mps2`."""
        if not math.isfinite(speed_mps) or speed_mps < 1.0:
            return 1.0
        wheel_rad = math.atan(self._config.lateral_mps2 * WHEELBASE_M / speed_mps**2)
        return min(1.0, wheel_rad / FULL_LOCK_RAD)


def _approach(value: float, target: float, step: float) -> float:
    return min(target, value + step) if value < target else max(target, value - step)
