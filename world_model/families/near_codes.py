"""Odds of the codes by their distance from where the next latent is expected.

The quantiser picks the code nearest to what the coarser scales left over. So when that residual is
expected at z, a code's odds fall with its squared distance, as a Gaussian's: log p(c) is
precision * (z . c - |c|^2 / 2) plus a constant. z begins with what is left of the foreseen frame (the last
one, where no camera is known); the transformer gates it and adds what the wheel and the road change. Without
this a model must learn by heart which of a thousand codes is near which.

Shapes: B batch, C channels, h w latent map, L tokens of a scale, V vocabulary, D width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class NearCodes(nn.Module):
    """Adds nothing at first (precision 0): training decides how far to trust it.

    Args:
        width: of the transformer.
        channels: of the latent map.
        cells: tokens that one position speaks for.
    """

    def __init__(self, width: int, channels: int, cells: int) -> None:
        super().__init__()
        self.channels, self.cells = channels, cells
        self.read = nn.Linear(width, cells * (2 * channels + 1))
        nn.init.zeros_(self.read.weight)
        nn.init.zeros_(self.read.bias)

    def values(self, x_BND: Tensor) -> Tensor:
        """What each position says of each of its tokens: (B, N, cells, 2 C + 1)."""
        out: Tensor = self.read(x_BND)
        return out.view(*out.shape[:-1], self.cells, 2 * self.channels + 1)

    def forward(
        self, free_BLV: Tensor, said_BLR: Tensor, rest_BLC: Tensor, codes_VC: Tensor
    ) -> Tensor:
        """The free logits plus the near codes' (B, L, V), float32.

        Args:
            free_BLV: logits to add to.
            said_BLR: `values`, in raster order of the token map.
            rest_BLC: what the coarser scales leave over of the foreseen frame, at this scale.
            codes_VC: the scale's codebook.
        """
        # in bfloat16 the differences between near codes would drown
        with torch.autocast(said_BLR.device.type, enabled=False):
            gate, change, precision = torch.split(
                said_BLR.float(), [self.channels, self.channels, 1], -1
            )
            unit = codes_VC.square().mean().sqrt().clamp_min(1e-6)
            codes = codes_VC / unit
            expected = (1 + gate) * (rest_BLC / unit) + change
            # precise predictions need a precision of some tens here, vague ones of one: the sum over channels
            # would make all others' share of the clipped gradient small, its mean takes hours to get there
            weight = precision / self.channels**0.5
            # z . c - |c|^2 / 2 as one product: everything of size V is touched once
            half_norm_V1 = 0.5 * codes.square().sum(1, keepdim=True)
            table_VR = torch.cat([codes, half_norm_V1], 1)
            aim_BLR = torch.cat([weight * expected, -weight], -1)
            return torch.baddbmm(
                free_BLV.float(), aim_BLR, table_VR.t().expand(len(aim_BLR), -1, -1)
            )
