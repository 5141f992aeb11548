"""One step of a dream as one static graph of tensors: what every backend runs.

Everything that a step depends on goes in, everything that the next one needs comes out; nothing is kept, and
nothing waits for the host. Shapes as in `engine.base`; P maps of the past, M remembered actions (newest
last), H W picture.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from world_model.checkpoint import ModelConfig
from world_model.engine.base import STATE_HEADS
from world_model.families.world import World
from world_model.sampling import SamplingConfig, sample
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
    unsure_BS: Tensor  # Laplace scales of the states, in their units
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
        self, config: ModelConfig, world: World, codec: Tokenizer, quantizer_of: Tokenizer
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
        moves = STATE_HEADS[0] in self.config.known_heads
        chance = GivenNoise(self.config.sampling, noise_BL, ego_BE[:, 0] if moves else None)
        ahead = self.world.foresee(self.codec, past_BPChw, actions_BMA, ego_BE, picture_BCHW)
        known = self.world.situation(past_BPChw, ahead, actions_BMA, ego_BE)
        latent, tokens = self.world.generate(self.quantizer, known, chance, self.scales)
        drawn = sum(part.shape[1] for part in tokens)
        left_out = tokens[0].new_full((len(latent), self.quantizer.config.tokens - drawn), -1)
        state, log_scale, event = self.world.read(latent, past_BPChw[:, 0], actions_BMA, ego_BE)
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
            self.world.reader.unsure(log_scale),
            event.sigmoid(),
            chance.surprise(),
            self.drift(latent),
        )

    def drift(self, latent_BChw: Tensor) -> Tensor:
        """By how much the statistics lie outside those of true frames, 0 inside: (B,)."""
        if not self.config.drift_mean:
            return torch.zeros_like(latent_BChw[:, 0, 0, 0])
        z = (drift_statistics(latent_BChw) - self.drift_mean) / self.drift_std
        return (z.square().mean(1).sqrt() - self.config.drift_threshold).clamp_min(0)


class GivenNoise:
    """The `families.world.Chance` of an engine: all of it comes from uniform numbers, in their order.

    Args:
        sampling: how tokens are drawn.
        noise_BL: in [0, 1).
        speed_mps_B: before the step; None where it isn't known.
    """

    def __init__(
        self, sampling: SamplingConfig, noise_BL: Tensor, speed_mps_B: Tensor | None
    ) -> None:
        self.sampling, self.noise_BL = sampling, noise_BL
        calm = torch.ones_like(noise_BL[:, 0])
        self.calm_B = calm if speed_mps_B is None else sampling.calm(speed_mps_B)
        self.entropies: list[Tensor] = []

    def __call__(self, k: int, logits_BLV: Tensor) -> Tensor:
        """See `Chance`."""
        start = sum(e.shape[1] for e in self.entropies)
        part = self.noise_BL[:, start : start + logits_BLV.shape[1]]
        temperature = self.sampling.temperature(k) * self.calm_B.view(-1, 1, 1)
        tokens, entropy = sample(logits_BLV, part, temperature, self.sampling.min_p)
        self.entropies.append(entropy)
        return tokens

    def normal(self, count: int) -> Tensor:
        """See `Chance`; Box and Muller's way, since runtimes lack the inverse of the distribution. A
        temperature of T divides log odds by T: a normal distribution gets T times its variance."""
        size, angle = self.noise_BL[:, :count].chunk(2, 1)
        variance_B1 = self.sampling.temperature(0) * self.calm_B[:, None]
        radius = (-2 * torch.log1p(-size) * variance_B1).sqrt()
        return torch.cat([radius * (math.tau * angle).cos(), radius * (math.tau * angle).sin()], 1)

    def surprise(self) -> Tensor:
        """Mean entropy of what was drawn (B,), in nats; NaN where nothing says how likely it was."""
        if not self.entropies:
            return self.calm_B * torch.nan
        return torch.cat(self.entropies, 1).mean(1)


def drift_statistics(latent_BChw: Tensor) -> Tensor:
    """Mean and spread of each latent channel over the picture: (B, 2 C)."""
    flat = latent_BChw.flatten(2)
    return torch.cat([flat.mean(2), flat.std(2)], 1)
