"""The ego state as the labels of drives have it: what a world model is told, see `families.world`.

Shapes: N rows, E ego inputs.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from world_model.engine.base import STATE_HEADS
from world_model.families.car import LEAD_STATE, LEADS
from world_model.families.world import World
from world_model.training.data import Drives


def ego_labels(world: World, drives: Drives, rows_N: NDArray[np.int64]) -> Tensor:
    """The ego state at the rows (N, E), 0 where unknown; no row may be a drive's first."""
    state = torch.from_numpy(drives.state_NS[rows_N])
    ego = state[:, states_of(world)]
    if world.lead is not None:
        was, distance = torch.from_numpy(drives.state_NS[rows_N - 1]), state[:, LEAD_STATE]
        ego[:, LEADS.stop - 1] = world.lead.speed(distance, was[:, LEAD_STATE], state[:, 0])
    return ego.nan_to_num()


def labelled(world: World, state_BS: Tensor) -> Tensor:
    """Which ego inputs have labels there: (B, E)."""
    return ~state_BS[:, states_of(world)].isnan()


def states_of(world: World) -> list[int]:
    """Which states the ego inputs are made of."""
    return [STATE_HEADS.index(name) for name in world.ego_states]
