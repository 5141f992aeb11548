"""Families that say how likely each token is, and what it costs them.

Shapes as in `families.world`.
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor
from torch.nn import functional as F

from world_model.families.world import Known, World
from world_model.tokenizer.quantizer import MultiScaleQuantizer, Quantized


class TokenWorld(World):
    """A family that says how likely each token is."""

    @property
    def noise(self) -> int:
        """See `World.noise`: one number a token."""
        return self.quantizer_config.tokens

    @abstractmethod
    def forward(
        self,
        quantizer: MultiScaleQuantizer,
        frame: Quantized,
        known: Known,
    ) -> list[Tensor]:
        """Logits of every token map, K tensors (B, L_k, V), each token knowing what comes before it."""

    def losses(
        self,
        quantizer: MultiScaleQuantizer,
        frame: Quantized,
        next_BChw: Tensor,
        known: Known,
        weight_BL: Tensor | None,
        generator: torch.Generator,
    ) -> list[Tensor]:
        """See `World.losses`: the mean cross-entropy of each token map in nats."""
        logits = self(quantizer, frame, known)
        return token_losses(logits, frame.targets, weight_BL, self.quantizer_config.scales)


def token_losses(
    logits: list[Tensor],
    targets: tuple[Tensor, ...],
    weight_BL: Tensor | None,
    scales: tuple[tuple[int, int], ...],
) -> list[Tensor]:
    """Mean cross-entropy of each scale in nats, weighted by what a token shows."""
    losses = []
    for (h, w), logit_BLV, target_BL in zip(scales, logits, targets, strict=True):
        nll = F.cross_entropy(
            logit_BLV.float().flatten(0, 1), target_BL.flatten(), reduction="none"
        )
        if weight_BL is None:
            losses.append(nll.mean())
            continue
        full = weight_BL.view(-1, 1, *scales[-1])
        part = F.avg_pool2d(full, (scales[-1][0] // h, scales[-1][1] // w)).flatten()
        losses.append((nll * part).sum() / part.sum().clamp_min(1e-6))
    return losses
