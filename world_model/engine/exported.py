"""Engines that run a checkpoint's exported graphs: ONNX Runtime, and OpenVINO where it is installed."""

from __future__ import annotations

import os
from abc import abstractmethod
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from world_model.checkpoint import Checkpoint
from world_model.engine.dreaming import DreamEngine
from world_model.engine.export import ExportError, find_export, installed
from world_model.engine.step_graph import StepInputs, StepTensors

PROVIDERS = {
    "cpu": ("CPUExecutionProvider",),
    "cuda": ("TensorrtExecutionProvider", "CUDAExecutionProvider"),
}
"""ONNX Runtime's ways to a device, the fastest first."""

TYPES = {
    "tensor(float)": torch.float32,
    "tensor(uint8)": torch.uint8,
    "tensor(int32)": torch.int32,
    "tensor(int64)": torch.int64,
}
"""Of a step's outputs."""

KINDS = {
    torch.float32: np.float32,
    torch.uint8: np.uint8,
    torch.int32: np.int32,
    torch.int64: np.int64,
}
"""The same for NumPy."""


class ExportedEngine(DreamEngine):
    """Steps a batch of dreams by graphs that `export` wrote; a start from recorded frames runs in PyTorch.

    Args:
        checkpoint: with a world model in it.
        batch_size: number of dreams; graphs are exported for each.
        root: where exports are kept, if not in `exports_dir`.
        threads: of a step; 0 takes as many as there are cores.
        device: "cpu", or another that the runtime knows.

    Raises:
        ExportError: no graphs of this checkpoint and batch size, or the runtime isn't installed.
    """

    package: str

    def __init__(
        self,
        checkpoint: Checkpoint,
        batch_size: int,
        root: Path | None = None,
        threads: int = 0,
        device: str = "cpu",
    ) -> None:
        if not installed(self.package):
            raise ExportError(
                f"backend {self.backend!r} needs {self.package}: pip install 'dreamlane[{self.backend}]'"
            )
        self.check_device(device)
        super().__init__(checkpoint, batch_size, torch.device(device))
        self.threads = threads or len(os.sched_getaffinity(0))
        graphs = find_export(checkpoint, batch_size, root)
        self._graphs = graphs.steps
        self.possible_scales = tuple(graphs.steps)
        self._steps = {self.scales: self._load(graphs.steps[self.scales])}
        self._draw = self._load(graphs.draw)

    def run(self, given: StepInputs) -> StepTensors:
        """See `DreamEngine.run`."""
        named = {name: tensor.contiguous() for name, tensor in given._asdict().items()}
        return StepTensors(*self._infer(self._steps[self.scales], named))

    def load_scales(self, count: int) -> None:
        """See `DreamEngine.load_scales`."""
        if count not in self._steps:
            self._steps[count] = self._load(self._graphs[count])

    def draw(self, latent_BChw: Tensor) -> Tensor:
        """See `DreamEngine.draw`."""
        return self._infer(self._draw, {"latent_BChw": latent_BChw.contiguous()})[0]

    def check_device(self, device: str) -> None:
        """Raises ValueError for a device that isn't the runtime's, ExportError for one it can't use here."""
        if device != "cpu":
            raise ValueError(f"device {device!r}; backend {self.backend!r} accepts: cpu")

    @abstractmethod
    def _load(self, path: Path) -> Any:
        """A graph ready to run, as `_infer` takes it."""

    @abstractmethod
    def _infer(self, graph: Any, named: dict[str, Tensor]) -> list[Tensor]:
        """All outputs of a graph, in memory of their own."""


