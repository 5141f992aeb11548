"""The driver who learned from recorded drives: looks at the picture, does what was done there.

Behavioural cloning with one camera (Pomerleau 1989, "ALVINN"; Bojarski et al. 2016): a small network reads
steering and pedals from the frame and the speed. Who only ever saw the middle of the lane can't come back to
it, so training turns and shifts the pictures and steers back (`imitation_training`).

Checkpoints are folders: `imitation.safetensors` and `imitation.json`. Shapes: B batch, H W picture, h w
picture as the network sees it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

FORMAT, VERSION = "dreamlane.imitation", 1
WEIGHTS, CONFIG = "imitation.safetensors", "imitation.json"
USUAL_MPS = 15.0


@dataclass(frozen=True, slots=True)
class ImitationConfig:
    """What the network sees, and how wide it is."""

    height: int = 64
    width: int = 128
    channels: tuple[int, ...] = (24, 36, 48, 64)
    hidden: int = 96


class ImitationError(ValueError):
    """No usable driver in a folder; says what is wrong and what to do."""


class ImitationNet(nn.Module):
    """Picture and speed to steering and pedals."""

    def __init__(self, config: ImitationConfig) -> None:
        super().__init__()
        self.config = config
        layers: list[nn.Module] = []
        before = 3
        for channels in config.channels:
            layers += [
                nn.Conv2d(before, channels, 5, stride=2, padding=2),
                nn.GroupNorm(1, channels),
                nn.SiLU(),
            ]
            before = channels
        shrink = 2 ** len(config.channels)
        seen = before * (config.height // shrink) * (config.width // shrink)
        self.look = nn.Sequential(*layers, nn.Flatten(), nn.Linear(seen, config.hidden), nn.SiLU())
        self.decide = nn.Sequential(
            nn.Linear(config.hidden + 1, config.hidden), nn.SiLU(), nn.Linear(config.hidden, 2)
        )

    def forward(self, frames_B3hw: Tensor, speed_B: Tensor) -> Tensor:
        """`[steer, accelerate]` in [-1, 1], (B, 2), from pictures in [-1, 1] and m/s."""
        seen = self.look(frames_B3hw)
        out: Tensor = self.decide(torch.cat([seen, speed_B[:, None] / USUAL_MPS], 1)).tanh()
        return out

    def shrink(self, frames_BHWC: NDArray[np.uint8]) -> Tensor:
        """uint8 pictures of any size as the network sees them, (B, 3, h, w)."""
        size = self.config.width, self.config.height
        small = [cv2.resize(f, size, interpolation=cv2.INTER_AREA) for f in frames_BHWC]
        return torch.from_numpy(np.stack(small)).permute(0, 3, 1, 2).float() / 127.5 - 1.0


class Imitation:
    """Drives as in the drives it was trained on (`dreamlane train imitation`).

    Args:
        folder: a checkpoint.

    Raises:
        ImitationError: no usable checkpoint there.
    """

    def __init__(self, folder: Path | str) -> None:
        self.net = load_net(Path(folder))

    def reset(self, seed: int | None = None) -> None:
        """Nothing to forget."""

    @torch.no_grad()
    def act(self, observation: Any, info: Mapping[str, Any]) -> NDArray[np.float32]:
        """What the network says; reads the camera and `speed_mps`."""
        frame = self.net.shrink(np.asarray(observation)[None])
        speed = torch.tensor([float(np.nan_to_num(info.get("speed_mps", np.nan)))])
        out: NDArray[np.float32] = self.net(frame, speed)[0].numpy()
        return out


def save_net(folder: Path, net: ImitationNet, facts: Mapping[str, object]) -> None:
    """Write weights (float16) and config; `facts` of the training must fit JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({k: v.half().contiguous() for k, v in net.state_dict().items()}, folder / WEIGHTS)
    stated = {"format": FORMAT, "version": VERSION, "net": asdict(net.config), "facts": dict(facts)}
    (folder / CONFIG).write_text(json.dumps(stated, indent=2) + "\n")


def load_net(folder: Path) -> ImitationNet:
    """Read a checkpoint.

    Raises:
        ImitationError: missing, damaged or foreign.
    """
    try:
        stated = json.loads((folder / CONFIG).read_text())
        if (stated["format"], stated["version"]) != (FORMAT, VERSION):
            raise ImitationError(f"{folder / CONFIG} is not {FORMAT} of version {VERSION}")
        sizes = stated["net"] | {"channels": tuple(stated["net"]["channels"])}
        net = ImitationNet(ImitationConfig(**sizes))
        net.load_state_dict({k: v.float() for k, v in load_file(folder / WEIGHTS).items()})
    except FileNotFoundError as error:
        raise ImitationError(
            f"no driver at {folder}: {Path(error.filename or CONFIG).name} is missing;"
            " `dreamlane train imitation` makes one"
        ) from error
    except (KeyError, TypeError, RuntimeError, json.JSONDecodeError, SafetensorError) as error:
        raise ImitationError(f"{folder} holds no usable driver: {error}; train it again") from error
    return net.eval().requires_grad_(False)
