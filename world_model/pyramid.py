"""The newest frame after each of its scales: how a picture comes about, coarse to fine.

Shapes: B batch, C channels, h w latent map, K scales, H W picture.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from world_model.engine.base import Engine
from world_model.engine.dreaming import DreamEngine
from world_model.tokenizer.autoencoder import to_pixels


@torch.inference_mode()
def pyramid(engine: Engine) -> NDArray[np.uint8]:
    """Draw what the first scale of the newest frames shows, the first two, and so on (K, B, H, W, 3).

    The last is the frame itself. The engine keeps a frame's sum, not its tokens, so they are read from the
    sum again: a few may be other codes near by.

    Raises:
        ValueError: an engine that isn't one of ours, and shows no latent maps.
    """
    if not isinstance(engine, DreamEngine):
        raise ValueError(f"engine is a {type(engine).__name__}; accepted: those of `load_engine`")
    quantizer = engine.tokenizer.quantizer
    latent_BChw = torch.from_numpy(engine.latent).to(engine.torch_device)
    tokens = quantizer.encode(latent_BChw).tokens
    sums = [quantizer.decode(tokens[: k + 1]) for k in range(len(tokens) - 1)]
    drawn: NDArray[np.uint8] = np.stack(
        [to_pixels(engine.draw(total)).cpu().numpy() for total in [*sums, latent_BChw]]
    )
    return drawn