class OnnxEngine(ExportedEngine):
    """ONNX Runtime: the CPU in float32, or an NVIDIA GPU by its TensorRT or CUDA provider.

    Graphs read and write torch's memory in place, wherever it lies: a dream's state never leaves the device.
    """

    backend = "onnx"
    package = "onnxruntime"
    precision = "float32"

    @property
    def device(self) -> str:
        """The device in words."""
        if self.torch_device.type == "cuda":
            return f"{torch.cuda.get_device_name()}, {self._runs_on}, {self.precision}"
        return f"CPU, {self.threads} threads, {self.precision}"

    def check_device(self, device: str) -> None:
        """See `ExportedEngine.check_device`."""
        if device not in PROVIDERS:
            raise ValueError(f"device {device!r}; backend 'onnx' accepts: {', '.join(PROVIDERS)}")
        import onnxruntime

        there = onnxruntime.get_available_providers()
        usable = [provider for provider in PROVIDERS[device] if provider in there]
        if not usable or (device == "cuda" and not torch.cuda.is_available()):
            raise ExportError(
                f"device {device!r} needs {' or '.join(PROVIDERS[device])} and a GPU; this ONNX Runtime has"
                f" {', '.join(there)}: pip install 'dreamlane[gpu]', see docs/gpu.md"
            )
        self._providers = usable

    def _load(self, path: Path) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        # idle threads that spin would take the core from whoever steers
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        given = {
            "trt_engine_cache_enable": True,  # building a plan takes minutes, the first time
            "trt_engine_cache_path": str(path.parent),
        }
        chosen = [(name, given if name.startswith("Tensorrt") else {}) for name in self._providers]
        session = onnxruntime.InferenceSession(str(path), options, providers=chosen)
        session.disable_fallback()  # an error is told, not hidden by the CPU
        self._runs_on = session.get_providers()[0]
        if self._runs_on not in self._providers:
            raise ExportError(
                f"ONNX Runtime can't load {' or '.join(self._providers)}, it offers {self._runs_on};"
                " docs/gpu.md says what it needs"
            )
        used = [node.name for node in session.get_inputs()]  # an exporter drops what nothing reads
        outputs = [(node.name, node.shape, TYPES[node.type]) for node in session.get_outputs()]
        return session, used, outputs

    def _infer(self, graph: Any, named: dict[str, Tensor]) -> list[Tensor]:
        session, used, outputs = graph
        binding = session.io_binding()
        for name in used:
            binding.bind_input(name, *memory_of(named[name]))
        made = [
            torch.empty(size, dtype=kind, device=self.torch_device) for _, size, kind in outputs
        ]
        for (name, _, _), tensor in zip(outputs, made, strict=True):
            binding.bind_output(name, *memory_of(tensor))
        if self.torch_device.type == "cuda":
            torch.cuda.current_stream().synchronize()  # the provider has a stream of its own
        session.run_with_iobinding(binding)
        return made


def memory_of(tensor: Tensor) -> tuple[Any, ...]:
    """Where a tensor lies and what it holds, as ONNX Runtime binds it."""
    device = tensor.device
    kind = KINDS[tensor.dtype]
    return device.type, device.index or 0, kind, tuple(tensor.shape), tensor.data_ptr()


class OpenVinoEngine(ExportedEngine):
    """OpenVINO on the CPU: bfloat16 where the processor has it, else float32."""

    backend = "openvino"
    package = "openvino"

    @property
    def device(self) -> str:
        """The device in words."""
        return f"CPU, {self.threads} threads, {self.precision}"

    def run(self, given: StepInputs) -> StepTensors:
        """See `DreamEngine.run`."""
        return self.with_exact_motion(super().run(given), given)

    @cached_property
    def _core(self) -> Any:
        import openvino

        return openvino.Core()

    @cached_property
    def precision(self) -> str:  # type: ignore[override]
        """See `engine.base.Engine`."""
        able = self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        return "bfloat16" if "BF16" in able else "float32"

    def _load(self, path: Path) -> Any:
        settings = {
            "INFERENCE_PRECISION_HINT": {"bfloat16": "bf16", "float32": "f32"}[self.precision],
            "INFERENCE_NUM_THREADS": self.threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            "CACHE_DIR": str(path.parent / "openvino"),  # compiling takes seconds, the first time
        }
        compiled = self._core.compile_model(str(path), "CPU", settings)
        return compiled.create_infer_request(), {i.get_any_name() for i in compiled.inputs}

    def _infer(self, graph: Any, named: dict[str, Tensor]) -> list[Tensor]:
        request, used = graph
        found = request.infer({k: named[k].numpy() for k in used}, share_inputs=True)
        return [torch.from_numpy(found[i].copy()) for i in range(len(found))]


RUNTIMES: dict[str, type[ExportedEngine]] = {
    "openvino": OpenVinoEngine,
    "onnx": OnnxEngine,
}
"""By name, the fastest first."""
