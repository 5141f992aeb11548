"""Run a world-model training: measure it on held-out drives, paint rollouts, write checkpoints.

Shapes as in `world_model.families.world`; R rollouts, T steps.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from world_model.checkpoint import ModelConfig, save
from world_model.engine.base import EVENT_HEADS, STATE_HEADS
from world_model.engine.eager import EagerEngine
from world_model.engine.step_graph import drift_statistics
from world_model.families import World, make_world
from world_model.families.car import PAST_ACTIONS
from world_model.training.data import DataError, Drives
from world_model.training.latents import EncodedDrives
from world_model.training.loop import Log, Trainer
from world_model.training.outcome import fit_outcome
from world_model.training.rollout import rollout, start_engine
from world_model.training.start import start_from
from world_model.training.usual import usual_signals
from world_model.training.world import WorldTask
from world_model.training.world_batches import WorldTraining

HORIZONS = (1, 5, 10, 20, 40)
STEERS = (-0.3, 0.0, 0.3)


def train_world(config: WorldTraining) -> WorldTask:
    """Run (or continue) a world-model training as configured; the result is in run_dir/checkpoint."""
    task = begun(config)
    described = describe(task)  # of the data alone: the same at every checkpoint
    task.trainer.run(lambda trainer: measure(task, trainer, described))
    return task


@torch.no_grad()
def begun(config: WorldTraining) -> WorldTask:
    """The training where it stood, or before its first step: others' weights, if wanted, and a first look at
    the data, for families that need one."""
    task = WorldTask(config)
    if task.trainer.resume():
        return task
    if config.start_from:
        start_from(task.trainer, Path(config.start_from), config.start_parts)

    def look() -> tuple[Tensor, Tensor]:
        some = task.windows(64, torch.Generator().manual_seed(config.loop.seed))
        ahead = task.foresee(some.past_BPChw, some.actions_BMA, some.ego_BE)
        return some.data.latents(some.rows + 1), ahead

    if not config.start_from or config.start_parts:  # all of another's weights have had their look
        task.model.get_ready(look)
    if task.model.outcome is not None:
        fit_outcome(task.model.outcome, task.train.drives, config.loop.seed)
    task.trainer.average = {k: v.clone() for k, v in task.model.state_dict().items()}
    return task


def averaged(task: WorldTask) -> World:
    """The model with the run's averaged weights, ready to use."""
    model = make_world(task.config.family, task.config.world, task.quantizer.config)
    model.load_state_dict(task.trainer.average)
    return model.eval().requires_grad_(False)


@torch.no_grad()
def measure(task: WorldTask, trainer: Trainer, config: ModelConfig) -> Log:
    """Held-out losses, head errors and rollouts of the averaged weights; writes the checkpoint."""
    model = averaged(task)
    figures = teacher_forced(task, model)
    checkpoint = replace(task.checkpoint, config=config, world=model)
    run_dir = Path(task.config.loop.run_dir)
    engine = EagerEngine(checkpoint, batch_size=8, device="cpu")
    mean, std = usual_signals(engine, task.train.drives)
    config = replace(config, doubt_mean=mean, doubt_std=std)
    save(run_dir / "checkpoint", config, task.checkpoint.tokenizer, model)
    ends = task.val.drives.window_ends(engine.context_frames - 1, max(HORIZONS))
    if not len(ends):
        least = engine.context_frames + max(HORIZONS)
        raise DataError(
            f"{task.config.cache_dir} has no held-out drive of {least} frames to be dreamed beside; record"
            " longer ones (`dreamlane collect`)"
        )
    rows = ends[np.linspace(0, len(ends) - 1, engine.batch_size).astype(np.int64)]
    dreams = rollout(engine, task.val.drives, rows, max(HORIZONS))
    for horizon in HORIZONS:
        true = task.val.drives.frames(rows + horizon)
        figures[f"psnr_at_{horizon}"] = psnr(dreams[:, horizon - 1], true)
        figures[f"psnr_copy_at_{horizon}"] = psnr(task.val.drives.frames(rows), true)
    name = f"{trainer.step:07d}.png"
    paint_rollouts(run_dir / f"rollout_{name}", task.val.drives, rows, dreams)
    paint_steering(run_dir / f"steering_{name}", engine, task.val.drives, rows)
    return figures


