"""Draw tokens from logits with explicit noise, so that a seed replays a rollout on any backend.

Shapes: B batch, L tokens, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

NEVER = -40.0
"""Log odds of what is never drawn. Much smaller ones are denormal numbers, which take ten times as long."""


@dataclass(frozen=True, slots=True)
class SamplingConfig:
    """Temperatures run from the coarsest to the finest scale (the last one is repeated).

    Chance belongs to what is new in the picture, and little is new to a slow car. A world drawn anew with
    full chance every step flickers while the car stands, and flicker looks like driving: hence `calm`.

    Raises:
        ValueError: nothing could be drawn with these numbers.
    """

    temperatures: tuple[float, ...] = (1.0, 0.95, 0.9, 0.8)
    min_p: float = 0.05  # codes less likely than this share of the likeliest are never drawn
    calm_below_mps: float = 6.0  # slower than this, temperatures fall with the speed ...
    calm_least: float = 0.15  # ... to this share of theirs at a standstill

    def __post_init__(self) -> None:
        if not self.temperatures or min(self.temperatures) <= 0:
            raise ValueError(f"temperatures={self.temperatures}; accepted: one or more, above 0")
        if not 0 <= self.min_p <= 1:
            raise ValueError(f"min_p={self.min_p}; accepted: 0 to 1")
        if not self.calm_below_mps > 0 or not 0 < self.calm_least <= 1:
            raise ValueError(
                f"calm_below_mps={self.calm_below_mps}, calm_least={self.calm_least}; accepted: above"
                " 0, and above 0 to 1"
            )

    def temperature(self, scale: int) -> float:
        """Temperature of scale k."""
        return self.temperatures[min(scale, len(self.temperatures) - 1)]

    def calm(self, speed_mps_B: Tensor) -> Tensor:
        """By what share the temperatures count at these speeds, (B,)."""
        return (speed_mps_B / self.calm_below_mps).clamp(self.calm_least, 1.0)


def sample(
    logits_BLV: Tensor, noise_BL: Tensor, temperature: float | Tensor, min_p: float
) -> tuple[Tensor, Tensor]:
    """Tokens (B, L), int64, and the entropy of the untempered distribution (B, L) in nats.

    See `cumulative_odds` and `pick`. Never a plain argmax: that copies the previous frame.
    """
    logits_BLV = logits_BLV.float()
    log_p = torch.log_softmax(logits_BLV, -1)
    return pick(cumulative_odds(log_p, temperature, min_p), noise_BL), entropy(log_p)


def entropy(log_p_BLV: Tensor) -> Tensor:
    """Of each distribution, given its logarithms: (B, L), in nats."""
    return -(log_p_BLV.exp() * log_p_BLV).sum(-1)


def cumulative_odds(logits_BLV: Tensor, temperature: float | Tensor, min_p: float) -> Tensor:
    """Running sum over the codes of their odds, relative to the likeliest: (B, L, V).

    Only codes at least `min_p` times as likely as the likeliest have any (min-p sampling, Nguyen et al.
    2024): an unsure model chooses among many, a sure one among few, and nothing needs sorting. The
    temperature is a number, or (B, 1, 1) with one for each picture.
    """
    behind = (logits_BLV - logits_BLV.amax(-1, keepdim=True)) / temperature
    odds = behind.clamp_min(NEVER).exp()
    return (odds * (odds >= min_p)).cumsum(-1)


def pick(cumulative_BLV: Tensor, noise_BL: Tensor) -> Tensor:
    """Where the running sum passes the share `noise_BL`, in [0, 1), of its total: tokens (B, L)."""
    total_BL1 = cumulative_BLV[..., -1:]
    aim_BL1 = noise_BL.unsqueeze(-1) * total_BL1
    # however the product rounds: never past the last code that was kept
    return torch.minimum((cumulative_BLV <= aim_BL1).sum(-1), (cumulative_BLV < total_BL1).sum(-1))
