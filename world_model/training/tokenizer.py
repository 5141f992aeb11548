"""Train a tokenizer: what a reconstruction is judged by, and how it is measured.

    dreamlane train tokenizer cache_dir=data/cache/town loop.run_dir=runs/town-tokenizer

With `decoder_only` the encoder and the codebooks stay as they are, to the bit.

Shapes as in `world_model.tokenizer.model`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from world_model.checkpoint import ModelConfig, save
from world_model.precision import low_precision
from world_model.tokenizer.autoencoder import to_model
from world_model.tokenizer.critic import Critic
from world_model.tokenizer.model import Tokenizer, TokenizerConfig
from world_model.training.data import Drives, load_drives
from world_model.training.loop import Log, LoopConfig, Trainer
from world_model.training.start import start_from

BLOCK = 4  # pixels; within one, fine detail may be anywhere
FAINT = 0.08  # differences of neighbours, of the 2 from black to white
CLASSES = 8  # of the masks; docs/recordings.md has their meanings


@dataclass(frozen=True, slots=True)
class TokenizerTraining:
    """Everything a tokenizer run depends on.

    Raises:
        ValueError: weights of classes that there aren't, or negative ones.
    """

    cache_dir: str = "data/cache/town"
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    loop: LoopConfig = field(default_factory=lambda: LoopConfig(run_dir="runs/tokenizer"))
    batch: int = 16  # for each process
    l2: float = 1.0
    edges: float = 0.5
    worst: float = 0.1  # weight of the mean of the worst 2 % of 4x4 blocks
    # weight of what encoding the reconstruction again changes in the latent map: a dream moved with the
    # car goes through decoder and encoder in every step (families/reprojection.py)
    again: float = 0.0
    detail: float = 0.0  # weight of having as much fine detail as the picture, block by block
    grain: float = 0.0  # weight of looking real to a critic, patch by patch: late, decoder alone
    # of a pixel by its class (sky, ground, road, line, vehicle, vegetation, building, post): lane lines and
    # vehicles matter most and are few
    class_weights: tuple[float, ...] = (1.0, 1.0, 1.0, 4.0, 4.0, 1.0, 1.0, 2.0)
    prefix_share: float = 0.1  # share of pictures decoded from a random prefix of the scales
    bypass_share: float = 0.1  # share of pictures decoded without quantisation
    mirror: bool = False
    exposure: float = 0.0  # spread of the logarithm of a random one: for few drives and much sun
    start_from: str = ""  # running state or checkpoint folder whose weights to begin with
    decoder_only: bool = False  # tokens keep their meaning, and a world model its worth
    val_frames: int = 256
    least_entropy: float = (
        0.5  # nats; a scale whose tokens say less has collapsed: the run fails ...
    )
    grace_steps: int = 1000  # ... after this many steps

    def __post_init__(self) -> None:
        if len(self.class_weights) != CLASSES or min(self.class_weights, default=0.0) < 0:
            raise ValueError(
                f"class_weights={self.class_weights}; accepted: {CLASSES} numbers of at least 0"
            )


def exposed(frames_BCHW: Tensor, spread: float, generator: torch.Generator) -> Tensor:
    """Pictures in [-1, 1] as a longer or shorter exposure shows them, each by a factor of its own.

    What gets too bright is cut off, as a camera does.
    """
    factor_B111 = torch.randn(len(frames_BCHW), 1, 1, 1, generator=generator).mul(spread).exp()
    return ((frames_BCHW + 1) * factor_B111 - 1).clamp(max=1)


class CollapseError(ArithmeticError):
    """A scale of the tokenizer uses hardly any of its codes."""


def reconstruction_loss(
    output_BCHW: Tensor, target_BCHW: Tensor, weight_BHW: Tensor | None, config: TokenizerTraining
) -> tuple[Tensor, Log]:
    """L1 + L2 + edges + the worst 4x4 blocks, weighted by what a pixel shows."""
    difference = output_BCHW - target_BCHW
    pixel_BHW = (difference.abs() + config.l2 * difference.square()).mean(1)
    if weight_BHW is not None:
        pixel_BHW = pixel_BHW * weight_BHW
    base = pixel_BHW.mean()
    # the difference of edges is the edge of the difference
    across = (difference[..., :, 1:] - difference[..., :, :-1]).abs().mean()
    down = (difference[..., 1:, :] - difference[..., :-1, :]).abs().mean()
    edge = across + down
    block_BN = F.avg_pool2d(pixel_BHW.unsqueeze(1), 4).flatten(1)
    worst = block_BN.topk(max(1, block_BN.shape[1] // 50), dim=1, sorted=False)[0].mean()
    log = {"pixel": base.item(), "edge": edge.item(), "worst": worst.item()}
    loss = base + config.edges * edge + config.worst * worst
    if config.detail > 0:
        # faint texture is left alone: a screen of stripes would be the cheapest way to have as much of it
        drawn, true = (fine_detail(x).clamp_min(FAINT) for x in (output_BCHW, target_BCHW))
        lost = (drawn - true).abs().mean()
        loss, log = loss + config.detail * lost, log | {"detail": lost.item()}
    return loss, log


def fine_detail(picture_BCHW: Tensor) -> Tensor:
    """How much fine detail of each kind each 4x4 block has, wherever in it: (B, 10 C, H / 4, W / 4).

    Distances alone make soft pictures: where an edge isn't known to the pixel, its mean is the best guess.
    The kinds are first and second differences along either side and both; of each the mean size and the root
    of the mean square, since a few edges and a screen of dots may have the same energy.
    """
    across = picture_BCHW[..., :, 1:] - picture_BCHW[..., :, :-1]
    down = picture_BCHW[..., 1:, :] - picture_BCHW[..., :-1, :]
    bands = [
        across,
        down,
        across[..., 1:, :] - across[..., :-1, :],
        across[..., :, 1:] - across[..., :, :-1],
        down[..., 1:, :] - down[..., :-1, :],
    ]
    height, width = picture_BCHW.shape[-2:]
    parts = []
    for band in bands:
        whole = F.pad(band, (0, width - band.shape[-1], 0, height - band.shape[-2]))
        parts.append(F.avg_pool2d(whole.abs(), BLOCK))
        parts.append((F.avg_pool2d(whole.square(), BLOCK) + 1e-4).sqrt())
    return torch.cat(parts, 1)


class TokenizerTask:
    """Draws batches, computes the loss, measures and paints samples."""

    def __init__(self, config: TokenizerTraining) -> None:
        self.config = config
        torch.manual_seed(config.loop.seed)
        self.model = Tokenizer(config.tokenizer)
        if config.decoder_only:
            self.model.requires_grad_(False).decoder.requires_grad_(True)
        self.critic = Critic() if config.grain > 0 else None
        if self.critic is not None:  # trained and saved with the run, never with the checkpoint
            self.model.add_module("critic", self.critic)
        self.train_drives = load_drives(config.cache_dir, "train")
        self.val_drives = load_drives(config.cache_dir, "val")
        self.trainer = Trainer(self.model, self.loss, config.loop)

    def batch(self, drives: Drives, generator: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """Pictures (B, 3, H, W) and pixel weights (B, H, W)."""
        config = self.config
        rows = torch.randint(len(drives), (config.batch,), generator=generator).numpy()
        rows.sort()  # neighbours in memory are read together
        frames = to_model(torch.from_numpy(drives.frames(rows)))
        classes = drives.classes(rows)
        weight = None
        if classes is not None:
            table = torch.tensor(config.class_weights)
            weight = table[torch.from_numpy(classes).long()].unsqueeze(1)
            weight = F.interpolate(weight, frames.shape[-2:], mode="nearest")[:, 0]
            weight = weight / weight.mean()
        if config.mirror and torch.rand((), generator=generator) < 0.5:
            frames = frames.flip(-1)
            weight = None if weight is None else weight.flip(-1)
        if config.exposure > 0:
            frames = exposed(frames, config.exposure, generator)
        return frames.contiguous(memory_format=torch.channels_last), weight

    def loss(self, step: int, generator: torch.Generator) -> tuple[Tensor, Log]:
        """Loss of one step; see `Trainer`."""
        config = self.config
        frames, weight = self.batch(self.train_drives, generator)
        with low_precision():
            latent = self.model.see(frames)
        self.model.quantizer.train(not config.decoder_only)  # in training mode codebooks move
        sums, commitment, _ = self.model.quantizer(latent)
        scales = len(sums)
        # a share of the batch decodes a prefix of the scales, another share no quantisation at all
        draw = torch.rand(config.batch, generator=generator)
        prefix = torch.randint(1, scales, (config.batch,), generator=generator)
        choice = torch.where(draw < config.prefix_share, prefix - 1, scales - 1)
        stacked = torch.stack([*sums, latent])
        choice = torch.where(draw > 1 - config.bypass_share, scales, choice)
        picked = stacked[choice, torch.arange(config.batch)]
        with low_precision():
            output = self.model.draw(picked)
        loss, log = reconstruction_loss(output, frames, weight, config)
        if config.again > 0:
            with low_precision():
                seen = self.model.see(output)
            again = F.mse_loss(seen, picked.detach())
            loss, log = loss + config.again * again, log | {"again": again.item()}
        if self.critic is not None:
            whole = choice >= scales - 1  # a prefix can't look real
            with low_precision():
                fooled = self.critic.fooled(output[whole])
                told_apart = self.critic.told_apart(output[whole], frames[whole])
            loss = loss + config.grain * fooled + told_apart
            log |= {"fooled": fooled.item(), "told_apart": told_apart.item()}
        return loss + commitment, log | {"commitment": commitment.item()}

    @torch.no_grad()
    def measure(self, trainer: Trainer) -> Log:
        """PSNR of held-out frames with the averaged weights: each prefix, and without quantisation."""
        model = averaged(trainer, self.config.tokenizer)
        figures = reconstruction(model, self.val_drives, self.config.val_frames)
        for k in range(len(self.config.tokenizer.quantizer.scales)):
            self.check_collapse(trainer.step, k, figures)
        self.paint(model, trainer)
        folder = Path(self.config.loop.run_dir) / "checkpoint"
        save(
            folder,
            ModelConfig(name=folder.parent.name, tokenizer=self.config.tokenizer),
            model,
            None,
        )
        return figures

    def check_collapse(self, step: int, k: int, figures: Log) -> None:
        """Fail the run when scale k says next to nothing; training on would not bring it back."""
        config, entropy = self.config, figures[f"entropy_{k + 1}"]
        if step >= config.grace_steps and entropy < config.least_entropy:
            raise CollapseError(
                f"scale {k + 1} has collapsed at step {step}: entropy {entropy:.2f} nats, used codes"
                f" {figures[f'used_{k + 1}']:.0f}; at least {config.least_entropy} nats are wanted."
                " Lower loop.learning_rate or raise tokenizer.quantizer.decay, and start anew"
            )

    def paint(self, model: Tokenizer, trainer: Trainer) -> None:
        """Held-out frames above their reconstructions, as a picture in the run's folder."""
        rows = np.linspace(0, len(self.val_drives) - 1, 8).astype(np.int64)
        frames = torch.from_numpy(self.val_drives.frames(rows))
        output = model.decode(model.encode(frames))
        tiles = [torch.cat([frames[i], output[i]], 0) for i in range(len(rows))]
        half = len(tiles) // 2
        sheet = torch.cat([torch.cat(tiles[:half], 1), torch.cat(tiles[half:], 1)], 0).numpy()
        path = Path(self.config.loop.run_dir) / f"sample_{trainer.step:07d}.png"
        cv2.imwrite(str(path), sheet[..., ::-1])


