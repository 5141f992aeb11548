"""A patch critic: does a picture have the fine grain of a real one, place by place?

A reconstruction judged by distances alone is the mean of all pictures that fit the tokens: soft. The critic
sees patches of some twenty pixels and learns to tell drawn from real; the decoder learns to leave it
nothing to find (PatchGAN, Isola et al. 2017, section 3.2; in a tokenizer: VQGAN, Esser et al. 2021,
section 3.1).

Shapes: B batch, H W picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Critic(nn.Module):
    """(B, 3, H, W) picture -> (B, 1, H/8, W/8): above zero where it looks real."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.PixelUnshuffle(2),  # as in the decoder: dense products instead of thin ones
            nn.Conv2d(12, width, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * width, 3 * width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(3 * width, 1, 1),
        )
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, picture_BCHW: Tensor) -> Tensor:
        out: Tensor = self.layers(picture_BCHW)
        return out

    @contextmanager
    def at_rest(self) -> Iterator[None]:
        """Judge without learning from it: gradients pass through to the picture alone."""
        self.requires_grad_(False)
        try:
            yield
        finally:
            self.requires_grad_(True)

    def fooled(self, drawn_BCHW: Tensor) -> Tensor:
        """What the decoder pays: less, the more its picture looks real."""
        with self.at_rest():
            fooled: Tensor = -self(drawn_BCHW).float().mean()
        return fooled

    def told_apart(self, drawn_BCHW: Tensor, real_BCHW: Tensor) -> Tensor:
        """What the critic pays (hinge loss, Lim & Ye 2017)."""
        real, drawn = self(real_BCHW).float(), self(drawn_BCHW.detach()).float()
        return (F.relu(1 - real).mean() + F.relu(1 + drawn).mean()) / 2
