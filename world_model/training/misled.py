"""Pasts that show something else than what is told.

A dream's picture falls behind what is carried along: it shows a car that points down its lane while it drives
off it, or no vehicle where there is one. On recorded drives that never happens; whoever learns from them
alone needn't listen, since the picture shows it as well. So some pasts are changed, and what is told stays.

Shapes as in `families.world`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from world_model.families import World
from world_model.families.car import LEADS
from world_model.families.road import PLACES
from world_model.precision import low_precision
from world_model.tokenizer.model import Tokenizer


@dataclass(frozen=True, slots=True)
class MisledConfig:
    """Which share of the windows is misled, and how far."""

    # sees its past from a car that points elsewhere, where places are carried ...
    turned_share: float = 0.0
    turned_rad: float = 0.02  # ... by about so much
    aside_m: float = 0.0  # ... and stands about so far from where it is
    swapped_share: float = 0.0  # sees another window's vehicle ahead, if vehicles are carried


@torch.no_grad()
def misled(
    past_BPChw: Tensor,
    ego_BE: Tensor,
    world: World,
    tokenizer: Tokenizer,
    config: MisledConfig,
    generator: torch.Generator,
) -> Tensor:
    """Maps of the past, some of them changed."""
    count, past = len(past_BPChw), past_BPChw
    if config.turned_share > 0 and world.road is not None and world.reprojection is not None:
        which = torch.rand(count, generator=generator) < config.turned_share
        usual = torch.tensor((config.aside_m, config.turned_rad))
        nudge_B2 = usual * torch.randn(count, 2, generator=generator)
        if which.any():
            past = past.clone()
            past[which] = turned(past[which], nudge_B2[which], world, tokenizer)
    if config.swapped_share > 0 and world.lead is not None:
        which = torch.rand(count, generator=generator) < config.swapped_share
        covered = world.lead.footprint(ego_BE[:, LEADS], ego_BE[:, PLACES]) > 0
        other = which.view(-1, 1, 1, 1) & (covered | covered.roll(1, 0))
        past = torch.where(other.unsqueeze(1), past.roll(1, 0), past)
    return past


def turned(past_BPChw: Tensor, nudge_B2: Tensor, world: World, tokenizer: Tokenizer) -> Tensor:
    """Maps of the past as a car would have seen them that was so many metres further to the left, and pointed
    so many rad further to the left."""
    assert world.reprojection is not None
    maps = past_BPChw.flatten(0, 1)
    nudge = nudge_B2.repeat_interleave(past_BPChw.shape[1], 0)
    nothing, standing = torch.zeros_like(maps), torch.zeros_like(nudge)
    with low_precision():
        pictures = tokenizer.draw(maps).float().clamp(-1, 1)
        seen = tokenizer.see(world.reprojection(pictures, maps, nothing, standing, nudge))
    quantized = tokenizer.quantizer.encode(seen.float()).latent_BChw
    newest, before, _ = quantized.view_as(past_BPChw).unbind(1)
    # what is foreseen is never quantised: it would tell that something was changed
    return torch.stack([newest, before, seen.float().view_as(past_BPChw)[:, 2]], 1)
