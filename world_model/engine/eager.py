"""The PyTorch engines: plain, in float32 the reference for other backends; and compiled."""

from __future__ import annotations

import copy
import os
import shutil
from typing import Any

import torch
from torch import Tensor

from world_model.checkpoint import Checkpoint
from world_model.engine.dreaming import DreamEngine
from world_model.engine.step_graph import StepGraph, StepInputs, StepTensors
from world_model.precision import multiplies_bfloat16


class EagerEngine(DreamEngine):
    """Steps a batch of dreams with PyTorch.

    Args:
        checkpoint: with a world model in it.
        batch_size: number of dreams.
        device: a torch device; None takes the GPU if there is one.
        precision: of the transformer, of drawing pictures and of reading them back. "float32"; "bfloat16", in
            which they were trained; "auto" takes bfloat16 where the processor multiplies matrices in it
            (AMX, AVX-512 BF16). All else is float32.
    """

    backend = "eager"

    def __init__(
        self,
        checkpoint: Checkpoint,
        batch_size: int,
        device: str | torch.device | None = None,
        precision: str = "float32",
    ) -> None:
        place = torch.device(
            device if device is not None else "cuda" if torch.cuda.is_available() else "cpu"
        )
        super().__init__(checkpoint, batch_size, place)
        self.precision = chosen_precision(precision, place)
        codec, world = self.tokenizer, self.world
        if self.precision == "bfloat16":
            codec, world = copy.deepcopy(codec).bfloat16(), world.in_bfloat16()
        self._graph = StepGraph(self.config, world, codec, self.tokenizer).to(place)
        self._call: Any = self._graph

    @property
    def device(self) -> str:
        """The device in words."""
        if self.torch_device.type == "cuda":
            return torch.cuda.get_device_name(self.torch_device)
        return f"CPU, {torch.get_num_threads()} threads, {self.precision}"

    def run(self, given: StepInputs) -> StepTensors:
        """See `DreamEngine.run`."""
        self._graph.decode, self._graph.scales = self.decode, self.scales
        out: StepTensors = self._call(*given)
        return out

    def draw(self, latent_BChw: Tensor) -> Tensor:
        """See `DreamEngine.draw`."""
        return self._graph.codec.draw(latent_BChw)


class CompiledEngine(EagerEngine):
    """As `EagerEngine`, through torch.compile. The first step takes minutes, and so does the first with
    another `scales` or `decode`. A restored dream's picture is drawn anew without it, so such a dream goes on
    nearly, not to the bit, as it did.

    Raises:
        ValueError: on a CPU without a C++ compiler.
    """

    backend = "compile"

    def __init__(
        self,
        checkpoint: Checkpoint,
        batch_size: int,
        device: str | torch.device | None = None,
        precision: str = "float32",
    ) -> None:
        super().__init__(checkpoint, batch_size, device, precision)
        if self.torch_device.type == "cpu" and not compiler():
            raise ValueError(
                "backend 'compile' needs a C++ compiler: install g++ or name one in CXX; accepted"
                " without: auto, eager, onnx, openvino"
            )
        self._call = torch.compile(self._graph, dynamic=False)


def compiler() -> str | None:
    """The C++ compiler that torch.compile would call, if there is one."""
    return shutil.which(os.environ.get("CXX", "g++"))


def chosen_precision(wish: str, device: torch.device) -> str:
    """ "float32" or "bfloat16".

    Raises:
        ValueError: another wish than these and "auto".
    """
    if wish not in ("float32", "bfloat16", "auto"):
        raise ValueError(f"precision {wish!r} is unknown; accepted: float32, bfloat16, auto")
    if wish != "auto":
        return wish
    return "bfloat16" if device.type == "cpu" and multiplies_bfloat16() else "float32"
