"""Do pictures, heads and kinematics tell one story? Pose by pixels against pose by heads.

A car with these wheels at this speed turns at v tan(delta) / L. Recorded actions are dreamed for some
seconds; speed and yaw rate of heads and of the picture are integrated to poses, and the distance between the
two is the pose-pixel drift. Its floor is the meter's own: labels against the meter on the true frames.

Shapes: N rollouts, T steps, A=2 action.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from simulator.ego import DT_S
from simulator.evaluation.control_rollouts import (
    SPEED,
    YAW_RATE,
    Floats,
    Part,
    Progress,
    dream,
    require,
    usable_starts,
)
from simulator.evaluation.intervals import Interval, mean_interval
from simulator.evaluation.paths import drift
from simulator.evaluation.report import Chart, Series, Verdict, samples, table
from simulator.evaluation.subject import Rows, Subject
from simulator.evaluation.vehicle import kinematic_yaw_rate, motion, wheel_angles, wheel_trace
from world_model.training.data import evenly

Motion = tuple[Floats, Floats]  # speed in m/s and yaw rate in rad/s, (N, T) each


def kinematics(subject: Subject, progress: Progress) -> Part:
    """Dream recorded actions and set heads, picture and kinematics against each other."""
    config, drives = subject.config.control, subject.drives
    steps = config.drift_steps
    rows = evenly(usable_starts(subject, 3.0, 40.0, steps), config.drift_starts)
    require(rows, f"above 3 m/s with {steps} steps without a crash after it")
    index = rows[:, None] + np.arange(steps)
    actions = np.nan_to_num(drives.action_NA[index])
    wheel = wheel_angles(drives, rows)
    start = drives.state_NS[rows, SPEED].astype(np.float64)
    rollouts = dream(subject, rows, actions, progress)
    true = read_truth(subject, rows, steps)
    label = tuple(drives.state_NS[index + 1, i].astype(np.float64) for i in (SPEED, YAW_RATE))
    motions: dict[str, Motion] = {
        "heads": (rollouts.of("heads", SPEED), rollouts.of("heads", YAW_RATE)),
        "picture": (rollouts.of("meter", SPEED), rollouts.of("meter", YAW_RATE)),
        "commanded": motion(start, wheel, actions),
        "label": (label[0], label[1]),
        "true picture": true,
    }
    groups = subject.groups(rows)
    trace = wheel_trace(wheel, actions)
    figures: dict[str, Any] = {"starts": len(rows), "seconds": steps * DT_S}
    lines, curves, kept = [], [], []
    ends: dict[str, tuple[Interval, Interval]] = {}
    for a, b in (
        ("heads", "picture"), ("heads", "commanded"), ("picture", "commanded"),
        ("label", "true picture"),
    ):  # fmt: skip
        apart, turned = drift(*motions[a], *motions[b])
        name = f"{a} - {b}"
        ends[name] = mean_interval(apart[:, -1], groups), mean_interval(turned[:, -1], groups)
        figures[name] = dict(
            zip(("position_m", "heading_rad"), (i.to_json() for i in ends[name]), strict=True)
        )
        lines.append((f"drift: {name}", *(str(i) for i in ends[name]), ""))
        if not np.isnan(apart).any():
            times = tuple(round((t + 1) * DT_S, 6) for t in range(steps))
            curves.append(Series(name, times, tuple(apart.mean(0).tolist())))
            kept.append(samples(f"drift_{a}_{b}_m".replace(" ", "_"), apart[:, -1], groups, rows,
                                better="lower"))  # fmt: skip
    for name in ("heads", "picture", "label", "true picture"):
        speed, yaw_rate = motions[name]
        off = np.abs(yaw_rate - kinematic_yaw_rate(start, speed, trace)).mean(1)
        error = mean_interval(off, groups)
        figures[f"{name} - kinematics"] = {"yaw_rate_radps": error.to_json()}
        lines.append((f"v tan(delta) / L: {name}", "", "", str(error)))
    return Part(
        "kinematics",
        figures,
        table(
            f"Pose by pixels, by heads and by the pedals, after {steps * DT_S:g} s",
            ("compared", "position, m [95 %]", "heading, rad [95 %]",
             "yaw rate off kinematics, rad/s [95 %]"),
            lines,
        ),
        f"Kinematics: recorded actions from {len(rows)} starts, {steps * DT_S:g} s; poses by integrating"
        " speed and yaw rate. Commanded is the reference vehicle under the same actions. The last drift"
        " is the meter's own on true frames: a perfect dream would have it too.",
        (Chart("Pose-pixel drift", "time, s", "distance of the poses, m", tuple(curves)),),
        _verdicts(ends, steps * DT_S),
        tuple(kept),
    )  # fmt: skip


def read_truth(subject: Subject, rows: Rows, steps: int) -> Motion:
    """The meter's speed and yaw rate on the true frames that follow each row, (N, T) each."""
    drives = subject.drives
    read = np.stack(
        [subject.read(drives.frames(rows + t), drives.frames(rows + t + 1)) for t in range(steps)],
        1,
    ).astype(np.float64)
    return read[..., SPEED], read[..., YAW_RATE]


def _verdicts(ends: dict[str, tuple[Interval, Interval]], seconds: float) -> tuple[Verdict, ...]:
    drifted, floor = ends["heads - picture"][0], ends["label - true picture"][0]
    if not drifted.n:
        return ()
    return (
        Verdict(
            f"Consistency: after {seconds:g} s the path that the model's heads report and the path seen in"
            f" its picture are {drifted.value:.1f} m apart (on true pictures {floor.value:.1f} m).",
            drifted.value <= 2 * max(floor.value, 0.5),
        ),
    )
