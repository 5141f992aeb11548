"""What one training step of a world model works on.

Shapes as in `world_model.families.world`; R dreams.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from world_model.training.latents import EncodedDrives


@dataclass(frozen=True, slots=True)
class Batch:
    """One training batch: what is known at t, and frame t+1."""

    past_BPChw: Tensor
    ahead_BChw: Tensor  # what the car's motion makes of it
    actions_BMA: Tensor
    ego_BE: Tensor  # as the dream knows it: not exactly
    true_ego_BE: Tensor
    next_BChw: Tensor  # continuous latents of frame t+1
    state_BS: Tensor  # labels of frame t+1
    event_BE: Tensor
    event_weight_B: Tensor  # how often such a frame is, over how often it is drawn
    thing_BL: Tensor  # weights at the finest scale


@dataclass(frozen=True, slots=True)
class Contexts:
    """What is known at rows of some drives."""

    data: EncodedDrives
    rows: NDArray[np.int64]
    past_BPChw: Tensor
    actions_BMA: Tensor
    ego_BE: Tensor
    stands_B: NDArray[np.bool_] | None = None  # who has stopped: the next frame is the same

    @property
    def next_rows(self) -> NDArray[np.int64]:
        """Where the frame that follows is."""
        return self.rows + (1 if self.stands_B is None else ~self.stands_B)


@dataclass(frozen=True, slots=True)
class Dreams:
    """Dreams that go on from one training step to the next: R of them.

    One frame a step keeps them cheap, however deep they get. They begin anew at every multiple of
    `rollout_steps`, and the loop checkpoints only there: a resumed run meets the same dreams.
    """

    step: int  # the training step that they are for
    contexts: Contexts  # at the true frames that they have reached
