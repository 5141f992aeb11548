"""Numbers that are given to an engine, checked."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from world_model.engine.base import Array


def within(name: str, array: Array, low: float, high: float) -> Array:
    """The array, whose numbers are finite and from `low` to `high`; else a ValueError."""
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds NaN or infinity; accepted: {low:g} to {high:g}")
    if array.size and not (low <= array.min() and array.max() <= high):
        raise ValueError(
            f"{name} reaches from {array.min():g} to {array.max():g}; accepted: {low:g} to {high:g}"
        )
    return array


def known_ego(ego_BE: NDArray[np.float32]) -> NDArray[np.float32]:
    """Speed and yaw rate, 0 where unknown (NaN), as in training."""
    if np.isinf(ego_BE).any():
        raise ValueError("ego holds infinity; accepted: numbers, or NaN where unknown")
    return np.nan_to_num(ego_BE)
