"""Family `dit`: the next frame's continuous latents by flow matching, in many steps or in few.

A transformer (DiT, Peebles and Xie 2023) turns noise into the change that the foreseen frame still needs,
along straight lines (flow matching, Lipman et al. 2023). It is told how long a step it is asked for, and
learns that one long step should do what two half as long do (shortcut models, Frans et al. 2024): one set of
weights is the many-step teacher and its own few-step student. The latents are quantised at the end, as the
past that the model is trained on is.

Shapes as in `families.world`; N positions of 2x2 cells.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from world_model.families.config import WorldConfig
from world_model.families.past import PastPyramid
from world_model.families.var import GROUP, cells
from world_model.families.world import Chance, Known, World
from world_model.layers import Conditioning
from world_model.tokenizer.quantizer import MultiScaleQuantizer, Quantized, QuantizerConfig

FINEST = 7
"""Steps of 2 ** -7 and shorter are all asked for as infinitely short."""


class Dit(World):
    """Flow matching on latents.

    Raises:
        ValueError: a latent map that 2x2 cells don't cover.
    """

    change_C: Tensor
    low_precision = (*World.low_precision, "out")

    def __init__(self, config: WorldConfig, quantizer: QuantizerConfig) -> None:
        super().__init__(config, quantizer)
        d, c, (h, w) = config.width, quantizer.channels, self.full_size
        if h % GROUP or w % GROUP:
            raise ValueError(f"latent map of {h}x{w}; accepted: multiples of {GROUP}")
        self.steps = config.steps
        self.noisy = nn.Linear(c * GROUP**2, d)
        self.past_fine = nn.Linear(self.seen_channels * GROUP**2, d)
        grid = (h // GROUP, w // GROUP)
        self.past = PastPyramid(self.seen_channels, d, self.full_size, [grid])
        self.position_ND = nn.Parameter(0.02 * torch.randn(grid[0] * grid[1], d))
        self.when = Conditioning(2, d)
        self.out = nn.Linear(d, c * GROUP**2)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        # how much of each channel usually changes against what was foreseen: the unit of all flows
        self.register_buffer("change_C", torch.ones(c))

    @property
    def noise(self) -> int:
        """See `World.noise`."""
        return self.quantizer_config.channels * self.full_size[0] * self.full_size[1]

    def get_ready(self, look: Callable[[], tuple[Tensor, Tensor]]) -> None:
        """See `World.get_ready`: how much usually changes."""
        next_BChw, ahead_BChw = look()
        self.change_C.copy_((next_BChw - ahead_BChw).std((0, 2, 3)).clamp_min(1e-3))

    def look_back(self, known: Known) -> Tensor:
        """The past at each position, and which position it is: (B, N, D)."""
        seen = self.seen(known)
        near: Tensor = self.past_fine(cells(seen)) + self.past(seen, known.condition_BD)[0]
        return near + self.position_ND

    def velocity(
        self, x_BChw: Tensor, time_B: Tensor, step_B: Tensor, past_BND: Tensor, condition_BD: Tensor
    ) -> Tensor:
        """Where a point of the flow goes: (B, C, h, w).

        Args:
            x_BChw: the point.
            time_B: 0 at the noise, 1 at the frame.
            step_B: length of the step that is asked for; 0: infinitely short.
            past_BND: see `look_back`.
            condition_BD: see `conditioning`.
        """
        length = (step_B.clamp_min(2.0**-FINEST).log2() + FINEST) / FINEST  # 0 to 1
        when = self.when(torch.stack([time_B, length], 1))
        modulation = self.modulate(condition_BD + when)
        x = self.transform(self.noisy(cells(x_BChw)) + past_BND, modulation)
        out = self.out(self.norm(x)).float().transpose(1, 2)
        half = (self.full_size[0] // GROUP, self.full_size[1] // GROUP)
        return F.pixel_shuffle(out.unflatten(2, half), GROUP)

    def losses(
        self,
        quantizer: MultiScaleQuantizer,
        frame: Quantized,
        next_BChw: Tensor,
        known: Known,
        weight_BL: Tensor | None,
        generator: torch.Generator,
    ) -> list[Tensor]:
        """See `World.losses`: squared errors of the velocity, and of long steps against two half as long."""
        past, condition = self.look_back(known), known.condition_BD
        aim = (next_BChw - known.ahead_BChw) / self.change_C.view(-1, 1, 1)
        count = len(aim)
        noise = torch.randn(aim.shape, generator=generator)
        time = torch.rand(count, generator=generator)
        weight = torch.ones_like(aim[:, :1])
        if weight_BL is not None:
            weight = (weight_BL / weight_BL.mean().clamp_min(1e-6)).view(count, 1, *self.full_size)
        point = noise.lerp(aim, time.view(-1, 1, 1, 1))
        flow = self.velocity(point, time, torch.zeros(count), past, condition)
        velocity_loss = (weight * (flow - (aim - noise)).square()).mean()
        # a quarter of the batch, as in the paper: it costs two more passes
        part = torch.randperm(count, generator=generator)[: max(1, count // 4)]
        power = torch.randint(FINEST, (count,), generator=generator)[part]
        half = 2.0 ** -(power + 1.0)  # of a step of 1, 1/2, ... 1/64
        # a step begins at a multiple of its length
        begin = (time[part] / (2 * half)).floor() * 2 * half
        start = noise[part].lerp(aim[part], begin.view(-1, 1, 1, 1))
        there_known = past[part], condition[part]
        with torch.no_grad():
            first = self.velocity(start, begin, half, *there_known)
            there = start + half.view(-1, 1, 1, 1) * first
            second = self.velocity(there, begin + half, half, *there_known)
        long = self.velocity(start, begin, 2 * half, *there_known)
        shortcut_loss = (weight[part] * (long - (first + second) / 2).square()).mean()
        return [velocity_loss, shortcut_loss]

    def generate(
        self,
        quantizer: MultiScaleQuantizer,
        known: Known,
        chance: Chance,
        scales: int | None = None,
    ) -> tuple[Tensor, list[Tensor]]:
        """See `World.generate`."""
        latent = self.flow(known, chance)
        # near codes lie nearer to each other than bfloat16 tells apart
        with torch.autocast(latent.device.type, enabled=False):
            tokens = list(quantizer.encode(latent).tokens[:scales])
            return quantizer.decode(tokens), tokens

    def flow(self, known: Known, chance: Chance) -> Tensor:
        """The next frame's continuous latents (B, C, h, w), by `steps` Euler steps from noise."""
        ahead, past = known.ahead_BChw, self.look_back(known)
        x = chance.normal(self.noise).view(ahead.shape)
        one = torch.ones_like(ahead[:, 0, 0, 0])
        for i in range(self.steps):
            time, step = one * (i / self.steps), one * (1 / self.steps)
            x = x + self.velocity(x, time, step, past, known.condition_BD) / self.steps
        return ahead + self.change_C.view(-1, 1, 1) * x
