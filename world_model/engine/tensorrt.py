"""TensorRT: exported graphs as plans for one GPU, replayed as a CUDA graph.

What TensorRT can't take is found without a GPU (`obstacles`): its parser would say so only after minutes, on
a machine that many don't have. Plans belong to one GPU and one TensorRT, and are kept under names that say
which. Networks are strongly typed: the precision is the graph's own (`export(..., precision="bfloat16")`).

API: NVIDIA TensorRT 10 and 11, Python.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from world_model.checkpoint import Checkpoint
from world_model.engine.dreaming import DreamEngine
from world_model.engine.export import OUTPUTS, ExportError, find_export, installed
from world_model.engine.step_graph import StepInputs, StepTensors

if TYPE_CHECKING:
    import onnx

PRECISION = "bfloat16"
WORKSPACE_BYTES = 1 << 30

OPERATORS = frozenset(
    """
    Abs Add And ArgMax ArgMin Atan AveragePool Cast CastLike Ceil Clip Concat Constant ConstantOfShape Conv
    Cos CumSum DepthToSpace Div Einsum Equal Erf Exp Expand Flatten Floor Gather GatherElements
    GatherND Gelu Gemm Greater GreaterOrEqual GridSample GroupNormalization Identity
    InstanceNormalization IsNaN LayerNormalization Less LessOrEqual Log LogSoftmax MatMul Max Mean
    Min Mod Mul Neg Not Or Pad Pow Range Reciprocal ReduceL2 ReduceMax ReduceMean ReduceMin
    ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize RMSNormalization Round ScatterElements
    ScatterND Shape Sigmoid Sign Sin Slice Softmax Softplus SpaceToDepth Split Sqrt Squeeze Sub Sum
    Tan Tanh Tile TopK Transpose Trilu Unsqueeze Where Xor
    """.split()  # noqa: SIM905  (a page of quotes reads worse)
)
"""ONNX operators that TensorRT 10.15 documents as supported, as far as a step could come to need them."""


def obstacles(path: Path) -> list[str]:
    """Why TensorRT wouldn't take an exported graph; empty where it should.

    Checks the documented list of operators and its restrictions that could touch a step: no unsigned bytes
    but at the graph's edge, one output of a layer norm, constant axes of running sums, no sampling of grids
    in bfloat16.
    """
    import onnx

    model = onnx.load(str(path), load_external_data=False)
    graph, types = model.graph, _types(model)
    constant = {value.name for value in graph.initializer}
    constant |= {node.output[0] for node in graph.node if node.op_type == "Constant"}
    edge = {value.name for value in (*graph.input, *graph.output)}
    found = set()
    for node in graph.node:
        name = node.op_type
        if name not in OPERATORS or node.domain not in ("", "ai.onnx"):
            found.add(f"operator {node.domain or 'ai.onnx'}.{name} isn't supported")
        if name == "LayerNormalization" and any(node.output[1:]):
            found.add("LayerNormalization has more outputs than one")
        if name == "CumSum" and node.input[1] not in constant:
            found.add("the axis of CumSum isn't constant")
        if name == "GridSample" and types.get(node.input[0]) == onnx.TensorProto.BFLOAT16:
            found.add("GridSample works in bfloat16")
        inner = set(node.output) - edge
        if any(types.get(output) == onnx.TensorProto.UINT8 for output in inner):
            found.add(f"{name} yields unsigned bytes inside the graph")
    return sorted(found)


def _types(model: onnx.ModelProto) -> dict[str, int]:
    """Element types of all tensors whose type is known."""
    import onnx

    known = onnx.shape_inference.infer_shapes(model).graph
    values = (*known.input, *known.output, *known.value_info)
    types = {value.name: value.type.tensor_type.elem_type for value in values}
    return types | {value.name: value.data_type for value in known.initializer}


def plan_name(graph: str, gpu: str, capability: tuple[int, int], version: str) -> str:
    """File name of a plan: another GPU or TensorRT never meets it. The folder says model and batch."""
    plain = re.sub(r"[^a-z0-9]+", "-", gpu.lower()).strip("-")
    return f"{graph}-{plain}-sm{capability[0]}{capability[1]}-trt{version}.plan"


def build(graph: Path, plan: Path) -> None:
    """Build a graph's plan for this GPU: minutes. Interrupted, it leaves nothing.

    Raises:
        ExportError: TensorRT can't take the graph; says why.
    """
    if reasons := obstacles(graph):
        raise ExportError(f"TensorRT can't take {graph}: {'; '.join(reasons)}")
    import tensorrt as trt

    logger = trt.Logger(trt.Logger.WARNING)
    builder = trt.Builder(logger)
    typed = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)  # TensorRT 11: always so
    network = builder.create_network(typed)
    parser = trt.OnnxParser(network, logger)
    if not parser.parse_from_file(str(graph)):
        said = "; ".join(str(parser.get_error(i)) for i in range(parser.num_errors))
        raise ExportError(f"TensorRT {trt.__version__} can't read {graph}: {said}")
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, WORKSPACE_BYTES)
    serialized = builder.build_serialized_network(network, config)
    if serialized is None:
        raise ExportError(f"TensorRT {trt.__version__} built no plan of {graph}; its log says why")
    part = plan.with_suffix(".part")
    part.write_bytes(bytes(serialized))
    part.replace(plan)


class Plan:
    """A plan with its tensors on the GPU, captured as a CUDA graph after the first run.

    Args:
        path: of the plan.
        inputs: names in the order of the arguments; what the graph doesn't read is passed over.
        outputs: names in the order of the results.
    """

    def __init__(self, path: Path, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> None:
        import tensorrt as trt

        self._logger = trt.Logger(trt.Logger.WARNING)
        self._engine = trt.Runtime(self._logger).deserialize_cuda_engine(path.read_bytes())
        if self._engine is None:
            raise ExportError(
                f"{path} is no plan for this GPU and TensorRT: delete it to build anew"
            )
        self._context = self._engine.create_execution_context()
        self._tensors: dict[str, Tensor] = {}
        for i in range(self._engine.num_io_tensors):
            name = self._engine.get_tensor_name(i)
            kind = trt.nptype(self._engine.get_tensor_dtype(name))
            dtype = torch.from_numpy(np.empty(0, kind)).dtype
            shape = tuple(self._engine.get_tensor_shape(name))
            self._tensors[name] = torch.empty(shape, dtype=dtype, device="cuda")
            self._context.set_tensor_address(name, self._tensors[name].data_ptr())
        self._inputs, self._outputs = inputs, outputs
        self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        self._graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, *given: Tensor) -> list[Tensor]:
        """Results stay valid until the next call."""
        for name, value in zip(self._inputs, given, strict=True):
            if name in self._tensors:
                self._tensors[name].copy_(value)
        if self._graph is None:
            self._capture()
        assert self._graph is not None
        self._graph.replay()
        return [self._tensors[name] for name in self._outputs]

    def _capture(self) -> None:
        self._stream.wait_stream(torch.cuda.current_stream())
        self._context.execute_async_v3(self._stream.cuda_stream)  # allocates what it needs
        self._stream.synchronize()
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph, stream=self._stream):
            self._context.execute_async_v3(self._stream.cuda_stream)


class TensorRtEngine(DreamEngine):
    """TensorRT on one NVIDIA GPU; transformer and pictures in bfloat16. The first one builds its plans.

    Args:
        checkpoint: with a world model in it.
        batch_size: number of dreams; graphs are exported for each.
        root: where exports are kept, if not in `exports_dir`.

    Raises:
        ExportError: no GPU, no TensorRT, no exported graphs, or TensorRT can't take them.
    """

    backend = "tensorrt"
    precision = PRECISION

    def __init__(self, checkpoint: Checkpoint, batch_size: int, root: Path | None = None) -> None:
        if not torch.cuda.is_available():
            raise ExportError(
                "backend 'tensorrt' needs an NVIDIA GPU and a CUDA build of PyTorch; on a CPU: auto, eager,"
                " compile, onnx, openvino"
            )
        if not installed("tensorrt"):
            raise ExportError("backend 'tensorrt' needs TensorRT: pip install 'dreamlane[gpu]'")
        super().__init__(checkpoint, batch_size, torch.device("cuda"))
        graphs = find_export(checkpoint, batch_size, root, PRECISION)
        self._graphs = graphs.steps
        self.possible_scales = tuple(graphs.steps)
        self._steps: dict[int, Plan] = {}
        self.load_scales(self.scales)
        self._draw = self._plan(graphs.draw, ("latent_BChw",), ("picture_BCHW",))

    @property
    def device(self) -> str:
        """The device in words."""
        return f"{torch.cuda.get_device_name()}, {self.precision}"

    def run(self, given: StepInputs) -> StepTensors:
        """See `DreamEngine.run`."""
        return self.with_exact_motion(StepTensors(*self._steps[self.scales](*given)), given)

    def draw(self, latent_BChw: Tensor) -> Tensor:
        """See `DreamEngine.draw`."""
        return self._draw(latent_BChw)[0].clone()

    def load_scales(self, count: int) -> None:
        """See `DreamEngine.load_scales`."""
        if count not in self._steps:
            self._steps[count] = self._plan(self._graphs[count], StepInputs._fields, OUTPUTS)

    def _plan(self, graph: Path, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> Plan:
        import tensorrt as trt

        gpu, capability = torch.cuda.get_device_name(), torch.cuda.get_device_capability()
        path = graph.with_name(plan_name(graph.stem, gpu, capability, trt.__version__))
        if not path.is_file():
            build(graph, path)
        return Plan(path, inputs, outputs)
