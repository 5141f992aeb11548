"""Numbers that are given to an engine, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from world_model.engine.base import STATE_HEADS, Array
from world_model.heads import MOTIONS


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


def checked_slots(slots: Sequence[int] | None, count: int) -> list[int]:
    """Numbers of dreams, all of them for None; else a ValueError."""
    rows = list(range(count)) if slots is None else [int(slot) for slot in slots]
    if len(set(rows)) < len(rows) or not set(rows) <= set(range(count)):
        raise ValueError(f"slots={rows}; accepted: each at most once, 0 to {count - 1}")
    return rows


def checked_context(
    frames: Array, actions: Array, ego: Array, count: int, frame_shape: tuple[int, int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]:
    """The frames, actions and ego states that `count` dreams begin with; else a ValueError."""
    pictures: NDArray[np.uint8] = np.asarray(frames)
    if pictures.ndim != 5 or pictures.shape[0] != count or pictures.shape[2:] != frame_shape:
        raise ValueError(
            f"context frames have shape {pictures.shape}; accepted: ({count}, T,"
            f" {', '.join(map(str, frame_shape))}) with T >= 1"
        )
    if pictures.dtype != np.uint8 or pictures.shape[1] < 1:
        raise ValueError(f"context frames must be uint8, at least one; got {pictures.dtype}")
    taken, moving = np.asarray(actions, np.float32), np.asarray(ego, np.float32)
    steps = (count, pictures.shape[1])
    sizes = (MOTIONS, len(STATE_HEADS))
    if taken.shape != (*steps, 2) or moving.shape not in [(*steps, size) for size in sizes]:
        raise ValueError(
            f"context actions {taken.shape} and ego {moving.shape} must have shapes {(*steps, 2)} and"
            f" {(*steps, MOTIONS)}, or {(*steps, len(STATE_HEADS))} with all of {', '.join(STATE_HEADS)}"
        )
    return pictures, taken, moving


def checked_state(given: Mapping[str, Array], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """A ValueError for a state that isn't made of these arrays."""
    if set(given) != set(shapes):
        raise ValueError(f"engine state has {sorted(given)}; accepted: {sorted(shapes)}")
    for name, shape in shapes.items():
        if given[name].shape != shape:
            raise ValueError(
                f"engine state {name} has shape {given[name].shape}; this engine's is {shape}"
            )
        within(f"engine state {name}", given[name], -np.inf, np.inf)
