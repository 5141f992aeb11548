"""What the place alone says of events: whether a car that is there has left the road, or hit something.

A picture that fell behind the motion shows a road under a car that left it long ago. The place knows.

Who has come up to the vehicle ahead has hit it: that needs no learning. Roads end so far to the right of a
lane and, as there may be other lanes, less surely and farther off to its left: two edges, learned from the
drives.

Shapes: B batch, E events (`EVENT_HEADS`: collision, offroad).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

EDGES_M = (-2.0, 5.0)
"""Lane offsets of the right and left edge before anything is learned."""
CONTACT_M, SHARP_PM = 0.25, 20.0
"""From where on a distance is none, as labels have it in the frame of a crash."""


class Outcome(nn.Module):
    """Logits of the events by the place. What is fitted (`training.outcome`) is fixed beside the pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.edge_m = nn.Parameter(torch.tensor(EDGES_M), requires_grad=False)
        self.log_sharp_pm = nn.Parameter(torch.ones(2), requires_grad=False)

    def forward(self, lane_offset_m_B: Tensor, distance_m_B: Tensor) -> Tensor:
        """(B, E)."""
        collision_B = SHARP_PM * (CONTACT_M - distance_m_B)
        return torch.stack([collision_B, self.offroad(lane_offset_m_B)], 1)

    def offroad(self, lane_offset_m_B: Tensor) -> Tensor:
        """Logits of having left the road (B,)."""
        beyond_B2 = lane_offset_m_B[:, None] - self.edge_m
        right_B, left_B = (self.log_sharp_pm.exp() * beyond_B2).unbind(1)
        return torch.maximum(-right_B, left_B)
