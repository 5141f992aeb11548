"""The ego state as the labels of drives have it: what a world model is told, see `families.world`.

Shapes: N rows, E ego inputs.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from world_model.families.car import LEAD_STATE, LEADS
from world_model.families.world import World
from world_model.training.data import Drives


def ego_labels(world: World, drives: Drives, rows_N: NDArray[np.int64]) -> Tensor:
    """The ego state at the rows (N, E), 0 where unknown; no row may be a drive's first."""
    state = torch.from_numpy(drives.state_NS[rows_N])
    ego = state[:, : min(world.ego_size, LEADS.start)]
    if world.lead is not None:
        was, distance = torch.from_numpy(drives.state_NS[rows_N - 1]), state[:, LEAD_STATE]
        lead = world.lead.speed(distance, was[:, LEAD_STATE], state[:, 0])
        ego = torch.cat([ego, distance[:, None], lead[:, None]], 1)
    return ego.nan_to_num()


def labelled(world: World, state_BS: Tensor) -> Tensor:
    """Which ego inputs have labels there: (B, E)."""
    known = ~state_BS.isnan()
    ego = known[:, : min(world.ego_size, LEADS.start)]
    if world.lead is None:
        return ego
    return torch.cat([ego, known[:, LEAD_STATE, None].expand(-1, 2)], 1)
