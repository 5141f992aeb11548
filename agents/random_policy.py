"""The driver without a plan: the lower end of every scale."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Random:
    """Draws every action anew, uniformly from the whole action space."""

    uses_camera = False

    def __init__(self) -> None:
        self._rng = np.random.default_rng()

    def reset(self, seed: int | None = None) -> None:
        """Equal seeds give equal actions."""
        self._rng = np.random.default_rng(seed)

    def act(self, observation: Any, info: Mapping[str, Any]) -> NDArray[np.float32]:
        """A fresh uniform action."""
        return self._rng.uniform(-1.0, 1.0, 2).astype(np.float32)
