"""Bootstrap intervals over drives: clips of one drive resemble each other and are resampled together. Where
there is a single one, over its stretches (`Subject.groups`).

Shapes: N clips, G drives, D draws.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

DRAWS = 1000
SEED = 20_020
Z95 = 1.959964  # normal quantile of 97.5 %


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its 95 % interval, from `n` clips of `drives` drives."""

    value: float
    low: float
    high: float
    n: int
    drives: int

    def __str__(self) -> str:
        return self.shown()

    def shown(self, style: str = ".3g") -> str:
        """The estimate and its interval, numbers in this format."""
        if not self.n:
            return "–"
        if np.isnan(self.low):
            return f"{self.value:{style}} [?]"
        return f"{self.value:{style}} [{self.low:{style}}, {self.high:{style}}]"

    @classmethod
    def unknown(cls) -> Interval:
        """Of nothing at all."""
        return cls(np.nan, np.nan, np.nan, 0, 0)

    def to_json(self) -> dict[str, Any]:
        """As JSON holds it: NaN becomes None."""
        return {k: None if v != v else v for k, v in asdict(self).items()}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Interval:
        """What `to_json` gave."""
        known: dict[str, Any] = {k: np.nan if v is None else v for k, v in content.items()}
        return cls(**known)


def verdict(gained: Interval) -> str:
    """Of an advantage, in words; "unclear" where the interval holds zero, or isn't known."""
    if gained.low > 0:
        return "better"
    if gained.high < 0:
        return "worse"
    return "unclear"


def mean_interval(
    values_N: NDArray[Any], drive_N: NDArray[Any], weight_N: NDArray[Any] | None = None
) -> Interval:
    """Mean of the values, weighted if wished; NaN are left out. A single drive says nothing of another: its
    interval is unknown (NaN)."""
    known = ~np.isnan(values_N)
    values, drives = np.asarray(values_N, np.float64)[known], np.asarray(drive_N)[known]
    if not len(values):
        return Interval.unknown()
    weights = np.ones(len(values)) if weight_N is None else np.asarray(weight_N)[known]
    _, index = np.unique(drives, return_inverse=True)
    sums, counts = np.bincount(index, weights * values), np.bincount(index, weights)
    picks_DG = np.random.default_rng(SEED).integers(len(sums), size=(DRAWS, len(sums)))
    means_D = sums[picks_DG].sum(1) / counts[picks_DG].sum(1)
    low, high = np.quantile(means_D, (0.025, 0.975)) if len(sums) > 1 else (np.nan, np.nan)
    mean = np.average(values, weights=weights)
    return Interval(float(mean), float(low), float(high), len(values), len(sums))


def share_interval(held_N: NDArray[np.bool_], drive_N: NDArray[Any]) -> Interval:
    """Share of clips of which something holds."""
    return doubted(mean_interval(np.asarray(held_N, np.float64), drive_N))


def doubted(share: Interval) -> Interval:
    """A share with an interval even where it is none or all, of which the bootstrap knows no doubt: Wilson's
    (1927) for as many trials as there are drives."""
    if share.value not in (0.0, 1.0) or share.drives < 2:
        return share
    reach = Z95**2 / (share.drives + Z95**2)
    low, high = (0.0, reach) if share.value == 0.0 else (1.0 - reach, 1.0)
    return replace(share, low=low, high=high)


def statistic_interval(
    statistic: Callable[[NDArray[np.int64]], float], drive_N: NDArray[Any], draws: int = 300
) -> Interval:
    """Any statistic of a set of clips; `statistic` gets row numbers, possibly repeated.

    Without clips it is unknown; its interval is, where all are of one drive.
    """
    if not len(drive_N):
        return Interval.unknown()
    _, index = np.unique(drive_N, return_inverse=True)
    members = [np.flatnonzero(index == g) for g in range(index.max() + 1)]
    rng = np.random.default_rng(SEED)
    drawn = [
        statistic(
            np.concatenate([members[g] for g in rng.integers(len(members), size=len(members))])
        )
        for _ in range(draws)
    ]
    finite = np.array([d for d in drawn if d == d and len(members) > 1])
    low, high = np.quantile(finite, (0.025, 0.975)) if len(finite) else (np.nan, np.nan)
    value = statistic(np.arange(len(drive_N)))
    return Interval(float(value), float(low), float(high), len(drive_N), len(members))
