"""How long a drive stays within the rules: what was seen of it, and when each rule was broken first.

Shapes: T looks at a drive, Q quantities of `envelope.QUANTITIES`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.ego import DT_S
from simulator.evaluation import metrics
from simulator.evaluation.envelope import CODES, Envelope, window
from simulator.evaluation.settings import StabilityConfig

ALARM = "drift"
PICTURE = ("detail", "frozen", "statistics", "codes", "reader")
DRIVE = ("offset", "offroad", "collision")
SECOND = round(1 / DT_S)
NEVER = 10**9
MOVING_MPS = 2.0
"""Above it a picture has to change."""


@dataclass
class Drive:
    """What was seen on one rollout; lists have one entry a look, every `sample_every` steps."""

    scenario: str
    start_detail: float
    drift: list[float] = field(default_factory=list)
    detail: list[float] = field(default_factory=list)
    change: list[float] = field(default_factory=list)
    speed: list[float] = field(default_factory=list)
    offset: list[float] = field(default_factory=list)  # as the meter sees it
    looks: list[list[float]] = field(default_factory=list)  # (T, Q); may be empty: not looked at
    end: tuple[int, str] | None = None  # step and reason of the event that ends an episode
    over: int = NEVER  # steps after which a finite road was driven to its end
    seed: int = 0
    frames: dict[int, NDArray[np.uint8]] = field(default_factory=dict)

    def see(
        self, old: NDArray[np.uint8], new: NDArray[np.uint8], drift: float, info: dict[str, Any],
        offset_m: float, look: list[float],
    ) -> None:  # fmt: skip
        """Take in one look: two successive pictures and what belongs to the newer one."""
        self.drift.append(drift)
        self.detail.append(float(metrics.fine_detail(new[None])[0]))
        self.change.append(float(metrics.change(old[None], new[None])[0]))
        self.speed.append(float(np.nan_to_num(info["speed_mps"], nan=np.inf)))
        self.offset.append(offset_m)
        self.looks.append(look)

    def happen(self, step: int, reason: str) -> None:
        """Note the event of a step, if it is the first that ends an episode."""
        if self.end is None and reason in ("offroad", "collision"):
            self.end = (step, reason)


def failures(drive: Drive, config: StabilityConfig, envelope: Envelope) -> dict[str, int]:
    """First step at which each rule was broken, `NEVER` if it was kept.

    Means over one second (`envelope.window` looks) count. `drift` is the alarm, the others are failures.
    """
    length = window(config.sample_every)

    def mean(values: list[float]) -> NDArray[np.float64]:
        smooth: NDArray[np.float64] = metrics.running_mean(np.array([values]), length)[0]
        return smooth

    detail, start = mean(drive.detail), max(drive.start_detail, 1e-6)
    low, high = (share * start for share in config.detail_range)
    high = max(high, envelope.most_detail)  # fog may lift
    moving = mean(np.minimum(drive.speed, 100.0).tolist()) > MOVING_MPS
    broken = {
        ALARM: mean(drive.drift) > envelope.drift_alarm,
        "detail": (detail < low) | (detail > high),
        "frozen": (mean(drive.change) < config.frozen_below) & moving,
        "offset": np.abs(mean(drive.offset)) > config.offset_limit_m,
    }
    if drive.looks:
        looks_TQ = np.array(drive.looks)
        means = metrics.running_mean(looks_TQ.T, length).T
        # the use of codes is over a window already, shorter ones at the beginning: those don't count
        means[:, CODES] = looks_TQ[:, CODES]
        means[: length - 1] = np.nan  # the ranges are those of whole windows
        broken |= envelope.left(means, moving)
    first = {k: _first(b, config.sample_every) for k, b in broken.items()}
    first = dict.fromkeys((ALARM, *PICTURE, *DRIVE), NEVER) | first
    if drive.end is not None:
        first[drive.end[1]] = drive.end[0]
    return {k: v if v <= drive.over else NEVER for k, v in first.items()}


def _first(broken_T: NDArray[np.bool_], sample_every: int) -> int:
    return (int(np.argmax(broken_T)) + 1) * sample_every if broken_T.any() else NEVER


def collapse(first: dict[str, int]) -> int:
    """When the picture was given up, `NEVER` if it wasn't."""
    return min(first[rule] for rule in PICTURE)


def cause(first: dict[str, int]) -> str:
    """The rule that was broken first, "" if none was."""
    failed = {rule: first[rule] for rule in PICTURE + DRIVE}
    rule = min(failed, key=lambda name: failed[name])
    return rule if failed[rule] < NEVER else ""


@dataclass(frozen=True, slots=True)
class AlarmRecord:
    """How the drift alarm did on a set of drives."""

    collapsed: int
    announced: int  # the alarm came before the collapse
    lead_s: float  # median over the announced; NaN where there are none
    healthy: int
    false_alarms: int  # among the healthy


def alarm_record(firsts: list[dict[str, int]]) -> AlarmRecord:
    """Does the alarm precede collapse, and is it silent otherwise?"""
    fallen = [(first[ALARM], collapse(first)) for first in firsts if collapse(first) < NEVER]
    leads = [(fall - alarm) * DT_S for alarm, fall in fallen if alarm < fall]
    healthy = [first for first in firsts if collapse(first) == NEVER]
    return AlarmRecord(
        len(fallen),
        len(leads),
        float(np.median(leads)) if leads else float("nan"),
        len(healthy),
        sum(first[ALARM] < NEVER for first in healthy),
    )
