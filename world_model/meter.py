"""The meter: an independent reader of what two successive pictures show, for judging dreams.

Speed and yaw rate are read from the optical flow between the frames and from nothing else: no road type
or habit of driving can be mistaken for motion. Where the car stands is read from the newer frame. Both
parts are trained on true frames only (`training.meter`) and share nothing with the world model, so that a
dream can't please them by construction. Checkpoints: `meter.safetensors` + `meter.json` + `README.md`.

Shapes: B batch, H W picture, h w picture at the size that is read, g k grid of the flow, S states
(`STATE_HEADS`).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from world_model.checkpoint import CheckpointError, digest
from world_model.engine.base import STATE_HEADS
from world_model.heads import STATE_SCALES

FORMAT = "dreamlane.meter"
VERSION = 2
WEIGHTS = "meter.safetensors"
CONFIG = "meter.json"  # not config.json: that marks a world model

MOTION, PLACE = STATE_HEADS[:2], STATE_HEADS[2:]

TEXTURE, LAYOUT = 9, 17
"""Where the place network is cut for `Meter.features`: after its third convolution, before its flattening."""

STAGES = (3, 6, 9, 12, 15)
"""Where it is cut for `Meter.unlikeness`: after each convolution's activation but the last, narrow one."""


@dataclass(frozen=True, slots=True)
class MeterConfig:
    """Sizes of the networks and of what they look at.

    Raises:
        ValueError: a selection of states that no meter reads.
    """

    height: int = (
        128  # of the picture that shows the place; in a smaller one, lines and far cars are lost
    )
    width: int = 256
    patch: int = 4
    grid: tuple[int, int] = (16, 32)
    motion_hidden: int = 192
    channels: tuple[int, int, int] = (64, 96, 128)
    squeeze: int = 32
    place_hidden: int = 128
    states: tuple[str, ...] = STATE_HEADS  # that it reads: all, or `MOTION` alone

    def __post_init__(self) -> None:
        if tuple(self.states) not in (STATE_HEADS, MOTION):
            raise ValueError(f"states={self.states}; accepted: {STATE_HEADS} or {MOTION}")


