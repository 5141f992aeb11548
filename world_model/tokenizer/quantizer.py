"""Multi-scale residual vector quantisation: a latent map becomes K token maps, coarse to fine.

Each scale quantises what the coarser ones left over (VAR, Tian et al. 2024, algorithms 1 and 2). Codes are
learned by exponential moving averages, one codebook a scale; dead codes are revived from the data.

Shapes: B batch, C channels, K scales, h w full latent map, h_k w_k map of scale k, V vocabulary,
L_k = h_k * w_k tokens of scale k.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

REVIVE_BELOW = 0.02
"""A code whose running count per batch falls below this is replaced by a vector from the data."""

LIKELY = 32
"""A wrong token is drawn from so many nearest codes: what a model says by mistake is seldom far off."""


@dataclass(frozen=True, slots=True)
class QuantizerConfig:
    """Heights of the token maps, coarse to fine; the last one is the latent map's own.

    The full size appears twice: its second map corrects the first, and the model that predicts it has
    seen the first.

    Raises:
        ValueError: heights that don't divide the last one, or a vocabulary that 16 bits can't hold.
    """

    heights: tuple[int, ...] = (1, 2, 4, 8, 8)
    aspect: int = 2  # width / height of every map
    vocabulary: int = 1024
    channels: int = 24
    repair: bool = True  # a small convolution a scale repairs what up-sampling blurs
    decay: float = 0.98
    commitment: float = 0.25

    def __post_init__(self) -> None:
        heights = self.heights
        if not heights or min(heights) < 1 or any(heights[-1] % h for h in heights):
            raise ValueError(f"heights={heights}; accepted: numbers that divide the last one")
        if list(heights) != sorted(heights):
            raise ValueError(f"heights={heights}; accepted: coarse to fine")
        if not 2 <= self.vocabulary <= 2**15:
            raise ValueError(f"vocabulary={self.vocabulary}; accepted: 2 to {2**15}")

    @property
    def scales(self) -> tuple[tuple[int, int], ...]:
        """(h_k, w_k) of each scale, coarse to fine."""
        return tuple((h, h * self.aspect) for h in self.heights)

    @property
    def tokens(self) -> int:
        """Tokens of one frame."""
        return sum(h * w for h, w in self.scales)


@dataclass(frozen=True, slots=True)
class Quantized:
    """Result of quantising a latent map."""

    latent_BChw: Tensor  # sum over scales
    before: tuple[Tensor, ...]  # K maps (B, C, h, w): the sum of all coarser scales, zero first
    tokens: tuple[Tensor, ...]  # K maps (B, L_k), int64
    targets: tuple[Tensor, ...]  # as tokens, before any corruption: what a model should have said


class MultiScaleQuantizer(nn.Module):
    """Residual quantizer over scales with EMA codebooks."""

    codebook_KVC: Tensor
    count_KV: Tensor
    sum_KVC: Tensor
    ready: Tensor

    def __init__(self, config: QuantizerConfig) -> None:
        super().__init__()
        self.config = config
        k, v, c = len(config.scales), config.vocabulary, config.channels
        self.register_buffer("codebook_KVC", torch.randn(k, v, c))
        self.register_buffer("count_KV", torch.ones(k, v))
        self.register_buffer("sum_KVC", torch.randn(k, v, c))
        self.register_buffer("ready", torch.zeros(1))
        # VAR section 3.2
        convs = [nn.Conv2d(c, c, 3, padding=1) for _ in config.scales if config.repair]
        self.repair = nn.ModuleList(convs)
        for conv in self.repair:
            nn.init.zeros_(conv.weight)  # type: ignore[arg-type]
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]

    @property
    def full_size(self) -> tuple[int, int]:
        """(h, w) of the latent map."""
        return self.config.scales[-1]

    def down(self, x_BChw: Tensor, k: int) -> Tensor:
        """Average a full map down to scale k."""
        size = self.config.scales[k]
        if size == self.full_size:
            return x_BChw
        factor = (self.full_size[0] // size[0], self.full_size[1] // size[1])
        return F.avg_pool2d(x_BChw, factor)

    def distances(self, z_NC: Tensor, k: int) -> Tensor:
        """Half the squared distance to each code of scale k, but for a constant of each vector: (N, V)."""
        codes_VC = self.codebook_KVC[k]
        half_norm_V = 0.5 * codes_VC.pow(2).sum(1)
        return half_norm_V - z_NC @ codes_VC.t()

    def nearest(self, z_NC: Tensor, k: int) -> Tensor:
        """Index of the nearest code of scale k for each vector."""
        return self.distances(z_NC, k).argmin(1)

    def mistaken(
        self, tokens_BL: Tensor, k: int, share_B1: Tensor, generator: torch.Generator | None
    ) -> Tensor:
        """Tokens of scale k, of which about this share (of each picture) is another code near by."""
        wrong_BL = torch.rand(tokens_BL.shape, generator=generator) < share_B1
        distance_NV = self.distances(self.codebook_KVC[k, tokens_BL[wrong_BL]], k)
        likely = min(LIKELY, distance_NV.shape[1] - 1)
        near_NR = distance_NV.topk(likely + 1, largest=False).indices[:, 1:]  # the first is itself
        pick_N1 = torch.randint(likely, (len(near_NR), 1), generator=generator)
        out = tokens_BL.clone()
        out[wrong_BL] = near_NR.gather(1, pick_N1).squeeze(1)
        return out

    def contribution(self, tokens_BL: Tensor, k: int) -> Tensor:
        """What the tokens of scale k add to the latent map: (B, L_k) -> (B, C, h, w)."""
        h, w = self.config.scales[k]
        codes = F.embedding(tokens_BL, self.codebook_KVC[k])
        return self.spread(codes.view(-1, h, w, self.config.channels).permute(0, 3, 1, 2), k)

    def spread(self, codes_BChw: Tensor, k: int) -> Tensor:
        """Up-sample codes of scale k to the full map and repair the blur."""
        x = codes_BChw
        if tuple(x.shape[-2:]) != self.full_size:
            x = F.interpolate(x, self.full_size, mode="bilinear", align_corners=False)
        return x + 0.5 * self.repair[k](x) if self.config.repair else x

    @torch.no_grad()
    def encode(
        self, latent_BChw: Tensor, flip: float = 0.0, generator: torch.Generator | None = None
    ) -> Quantized:
        """Latent map to tokens.

        With `flip` > 0 a random share (uniform up to `flip`, drawn for each picture) of the tokens is
        replaced by `mistaken` ones, and the finer scales quantise the residual that really remains: their
        targets then repair the error (bitwise self-correction, Infinity, Han et al. 2024, section 3.4).
        """
        rest = latent_BChw
        total = torch.zeros_like(rest)
        before, tokens, targets = [], [], []
        batch = rest.shape[0]
        for k in range(len(self.config.scales)):
            before.append(total)
            z_BChw = self.down(rest, k)
            target = self.nearest(z_BChw.permute(0, 2, 3, 1).flatten(0, 2), k).view(batch, -1)
            token = target
            if flip > 0:
                share_B1 = flip * torch.rand(batch, 1, generator=generator)
                token = self.mistaken(target, k, share_B1, generator)
            added = self.contribution(token, k)
            total = total + added
            rest = rest - added
            tokens.append(token)
            targets.append(target)
        return Quantized(total, tuple(before), tuple(tokens), tuple(targets))

    def quantized(self, tokens: tuple[Tensor, ...] | list[Tensor]) -> Quantized:
        """The frame of K given token maps, coarse to fine, as `encode` would have it."""
        before = []
        parts = [self.contribution(token, k) for k, token in enumerate(tokens)]
        total = torch.zeros_like(parts[0])
        for part in parts:
            before.append(total)
            total = total + part
        return Quantized(total, tuple(before), tuple(tokens), tuple(tokens))

    def decode(self, tokens: tuple[Tensor, ...] | list[Tensor]) -> Tensor:
        """Token maps, coarse to fine, possibly only the first few, to a latent map (B, C, h, w)."""
        parts = [self.contribution(token, k) for k, token in enumerate(tokens)]
        return torch.stack(parts).sum(0)

    def forward(self, latent_BChw: Tensor) -> tuple[list[Tensor], Tensor, list[Tensor]]:
        """Quantise for training.

        Returns the K running sums (each with a straight-through gradient to the latent map, so that
        every prefix of scales can be decoded), the commitment loss and the tokens of each scale.
        In training mode the codebooks move.
        """
        target = latent_BChw.detach()
        rest, total = target, torch.zeros_like(target)
        sums, tokens = [], []
        loss = torch.zeros((), device=target.device)
        for k in range(len(self.config.scales)):
            z_NC = self.down(rest, k).permute(0, 2, 3, 1).flatten(0, 2)
            if self.training and not bool(self.ready):
                self._start(z_NC, k)
            token_N = self.nearest(z_NC, k)
            if self.training:
                self._learn(z_NC, token_N, k)
            added = self.contribution(token_N.view(target.shape[0], -1), k)
            total = total + added
            rest = rest - added.detach()
            loss = loss + self.config.commitment * F.mse_loss(latent_BChw, total.detach())
            loss = loss + F.mse_loss(total, target)
            sums.append(total + latent_BChw - target)  # value: total; gradient: also the encoder's
            tokens.append(token_N.view(target.shape[0], -1))
        if self.training:
            self.ready.fill_(1.0)
        return sums, loss / len(self.config.scales), tokens

    @torch.no_grad()
    def _start(self, z_NC: Tensor, k: int) -> None:
        """Begin with vectors of the first batch, spread a little."""
        pick = torch.randint(len(z_NC), (self.config.vocabulary,))
        self.codebook_KVC[k] = z_NC[pick] * (0.5 + torch.rand(self.config.vocabulary, 1))
        self.sum_KVC[k] = self.codebook_KVC[k]
        self.count_KV[k] = 1.0

    @torch.no_grad()
    def _learn(self, z_NC: Tensor, token_N: Tensor, k: int) -> None:
        """One step of the moving averages (van den Oord et al. 2017, appendix A.1)."""
        count_V = torch.bincount(token_N, minlength=self.config.vocabulary).float()
        sum_VC = torch.zeros_like(self.sum_KVC[k]).index_add_(0, token_N, z_NC.float())
        self.count_KV[k].lerp_(count_V, 1 - self.config.decay)
        self.sum_KVC[k].lerp_(sum_VC, 1 - self.config.decay)
        dead = self.count_KV[k] < REVIVE_BELOW
        if dead.any():
            fresh = z_NC[torch.randint(len(z_NC), (int(dead.sum()),))].float()
            self.sum_KVC[k, dead] = fresh
            self.count_KV[k, dead] = 1.0
        self.codebook_KVC[k] = self.sum_KVC[k] / self.count_KV[k].unsqueeze(1)
