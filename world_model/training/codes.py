"""Give a tokenizer other codes: its encoder and decoder stay, its latent map is quantised in another way.

    dreamlane train codes tokenizer=assets/models/town heights=[8,8]

The families that draw cell by cell need flat token maps (`families.cells`); with the encoder and the decoder
of another family's tokenizer, the two can be compared. Codes are running means (`tokenizer.quantizer`), so
there is no gradient and nothing to resume: the run takes minutes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from world_model.checkpoint import ModelConfig, load, save
from world_model.tokenizer.model import Tokenizer
from world_model.training.data import evenly, load_drives
from world_model.training.latents import encode_drives
from world_model.training.loop import Log


@dataclass(frozen=True, slots=True)
class CodesTraining:
    """Everything that the codes depend on.

    Raises:
        ValueError: no steps or frames.
    """

    cache_dir: str = "data/cache/town"
    tokenizer: str = "assets/models/town"
    heights: tuple[int, ...] = (8, 8)  # of the new token maps
    run_dir: str = "runs/codes"
    steps: int = 4000
    batch: int = 64
    val_frames: int = 256
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.steps, self.batch, self.val_frames) < 1:
            raise ValueError(f"{self}; accepted: steps, batch and val_frames of at least 1")


def train_codes(config: CodesTraining) -> Log:
    """Learn the codes, write run_dir/checkpoint; returns held-out PSNR, and the entropy of each token map."""
    old = load(config.tokenizer)
    drives = encode_drives(old, config.cache_dir, "train")
    quantizer = replace(old.config.tokenizer.quantizer, heights=config.heights, repair=False)
    torch.manual_seed(config.seed)
    tokenizer = Tokenizer(replace(old.config.tokenizer, quantizer=quantizer)).eval()
    tokenizer.encoder.load_state_dict(old.tokenizer.encoder.state_dict())
    tokenizer.decoder.load_state_dict(old.tokenizer.decoder.state_dict())
    rng = np.random.default_rng(config.seed)
    tokenizer.quantizer.train()
    with torch.no_grad():
        for _ in range(config.steps):
            rows = np.sort(rng.integers(len(drives.drives), size=config.batch))
            tokenizer.quantizer(drives.latents(rows))
    tokenizer.quantizer.eval()
    folder = Path(config.run_dir) / "checkpoint"
    save(
        folder,
        ModelConfig(name=Path(config.run_dir).name, tokenizer=tokenizer.config),
        tokenizer,
        None,
    )
    return judged(tokenizer, config)


@torch.no_grad()
def judged(tokenizer: Tokenizer, config: CodesTraining) -> Log:
    """PSNR in dB of held-out pictures from their tokens, and what each token map says, in nats."""
    drives = load_drives(config.cache_dir, "val")
    rows = evenly(np.arange(len(drives)), config.val_frames)
    used = torch.zeros(len(config.heights), tokenizer.config.quantizer.vocabulary)
    errors = []
    for part in np.array_split(rows, max(1, len(rows) // 16)):
        frames = torch.from_numpy(drives.frames(part))
        tokens = tokenizer.encode(frames)
        for k, token in enumerate(tokens):
            used[k] += torch.bincount(token.flatten(), minlength=used.shape[1])
        away = tokenizer.decode(tokens).float() - frames.float()
        errors.append(away.square().mean((1, 2, 3)).clamp_min(1e-3))
    figures = {"psnr": float((10 * torch.log10(255**2 / torch.cat(errors))).mean())}
    share = used / used.sum(1, keepdim=True)
    for k, entropy in enumerate(-(share * share.clamp_min(1e-12).log()).sum(1)):
        figures[f"entropy_{k + 1}"] = float(entropy)
    return figures
