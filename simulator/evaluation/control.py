"""Does the picture obey the wheel and the pedals?

Commanded is what the reference vehicle would do under the same actions (its steering rate, grip and engine
included); read is what the meter sees in the dreamed pictures, and what the model's own heads say.

Shapes: N rollouts, T steps, A=2 action.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.ego import DT_S, FULL_LOCK_RAD
from simulator.evaluation import metrics
from simulator.evaluation.intervals import mean_interval, statistic_interval
from simulator.evaluation.report import Section, Table, cell, table
from simulator.evaluation.subject import Rows, Subject, padded_batches
from simulator.evaluation.vehicle import motion, steer_for, wheel_angles
from world_model.engine.base import STATE_HEADS
from world_model.families.var import PAST_ACTIONS
from world_model.training.data import evenly

SPEED, YAW_RATE = STATE_HEADS.index("speed_mps"), STATE_HEADS.index("yaw_rate_radps")
READERS = ("meter", "heads")
Figures = dict[str, Any]
Floats = NDArray[np.float64]
Progress = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Rollouts:
    """What was read from dreams under given actions."""

    meter_NTS: NDArray[np.float32]
    heads_NTS: NDArray[np.float32]
    change_NT: NDArray[np.float64]  # grey levels from frame to frame

    def of(self, reader: str, state: int) -> NDArray[np.float32]:
        """One state as one of the `READERS` sees it, (N, T)."""
        return (self.meter_NTS if reader == "meter" else self.heads_NTS)[..., state]


def dream(
    subject: Subject, rows: Rows, actions_NTA: NDArray[np.float32], progress: Progress
) -> Rollouts:
    """Dream from each row under the given actions and read every frame."""
    kept: tuple[list[NDArray[Any]], ...] = ([], [], [])
    for picked, count in padded_batches(len(rows), subject.config.batch):
        starts = rows[picked]
        subject.begin(starts)
        generators = subject.generators(starts)
        old = subject.drives.frames(starts[:count])
        by_step: list[tuple[NDArray[np.generic], ...]] = []
        for t in range(actions_NTA.shape[1]):
            out = subject.engine.step(actions_NTA[picked, t], subject.engine.draw_noise(generators))
            assert out.frame_BHWC is not None
            new = out.frame_BHWC[:count]
            said = np.stack([out.state[name][:count] for name in STATE_HEADS], 1)
            said[:, [name not in out.known for name in STATE_HEADS]] = np.nan
            by_step.append((subject.read(old, new), said, metrics.change(old, new)))
            old = new
        for parts, values in zip(kept, zip(*by_step, strict=True), strict=True):
            parts.append(np.stack(values, 1))
        progress()
    return Rollouts(*(np.concatenate(parts) for parts in kept))


def usable_starts(subject: Subject, low_mps: float, high_mps: float) -> Rows:
    """Rows with enough past, a known speed in the range, and neither crash nor verge about them."""
    drives = subject.drives
    rows = drives.window_ends(subject.engine.context_frames - 1, 1)
    speed = drives.state_NS[rows, SPEED]
    quiet = np.nan_to_num(drives.event_NE[rows]).max(1) == 0
    picked: Rows = rows[quiet & (speed >= low_mps) & (speed < high_mps)]
    return picked


def control(subject: Subject, progress: Progress = lambda: None) -> Section:
    """Steering sweep, braking and pulling away, and what wrong actions cost."""
    parts = [steering(subject, progress), pedals(subject, progress), likelihood(subject)]
    return Section(
        "control",
        "Does the picture obey?",
        {name: figures for name, figures, _, _ in parts},
        tuple(table for _, _, table, _ in parts),
        tuple(note for _, _, _, note in parts),
    )


Part = tuple[str, Figures, Table, str]


# -- steering --------------------------------------------------------------------------------------


def steering(subject: Subject, progress: Progress) -> Part:
    """Hold each of several steer values from starts at all speeds; compare yaw rates."""
    config, drives = subject.config.control, subject.drives
    bands = list(zip(config.bands_mps[:-1], config.bands_mps[1:], strict=True))
    starts = np.concatenate(
        [evenly(usable_starts(subject, *band), config.starts_per_band) for band in bands]
    )
    if not len(starts):
        raise ValueError(
            f"no held-out start between {config.bands_mps[0]} and"
            f" {config.bands_mps[-1]} m/s: control can't be measured"
        )
    rows = np.repeat(starts, config.steer_values)
    speed = drives.state_NS[rows, SPEED].astype(np.float64)
    fraction = np.tile(np.linspace(-1, 1, config.steer_values), len(starts))
    actions = np.zeros((len(rows), config.hold_steps, 2), np.float32)
    actions[..., 0] = (fraction * steer_for(speed, config.lateral_mps2))[:, None]
    _, commanded = motion(speed, wheel_angles(drives, rows), actions)
    rollouts = dream(subject, rows, actions, progress)
    settled = slice(config.settle_steps, None)
    wanted = commanded[:, settled].mean(1)
    band_N = np.digitize(speed, config.bands_mps) - 1
    groups = drives.episode_N[rows]
    run_up = np.repeat(drives.state_NS[rows, YAW_RATE, None], config.hold_steps, 1)
    figures: Figures = {
        "rollouts": len(rows),
        "starts": len(starts),
        "sign_threshold_radps": config.sign_threshold_radps,
        "commanded_radps": wanted.tolist(),
        "speed_mps": speed.tolist(),
    }
    lines = []
    for reader in READERS:
        series = rollouts.of(reader, YAW_RATE).astype(np.float64)
        if np.isnan(series).any():
            figures[reader] = None
            continue
        got = series[:, settled].mean(1)
        slope = statistic_interval(partial(_gain, wanted, got), groups)
        right = statistic_interval(
            partial(_signs, wanted, got, config.sign_threshold_radps), groups
        )
        r2 = metrics.gain_and_r2(wanted, got)[1]
        order = metrics.spearman(wanted, got)
        lag = metrics.lag_steps(
            np.concatenate([run_up, commanded], 1)[:, -config.hold_steps - 5 :],
            np.concatenate([run_up, series], 1)[:, -config.hold_steps - 5 :],
            min(5, config.hold_steps),
        )
        by_band = {
            f"{low:g}-{high:g} m/s": {
                "gain": metrics.gain_and_r2(wanted[band_N == b], got[band_N == b])[0],
                "rollouts": int((band_N == b).sum()),
            }
            for b, (low, high) in enumerate(bands)
            if (band_N == b).any()
        }
        figures[reader] = {
            "gain": slope.to_json(),
            "r2": r2,
            "sign_accuracy": right.to_json(),
            "spearman": order,
            "lag_steps": lag,
            "mae_radps": float(np.abs(got - wanted).mean()),
            "by_band": by_band,
            "read_radps": got.tolist(),
        }
        gains = ", ".join(f"{name}: {cell(b['gain'], 2)}" for name, b in by_band.items())
        lines.append((reader, str(slope), f"{r2:.3f}", str(right), f"{order:.3f}", str(lag), gains))
    return (
        "steering",
        figures,
        table(
            "Steering sweep: read over commanded yaw rate",
            ("reader", "gain [95 %]", "R²", "sign accuracy [95 %]", "Spearman", "lag, steps",
             "gain by speed"),
            lines,
        ),
        f"Steering: {config.steer_values} values held for {config.hold_steps} steps from"
        f" {len(starts)} starts, up to {config.lateral_mps2:g} m/s² sideways; means over steps"
        f" {config.settle_steps + 1} to {config.hold_steps}. Signs count where the commanded yaw rate"
        f" exceeds {config.sign_threshold_radps:g} rad/s.",
    )  # fmt: skip


def _gain(wanted: Floats, got: Floats, picked: Rows) -> float:
    return metrics.gain_and_r2(wanted[picked], got[picked])[0]


def _signs(wanted: Floats, got: Floats, threshold: float, picked: Rows) -> float:
    return metrics.sign_accuracy(wanted[picked], got[picked], threshold)


# -- pedals ----------------------------------------------------------------------------------------


def pedals(subject: Subject, progress: Progress) -> Part:
    """Brake fully until well after the stop, then give full throttle."""
    config, drives = subject.config.control, subject.drives
    rows = evenly(usable_starts(subject, 4.0, 40.0), config.brake_starts)
    wheel = wheel_angles(drives, rows)
    brake, stand, go = config.brake_steps, config.stand_steps, config.pull_away_steps
    actions = np.zeros((len(rows), brake + stand + go, 2), np.float32)
    actions[..., 0] = np.clip(wheel / FULL_LOCK_RAD, -1, 1)[:, None]
    actions[..., 1] = np.where(np.arange(brake + stand + go) < brake + stand, -1.0, 1.0)
    reference, _ = motion(drives.state_NS[rows, SPEED], wheel, actions)
    rollouts = dream(subject, rows, actions, progress)
    groups = drives.episode_N[rows]
    stopped = np.ones(len(rows), np.bool_)
    moving = np.ones(len(rows), np.bool_)
    figures: Figures = {"starts": len(rows)}
    lines = []
    for reader in READERS:
        speed = rollouts.of(reader, SPEED).astype(np.float64)
        if np.isnan(speed).any():
            continue
        smooth = metrics.running_mean(speed, 3)
        still = (smooth[:, :brake] < config.stopped_mps).any(1)
        again = (smooth[:, brake + stand :] > config.moving_mps).any(1)
        creep = mean_interval(speed[:, brake : brake + stand].sum(1) * DT_S, groups)
        stopped &= still
        moving &= again
        figures[reader] = {
            "stopped": mean_interval(still.astype(float), groups).to_json(),
            "pulled_away": mean_interval(again.astype(float), groups).to_json(),
            "creep_m": creep.to_json(),
        }
        lines.append((reader, f"{still.mean():.0%}", str(creep), f"{again.mean():.0%}"))
    lines.append(("both", f"{stopped.mean():.0%}", "", f"{moving.mean():.0%}"))
    change = mean_interval(rollouts.change_NT[:, brake : brake + stand].mean(1), groups)
    figures |= {
        "stopped": mean_interval(stopped.astype(float), groups).to_json(),
        "pulled_away": mean_interval(moving.astype(float), groups).to_json(),
        "standing_change_grey_levels": change.to_json(),
        "reference_stopped": float((reference[:, :brake] < config.stopped_mps).any(1).mean()),
        "reference_steps_to_stop": float(
            (reference[:, :brake] >= config.stopped_mps).sum(1).mean()
        ),
    }
    return (
        "pedals",
        figures,
        table(
            "Braking to a standstill and pulling away",
            ("reader", "stopped", f"creep in the next {stand * DT_S:g} s, m [95 %]", "pulled away"),
            lines,
        ),
        f"Pedals: {len(rows)} starts above 4 m/s; full brake for {brake} steps (the reference vehicle"
        f" needs {figures['reference_steps_to_stop']:.0f}), {stand} more standing, then full throttle"
        f" for {go}. Stopped: below {config.stopped_mps:g} m/s; pulled away: above"
        f" {config.moving_mps:g} m/s (means of 3 steps). While standing the picture changes by"
        f" {change} grey levels a step. The meter's own offset at a standstill is part of its creep.",
    )


# -- do the actions matter to the model? ------------------------------------------------------------


def likelihood(subject: Subject) -> Part:
    """Cost of the next true frame's tokens under the true and under other drives' actions."""
    import torch
    from torch.nn import functional as F

    drives, checkpoint = subject.drives, subject.checkpoint
    world, quantizer = checkpoint.world, checkpoint.tokenizer.quantizer
    assert world is not None
    rows = evenly(drives.window_ends(PAST_ACTIONS - 1, 1), subject.config.control.likelihood_pairs)
    others = rows[np.random.default_rng(subject.config.seed).permutation(len(rows))]
    nll: dict[str, list[NDArray[np.float64]]] = {"true": [], "shuffled": []}

    def latent(picked: Rows) -> torch.Tensor:
        return checkpoint.tokenizer.latents(torch.from_numpy(drives.frames(picked)))

    def taken(picked: Rows) -> torch.Tensor:
        index = picked[:, None] + np.arange(1 - PAST_ACTIONS, 1)
        return torch.from_numpy(np.nan_to_num(drives.action_NA[index]))

    with torch.no_grad():
        for start in range(0, len(rows), 16):
            part, other = rows[start : start + 16], others[start : start + 16]
            past = torch.stack([quantizer.encode(latent(part - i)).latent_BChw for i in (0, 1)], 1)
            frame = quantizer.encode(latent(part + 1))
            ego = torch.from_numpy(np.nan_to_num(drives.state_NS[part, :2]))
            targets = torch.cat(frame.targets, 1)
            for name, source in (("true", part), ("shuffled", other)):
                logits = world(frame.before, past, world.conditioning(taken(source), ego))
                each = F.cross_entropy(torch.cat(logits, 1).mT, targets, reduction="none")
                nll[name].append(each.mean(1).double().numpy())
    groups = drives.episode_N[rows]
    values = {name: np.concatenate(parts) for name, parts in nll.items()}
    gap = mean_interval(values["shuffled"] - values["true"], groups)
    means = {name: mean_interval(v, groups) for name, v in values.items()}
    figures: Figures = {name: interval.to_json() for name, interval in means.items()}
    return (
        "likelihood",
        figures | {"gap": gap.to_json()},
        table(
            "Cost of the next true frame, nats a token",
            ("actions", "NLL [95 %]"),
            [*((name, str(i)) for name, i in means.items()), ("gap", str(gap))],
        ),
        f"Actions: {gap.n} pairs; shuffled ones come from other moments of the held-out drives. The gap"
        " must be clearly above zero.",
    )