@torch.no_grad()
def reconstruction(model: Tokenizer, drives: Drives, count: int) -> Log:
    """PSNR in dB of some frames from each prefix of their token maps and without quantisation; of each map
    how much it says (entropy, nats) and how many codes it uses."""
    rows = np.linspace(0, len(drives) - 1, count).astype(np.int64)
    scales = len(model.config.quantizer.scales)
    errors: dict[str, list[float]] = {}
    usage = torch.zeros(scales, model.config.quantizer.vocabulary)
    for part in np.array_split(rows, max(1, len(rows) // 16)):
        frames = torch.from_numpy(drives.frames(part))
        latent = model.latents(frames)
        tokens = model.quantizer.encode(latent).tokens
        for k, token in enumerate(tokens):
            usage[k] += torch.bincount(token.flatten(), minlength=usage.shape[1])
        outputs = {f"psnr_{k + 1}": model.decode(tokens[: k + 1]) for k in range(scales)}
        outputs["psnr_unquantised"] = model.decode_latent(latent)
        for name, output in outputs.items():
            mse = (output.float() - frames.float()).square().mean((1, 2, 3)).clamp_min(1e-3)
            errors.setdefault(name, []).extend((10 * torch.log10(255**2 / mse)).tolist())
    figures = {name: float(np.mean(values)) for name, values in errors.items()}
    share = usage / usage.sum(1, keepdim=True)
    for k in range(scales):
        entropy = -(share[k] * share[k].clamp_min(1e-12).log()).sum()
        figures[f"entropy_{k + 1}"] = float(entropy)
        figures[f"used_{k + 1}"] = float((usage[k] > 0).sum())
    return figures


def averaged(trainer: Trainer, config: TokenizerConfig) -> Tokenizer:
    """A tokenizer with the run's averaged weights, ready to use."""
    model = Tokenizer(config)
    model.load_state_dict({k: v for k, v in trainer.average.items() if not k.startswith("critic.")})
    # codebooks are averages already, and must fit together with each other exactly
    model.quantizer.load_state_dict(
        {
            k.removeprefix("quantizer."): v
            for k, v in trainer.model.state_dict().items()
            if k.startswith("quantizer.") and "repair" not in k
        },
        strict=False,
    )
    return model.eval()


def train_tokenizer(config: TokenizerTraining) -> TokenizerTask:
    """Run (or continue) a tokenizer training as configured."""
    task = TokenizerTask(config)
    if not task.trainer.resume() and config.start_from:
        start_from(task.trainer, Path(config.start_from))
    task.trainer.run(task.measure)
    return task
