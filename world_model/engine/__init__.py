"""Backends that step a world model, all behind the four verbs of `base.Engine`."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from world_model.engine.base import Engine

if TYPE_CHECKING:
    from world_model.checkpoint import Checkpoint  # brings torch along

BACKENDS = ("auto", "eager", "compile", "onnx", "openvino", "tensorrt")


def load_engine(
    checkpoint: Path | str, batch_size: int = 1, backend: str = "eager", device: str | None = None
) -> Engine:
    """Load a checkpoint folder into an engine, in the precision that is fast on this machine.

    `backend="auto"` takes the fastest that starts at once (`ready_backends`), and where that one fails, the
    next, with a warning that says why; `engine.backend` and `engine.device` say which it is.

    Raises:
        CheckpointError: the folder holds no usable world model.
        ExportError: a backend was asked for that isn't ready.
        ValueError: unknown backend, or a device or compiler that the backend needs isn't there.
    """
    if backend not in BACKENDS:
        raise ValueError(f"backend {backend!r} is unknown; accepted: {', '.join(BACKENDS)}")
    from world_model.checkpoint import load

    if backend == "tensorrt" and device not in (None, "cuda"):
        raise ValueError(f"device {device!r}; backend 'tensorrt' accepts: cuda")
    loaded = load(checkpoint)
    if backend != "auto":
        return _made(loaded, batch_size, backend, device)
    *faster, last = ready_backends(loaded, batch_size, device)
    for name in faster:
        try:
            return _made(loaded, batch_size, name, device)
        except Exception as error:  # a runtime's own: no two have a common one
            warnings.warn(
                f"backend {name!r} is installed and has graphs, but fails, so a slower one is taken:"
                f" {type(error).__name__}: {error}",
                stacklevel=2,
            )
    return _made(loaded, batch_size, last, device)


def _made(checkpoint: Checkpoint, batch_size: int, backend: str, device: str | None) -> Engine:
    from world_model.engine.eager import CompiledEngine, EagerEngine
    from world_model.engine.exported import RUNTIMES
    from world_model.engine.tensorrt import TensorRtEngine

    if backend == "tensorrt":
        return TensorRtEngine(checkpoint, batch_size)
    if backend in RUNTIMES:
        return RUNTIMES[backend](checkpoint, batch_size, device=device or "cpu")
    if backend == "compile":
        # in float32 it is as fast as `eager` is in bfloat16, and exact
        return CompiledEngine(checkpoint, batch_size, device)
    return EagerEngine(checkpoint, batch_size, device, precision="auto")


def ready_backends(
    checkpoint: Checkpoint, batch_size: int = 1, device: str | None = None
) -> tuple[str, ...]:
    """What can step this checkpoint here, the fastest first.

    On a GPU TensorRT comes first, where it is installed and graphs were exported in its precision, then
    PyTorch. On a CPU OpenVINO and ONNX Runtime come first, where they are installed and
    `dreamlane export` has written the checkpoint's graphs for this batch size.
    """
    import torch

    from world_model.engine import tensorrt
    from world_model.engine.export import ExportError, find_export, installed
    from world_model.engine.exported import RUNTIMES

    on_gpu = torch.cuda.is_available() if device is None else device == "cuda"
    if device not in (None, "cpu", "cuda"):
        return ("eager",)  # PyTorch knows more places than the others
    try:
        find_export(checkpoint, batch_size, None, tensorrt.PRECISION if on_gpu else "float32")
    except ExportError:
        return ("eager",)
    if on_gpu:
        able = torch.cuda.is_available() and installed("tensorrt")
        return ("tensorrt", "eager") if able else ("eager",)
    return (*(name for name, cls in RUNTIMES.items() if installed(cls.package)), "eager")


__all__ = ["BACKENDS", "Engine", "load_engine", "ready_backends"]
