"""Where a training begins that doesn't begin from nothing: another run, or a shipped checkpoint."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file

from world_model.checkpoint import CheckpointError, load
from world_model.tokenizer.model import Tokenizer
from world_model.training.loop import Trainer


def start_from(trainer: Trainer, source: Path) -> None:
    """Begin with another run's averaged weights, or with those of a checkpoint folder."""
    if source.is_dir():
        checkpoint = load(source)
        given = checkpoint.tokenizer if isinstance(trainer.model, Tokenizer) else checkpoint.world
        if given is None:
            raise CheckpointError(f"{source} holds no world model to start from")
        tensors = given.state_dict()
        if isinstance(given, Tokenizer):  # moving sums aren't shipped: begin them anew
            tensors["quantizer.sum_KVC"] = tensors["quantizer.codebook_KVC"].clone()
            tensors["quantizer.count_KV"] = torch.ones_like(tensors["quantizer.count_KV"])
    else:
        tensors = {
            k.removeprefix("average."): v
            for k, v in load_file(source).items()
            if k.startswith("average.")
        }
    trainer.model.load_state_dict(tensors)
    trainer.average = {k: v.clone() for k, v in tensors.items()}
