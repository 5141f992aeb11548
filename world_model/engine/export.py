"""Write a checkpoint's step as ONNX graphs, once for each batch size, for the runtimes that take them.

`step.onnx` is `StepGraph.forward`, all scales unrolled, sampling included, noise as an input; `draw.onnx`
draws the picture of a latent map, for the first step after a reset. `step-3.onnx` and its like, written if
wished, stop after so many scales. Shapes are fixed: runtimes plan memory and pick kernels by them.
"""

from __future__ import annotations

import copy
import importlib.util
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from world_model.checkpoint import Checkpoint, CheckpointError
from world_model.engine.step_graph import StepGraph, StepInputs, StepTensors
from world_model.families.car import PAST_ACTIONS
from world_model.families.world import PAST_MAPS
from world_model.tokenizer.model import Tokenizer

FORMAT, VERSION, OPSET = "dreamlane.export", 3, 20
STEP, DRAW, MANIFEST = "step.onnx", "draw.onnx", "export.json"
PRECISIONS = ("float32", "bfloat16")
OUTPUTS = tuple(f"next_{name}" for name in StepTensors._fields)  # no name may come twice


class ExportError(ValueError):
    """No exported graph where one is needed, or exporting isn't possible here."""


@dataclass(frozen=True, slots=True)
class Exported:
    """Where the graphs are."""

    steps: dict[int, Path]  # by the number of scales drawn; all of them always is among these
    draw: Path


def exports_dir() -> Path:
    """Where exported graphs are kept: $DREAMLANE_EXPORTS, or a folder of the user's cache."""
    if chosen := os.environ.get("DREAMLANE_EXPORTS"):
        return Path(chosen)
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "dreamlane" / "exports"


def installed(package: str) -> bool:
    """Whether a package can be imported."""
    return importlib.util.find_spec(package) is not None


def folder_of(
    checkpoint_hash: str, batch_size: int, root: Path | None = None, precision: str = "float32"
) -> Path:
    """The folder that the graphs of this checkpoint, batch size and precision have."""
    typed = "" if precision == "float32" else f"-{precision}"
    return (root or exports_dir()) / f"{checkpoint_hash}-batch{batch_size}{typed}"


def find_export(
    checkpoint: Checkpoint, batch_size: int, root: Path | None = None, precision: str = "float32"
) -> Exported:
    """The graphs exported earlier.

    Raises:
        ExportError: there are none, or they are of another version.
    """
    folder = folder_of(checkpoint.hash, batch_size, root, precision)
    command = f"`dreamlane export --model {checkpoint.config.name} --batch {batch_size}"
    command += "`" if precision == "float32" else f" --precision {precision}`"
    try:
        stated = json.loads((folder / MANIFEST).read_text())
    except FileNotFoundError:
        raise ExportError(
            f"no graphs of checkpoint {checkpoint.hash} for batch {batch_size} in {folder.parent};"
            f" {command} writes them"
        ) from None
    except json.JSONDecodeError as error:
        raise ExportError(f"{folder / MANIFEST} is no JSON: {error}; {command} --again") from error
    if (stated.get("format"), stated.get("version")) != (FORMAT, VERSION):
        raise ExportError(
            f"{folder / MANIFEST} is of {stated.get('format')!r} version {stated.get('version')!r};"
            f" this program reads {FORMAT!r} version {VERSION}: {command} --again"
        )
    if not ((folder / STEP).is_file() and (folder / DRAW).is_file()):
        raise ExportError(f"{folder} lacks {STEP} or {DRAW}: {command} --again")
    most = len(checkpoint.config.tokenizer.quantizer.scales)
    fewer = {k: path for k in range(1, most) if (path := folder / step_name(k)).is_file()}
    return Exported({**fewer, most: folder / STEP}, folder / DRAW)


def step_name(scales: int) -> str:
    """The file of a step that draws fewer scales than there are."""
    return f"step-{scales}.onnx"


