"""Where along a closed course the car is, carried along from step to step.

Two frames don't tell where on a course they were taken: a bend with trees looks like another one, and a dream
that takes it for that goes on there. The way doesn't forget. How far the car has come since it was last known
where it is says which part of the course the next frame has to show; that it is known at the start is the
work of a reader that learns the course by heart.

Shapes: B batch, D width, C channels, h w latent map, P places.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PLACE_M = 4.0
HARMONICS = 48
"""Of the course's length, by which a place is told: the shortest is some twenty metres of a kilometre."""
SEEN, HIDDEN = 32, 128


class Course(nn.Module):
    """Tells the part of the course that is expected of the next frame. Begins as if it weren't there.

    Args:
        width: D.
        channels: C.
        map_size: (h, w).
        length_m: once round.
    """

    harmonics_F: Tensor

    def __init__(
        self, width: int, channels: int, map_size: tuple[int, int], length_m: float
    ) -> None:
        super().__init__()
        self.length_m = length_m
        self.places = max(2, round(length_m / PLACE_M))
        harmonics = torch.arange(1, HARMONICS + 1, dtype=torch.float32)
        self.register_buffer("harmonics_F", harmonics, persistent=False)
        self.condition = nn.Sequential(
            nn.Linear(2 * HARMONICS, width), nn.SiLU(), nn.Linear(width, width)
        )
        for parameter in self.condition[-1].parameters():
            nn.init.zeros_(parameter)
        h, w = map_size
        self.reader = nn.Sequential(
            nn.Conv2d(channels, SEEN, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.Flatten(),
            nn.Linear(SEEN * ((h + 1) // 2) * ((w + 1) // 2), HIDDEN),
            nn.SiLU(),
            nn.Linear(HIDDEN, self.places),
        )

    def forward(self, along_m_B: Tensor) -> Tensor:
        """What is added to the conditioning (B, D), of the metres along the course."""
        phase = math.tau / self.length_m * along_m_B.float().unsqueeze(1) * self.harmonics_F
        out: Tensor = self.condition(torch.cat([phase.sin(), phase.cos()], 1))
        return out

    def after(self, along_m_B: Tensor, way_m_B: Tensor) -> Tensor:
        """Metres along the course (B,), less than once round, after so many more."""
        return (along_m_B + way_m_B).remainder(self.length_m)

    def read(self, latent_BChw: Tensor) -> Tensor:
        """Metres along the course (B,) by what a frame shows."""
        place_B: Tensor = self.reader(latent_BChw).argmax(1)
        return (place_B + 0.5) * (self.length_m / self.places)

    def loss(self, latent_BChw: Tensor, along_m_B: Tensor) -> Tensor:
        """How badly the place is read, nats a frame."""
        place_B = (along_m_B / self.length_m * self.places).long() % self.places
        return F.cross_entropy(self.reader(latent_BChw).float(), place_B)
