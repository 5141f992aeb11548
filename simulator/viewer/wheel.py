"""Who drives: the person, or a policy until the person touches the wheel."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.human import Control, HumanPolicy
from agents.policy import Policy

TAKES_OVER = 0.15
"""An axis that is moved so far takes the wheel from the autopilot."""


class Wheel:
    """A policy that is a person or an autopilot, switched at any time.

    Args:
        autopilot: who drives when the person doesn't.
        manual: whether the person begins.
    """

    def __init__(self, autopilot: Policy, manual: bool) -> None:
        self.person, self.autopilot = HumanPolicy(), autopilot
        self.manual = manual

    def press(self, control: Control) -> None:
        """A key went down: whoever touches the wheel has it."""
        if not self.manual:
            self.person.reset()
            self.manual = True
        self.person.press(control)

    def hold(self, steer: float, pedal: float) -> None:
        """Axes of a gamepad; small ones don't take over, since few sticks rest at zero."""
        if not self.manual and max(abs(steer), abs(pedal)) < TAKES_OVER:
            return
        self.manual = True
        self.person.hold(steer, pedal)

    def switch(self) -> None:
        """The other one drives."""
        self.person.reset()
        self.manual = not self.manual

    def reset(self, seed: int | None = None) -> None:
        """A new episode begins; who drives stays."""
        self.person.reset(seed)
        self.autopilot.reset(seed)

    def save_state(self) -> tuple[Policy, tuple[float, float]]:
        """What both drivers remember; which keys are down isn't part of it."""
        return copy.deepcopy(self.autopilot), self.person.wheel_and_pedal

    def restore_state(self, state: tuple[Policy, tuple[float, float]]) -> None:
        """Go back to what they remembered: the same keys then drive the same way again."""
        self.autopilot = copy.deepcopy(state[0])
        self.person.wheel_and_pedal = state[1]

    def act(self, observation: Any, info: Mapping[str, Any]) -> NDArray[np.float32]:
        """What the one at the wheel does."""
        driver: Policy = self.person if self.manual else self.autopilot
        return driver.act(observation, info)
