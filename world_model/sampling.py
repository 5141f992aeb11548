"""Draw tokens from logits with explicit noise, so that a seed replays a rollout on any backend.

Shapes: B batch, L tokens, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class SamplingConfig:
    """Temperatures run from the coarsest to the finest scale (the last one is repeated).

    Chance belongs to what is new in the picture, and little is new to a slow car. A world drawn anew with
    full chance every step flickers while the car stands, and flicker looks like driving: hence `calm`.

    Raises:
        ValueError: nothing could be drawn with these numbers.
    """

    temperatures: tuple[float, ...] = (1.0, 0.95, 0.9, 0.8)
    top_k: int = 128
    top_p: float = 0.95
    calm_below_mps: float = 6.0  # slower than this, temperatures fall with the speed ...
    calm_least: float = 0.15  # ... to this share of theirs at a standstill

    def __post_init__(self) -> None:
        if not self.temperatures or min(self.temperatures) <= 0:
            raise ValueError(f"temperatures={self.temperatures}; accepted: one or more, above 0")
        if self.top_k < 1:
            raise ValueError(f"top_k={self.top_k}; accepted: 1 or more")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p={self.top_p}; accepted: above 0, at most 1")
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
    logits_BLV: Tensor, noise_BL: Tensor, temperature: float | Tensor, top_k: int, top_p: float
) -> tuple[Tensor, Tensor]:
    """Nucleus sampling by inverting the cumulative distribution at `noise_BL` in [0, 1).

    The temperature is a number, or (B, 1, 1) with one for each picture.
    Returns tokens (B, L), int64, and the entropy of the untempered distribution (B, L) in nats.
    The most likely token is always kept. Never a plain argmax: that copies the previous frame.
    """
    logits_BLV = logits_BLV.float()
    log_p = torch.log_softmax(logits_BLV, -1)
    entropy_BL = -(log_p.exp() * log_p).sum(-1)
    best_BLK, index_BLK = logits_BLV.topk(min(top_k, logits_BLV.shape[-1]), dim=-1)
    p_BLK = torch.softmax(best_BLK / temperature, -1)
    cumulative = p_BLK.cumsum(-1)
    # keep a token if the mass before it is below top_p: the first is always kept
    inside_BLK = (cumulative - p_BLK) < top_p
    kept_BLK = p_BLK * inside_BLK
    cumulative = kept_BLK.cumsum(-1)
    aim_BL1 = noise_BL.unsqueeze(-1) * cumulative[..., -1:]
    # however the products round: never past the last token that was kept
    choice_BL = torch.minimum((cumulative <= aim_BL1).sum(-1), inside_BLK.sum(-1) - 1)
    tokens_BL = index_BLK.gather(-1, choice_BL.unsqueeze(-1)).squeeze(-1)
    return tokens_BL, entropy_BL
