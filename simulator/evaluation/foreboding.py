"""Does a dream itself say which of its frames are wrong?

A frame is called wrong where its place on the road (`state_error`) is among the worst quarter of all frames
at its horizon. Area under the ROC curve: the share of pairs of a wrong and a right frame in which the wrong
one has the higher doubt (or surprise, ...). Pairs are of one horizon: late frames are wrong more often, which
any clock knows. So half is chance.
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
    """Area under the curve of each signal: at each horizon, and over the pairs of all of them."""

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
            " of one horizon (half would be chance).",
            area.value >= TELLING,
        )


def foreboding(clips: Clips) -> Foreboding:
    """Judge the signals by the errors of the frames they came with."""
    error_HN = np.stack([clips.get("dream", "state_error", h) for h in clips.horizons])
    known_HN = ~np.isnan(error_HN)
    wrong_HN = np.array([worst(error_N) for error_N in error_HN])
    by_horizon: dict[str, dict[int, Interval]] = {}
    overall = {}
    for name in SIGNALS:
        signal_HN = np.stack([clips.get("dream", name, h) for h in clips.horizons])
        usable_HN = known_HN & ~np.isnan(signal_HN)
        by_horizon[name] = {
            h: area(signal_HN[[i]], wrong_HN[[i]], usable_HN[[i]], clips.drive_N)
            for i, h in enumerate(clips.horizons)
        }
        overall[name] = area(signal_HN, wrong_HN, usable_HN, clips.drive_N)
    return Foreboding(by_horizon, overall)


def worst(error_N: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Which errors are among the worst."""
    known = error_N[~np.isnan(error_N)]
    limit = float(np.quantile(known, 1 - WORST)) if len(known) else np.nan
    found: NDArray[np.bool_] = error_N > limit
    return found


def area(
    signal_HN: NDArray[np.floating],
    wrong_HN: NDArray[np.bool_],
    usable_HN: NDArray[np.bool_],
    drive_N: NDArray[np.int64],
) -> Interval:
    """Area under the curve over the usable frames, in pairs of one horizon."""
    kept = np.flatnonzero(usable_HN.any(0))

    def share(picked: NDArray[np.int64]) -> float:
        told, pairs = 0.0, 0
        for signal_N, wrong_N, usable_N in zip(signal_HN, wrong_HN, usable_HN, strict=True):
            rows = kept[picked][usable_N[kept[picked]]]
            count = int(wrong_N[rows].sum()) * int((~wrong_N[rows]).sum())
            if count:
                told += count * metrics.area_under_roc(signal_N[rows], wrong_N[rows])
                pairs += count
        return told / pairs if pairs else float("nan")

    return statistic_interval(share, drive_N[kept])
