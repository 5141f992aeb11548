"""Train the meter on true frames; its held-out errors are written into its card.

    dreamlane train meter cache_dir=data/cache/town loop.run_dir=runs/meter

Shapes as in `world_model.meter`; N pairs.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from world_model.engine.base import STATE_HEADS
from world_model.families.reprojection import CameraConfig, Reprojection
from world_model.heads import STATE_SCALES
from world_model.meter import MOTION, Meter, MeterConfig, save_meter
from world_model.precision import low_precision
from world_model.tokenizer.autoencoder import DOWNSCALE
from world_model.training.data import DataError, Drives, evenly, load_drives
from world_model.training.loop import Log, LoopConfig, Trainer
from world_model.training.rare import rare_motion, rare_place
from world_model.training.start import start_from

UNITS = ("m/s", "rad/s", "m", "rad", "1/m", "m")
MIRRORED_SIGNS = (1.0, -1.0, float("nan"), -1.0, -1.0, 1.0)
"""What a mirrored picture's labels are. Which lane counts as one's own isn't symmetric: no label."""
MOTIONS = len(MOTION)
HEADING = STATE_HEADS.index("heading_error_rad") - MOTIONS


@dataclass(frozen=True, slots=True)
class MeterTraining:
    """Everything a meter's training depends on."""

    cache_dir: str = "data/cache/town"
    meter: MeterConfig = field(default_factory=MeterConfig)
    loop: LoopConfig = field(
        default_factory=lambda: LoopConfig(
            run_dir="runs/meter", steps=3000, warmup_steps=50, average_decay=0.99
        )
    )
    pairs: int = 60_000  # whose optical flow is computed once, before the first step
    motion_batch: int = 128
    rare_share: float = 0.4  # of each batch is drawn from the rare moments: see `rare_motion`
    # of each batch is shown as by a slower car, down to a standing one: for drives in which nobody stops
    slower_share: float = 0.0
    place_batch: int = 16
    mirror_share: float = 0.3
    turn_rad: float = 0.0  # pictures are turned by up to this, and the heading with them
    start_from: str = ""  # running state or meter's folder whose weights to begin with
    soft_share: float = 0.3  # of the pictures are shown at half their resolution: dreams are soft
    light: float = 0.1  # brightness and contrast vary by this much
    noise: float = 0.02  # of each pixel, on a scale of -1 to 1
    val_pairs: int = 2000


