"""What a step costs at least: counted operations over what the machine's matrix unit does."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from world_model.engine.eager import EagerEngine

SIZE = 1024


def peak_gflops(precision: str, device: str = "cpu") -> float:
    """GFLOP/s of large matrix products, the best of some seconds' tries. A product and a sum are two."""
    import torch

    dtype = getattr(torch, precision)
    one, other = (torch.randn(SIZE, SIZE).to(device, dtype) for _ in range(2))
    best_s = float("inf")
    until = time.perf_counter() + 2.0
    while time.perf_counter() < until:
        begin = time.perf_counter()
        one @ other
        if device == "cuda":
            torch.cuda.synchronize()
        best_s = min(best_s, time.perf_counter() - begin)
    return 2 * SIZE**3 / best_s / 1e9


def parameters(part: nn.Module) -> int:
    """How many numbers are learned in it."""
    return sum(p.numel() for p in part.parameters())


def step_gflop(engine: EagerEngine) -> float:
    """Operations of one step of all its dreams."""
    import numpy as np

    still = np.zeros((engine.batch_size, 2), np.float32)
    noise = engine.draw_noise([np.random.default_rng(0)] * engine.batch_size)
    engine.step(still, noise)  # the first has to draw the start as well
    return counted_gflop(lambda: engine.step(still, noise))


def counted_gflop(turn: Callable[[], object]) -> float:
    """Operations of one turn: matrix products and convolutions."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        turn()
    return float(counter.get_total_flops()) / 1e9
