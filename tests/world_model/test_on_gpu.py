"""PyTorch and ONNX Runtime on an NVIDIA GPU beside PyTorch on the CPU; TensorRT has a file of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from test_engine import actions, context, drive

from world_model.checkpoint import Checkpoint
from world_model.engine.base import Engine
from world_model.engine.eager import EagerEngine
from world_model.engine.export import export, installed
from world_model.engine.exported import OnnxEngine

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="needs an NVIDIA GPU and a CUDA build of PyTorch"
)
BATCH, STEPS = 2, 10


def model() -> Checkpoint:
    """An untrained model that knows its camera; engines move what they are given, so each gets its own."""
    return tiny.random_checkpoint(size=tiny.SEEING)


def same_tokens(engine: Engine) -> float:
    """Share of tokens that are those of PyTorch on the CPU, each step from the same state."""
    reference, same = EagerEngine(model(), BATCH, "cpu"), []
    reference.reset(*context(BATCH))
    for step, action in enumerate(actions(STEPS, BATCH)):
        engine.state = reference.state
        told = [drive(one, action[None], step)[0] for one in (reference, engine)]
        same.append(np.mean(told[0].tokens_BL == told[1].tokens_BL))
    return float(np.mean(same))


def test_pytorch_draws_the_same_tokens():
    assert same_tokens(EagerEngine(model(), BATCH, "cuda")) > 0.99


@pytest.mark.skipif(not installed("onnxruntime"), reason="needs pip install 'dreamlane[gpu]'")
def test_onnx_runtime_draws_the_same_tokens(tmp_path: Path):
    export(model(), BATCH, tmp_path)
    assert same_tokens(OnnxEngine(model(), BATCH, tmp_path, device="cuda")) > 0.99
