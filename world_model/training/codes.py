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
from world_model.training.data import load_drives
from world_model.training.latents import encode_drives
from world_model.training.loop import Log
from world_model.training.tokenizer import reconstruction


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
    """Learn the codes, write run_dir/checkpoint; returns `tokenizer.reconstruction` of held-out frames."""
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
    return reconstruction(tokenizer, load_drives(config.cache_dir, "val"), config.val_frames)
