"""Does a dream itself say which of its frames are wrong?

A frame is called wrong where its place on the road (`state_error`) is among the worst quarter of all frames
looked at. Area under the ROC curve: the share of pairs of a wrong and a right frame in which the wrong one
has the higher doubt (or surprise, ...); half is chance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulator.evaluation import metrics
from simulator.evaluation.intervals import Interval, statistic_interval
from simulator.evaluation.open_loop_clips import Clips
from simulator.evaluation.report import Table, Verdict, table

SIGNALS = ("doubt", "surprise", "drift_score", "picture_gap_m")
WORST = 0.25
TELLING = 0.8


@dataclass(frozen=True, slots=True)
class Foreboding:
    """Area under the curve of each signal: at each horizon, and over the frames of all of them."""

    by_horizon: dict[str, dict[int, Interval]]
    overall: dict[str, Interval]

    def to_json(self) -> dict[str, object]:
        """For the report."""
        return {
            name: {
                "overall": self.overall[name].to_json(),
                **{str(h): interval.to_json() for h, interval in by_h.items()},
            }
            for name, by_h in self.by_horizon.items()
        }

    def table(self, columns: tuple[str, ...]) -> Table:
        """A row for each signal."""
        rows = [
            (name, *map(str, self.by_horizon[name].values()), str(self.overall[name]))
            for name in SIGNALS
        ]
        title = f"Which frames are wrong (the worst {WORST:.0%} in state error): area under the ROC curve"
        return table(title, ("signal", *columns, "all together"), rows)

    def verdict(self) -> Verdict:
        """In one sentence."""
        known = [name for name in SIGNALS if not np.isnan(self.overall[name].value)]
        if not known:
            text = "Warning: unknown; this model tells nothing, or no frame was worse than another."
            return Verdict(text, trusted=False)
        area = self.overall[known[0]]
        return Verdict(
            f"Warning: {known[0]} tells wrong frames from right ones in {area.value:.0%} of pairs"
            " (half would be chance).",
            area.value >= TELLING,
        )


def foreboding(clips: Clips) -> Foreboding:
    """Judge the signals by the errors of the frames they came with."""
    error_HN = np.stack([clips.get("dream", "state_error", h) for h in clips.horizons])
    known_HN = ~np.isnan(error_HN)
    limit = float(np.quantile(error_HN[known_HN], 1 - WORST)) if known_HN.any() else np.nan
    wrong_HN = error_HN > limit
    by_horizon: dict[str, dict[int, Interval]] = {}
    overall = {}
    for name in SIGNALS:
        signal_HN = np.stack([clips.get("dream", name, h) for h in clips.horizons])
        usable_HN = known_HN & ~np.isnan(signal_HN)
        drive_HN = np.broadcast_to(clips.drive_N, signal_HN.shape)
        by_horizon[name] = {
            h: area(signal_HN[i], wrong_HN[i], usable_HN[i], clips.drive_N)
            for i, h in enumerate(clips.horizons)
        }
        overall[name] = area(
            signal_HN.ravel(), wrong_HN.ravel(), usable_HN.ravel(), drive_HN.ravel()
        )
    return Foreboding(by_horizon, overall)


def area(
    signal_N: NDArray[np.floating],
    wrong_N: NDArray[np.bool_],
    usable_N: NDArray[np.bool_],
    drive_N: NDArray[np.int64],
) -> Interval:
    """Area under the curve over the usable frames."""
    kept = np.flatnonzero(usable_N)
    return statistic_interval(
        lambda i: metrics.area_under_roc(signal_N[kept[i]], wrong_N[kept[i]]), drive_N[kept]
    )