class MeterTask:
    """Draws batches, computes the loss, measures."""

    def __init__(self, config: MeterTraining) -> None:
        self.train = load_drives(config.cache_dir, "train")
        self.val = load_drives(config.cache_dir, "val")
        # recorded drives don't say where the car stood: theirs is a meter of motion alone
        rows = {states: labelled(self.train, states) for states in (STATE_HEADS, MOTION)}
        states = next((s for s in rows if len(rows[s])), None)
        if states is None:
            raise DataError(
                f"the cache at {config.cache_dir} has no frame with speed and yaw rate: a meter needs"
                " drives with these labels (`dreamlane collect`, `dreamlane import`)"
            )
        self.config = config = replace(config, meter=replace(config.meter, states=states))
        self.rows = rows[states]
        torch.manual_seed(config.loop.seed)
        self.model = Meter(config.meter)
        pairs = evenly(self.rows, config.pairs)
        parts = np.array_split(pairs, max(1, len(pairs) // 256))
        frames = ((self.train.frames(p - 1), self.train.frames(p)) for p in parts)
        self.flow_N2gk = torch.cat([self.model.flow(old, new) for old, new in frames])
        self.motion_N2 = torch.from_numpy(self.train.state_NS[pairs, :MOTIONS])
        self.rare_N = torch.from_numpy(np.flatnonzero(rare_motion(self.train.state_NS[pairs])))
        self.rare_rows = self.rows[rare_place(self.train.state_NS[self.rows])]
        self.map_size = (config.meter.height // DOWNSCALE, config.meter.width // DOWNSCALE)
        self.view = Reprojection(1, self.map_size, CameraConfig())
        self.trainer = Trainer(self.model, self.loss, config.loop)

    def loss(self, step: int, generator: torch.Generator) -> tuple[Tensor, Log]:
        """Mean error in units of each state's typical size; see `Trainer`.

        Places are judged by Huber's loss: a reader in doubt then says the mean, not the median, which
        is the same ("no car ahead, lane's centre") in most frames.
        """
        scale = torch.tensor(STATE_SCALES)
        moved, motion_true = self._motion_batch(generator)
        motion = (self.model.read_motion(moved) - motion_true).abs() / scale[:MOTIONS]
        if self.config.meter.states == MOTION:
            return motion.mean(), {
                f"error_{name}": value.item()
                for name, value in zip(MOTION, motion.mean(0), strict=True)
            }
        seen, place_true = self._place_batch(generator)
        with low_precision():
            read = self.model.read_place(seen)
        known = ~place_true.isnan()
        place = F.smooth_l1_loss(
            read.float() / scale[MOTIONS:],
            place_true.nan_to_num() / scale[MOTIONS:],
            reduction="none",
        )
        means = torch.cat([motion.mean(0), (place * known).sum(0) / known.sum(0).clamp_min(1)])
        log = {f"error_{name}": means[i].item() for i, name in enumerate(STATE_HEADS)}
        return means.mean(), log

    def _motion_batch(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Flow (B, 2, g, k) and its speed and yaw rate (B, 2), half of it mirrored."""
        config, count = self.config, self.config.motion_batch
        seldom = round(config.rare_share * count) if len(self.rare_N) else 0
        often = torch.randint(len(self.motion_N2), (count - seldom,), generator=generator)
        pick = self.rare_N[torch.randint(max(1, len(self.rare_N)), (seldom,), generator=generator)]
        index = torch.cat([often, pick])
        flow, true = self.flow_N2gk[index], self.motion_N2[index]
        mirrored = torch.rand(count, generator=generator) < 0.5
        sideways = torch.tensor([-1.0, 1.0]).view(2, 1, 1)
        flow = torch.where(mirrored.view(-1, 1, 1, 1), flow.flip(-1) * sideways, flow)
        signs = torch.tensor(MIRRORED_SIGNS[:MOTIONS])
        true = torch.where(mirrored.unsqueeze(1), true * signs, true)
        if config.slower_share > 0:  # what is twice as slow moves the picture half as far
            slower = torch.rand(count, generator=generator) < config.slower_share
            share = torch.where(slower, torch.rand(count, generator=generator), 1.0)
            flow, true = flow * share.view(-1, 1, 1, 1), true * share.unsqueeze(1)
        return flow, true

    def _place_batch(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Pictures (B, 3, h, w), varied in light, noise, sharpness and side, and labels (B, S - 2)."""
        config, count = self.config, self.config.place_batch
        seldom = round(config.rare_share * count) if len(self.rare_rows) else 0
        pools = [self.rare_rows] * seldom + [self.rows] * (count - seldom)
        draw = torch.rand(count, generator=generator)
        rows = np.array([pool[int(u * len(pool))] for pool, u in zip(pools, draw, strict=True)])
        rows.sort()  # neighbours in memory are read together
        seen = self.model.shrink(self.train.frames(rows))
        true = torch.from_numpy(self.train.state_NS[rows, MOTIONS:])
        mirrored = torch.rand(count, generator=generator) < config.mirror_share
        seen = torch.where(mirrored.view(-1, 1, 1, 1), seen.flip(-1), seen)
        true = torch.where(
            mirrored.unsqueeze(1), true * torch.tensor(MIRRORED_SIGNS[MOTIONS:]), true
        )
        if config.turn_rad > 0:
            yaw = config.turn_rad * (2 * torch.rand(count, generator=generator) - 1)
            seen = self.turned(seen, yaw)
            true[:, HEADING] += yaw
        softer = torch.rand(count, generator=generator) < config.soft_share
        soft = F.interpolate(F.avg_pool2d(seen, 2), scale_factor=2, mode="bilinear")
        seen = torch.where(softer.view(-1, 1, 1, 1), soft, seen)
        light = 2 * torch.rand(2, count, 1, 1, 1, generator=generator) - 1
        seen = seen * (1 + config.light * light[0]) + config.light * light[1]
        noise = torch.randn(count, 1, *seen.shape[2:], generator=generator)
        return seen + config.noise * noise, true

    @torch.no_grad()
    def turned(self, picture_BCHW: Tensor, yaw_B: Tensor) -> Tensor:
        """What the camera sees when the car stands turned to the left by so much, in radians."""
        motion = torch.stack([torch.zeros_like(yaw_B), yaw_B / self.view.camera.dt_s], 1)
        nothing = torch.zeros(len(picture_BCHW), 1, *self.map_size)
        turned: Tensor = self.view(picture_BCHW, nothing, nothing, motion)
        return turned

    @torch.no_grad()
    def measure(self, trainer: Trainer) -> Log:
        """Errors on held-out pairs with the averaged weights; writes the checkpoint."""
        model = Meter(self.config.meter)
        model.load_state_dict(trainer.average)
        model.eval()
        rows = evenly(labelled(self.val, self.config.meter.states), self.config.val_pairs)
        read = model.read(self.val.frames(rows - 1), self.val.frames(rows))
        true = self.val.state_NS[rows]
        figures = errors(read, true, self.config.meter.states)
        facts = {
            "cache": Path(self.config.cache_dir).name,
            "train_frames": len(self.train),
            "held_out_pairs": len(rows),
            "steps": trainer.step,
            "minutes": round(trainer.trained_s / 60, 2),
            **{k: round(v, 6) for k, v in figures.items()},
        }
        folder = Path(self.config.loop.run_dir) / "checkpoint"
        save_meter(folder, model, facts)
        (folder / "README.md").write_text(card(facts))
        return figures


def labelled(drives: Drives, states: tuple[str, ...] = STATE_HEADS) -> NDArray[np.int64]:
    """Rows with a predecessor in their drive and labels of all these states."""
    rows = drives.window_ends(1, 0)
    columns = [STATE_HEADS.index(name) for name in states]
    picked: NDArray[np.int64] = rows[~np.isnan(drives.state_NS[rows][:, columns]).any(1)]
    return picked


def errors(
    read_NS: NDArray[np.float32], true_NS: NDArray[np.float32], states: tuple[str, ...]
) -> Log:
    """Mean absolute error of each of the states, and that of always saying its median, for comparison."""
    figures = {}
    for name in states:
        i = STATE_HEADS.index(name)
        true = true_NS[:, i]
        figures[f"mae_{name}"] = float(np.abs(read_NS[:, i] - true).mean())
        figures[f"mae_of_median_{name}"] = float(np.abs(np.median(true) - true).mean())
    return figures


WHOLE_USE = """\
Use: judging dreams of the reference world. It knows no other camera: for recorded real drives its
readings mean nothing, and `dreamlane eval` prints its error on the drives at hand first."""
MOTION_USE = """\
Use: judging dreams of these drives. It knows no other camera, and `dreamlane eval` prints its error on
the drives at hand first. They have no labels of the place on the road, so it reads none: that network
is as it began, and only compares pictures."""


def card(facts: dict[str, object]) -> str:
    """The model card."""
    rows = "\n".join(
        f"| {name} | {facts[f'mae_{name}']:.4f} {unit} | {facts[f'mae_of_median_{name}']:.4f} {unit} |"
        for name, unit in zip(STATE_HEADS, UNITS, strict=True)
        if f"mae_{name}" in facts
    )
    use = WHOLE_USE if f"mae_{STATE_HEADS[-1]}" in facts else MOTION_USE
    return f"""# Meter

Reads what two successive camera frames (0.1 s apart) show: speed and yaw rate from the optical flow
between them (OpenCV's DIS, then a small network), the place on the road from the newer one (another small
network). `dreamlane eval` judges dreams with it. It saw true frames only and shares no weights with any
world model.

Trained by `dreamlane train meter` on the frame cache `{facts["cache"]}` ({facts["train_frames"]} training
frames) for {facts["steps"]} steps ({facts["minutes"]} minutes on a shared CPU core). Weights are float16.

Errors on {facts["held_out_pairs"]} pairs of held-out drives:

| state of the newer frame | mean absolute error | of always saying the median |
|---|---|---|
{rows}

{use} Licence: MIT.
"""


def train_meter(config: MeterTraining) -> MeterTask:
    """Run (or continue) a meter training as configured; the result is in run_dir/checkpoint."""
    task = MeterTask(config)
    if not task.trainer.resume() and config.start_from:
        start_from(task.trainer, Path(config.start_from))
    task.trainer.run(task.measure)
    if task.trainer.rank == 0:
        task.measure(task.trainer)
    return task
