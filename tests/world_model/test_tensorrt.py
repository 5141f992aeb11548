"""TensorRT as far as a machine without a GPU can tell; the rest says what it needs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from test_engine import actions, context, drive

from world_model.checkpoint import Checkpoint
from world_model.engine.base import STATE_HEADS
from world_model.engine.eager import EagerEngine
from world_model.engine.export import ExportError, export, find_export, installed
from world_model.engine.tensorrt import PRECISION, TensorRtEngine, obstacles, plan_name

onnx = pytest.importorskip("onnx", reason="needs the exporter: pip install 'dreamlane[onnx]'")
from onnx import TensorProto, helper  # noqa: E402

needs_gpu = pytest.mark.skipif(
    not (torch.cuda.is_available() and installed("tensorrt")),
    reason="needs an NVIDIA GPU and TensorRT: pip install 'dreamlane[gpu]'",
)


AS_SHIPPED = replace(tiny.SEEING, road=True, lead=True, place_gain=0.8)


def model() -> Checkpoint:
    """Untrained, with all that `town` has: camera, place and vehicle ahead."""
    return tiny.random_checkpoint(size=AS_SHIPPED, known_heads=STATE_HEADS[2:6])


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with that model's typed graphs."""
    folder = tmp_path_factory.mktemp("typed")
    export(model(), 1, folder, PRECISION)
    return folder


def test_a_typed_graph_of_a_step_has_no_obstacles(root):
    graphs = find_export(model(), 1, root, PRECISION)
    assert obstacles(graphs.steps[3]) == []
    assert obstacles(graphs.draw) == []
    typed = onnx.load(str(graphs.steps[3]))
    onnx.checker.check_model(typed)
    stored = [value.data_type for value in typed.graph.initializer]
    assert TensorProto.BFLOAT16 in stored  # the transformer and the decoder are what costs
    edge = {v.name: v.type.tensor_type.elem_type for v in (*typed.graph.input, *typed.graph.output)}
    assert edge["past_BPChw"] == edge["next_latent_BChw"] == TensorProto.FLOAT
    assert edge["next_frame_BHWC"] == TensorProto.UINT8


def one_node(tmp_path: Path, node, *, dtype=TensorProto.FLOAT, out=TensorProto.FLOAT) -> Path:
    """A graph of a node between two identities, so that neither end of it is the graph's edge."""
    values = [
        helper.make_tensor_value_info("x", dtype, [2, 3]),
        helper.make_tensor_value_info("a", 7, []),
    ]
    nodes = [
        helper.make_node("Identity", ["x"], ["in"]),
        node,
        helper.make_node("Identity", [node.output[0]], ["y"]),
    ]
    result = helper.make_tensor_value_info("y", out, [2, 3])
    graph = helper.make_graph(nodes, "g", values, [result])
    path = tmp_path / "one.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]), str(path))
    return path


@pytest.mark.parametrize(
    ("node", "types", "reason"),
    [
        (
            helper.make_node("Bernoulli", ["in"], ["out"]),
            {},
            "operator ai.onnx.Bernoulli isn't supported",
        ),
        (helper.make_node("CumSum", ["in", "a"], ["out"]), {}, "the axis of CumSum isn't constant"),
        (
            helper.make_node("Cast", ["in"], ["out"], to=TensorProto.UINT8),
            {"out": TensorProto.UINT8},
            "Cast yields unsigned bytes inside",
        ),
    ],
)
def test_what_tensorrt_can_not_take_is_found_without_it(tmp_path, node, types, reason):
    (found,) = [o for o in obstacles(one_node(tmp_path, node, **types)) if "Identity" not in o]
    assert reason in found


def test_a_plan_is_for_one_gpu_and_one_version():
    name = plan_name("step", "NVIDIA H100 80GB HBM3", (9, 0), "10.15.1")
    assert name == "step-nvidia-h100-80gb-hbm3-sm90-trt10.15.1.plan"
    others = {
        plan_name("draw", "NVIDIA H100 80GB HBM3", (9, 0), "10.15.1"),
        plan_name("step", "NVIDIA L4", (8, 9), "10.15.1"),
        plan_name("step", "NVIDIA H100 80GB HBM3", (9, 0), "11.0.0"),
    }
    assert len(others | {name}) == 4


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what a machine without a GPU is told")
def test_without_a_gpu_it_says_so():
    with pytest.raises(ExportError, match="needs an NVIDIA GPU"):
        TensorRtEngine(tiny.random_checkpoint(), 1)


def test_another_precision_is_refused(tmp_path):
    with pytest.raises(ValueError, match="accepted: float32, bfloat16"):
        export(tiny.random_checkpoint(), 1, tmp_path, "int4")


@needs_gpu
def test_tensorrt_draws_nearly_what_eager_draws(root):
    reference, engine, same = EagerEngine(model(), 1, "cpu"), TensorRtEngine(model(), 1, root), []
    reference.reset(*context(1))
    for step, action in enumerate(actions(10, 1)):  # from the second on, a graph is replayed
        engine.state = reference.state
        told = [drive(one, action[None], step)[0] for one in (reference, engine)]
        same.append(np.mean(told[0].tokens_BL == told[1].tokens_BL))
    assert np.mean(same) > 0.75
