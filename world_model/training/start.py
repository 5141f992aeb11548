"""Where a training begins that doesn't begin from nothing: another run, or a shipped checkpoint.

A model that got further parts since begins with the old weights: parts it lacked stay as they are made, and
what reads more channels than before reads the new ones, which stand last, with weight zero.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from world_model.checkpoint import CheckpointError, load
from world_model.meter import Meter, load_meter
from world_model.tokenizer.model import Tokenizer
from world_model.training.loop import Trainer


def start_from(trainer: Trainer, source: Path, parts: tuple[str, ...] = ()) -> None:
    """Begin with another run's averaged weights, or with those of a checkpoint's (or meter's) folder.

    Args:
        trainer: of the model.
        source: the run's state file, or the folder.
        parts: take these parts' weights alone; all, if none is named.

    Raises:
        CheckpointError: no weights there that this model has.
    """
    if source.is_dir() and isinstance(trainer.model, Meter):
        tensors = load_meter(source).meter.state_dict()
    elif source.is_dir():
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
    if parts:
        tensors = {k: v for k, v in tensors.items() if k.split(".")[0] in parts}
        if lacking := set(parts) - {k.split(".")[0] for k in tensors}:
            raise CheckpointError(f"{source} has no weights of {sorted(lacking)}")
    wanted = trainer.model.state_dict()
    if unknown := set(tensors) - set(wanted):
        raise CheckpointError(f"{source} has weights this model lacks: {sorted(unknown)[:3]}")
    merged = wanted | {k: widened(k, v, wanted[k].shape) for k, v in tensors.items()}
    trainer.model.load_state_dict(merged)
    trainer.average = {k: v.clone() for k, v in trainer.model.state_dict().items()}


def widened(name: str, value: Tensor, shape: torch.Size) -> Tensor:
    """The weight with zeros for input channels it didn't have.

    Raises:
        CheckpointError: another shape in any other way.
    """
    given = value.shape
    if given == shape:
        return value
    if given[:1] + given[2:] != shape[:1] + shape[2:] or given[1] > shape[1]:
        raise CheckpointError(f"{name} has shape {tuple(given)}; this model's is {tuple(shape)}")
    zeros = value.new_zeros(shape[0], shape[1] - given[1], *shape[2:])
    return torch.cat([value, zeros], 1)
