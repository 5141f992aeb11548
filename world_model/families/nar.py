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

from world_model.families.cells import CellWorld
from world_model.families.config import WorldConfig
from world_model.layers import later_hidden
from world_model.tokenizer.quantizer import QuantizerConfig


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
        farthest = int(distance.max())
        self.drawn_in(
            [(distance == far).nonzero().flatten().tolist() for far in range(farthest + 1)]
        )
        reached = torch.cat([torch.tensor([-1]), distance])
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
            ("mask_NN", later_hidden(reached)),
            ("left_L", torch.where(first_column, 0, cell)),
            ("above_L", torch.where(first_row, 0, cell + 1 - w)),
            ("row_share_L1", share.unsqueeze(1)),
        ):
            self.register_buffer(name, value, persistent=False)

    def features(self, latent_BLC: Tensor, past_BLD: Tensor, modulation_B6D: Tensor) -> Tensor:
        """See `CellWorld.features`: a cell's left and upper neighbours tell what comes there."""
        start = self.start_D.expand(len(latent_BLC), 1, -1)
        x = torch.cat([start, self.known(latent_BLC) + past_BLD], 1)
        x = self.transform(x, modulation_B6D, self.mask_NN)
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

    def enter(self, i: int, known_BGD: Tensor, past_BLD: Tensor) -> Tensor:
        """See `CellWorld.enter`: the cells of the distance before, and the past there."""
        return known_BGD + past_BLD[:, self.groups[i - 1]] if i else known_BGD

    def leave(self, i: int, x_BGD: Tensor, past_BLD: Tensor) -> Tensor:
        """See `CellWorld.leave`: what their neighbours tell."""
        (left, above), group = self.neighbours[i], self.groups[i]
        share = self.row_share_L1[group]
        return self.meet(x_BGD[:, left], x_BGD[:, above], past_BLD[:, group], share)


class Head(nn.Module):
    """What a cell tells of its neighbour along one dimension."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x_BGD: Tensor) -> Tensor:
        """(B, G, D) -> (B, G, D)."""
        out: Tensor = x_BGD + self.down(F.silu(self.up(x_BGD)))
        return out
