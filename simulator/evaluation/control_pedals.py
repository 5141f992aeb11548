"""Does the picture brake to a standstill, hold still, and pull away again?

Shapes: N rollouts, T steps, A=2 action.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from simulator.ego import DT_S, FULL_LOCK_RAD
from simulator.evaluation import metrics
from simulator.evaluation.control_rollouts import (
    READERS,
    SPEED,
    Floats,
    Part,
    Progress,
    dream,
    require,
    usable_starts,
)
from simulator.evaluation.intervals import Interval, mean_interval
from simulator.evaluation.report import Chart, Series, Verdict, samples, table
from simulator.evaluation.subject import Rows, Subject
from simulator.evaluation.vehicle import motion, wheel_angles
from world_model.training.data import evenly

STILL_M = 1.0
"""Creep while standing that is called still in the verdict."""


def pedals(subject: Subject, progress: Progress) -> Part:
    """Brake fully until well after the stop, then give full throttle."""
    config, drives = subject.config.control, subject.drives
    rows = evenly(usable_starts(subject, 4.0, 40.0), config.brake_starts)
    require(rows, "above 4 m/s")
    wheel = wheel_angles(drives, rows)
    brake, stand, go = config.brake_steps, config.stand_steps, config.pull_away_steps
    actions = np.zeros((len(rows), brake + stand + go, 2), np.float32)
    actions[..., 0] = np.clip(wheel / FULL_LOCK_RAD, -1, 1)[:, None]
    actions[..., 1] = np.where(np.arange(brake + stand + go) < brake + stand, -1.0, 1.0)
    reference, _ = motion(drives.state_NS[rows, SPEED], wheel, actions)
    rollouts = dream(subject, rows, actions, progress)
    groups = subject.groups(rows)
    standing = slice(brake, brake + stand)
    stopped = np.ones(len(rows), np.bool_)
    moving = np.ones(len(rows), np.bool_)
    figures: dict[str, Any] = {"starts": len(rows)}
    lines, curves, kept = [], [_curve("commanded", reference)], []
    creeps: dict[str, Interval] = {}
    for reader in READERS:
        speed = rollouts.of(reader, SPEED)
        if np.isnan(speed).any():
            continue
        smooth = metrics.running_mean(speed, 3)
        still = (smooth[:, :brake] < config.stopped_mps).any(1)
        again = (smooth[:, brake + stand :] > config.moving_mps).any(1)
        crept = speed[:, standing].sum(1) * DT_S
        creeps[reader] = mean_interval(crept, groups)
        stopped &= still
        moving &= again
        figures[reader] = {
            "stopped": mean_interval(still.astype(float), groups).to_json(),
            "pulled_away": mean_interval(again.astype(float), groups).to_json(),
            "creep_m": creeps[reader].to_json(),
        }
        lines.append((reader, f"{still.mean():.0%}", str(creeps[reader]), f"{again.mean():.0%}"))
        curves.append(_curve(reader, speed))
        kept.append(samples(f"creep_{reader}_m", crept, groups, rows, better="lower"))
    lines.append(("both", f"{stopped.mean():.0%}", "", f"{moving.mean():.0%}"))
    offset = still_picture_creep(subject, rows, stand)
    lines.append(("meter on a still picture", "", str(offset), ""))
    change = mean_interval(rollouts.change_NT[:, standing].mean(1), groups)
    figures |= {
        "stopped": mean_interval(stopped.astype(float), groups).to_json(),
        "pulled_away": mean_interval(moving.astype(float), groups).to_json(),
        "still_picture_creep_m": offset.to_json(),
        "standing_change_grey_levels": change.to_json(),
        "reference_stopped": float((reference[:, :brake] < config.stopped_mps).any(1).mean()),
        "reference_steps_to_stop": float(
            (reference[:, :brake] >= config.stopped_mps).sum(1).mean()
        ),
    }
    return Part(
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
        f" {change} grey levels a step. Creep is the read speed added up; the last row is what the"
        " meter reads into pictures that don't change at all.",
        (Chart("Brake, stand, pull away", "time, s", "speed, m/s", tuple(curves)),),
        _verdicts(stopped, moving, creeps.get("meter"), offset, stand * DT_S),
        tuple(kept),
    )


def still_picture_creep(subject: Subject, rows: Rows, steps: int) -> Interval:
    """Metres that the meter reads into `steps` steps of pictures that don't change at all."""
    frames = subject.drives.frames(rows)
    speed = subject.read(frames, frames)[:, SPEED].astype(np.float64)
    return mean_interval(speed * steps * DT_S, subject.groups(rows))


def _curve(name: str, speed_NT: Floats) -> Series:
    """Mean speed over time, with the quartiles of the rollouts."""
    low, mean, high = (
        tuple(float(v) for v in values)
        for values in (
            np.quantile(speed_NT, 0.25, axis=0), speed_NT.mean(0), np.quantile(speed_NT, 0.75, axis=0),
        )
    )  # fmt: skip
    times = tuple(round((t + 1) * DT_S, 6) for t in range(speed_NT.shape[1]))
    return Series(name, times, mean, low, high)


def _verdicts(
    stopped: np.ndarray,
    moving: np.ndarray,
    creep: Interval | None,
    offset: Interval,
    seconds: float,
) -> tuple[Verdict, ...]:
    both = float((stopped & moving).mean())
    braking = Verdict(
        f"Pedals: {stopped.mean():.0%} of the dreams come to a standstill under full brake, in the picture"
        f" and in the heads; {both:.0%} then pull away again under throttle.",
        both >= 0.9,
    )
    if creep is None:
        return (braking,)
    still = Verdict(
        f"Standing: a dream held still creeps {creep.value:.1f} m in {seconds:g} s by its picture"
        f" ({offset.value:.1f} m are the meter's own).",
        creep.value - max(offset.value, 0.0) <= STILL_M,
    )
    return braking, still
