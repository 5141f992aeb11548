"""How the past enters a prediction: a small convolutional pyramid over the last frames, moved by the action.

The picture of the next frame is the last one, shifted and scaled as the car moves. Where a cell's content
goes depends on its neighbours and on speed and yaw rate, so neighbours are convolved and both layers are
modulated by the conditioning (FiLM, Perez et al. 2018). Every scale then reads its own grid in full detail:
a coarse token's fate is decided at its edges, which an average over the cell no longer shows.

Shapes: B batch, C channels, h w latent map, N_k positions of scale k, D width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

STEM, TRUNK = 64, 96


class PastPyramid(nn.Module):
    """What is seen of the past -> what each scale's positions start from.

    Args:
        channels: of what is seen of the past, latent maps side by side.
        width: D.
        full_size: (h, w) of the latent map, even.
        grids: rows and columns of positions of each scale.

    Raises:
        ValueError: a grid that is neither the latent map's own nor divides half of it.
    """

    def __init__(
        self,
        channels: int,
        width: int,
        full_size: tuple[int, int],
        grids: list[tuple[int, int]],
    ) -> None:
        super().__init__()
        half = (full_size[0] // 2, full_size[1] // 2)
        smaller = [grid for grid in grids if grid != full_size]
        if any(half[0] % rows or rows * half[1] != columns * half[0] for rows, columns in smaller):
            raise ValueError(
                f"grids {grids}; accepted: {full_size}, and those that divide half of it, with its aspect"
            )
        self.stem = nn.Conv2d(channels, STEM, 3, padding=1)
        self.trunk = nn.Conv2d(STEM, TRUNK, 4, stride=2, padding=1)
        self.film = nn.Linear(width, 2 * (STEM + TRUNK))
        steps = [half[0] // rows for rows, _ in grids]  # across as well: all grids have one aspect
        self.reads = nn.ModuleList(
            # the trunk has half the map's size: at full size one place of it speaks for 2x2 positions
            nn.Conv2d(TRUNK, width, step, stride=step) if step else nn.Conv2d(TRUNK, 4 * width, 1)
            for step in steps
        )
        self.full = [grid == full_size for grid in grids]
        for layer in (self.film, *self.reads):  # at first the past says nothing this way
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, seen_BChw: Tensor, condition_BD: Tensor) -> list[Tensor]:
        """(B, channels, h, w) -> K tensors (B, N_k, D)."""
        film = self.film(F.silu(condition_BD))[..., None, None]
        scale1, shift1, scale2, shift2 = film.split([STEM, STEM, TRUNK, TRUNK], 1)
        x = F.silu(torch.addcmul(shift1, self.stem(seen_BChw), 1 + scale1))
        x = F.silu(torch.addcmul(shift2, self.trunk(x), 1 + scale2))
        return [
            F.pixel_shuffle(layer(x), 2).flatten(2).transpose(1, 2) if full else _read(layer, x)
            for layer, full in zip(self.reads, self.full, strict=True)
        ]


def _read(layer: nn.Module, x_BCgk: Tensor) -> Tensor:
    """A convolution whose stride is its kernel, as a matrix product: (B, N, D). Faster at batch 1."""
    assert isinstance(layer, nn.Conv2d)
    cells = F.pixel_unshuffle(x_BCgk, layer.stride[0]).flatten(2).transpose(1, 2)
    return F.linear(cells, layer.weight.flatten(1), layer.bias)
