"""What the network knows about a frame besides its pixels: ego state and the events that end an episode.

Speed and yaw rate follow from the actions and from what they were: `Kinematics` sees nothing else. A
reader of the picture would believe one that turned too little, feed that back, and the turn would be lost.
All other heads see the NEW frame's latent map, the one before it, and the conditioning of the step. Labels
a data source lacks are NaN and cost nothing.

Shapes: B batch, C channels, h w latent map, S states (`STATE_HEADS`), P of them places, E events
(`EVENT_HEADS`), M remembered actions, A=2 action.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from world_model.engine.base import EVENT_HEADS, STATE_HEADS
from world_model.layers import Conditioning

# Typical size of each state, so that all are learned at one pace.
STATE_SCALES = (10.0, 0.3, 1.0, 0.1, 0.01, 20.0)

PLACE_LIMITS = ((-30.0, 30.0), (-3.2, 3.2), (-0.1, 0.1), (0.0, 80.0))
"""What labels of lane offset, heading, curvature and distance ahead can be. A picture that has come apart
reads as anything: a vehicle a mile behind, say."""


MOTIONS = 2
"""The first two states, speed and yaw rate: what the car does, not where it is."""
PLACES = slice(MOTIONS, None)
EGO_SCALES = (20.0, 0.5)
"""Typical size of speed and yaw rate as inputs."""


class Kinematics(nn.Module):
    """What wheel and pedals do to speed and yaw rate within one step.

    A kinematic bicycle whose numbers are learned: the newest steer asks for a curvature, the wheels turn
    towards it at a limited rate, the tyres allow so much lateral acceleration. A small network adds the
    pedals' work and what the bicycle leaves out. A network alone learns the usual gentle turns and keeps half
    of the sharp ones.
    """

    def __init__(self, actions: int, width: int = 128) -> None:
        super().__init__()
        self.condition = Conditioning(2 * actions + MOTIONS, width)
        self.rest = nn.Linear(width, MOTIONS)
        self.log_scale = nn.Linear(width, MOTIONS)
        nn.init.zeros_(self.rest.weight)
        nn.init.zeros_(self.rest.bias)
        # a car of usual size; logarithms keep them positive
        self.log_lock_1pm = nn.Parameter(torch.tensor(-1.5))  # curvature at full lock
        self.bend = nn.Parameter(torch.tensor(0.0))  # tan grows faster than its angle
        self.log_turn_1pm = nn.Parameter(torch.tensor(-2.5))  # change of curvature in one step
        self.log_grip_mps2 = nn.Parameter(torch.tensor(2.0))

    def forward(self, actions_BMA: Tensor, ego_BE: Tensor) -> tuple[Tensor, Tensor]:
        """Speed and yaw rate after the newest action (B, 2), and log of the relative Laplace scale; of the
        ego state only these two count."""
        ego_BE = ego_BE[:, :MOTIONS]
        # a tenth of a second changes speed by centimetres a second: too little for bfloat16
        with torch.autocast(ego_BE.device.type, enabled=False):
            small = ego_BE / torch.tensor(EGO_SCALES, device=ego_BE.device)
            x = F.silu(self.condition(torch.cat([actions_BMA.flatten(1), small], 1)))
            scale = torch.tensor(STATE_SCALES[:MOTIONS], device=ego_BE.device)
            faster, turned = (self.rest(x) * scale).unbind(1)
            speed, yaw_rate = ego_BE.unbind(1)
            after = (speed + faster).clamp_min(0.0)  # no reverse gear
            mean = (speed + after) / 2
            steer = actions_BMA[:, -1, 0]
            wanted = self.log_lock_1pm.exp() * (steer + self.bend * steer**3)
            curvature = yaw_rate / speed.clamp_min(1.0)
            turn = self.log_turn_1pm.exp()
            curvature = curvature + limited(wanted - curvature, turn)
            yaw_rate = limited(mean * curvature, self.log_grip_mps2.exp() / mean.clamp_min(1.0))
            # whatever else turns a car, none turns that doesn't roll
            yaw_rate = yaw_rate + turned * mean / (mean + 1)
            return torch.stack([after, yaw_rate], 1), self.log_scale(x).clamp(-6, 3)


def limited(value: Tensor, size: Tensor) -> Tensor:
    """The value, of at most this size either way; both get a gradient."""
    return torch.maximum(torch.minimum(value, size), -size)


class StateReader(nn.Module):
    """Small convolutional reader: two latent maps and the conditioning -> states and events."""

    scale_S: Tensor
    least_P: Tensor
    most_P: Tensor

    def __init__(self, channels: int, width: int, map_size: tuple[int, int], actions: int) -> None:
        super().__init__()
        places = len(STATE_HEADS) - MOTIONS
        self.kinematics = Kinematics(actions)
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
        self.mean = nn.Linear(256, places)
        self.log_scale = nn.Linear(256, places)
        self.event = nn.Linear(256, len(EVENT_HEADS))
        self.register_buffer("scale_S", torch.tensor(STATE_SCALES))
        least, most = zip(*PLACE_LIMITS, strict=True)
        self.register_buffer("least_P", torch.tensor(least), persistent=False)
        self.register_buffer("most_P", torch.tensor(most), persistent=False)

    def forward(
        self,
        new_BChw: Tensor,
        old_BChw: Tensor,
        condition_BD: Tensor,
        actions_BMA: Tensor,
        ego_BE: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Returns states (B, S) in their units, log of the relative Laplace scale (B, S), event
        logits (B, E)."""
        x = self.convs(torch.cat([new_BChw, new_BChw - old_BChw], 1)).flatten(1)
        x = F.silu(self.mix(torch.cat([x, condition_BD], 1)))
        motion, motion_log_scale = self.kinematics(actions_BMA, ego_BE)
        state = torch.cat([motion, self.possible(self.mean(x).float() * self.scale_S[MOTIONS:])], 1)
        log_scale = torch.cat([motion_log_scale, self.log_scale(x).float().clamp(-6, 3)], 1)
        return state, log_scale, self.event(x)

    def possible(self, place_BP: Tensor) -> Tensor:
        """The nearest place that there can be. Training goes on to learn from those that can't."""
        bounded = torch.minimum(torch.maximum(place_BP, self.least_P), self.most_P)
        return place_BP + (bounded - place_BP).detach() if self.training else bounded

    def unsure(self, log_scale_BS: Tensor) -> Tensor:
        """How much the states err by their own account: Laplace scales in their units."""
        return log_scale_BS.exp() * self.scale_S


