"""Family `nar`: neighbours grow from the first cell, all cells of one distance at a time.

Neighbouring Autoregressive Modelling (He et al. 2025, arXiv 2503.10696): cells are ordered by their
Manhattan distance from the first one, and those of one distance are drawn in one pass: h + w - 1 passes. A
cell sees all cells that are as far or nearer. There is one decoding head a dimension: the row's foresees the
cell to the right, the column's the one below; where both speak of one cell, their mean counts.

Shapes as in `families.cells`; G cells of one distance. Position 0 is the start, position 1 + n cell n.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from world_model.families.cells import CellWorld, flat
from world_model.families.world import Chance, WorldConfig
from world_model.layers import KeyValue
from world_model.tokenizer.quantizer import MultiScaleQuantizer, QuantizerConfig


class Nar(CellWorld):
    """Next-neighbour prediction."""

    mask_NN: Tensor
    left_L: Tensor
    above_L: Tensor
    row_share_L1: Tensor
    low_precision = (*CellWorld.low_precision, "row_head", "column_head")

    def __init__(self, config: WorldConfig, quantizer: QuantizerConfig) -> None:
        super().__init__(config, quantizer)
        d, (h, w) = config.width, self.full_size
        self.row_head, self.column_head = Head(d), Head(d)
        row, column = (
            i.flatten() for i in torch.meshgrid(*map(torch.arange, (h, w)), indexing="ij")
        )
        distance = row + column
        self.groups = [
            (distance == far).nonzero().flatten().tolist() for far in range(int(distance.max()) + 1)
        ]
        reached = torch.cat([torch.tensor([-1]), distance])
        hidden = reached[:, None] < reached[None, :]
        mask_NN = torch.zeros(hidden.shape).masked_fill(hidden, -1e4)  # added to the scores
        # of each distance: at which places of the distance before the cells have their neighbours
        self.neighbours = []
        for nearer, group in zip([[-1], *self.groups], self.groups, strict=False):
            place = {cell: i for i, cell in enumerate(nearer)}
            left = [place[n - 1] if n % w else 0 for n in group]
            self.neighbours.append((left, [place.get(n - w, 0) for n in group]))
        cell = torch.arange(h * w)
        first_row, first_column = row == 0, column == 0
        # the first column has nothing to its left, the first row nothing above; the first cell has the start
        share = torch.where(first_row, 1.0, torch.where(first_column, 0.0, 0.5))
        for name, value in (
            ("mask_NN", mask_NN),
            ("left_L", torch.where(first_column, 0, cell)),
            ("above_L", torch.where(first_row, 0, cell + 1 - w)),
            ("row_share_L1", share.unsqueeze(1)),
        ):
            self.register_buffer(name, value, persistent=False)

    def features(self, latent_BLC: Tensor, past_BLD: Tensor, modulation_B6D: Tensor) -> Tensor:
        """See `CellWorld.features`: a cell's left and upper neighbours tell what comes there."""
        start = self.start_D.expand(len(latent_BLC), 1, -1)
        x = torch.cat([start, self.known(latent_BLC) + past_BLD], 1).to(modulation_B6D.dtype)
        for block in self.blocks:
            x, _ = block(x, modulation_B6D, self.mask_NN)
        return self.meet(x[:, self.left_L], x[:, self.above_L], past_BLD, self.row_share_L1)

    def meet(
        self, left_BGD: Tensor, above_BGD: Tensor, past_BGD: Tensor, row_share_G1: Tensor
    ) -> Tensor:
        """Features of cells from those of their neighbours, and from the past at the cells."""
        past = past_BGD.to(left_BGD.dtype)
        share = row_share_G1.to(left_BGD.dtype)
        # mean before the logits, which are linear in it, not after: half the work
        mean: Tensor = share * self.row_head(left_BGD + past)
        return torch.add(mean, (1 - share) * self.column_head(above_BGD + past))

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
        x = self.start_D.expand(len(past), 1, -1).to(modulation.dtype)
        kept: list[KeyValue | None] = [None] * len(self.blocks)
        drawn, tokens = [], []
        for group, (left, above) in zip(self.groups, self.neighbours, strict=True):
            for i, block in enumerate(self.blocks):
                x, kept[i] = block(x, modulation, None, kept[i])
            features = self.meet(x[:, left], x[:, above], past[:, group], self.row_share_L1[group])
            cells, chosen = self.draw_cells(features, ahead[:, group], quantizer, chance, scales)
            x = (self.known(cells) + past[:, group]).to(modulation.dtype)
            drawn.append(cells)
            tokens.append(chosen)
        order = torch.tensor([cell for group in self.groups for cell in group]).argsort()
        maps = [torch.cat(parts, 1)[:, order] for parts in zip(*tokens, strict=True)]
        return self.as_map(torch.cat(drawn, 1)[:, order]), maps


class Head(nn.Module):
    """What a cell tells of its neighbour along one dimension."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x_BGD: Tensor) -> Tensor:
        """(B, G, D) -> (B, G, D)."""
        out: Tensor = x_BGD + self.down(F.silu(self.up(x_BGD)))
        return out
