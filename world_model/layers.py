"""Building blocks shared by model families: a transformer block modulated by the action, and embeddings.

Shapes: B batch, N positions, D width, A scalars that condition a frame.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

KeyValue = tuple[Tensor, Tensor]


class Block(nn.Module):
    """Pre-norm attention and MLP; scale, shift and gate come from the frame's conditioning.

    The modulation is computed once a frame and shared by all layers, each of which adds its own learned
    offset (VAR's shared AdaLN). Queries and keys are normalised, with a learned temperature per head.
    """

    def __init__(self, width: int, heads: int, depth: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)
        self.temperature_H = nn.Parameter(torch.full((heads,), 1.5))
        offset = torch.zeros(6, width)
        offset[2] = offset[5] = 1.0  # gates open, on outputs that start small
        self.offset_6D = nn.Parameter(offset)
        for layer in (self.out, self.down):
            layer.weight.data.mul_((2 * depth) ** -0.5)

    def forward(
        self,
        x_BND: Tensor,
        modulation_B6D: Tensor,
        mask_NN: Tensor | None = None,
        past: KeyValue | None = None,
    ) -> tuple[Tensor, KeyValue]:
        """`past` holds keys and values of earlier positions (B, heads, M, D / heads)."""
        b, n, d = x_BND.shape
        mod = (modulation_B6D + self.offset_6D.to(modulation_B6D.dtype)).unsqueeze(2).unbind(1)
        h = torch.addcmul(mod[1], self.norm(x_BND), 1 + mod[0])
        q, k, v = self.qkv(h).view(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        q = F.layer_norm(q, q.shape[-1:]) * self.temperature_H.view(1, -1, 1, 1).to(q.dtype)
        k = F.layer_norm(k, k.shape[-1:])
        if past is not None:
            k, v = torch.cat([past[0], k], 2), torch.cat([past[1], v], 2)
        y = attend(q, k, v, mask_NN)
        x_BND = x_BND + mod[2] * self.out(y.transpose(1, 2).reshape(b, n, d))
        h = torch.addcmul(mod[4], self.norm(x_BND), 1 + mod[3])
        x_BND = x_BND + mod[5] * self.down(F.silu(self.up(h)))
        return x_BND, (k, v)


def attend(q_BHND: Tensor, k_BHMD: Tensor, v_BHMD: Tensor, mask_NM: Tensor | None) -> Tensor:
    """Attention written out: for some hundred positions on a CPU the fused kernel's backward pass is
    ten times slower than two batched products."""
    scores = (q_BHND * q_BHND.shape[-1] ** -0.5) @ k_BHMD.transpose(-1, -2)
    if mask_NM is not None:
        scores = scores + mask_NM.to(scores.dtype)
    out: Tensor = scores.softmax(-1).to(v_BHMD.dtype) @ v_BHMD
    return out


def later_hidden(order_N: Tensor) -> Tensor:
    """(N, N), to be added to the scores: a position sees those whose place in the order isn't later."""
    hidden = order_N[:, None] < order_N[None, :]
    return torch.zeros(hidden.shape).masked_fill(hidden, -1e4)


class Conditioning(nn.Module):
    """Actions and ego state to one vector: Fourier features, then an MLP.

    Args:
        scalars: A.
        width: D.
        bands: Fourier features of each.
        silent: begins as if it weren't there: with zeros.
    """

    frequencies_F: Tensor

    def __init__(self, scalars: int, width: int, bands: int = 6, silent: bool = False) -> None:
        super().__init__()
        self.register_buffer("frequencies_F", math.pi * 2.0 ** torch.arange(bands) / 2)
        self.mlp = nn.Sequential(
            nn.Linear(scalars * (2 * bands + 1), width), nn.SiLU(), nn.Linear(width, width)
        )
        if silent:
            for parameter in self.mlp[-1].parameters():
                nn.init.zeros_(parameter)

    def forward(self, scalars_BA: Tensor) -> Tensor:
        """(B, A), each roughly in [-1, 1], to (B, D)."""
        phase = scalars_BA.unsqueeze(-1) * self.frequencies_F
        features = torch.cat([scalars_BA.unsqueeze(-1), phase.sin(), phase.cos()], -1)
        out: Tensor = self.mlp(features.flatten(1))
        return out
