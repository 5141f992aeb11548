"""How a model's signals of doubt usually are: over some seconds of dreams from recorded drives.

Shapes: Q signals (`engine.doubt.SIGNALS`).
"""

from __future__ import annotations

import warnings

import numpy as np

from world_model.engine.base import Engine
from world_model.engine.doubt import signals_of
from world_model.training.data import Drives
from world_model.training.rollout import start_engine

BATCHES, STEPS = 4, 20
LEAST_SPREAD = 0.05
"""What never changes says nothing, however little it changes."""


def usual_signals(engine: Engine, drives: Drives) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation (Q,) of each signal; both empty where no drive is long enough."""
    ends = drives.window_ends(engine.context_frames - 1, STEPS)
    if not len(ends):
        return (), ()
    count = BATCHES * engine.batch_size
    rows = ends[np.linspace(0, len(ends) - 1, count).astype(np.int64)]
    seen = []
    for part in rows.reshape(BATCHES, engine.batch_size):
        start_engine(engine, drives, part)
        generators = [np.random.default_rng([1, int(row)]) for row in part]
        for t in range(STEPS):
            action = np.nan_to_num(drives.action_NA[part + t])
            out = engine.step(action, engine.draw_noise(generators))
            seen.append(signals_of(out.unsure, out.picture_gap_m, out.surprise_B))
    values = np.concatenate(seen).astype(np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", RuntimeWarning
        )  # what a model never tells is NaN throughout
        mean, std = np.nanmean(values, 0), np.nanstd(values, 0)
    mean, std = np.nan_to_num(mean), np.maximum(np.nan_to_num(std), LEAST_SPREAD)
    return tuple(mean.round(6).tolist()), tuple(std.round(6).tolist())
