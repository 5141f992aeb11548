"""The tokenizer: encoder, quantizer and decoder as one module.

Shapes: B batch, C channels, H W picture, h w latent map, L tokens of a frame (all scales, coarse first).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from world_model.tokenizer.autoencoder import (
    DOWNSCALE,
    AutoencoderConfig,
    Decoder,
    Encoder,
    to_model,
    to_pixels,
)
from world_model.tokenizer.quantizer import MultiScaleQuantizer, QuantizerConfig


@dataclass(frozen=True, slots=True)
class TokenizerConfig:
    """Architecture of a tokenizer.

    Raises:
        ValueError: picture, latent map and channels don't fit together.
    """

    autoencoder: AutoencoderConfig = field(default_factory=AutoencoderConfig)
    quantizer: QuantizerConfig = field(default_factory=QuantizerConfig)
    frame_height: int = 128
    frame_width: int = 256

    def __post_init__(self) -> None:
        h, w = self.quantizer.scales[-1]
        if (self.frame_height, self.frame_width) != (h * DOWNSCALE, w * DOWNSCALE):
            raise ValueError(
                f"frames of {self.frame_height}x{self.frame_width} don't fit a latent map of {h}x{w};"
                f" accepted: {h * DOWNSCALE}x{w * DOWNSCALE}, or other quantizer.heights"
            )
        if self.autoencoder.latent_channels != self.quantizer.channels:
            raise ValueError(
                f"autoencoder.latent_channels={self.autoencoder.latent_channels} and"
                f" quantizer.channels={self.quantizer.channels} must be equal"
            )


class Tokenizer(nn.Module):
    """Pictures to multi-scale tokens and back."""

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config.autoencoder)
        self.quantizer = MultiScaleQuantizer(config.quantizer)
        self.decoder = Decoder(config.autoencoder)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.no_grad()
    def latents(self, frames_BHWC: Tensor) -> Tensor:
        """uint8 pictures to continuous latents (B, C, h, w), float32."""
        return self.see(to_model(frames_BHWC))

    @torch.no_grad()
    def encode(self, frames_BHWC: Tensor) -> tuple[Tensor, ...]:
        """uint8 pictures to K token maps (B, L_k), coarse to fine."""
        return self.quantizer.encode(self.latents(frames_BHWC)).tokens

    def reconstruct(self, frames_NHWC: NDArray[np.uint8], batch: int = 16) -> NDArray[np.uint8]:
        """Pictures (N, H, W, 3) encoded and decoded."""
        parts = [
            self.decode(self.encode(torch.from_numpy(frames_NHWC[i : i + batch]))).numpy()
            for i in range(0, len(frames_NHWC), batch)
        ]
        return np.concatenate([frames_NHWC[:0], *parts])

    def draw(self, latent_BChw: Tensor) -> Tensor:
        """Latent maps to pictures (B, 3, H, W), about in [-1, 1], float32."""
        x = latent_BChw.to(self.dtype).contiguous(memory_format=torch.channels_last)
        return torch.as_tensor(self.decoder(x)).float()

    def see(self, picture_BCHW: Tensor) -> Tensor:
        """Pictures (B, 3, H, W) in [-1, 1] to latent maps (B, C, h, w), float32."""
        x = picture_BCHW.to(self.dtype).contiguous(memory_format=torch.channels_last)
        return torch.as_tensor(self.encoder(x)).float()

    @property
    def dtype(self) -> torch.dtype:
        """Precision of encoder and decoder."""
        return next(self.decoder.parameters()).dtype

    @torch.no_grad()
    def decode_latent(self, latent_BChw: Tensor) -> Tensor:
        """Latent maps to uint8 pictures (B, H, W, 3)."""
        return to_pixels(self.draw(latent_BChw))

    @torch.no_grad()
    def decode(self, tokens: tuple[Tensor, ...] | list[Tensor]) -> Tensor:
        """Token maps (all K, or the first few) to uint8 pictures."""
        return self.decode_latent(self.quantizer.decode(tokens))
