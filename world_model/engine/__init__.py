"""Backends that step a world model, all behind the four verbs of `base.Engine`."""

from __future__ import annotations

from pathlib import Path

from world_model.engine.base import Engine

BACKENDS = ("eager",)


def load_engine(
    checkpoint: Path | str, batch_size: int = 1, backend: str = "eager", device: str | None = None
) -> Engine:
    """Load a checkpoint folder into an engine, in the precision that is fast on this machine.

    Raises:
        CheckpointError: the folder holds no usable world model.
        ValueError: unknown backend.
    """
    if backend not in BACKENDS:
        raise ValueError(f"backend {backend!r} is unknown; accepted: {', '.join(BACKENDS)}")
    from world_model.checkpoint import load
    from world_model.engine.eager import EagerEngine

    return EagerEngine(load(checkpoint), batch_size, device, precision="auto")


__all__ = ["BACKENDS", "Engine", "load_engine"]
