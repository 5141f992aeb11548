"""One step of a dream as one static graph of tensors: what every backend runs.

Everything that a step depends on goes in, everything that the next one needs comes out; nothing is kept, and
nothing waits for the host. Shapes as in `engine.base`; P maps of the past, M remembered actions (newest
last), H W picture.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from world_model.checkpoint import ModelConfig
from world_model.engine.base import STATE_HEADS
from world_model.families.var import Var
from world_model.sampling import sample
from world_model.tokenizer.autoencoder import to_pixels
from world_model.tokenizer.model import Tokenizer


class StepInputs(NamedTuple):
    """What a step depends on, in the order in which `StepGraph` takes it."""

    past_BPChw: Tensor
    picture_BCHW: Tensor  # the newest frame as drawn
    actions_BMA: Tensor
    ego_BE: Tensor
    noise_BL: Tensor


class StepTensors(NamedTuple):
    """What a step yields."""

    frame_BHWC: Tensor  # uint8
    picture_BCHW: Tensor  # the frame before it was rounded: the next step moves it
    ahead_BChw: Tensor  # what was foreseen of it
    latent_BChw: Tensor
    tokens_BL: Tensor
    state_BS: Tensor
    event_BE: Tensor  # probabilities
    surprise_B: Tensor
    drift_B: Tensor


class StepGraph(nn.Module):
    """Foresee, draw the tokens scale by scale, read the state, draw the picture.

    Args:
        config: of the checkpoint.
        world: its world model.
        codec: its tokenizer, to draw pictures and read them back; may be in another precision.
        quantizer_of: its tokenizer in float32.
    """

    drift_mean: Tensor
    drift_std: Tensor

    def __init__(
        self, config: ModelConfig, world: Var, codec: Tokenizer, quantizer_of: Tokenizer
    ) -> None:
        super().__init__()
        self.config, self.world, self.codec = config, world, codec
        self.quantizer = quantizer_of.quantizer
        self.register_buffer("drift_mean", torch.tensor(config.drift_mean))
        self.register_buffer("drift_std", torch.tensor(config.drift_std))
        # so many are drawn; the tokens of others are -1
        self.scales = len(self.quantizer.config.scales)
        self.decode = True  # False leaves the picture out, where the next step can do without

    def forward(
        self,
        past_BPChw: Tensor,
        picture_BCHW: Tensor,
        actions_BMA: Tensor,
        ego_BE: Tensor,
        noise_BL: Tensor,
    ) -> StepTensors:
        """One step; see `StepInputs`."""
        sampling = self.config.sampling
        calm_B11 = torch.ones_like(ego_BE[:, :1, None])
        if STATE_HEADS[0] in self.config.known_heads:
            calm_B11 = sampling.calm(ego_BE[:, 0]).view(-1, 1, 1)
        entropies: list[Tensor] = []

        def choose(k: int, logits_BLV: Tensor) -> Tensor:
            start = sum(e.shape[1] for e in entropies)
            part = noise_BL[:, start : start + logits_BLV.shape[1]]
            temperature = sampling.temperature(k) * calm_B11
            tokens, entropy = sample(logits_BLV, part, temperature, sampling.min_p)
            entropies.append(entropy)
            return tokens

        condition = self.world.conditioning(actions_BMA, ego_BE)
        ahead = self.world.foresee(self.codec, past_BPChw, actions_BMA, ego_BE, picture_BCHW)
        latent, tokens = self.world.generate(
            self.quantizer, past_BPChw, ahead, condition, choose, self.scales
        )
        drawn = sum(part.shape[1] for part in tokens)
        left_out = tokens[0].new_full((len(latent), noise_BL.shape[1] - drawn), -1)
        state, _, event = self.world.reader(
            latent, past_BPChw[:, 0], condition, actions_BMA, ego_BE
        )
        picture = picture_BCHW
        if self.decode or self.world.reprojection is not None:
            picture = self.codec.draw(latent)
        return StepTensors(
            to_pixels(picture),
            picture,
            ahead,
            latent,
            torch.cat([*tokens, left_out], 1) if left_out.shape[1] else torch.cat(tokens, 1),
            state,
            event.sigmoid(),
            torch.cat(entropies, 1).mean(1),
            self.drift(latent),
        )

    def drift(self, latent_BChw: Tensor) -> Tensor:
        """By how much the statistics lie outside those of true frames, 0 inside: (B,)."""
        if not self.config.drift_mean:
            return torch.zeros_like(latent_BChw[:, 0, 0, 0])
        z = (drift_statistics(latent_BChw) - self.drift_mean) / self.drift_std
        return (z.square().mean(1).sqrt() - self.config.drift_threshold).clamp_min(0)


def drift_statistics(latent_BChw: Tensor) -> Tensor:
    """Mean and spread of each latent channel over the picture: (B, 2 C)."""
    flat = latent_BChw.flatten(2)
    return torch.cat([flat.mean(2), flat.std(2)], 1)
