"""The ego state as the labels of drives have it: what a world model is told, see `families.world`.

Shapes: N rows, E ego inputs.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from world_model.engine.base import STATE_HEADS
from world_model.families.car import LEAD_STATE, LEADS
from world_model.families.world import World
from world_model.training.data import Drives
from world_model.training.latents import EncodedDrives


def ego_labels(
    world: World, drives: Drives, rows_N: NDArray[np.int64], shown_NChw: Tensor | None = None
) -> Tensor:
    """The ego state at the rows (N, E), 0 where unknown; no row may be a drive's first.

    Where on a course the drives don't know to be, as held-out ones alone don't, is read in what these frames
    show, as an engine reads it at a start.
    """
    state = torch.from_numpy(drives.state_NS[rows_N])
    ego = state[:, states_of(world)]
    if world.lead is not None:
        was, distance = torch.from_numpy(drives.state_NS[rows_N - 1]), state[:, LEAD_STATE]
        ego[:, LEADS.stop - 1] = world.lead.speed(distance, was[:, LEAD_STATE], state[:, 0])
    if world.course is not None:
        if drives.driven_m_N is not None:
            along = torch.from_numpy(drives.driven_m_N[rows_N] % world.course.length_m).float()
        else:
            assert shown_NChw is not None
            along = world.course.read(shown_NChw)
        ego = torch.cat([ego, along.unsqueeze(1)], 1)
    return ego.nan_to_num()


def labelled(world: World, state_BS: Tensor) -> Tensor:
    """Which ego inputs have labels there: (B, E)."""
    known = ~state_BS[:, states_of(world)].isnan()
    return known if world.course is None else F.pad(known, (0, 1), value=True)


def with_ways(
    sides: list[EncodedDrives], val: EncodedDrives, dt_s: float
) -> tuple[list[EncodedDrives], EncodedDrives]:
    """The same drives, which know how far each frame lies from the first: the set is one drive round a closed
    course, in its order, and its end is held out. An unknown speed stands still.

    Args:
        sides: the training part, as batches are drawn from it.
        val: the part that is held out.
        dt_s: between two frames.
    """
    speed = np.concatenate([data.drives.state_NS[:, 0] for data in (sides[0], val)])
    speed = np.nan_to_num(speed.astype(np.float64))
    way_N = np.concatenate([[0.0], np.cumsum(dt_s * (speed[1:] + speed[:-1]) / 2)])

    def part(data: EncodedDrives, rows: slice) -> EncodedDrives:
        return replace(data, drives=replace(data.drives, driven_m_N=way_N[rows]))

    border = len(sides[0].drives)
    return [part(data, slice(border)) for data in sides], part(val, slice(border, None))


def states_of(world: World) -> list[int]:
    """Which states the ego inputs are made of."""
    return [STATE_HEADS.index(name) for name in world.ego_states]
