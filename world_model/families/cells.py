"""What families share that draw the latent map cell by cell, each cell whole: all its tokens at once.

Their tokenizer has flat token maps: each of the map's own size, the next one quantising what the ones before
left over. A cell's second token is drawn knowing its first (the depth of RQ-Transformer, Lee et al. 2022).

Shapes as in `families.world`; L cells in raster order, K tokens a cell.
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from world_model.families.config import WorldConfig
from world_model.families.near_codes import NearCodes
from world_model.families.past import PastPyramid
from world_model.families.token_world import TokenWorld
from world_model.families.world import Chance, DreamChance, Known
from world_model.layers import KeyValue
from world_model.tokenizer.quantizer import MultiScaleQuantizer, Quantized, QuantizerConfig

DRAWN_AGAIN = 2
"""How often training draws a free dream's frame again: most of what a cell needs to know stands beside it."""


class CellWorld(TokenWorld):
    """Draws cells in some order; which, and knowing which others, a family says.

    Raises:
        ValueError: a tokenizer whose token maps aren't flat.
    """

    low_precision = (*TokenWorld.low_precision, "near", "logits")
    undo_L: Tensor

    def __init__(self, config: WorldConfig, quantizer: QuantizerConfig) -> None:
        super().__init__(config, quantizer)
        if any(size != self.full_size for size in quantizer.scales) or quantizer.repair:
            raise ValueError(
                f"token maps of {quantizer.scales}, repair={quantizer.repair}; accepted here: maps"
                " that all have one size, without repair, so that no cell knows of its neighbours"
                " (`dreamlane train codes` makes such a tokenizer of another)"
            )
        d, c = config.width, quantizer.channels
        self.cells = self.full_size[0] * self.full_size[1]
        self.known = nn.Linear(c, d)  # a cell that is drawn
        self.past_cell = nn.Linear(self.seen_channels, d)
        self.past = PastPyramid(self.seen_channels, d, self.full_size, [self.full_size])
        self.position_LD = nn.Parameter(0.02 * torch.randn(self.cells, d))
        self.start_D = nn.Parameter(0.02 * torch.randn(d))
        depth = len(quantizer.scales)
        self.deeper = nn.ModuleList(nn.Linear(c, d) for _ in range(depth - 1))
        self.logits = nn.ModuleList(nn.Linear(d, quantizer.vocabulary) for _ in range(depth))
        for head in self.logits:
            nn.init.normal_(head.weight, std=0.01)  # type: ignore[arg-type]
            nn.init.zeros_(head.bias)  # type: ignore[arg-type]
        self.near = nn.ModuleList(NearCodes(d, c, 1) for _ in range(depth))

    groups: list[list[int]]
    """Cells in the order in which they are drawn, those of one pass together; a family says which."""

    def drawn_in(self, groups: list[list[int]]) -> None:
        """Keep the order, and how to undo it."""
        self.groups = groups
        order = torch.tensor([cell for group in groups for cell in group])
        self.register_buffer("undo_L", order.argsort(), persistent=False)

    @abstractmethod
    def features(self, latent_BLC: Tensor, past_BLD: Tensor, modulation_B6D: Tensor) -> Tensor:
        """What is known of each cell before it is drawn, all at once: (B, L, D).

        Args:
            latent_BLC: all cells; a cell's feature depends only on those that come before it.
            past_BLD: see `look_back`.
            modulation_B6D: see `modulate`.
        """

    @abstractmethod
    def enter(self, i: int, known_BGD: Tensor, past_BLD: Tensor) -> Tensor:
        """Input of pass i, from the cells that pass i - 1 drew (before the first: from the start)."""

    @abstractmethod
    def leave(self, i: int, x_BGD: Tensor, past_BLD: Tensor) -> Tensor:
        """Features of the cells of pass i, from what the blocks make of its input."""

    def look_back(self, known: Known) -> Tensor:
        """The past at each cell, and which cell it is: (B, L, D)."""
        seen = self.seen(known)
        near: Tensor = self.past_cell(flat(seen)) + self.past(seen, known.condition_BD)[0]
        return near + self.position_LD

    def cell_logits(
        self,
        k: int,
        x_BND: Tensor,
        before_BNC: Tensor,
        ahead_BNC: Tensor,
        quantizer: MultiScaleQuantizer,
    ) -> Tensor:
        """Logits (B, N, V) of the cells' k-th token.

        Args:
            k: 0 for the first.
            x_BND: features of the cells.
            before_BNC: the sum of the cells' tokens before that one.
            ahead_BNC: what was foreseen there.
            quantizer: whose codes.
        """
        if k:
            x_BND = x_BND + self.deeper[k - 1](before_BNC).to(x_BND.dtype)
        x, near = self.norm(x_BND), self.near[k]
        assert isinstance(near, NearCodes)
        out: Tensor = near(
            self.logits[k](x),
            near.values(x).squeeze(2),
            ahead_BNC - before_BNC,
            quantizer.codebook_KVC[k],
        )
        return out

    def draw_cells(
        self,
        x_BND: Tensor,
        ahead_BNC: Tensor,
        quantizer: MultiScaleQuantizer,
        chance: Chance,
        depth: int | None = None,
    ) -> tuple[Tensor, list[Tensor]]:
        """Draw the cells' tokens one after the other: their latents (B, N, C), and K tensors (B, N)."""
        total, tokens = torch.zeros_like(ahead_BNC), []
        for k in range(len(self.logits) if depth is None else depth):
            tokens.append(chance(k, self.cell_logits(k, x_BND, total, ahead_BNC, quantizer)))
            total = total + F.embedding(tokens[k], quantizer.codebook_KVC[k])
        return total, tokens

    def forward(
        self, quantizer: MultiScaleQuantizer, frame: Quantized, known: Known
    ) -> list[Tensor]:
        """See `TokenWorld.forward`: a cell knows those that come before it in `frame`."""
        modulation, ahead = self.modulate(known.condition_BD), flat(known.ahead_BChw)
        x = self.features(flat(frame.latent_BChw), self.look_back(known), modulation)
        return [
            self.cell_logits(k, x, flat(before), ahead, quantizer)
            for k, before in enumerate(frame.before)
        ]

    def dream(
        self, quantizer: MultiScaleQuantizer, frame: Quantized, known: Known, chance: DreamChance
    ) -> Tensor:
        """See `World.dream`: all cells in one pass, each as if the ones before it had come true.

        Those of a free dream may not know the truth. At first they take what was foreseen for what stands
        before them, then, drawn again with the same chance, what they drew the last time. After as many
        passes as `generate` takes that is the very same frame (fixed-point iteration); `DRAWN_AGAIN` do.
        """
        modulation, ahead = self.modulate(known.condition_BD), flat(known.ahead_BChw)
        past, free_B11 = self.look_back(known), chance.free_B.view(-1, 1, 1)
        before = torch.where(free_B11, ahead, flat(frame.latent_BChw))
        for _ in range(1 + DRAWN_AGAIN):
            chance.again()
            x = self.features(before, past, modulation)
            cells, _ = self.draw_cells(x, ahead, quantizer, chance)
            before = torch.where(free_B11, cells, before)
        return self.as_map(cells)

    def generate(
        self,
        quantizer: MultiScaleQuantizer,
        known: Known,
        chance: Chance,
        scales: int | None = None,
    ) -> tuple[Tensor, list[Tensor]]:
        """See `World.generate`: group after group."""
        modulation, ahead = self.modulate(known.condition_BD), flat(known.ahead_BChw)
        past = self.look_back(known)
        before = self.start_D.expand(len(past), 1, -1)
        kept: list[KeyValue] = []
        drawn, tokens = [], []
        for i, group in enumerate(self.groups):
            x = self.transform(self.enter(i, before, past), modulation, kept=kept)
            features = self.leave(i, x, past)
            cells, chosen = self.draw_cells(features, ahead[:, group], quantizer, chance, scales)
            before = self.known(cells)
            drawn.append(cells)
            tokens.append(chosen)
        maps = [torch.cat(parts, 1)[:, self.undo_L] for parts in zip(*tokens, strict=True)]
        return self.as_map(torch.cat(drawn, 1)[:, self.undo_L]), maps

    def as_map(self, cells_BLC: Tensor) -> Tensor:
        """Cells in raster order to the latent map (B, C, h, w)."""
        h, w = self.full_size
        return cells_BLC.transpose(1, 2).reshape(len(cells_BLC), -1, h, w)


def flat(x_BChw: Tensor) -> Tensor:
    """(B, C, h, w) -> (B, L, C) in raster order."""
    return x_BChw.flatten(2).transpose(1, 2)
