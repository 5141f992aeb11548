"""How far the meter itself can be trusted: its error on true held-out pairs, printed before all else."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulator.evaluation import metrics
from simulator.evaluation.intervals import Interval, mean_interval, statistic_interval
from simulator.evaluation.report import Chart, Section, Series, Verdict, table
from simulator.evaluation.subject import Subject
from world_model.engine.base import STATE_HEADS
from world_model.training.data import evenly

STANDING_MPS = 0.05
READABLE_R2 = 0.8
"""A state that the meter reads worse than this from true frames is not to be judged by it."""

WORDS = {
    "speed_mps": ("speed", "m/s"),
    "yaw_rate_radps": ("yaw rate", "rad/s"),
    "lane_offset_m": ("lane offset", "m"),
    "heading_error_rad": ("heading", "rad"),
    "curvature_1pm": ("curvature", "1/m"),
    "lead_distance_m": ("distance to the vehicle ahead", "m"),
}
CHARTED = ("speed_mps", "yaw_rate_radps")


def reading(subject: Subject) -> Section:
    """The meter on true pairs of the drives at hand: what a perfect dream would be read as."""
    drives = subject.drives
    rows = drives.window_ends(1, 0)
    known = ~np.isnan(drives.state_NS[rows][:, :2]).any(1)
    rows = evenly(rows[known], subject.config.meter_pairs)
    figures: dict[str, object] = {
        "meter": subject.meter.hash,
        "training": dict(subject.meter.facts),
    }
    if not len(rows):
        return Section("meter", "The meter itself", figures, notes=("No labels: can't be judged.",))
    read, true = subject.read(drives.frames(rows - 1), drives.frames(rows)), drives.state_NS[rows]
    groups = subject.groups(rows)
    lines, charts = [], []
    errors: dict[str, tuple[float, float]] = {}  # mean absolute error, R²
    for i, name in enumerate(STATE_HEADS):
        if np.isnan(true[:, i]).all():
            continue  # the source has no such label
        error = mean_interval(np.abs(read[:, i] - true[:, i]), groups)

        def gain(picked: np.ndarray, i: int = i) -> float:
            pair = true[picked, i], read[picked, i]
            clear = ~np.isnan(pair[0])
            return metrics.gain_and_r2(pair[0][clear], pair[1][clear])[0]

        slope: Interval = statistic_interval(gain, groups)
        fit = metrics.gain_and_r2(
            *(values[~np.isnan(true[:, i]), i].astype(np.float64) for values in (true, read))
        )
        figures[name] = {"mae": error.to_json(), "gain": slope.to_json(), "r2": fit[1]}
        errors[name] = error.value, fit[1]
        if name in CHARTED:
            charts.append(chart(name, true[:, i], read[:, i]))
        lines.append((name, str(error), str(slope), f"{fit[1]:.3f}", str(error.n)))
    # both frames: a crash stops the car at once, between two pictures that differ
    standing = rows[np.maximum(true[:, 0], drives.state_NS[rows - 1, 0]) < STANDING_MPS]
    if len(standing):
        old, new = drives.frames(standing - 1), drives.frames(standing)
        speeds = subject.read(old, new)[:, 0]
        still = {
            "pairs": len(standing),
            "mean_speed_mps": float(speeds.mean()),
            "share_below_0.5_mps": float((speeds < 0.5).mean()),
            "change_grey_levels": float(metrics.change(old, new).mean()),
        }
        figures["standing_still"] = still
        note = (
            f"At a true standstill ({still['pairs']} pairs) it reads {still['mean_speed_mps']:.2f}"
            f" m/s on average, below 0.5 m/s in {still['share_below_0.5_mps']:.0%};"
            f" the picture changes by {still['change_grey_levels']:.2f} grey levels a step."
        )
    else:
        note = "The pairs hold no standstill."
    return Section(
        "meter",
        "The meter itself",
        figures,
        (
            table(
                "Meter on true held-out pairs (what a perfect dream would be read as)",
                ("state", "mean abs. error [95 %]", "gain [95 %]", "R²", "pairs"),
                lines,
            ),
        ),
        (note,),
        charts=tuple(charts),
        verdicts=tuple(verdicts(errors)),
    )


def chart(name: str, true_N: NDArray[np.float32], read_N: NDArray[np.float32]) -> Chart:
    """Read against true."""
    clear = ~np.isnan(true_N)
    words, unit = WORDS[name]
    points = Series("", tuple(true_N[clear].tolist()), tuple(read_N[clear].tolist()))
    return Chart(
        f"The meter on true pictures: {words}", f"true, {unit}", f"read, {unit}", (points,),
        "scatter", identity=True,
    )  # fmt: skip


def verdicts(errors: dict[str, tuple[float, float]]) -> list[Verdict]:
    """What this report can say about the pictures at all, by the meter's R² on true ones.

    A state that never changes in the drives (R² is NaN) is left out.
    """
    found = []
    for trusted in (True, False):
        names = [
            name for name, (_, r2) in errors.items() if r2 == r2 and (r2 >= READABLE_R2) is trusted
        ]
        if not names:
            continue
        listed = ", ".join(
            f"{WORDS[n][0]} ({errors[n][0]:.2g} {WORDS[n][1]}, R² {errors[n][1]:.2f})"
            for n in names
        )
        judged = "" if trusted else ", which err too much on true pictures already"
        found.append(
            Verdict(
                f"This report's own readings of {listed}{judged}; in brackets the reader's mean error.",
                trusted,
            )
        )
    return found
