"""`dreamlane bench resolution`: what drawing a frame costs the families as the picture grows.

VAR's claim (Tian et al. 2024, section 3.2) is O(n^4) work where one token after the other takes O(n^6), for
maps of n x n tokens. Weights don't matter to cost, so untrained models are counted and timed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from simulator.bench.contenders import Contender, Times, compete
from simulator.bench.dreams import section
from simulator.bench.floor import counted_gflop
from simulator.bench.settings import BenchConfig, Row
from simulator.evaluation.report import Section, table

HEIGHTS = (4, 8, 16, 32)  # of the latent map, half its width; pictures are 16 times as high
PICTURE = 16
DEPTHS = {"var": 6, "raster": 8, "nar": 8, "dit": 9}  # equal parameters at 8x16
HOW = "growth with the map's height over the two largest sizes"
SLOWEST = {"raster": 16}  # the largest map that is drawn at all: 512 passes


def measure_resolution(config: BenchConfig) -> Section:
    """Operations and time of drawing one latent map, by family and size, and how fast both grow."""
    costs: dict[str, list[tuple[int, float, Times]]] = {}
    lines, rows = [], []
    for height in HEIGHTS:
        turns, gflop = [], {}
        for family in DEPTHS:
            if height <= SLOWEST.get(family, max(HEIGHTS)):
                turn = drawing(family, height)
                gflop[family] = counted_gflop(turn)
                turns.append(Contender(family, turn))
        for family, times in compete(turns, replace(config, rounds=min(config.rounds, 5))).items():
            costs.setdefault(family, []).append((height, gflop[family], times))
    for family, sizes in costs.items():
        for height, operations, times in sizes:
            size = f"{height * PICTURE}x{2 * height * PICTURE}"
            lines.append((family, size, f"{operations:.3f}", f"{times.quantile(0.5):.1f}"))
        heights, operations_by_size, spent = zip(*sizes, strict=True)
        medians = tuple(times.quantile(0.5) for times in spent)
        for what, values in (("operations", operations_by_size), ("time", medians)):
            grown = slope(heights, values)
            rows.append(Row(f"{family}, exponent of {what}", grown, "", "", HOW))
    columns = ("family", "picture", "GFLOP", "p50, ms")
    return section(
        "resolution",
        "Cost against resolution",
        rows,
        [table("Drawing one latent map, batch 1, PyTorch, float32", columns, lines)],
        "The claimed exponents are those of attention in the limit of large maps (n^6 without kept keys and"
        " values, which `raster` keeps here); at these sizes the layers between, which grow with the number"
        " of tokens (n^2), weigh more. `dit` draws in 4 steps.",
    )


def drawing(family: str, height: int) -> Callable[[], Any]:
    """Draws maps of this height with an untrained model."""
    import torch

    from simulator.bench.drawing import at_random, generator
    from world_model.checkpoint import Checkpoint, ModelConfig
    from world_model.families import WorldConfig, make_world
    from world_model.tokenizer.model import Tokenizer, TokenizerConfig
    from world_model.tokenizer.quantizer import QuantizerConfig

    flat = family in ("raster", "nar")
    halves = [height // 2**i for i in range(int(np.log2(height)), -1, -1)]
    quantizer = QuantizerConfig(
        heights=(height, height) if flat else (*halves, height), repair=not flat
    )
    tokens = TokenizerConfig(
        quantizer=quantizer, frame_height=height * PICTURE, frame_width=2 * height * PICTURE
    )
    torch.manual_seed(0)
    world_size = WorldConfig(192, DEPTHS[family], 6)
    world = make_world(family, world_size, quantizer).eval().requires_grad_(False)
    described = ModelConfig("untrained", family, tokens, world_size)
    untrained = Checkpoint(described, Tokenizer(tokens).eval(), world, "")
    return generator(untrained, "float32", at_random(untrained))


def slope(heights: tuple[int, ...], values: tuple[float, ...]) -> float:
    """Exponent of the growth between the two largest sizes."""
    return float(np.log(values[-1] / values[-2]) / np.log(heights[-1] / heights[-2]))
