"""Values of every clip of the open loop, their means, and what has to beat what.

Shapes: N clips, F features.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.evaluation.feature_distance import across_drives, frechet_distance, kernel_distance
from simulator.evaluation.intervals import Interval, mean_interval

DRAWN = ("dream", "copy_last", "tokenizer")
READ = ("dream", "copy_last", "hold_reading", "tokenizer", "truth")
SAID = ("heads", "told", "hold_state")
PICTURES = ("psnr_db", "psnr_at_detail_db", "ssim", "feature_error", "sharpness_ratio")
OF_MOVING = (*PICTURES, "lpips")
"""Told over clips of a car that moves: of one that stands, the last frame shown for ever is the very truth,
by some 50 dB, and two such clips among fifty decide the mean. They stand apart."""

SETS = {
    "frame_frechet": ("features", frechet_distance),
    "frame_kernel": ("features", kernel_distance),
    "kid": ("inception", kernel_distance),
}
"""Distances between sets of pictures: whose features, and which distance."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Of a source with its floor in one metric."""

    source: str
    floor: str
    metric: str
    higher_is_better: bool = False


COMPARISONS = {
    "psnr_db": Comparison("dream", "copy_last", "psnr_db", True),
    "psnr_at_detail_db": Comparison("dream", "copy_last", "psnr_at_detail_db", True),
    "ssim": Comparison("dream", "copy_last", "ssim", True),
    "feature_error": Comparison("dream", "copy_last", "feature_error"),
    "lpips": Comparison("dream", "copy_last", "lpips"),
    "state_error": Comparison("dream", "copy_last", "state_error"),
    "state_vs_meter": Comparison("dream", "copy_last", "state_vs_meter"),
    "yaw_rate": Comparison("dream", "copy_last", "mae_yaw_rate_radps"),
    "yaw_rate_held": Comparison("dream", "hold_reading", "mae_yaw_rate_radps"),
    "speed": Comparison("dream", "copy_last", "mae_speed_mps"),
    "speed_held": Comparison("dream", "hold_reading", "mae_speed_mps"),
    "heads": Comparison("heads", "hold_state", "all_error"),
    "told": Comparison("told", "hold_state", "all_error"),
}
"""What is expected to beat what. The floor of what is said is the start's true state, held for ever."""

Key = tuple[str, str, int]  # source, metric, horizon
ByHorizon = dict[int, Interval]


@dataclass
class Clips:
    """Values of every clip by source, metric and horizon; features of pictures are (N, F)."""

    rows_N: NDArray[np.int64]
    drive_N: NDArray[np.int64]
    horizons: tuple[int, ...]
    grouped_by: str = "held-out drives"  # what `drive_N` counts
    values: dict[Key, list[NDArray[Any]]] = field(default_factory=dict)
    still: dict[int, list[NDArray[np.bool_]]] = field(default_factory=dict)  # by horizon

    def add(self, source: str, metric: str, horizon: int, values_N: NDArray[Any]) -> None:
        """Append the values of a batch of clips."""
        self.values.setdefault((source, metric, horizon), []).append(values_N)

    def get(self, source: str, metric: str, horizon: int) -> NDArray[Any]:
        """All values, (N,) or (N, F)."""
        return np.concatenate(self.values[source, metric, horizon])

    def stands(self, horizon: int) -> NDArray[np.bool_]:
        """Whether the car stands at the start and at the horizon, (N,)."""
        return np.concatenate(self.still.get(horizon, [np.zeros(len(self.rows_N), np.bool_)]))

    def judged(self, source: str, metric: str, horizon: int) -> NDArray[Any]:
        """All values, (N,); of pictures NaN where the car stands."""
        values = self.get(source, metric, horizon)
        return np.where(self.stands(horizon), np.nan, values) if metric in OF_MOVING else values

    def has(self, metric: str) -> bool:
        """Whether the metric was measured."""
        return ("dream", metric, self.horizons[0]) in self.values

    @property
    def trusted_by(self) -> str:
        """What decides how long a dream is trusted: LPIPS; without its weights the places that the meter
        reads; on drives whose places nobody knows, what its network sees."""
        if self.has("lpips"):
            return "lpips"
        read = self.get("truth", "state_vs_meter", self.horizons[0])
        return "feature_error" if np.isnan(read).all() else "state_vs_meter"

    @cached_property
    def means(self) -> dict[Key, Interval]:
        """Mean and interval of every metric that has one value a clip."""
        return {
            key: mean_interval(self.judged(*key), self.drive_N)
            for key in self.values
            if key[1] not in ("features", "inception")
        }

    def advantage(self, comparison: Comparison) -> ByHorizon:
        """By how much a source is better than its floor, clip by clip; positive: better."""
        gained = {}
        for h in self.horizons:
            shown, floor = (
                self.judged(source, comparison.metric, h)
                for source in (comparison.source, comparison.floor)
            )
            better = shown - floor if comparison.higher_is_better else floor - shown
            gained[h] = mean_interval(better, self.drive_N)
        return gained


def set_distances(clips: Clips) -> dict[Key, tuple[Interval, Interval]]:
    """Distance of each source's pictures from the truth of other drives, and what exceeds the floor."""
    found: dict[Key, tuple[Interval, Interval]] = {}
    for name, (features, distance) in SETS.items():
        for h in clips.horizons if clips.has(features) else ():
            shown = {source: clips.get(source, features, h) for source in DRAWN}
            true = clips.get("truth", features, h)
            by_source = across_drives(shown, true, clips.drive_N, distance)
            found |= {(name, source, h): both for source, both in by_source.items()}
    return found
