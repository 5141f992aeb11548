"""Family `var`: the next frame's token maps, one scale after the other (next-scale prediction).

Positions of all scales stand in one sequence, coarse to fine; a position sees its own and all coarser
scales of its frame (block-causal, VAR section 3.2). The past is laid under the positions of each scale, and
seen through a small pyramid of convolutions. At the finest size one position speaks for 2x2 tokens.

Shapes as in `families.world`; K scales, N_k positions of scale k (N_k = L_k, or L_k / 4 where grouped).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from world_model.families.config import WorldConfig
from world_model.families.near_codes import NearCodes
from world_model.families.past import PastPyramid
from world_model.families.token_world import TokenWorld
from world_model.families.world import Chance, Known
from world_model.layers import KeyValue, later_hidden
from world_model.tokenizer.quantizer import MultiScaleQuantizer, Quantized, QuantizerConfig

GROUP = 2


class Var(TokenWorld):
    """Next-scale prediction."""

    mask_NN: Tensor
    low_precision = (*TokenWorld.low_precision, "near", "logits_coarse", "logits_fine")
    coarse_to_fine = True

    def __init__(self, config: WorldConfig, quantizer: QuantizerConfig) -> None:
        super().__init__(config, quantizer)
        d, c, v = config.width, quantizer.channels, quantizer.vocabulary
        if any(size % GROUP for size in self.full_size):
            raise ValueError(
                f"latent map of {self.full_size}; accepted: multiples of {GROUP}, since one position"
                f" speaks for {GROUP}x{GROUP} tokens"
            )
        self.grouped = [size == self.full_size for size in quantizer.scales]
        cells = [GROUP**2 if grouped else 1 for grouped in self.grouped]
        self.positions = [h * w // m for (h, w), m in zip(quantizer.scales, cells, strict=True)]
        self.sum_coarse, self.sum_fine = nn.Linear(c, d), nn.Linear(c * GROUP**2, d)
        seen = self.seen_channels
        self.past_coarse, self.past_fine = nn.Linear(seen, d), nn.Linear(seen * GROUP**2, d)
        grids = [
            (h // GROUP, w // GROUP) if grouped else (h, w)
            for (h, w), grouped in zip(quantizer.scales, self.grouped, strict=True)
        ]
        self.past = PastPyramid(seen, d, self.full_size, grids)
        self.position_ND = nn.Parameter(0.02 * torch.randn(sum(self.positions), d))
        self.scale_KD = nn.Parameter(0.02 * torch.randn(len(cells), d))
        self.logits_coarse = nn.Linear(d, v)
        self.logits_fine = nn.Linear(d, v * GROUP**2)
        for head in (self.logits_coarse, self.logits_fine):
            nn.init.normal_(head.weight, std=0.01)
            nn.init.zeros_(head.bias)
        self.near = nn.ModuleList(NearCodes(d, c, m) for m in cells)
        level_N = torch.cat([torch.full((n,), k) for k, n in enumerate(self.positions)])
        self.register_buffer("mask_NN", later_hidden(level_N), persistent=False)

    # -- the parts ---------------------------------------------------------------------------

    def embed(self, k: int, before_BChw: Tensor, seen_BChw: Tensor, past_BND: Tensor) -> Tensor:
        """Input of scale k: the sum of the coarser scales and the past, at that scale. (B, N_k, D)

        `past_BND` is what the pyramid says of the past at scale k.
        """
        if self.grouped[k]:
            x = self.sum_fine(cells(before_BChw)) + self.past_fine(cells(seen_BChw))
        else:
            h, w = self.quantizer_config.scales[k]
            factor = (self.full_size[0] // h, self.full_size[1] // w)
            x = self.sum_coarse(F.avg_pool2d(before_BChw, factor).flatten(2).transpose(1, 2))
            x = x + self.past_coarse(F.avg_pool2d(seen_BChw, factor).flatten(2).transpose(1, 2))
        start = sum(self.positions[:k])
        x = x + past_BND
        out: Tensor = x + self.position_ND[start : start + self.positions[k]] + self.scale_KD[k]
        return out

    def logits(
        self,
        k: int,
        x_BND: Tensor,
        before_BChw: Tensor,
        ahead_BChw: Tensor,
        quantizer: MultiScaleQuantizer,
    ) -> Tensor:
        """(B, N_k, D) features to (B, L_k, V) logits in raster order of the token map."""
        x, near = self.norm(x_BND), self.near[k]
        assert isinstance(near, NearCodes)
        said = near.values(x)
        free = self.logits_fine(x) if self.grouped[k] else self.logits_coarse(x)
        free = free.view(*said.shape[:-1], self.quantizer_config.vocabulary)
        if self.grouped[k]:
            said, free = self.raster(said), self.raster(free)
        else:
            said, free = said.squeeze(2), free.squeeze(2)
        rest = quantizer.down(ahead_BChw - before_BChw, k).flatten(2).transpose(1, 2)
        out: Tensor = near(free, said, rest, quantizer.codebook_KVC[k])
        return out

    def raster(self, y_BNmR: Tensor) -> Tensor:
        """What 2x2 cells say of their tokens, (B, L / 4, 4, R), in raster order: (B, L, R)."""
        h, w = self.full_size
        y = y_BNmR.view(-1, h // GROUP, w // GROUP, GROUP, GROUP, y_BNmR.shape[-1])
        return y.transpose(2, 3).flatten(1, 4)

    # -- training: all scales at once --------------------------------------------------------

    def forward(
        self,
        quantizer: MultiScaleQuantizer,
        frame: Quantized,
        known: Known,
    ) -> list[Tensor]:
        """See `TokenWorld.forward`: a token knows the coarser scales of `frame`."""
        before = frame.before
        seen = self.seen(known)
        pasts = self.past(seen, known.condition_BD)
        parts = [self.embed(k, b, seen, pasts[k]) for k, b in enumerate(before)]
        x = self.transform(torch.cat(parts, 1), self.modulate(known.condition_BD), self.mask_NN)
        return [
            self.logits(k, part, before[k], known.ahead_BChw, quantizer)
            for k, part in enumerate(torch.split(x, self.positions, 1))
        ]

    # -- generation: scale after scale, keys and values kept -----------------------------------

    def generate(
        self,
        quantizer: MultiScaleQuantizer,
        known: Known,
        chance: Chance,
        scales: int | None = None,
    ) -> tuple[Tensor, list[Tensor]]:
        """See `World.generate`; fewer scales are faster as well."""
        ahead, condition = known.ahead_BChw, known.condition_BD
        total = torch.zeros_like(ahead)
        modulation, seen = self.modulate(condition), self.seen(known)
        pasts = self.past(seen, condition)
        kept: list[KeyValue] = []
        tokens: list[Tensor] = []
        for k in range(len(self.positions) if scales is None else scales):
            x = self.embed(k, total, seen, pasts[k])
            x = self.transform(x, modulation, kept=kept)
            tokens.append(chance(k, self.logits(k, x, total, ahead, quantizer)))
            total = total + quantizer.contribution(tokens[k], k)
        return total, tokens


def cells(x_BChw: Tensor) -> Tensor:
    """(B, C, h, w) -> (B, h w / 4, 4 C): each 2x2 cell of the map as one vector."""
    return F.pixel_unshuffle(x_BChw, GROUP).flatten(2).transpose(1, 2)
