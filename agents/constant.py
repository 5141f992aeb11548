"""The driver who does the same thing for ever: a baseline that critical scenarios must defeat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Constant:
    """Holds one action.

    Args:
        steer, accelerate: in [-1, 1].
    """

    uses_camera = False

    def __init__(self, steer: float = 0.0, accelerate: float = 0.0) -> None:
        for name, value in (("steer", steer), ("accelerate", accelerate)):
            if not -1.0 <= value <= 1.0:
                raise ValueError(f"{name}={value}; accepted: a number in [-1, 1]")
        self._action = np.array([steer, accelerate], np.float32)

    def reset(self, seed: int | None = None) -> None:
        """Nothing to forget."""

    def act(self, observation: Any, info: Mapping[str, Any]) -> NDArray[np.float32]:
        """The action given at construction."""
        return self._action.copy()
