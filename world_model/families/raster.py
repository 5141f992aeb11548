"""Family `raster`: one cell after the other in scan order, keys and values kept (next-token prediction).

The classic that VAR is measured against: as many passes as the map has cells.

Shapes as in `families.cells`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from world_model.families.cells import CellWorld
from world_model.families.config import WorldConfig
from world_model.layers import later_hidden
from world_model.tokenizer.quantizer import QuantizerConfig


class Raster(CellWorld):
    """Next-token prediction in scan order."""

    mask_LL: Tensor

    def __init__(self, config: WorldConfig, quantizer: QuantizerConfig) -> None:
        super().__init__(config, quantizer)
        self.drawn_in([[cell] for cell in range(self.cells)])
        self.register_buffer("mask_LL", later_hidden(torch.arange(self.cells)), persistent=False)

    def features(self, latent_BLC: Tensor, past_BLD: Tensor, modulation_B6D: Tensor) -> Tensor:
        """See `CellWorld.features`: position n has seen the cells up to n - 1."""
        start = self.start_D.expand(len(latent_BLC), 1, -1)
        x = torch.cat([start, self.known(latent_BLC[:, :-1])], 1) + past_BLD
        return self.transform(x, modulation_B6D, self.mask_LL)

    def enter(self, i: int, known_BGD: Tensor, past_BLD: Tensor) -> Tensor:
        """See `CellWorld.enter`: the cell before, and the past at this one."""
        return known_BGD + past_BLD[:, self.groups[i]]

    def leave(self, i: int, x_BGD: Tensor, past_BLD: Tensor) -> Tensor:
        """See `CellWorld.leave`."""
        return x_BGD
