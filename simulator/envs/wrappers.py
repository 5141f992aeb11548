"""Wrappers for both environments."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

from simulator.envs.spaces import Action, checked_action


class ClipAction(gymnasium.ActionWrapper[Any, Any, Any]):
    """Bring actions back into [-1, 1], for policies whose output is unbounded.

    NaN, infinity and wrong shapes stay errors: they are never meant.
    """

    def action(self, action: Any) -> Action:
        """The nearest accepted action."""
        array = np.array(action, dtype=np.float32)
        if not np.isfinite(array).all():
            return checked_action(array)  # raises, saying what came in
        return checked_action(np.clip(array, -1.0, 1.0))
