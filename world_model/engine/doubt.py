"""One number for how wrong a dreamed frame may be.

A dream has several ways of telling that it has lost its way, none of which sees all: how unsure the heads are
of what they read in its picture, how far that is from where the car is, how unsure its tokens were. Each is a
logarithm or an entropy, measured in its own spread over dreams of recorded drives (`training.usual`); doubt
is their mean: 0 in a usual frame, 1 where all of them lie a standard deviation above it. Nothing is fitted to
errors, so there is nothing that it could have learned by heart.

Shapes: B dreams, Q signals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
SIGNALS = ("log offset unsure", "log heading unsure", "log picture gap", "surprise")
LEAST_GAP_M, LEAST_UNSURE = 0.01, 1e-6
"""Below them there is no difference worth a logarithm."""


def signals_of(unsure: Mapping[str, Floats], picture_gap_m_B: Floats, surprise_B: Floats) -> Floats:
    """(B, Q), see `SIGNALS`; NaN where a model can't tell.

    Args:
        unsure: Laplace scales of what the heads read, by state.
        picture_gap_m_B: see `StepOutput.picture_gap_m`.
        surprise_B: in nats.
    """
    offset, heading = (
        np.log(np.maximum(unsure[name], LEAST_UNSURE))
        for name in ("lane_offset_m", "heading_error_rad")
    )
    gap = np.log(np.maximum(picture_gap_m_B, LEAST_GAP_M))
    untold = np.isnan(picture_gap_m_B)  # heads that never saw a label
    offset, heading = (np.where(untold, np.nan, values) for values in (offset, heading))
    return np.stack([offset, heading, gap, surprise_B], 1).astype(np.float32)


def doubt_of(signals_BQ: Floats, mean_Q: Sequence[float], std_Q: Sequence[float]) -> Floats:
    """(B,); NaN where it isn't known what is usual, or a model tells nothing."""
    if not len(mean_Q):
        return np.full(len(signals_BQ), np.nan, np.float32)
    z_BQ = (signals_BQ - np.asarray(mean_Q)) / np.asarray(std_Q)
    told_BQ = ~np.isnan(z_BQ)
    total_B, count_B = np.where(told_BQ, z_BQ, 0.0).sum(1), told_BQ.sum(1)
    found: Floats = np.where(count_B > 0, total_B / np.maximum(count_B, 1), np.nan).astype(
        np.float32
    )
    return found
