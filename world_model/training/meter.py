"""Train the meter on true pairs of frames; its held-out errors are written into its card.

    dreamlane train meter cache_dir=data/cache/town loop.run_dir=runs/meter

Shapes as in `world_model.meter`; N pairs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from world_model.engine.base import STATE_HEADS
from world_model.heads import STATE_SCALES
from world_model.meter import Meter, MeterConfig, save_meter
from world_model.training.data import DataError, Drives, load_drives
from world_model.training.loop import Log, LoopConfig, Trainer

UNITS = ("m/s", "rad/s", "m", "rad", "1/m", "m")
MIRRORED_SIGNS = (1.0, -1.0, float("nan"), -1.0, -1.0, 1.0)
"""What a mirrored picture's labels are. Which lane counts as one's own isn't symmetric: no label."""


@dataclass(frozen=True, slots=True)
class MeterTraining:
    """Everything a meter's training depends on."""

    cache_dir: str = "data/cache/town"
    meter: MeterConfig = field(default_factory=MeterConfig)
    loop: LoopConfig = field(
        default_factory=lambda: LoopConfig(
            run_dir="runs/meter", steps=1500, learning_rate=2e-3, average_decay=0.995
        )
    )
    batch: int = 64
    mirror_share: float = 0.3
    light: float = 0.1  # brightness and contrast vary by this much, alike in both frames
    noise: float = 0.02  # of each pixel, on a scale of -1 to 1
    val_pairs: int = 2000


class MeterTask:
    """Draws pairs, computes the loss, measures."""

    def __init__(self, config: MeterTraining) -> None:
        self.config = config
        torch.manual_seed(config.loop.seed)
        self.model = Meter(config.meter)
        self.train = load_drives(config.cache_dir, "train")
        self.val = load_drives(config.cache_dir, "val")
        self.rows = labelled(self.train)
        if not len(self.rows):
            raise DataError(
                f"the cache at {config.cache_dir} has no frame with all labels: a meter needs"
                " drives of the reference world (`dreamlane collect`)"
            )
        self.trainer = Trainer(self.model, self.loss, config.loop)

    def loss(self, step: int, generator: torch.Generator) -> tuple[Tensor, Log]:
        """Mean absolute error in units of each state's typical size; see `Trainer`."""
        config = self.config
        pick = torch.randint(len(self.rows), (config.batch,), generator=generator)
        rows = np.sort(self.rows[pick.numpy()])
        with torch.no_grad():
            frames = torch.from_numpy(self.train.frames(np.concatenate([rows - 1, rows])))
            pictures = self.model.shrink(frames)
        label_BS = torch.from_numpy(self.train.state_NS[rows]).clone()
        pictures, label_BS = self._vary(pictures, label_BS, generator)
        with torch.autocast("cpu", torch.bfloat16):
            state_BS = self.model(*torch.split(pictures, config.batch))
        known = ~label_BS.isnan()
        error = (state_BS.float() - label_BS.nan_to_num()).abs() / torch.tensor(STATE_SCALES)
        means = (error * known).sum(0) / known.sum(0).clamp_min(1)
        log = {f"error_{name}": means[i].item() for i, name in enumerate(STATE_HEADS)}
        return means.mean(), log

    def _vary(
        self, pictures: Tensor, label_BS: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Mirror some pairs; change the light; add noise."""
        config, count = self.config, self.config.batch
        mirrored = torch.rand(count, generator=generator) < config.mirror_share
        pictures = torch.where(mirrored.repeat(2).view(-1, 1, 1, 1), pictures.flip(-1), pictures)
        label_BS = torch.where(
            mirrored.unsqueeze(1), label_BS * torch.tensor(MIRRORED_SIGNS), label_BS
        )
        light = 2 * torch.rand(2, count, generator=generator).repeat(1, 2).view(2, -1, 1, 1, 1) - 1
        pictures = pictures * (1 + config.light * light[0]) + config.light * light[1]
        noise = torch.randn(pictures.shape, generator=generator)
        return pictures + config.noise * noise, label_BS

    @torch.no_grad()
    def measure(self, trainer: Trainer) -> Log:
        """Errors on held-out pairs with the averaged weights; writes the checkpoint."""
        model = Meter(self.config.meter)
        model.load_state_dict(trainer.average)
        model.eval()
        rows = labelled(self.val)
        rows = rows[
            np.linspace(0, len(rows) - 1, min(self.config.val_pairs, len(rows))).astype(int)
        ]
        read = model.read(self.val.frames(rows - 1), self.val.frames(rows))
        true = self.val.state_NS[rows]
        figures = errors(read, true)
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


def labelled(drives: Drives) -> NDArray[np.int64]:
    """Rows with a predecessor in their drive and all labels."""
    rows = drives.window_ends(1, 0)
    picked: NDArray[np.int64] = rows[~np.isnan(drives.state_NS[rows]).any(1)]
    return picked


def errors(read_NS: NDArray[np.float32], true_NS: NDArray[np.float32]) -> Log:
    """Mean absolute error of each state, and that of always saying its median, for comparison."""
    figures = {}
    for i, name in enumerate(STATE_HEADS):
        true = true_NS[:, i]
        figures[f"mae_{name}"] = float(np.abs(read_NS[:, i] - true).mean())
        figures[f"mae_of_median_{name}"] = float(np.abs(np.median(true) - true).mean())
    return figures


def card(facts: dict[str, object]) -> str:
    """The model card."""
    rows = "\n".join(
        f"| {name} | {facts[f'mae_{name}']:.4f} {unit} | {facts[f'mae_of_median_{name}']:.4f} {unit} |"
        for name, unit in zip(STATE_HEADS, UNITS, strict=True)
    )
    return f"""# Meter

A small network that reads what two successive camera frames (0.1 s apart) show. `dreamlane eval`
judges dreams with it. It saw true frames only and shares no weights with any world model.

Trained by `dreamlane train meter` on the frame cache `{facts["cache"]}` ({facts["train_frames"]} training
frames) for {facts["steps"]} steps ({facts["minutes"]} minutes on a shared CPU core). Weights are float16.

Errors on {facts["held_out_pairs"]} pairs of held-out drives:

| state of the newer frame | mean absolute error | of always saying the median |
|---|---|---|
{rows}

Use: judging dreams of the reference world. It knows no other camera: for recorded real drives its
readings mean nothing, and `dreamlane eval` prints its error on the drives at hand first. Licence: MIT.
"""


def train_meter(config: MeterTraining) -> MeterTask:
    """Run (or continue) a meter training as configured; the result is in run_dir/checkpoint."""
    task = MeterTask(config)
    task.trainer.resume()
    task.trainer.run(task.measure)
    if task.trainer.rank == 0:
        task.measure(task.trainer)
    return task