def teacher_forced(task: WorldTask, model: World) -> Log:
    """Losses per scale, mean absolute errors of the heads and the cost of shuffled actions."""
    data, config = task.val, task.config
    ends = data.drives.window_ends(PAST_ACTIONS, 1)
    rows = ends[np.linspace(0, len(ends) - 1, config.val_windows).astype(np.int64)]
    generator = torch.Generator().manual_seed(0)
    sums: dict[str, list[float]] = {}
    for part in np.array_split(rows, max(1, len(rows) // 32)):
        past, actions, ego = task.context(data, part, generator, model=model)
        latent, state_true, event_true, _ = task.target(data, part + 1)
        frame = task.quantizer.encode(latent)
        order = torch.randperm(len(part), generator=generator)
        # another's actions; another's speed and yaw rate as well
        for prefix, taken, moving in (
            ("", actions, ego),
            ("shuffled_", actions[order], ego),
            ("moved_", actions[order], ego[order]),
        ):
            ahead = model.foresee(task.checkpoint.tokenizer, past, taken, moving)
            alike = torch.Generator().manual_seed(0)  # the same chance under all actions
            known = model.situation(past, ahead, taken, moving)
            parts = model.losses(task.quantizer, frame, latent, known, None, alike)
            for k, value in enumerate(parts):
                sums.setdefault(f"{prefix}nll_{k + 1}", []).append(value.item())
        state, _, event = model.read(frame.latent_BChw, past[:, 0], actions, ego)
        add_errors(sums, state, state_true, event, event_true)
    return {name: float(np.nanmean(values)) for name, values in sums.items()}


def add_errors(
    sums: dict[str, list[float]], state: Tensor, state_true: Tensor, event: Tensor, truth: Tensor
) -> None:
    """Append each head's error to `sums`; absent labels (NaN) are left out."""
    for i, name in enumerate(STATE_HEADS):
        error = (state[:, i] - state_true[:, i]).abs()
        if not error.isnan().all():
            sums.setdefault(f"mae_{name}", []).append(error.nanmean().item())
    for i, name in enumerate(EVENT_HEADS):
        wrong = ((event[:, i] > 0) != (truth[:, i] > 0.5)).float()
        if not truth[:, i].isnan().all():
            sums.setdefault(f"error_{name}", []).append(wrong[~truth[:, i].isnan()].mean().item())


@torch.no_grad()
def describe(task: WorldTask) -> ModelConfig:
    """The checkpoint's config: architecture, which heads had labels, and the range of true frames."""
    data = task.train
    known = [
        name
        for labels, names in (
            (data.drives.state_NS, STATE_HEADS),
            (data.drives.event_NE, EVENT_HEADS),
        )
        for i, name in enumerate(names)
        if not np.isnan(labels[:, i]).all()
    ]
    mean, std, threshold = drift_range(task, data)
    return ModelConfig(
        name=task.config.name,
        family=task.config.family,
        tokenizer=task.checkpoint.config.tokenizer,
        world=task.config.world,
        sampling=task.config.sampling,
        known_heads=tuple(known),
        drift_mean=mean,
        drift_std=std,
        drift_threshold=threshold,
    )


def drift_range(
    task: WorldTask, data: EncodedDrives
) -> tuple[tuple[float, ...], tuple[float, ...], float]:
    """Mean and spread of the drift statistics over true frames; 99.9 % of them lie below the threshold."""
    rows = np.linspace(0, len(data.drives) - 1, min(2048, len(data.drives))).astype(np.int64)
    maps = [task.maps(data, part) for part in np.array_split(rows, max(1, len(rows) // 64))]
    values = drift_statistics(torch.cat(maps))
    mean, std = values.mean(0), values.std(0).clamp_min(1e-3)
    size = ((values - mean) / std).square().mean(1).sqrt()
    rounded = [tuple(round(float(v), 6) for v in vector) for vector in (mean, std)]
    return rounded[0], rounded[1], round(float(size.quantile(0.999)), 6)


def psnr(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Mean over the batch of the peak signal-to-noise ratio in dB."""
    mse = np.square(a.astype(np.float32) - b).mean((1, 2, 3))
    return float(np.mean(10 * np.log10(255**2 / np.maximum(mse, 1e-3))))


def paint_rollouts(
    path: Path, drives: Drives, rows: NDArray[np.int64], dreams: NDArray[np.uint8]
) -> None:
    """True frames above dreamed ones, a pair of rows for each start, a column for each horizon."""
    sheet = []
    for i, row in enumerate(rows[:4]):
        sheet.append(np.hstack([drives.frames(np.array([row + h]))[0] for h in HORIZONS]))
        sheet.append(np.hstack([dreams[i, h - 1] for h in HORIZONS]))
    cv2.imwrite(str(path), np.vstack(sheet)[..., ::-1])


def paint_steering(
    path: Path, engine: EagerEngine, drives: Drives, rows: NDArray[np.int64]
) -> None:
    """One start under three held steering angles, right to left: a row each, a column each horizon."""
    same = np.repeat(rows[1:2], engine.batch_size)
    start_engine(engine, drives, same)
    steer = np.resize(np.array(STEERS, np.float32), engine.batch_size)
    action = np.stack([steer, np.zeros_like(steer)], 1)
    generators = [np.random.default_rng(0) for _ in same]
    frames = []
    for _ in range(30):
        out = engine.step(action, engine.draw_noise(generators))
        assert out.frame_BHWC is not None
        frames.append(out.frame_BHWC)
    sheet = [np.hstack([frames[t][i] for t in (0, 4, 9, 19, 29)]) for i in range(len(STEERS))]
    cv2.imwrite(str(path), np.vstack(sheet)[..., ::-1])
