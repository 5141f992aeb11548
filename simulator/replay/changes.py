"""The little language of counterfactuals: `t=4s steer=+0.3 for 1s; t=6s accelerate=-1 for 2s`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ACCEPTED = (
    '"t=4s steer=+0.3 for 1s": a time t, then steer and/or accelerate in [-1, 1] (steer +1 is full '
    "lock to the left, accelerate -1 full brake), then for how long (left out: to the end); "
    "several are separated by ';', a later one wins"
)
CONTROLS = ("steer", "accelerate")
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)"
_CHANGE = re.compile(
    rf"t\s*=\s*(?P<t>{_NUMBER})\s*s?"
    rf"(?P<controls>(?:\s+(?:steer|accelerate)\s*=\s*{_NUMBER})+)"
    rf"(?:\s+for\s+(?P<duration>{_NUMBER})\s*s?)?"
)
_CONTROL = re.compile(rf"(steer|accelerate)\s*=\s*({_NUMBER})")


class ChangeError(ValueError):
    """A counterfactual that can't be understood or doesn't fit the recording."""


@dataclass(frozen=True, slots=True)
class Change:
    """From `start_s` on, for `duration_s` (None: to the end), these controls instead of the recorded.

    A control that is None stays as recorded.
    """

    start_s: float
    duration_s: float | None = None
    steer: float | None = None
    accelerate: float | None = None

    def __post_init__(self) -> None:
        values = [v for v in (self.steer, self.accelerate) if v is not None]
        if not values or not all(-1.0 <= v <= 1.0 for v in values):
            raise ChangeError(
                f"{self!r} has no control, or one outside [-1, 1]; accepted: {ACCEPTED}"
            )
        if not self.start_s >= 0.0 or (self.duration_s is not None and not self.duration_s > 0.0):
            raise ChangeError(f"{self!r} has a time below 0 or no duration; accepted: {ACCEPTED}")

    def __str__(self) -> str:
        controls = [f" {c}={getattr(self, c):+g}" for c in CONTROLS if getattr(self, c) is not None]
        duration = "" if self.duration_s is None else f" for {self.duration_s:g}s"
        return f"t={self.start_s:g}s{''.join(controls)}{duration}"


def parse(text: str) -> tuple[Change, ...]:
    """Changes in the order given.

    Raises:
        ChangeError: names the part that isn't understood and what is accepted.
    """
    return tuple(_parse_one(part.strip()) for part in text.split(";") if part.strip()) or _none(
        text
    )


def _none(text: str) -> tuple[Change, ...]:
    raise ChangeError(f"counterfactual {text!r} says nothing; accepted: {ACCEPTED}")


def _parse_one(part: str) -> Change:
    match = _CHANGE.fullmatch(part)
    if match is None:
        raise ChangeError(f"counterfactual {part!r} is not understood; accepted: {ACCEPTED}")
    pairs = _CONTROL.findall(match["controls"])
    if len({name for name, _ in pairs}) < len(pairs):
        raise ChangeError(f"counterfactual {part!r} names a control twice; accepted: {ACCEPTED}")
    duration = match["duration"]
    return Change(
        float(match["t"]),
        None if duration is None else float(duration),
        **{name: float(value) for name, value in pairs},
    )


def apply(
    changes: Sequence[Change], actions_TA: NDArray[np.float32], dt_s: float
) -> tuple[NDArray[np.float32], int]:
    """The changed actions (T, 2), and the first step whose action is given by a change.

    Raises:
        ChangeError: a change begins after the last action or lasts less than half a step.
    """
    changed = actions_TA.copy()
    starts = []
    for change in changes:
        start = round(change.start_s / dt_s)
        steps = len(changed) if change.duration_s is None else round(change.duration_s / dt_s)
        if start >= len(changed):
            raise ChangeError(
                f"'{change}' begins after the last action; accepted: t from 0 to "
                f"{(len(changed) - 1) * dt_s:g} s"
            )
        if steps < 1:
            raise ChangeError(f"'{change}' lasts less than a step; accepted: at least {dt_s:g} s")
        for column, name in enumerate(CONTROLS):
            if (value := getattr(change, name)) is not None:
                changed[start : start + steps, column] = value
        starts.append(start)
    return changed, min(starts)
