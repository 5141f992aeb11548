"""Convolutional encoder and decoder between pictures and a 16-times smaller latent map.

Shapes: B batch, C channels, H W picture, h w latent map (h = H / 16). Pictures are in [-1, 1].
A pixel-(un)shuffle by 4 takes the pictures to the resolution where the convolutions work, so that
almost all arithmetic is dense matrix products, which small CPUs are good at.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PATCH = 4
DOWNSCALE = 16


@dataclass(frozen=True, slots=True)
class AutoencoderConfig:
    """Widths from the picture's side (H / 4) to the latent's side (H / 16)."""

    encoder_widths: tuple[int, int, int] = (48, 96, 160)
    encoder_blocks: tuple[int, int, int] = (1, 1, 2)
    decoder_widths: tuple[int, int, int] = (48, 96, 160)
    decoder_blocks: tuple[int, int, int] = (1, 2, 2)
    latent_channels: int = 24


class ResidualBlock(nn.Module):
    """Residual block of two 3x3 convolutions.

    Only the blocks at the latent's own resolution normalise: at higher resolutions a normalisation
    costs as much of a CPU training step as the convolution behind it.
    """

    def __init__(self, channels: int, normalise: bool) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(8, channels) if normalise else nn.Identity()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(self.conv2.bias)  # type: ignore[arg-type]

    def forward(self, x_BChw: Tensor) -> Tensor:
        y: Tensor = self.conv2(F.silu(self.conv1(F.silu(self.norm(x_BChw)))))
        return x_BChw + y


class Encoder(nn.Module):
    """(B, 3, H, W) picture -> (B, C, H/16, W/16) continuous latent."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        widths, blocks = config.encoder_widths, config.encoder_blocks
        layers: list[nn.Module] = [
            nn.PixelUnshuffle(PATCH),
            nn.Conv2d(3 * PATCH**2, widths[0], 3, padding=1),
        ]
        for level, width in enumerate(widths):
            layers += [ResidualBlock(width, level == 2) for _ in range(blocks[level])]
            if level + 1 < len(widths):
                layers.append(nn.Conv2d(width, widths[level + 1], 4, stride=2, padding=1))
        layers += [
            nn.GroupNorm(8, widths[-1]),
            nn.SiLU(),
            nn.Conv2d(widths[-1], config.latent_channels, 1),
        ]
        self.layers = nn.Sequential(*layers)

    def forward(self, frame_BCHW: Tensor) -> Tensor:
        latent_BChw: Tensor = self.layers(frame_BCHW)
        return latent_BChw


class Decoder(nn.Module):
    """(B, C, h, w) latent -> (B, 3, 16 h, 16 w) picture. Runs every step: keep it cheap."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        widths, blocks = config.decoder_widths[::-1], config.decoder_blocks[::-1]
        layers: list[nn.Module] = [nn.Conv2d(config.latent_channels, widths[0], 3, padding=1)]
        for level, width in enumerate(widths):
            layers += [ResidualBlock(width, level == 0) for _ in range(blocks[level])]
            if level + 1 < len(widths):
                # 1x1 and shuffle: a ninth of the cost of a 3x3 up-convolution, no visible loss
                layers += [nn.Conv2d(width, 4 * widths[level + 1], 1), nn.PixelShuffle(2)]
        layers += [
            nn.SiLU(),
            nn.Conv2d(widths[-1], 3 * PATCH**2, 3, padding=1),
            nn.PixelShuffle(PATCH),
        ]
        self.layers = nn.Sequential(*layers)

    def forward(self, latent_BChw: Tensor) -> Tensor:
        frame_BCHW: Tensor = self.layers(latent_BChw)
        return frame_BCHW


def to_model(frames_BHWC: Tensor) -> Tensor:
    """uint8 (B, H, W, 3) to float (B, 3, H, W) in [-1, 1]."""
    return frames_BHWC.permute(0, 3, 1, 2).float() / 127.5 - 1.0


def to_pixels(frames_BCHW: Tensor) -> Tensor:
    """float (B, 3, H, W) to uint8 (B, H, W, 3), rounded to nearest."""
    pixels = (frames_BCHW.float().clamp(-1, 1) + 1.0) * 127.5
    # bytes last: TensorRT has them at a graph's edge alone
    return pixels.round().permute(0, 2, 3, 1).contiguous().to(torch.uint8)