class Meter(nn.Module):
    """Reads speed, yaw rate, lane offset, ... of the newer of two frames that are 0.1 s apart."""

    scale_S: Tensor

    def __init__(self, config: MeterConfig) -> None:
        super().__init__()
        self.config = config
        g, k = config.grid
        self.motion = nn.Sequential(
            nn.Linear(4 * g * k, config.motion_hidden),
            nn.SiLU(),
            nn.Linear(config.motion_hidden, 64),
            nn.SiLU(),
            nn.Linear(64, len(MOTION)),
        )
        a, b, c = config.channels
        down = 4 * config.patch
        self.place = nn.Sequential(
            nn.PixelUnshuffle(config.patch),
            nn.Conv2d(3 * config.patch**2, a, 3, padding=1),
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
            nn.Flatten(),
            nn.Linear(
                config.squeeze * (config.height // down) * (config.width // down),
                config.place_hidden,
            ),
            nn.SiLU(),
            nn.Linear(config.place_hidden, len(PLACE)),
        )
        self.register_buffer("scale_S", torch.tensor(STATE_SCALES))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def read_motion(self, flow_B2gk: Tensor) -> Tensor:
        """Flow in pixels to speed in m/s and yaw rate in rad/s, (B, 2)."""
        # near the car the flow is a hundred times that of the distance: show it at two scales
        small = flow_B2gk.sign() * flow_B2gk.abs().log1p()
        seen = torch.cat([flow_B2gk / 4, small], 1).flatten(1)
        out: Tensor = self.motion(seen) * self.scale_S[: len(MOTION)]
        return out

    def read_place(self, frame_B3hw: Tensor) -> Tensor:
        """A picture to the states that one frame shows, (B, S - 2)."""
        x = frame_B3hw.contiguous(memory_format=torch.channels_last)
        out: Tensor = self.place(x) * self.scale_S[len(MOTION) :]
        return out

    @torch.no_grad()
    def features(self, frames_BHWC: NDArray[np.uint8], batch: int = 64) -> NDArray[np.float32]:
        """What the place network sees in single uint8 pictures, (B, F), for comparing sets of pictures.

        Texture: mean and deviation of each channel in mid-network; layout: its last map, averaged over 2x4
        cells. The hidden layer behind them won't do: it forgets all that is of no use for the states, and
        noise or a picture upside down look like a road to it.
        """
        parts = []
        for i in range(0, len(frames_BHWC), batch):
            x = self.shrink(frames_BHWC[i : i + batch])
            x = x.contiguous(memory_format=torch.channels_last)
            texture = self.place[:TEXTURE](x)
            layout = self.place[TEXTURE:LAYOUT](texture)
            cells = nn.functional.adaptive_avg_pool2d(layout, (2, 4)).flatten(1)
            parts.append(torch.cat([texture.mean((2, 3)), texture.std((2, 3)), cells], 1))
        if not parts:
            return np.zeros((0, 2 * self.config.channels[1] + 8 * self.config.squeeze), np.float32)
        seen: NDArray[np.float32] = torch.cat(parts).numpy()
        return seen

    @torch.no_grad()
    def unlikeness(
        self, frames_BHWC: NDArray[np.uint8], truth_BHWC: NDArray[np.uint8], batch: int = 64
    ) -> NDArray[np.float64]:
        """By how much what the place network sees in two uint8 pictures differs, place by place: (B,).

        The distance of LPIPS (Zhang et al. 2018, equation 1) without its learned weights, in a network that
        knows roads instead of one that knows photographs: features of each stage at each place brought to
        length 1, their squared difference, mean over places and stages. 0 for equal pictures, at most 4.
        """
        parts = []
        for i in range(0, len(frames_BHWC), batch):
            pair = [self.shrink(f[i : i + batch]) for f in (frames_BHWC, truth_BHWC)]
            x = torch.cat(pair).contiguous(memory_format=torch.channels_last)
            stages, begin = [], 0
            for end in STAGES:
                x = self.place[begin:end](x)
                shown, true = nn.functional.normalize(x, dim=1).chunk(2)
                stages.append((shown - true).square().sum(1).mean((1, 2)))
                begin = end
            parts.append(torch.stack(stages).mean(0))
        out: NDArray[np.float64] = torch.cat([torch.zeros(0), *parts]).double().numpy()
        return out

    def shrink(self, frames_BHWC: NDArray[np.uint8]) -> Tensor:
        """uint8 pictures of any whole multiple of the meter's size to (B, 3, h, w) in [-1, 1]."""
        h, w = self.config.height, self.config.width
        high, wide = frames_BHWC.shape[1:3]
        if high % h or wide % w:
            raise ValueError(
                f"frames are {high}x{wide}; the meter reads whole multiples of {h}x{w}"
            )
        small = frames_BHWC
        if (high, wide) != (h, w):
            small = np.stack([cv2.resize(f, (w, h), interpolation=cv2.INTER_AREA) for f in small])
        return torch.from_numpy(small).permute(0, 3, 1, 2).float() / 127.5 - 1.0

    def flow(self, old_BHWC: NDArray[np.uint8], new_BHWC: NDArray[np.uint8]) -> Tensor:
        """Optical flow in pixels, right and down, averaged over the cells of the grid: (B, 2, g, k)."""
        g, k = self.config.grid
        threads = cv2.getNumThreads()
        cv2.setNumThreads(
            1
        )  # the search runs in one strip a thread: the result must not depend on it
        try:
            search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
            cells = []
            for pair in zip(old_BHWC, new_BHWC, strict=True):
                old, new = (cv2.cvtColor(np.ascontiguousarray(f), cv2.COLOR_RGB2GRAY) for f in pair)
                full = search.calc(old, new, None)  # type: ignore[call-overload]
                cells.append(cv2.resize(full, (k, g), interpolation=cv2.INTER_AREA))
        finally:
            cv2.setNumThreads(threads)
        return torch.from_numpy(np.stack(cells)).permute(0, 3, 1, 2).float()

    @torch.no_grad()
    def read(
        self, old_BHWC: NDArray[np.uint8], new_BHWC: NDArray[np.uint8], batch: int = 64
    ) -> NDArray[np.float32]:
        """States (B, S) of the newer frame of each pair of uint8 pictures; NaN for those it doesn't read.

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
        parts = []
        for i in range(0, len(new_BHWC), batch):
            old, new = old_BHWC[i : i + batch], new_BHWC[i : i + batch]
            place = self.read_place(self.shrink(new))
            parts.append(torch.cat([self.read_motion(self.flow(old, new)), place], 1))
        if not parts:
            return np.zeros((0, len(STATE_HEADS)), np.float32)
        states: NDArray[np.float32] = torch.cat(parts).numpy()
        states[:, [name not in self.config.states for name in STATE_HEADS]] = np.nan
        return states


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
        "states": list(meter.config.states),
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
    reads = tuple(stated.get("states", ()))
    if stated.get("version") != VERSION or reads not in (STATE_HEADS, MOTION):
        raise CheckpointError(
            f"{root / CONFIG} has version {stated.get('version')!r} and reads"
            f" {stated.get('states')}; this program takes version {VERSION} that reads"
            f" {list(STATE_HEADS)} or {list(MOTION)}: train it again"
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
