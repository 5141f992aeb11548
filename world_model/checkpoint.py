"""Checkpoint folders: `model.safetensors` (float16) + `config.json` + `README.md`, never pickle.

One folder holds a tokenizer and, usually, a world model. Loading checks format, version, hash, names and
shapes, and says what is wrong.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from world_model.families import World, WorldConfig, make_world
from world_model.families.reprojection import CameraConfig
from world_model.sampling import SamplingConfig
from world_model.tokenizer.autoencoder import AutoencoderConfig
from world_model.tokenizer.model import Tokenizer, TokenizerConfig
from world_model.tokenizer.quantizer import QuantizerConfig

FORMAT = "dreamlane.checkpoint"
VERSION = 2
WEIGHTS = "model.safetensors"
CONFIG = "config.json"
ENVELOPE = ("format", "version", "weights")  # of config.json; all else describes the model

T = TypeVar("T")


class CheckpointError(ValueError):
    """A checkpoint is missing, damaged, foreign or from a newer version."""


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """What a checkpoint's config.json states."""

    name: str = "unnamed"
    family: str = "var"
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    world: WorldConfig = field(default_factory=WorldConfig)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    known_heads: tuple[str, ...] = ()
    dt_s: float = 0.1
    # range of the drift statistics over true frames: mean and standard deviation of each
    drift_mean: tuple[float, ...] = ()
    drift_std: tuple[float, ...] = ()
    drift_threshold: float = 0.0
    # the signals of doubt in usual dreams: mean and standard deviation of each
    doubt_mean: tuple[float, ...] = ()
    doubt_std: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A loaded checkpoint; both modules are in float32, in evaluation mode."""

    config: ModelConfig
    tokenizer: Tokenizer
    world: World | None
    hash: str


def digest(path: Path) -> str:
    """blake2b-128 of a file, in hex."""
    hasher = hashlib.blake2b(digest_size=16)
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            hasher.update(block)
    return hasher.hexdigest()


def save(folder: Path, config: ModelConfig, tokenizer: Tokenizer, world: World | None) -> str:
    """Write weights and config; returns the weights' hash. An existing README.md stays."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {f"tokenizer.{k}": v for k, v in tokenizer.state_dict().items()}
    # moving sums and counts only matter to training
    tensors = {k: v for k, v in tensors.items() if not k.endswith(("count_KV", "sum_KVC"))}
    if world is not None:
        tensors |= {f"world.{k}": v for k, v in world.state_dict().items()}
    half = {k: v.half() if v.is_floating_point() else v for k, v in tensors.items()}
    part = folder / (WEIGHTS + ".part")
    save_file({k: v.contiguous() for k, v in half.items()}, part)
    weights_hash = digest(part)
    stated = {
        "format": FORMAT,
        "version": VERSION,
        "weights": {"file": WEIGHTS, "blake2b_128": weights_hash, "has_world": world is not None},
        **dataclasses.asdict(config),
    }
    text = json.dumps(stated, indent=2) + "\n"
    part.replace(folder / WEIGHTS)
    (folder / CONFIG).write_text(text)
    return weights_hash


def load(folder: Path | str) -> Checkpoint:
    """Read a checkpoint folder.

    Raises:
        CheckpointError: no such folder, a file missing or truncated, another format, a newer version,
            weights that don't match their hash, names or shapes.
    """
    root = Path(folder)
    stated = _read_config(root)
    weights_path = root / WEIGHTS
    if not weights_path.is_file():
        raise CheckpointError(
            f"{weights_path} is missing: the checkpoint is incomplete; get it again"
        )
    try:
        expected, has_world = stated["weights"]["blake2b_128"], stated["weights"]["has_world"]
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{root / CONFIG} doesn't name its weights' hash") from error
    found = digest(weights_path)
    if expected != found:
        raise CheckpointError(
            f"{weights_path} has hash {found}, its config.json says {expected}: it is truncated or"
            " belongs to another checkpoint; get the folder again"
        )
    try:
        tensors = {k: v.float() for k, v in load_file(weights_path).items()}
    except SafetensorError as error:
        raise CheckpointError(f"{weights_path} is no valid safetensors file: {error}") from error
    try:
        config = _build(ModelConfig, {k: v for k, v in stated.items() if k not in ENVELOPE})
        tokenizer, quantizer = Tokenizer(config.tokenizer), config.tokenizer.quantizer
        world = make_world(config.family, config.world, quantizer) if has_world else None
    except (TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise CheckpointError(f"{root / CONFIG}: {error}") from error
    _fill(tokenizer, tensors, "tokenizer.", weights_path)
    if world is not None:
        _fill(world, tensors, "world.", weights_path)
        world.eval().requires_grad_(False)
    tokenizer.eval().requires_grad_(False)
    return Checkpoint(config, tokenizer, world, found)


def stated_hash(folder: Path) -> str:
    """The hash of a checkpoint's weights, as its config states it; the weights aren't read.

    Raises:
        CheckpointError: no checkpoint there, or not one of ours.
    """
    return str(_read_config(folder)["weights"]["blake2b_128"])


def _read_config(root: Path) -> dict[str, Any]:
    path = root / CONFIG
    if not path.is_file():
        raise CheckpointError(f"no checkpoint at {root}: {CONFIG} is missing")
    try:
        stated: dict[str, Any] = json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path} is no JSON: {error}") from error
    if not isinstance(stated, dict) or stated.get("format") != FORMAT:
        raise CheckpointError(f"{path} is not of format {FORMAT!r}: it was made by something else")
    if (version := stated.get("version")) != VERSION:
        newer = isinstance(version, int) and version > VERSION
        raise CheckpointError(
            f"{path} has version {version!r}, this program reads {VERSION}:"
            f" {'update dreamlane' if newer else 'get the checkpoint again'}"
        )
    return stated


def _fill(module: nn.Module, tensors: dict[str, Tensor], prefix: str, path: Path) -> None:
    wanted = module.state_dict()
    given = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    optional = {k for k in wanted if k.endswith(("count_KV", "sum_KVC"))}
    missing, foreign = set(wanted) - set(given) - optional, set(given) - set(wanted)
    if missing or foreign:
        raise CheckpointError(
            f"{path}: weights don't fit config.json; missing {sorted(missing)[:3]},"
            f" unknown {sorted(foreign)[:3]}"
        )
    for name, value in given.items():
        if value.shape != wanted[name].shape:
            raise CheckpointError(
                f"{path}: {prefix}{name} has shape {tuple(value.shape)}, config.json asks for"
                f" {tuple(wanted[name].shape)}"
            )
    with torch.no_grad():
        module.load_state_dict(given, strict=False)


def _names(cls: type) -> list[str]:
    return [f.name for f in dataclasses.fields(cls)]


_NESTED: dict[str, type] = {
    "tokenizer": TokenizerConfig,
    "world": WorldConfig,
    "sampling": SamplingConfig,
    "autoencoder": AutoencoderConfig,
    "quantizer": QuantizerConfig,
    "camera": CameraConfig,
}


def _build(cls: type[T], values: dict[str, Any]) -> T:
    """A config dataclass from JSON: nested classes by field name, lists become tuples."""
    unknown = set(values) - set(_names(cls))
    if unknown:
        raise ValueError(f"unknown fields {sorted(unknown)} in {cls.__name__}")
    built = {
        k: _build(_NESTED[k], v) if k in _NESTED and v is not None else _tuples(v)
        for k, v in values.items()
    }
    return cls(**built)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value
