"""Exported graphs: PyTorch's dreams, restored to the bit; told plainly when there are none."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from test_engine import actions, assert_equal_outputs, context, drive

from world_model.checkpoint import Checkpoint, CheckpointError, save
from world_model.engine import load_engine
from world_model.engine.base import STATE_HEADS
from world_model.engine.eager import EagerEngine
from world_model.engine.export import (
    MANIFEST,
    STEP,
    ExportError,
    export,
    find_export,
    folder_of,
    installed,
)
from world_model.engine.exported import OnnxEngine, OpenVinoEngine

needs_onnx = pytest.mark.skipif(
    not (installed("onnxruntime") and installed("onnxscript")),
    reason="needs ONNX Runtime and the exporter: pip install 'dreamlane[onnx]'",
)
needs_openvino = pytest.mark.skipif(
    not installed("openvino"), reason="needs OpenVINO: pip install 'dreamlane[openvino]'"
)
BATCH = 2


@pytest.fixture(scope="module")
def root(checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the graphs of the untrained model."""
    folder = tmp_path_factory.mktemp("exports")
    export(checkpoint, BATCH, folder)
    return folder


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    mse = np.square(one.astype(float) - other).mean()
    return float(10 * np.log10(255**2 / max(mse, 1e-9)))


@needs_onnx
def test_onnx_dreams_what_eager_dreams(checkpoint, root):
    engines = EagerEngine(checkpoint, BATCH, "cpu"), OnnxEngine(checkpoint, BATCH, root)
    told = []
    for engine in engines:
        engine.reset(*context(BATCH))
        told.append(drive(engine, actions(50, BATCH)))
    same = [np.mean(a.tokens_BL == b.tokens_BL) for a, b in zip(*told, strict=True)]
    assert np.mean(same) >= 0.999
    frames = [np.stack([out.frame_BHWC for out in outs]) for outs in told]
    assert psnr(*frames) >= 40
    for a, b in zip(*told, strict=True):
        for name, value in (*a.state.items(), *a.events.items()):
            np.testing.assert_allclose(
                {**b.state, **b.events}[name], value, atol=1e-3, rtol=1e-3, err_msg=name
            )
        np.testing.assert_allclose(b.surprise_B, a.surprise_B, atol=1e-3)
        np.testing.assert_allclose(b.drift_B, a.drift_B, atol=1e-3)


@needs_onnx
def test_dreams_side_by_side_are_the_single_ones(checkpoint, root, tmp_path):
    export(checkpoint, 1, tmp_path)
    together, alone = OnnxEngine(checkpoint, BATCH, root), OnnxEngine(checkpoint, 1, tmp_path)
    given, taken = context(BATCH), actions(10, BATCH)
    together.reset(*given)
    outs = drive(together, taken, seed=3)
    for slot in range(BATCH):
        only = slice(slot, slot + 1)
        alone.reset(*(part[only] for part in given))
        told = drive(alone, taken[:, only], generators=[np.random.default_rng([3, slot])])
        same = [np.mean(a.tokens_BL[only] == b.tokens_BL) for a, b in zip(outs, told, strict=True)]
        assert np.mean(same) >= 0.999


@needs_onnx
@pytest.mark.parametrize(
    ("family", "carried"),
    [
        ("raster", ""),
        ("nar", ""),
        ("dit", ""),
        ("var", "road"),
        ("var", "road and lead"),
        ("var", "course"),
    ],
)
def test_every_family_can_be_exported(family, carried, tmp_path):
    road, lead = "road" in carried, "lead" in carried
    size = replace(tiny.SEEING, road=road, lead=lead, place_gain=0.8 if lead else 0.0)
    size = replace(size, course_m=60.0 if carried == "course" else 0.0)
    known = STATE_HEADS[2 : 5 + lead] if road else ()  # untrained, motion would be chaos
    checkpoint = tiny.random_checkpoint(size=size, family=family, known_heads=known)
    export(checkpoint, BATCH, tmp_path)
    engines = EagerEngine(checkpoint, BATCH, "cpu"), OnnxEngine(checkpoint, BATCH, tmp_path)
    told = []
    for engine in engines:
        engine.reset(*context(BATCH))
        if lead:
            engine.stage_lead(np.float32([[8.0, 3.0]] + [[np.nan, np.nan]] * (BATCH - 1)))
        told.append(drive(engine, actions(10, BATCH)))
    same = [np.mean(a.tokens_BL == b.tokens_BL) for a, b in zip(*told, strict=True)]
    assert np.mean(same) >= 0.999
    for a, b in zip(*told, strict=True):
        for name, value in a.state.items():
            np.testing.assert_allclose(b.state[name], value, atol=1e-3, rtol=1e-3, err_msg=name)


@needs_onnx
@pytest.mark.parametrize(
    "runtime", [OnnxEngine, pytest.param(OpenVinoEngine, marks=needs_openvino)]
)
def test_a_restored_dream_goes_on_to_the_bit(checkpoint, root, runtime):
    engine = runtime(checkpoint, BATCH, root)
    engine.reset(*context(BATCH))
    drive(engine, actions(3, BATCH))
    kept, rest = engine.state, actions(4, BATCH, seed=8)
    went_on = drive(engine, rest)
    engine.state = kept
    assert_equal_outputs(drive(engine, rest), went_on)


@needs_onnx
def test_a_graph_draws_all_scales_or_says_how_to_get_others(checkpoint, root):
    engine = OnnxEngine(checkpoint, BATCH, root)
    with pytest.raises(ValueError, match="'onnx': 3; `dreamlane export --scales 1` adds it"):
        engine.scales = 1
    with pytest.raises(ValueError, match=r"'onnx': 3$"):
        engine.scales = 4


