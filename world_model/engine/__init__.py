"""Backends that step a world model, all behind the four verbs of `base.Engine`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from world_model.engine.base import Engine

if TYPE_CHECKING:
    from world_model.checkpoint import Checkpoint  # brings torch along

BACKENDS = ("auto", "eager", "compile", "onnx", "openvino")


def load_engine(
    checkpoint: Path | str, batch_size: int = 1, backend: str = "eager", device: str | None = None
) -> Engine:
    """Load a checkpoint folder into an engine, in the precision that is fast on this machine.

    `backend="auto"` takes the fastest that starts at once (`ready_backends`); `engine.backend` and
    `engine.device` say which it is.

    Raises:
        CheckpointError: the folder holds no usable world model.
        ExportError: a backend was asked for that isn't ready.
        ValueError: unknown backend, or a device or compiler that the backend needs isn't there.
    """
    if backend not in BACKENDS:
        raise ValueError(f"backend {backend!r} is unknown; accepted: {', '.join(BACKENDS)}")
    from world_model.checkpoint import load
    from world_model.engine.eager import CompiledEngine, EagerEngine
    from world_model.engine.exported import RUNTIMES

    if backend in RUNTIMES and device not in (None, "cpu"):
        raise ValueError(f"device {device!r}; backend {backend!r} accepts: cpu")
    loaded = load(checkpoint)
    if backend == "auto":
        on_cpu = device in (None, "cpu")
        backend = ready_backends(loaded, batch_size)[0] if on_cpu else "eager"
    if backend in RUNTIMES:
        return RUNTIMES[backend](loaded, batch_size)
    if backend == "compile":
        # in float32 it is as fast as `eager` is in bfloat16, and exact
        return CompiledEngine(loaded, batch_size, device)
    return EagerEngine(loaded, batch_size, device, precision="auto")


def ready_backends(checkpoint: Checkpoint, batch_size: int = 1) -> tuple[str, ...]:
    """What can step this checkpoint here, the fastest first.

    A GPU is PyTorch's. On a CPU OpenVINO and ONNX Runtime come first, where they are installed and
    `dreamlane export` has written the checkpoint's graphs for this batch size.
    """
    import torch

    from world_model.engine.export import ExportError, find_export
    from world_model.engine.exported import RUNTIMES, installed

    if torch.cuda.is_available():
        return ("eager",)
    try:
        find_export(checkpoint, batch_size)
    except ExportError:
        return ("eager",)
    return (*(name for name, cls in RUNTIMES.items() if installed(cls.package)), "eager")


__all__ = ["BACKENDS", "Engine", "load_engine", "ready_backends"]
