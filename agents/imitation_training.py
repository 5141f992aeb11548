"""Teaches the imitating driver from recorded frames, speeds and actions.

A recorded driver hardly ever errs, so a clone of him never learns to come back. Each picture is therefore
shown as a car would see it that stands askew and aside (turned: all of it moves; aside: the road moves, the
nearer the more), and the wheel is taught to be back in `back_s`.

Shapes: N frames, B batch, H W picture, A=2 action (steer, accelerate).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from agents.imitation import ImitationConfig, ImitationNet
from simulator.ego import FULL_LOCK_RAD, WHEELBASE_M

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ImitationTraining:
    """Everything a training depends on; the camera is the drives'.

    Raises:
        ValueError: numbers out of range.
    """

    cache_dir: str = "data/cache/town"
    run_dir: str = "runs/imitation"
    net: ImitationConfig = field(default_factory=ImitationConfig)
    steps: int = 4000
    batch: int = 64
    learning_rate: float = 1e-3
    seed: int = 0
    horizontal_fov_deg: float = 80.0
    height_m: float = 1.35
    pitch_rad: float = -0.02  # nose up positive
    turned_rad: float = 0.12  # standard deviations of what pictures are turned and shifted by
    aside_m: float = 0.5
    back_s: float = 1.0
    smooth_steps: float = 2.0  # recorded wheels jump: standard deviation of the Gaussian over them
    mirror: bool = (
        False  # half of the pictures in a mirror: for few drives; it forgets the rule of the road
    )

    def __post_init__(self) -> None:
        positive = (self.steps, self.batch, self.learning_rate, self.height_m, self.back_s)
        if min(positive) <= 0 or not 0 < self.horizontal_fov_deg < 180:
            raise ValueError(
                f"{self}; accepted: positive steps, batch, learning_rate, height_m and back_s, a field"
                " of view between 0 and 180 degrees"
            )


def smoothed(action_NA: Floats, episode_N: NDArray[np.integer], steps: float) -> Floats:
    """Actions under a Gaussian along each drive; NaN in a drive's last row stays."""
    out = action_NA.copy()
    if steps <= 0:
        return out
    for episode in np.unique(episode_N):
        rows = np.flatnonzero((episode_N == episode) & ~np.isnan(action_NA).any(1))
        if len(rows):
            column = action_NA[rows][:, None]  # (n, 1, A) as a picture of one column
            out[rows] = cv2.GaussianBlur(
                column, (1, 0), 0.1, sigmaY=steps, borderType=cv2.BORDER_REPLICATE
            ).reshape(-1, 2)
    return out


@cache
def pixels(height: int, width: int) -> Floats:
    """Rows and columns of a picture's pixels: (2, H, W)."""
    return np.mgrid[:height, :width].astype(np.float32)


def askew(frame_HWC: NDArray[np.uint8], turned_rad: float, aside_m: float,
          config: ImitationTraining) -> NDArray[np.uint8]:  # fmt: skip
    """The picture as seen by a car that is turned to the left and stands to the left by so much."""
    height, width = frame_HWC.shape[:2]
    focal = width / 2 / math.tan(math.radians(config.horizontal_fov_deg) / 2)
    horizon = height / 2 + focal * math.tan(config.pitch_rad)
    y, x = pixels(height, width)
    near = np.maximum(y - horizon, 0) * (aside_m / config.height_m)
    return np.asarray(
        cv2.remap(
            frame_HWC, x - near.astype(np.float32) - np.float32(focal * math.tan(turned_rad)), y,
            cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE,
        )
    )  # fmt: skip


def back(turned_rad: float, aside_m: float, speed_mps: float, back_s: float) -> float:
    """What to steer more to be back on the line after `back_s`, share of full lock."""
    speed = max(speed_mps, 4.0)
    yaw_rate = -(turned_rad + aside_m / (speed * back_s)) / back_s
    return math.atan(WHEELBASE_M * yaw_rate / speed) / FULL_LOCK_RAD


def train(
    config: ImitationTraining, frames: Callable[[NDArray[np.int64]], NDArray[np.uint8]],
    speed_N: Floats, action_NA: Floats, episode_N: NDArray[np.integer],
    tell: Callable[[str], None] = lambda _: None,
) -> ImitationNet:  # fmt: skip
    """A driver who does what was done.

    Args:
        config: how.
        frames: pictures (B, H, W, 3) by row.
        speed_N: m/s.
        action_NA: taken after each frame, NaN where there is none.
        episode_N: the drive of each frame.
        tell: is told of the progress.

    Raises:
        ValueError: no frame with speed and action.
    """
    wanted_NA = smoothed(action_NA, episode_N, config.smooth_steps)
    known = np.flatnonzero(~np.isnan(wanted_NA).any(1) & ~np.isnan(speed_N))
    if not len(known):
        raise ValueError(f"{config.cache_dir} has no frame with speed and action to learn from")
    # a straight road is most of it: half of each batch is drawn from the quarter that steers most
    by_steer = known[np.argsort(np.abs(wanted_NA[known, 0]))]
    bends = by_steer[-max(1, len(known) // 4) :]
    torch.manual_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    net = ImitationNet(config.net)
    optimizer = torch.optim.AdamW(net.parameters(), config.learning_rate, weight_decay=0.02)
    rate = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.steps)
    for step in range(config.steps):
        half = config.batch // 2
        rows = np.concatenate([rng.choice(bends, half), rng.choice(known, config.batch - half)])
        shown, wanted = [], wanted_NA[rows].copy()
        for i, frame in enumerate(frames(rows)):
            turned, aside = rng.normal(0, (config.turned_rad, config.aside_m))
            picture = askew(frame, turned, aside, config)
            wanted[i, 0] += back(turned, aside, float(speed_N[rows[i]]), config.back_s)
            if config.mirror and rng.random() < 0.5:
                picture, wanted[i, 0] = picture[:, ::-1], -wanted[i, 0]
            light = np.exp(rng.normal(0, 0.15))
            shown.append(np.clip(picture * light, 0, 255).astype(np.uint8))
        said = net(net.shrink(np.stack(shown)), torch.from_numpy(speed_N[rows]).float())
        true = torch.from_numpy(wanted.clip(-1, 1))
        # wheel angles are small beside pedals: in units of a tenth of full lock
        size = torch.tensor([0.1, 0.5])
        loss = F.smooth_l1_loss(said / size, true / size)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        rate.step()
        if step % 200 == 0 or step == config.steps - 1:
            tell(f"step {step}  loss {loss.item():.4f}")
    return net.eval()


@torch.no_grad()
def held_out_errors(
    net: ImitationNet, frames: Callable[[NDArray[np.int64]], NDArray[np.uint8]], speed_N: Floats,
    action_NA: Floats, rows: NDArray[np.int64],
) -> dict[str, float]:  # fmt: skip
    """Mean absolute error of wheel and pedals, and that of always doing the median."""
    said = np.concatenate(
        [
            net(net.shrink(frames(part)), torch.from_numpy(speed_N[part]).float()).numpy()
            for part in np.array_split(rows, max(1, len(rows) // 64))
        ]
    )
    true = action_NA[rows]
    figures = {}
    for i, name in enumerate(("steer", "accelerate")):
        figures[f"mae_{name}"] = float(np.abs(said[:, i] - true[:, i]).mean())
        median = np.median(true[:, i])
        figures[f"mae_of_median_{name}"] = float(np.abs(median - true[:, i]).mean())
    return figures
