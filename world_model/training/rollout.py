"""Dreams that start from recorded drives: what training shows of itself and what evaluation judges.

Shapes: R rollouts, T steps, H W picture.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from world_model.engine.base import Engine
from world_model.training.data import Drives


def start_engine(engine: Engine, drives: Drives, rows: NDArray[np.int64]) -> None:
    """Reset the engine to the recorded frames that end at each row."""
    index = rows[:, None] + np.arange(1 - engine.context_frames, 1)
    frames = np.stack([drives.frames(i) for i in index])
    engine.reset(frames, np.nan_to_num(drives.action_NA[index]), drives.state_NS[index])


def rollout(
    engine: Engine, drives: Drives, rows: NDArray[np.int64], steps: int
) -> NDArray[np.uint8]:
    """Dream `steps` frames from each row under the recorded actions: (R, T, H, W, 3)."""
    start_engine(engine, drives, rows)
    generators = [np.random.default_rng([0, int(r)]) for r in rows]
    frames = []
    for t in range(steps):
        out = engine.step(np.nan_to_num(drives.action_NA[rows + t]), engine.draw_noise(generators))
        assert out.frame_BHWC is not None
        frames.append(out.frame_BHWC)
    return np.stack(frames, 1)