def export(
    checkpoint: Checkpoint,
    batch_size: int,
    root: Path | None = None,
    precision: str = "float32",
    scales: Sequence[int] = (),
) -> Exported:
    """Write the graphs, in place of older ones; about a minute for `town`. Interrupted, it leaves nothing.

    Besides the step that draws all scales, one is written for each number in `scales`.

    In "bfloat16" the transformer and the pictures are, all else stays float32: for runtimes that take a
    graph's types as they are (TensorRT). Others choose their own precision for a graph in float32.

    Raises:
        CheckpointError: no world model in the checkpoint.
        ExportError: the exporter isn't installed.
        ValueError: a batch size below 1, another precision, or numbers of scales that the model can't draw.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision {precision!r}; accepted: {', '.join(PRECISIONS)}")
    if checkpoint.world is None:
        raise CheckpointError(f"checkpoint {checkpoint.config.name!r} holds a tokenizer only")
    if batch_size < 1:
        raise ValueError(f"batch size {batch_size}; accepted: 1 or more")
    possible = checkpoint.world.possible_scales
    if wrong := [k for k in scales if k not in possible]:
        accepted = ", ".join(map(str, possible))
        raise ValueError(
            f"scales {wrong[0]}; family {checkpoint.config.family!r} accepts: {accepted}"
        )
    target = folder_of(checkpoint.hash, batch_size, root, precision)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=".part-", dir=target.parent))
    try:
        _write_graphs(checkpoint, batch_size, part, precision, sorted({*scales, max(possible)}))
        stated = {
            "format": FORMAT,
            "version": VERSION,
            "checkpoint": checkpoint.hash,
            "model": checkpoint.config.name,
            "batch": batch_size,
            "precision": precision,
            "opset": OPSET,
            "torch": torch.__version__,
        }
        (part / MANIFEST).write_text(json.dumps(stated, indent=2) + "\n")
        if target.exists():
            shutil.rmtree(target)
        part.replace(target)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return find_export(checkpoint, batch_size, root, precision)


def _write_graphs(
    checkpoint: Checkpoint, batch_size: int, folder: Path, precision: str, scales: Sequence[int]
) -> None:
    config, world, tokenizer = checkpoint.config, checkpoint.world, checkpoint.tokenizer
    assert world is not None
    pictures, quantizer = config.tokenizer, config.tokenizer.quantizer
    latent_map = (quantizer.channels, *quantizer.scales[-1])
    generator = torch.Generator().manual_seed(0)

    def some(*size: int) -> Tensor:
        return torch.rand(batch_size, *size, generator=generator)

    given = StepInputs(
        some(PAST_MAPS, *latent_map),
        some(3, pictures.frame_height, pictures.frame_width),
        some(PAST_ACTIONS, 2),
        some(world.ego_size),
        some(world.noise),
    )
    codec = tokenizer
    if precision == "bfloat16":
        codec, world = copy.deepcopy(tokenizer).bfloat16(), world.in_bfloat16()
    graph = StepGraph(config, world, codec, tokenizer).eval()
    most = graph.scales
    for graph.scales in scales:
        path = folder / (STEP if graph.scales == most else step_name(graph.scales))
        _write(graph, given, StepInputs._fields, OUTPUTS, path)
    _write(
        _Draw(codec).eval(),
        (some(*latent_map),),
        ("latent_BChw",),
        ("picture_BCHW",),
        folder / DRAW,
    )


class _Draw(nn.Module):
    def __init__(self, codec: Tokenizer) -> None:
        super().__init__()
        self.codec = codec

    def forward(self, latent_BChw: Tensor) -> Tensor:
        return self.codec.draw(latent_BChw)


def _write(
    module: nn.Module,
    given: tuple[Tensor, ...],
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
    path: Path,
) -> None:
    try:
        import onnxscript  # noqa: F401  (torch's exporter is built on it)
    except ImportError as error:
        raise ExportError(
            "exporting needs onnx and onnxscript: pip install 'dreamlane[onnx]'"
        ) from error
    with torch.no_grad():
        program = torch.onnx.export(
            module,
            tuple(given),
            dynamo=True,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=list(outputs),
            verbose=False,
        )
    assert program is not None
    program.save(str(path))