def state_losses(
    state_BS: Tensor, log_scale_BS: Tensor, true_BS: Tensor, states: slice = slice(None)
) -> Tensor:
    """Laplace negative log-likelihood of some of the states, those that `states` picks.

    NaN labels are left out; a batch without any label gives zero.
    """
    scale = torch.tensor(STATE_SCALES[states])
    true_BS = true_BS[:, states]
    known = ~torch.isnan(true_BS)
    error = (state_BS[:, states] - true_BS.nan_to_num()).abs() / scale
    nll = error * (-log_scale_BS[:, states]).exp() + log_scale_BS[:, states]
    return (nll * known).sum() / known.sum().clamp_min(1)


def head_losses(
    state_BS: Tensor,
    log_scale_BS: Tensor,
    event_BE: Tensor,
    state_true: Tensor,
    event_true: Tensor,
    event_weight_B: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """`state_losses` of the places, which the picture tells, and cross-entropy of the events.

    NaN labels are left out; a batch without any label gives zero. Weights of the events are of samples that
    were drawn more often than they are.
    """
    state_loss = state_losses(state_BS, log_scale_BS, state_true, PLACES)
    known = ~torch.isnan(event_true)
    bce = F.binary_cross_entropy_with_logits(event_BE, event_true.nan_to_num(), reduction="none")
    if event_weight_B is not None:
        bce = bce * event_weight_B[:, None]
    return state_loss, (bce * known).sum() / known.sum().clamp_min(1)
