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


class ExportedEngine(DreamEngine):
    """Steps a batch of dreams by graphs that `export` wrote; a start from recorded frames runs in PyTorch.

    Args:
        checkpoint: with a world model in it.
        batch_size: number of dreams; graphs are exported for each.
        root: where exports are kept, if not in `exports_dir`.
        threads: of a step; 0 takes as many as there are cores.

    Raises:
        ExportError: no graphs of this checkpoint and batch size, or the runtime isn't installed.
    """

    package: str

    def __init__(
        self, checkpoint: Checkpoint, batch_size: int, root: Path | None = None, threads: int = 0
    ) -> None:
        super().__init__(checkpoint, batch_size, torch.device("cpu"))
        if not installed(self.package):
            raise ExportError(
                f"backend {self.backend!r} needs {self.package}: pip install 'dreamlane[{self.backend}]'"
            )
        self.threads = threads or len(os.sched_getaffinity(0))
        graphs = find_export(checkpoint, batch_size, root)
        self._step, self._draw = self._load(graphs.step), self._load(graphs.draw)

    def run(self, given: StepInputs) -> StepTensors:
        """See `DreamEngine.run`."""
        self.check_scales()
        named = {n: np.ascontiguousarray(t.numpy()) for n, t in given._asdict().items()}
        return StepTensors(*map(torch.from_numpy, self._infer(self._step, named)))

    def draw(self, latent_BChw: Tensor) -> Tensor:
        """See `DreamEngine.draw`."""
        named = {"latent_BChw": np.ascontiguousarray(latent_BChw.numpy())}
        return torch.from_numpy(self._infer(self._draw, named)[0])

    @abstractmethod
    def _load(self, path: Path) -> Any:
        """A graph ready to run, as `_infer` takes it."""

    @abstractmethod
    def _infer(self, graph: Any, named: dict[str, np.ndarray]) -> list[np.ndarray]:
        """All outputs of a graph, in memory of their own."""


class OnnxEngine(ExportedEngine):
    """ONNX Runtime on the CPU, float32."""

    backend = "onnx"
    package = "onnxruntime"

    @property
    def device(self) -> str:
        """The device in words."""
        return f"CPU, {self.threads} threads, float32"

    def _load(self, path: Path) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        # idle threads that spin would take the core from whoever steers
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        return session, {node.name for node in session.get_inputs()}

    def _infer(self, graph: Any, named: dict[str, np.ndarray]) -> list[np.ndarray]:
        session, used = graph  # an exporter drops inputs that nothing reads
        outputs: list[np.ndarray] = session.run(None, {k: named[k] for k in used})
        return outputs


class OpenVinoEngine(ExportedEngine):
    """OpenVINO on the CPU: bfloat16 where the processor has it, else float32."""

    backend = "openvino"
    package = "openvino"

    @property
    def device(self) -> str:
        """The device in words."""
        return f"CPU, {self.threads} threads, {self._precision}"

    def run(self, given: StepInputs) -> StepTensors:
        """See `DreamEngine.run`."""
        return self.with_exact_motion(super().run(given), given)

    @cached_property
    def _core(self) -> Any:
        import openvino

        return openvino.Core()

    @cached_property
    def _precision(self) -> str:
        able = self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        return "bfloat16" if "BF16" in able else "float32"

    def _load(self, path: Path) -> Any:
        settings = {
            "INFERENCE_PRECISION_HINT": {"bfloat16": "bf16", "float32": "f32"}[self._precision],
            "INFERENCE_NUM_THREADS": self.threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            "CACHE_DIR": str(path.parent / "openvino"),  # compiling takes seconds, the first time
        }
        compiled = self._core.compile_model(str(path), "CPU", settings)
        return compiled.create_infer_request(), {i.get_any_name() for i in compiled.inputs}

    def _infer(self, graph: Any, named: dict[str, np.ndarray]) -> list[np.ndarray]:
        request, used = graph
        found = request.infer({k: named[k] for k in used})
        return [found[i].copy() for i in range(len(found))]


RUNTIMES: dict[str, type[ExportedEngine]] = {
    "openvino": OpenVinoEngine,
    "onnx": OnnxEngine,
}
"""By name, the fastest first."""
