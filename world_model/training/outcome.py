"""Events by the place alone (`families.outcome`): fitted to all rows at once, before a training begins.

Events are few: one row in seventy. Beside the pictures, with their rate and their clipped gradient, what is
to learn of them hears of one now and then, and believes that there are none.

Shapes: N rows.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from world_model.engine.base import EVENT_HEADS, STATE_HEADS
from world_model.families.outcome import Outcome
from world_model.training.data import Drives

STEPS = 400
RATE = 0.1
OFFSET_NOISE_M = 0.3
"""What is carried along isn't exact."""
UNSEEN_STEPS = 10
"""For so long a car may be in the next lane before its picture shows it."""
OTHER_LANE_M = 2.0
"""No car moves aside by so much in a step: its offset is told from another lane."""


@torch.enable_grad()
def fit_outcome(outcome: Outcome, drives: Drives, seed: int) -> None:
    """Fit the road's edges to where recorded cars left it; nothing happens where drives don't tell.

    A car that crashed stands, wherever it does: its rows teach nothing.
    """
    generator = torch.Generator().manual_seed(seed)
    rows = drives.window_ends(UNSEEN_STEPS, 0)
    rows = rows[~drives.crashed(rows - 1)]
    offset_m_N = torch.from_numpy(offset_of_lane_before(drives, rows))
    offroad_N = torch.from_numpy(drives.event_NE[rows, EVENT_HEADS.index("offroad")])
    told = ~(offset_m_N.isnan() | offroad_N.isnan())
    offset_m_N, offroad_N = offset_m_N[told], offroad_N[told]
    if not len(offset_m_N):
        return
    optimizer = torch.optim.Adam(outcome.requires_grad_(True).parameters(), RATE)
    fall = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.01, STEPS)
    for _ in range(STEPS):
        noise_N = OFFSET_NOISE_M * torch.randn(len(offset_m_N), generator=generator)
        logits = outcome.offroad(offset_m_N + noise_N)
        loss = F.binary_cross_entropy_with_logits(logits, offroad_N)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        fall.step()
    outcome.requires_grad_(False)


def offset_of_lane_before(drives: Drives, rows_N: NDArray[np.int64]) -> NDArray[np.float32]:
    """Lane offsets (N,) from the lanes in which the cars were `UNSEEN_STEPS` earlier."""
    offset = drives.state_NS[:, STATE_HEADS.index("lane_offset_m")]
    moved = np.diff(offset, prepend=offset[:1])
    steady = np.where(np.abs(moved) <= OTHER_LANE_M, moved, 0.0)
    # the car moved aside in the step of a jump as well, as it did in the one before
    jumps = np.where(np.abs(moved) > OTHER_LANE_M, moved - np.roll(steady, 1), 0.0).cumsum()
    since: NDArray[np.float32] = (jumps[rows_N] - jumps[rows_N - UNSEEN_STEPS]).astype(np.float32)
    return offset[rows_N] - since
