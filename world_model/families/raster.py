"""Family `raster`: one cell after the other in scan order, keys and values kept (next-token prediction).

The classic that VAR is measured against: as many passes as the map has cells.

Shapes as in `families.cells`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from world_model.families.cells import CellWorld, flat
from world_model.families.world import Chance, WorldConfig
from world_model.layers import KeyValue
from world_model.tokenizer.quantizer import MultiScaleQuantizer, QuantizerConfig


class Raster(CellWorld):
    """Next-token prediction in scan order."""

    mask_LL: Tensor

    def __init__(self, config: WorldConfig, quantizer: QuantizerConfig) -> None:
        super().__init__(config, quantizer)
        later = torch.full((self.cells, self.cells), -1e4).triu(1)  # added to the scores
        self.register_buffer("mask_LL", later, persistent=False)

    def features(self, latent_BLC: Tensor, past_BLD: Tensor, modulation_B6D: Tensor) -> Tensor:
        """See `CellWorld.features`: position n has seen the cells up to n - 1."""
        start = self.start_D.expand(len(latent_BLC), 1, -1)
        x = torch.cat([start, self.known(latent_BLC[:, :-1])], 1) + past_BLD
        x = x.to(modulation_B6D.dtype)
        for block in self.blocks:
            x, _ = block(x, modulation_B6D, self.mask_LL)
        return x

    def generate(
        self,
        quantizer: MultiScaleQuantizer,
        past_BPChw: Tensor,
        ahead_BChw: Tensor,
        condition_BD: Tensor,
        chance: Chance,
        scales: int | None = None,
    ) -> tuple[Tensor, list[Tensor]]:
        """See `World.generate`."""
        modulation, ahead = self.modulate(condition_BD), flat(ahead_BChw)
        past = self.look_back(past_BPChw, ahead_BChw, condition_BD)
        known = self.start_D.expand(len(past), 1, -1)
        kept: list[KeyValue | None] = [None] * len(self.blocks)
        drawn, tokens = [], []
        for n in range(self.cells):
            x = (known + past[:, n : n + 1]).to(modulation.dtype)
            for i, block in enumerate(self.blocks):
                x, kept[i] = block(x, modulation, None, kept[i])
            cell, chosen = self.draw_cells(x, ahead[:, n : n + 1], quantizer, chance, scales)
            known = self.known(cell)
            drawn.append(cell)
            tokens.append(chosen)
        maps = [torch.cat(parts, 1) for parts in zip(*tokens, strict=True)]
        return self.as_map(torch.cat(drawn, 1)), maps
