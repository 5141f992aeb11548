"""Family `var`: the next frame's token maps, one scale after the other (next-scale prediction).

Positions of all scales stand in one sequence, coarse to fine; a position sees its own and all coarser
scales of its frame (block-causal, VAR section 3.2). The past enters as the latent maps of the last two
frames, laid under the positions of each scale and seen through a small pyramid of convolutions, and as
the conditioning of every layer (actions, speed, yaw rate). Where the camera is known, the last picture is
first moved as the car moves and encoded again: what the next frame will mostly be (`families.reprojection`);
where the last frame differs from what was foreseen of it, something moves by itself. At the finest size one
position speaks for 2x2 tokens.

Shapes: B batch, C channels, h w latent map, K scales, L_k tokens and N_k positions of scale k
(N_k = L_k, or L_k / 4 where grouped), D width, V vocabulary, P=3 maps of the past (the newest frame, the one
before, the newest as it was foreseen), A=2 action,
M=4 remembered actions (newest last), E=2 ego inputs (speed_mps, yaw_rate_radps).
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from world_model.families.near_codes import NearCodes
from world_model.families.past import PastPyramid
from world_model.families.reprojection import CameraConfig, Reprojection
from world_model.heads import EGO_SCALES, StateReader
from world_model.layers import Block, Conditioning, KeyValue
from world_model.tokenizer.model import Tokenizer
from world_model.tokenizer.quantizer import MultiScaleQuantizer, QuantizerConfig

PAST_FRAMES = 2
PAST_MAPS = 3
PAST_ACTIONS = 4
GROUP = 2
CRAWL_MPS = 0.3
"""Below this speed the last frame counts more than its moved copy; alone at a standstill."""


@dataclass(frozen=True, slots=True)
class VarConfig:
    """Size of the transformer.

    Raises:
        ValueError: a width that the heads can't share evenly.
    """

    width: int = 256
    depth: int = 6
    heads: int = 8
    camera: CameraConfig | None = None  # None: unknown, nothing is moved

    def __post_init__(self) -> None:
        if self.depth < 1 or self.heads < 1 or self.width < 1 or self.width % self.heads:
            raise ValueError(
                f"width={self.width}, depth={self.depth}, heads={self.heads}; accepted: positive,"
                " the width a multiple of the heads"
            )


class Var(nn.Module):
    """Predicts the tokens of frame t+1 from frames t and t-1, the last actions and the ego state."""

    mask_NN: Tensor

    def __init__(self, config: VarConfig, quantizer: QuantizerConfig) -> None:
        super().__init__()
        self.config, self.quantizer_config = config, quantizer
        d, c, v = config.width, quantizer.channels, quantizer.vocabulary
        self.full_size = quantizer.scales[-1]
        if any(size % GROUP for size in self.full_size):
            raise ValueError(
                f"latent map of {self.full_size}; accepted: multiples of {GROUP}, since one position"
                f" speaks for {GROUP}x{GROUP} tokens"
            )
        self.grouped = [size == self.full_size for size in quantizer.scales]
        cells = [GROUP**2 if grouped else 1 for grouped in self.grouped]
        self.positions = [h * w // m for (h, w), m in zip(quantizer.scales, cells, strict=True)]
        fine = c * GROUP**2
        self.sum_coarse, self.sum_fine = nn.Linear(c, d), nn.Linear(fine, d)
        self.reprojection = (
            Reprojection(c, self.full_size, config.camera) if config.camera else None
        )
        maps = 2 if self.reprojection is None else 4
        self.past_coarse, self.past_fine = nn.Linear(maps * c, d), nn.Linear(maps * fine, d)
        grids = [
            (h // GROUP, w // GROUP) if grouped else (h, w)
            for (h, w), grouped in zip(quantizer.scales, self.grouped, strict=True)
        ]
        self.past = PastPyramid(maps * c, d, self.full_size, grids)
        self.position_ND = nn.Parameter(0.02 * torch.randn(sum(self.positions), d))
        self.scale_KD = nn.Parameter(0.02 * torch.randn(len(cells), d))
        self.condition = Conditioning(2 * PAST_ACTIONS + len(EGO_SCALES), d)
        self.modulation = nn.Linear(d, 6 * d)
        nn.init.normal_(self.modulation.weight, std=0.01)
        nn.init.zeros_(self.modulation.bias)
        self.blocks = nn.ModuleList(
            Block(d, config.heads, config.depth) for _ in range(config.depth)
        )
        self.norm = nn.LayerNorm(d)
        self.logits_coarse = nn.Linear(d, v)
        self.logits_fine = nn.Linear(d, v * GROUP**2)
        for head in (self.logits_coarse, self.logits_fine):
            nn.init.normal_(head.weight, std=0.01)
            nn.init.zeros_(head.bias)
        self.near = nn.ModuleList(NearCodes(d, c, m) for m in cells)
        self.reader = StateReader(c, d, self.full_size, PAST_ACTIONS)
        level_N = torch.cat([torch.full((n,), k) for k, n in enumerate(self.positions)])
        hidden = level_N[:, None] < level_N[None, :]
        mask_NN = torch.zeros(hidden.shape).masked_fill(hidden, -1e4)  # added to the scores
        self.register_buffer("mask_NN", mask_NN, persistent=False)

    def in_bfloat16(self) -> Var:
        """A copy whose transformer works in bfloat16, as it did in training; all else stays float32."""
        other = copy.deepcopy(self)
        for part in (other.modulation, other.blocks, other.norm, other.near):
            part.bfloat16()
        other.logits_coarse.bfloat16()
        other.logits_fine.bfloat16()
        return other

    # -- the parts ---------------------------------------------------------------------------

    def conditioning(self, actions_BMA: Tensor, ego_BE: Tensor) -> Tensor:
        """(B, D) vector of the last four actions (newest last) and the ego state."""
        ego = ego_BE / torch.tensor(EGO_SCALES, device=ego_BE.device)
        out: Tensor = self.condition(torch.cat([actions_BMA.flatten(1), ego], 1))
        return out

    def modulate(self, condition_BD: Tensor) -> Tensor:
        """(B, 6, D): scales, shifts and gates shared by all layers, in the transformer's precision."""
        precision = self.modulation.weight.dtype
        out: Tensor = self.modulation(F.silu(condition_BD).to(precision))
        return out.view(len(out), 6, -1)

    def foresee(
        self,
        tokenizer: Tokenizer,
        past_BPChw: Tensor,
        actions_BMA: Tensor,
        ego_BE: Tensor,
        picture_BCHW: Tensor | None = None,
    ) -> Tensor:
        """The last frame's latent map as the car's motion leaves it: (B, C, h, w).

        Args:
            tokenizer: to see the last frame and what became of it.
            past_BPChw: maps of the past.
            actions_BMA: newest last.
            ego_BE: speed and yaw rate before the newest action.
            picture_BCHW: the last frame as the decoder drew it, to save drawing it again.
        """
        newest, _, foreseen = past_BPChw.unbind(1)
        if self.reprojection is None:
            return newest
        if picture_BCHW is None:
            picture_BCHW = tokenizer.draw(newest)
        motion_BE, _ = self.reader.kinematics(actions_BMA, ego_BE)
        moved = self.reprojection(picture_BCHW.clamp(-1, 1), newest, newest - foreseen, motion_BE)
        there = tokenizer.see(moved)
        moving_B111 = (motion_BE[:, 0] / CRAWL_MPS).clamp(0, 1).view(-1, 1, 1, 1)
        return torch.lerp(newest, there, moving_B111)

    def remember(
        self,
        tokenizer: Tokenizer,
        newest_BChw: Tensor,
        before_BChw: Tensor,
        actions_BMA: Tensor,
        ego_BE: Tensor,
    ) -> Tensor:
        """Maps of the past (B, P, C, h, w) from two frames alone.

        Args:
            tokenizer: see `foresee`.
            newest_BChw: the last frame.
            before_BChw: the one before.
            actions_BMA: newest last; that one led from the one frame to the other.
            ego_BE: speed and yaw rate before it.
        """
        surprised_by_nothing = torch.stack([before_BChw] * PAST_MAPS, 1)
        foreseen = self.foresee(tokenizer, surprised_by_nothing, actions_BMA, ego_BE)
        return torch.stack([newest_BChw, before_BChw, foreseen], 1)

    def seen(self, past_BPChw: Tensor, ahead_BChw: Tensor) -> Tensor:
        """The newest frame, what changed since the one before, what the car's motion will change, and what
        changed without it."""
        newest, before, foreseen = past_BPChw.unbind(1)
        maps = [newest, newest - before]
        if self.reprojection is not None:
            maps += [ahead_BChw - newest, newest - foreseen]
        return torch.cat(maps, 1)

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
        before: tuple[Tensor, ...],
        past_BPChw: Tensor,
        ahead_BChw: Tensor,
        condition_BD: Tensor,
    ) -> list[Tensor]:
        """Teacher-forced logits of every scale: K tensors (B, L_k, V).

        `ahead_BChw` is what `foresee` says of the past.
        `before[k]` is the sum of the scales coarser than k, possibly with corrected errors in it.
        """
        modulation = self.modulate(condition_BD)
        seen = self.seen(past_BPChw, ahead_BChw)
        pasts = self.past(seen, condition_BD)
        parts = [self.embed(k, b, seen, pasts[k]) for k, b in enumerate(before)]
        x = torch.cat(parts, 1).to(modulation.dtype)  # low precision where autocast says so
        for block in self.blocks:
            x, _ = block(x, modulation, self.mask_NN)
        return [
            self.logits(k, part, before[k], ahead_BChw, quantizer)
            for k, part in enumerate(torch.split(x, self.positions, 1))
        ]

    # -- generation: scale after scale, keys and values kept -----------------------------------

    def generate(
        self,
        quantizer: MultiScaleQuantizer,
        past_BPChw: Tensor,
        ahead_BChw: Tensor,
        condition_BD: Tensor,
        choose: Callable[[int, Tensor], Tensor],
        scales: int | None = None,
    ) -> tuple[Tensor, list[Tensor]]:
        """Draw the next frame: `choose(k, logits_BLV)` returns the tokens of scale k.

        Only the first `scales` scales, if that is given: faster and softer.
        Returns the latent map (B, C, h, w) and the token maps of those scales.
        """
        total = torch.zeros_like(past_BPChw[:, 0])
        modulation, seen = self.modulate(condition_BD), self.seen(past_BPChw, ahead_BChw)
        pasts = self.past(seen, condition_BD)
        kept: list[KeyValue | None] = [None] * len(self.blocks)
        tokens: list[Tensor] = []
        for k in range(len(self.positions) if scales is None else scales):
            x = self.embed(k, total, seen, pasts[k]).to(modulation.dtype)
            for i, block in enumerate(self.blocks):
                x, kept[i] = block(x, modulation, None, kept[i])
            tokens.append(choose(k, self.logits(k, x, total, ahead_BChw, quantizer)))
            total = total + quantizer.contribution(tokens[k], k)
        return total, tokens


def cells(x_BChw: Tensor) -> Tensor:
    """(B, C, h, w) -> (B, h w / 4, 4 C): each 2x2 cell of the map as one vector."""
    return F.pixel_unshuffle(x_BChw, GROUP).flatten(2).transpose(1, 2)
