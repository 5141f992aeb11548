"""What the network knows about a frame besides its pixels: ego state and the events that end an episode.

The reader sees the NEW frame's latent map, the one before it, and the conditioning of the step. Labels a
data source lacks are NaN and cost nothing.

Shapes: B batch, C channels, h w latent map, S states (`STATE_HEADS`), E events (`EVENT_HEADS`).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from world_model.engine.base import EVENT_HEADS, STATE_HEADS

# Typical size of each state, so that all are learned at one pace.
STATE_SCALES = (10.0, 0.3, 1.0, 0.1, 0.01, 20.0)


class StateReader(nn.Module):
    """Small convolutional reader: two latent maps and the conditioning -> states and events."""

    scale_S: Tensor

    def __init__(self, channels: int, width: int, map_size: tuple[int, int]) -> None:
        super().__init__()
        h, w = map_size
        self.convs = nn.Sequential(
            nn.Conv2d(2 * channels, 64, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(64, 96, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.Conv2d(96, 96, 3, stride=2, padding=1),
            nn.SiLU(),
        )
        flat = 96 * (-(-h // 4)) * (-(-w // 4))
        self.mix = nn.Linear(flat + width, 256)
        self.mean = nn.Linear(256, len(STATE_HEADS))
        self.log_scale = nn.Linear(256, len(STATE_HEADS))
        self.event = nn.Linear(256, len(EVENT_HEADS))
        self.register_buffer("scale_S", torch.tensor(STATE_SCALES))

    def forward(
        self, new_BChw: Tensor, old_BChw: Tensor, condition_BD: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Returns states (B, S) in their units, log of the relative Laplace scale (B, S), event
        logits (B, E)."""
        x = self.convs(torch.cat([new_BChw, new_BChw - old_BChw], 1)).flatten(1)
        x = F.silu(self.mix(torch.cat([x, condition_BD], 1)))
        return self.mean(x) * self.scale_S, self.log_scale(x).clamp(-6, 3), self.event(x)


def head_losses(
    state_BS: Tensor, log_scale_BS: Tensor, event_BE: Tensor, state_true: Tensor, event_true: Tensor
) -> tuple[Tensor, Tensor]:
    """Laplace negative log-likelihood of the states and cross-entropy of the events.

    NaN labels are left out; a batch without any label gives zero.
    """
    scale = torch.tensor(STATE_SCALES)
    known = ~torch.isnan(state_true)
    error = (state_BS - state_true.nan_to_num()).abs() / scale
    nll = error * (-log_scale_BS).exp() + log_scale_BS
    state_loss = (nll * known).sum() / known.sum().clamp_min(1)
    known = ~torch.isnan(event_true)
    bce = F.binary_cross_entropy_with_logits(event_BE, event_true.nan_to_num(), reduction="none")
    return state_loss, (bce * known).sum() / known.sum().clamp_min(1)
