"""Left, then right by the same amount: does the dream's heading return?

Shapes: N rollouts, T steps, A=2 action.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from simulator.ego import DT_S
from simulator.evaluation.control_rollouts import (
    READERS,
    SPEED,
    YAW_RATE,
    Part,
    Progress,
    dream,
    require,
    usable_starts,
)
from simulator.evaluation.intervals import mean_interval
from simulator.evaluation.paths import heading_rad
from simulator.evaluation.report import Chart, Series, Verdict, samples, table
from simulator.evaluation.subject import Subject
from simulator.evaluation.vehicle import motion, steer_for, wheel_angles
from world_model.training.data import evenly

STRAIGHT_RADPS = 0.03
"""Starts that turn less than this: their wheels are straight, so that equal ways cancel."""


def round_trip(subject: Subject, progress: Progress) -> Part:
    """Steer left, as long right, let go; integrate the read yaw rates and compare headings."""
    config, drives = subject.config.control, subject.drives
    rows = usable_starts(subject, 5.0, 40.0)
    rows = rows[np.abs(drives.state_NS[rows, YAW_RATE]) < STRAIGHT_RADPS]
    rows = evenly(rows, config.round_trip_starts)
    require(rows, "above 5 m/s on a straight")
    way, rest = config.round_trip_steps, config.round_trip_rest_steps
    speed = drives.state_NS[rows, SPEED].astype(np.float64)
    side = np.concatenate([np.ones(way), -np.ones(way), np.zeros(rest)])
    actions = np.zeros((len(rows), len(side), 2), np.float32)
    actions[..., 0] = steer_for(speed, config.round_trip_lateral_mps2)[:, None] * side
    _, yaw_rate = motion(speed, wheel_angles(drives, rows), actions)
    commanded = heading_rad(yaw_rate)
    rollouts = dream(subject, rows, actions, progress)
    groups = subject.groups(rows)
    turned = mean_interval(commanded[:, way - 1], groups)
    times = tuple(round((t + 1) * DT_S, 6) for t in range(len(side)))
    figures: dict[str, Any] = {
        "starts": len(rows),
        "commanded_turn_rad": turned.to_json(),
        "commanded_left_over_rad": mean_interval(commanded[:, -1], groups).to_json(),
    }
    lines: list[tuple[str, ...]] = [
        ("commanded", str(turned), str(mean_interval(commanded[:, -1], groups)), "", "")
    ]
    curves = [Series("commanded", times, tuple(commanded.mean(0).tolist()))]
    verdicts, kept = [], []
    for reader in READERS:
        heading = heading_rad(rollouts.of(reader, YAW_RATE))
        if np.isnan(heading).any():
            figures[reader] = None
            continue
        error = np.abs(heading[:, -1] - commanded[:, -1])
        share = mean_interval(error / np.maximum(np.abs(commanded[:, way - 1]), 1e-6), groups)
        values = {
            "turn_rad": mean_interval(heading[:, way - 1], groups),
            "left_over_rad": mean_interval(heading[:, -1], groups),
            "return_error_rad": mean_interval(error, groups),
            "return_error_share": share,
        }
        figures[reader] = {name: interval.to_json() for name, interval in values.items()}
        lines.append((reader, *(str(interval) for interval in values.values())))
        curves.append(Series(reader, times, tuple(heading.mean(0).tolist())))
        kept.append(samples(f"return_error_{reader}_rad", error, groups, rows, better="lower"))
        if reader == "meter":
            verdicts.append(
                Verdict(
                    f"Round trip: after steering left and as long right the dream's heading is off by"
                    f" {share.value:.0%} of the turn ({np.degrees(values['return_error_rad'].value):.1f}"
                    "°).",
                    share.value <= 0.3,
                )
            )
    return Part(
        "round_trip",
        figures,
        table(
            "Round trip: heading by integrated yaw rate, rad",
            ("reader", "turned left [95 %]", "left over at the end [95 %]",
             "abs. error at the end [95 %]", "as share of the turn [95 %]"),
            lines,
        ),
        f"Round trip: {len(rows)} starts on straights; {way} steps left, {way} right, {rest} straight,"
        f" {config.round_trip_lateral_mps2:g} m/s² sideways. The error is against the heading that the"
        " reference vehicle ends with.",
        (Chart("Round trip", "time, s", "heading, rad", tuple(curves)),),
        tuple(verdicts),
        tuple(kept),
    )  # fmt: skip
