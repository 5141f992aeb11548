"""What the place alone says of events: whether a car that is there has left the road, or hit something.

A picture that fell behind the motion shows a road under a car that left it long ago. The place knows.

Shapes: B batch, E events (`EVENT_HEADS`).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from world_model.engine.base import EVENT_HEADS

INPUT_SCALES = (2.0, 0.2, 0.02, 10.0, 10.0)
"""Typical lane offset (m), heading error (rad), curvature (1/m), distance ahead (m), speed (m/s)."""
FARTHEST = 3.0
WIDTH = 32


class Outcome(nn.Module):
    """Logits of the events by the place; of the vehicle ahead as well, if that is carried along."""

    def __init__(self) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(len(INPUT_SCALES), WIDTH),
            nn.SiLU(),
            nn.Linear(WIDTH, WIDTH),
            nn.SiLU(),
            nn.Linear(WIDTH, len(EVENT_HEADS)),
        )
        last = self.mlp[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        nn.init.constant_(last.bias, -5.0)  # events are few

    def forward(self, place_B3: Tensor, distance_m_B: Tensor, speed_mps_B: Tensor) -> Tensor:
        """(B, E)."""
        known = torch.cat([place_B3, distance_m_B[:, None], speed_mps_B[:, None]], 1)
        scale = torch.tensor(INPUT_SCALES, device=known.device)
        out: Tensor = self.mlp((known / scale).clamp(-FARTHEST, FARTHEST))
        return out
