"""Who drives: the person, or a policy until the person touches the wheel."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.human import Control, HumanPolicy
from agents.policy import Policy

TAKES_OVER = 0.15
"""An axis that is moved so far takes the wheel from the autopilot."""

MOUSE_REST = 0.25
"""Half the height of the band in which the mouse asks for no pedal."""


NETWORKS = ("torch.nn.", "onnxruntime.", "openvino.")
"""Modules of classes whose instances hold weights, which nobody changes while driving."""


def remembered(driver: Policy) -> Policy:
    """A copy of a driver with its memory, but for networks, which stay. Who can't be copied stays the
    same as a whole: going back in time, he remembers what came after."""
    kept: list[Any] = []
    for value in vars(driver).values() if hasattr(driver, "__dict__") else ():
        kept += value.values() if isinstance(value, dict) else [value]
    memo = {id(value): value for value in kept if _is_network(value)}
    try:
        return copy.deepcopy(driver, memo)
    except Exception:  # whatever his parts raise: locks, files, sessions
        return driver


def _is_network(value: Any) -> bool:
    names = (f"{base.__module__}." for base in type(value).__mro__)
    return any(name.startswith(NETWORKS) for name in names)


class Wheel:
    """A policy that is a person or an autopilot, switched at any time.

    Args:
        autopilot: who drives when the person doesn't.
        manual: whether the person begins.
    """

    def __init__(self, autopilot: Policy, manual: bool) -> None:
        self.person, self.autopilot = HumanPolicy(), autopilot
        self.manual = manual
        self._axes: tuple[float, ...] = (0.0, 0.0)
        self._rested: tuple[float, ...] = (
            self._axes
        )  # where they were when keys or the autopilot began to drive
        self._by_axes = False

    def press(self, control: Control) -> None:
        """A key went down: whoever touches the wheel has it."""
        if not self.manual:
            self.person.reset()
            self.manual = True
        self._leave_axes()
        self.person.press(control)

    def hold(self, steer: float, pedal: float) -> None:
        """Axes of a gamepad: they drive once they are moved well away from where they were when keys or the
        autopilot began to; few sticks rest at zero, and a trigger that is let go asks for nothing."""
        self._axes = (steer, pedal)
        if not self._by_axes:
            # one that is let go from far out rests where it comes to
            pairs = list(zip(self._axes, self._rested, strict=True))
            self._rested = tuple(min(pair, key=abs) for pair in pairs)
            away = [now - rest for now, rest in zip(self._axes, self._rested, strict=True)]
            if max(map(abs, away)) < TAKES_OVER:
                return
            self.manual = self._by_axes = True
        self.person.hold(steer, pedal)

    def follow(self, across: float, up: float) -> bool:
        """The mouse steers: where it is, from the middle of the picture (-1 to 1, right and up positive).

        A band across the middle asks for neither pedal. Whether it asks for throttle.
        """
        pedal = max(0.0, abs(up) - MOUSE_REST) / (1.0 - MOUSE_REST)
        self.hold(-math.copysign(across**2, across), math.copysign(pedal, up))
        return pedal > 0.0 and up > 0.0

    def switch(self) -> None:
        """The other one drives."""
        self.person.reset()
        self._leave_axes()
        self.manual = not self.manual

    def let_go(self) -> None:
        """Keys and axes can't be seen any more."""
        self.person.release_all()
        self._by_axes, self._axes, self._rested = False, (0.0, 0.0), (0.0, 0.0)

    def _leave_axes(self) -> None:
        self._by_axes, self._rested = False, self._axes
        self.person.leave_axes()

    def reset(self, seed: int | None = None) -> None:
        """A new episode begins; who drives stays."""
        self.person.reset(seed)
        self.autopilot.reset(seed)

    def save_state(self) -> tuple[Policy, tuple[float, float]]:
        """What both drivers remember; which keys are down isn't part of it."""
        return remembered(self.autopilot), self.person.wheel_and_pedal

    def restore_state(self, state: tuple[Policy, tuple[float, float]]) -> None:
        """Go back to what they remembered: the same keys then drive the same way again."""
        self.autopilot = remembered(state[0])
        self.person.wheel_and_pedal = state[1]

    def act(self, observation: Any, info: Mapping[str, Any]) -> NDArray[np.float32]:
        """What the one at the wheel does."""
        driver: Policy = self.person if self.manual else self.autopilot
        return driver.act(observation, info)