@needs_onnx
def test_fewer_scales_are_graphs_of_their_own(tmp_path):
    checkpoint = tiny.random_checkpoint(size=tiny.SEEING)
    with pytest.raises(ValueError, match="scales 4; family 'var' accepts: 1, 2, 3"):
        export(checkpoint, BATCH, tmp_path, scales=[4])
    export(checkpoint, BATCH, tmp_path, scales=[1])
    told = []
    for engine in (EagerEngine(checkpoint, BATCH, "cpu"), OnnxEngine(checkpoint, BATCH, tmp_path)):
        engine.reset(*context(BATCH))
        assert engine.possible_scales[-1] == 3
        outs = []
        for engine.scales in (3, 1, 3):
            outs += drive(engine, actions(2, BATCH, seed=engine.scales))
        told.append(outs)
    for a, b in zip(*told, strict=True):
        assert np.mean(a.tokens_BL == b.tokens_BL) > 0.99
    assert (told[1][2].tokens_BL[:, 2:] == -1).all()


@needs_onnx
@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_device_that_isn_t_there_is_named(checkpoint, root):
    with pytest.raises(ExportError, match=r"CUDAExecutionProvider and a GPU.*dreamlane\[gpu\]"):
        OnnxEngine(checkpoint, BATCH, root, device="cuda")
    with pytest.raises(ValueError, match="accepts: cpu, cuda"):
        OnnxEngine(checkpoint, BATCH, root, device="abacus")


@needs_onnx
@needs_openvino
def test_openvino_draws_nearly_the_same_step(checkpoint, root):
    # in bfloat16, where the processor has it: chances near the edge of two codes fall otherwise
    engines = EagerEngine(checkpoint, BATCH, "cpu"), OpenVinoEngine(checkpoint, BATCH, root)
    same, gaps, speeds = [], [], []
    for seed in range(12):
        told = []
        for engine in engines:
            engine.reset(*context(BATCH, seed=seed))
            told += drive(engine, actions(1, BATCH, seed), seed)
        same.append((told[0].tokens_BL == told[1].tokens_BL).mean(1))
        gap = np.abs(told[0].frame_BHWC.astype(int) - told[1].frame_BHWC).mean((1, 2, 3))
        gaps.append(gap[same[-1] == 1])
        speeds.append(np.abs(told[0].state["speed_mps"] - told[1].state["speed_mps"]))
    assert np.mean(same) > 0.8
    assert np.concatenate(gaps).mean() < 2
    assert np.max(speeds) < 1e-5  # what is fed back isn't rounded


@needs_onnx
def test_what_is_missing_is_said_with_the_command_that_makes_it(checkpoint, tmp_path, root):
    with pytest.raises(ExportError, match=r"dreamlane export --model tiny --batch 3"):
        OnnxEngine(checkpoint, 3, root)
    copied = tmp_path / "copied"
    shutil.copytree(root, copied)
    folder = folder_of(checkpoint.hash, BATCH, copied)
    stated = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(stated | {"version": 9}))
    with pytest.raises(ExportError, match=r"version 9.*--again"):
        find_export(checkpoint, BATCH, copied)
    (folder / MANIFEST).write_text("{")
    with pytest.raises(ExportError, match="no JSON"):
        find_export(checkpoint, BATCH, copied)
    (folder / MANIFEST).write_text(json.dumps(stated))
    (folder / STEP).unlink()
    with pytest.raises(ExportError, match=r"lacks step\.onnx"):
        find_export(checkpoint, BATCH, copied)


def test_an_export_that_fails_leaves_nothing(tmp_path, monkeypatch):
    checkpoint = tiny.random_checkpoint()

    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("world_model.engine.export._write", full)
    with pytest.raises(OSError, match="No space left"):
        export(checkpoint, 1, tmp_path)
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="accepted: 1 or more"):
        export(checkpoint, 0, tmp_path)
    with pytest.raises(CheckpointError, match="tokenizer only"):
        export(Checkpoint(checkpoint.config, checkpoint.tokenizer, None, ""), 1, tmp_path)


@needs_onnx
def test_auto_takes_what_is_ready(tmp_path, monkeypatch):
    monkeypatch.setenv("DREAMLANE_EXPORTS", str(tmp_path / "exports"))
    made = tiny.random_checkpoint()
    save(tmp_path / "model", made.config, made.tokenizer, made.world)
    assert load_engine(tmp_path / "model", backend="auto").backend == "eager"
    with pytest.raises(ExportError, match="dreamlane export"):
        load_engine(tmp_path / "model", backend="onnx")
    with pytest.raises(ValueError, match="accepts: cpu"):
        load_engine(tmp_path / "model", backend="openvino", device="cuda")
    engine = load_engine(tmp_path / "model")
    export(Checkpoint(made.config, made.tokenizer, made.world, engine.checkpoint_hash), 1)
    best = "openvino" if installed("openvino") else "onnx"
    assert load_engine(tmp_path / "model", backend="auto").backend == best
    assert load_engine(tmp_path / "model", backend="onnx").backend == "onnx"
    assert load_engine(tmp_path / "model", batch_size=2, backend="auto").backend == "eager"

    for graph in (tmp_path / "exports").rglob("step.onnx"):
        graph.write_bytes(b"no graph")
    with pytest.warns(UserWarning, match="backend 'onnx' is installed and has graphs, but fails"):
        assert load_engine(tmp_path / "model", backend="auto").backend == "eager"
    with pytest.raises(Exception, match=r"step\.onnx"):  # who asks for one by name is told
        load_engine(tmp_path / "model", backend="onnx")
