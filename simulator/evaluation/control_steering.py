"""Does the picture turn as the wheel is turned? A sweep of steer values at all speeds.

Commanded is what the reference vehicle would do under the same actions (its steering rate, grip and engine
included); read is what the meter sees in the dreamed pictures, and what the model's own heads say.

Shapes: N rollouts, T steps, A=2 action.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from simulator.evaluation import metrics
from simulator.evaluation.control_rollouts import (
    READERS,
    SPEED,
    YAW_RATE,
    Floats,
    Part,
    Progress,
    dream,
    require,
    usable_starts,
)
from simulator.evaluation.intervals import Interval, doubted, statistic_interval
from simulator.evaluation.report import Chart, Series, Verdict, cell, samples, table
from simulator.evaluation.subject import Rows, Subject
from simulator.evaluation.vehicle import motion, steer_for, wheel_angles
from world_model.training.data import evenly

LONGEST_LAG = 5


def steering(subject: Subject, progress: Progress) -> Part:
    """Hold each of several steer values from starts at all speeds; compare yaw rates."""
    config, drives = subject.config.control, subject.drives
    bands = list(zip(config.bands_mps[:-1], config.bands_mps[1:], strict=True))
    starts = np.concatenate(
        [evenly(usable_starts(subject, *band), config.starts_per_band) for band in bands]
    )
    require(starts, f"between {config.bands_mps[0]} and {config.bands_mps[-1]} m/s")
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
    groups = subject.groups(rows)
    figures: dict[str, Any] = {
        "rollouts": len(rows),
        "starts": len(starts),
        "sign_threshold_radps": config.sign_threshold_radps,
        "commanded_radps": wanted.tolist(),
        "speed_mps": speed.tolist(),
    }
    lines, clouds, verdicts, kept = [], [], [], []
    for reader in READERS:
        series = rollouts.of(reader, YAW_RATE)
        if np.isnan(series).any():
            figures[reader] = None
            continue
        got = series[:, settled].mean(1)
        slope = statistic_interval(partial(_gain, wanted, got), groups)
        signs = partial(_signs, wanted, got, config.sign_threshold_radps)
        right = doubted(statistic_interval(signs, groups))
        r2 = metrics.gain_and_r2(wanted, got)[1]
        order = metrics.spearman(wanted, got)
        lag = _lag(commanded, series, drives.state_NS[rows, YAW_RATE].astype(np.float64))
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
        clouds.append(Series(reader, tuple(wanted.tolist()), tuple(got.tolist())))
        units = [f"{row} {part:+.2f}" for row, part in zip(rows, fraction, strict=True)]
        error = np.abs(got - wanted)
        kept.append(samples(f"yaw_rate_error_{reader}_radps", error, groups, units, better="lower"))
        if reader == "meter":
            verdicts.append(_verdict(slope, r2, right))
    return Part(
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
        (
            Chart(
                "Steering sweep", "commanded yaw rate, rad/s", "read yaw rate, rad/s",
                tuple(clouds), kind="scatter", identity=True,
            ),
        ),
        tuple(verdicts),
        tuple(kept),
    )  # fmt: skip


def _verdict(gain: Interval, r2: float, right: Interval) -> Verdict:
    good = right.value >= 0.9 and 0.7 <= gain.value <= 1.3 and r2 >= 0.5
    return Verdict(
        f"Steering: the picture turns the way the wheel is turned in {right.value:.0%} of clear"
        f" commands, and by {gain.value:.2f} times what was commanded (1 is right).",
        good,
    )


def _lag(commanded_NT: Floats, read_NT: Floats, start_N: Floats) -> int:
    """By how many steps the readings trail the command; before the start both had the true yaw rate."""
    steps = commanded_NT.shape[1]
    longest = min(LONGEST_LAG, steps)
    run_up = np.repeat(start_N[:, None], longest, 1)
    commanded, read = (np.concatenate([run_up, series], 1) for series in (commanded_NT, read_NT))
    return metrics.lag_steps(commanded, read, longest)


def _gain(wanted: Floats, got: Floats, picked: Rows) -> float:
    return metrics.gain_and_r2(wanted[picked], got[picked])[0]


def _signs(wanted: Floats, got: Floats, threshold: float, picked: Rows) -> float:
    return metrics.sign_accuracy(wanted[picked], got[picked], threshold)
