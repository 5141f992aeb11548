"""Dreams for training, some of which stay near the recorded drive.

A free dream soon goes another way than the recording: its car is somewhere else, its bend begins later. The
true next frame then teaches that what is seen doesn't last, and the model becomes unsure of everything. So
in a steered dream each place of the picture draws a few tokens and keeps the one nearest to the truth:
chance goes the recording's way, while the model's own mistakes, which no choice avoids, stay in. Free dreams
are needed beside them: they alone show what long ones are made of.

Free dreams teach something wrong as well. Recorded drivers mostly stay on their lane, so the true next frame
of a dream whose car is elsewhere shows it back on the lane: the road comes to meet the driver. And that of
a dream whose vehicle ahead has come apart shows the vehicle: vehicles come out of nothing. So dreams that
have got lost wake up (`lost`).

Shapes: B batch, C channels, h w latent map, L tokens of a scale, V vocabulary, n choices,
S states (`STATE_HEADS`).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from world_model.engine.base import STATE_HEADS
from world_model.sampling import SamplingConfig, cumulative_odds, pick
from world_model.tokenizer.quantizer import MultiScaleQuantizer


class Steered:
    """Chooses tokens for `World.dream`, map after map.

    Args:
        quantizer: whose tokens.
        sampling: as the engine samples.
        choices: n, tokens drawn for each place of a steered dream.
        steered_share: this share of the dreams, the first ones, is steered.
        true_BChw: continuous latents of the true frame.
        speed_mps_B: before the step.
        generator: of all chance.
    """

    def __init__(
        self,
        quantizer: MultiScaleQuantizer,
        sampling: SamplingConfig,
        choices: int,
        steered_share: float,
        *,
        true_BChw: Tensor,
        speed_mps_B: Tensor,
        generator: torch.Generator,
    ) -> None:
        self.quantizer, self.sampling, self.choices = quantizer, sampling, choices
        self.true_BChw, self.generator = true_BChw, generator
        self.begin = generator.get_state()
        self.again()
        self.free_B = torch.arange(len(true_BChw)) >= round(steered_share * len(true_BChw))
        self.calm_B11 = sampling.calm(speed_mps_B).view(-1, 1, 1)

    def again(self) -> None:
        """See `families.world.DreamChance`."""
        self.rest_BChw = self.true_BChw
        self.generator.set_state(self.begin)

    def normal(self, count: int) -> Tensor:
        """See `families.world.Chance`; what is drawn of it isn't steered."""
        size_B1 = (self.sampling.temperature(0) * self.calm_B11.view(-1, 1)).sqrt()
        return size_B1 * torch.randn(len(size_B1), count, generator=self.generator)

    def __call__(self, k: int, logits_BLV: Tensor) -> Tensor:
        """Tokens of scale k (B, L); the scales have to come in their order."""
        temperature = self.sampling.temperature(k) * self.calm_B11
        cumulative = cumulative_odds(logits_BLV.float(), temperature, self.sampling.min_p)
        noise_nBL = torch.rand(self.choices, *logits_BLV.shape[:2], generator=self.generator)
        drawn_BLn = torch.stack([pick(cumulative, noise_BL) for noise_BL in noise_nBL], -1)
        wanted_BLC = self.quantizer.down(self.rest_BChw, k).flatten(2).transpose(1, 2)
        codes_BLnC = F.embedding(drawn_BLn, self.quantizer.codebook_KVC[k])
        away_BLn = (codes_BLnC - wanted_BLC.unsqueeze(2)).square().sum(-1)
        away_BLn[self.free_B, :, 1:] = torch.inf
        tokens_BL = drawn_BLn.gather(2, away_BLn.argmin(2, keepdim=True)).squeeze(2)
        self.rest_BChw = self.rest_BChw - self.quantizer.contribution(tokens_BL, k)
        return tokens_BL


LOST = {"lane_offset_m": 0.5, "heading_error_rad": 0.08}
"""Several times what the reader errs by on the frames that it learns from."""
LOST_LEAD = 3.0
"""So many times as far ahead, or as near: one true frame in forty reads so, one free dream in twenty."""


def lost(read_BS: Tensor, true_BS: Tensor) -> Tensor:
    """Which dreams read as elsewhere than the recording is (B,), or as behind another vehicle.

    Unknown labels tell nothing.
    """
    read_BS, lead = read_BS.float(), STATE_HEADS.index("lead_distance_m")
    away = (read_BS - true_BS).nan_to_num().abs()
    gone = [away[:, STATE_HEADS.index(name)] > by for name, by in LOST.items()]
    times = read_BS[:, lead].clamp_min(1.0).log() - true_BS[:, lead].clamp_min(1.0).log()
    gone.append(times.nan_to_num().abs() > math.log(LOST_LEAD))
    return torch.stack(gone).any(0)
