"""What all families of world models share: how the past enters, what a frame's conditioning is, the heads.

The past enters as the latent maps of the last two frames, and as the conditioning of every layer (actions,
speed, yaw rate). Where the camera is known, the last picture is first moved as the car moves and encoded
again: what the next frame will mostly be (`families.reprojection`); where the last frame differs from what
was foreseen of it, something moves by itself. How the next frame's latent map is drawn is each family's own.

Shapes: B batch, C channels, h w latent map, K token maps, L tokens, L_k tokens of map k, N positions, D
width, V vocabulary, P=3 maps of the past (the newest frame, the one before, the newest as it was foreseen),
A=2 action, M=4 remembered actions (newest last), E ego inputs (`families.car`).
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from world_model.families.car import Car
from world_model.families.config import WorldConfig
from world_model.families.reprojection import Reprojection, looked_up
from world_model.heads import MOTIONS
from world_model.layers import Block, KeyValue
from world_model.tokenizer.model import Tokenizer
from world_model.tokenizer.quantizer import MultiScaleQuantizer, Quantized, QuantizerConfig

PAST_FRAMES = 2
PAST_MAPS = 3
CRAWL_MPS = 0.3
"""Below this speed the last frame counts more than its moved copy; alone at a standstill."""


class Chance(Protocol):
    """All randomness of a frame; asked in the same order, it gives the same frame."""

    def __call__(self, k: int, logits_BLV: Tensor) -> Tensor:
        """Tokens (B, L) of map k, drawn by their logits."""

    def normal(self, count: int) -> Tensor:
        """(B, count) numbers of the standard normal distribution."""


class DreamChance(Chance, Protocol):
    """That of a frame that training dreams beside a recorded one."""

    free_B: Tensor
    """Which dreams owe nothing to the recording; what the others draw is steered towards it."""

    def again(self) -> None:
        """Begin anew: what is asked next gets what was asked first."""


class Known(NamedTuple):
    """What is known before a frame is drawn."""

    past_BPChw: Tensor  # maps of the past
    ahead_BChw: Tensor  # what `World.foresee` says of them
    condition_BD: Tensor  # see `Car.told`
    lead_B1hw: Tensor | None = None


class World(Car, ABC):
    """Predicts frame t+1 from frames t and t-1, the last actions and the ego state."""

    low_precision: tuple[str, ...] = ("modulation", "blocks", "norm")
    coarse_to_fine = False
    """Whether a frame of which only the first scales are drawn is a picture too, and takes less time."""

    def __init__(self, config: WorldConfig, quantizer: QuantizerConfig) -> None:
        super().__init__(config, quantizer.channels, quantizer.scales[-1])
        self.full_size = quantizer.scales[-1]
        self.quantizer_config = quantizer
        d, c = config.width, quantizer.channels
        self.reprojection = (
            Reprojection(c, self.full_size, config.camera) if config.camera else None
        )
        self.seen_channels = (2 if self.reprojection is None else 4) * c + config.lead
        self.modulation = nn.Linear(d, 6 * d)
        nn.init.normal_(self.modulation.weight, std=0.01)
        nn.init.zeros_(self.modulation.bias)
        self.blocks = nn.ModuleList(
            Block(d, config.heads, config.depth) for _ in range(config.depth)
        )
        self.norm = nn.LayerNorm(d)

    @property
    def possible_scales(self) -> tuple[int, ...]:
        """How many of a frame's scales can be drawn: any number, or all where fewer would save no pass."""
        most = len(self.quantizer_config.scales)
        return tuple(range(1, most + 1)) if self.coarse_to_fine else (most,)

    # -- what a family does --------------------------------------------------------------------

    @property
    @abstractmethod
    def noise(self) -> int:
        """How many random numbers a frame takes."""

    @abstractmethod
    def losses(
        self,
        quantizer: MultiScaleQuantizer,
        frame: Quantized,
        next_BChw: Tensor,
        known: Known,
        weight_BL: Tensor | None,
        generator: torch.Generator,
    ) -> list[Tensor]:
        """How badly the next frame was predicted: scalars, one for each part of the task.

        Args:
            quantizer: whose tokens.
            frame: the next frame, quantised, possibly with errors in it and their corrections.
            next_BChw: its continuous latents.
            known: before it.
            weight_BL: of each cell of the latent map, in raster order.
            generator: of what the loss itself draws.
        """

    @abstractmethod
    def generate(
        self,
        quantizer: MultiScaleQuantizer,
        known: Known,
        chance: Chance,
        scales: int | None = None,
    ) -> tuple[Tensor, list[Tensor]]:
        """Draw the next frame; only its first `scales` token maps, if that is given: softer.

        Returns the latent map (B, C, h, w) and those token maps (B, L_k).
        """

    def dream(
        self, quantizer: MultiScaleQuantizer, frame: Quantized, known: Known, chance: DreamChance
    ) -> Tensor:
        """The next frame's latent map as training dreams it; `frame` is the true one, for families whose
        own way of drawing would take too long."""
        latent, _ = self.generate(quantizer, known, chance)
        return latent

    def get_ready(self, look: Callable[[], tuple[Tensor, Tensor]]) -> None:
        """Before training begins: `look` gives some true latents, and what was foreseen of them."""

    # -- the parts ---------------------------------------------------------------------------

    def situation(
        self, past_BPChw: Tensor, ahead_BChw: Tensor, actions_BMA: Tensor, ego_BE: Tensor
    ) -> Known:
        """All that the next frame is drawn from: the past, what `foresee` says of it, and what is told."""
        return Known(past_BPChw, ahead_BChw, *self.told(actions_BMA, ego_BE))

    def in_bfloat16(self) -> World:
        """A copy whose transformer works in bfloat16, as it did in training; all else stays float32."""
        other = copy.deepcopy(self)
        for part in self.low_precision:
            getattr(other, part).bfloat16()
        return other

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
            ego_BE: before the newest action. Without a place (B, 2), the picture is taken to show where the
                car is.
            picture_BCHW: the last frame as the decoder drew it, to save drawing it again.
        """
        newest, _, foreseen = past_BPChw.unbind(1)
        if self.reprojection is None:
            return newest
        if picture_BCHW is None:
            picture_BCHW = tokenizer.draw(newest)
        motion_BE, _ = self.reader.kinematics(actions_BMA, ego_BE)
        is_placed = ego_BE.shape[1] > MOTIONS
        nudged = self.nudge(past_BPChw, actions_BMA, ego_BE) if is_placed else None
        # a tenth of a pixel matters: too fine for bfloat16
        with torch.autocast(motion_BE.device.type, enabled=False):
            missed_BChw = newest.float() - foreseen.float()
            where_BHW2 = self.reprojection.sources(
                newest.float(), missed_BChw, motion_BE, None if nudged is None else nudged[0]
            )
            if is_placed:
                where_BHW2 = self.lead_moved(where_BHW2, ego_BE, motion_BE, nudged)
            moved = looked_up(picture_BCHW.clamp(-1, 1), where_BHW2)
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
        """Maps of the past (B, P, C, h, w) from two frames alone. What is foreseen of the newest takes
        all for standing, a vehicle ahead too.

        Args:
            tokenizer: see `foresee`.
            newest_BChw: the last frame.
            before_BChw: the one before.
            actions_BMA: newest last; that one led from the one frame to the other.
            ego_BE: speed and yaw rate before it.
        """
        surprised_by_nothing = torch.stack([before_BChw] * PAST_MAPS, 1)
        motion = ego_BE[:, :MOTIONS]  # frames from outside are where they are
        foreseen = self.foresee(tokenizer, surprised_by_nothing, actions_BMA, motion)
        return torch.stack([newest_BChw, before_BChw, foreseen], 1)

    def transform(
        self,
        x_BND: Tensor,
        modulation_B6D: Tensor,
        mask_NN: Tensor | None = None,
        kept: list[KeyValue] | None = None,
    ) -> Tensor:
        """Positions through all blocks. `kept` holds each block's keys and values of earlier positions, and
        gets those of these ones; an empty list at first."""
        x = x_BND.to(modulation_B6D.dtype)  # low precision where autocast says so
        for i, block in enumerate(self.blocks):
            x, seen = block(x, modulation_B6D, mask_NN, kept[i] if kept and i < len(kept) else None)
            if kept is not None:
                kept[i : i + 1] = [seen]
        return x

    def seen(self, known: Known) -> Tensor:
        """The newest frame, what changed since the one before, what the car's motion will change, and what
        changed without it; where a vehicle is expected."""
        newest, before, foreseen = known.past_BPChw.unbind(1)
        maps = [newest, newest - before]
        if self.reprojection is not None:
            maps += [known.ahead_BChw - newest, newest - foreseen]
        if known.lead_B1hw is not None:
            maps.append(known.lead_B1hw)
        return torch.cat(maps, 1)
