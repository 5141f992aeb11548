"""Where on the road the car is, carried along from step to step.

A picture of a road whose car points a little beside it looks like one whose car doesn't: the difference is a
few pixels, and each frame that is drawn loses some of it. So dreams heal: the car comes back to its lane
whatever the driver does. The motion doesn't forget. What it makes of the last place is what the next frame
is told to show; what can be read in that frame corrects it slowly.

Shapes: B batch, D width, E=5 ego inputs (speed_mps, yaw_rate_radps, then the place), place (B, 3): lane
offset (m) and heading error (rad), both left positive, curvature of the lane (1/m, left positive): the states
of `STATE_HEADS` in their order.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from world_model.engine.base import STATE_HEADS
from world_model.heads import MOTIONS
from world_model.layers import Conditioning

PLACES = slice(MOTIONS, MOTIONS + 3)
PLACE_STATES = STATE_HEADS[PLACES]
PLACE_SCALES = (3.0, 0.3, 0.03)
"""What few drives exceed."""

BELIEF = (0.05, 0.05, 0.5)
"""How much of what a frame shows, against what was expected of it, is believed at each step."""
ELSEWHERE_M = 1.0
"""A frame that shows a place so far from the expected one shows another lane, and is believed at once."""


class Road(nn.Module):
    """Tells the place that is expected of the next frame. Begins as if it weren't there.

    Args:
        width: D.
        dt_s: of a step.
    """

    def __init__(self, width: int, dt_s: float) -> None:
        super().__init__()
        self.dt_s = dt_s
        self.condition = Conditioning(len(PLACE_STATES), width)
        last = self.condition.mlp[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, ego_BE: Tensor, motion_B2: Tensor) -> Tensor:
        """What is added to the conditioning, (B, D)."""
        scale = torch.tensor(PLACE_SCALES, device=ego_BE.device)
        out: Tensor = self.condition(self.expected(ego_BE, motion_B2) / scale)
        return out

    def expected(self, ego_BE: Tensor, motion_B2: Tensor) -> Tensor:
        """The place after a step that ends with this speed and yaw rate: the lane goes on as it bent."""
        speed, _, offset, heading, curvature = ego_BE.unbind(1)
        after, yaw_rate = motion_B2.unbind(1)
        way = self.dt_s * (speed + after) / 2
        turned = heading + self.dt_s * yaw_rate - way * curvature
        offset = offset + way * ((heading + turned) / 2).sin()
        return torch.stack([offset, turned, curvature], 1)

    def corrected(self, expected_B3: Tensor, read_B3: Tensor) -> Tensor:
        """The place to go on with, after a frame in which this one was read."""
        belief = torch.tensor(BELIEF, device=read_B3.device)
        near = torch.lerp(expected_B3, read_B3, belief)
        elsewhere_B = (read_B3[:, :1] - expected_B3[:, :1]).abs() > ELSEWHERE_M
        return torch.where(elsewhere_B, read_B3, near)
