"""Windows of consecutive frames: where they may start without crossing into another drive."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def window_starts(
    episode_N: NDArray[np.integer], step_N: NDArray[np.integer], length: int
) -> NDArray[np.int64]:
    """Rows at which `length` consecutive frames of one drive begin.

    A window of `length` frames has `length - 1` actions that lead from frame to frame. The action
    of its last frame exists too, unless that is the last frame of the drive (then it is NaN).

    Args:
        episode_N, step_N: drive and number within it of each row.
        length: frames in a window, at least 1.
    """
    if length < 1:
        raise ValueError(f"length={length}; a window has at least one frame")
    if len(episode_N) < length:
        return np.zeros(0, np.int64)
    last = slice(length - 1, None)
    count = len(episode_N) - length + 1
    same = episode_N[:count] == episode_N[last]
    unbroken = step_N[last] - step_N[:count] == length - 1
    return np.flatnonzero(same & unbroken)
