"""Model families: how the next frame's latent map is drawn. `families.world` says what they share."""

from __future__ import annotations

from world_model.families.config import WorldConfig
from world_model.families.dit import Dit
from world_model.families.nar import Nar
from world_model.families.raster import Raster
from world_model.families.var import Var
from world_model.families.world import World
from world_model.tokenizer.quantizer import QuantizerConfig

FAMILIES: dict[str, type[World]] = {"var": Var, "raster": Raster, "nar": Nar, "dit": Dit}
"""All families by name."""


def make_world(family: str, config: WorldConfig, quantizer: QuantizerConfig) -> World:
    """An untrained model of a family.

    Raises:
        ValueError: an unknown family, or a tokenizer that doesn't suit it.
    """
    if family not in FAMILIES:
        raise ValueError(f"family {family!r} is unknown; known: {', '.join(FAMILIES)}")
    return FAMILIES[family](config, quantizer)


__all__ = ["FAMILIES", "World", "WorldConfig", "make_world"]
