"""Where in the newest picture the model was unsure: the entropy of its tokens, place by place.

Shapes: B batch, h w latent map, K scales, L tokens, V vocabulary.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from world_model.engine.base import Engine
from world_model.engine.dreaming import DreamEngine
from world_model.families.token_world import TokenWorld
from world_model.sampling import entropy


@torch.inference_mode()
def uncertainty(engine: Engine) -> NDArray[np.float32] | None:
    """Entropy of what the newest frames were drawn from, in nats: (B, h, w), the mean over the scales.

    Asks the model once more for the odds of what it drew, in one pass. None where the newest frames weren't
    drawn by a step: after a reset, a given frame, a restored state, painting.

    Raises:
        ValueError: an engine that isn't one of ours, or a family that draws no tokens.
    """
    if not isinstance(engine, DreamEngine) or not isinstance(engine.world, TokenWorld):
        raise ValueError("this model can't say where it was unsure; accepted: families of tokens")
    world, origin = engine.world, engine.origin
    if origin is None or bool((origin.tokens_BL < 0).any()):
        return None
    quantizer = engine.tokenizer.quantizer
    scales = quantizer.config.scales
    frame = quantizer.quantized(torch.split(origin.tokens_BL.long(), [h * w for h, w in scales], 1))
    known = world.situation(origin.past_BPChw, origin.ahead_BChw, origin.actions_BMA, origin.ego_BE)
    logits = world(quantizer, frame, known)
    maps = []
    for (h, w), logits_BLV in zip(scales, logits, strict=True):
        unsure = entropy(logits_BLV.float().log_softmax(-1)).view(-1, 1, h, w)
        maps.append(F.interpolate(unsure, quantizer.full_size))
    mean: NDArray[np.float32] = torch.cat(maps, 1).mean(1).cpu().numpy()
    return mean
