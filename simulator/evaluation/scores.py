"""How well an episode was driven: pure functions of its table of steps, in the form of NAVSIM's PDM score.

NAVSIM (Dauner et al. 2024) judges four seconds; these drives last up to a minute. What NAVSIM gives as
yes or no for four seconds (time to collision, comfort) is here the share of steps that kept the limit;
collision and drivable area stay yes or no for the whole drive. Limits of comfort and their smoothing are
nuPlan's (Karnchanachari et al. 2024); lane keeping is that of NAVSIM v2.

Shapes: T rows of a drive; row 0 is the instant at which the driver took over, row t follows action t - 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import savgol_filter

from simulator.ego import DT_S

VERSION = 2
"""Of the scores' meaning; it rises when a formula or limit changes."""

TTC_LIMIT_S = 0.95
LONGITUDINAL_MPS2 = (-4.05, 2.40)
LATERAL_MPS2 = 4.89
JERK_MPS3 = 8.37
LONGITUDINAL_JERK_MPS3 = 4.13
YAW_RATE_RADPS = 0.95
YAW_ACCELERATION_RADPS2 = 1.93
LANE_KEEPING_M = 0.5
LANE_KEEPING_S = 2.0
ANOTHER_M = 5.0
"""A gap that changes by more in a tick is one to another vehicle: nothing was closed."""
STILL_MPS = 1e-3
SHORT_PROGRESS_M = 5.0
"""Where the reference driver got no farther than this, progress says nothing: everybody gets 1."""

_ACCELERATION_WINDOW, _JERK_WINDOW, _ORDER = 8, 15, 2  # of nuPlan's Savitzky-Golay filters

Floats = NDArray[np.float64]
Steps = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Scores:
    """One episode. Every term is in [0, 1]; None where the world behind it can't tell."""

    no_collision: float | None  # NC: 0 after an at-fault collision
    drivable_area: float | None  # DAC: 0 once off the road by more than 0.3 m
    time_to_collision: float | None  # TTC: share of steps with at least 0.95 s
    comfort: float | None  # C: share of steps within all of nuPlan's limits
    progress: float | None  # EP: distance over the reference driver's, at most 1
    lane_keeping: float | None  # LK: share of steps outside stretches of 2 s beyond 0.5 m
    route_completion: float | None
    drive_score: float | None
    success: bool | None

    def to_json(self) -> dict[str, Any]:
        """By name, None where unknown."""
        return asdict(self)


TERMS = tuple(Scores.__dataclass_fields__)
FAILED = Scores(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, False)
"""What a driver gets that broke down: whoever gives no action has not driven."""


def score(
    steps: Steps, reference_m: float | None, min_progress_m: float,
    progress_before_m: float = 0.0, passed: bool | None = None,
) -> Scores:  # fmt: skip
    """The scores of one episode.

    Args:
        steps: columns (T,): speed_mps, yaw_rate_radps, lane_offset_m, progress_m, ttc_s (infinite:
            nobody in the way), collision, at_fault, offroad; NaN where unknown.
        reference_m: how far the reference driver came in the same time; None where it has none.
        min_progress_m: what the scenario asks for in the time that was given.
        progress_before_m: driven before row 0; it counts towards `min_progress_m`.
        passed: the world's own word on success; None: no collision, never off the road, and the progress
            asked for.
    """
    terms = step_terms(steps)
    nc, dac = _kept(terms["no_collision"]), _kept(terms["drivable_area"])
    ttc, comfort, lane = (
        _share(terms[name]) for name in ("time_to_collision", "comfort", "lane_keeping")
    )
    path = np.asarray(steps["progress_m"], np.float64)
    driven = float(path[-1] - path[0]) if len(path) else math.nan
    ep = progress(driven, reference_m)
    route = None if math.isnan(driven) else _completion(driven + progress_before_m, min_progress_m)
    hit = _kept(1.0 - np.asarray(steps["collision"], np.float64)[1:])
    if passed is None and None not in (hit, dac, route):
        passed = hit == 1.0 and dac == 1.0 and route == 1.0
    return Scores(
        nc, dac, ttc, comfort, ep, lane, route, drive_score(nc, dac, ep, ttc, comfort), passed
    )  # fmt: skip


def drive_score(
    nc: float | None, dac: float | None, ep: float | None, ttc: float | None, c: float | None
) -> float | None:
    """NC * DAC * (5 EP + 5 TTC + 2 C) / 12; None where any of them is unknown and counts."""
    if 0.0 in (nc, dac):
        return 0.0  # whatever the rest: a drive that ends at once has no comfort to be told
    if nc is None or dac is None or ep is None or ttc is None or c is None:
        return None
    return nc * dac * (5.0 * ep + 5.0 * ttc + 2.0 * c) / 12.0


def progress(driven_m: float, reference_m: float | None) -> float | None:
    """EP: distance over the reference driver's, in [0, 1]."""
    if reference_m is None or math.isnan(driven_m) or math.isnan(reference_m):
        return None
    if reference_m < SHORT_PROGRESS_M:
        return 1.0
    return min(max(driven_m / reference_m, 0.0), 1.0)


