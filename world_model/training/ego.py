"""The ego state as the labels of drives have it: what a world model is told, see `families.world`.

Shapes: N rows, E ego inputs.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from world_model.families.car import LEAD_STATE, LEADS
from world_model.families.lead import FASTEST_MPS, NONE_M
from world_model.families.world import World
from world_model.training.data import Drives

LEAP_M = 3.0
"""Who is so much nearer or farther than a step before is another."""


def ego_labels(world: World, drives: Drives, rows_N: NDArray[np.int64]) -> Tensor:
    """The ego state at the rows (N, E), 0 where unknown; no row may be a drive's first."""
    state_NS = drives.state_NS[rows_N]
    ego = state_NS[:, : min(world.ego_size, LEADS.start)]
    if world.lead is not None:
        distance, speed = state_NS[:, LEAD_STATE], state_NS[:, 0]
        gone = distance - drives.state_NS[rows_N - 1, LEAD_STATE]
        same = (np.abs(gone) < LEAP_M) & (distance < NONE_M)
        lead = speed + np.where(same, gone, 0.0) / world.lead.camera.dt_s
        ego = np.column_stack([ego, distance, lead.clip(0.0, FASTEST_MPS)])
    return torch.from_numpy(np.nan_to_num(ego.astype(np.float32)))


def labelled(world: World, state_BS: Tensor) -> Tensor:
    """Which ego inputs have labels there: (B, E)."""
    known = ~state_BS.isnan()
    ego = known[:, : min(world.ego_size, LEADS.start)]
    if world.lead is None:
        return ego
    return torch.cat([ego, known[:, LEAD_STATE, None].expand(-1, 2)], 1)
