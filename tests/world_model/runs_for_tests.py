"""Trainings that the loop's tests start in other processes, to kill them or to run them in pairs."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import tiny
import torch
from torch.nn import functional as F

from world_model.tokenizer.model import Tokenizer
from world_model.training.loop import Log, LoopConfig, Trainer
from world_model.training.tokenizer import TokenizerTask, TokenizerTraining

STEPS = 6


def tokenizer_task(cache: Path, run_dir: Path, **loop: object) -> TokenizerTask:
    """A tokenizer training of six steps: convolutions, codebooks, revival, prefixes."""
    config = replace(LoopConfig(), run_dir=str(run_dir), steps=STEPS, warmup_steps=2, **loop)  # type: ignore
    return TokenizerTask(
        TokenizerTraining(str(cache), tiny.TOKENIZER, config, batch=4, val_frames=8)
    )


def train_tokenizer_and_hang(cache: Path, run_dir: Path) -> None:
    """Three steps, each with a checkpoint; in the midst of the fourth nothing moves any more."""
    trainer = tokenizer_task(cache, run_dir, checkpoint_s=0.0).trainer
    inner = trainer.loss

    def hanging_loss(step: int, generator: torch.Generator) -> tuple[torch.Tensor, Log]:
        result = inner(step, generator)
        if step == 3:
            time.sleep(3600)
        return result

    trainer.loss = hanging_loss
    trainer.run()


def plain_trainer(run_dir: Path) -> Trainer:
    """An autoencoder on pictures that don't depend on the process."""
    torch.manual_seed(0)
    model = Tokenizer(tiny.TOKENIZER)

    def loss(step: int, generator: torch.Generator) -> tuple[torch.Tensor, Log]:
        frames = torch.from_numpy(tiny.random_frames(2, seed=step)).permute(0, 3, 1, 2) / 255.0
        return F.mse_loss(model.decoder(model.encoder(frames)), frames), {}

    return Trainer(model, loss, LoopConfig(run_dir=str(run_dir), steps=STEPS, warmup_steps=2))


def train_as_one_of_two(rank: int, port: int, cache: Path, folder: Path) -> None:
    """Both trainings above as one of two processes; leaves what this process ended with."""
    os.environ |= {
        "RANK": str(rank),
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    plain = plain_trainer(folder / "plain")
    plain.run()
    task = tokenizer_task(cache, folder / "tokenizer")
    task.trainer.run()
    ended = {"plain": plain.model.state_dict(), "tokenizer": task.model.state_dict()}
    torch.save(ended, folder / f"rank{rank}.pt")
