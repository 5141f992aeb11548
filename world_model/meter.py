"""The meter: an independent reader of what two successive pictures show, for judging dreams.

It is trained on true frames only (`training.meter`) and shares nothing with the world model, so that a
dream can't please it by construction. Checkpoints: `meter.safetensors` + `meter.json` + `README.md`.

Shapes: B batch, H W picture, h w shrunk picture, S states (`STATE_HEADS`).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from world_model.checkpoint import CheckpointError, digest
from world_model.engine.base import STATE_HEADS
from world_model.heads import STATE_SCALES

FORMAT = "dreamlane.meter"
VERSION = 1
WEIGHTS = "meter.safetensors"
CONFIG = "meter.json"  # not config.json: that marks a world model

SHIFTS = tuple((0, dx) for dx in range(-4, 5)) + tuple((dy, 0) for dy in (-2, -1, 1, 2))
"""Displacements (down, right) in pixels at which the two pictures are laid over each other."""


@dataclass(frozen=True, slots=True)
class MeterConfig:
    """Size of the network and of the pictures it looks at."""

    height: int = 64
    width: int = 128
    channels: tuple[int, int, int] = (64, 96, 128)
    squeeze: int = 32
    hidden: int = 192


class Meter(nn.Module):
    """Reads speed, yaw rate, lane offset, ... of the newer of two frames that are 0.1 s apart."""

    scale_S: Tensor

    def __init__(self, config: MeterConfig) -> None:
        super().__init__()
        self.config = config
        a, b, c = config.channels
        seen = 2 * 3 + len(SHIFTS)
        self.convs = nn.Sequential(
            nn.PixelUnshuffle(2),  # keeps every pixel: motion is a matter of fractions of one
            nn.Conv2d(seen * 4, a, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(a, b, 3, stride=2, padding=1),
            nn.GroupNorm(8, b),
            nn.SiLU(),
            nn.Conv2d(b, b, 3, padding=1),
            nn.GroupNorm(8, b),
            nn.SiLU(),
            nn.Conv2d(b, c, 3, stride=2, padding=1),
            nn.GroupNorm(8, c),
            nn.SiLU(),
            nn.Conv2d(c, c, 3, padding=1),
            nn.GroupNorm(8, c),
            nn.SiLU(),
            nn.Conv2d(c, config.squeeze, 1),
            nn.SiLU(),
        )
        flat = config.squeeze * (config.height // 8) * (config.width // 8)
        self.mix = nn.Linear(flat, config.hidden)
        self.state = nn.Linear(config.hidden, len(STATE_HEADS))
        self.register_buffer("scale_S", torch.tensor(STATE_SCALES))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def shrink(self, frames_BHWC: Tensor) -> Tensor:
        """uint8 pictures of any whole multiple of the meter's size to (B, 3, h, w) in [-1, 1]."""
        h, w = self.config.height, self.config.width
        high, wide = frames_BHWC.shape[1:3]
        if high % h or wide % w:
            raise ValueError(
                f"frames are {high}x{wide}; the meter reads whole multiples of {h}x{w}"
            )
        x = frames_BHWC.permute(0, 3, 1, 2).float() / 127.5 - 1.0
        return F.avg_pool2d(x, (high // h, wide // w))

    def forward(self, old_BChw: Tensor, new_BChw: Tensor) -> Tensor:
        """Two shrunk pictures to the states of the newer one, (B, S), in their units."""
        seen = torch.cat([new_BChw, new_BChw - old_BChw, mismatch(old_BChw, new_BChw)], 1)
        x = self.convs(seen.contiguous(memory_format=torch.channels_last)).flatten(1)
        out: Tensor = self.state(F.silu(self.mix(x))) * self.scale_S
        return out

    @torch.no_grad()
    def read(
        self, old_BHWC: NDArray[np.uint8], new_BHWC: NDArray[np.uint8], batch: int = 64
    ) -> NDArray[np.float32]:
        """States (B, S) of the newer frame of each pair of uint8 pictures.

        Raises:
            ValueError: other shapes, or pictures that aren't uint8.
        """
        if old_BHWC.shape != new_BHWC.shape or new_BHWC.ndim != 4 or new_BHWC.shape[-1] != 3:
            raise ValueError(
                f"frames have shapes {old_BHWC.shape} and {new_BHWC.shape}; accepted: twice"
                " (B, H, W, 3)"
            )
        if old_BHWC.dtype != np.uint8 or new_BHWC.dtype != np.uint8:
            raise ValueError(f"frames are {old_BHWC.dtype} and {new_BHWC.dtype}; accepted: uint8")
        parts = [
            self(
                *(
                    self.shrink(torch.from_numpy(np.ascontiguousarray(f[i : i + batch])))
                    for f in (old_BHWC, new_BHWC)
                )
            )
            for i in range(0, len(new_BHWC), batch)
        ]
        if not parts:
            return np.zeros((0, len(STATE_HEADS)), np.float32)
        states: NDArray[np.float32] = torch.cat(parts).numpy()
        return states


def mismatch(old_BChw: Tensor, new_BChw: Tensor) -> Tensor:
    """Difference of brightness under each of the `SHIFTS`, (B, shifts, h, w): how things moved."""
    old, new = old_BChw.mean(1, keepdim=True), new_BChw.mean(1, keepdim=True)
    rolled = [torch.roll(old, shift, (2, 3)) for shift in SHIFTS]
    return 4 * (torch.cat(rolled, 1) - new).abs()


@dataclass(frozen=True, slots=True)
class LoadedMeter:
    """A meter ready to read, its weights' hash, and what its file says of its training."""

    meter: Meter
    hash: str
    facts: Mapping[str, object]


def save_meter(folder: Path, meter: Meter, facts: Mapping[str, object]) -> str:
    """Write weights (float16) and config; returns the weights' hash. `facts` must fit JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    half = {k: v.half().contiguous() for k, v in meter.state_dict().items()}
    part = folder / (WEIGHTS + ".part")
    save_file(half, part)
    weights_hash = digest(part)
    stated = {
        "format": FORMAT,
        "version": VERSION,
        "weights": {"file": WEIGHTS, "blake2b_128": weights_hash},
        "states": list(STATE_HEADS),
        "meter": dataclasses.asdict(meter.config),
        "facts": dict(facts),
    }
    text = json.dumps(stated, indent=2) + "\n"
    part.replace(folder / WEIGHTS)
    (folder / CONFIG).write_text(text)
    return weights_hash


def load_meter(folder: Path | str) -> LoadedMeter:
    """Read a meter's folder.

    Raises:
        CheckpointError: missing, damaged, foreign, or of another version.
    """
    root = Path(folder)
    try:
        stated = json.loads((root / CONFIG).read_text())
    except FileNotFoundError as error:
        raise CheckpointError(
            f"no meter at {root}: {CONFIG} is missing; `dreamlane train meter` makes one"
        ) from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{root / CONFIG} is no JSON: {error}") from error
    if not isinstance(stated, dict) or stated.get("format") != FORMAT:
        raise CheckpointError(f"{root / CONFIG} is not of format {FORMAT!r}")
    if stated.get("version") != VERSION or tuple(stated.get("states", ())) != STATE_HEADS:
        raise CheckpointError(
            f"{root / CONFIG} has version {stated.get('version')!r} and reads"
            f" {stated.get('states')}; this program takes version {VERSION} that reads"
            f" {list(STATE_HEADS)}: train it again"
        )
    path = root / WEIGHTS
    if not path.is_file() or digest(path) != stated["weights"]["blake2b_128"]:
        raise CheckpointError(f"{path} is missing or doesn't match {CONFIG}: get the folder again")
    sizes: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list) else v for k, v in stated["meter"].items()
    }
    try:
        meter = Meter(MeterConfig(**sizes))
        meter.load_state_dict({k: v.float() for k, v in load_file(path).items()})
    except (TypeError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(f"{root}: weights don't fit {CONFIG}: {error}") from error
    meter.eval().requires_grad_(False)
    return LoadedMeter(meter, stated["weights"]["blake2b_128"], stated["facts"])