def step_terms(steps: Steps) -> dict[str, Floats]:
    """Each term for each step, (T - 1,): 1 kept, 0 broken, NaN unknown."""
    column = {name: np.asarray(values, np.float64) for name, values in steps.items()}
    return {
        "no_collision": 1.0 - column["at_fault"][1:],
        "drivable_area": 1.0 - column["offroad"][1:],
        "time_to_collision": _where_known(column["ttc_s"], column["ttc_s"] >= TTC_LIMIT_S)[1:],
        "comfort": comfort(column["speed_mps"], column["yaw_rate_radps"])[1:],
        "lane_keeping": lane_keeping(column["lane_offset_m"])[1:],
    }


def comfort(speed_mps: Floats, yaw_rate_radps: Floats, dt_s: float = DT_S) -> Floats:
    """C: whether each row is within all of nuPlan's limits, (T,); NaN where that can't be told.

    Accelerations and the yaw acceleration are smoothed over 8 ticks, jerks over 15, by quadratics.
    """
    if len(speed_mps) <= _ORDER + 1 or np.isnan(speed_mps + yaw_rate_radps).any():
        return np.full(len(speed_mps), np.nan)
    along = _slope(speed_mps, _ACCELERATION_WINDOW, dt_s)
    across = _smooth(speed_mps * yaw_rate_radps, _ACCELERATION_WINDOW)
    jerk_along, jerk_across = (_slope(a, _JERK_WINDOW, dt_s) for a in (along, across))
    low, high = LONGITUDINAL_MPS2
    kept = (
        (along >= low)
        & (along <= high)
        & (np.abs(across) <= LATERAL_MPS2)
        & (np.hypot(jerk_along, jerk_across) <= JERK_MPS3)
        & (np.abs(jerk_along) <= LONGITUDINAL_JERK_MPS3)
        & (np.abs(_smooth(yaw_rate_radps, _ACCELERATION_WINDOW)) <= YAW_RATE_RADPS)
        & (np.abs(_slope(yaw_rate_radps, _JERK_WINDOW, dt_s)) <= YAW_ACCELERATION_RADPS2)
    )
    out: Floats = kept.astype(np.float64)
    return out


def lane_keeping(offset_m: Floats, dt_s: float = DT_S) -> Floats:
    """LK: 0 in stretches of at least 2 s more than 0.5 m off the centre line, else 1, (T,)."""
    away = np.abs(offset_m) > LANE_KEEPING_M
    kept = np.ones(len(offset_m))
    edges = np.flatnonzero(np.diff(np.concatenate([[False], away, [False]]).astype(int)))
    for first, end in zip(edges[::2], edges[1::2], strict=True):
        if (end - first) * dt_s >= LANE_KEEPING_S - 1e-9:
            kept[first:end] = 0.0
    return _where_known(offset_m, kept)


def time_to_lead_s(gap_m: Floats, range_m: float, dt_s: float = DT_S) -> Floats:
    """Time until the gap to the vehicle ahead is used up at the present closing speed, (T,).

    For worlds that know nothing of others but this gap. Infinite where nobody is within `range_m`, where
    the gap doesn't shrink, and in row 0; NaN where the gap is unknown. The gap to one and the same vehicle is
    smoothed over 8 ticks.
    """
    out = np.where(np.isnan(gap_m), np.nan, np.inf)
    if np.isnan(gap_m).any():
        return out
    others = np.flatnonzero(np.abs(np.diff(gap_m)) > ANOTHER_M) + 1
    for rows in np.split(np.arange(len(gap_m)), others):
        if len(rows) <= _ORDER + 1:
            continue
        gap = gap_m[rows]
        closing = -_slope(gap, _ACCELERATION_WINDOW, dt_s)
        near = (closing > STILL_MPS) & (gap < range_m)
        out[rows[near]] = gap[near] / closing[near]
    out[:1] = np.inf
    return out


def _slope(values: Floats, window: int, dt_s: float) -> Floats:
    return _filter(values, window, dt_s, 1)


def _smooth(values: Floats, window: int) -> Floats:
    return _filter(values, window, 1.0, 0)


def _filter(values: Floats, window: int, dt_s: float, order: int) -> Floats:
    size = min(window, len(values))
    out: Floats = savgol_filter(values, size, _ORDER, deriv=order, delta=dt_s)
    return out


def _where_known(values: Floats, kept: NDArray[Any]) -> Floats:
    return np.where(np.isnan(values), np.nan, kept.astype(np.float64))


def _kept(term: Floats) -> float | None:
    """1 if kept in every step; None where unknown in any and broken in none."""
    if (term == 0.0).any():
        return 0.0
    return None if np.isnan(term).any() or not len(term) else 1.0


def _share(term: Floats) -> float | None:
    known = term[~np.isnan(term)]
    return float(known.mean()) if len(known) else None


def _completion(driven_m: float, wanted_m: float) -> float:
    return 1.0 if wanted_m <= 0.0 else min(max(driven_m / wanted_m, 0.0), 1.0)
