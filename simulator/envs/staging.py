"""The other driver of a critical scenario, in a dream.

A dream sees the others in its first frames and knows of none that comes later. But a model that carries the
vehicle ahead along can be told where it is, and draws it there. So the scenario's script is played to it as
the reference world plays it (`simulator.truth.events`), seen along the ego's lane: how far ahead the other
is, and how fast. What needs a map isn't known here: the car behind the bend stands where the reference world
has it at the earliest, and the truck of the slip road doesn't come.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, NamedTuple

import scenarios
from scenarios.schema import CriticalSpec
from simulator.ego import DT_S, LEAD_RANGE_M, EgoState
from simulator.envs.contexts import Context

NEXT_LANE_M = 2.0
"""Nobody moves aside by so much in a step: the lane offset is told from another lane."""
PASSED_M = -10.0
"""Both cars' lengths: who is so far ahead is behind."""
CHANGE_S = 0.8
"""From the decision to change lanes until the other is ahead rather than beside (measured in the reference
world)."""
SLOWING_S = 8.0
"""So long after it the other holds its scripted speed."""
CLEAR_S = 1.0
"""So long the lane is said to be clear after the other left it, whatever of it the picture still shows."""
PULL_AWAY_MPS2 = 1.5
"""How a driver that braked to a halt drives on."""


class Lead(NamedTuple):
    """A vehicle ahead, as an engine is told it."""

    distance_m: float
    speed_mps: float  # negative where it comes the other way

    @property
    def is_vehicle(self) -> bool:
        """Whether there is one."""
        return self.distance_m < LEAD_RANGE_M


NOBODY = Lead(math.nan, math.nan)
"""Nothing is staged: the model's own vehicle goes on."""
CLEAR = Lead(LEAD_RANGE_M, 0.0)
"""No vehicle ahead."""


@dataclass(frozen=True, slots=True)
class Staged:
    """The other, at an instant.

    Attributes:
        spec: its script's numbers.
        time_s: since the scenario began.
        gap_m: from the ego's front to it, along the lane.
        speed_mps: in the step to come.
        lanes: by how many the ego is further to the left than at the start.
        crosses_s: when it began to cross the line; infinite before.
        returns_s: when it is back in its own lane.
        left_s: when the ego was last seen to change lanes.
    """

    spec: CriticalSpec
    time_s: float
    gap_m: float
    speed_mps: float
    lanes: int = 0
    crosses_s: float = math.inf
    returns_s: float = math.inf
    left_s: float = -math.inf

    EVENTS: ClassVar = (
        "hard_braking_lead", "cut_in", "stopped_car", "oncoming_over_line", "slow_leader",
    )  # fmt: skip

    @property
    def since_s(self) -> float:
        """Since the event begins, negative before."""
        return self.time_s - self.spec.at_s

    def lead(self) -> Lead:
        """What the engine is told before the next step; `NOBODY` leaves the model alone."""
        if self.gap_m > PASSED_M and not self.lanes and self._in_lane():
            return Lead(max(self.gap_m, 0.0), self.speed_mps)
        since_s = (self.time_s - self.left_s, self.time_s - self.returns_s)
        return CLEAR if any(0.0 <= s < CLEAR_S for s in since_s) else NOBODY

    def _in_lane(self) -> bool:
        event = self.spec.event
        if event == "cut_in":
            return CHANGE_S <= self.since_s < SLOWING_S
        if event == "oncoming_over_line":
            return self.crosses_s + CHANGE_S <= self.time_s < self.returns_s
        if event == "hard_braking_lead":
            drives_on = self.since_s > self.spec.halt_s and self.speed_mps >= self.spec.speed_mps
            return not drives_on
        return True

    def after(self, before: EgoState, now: EgoState, dt_s: float) -> Staged:
        """The other after a step that took the ego from the one state to the other."""
        moved = now.lane_offset_m - before.lane_offset_m
        # to the left over a line: the same place is far to the right in the next lane
        lanes = -round(math.copysign(abs(moved) > NEXT_LANE_M, moved))
        way_m = dt_s * (self.speed_mps - (before.speed_mps + now.speed_mps) / 2)
        further = replace(
            self,
            time_s=self.time_s + dt_s,
            gap_m=self.gap_m + way_m,
            lanes=self.lanes + lanes,
            left_s=self.time_s + dt_s if lanes else self.left_s,
        )
        return further.scripted(now, dt_s)

    def scripted(self, ego: EgoState, dt_s: float) -> Staged:
        """With what the script says of the step to come."""
        spec = self.spec
        if spec.event == "hard_braking_lead" and self.since_s >= 0.0:
            if self.since_s < self.spec.halt_s:
                return replace(self, speed_mps=max(0.0, self.speed_mps - spec.decel_mps2 * dt_s))
            return replace(
                self, speed_mps=min(spec.speed_mps, self.speed_mps + PULL_AWAY_MPS2 * dt_s)
            )
        if spec.event == "cut_in":
            if self.since_s < 0.0:  # beside the ego, whatever that does
                beside = replace(self, gap_m=spec.gap_m, speed_mps=ego.speed_mps)
                return replace(beside, lanes=0, left_s=-math.inf)
            slower = max(spec.speed_mps, self.speed_mps - spec.decel_mps2 * dt_s)
            return replace(self, speed_mps=min(self.speed_mps, slower))
        is_near = self.gap_m < spec.gap_m and math.isinf(self.crosses_s)
        if spec.event == "oncoming_over_line" and is_near:
            meeting_s = self.gap_m / max(ego.speed_mps - self.speed_mps, 1.0)
            # swerves back a moment before they meet, and is out of the lane when it has changed
            returns_s = self.time_s + meeting_s - DT_S + CHANGE_S
            return replace(self, crosses_s=self.time_s, returns_s=returns_s)
        return self

    def to_json(self) -> dict[str, Any]:
        """As JSON holds it: infinite times are left out."""
        return {k: v for k, v in asdict(self).items() if v not in (math.inf, -math.inf)}

    @staticmethod
    def from_json(saved: dict[str, Any]) -> Staged:
        """What `to_json` gave."""
        return Staged(**{**saved, "spec": CriticalSpec(**saved["spec"])})


def stage(context: Context, scenario: scenarios.Scenario | None = None) -> Staged | None:
    """The other driver of the scenario from which a dream starts; None where there is none, or where it isn't
    known how long ago the scenario began.

    Args:
        context: the start.
        scenario: it belongs to; None looks for the start's in the catalogue.
    """
    if scenario is None and context.scenario in scenarios.names():
        scenario = scenarios.load(context.scenario)
    spec = None if scenario is None else scenario.critical
    if scenario is None or spec is None or spec.event not in Staged.EVENTS:
        return None
    if math.isnan(context.time_s):
        return None
    speed = {"oncoming_over_line": -spec.speed_mps, "stopped_car": 0.0}.get(
        spec.event, spec.speed_mps
    )
    gap_m = spec.gap_m
    if spec.event == "oncoming_over_line":  # `gap_m` apart at `at_s`, if the ego keeps its speed
        gap_m += spec.at_s * (scenario.start.speed_mps + spec.speed_mps)
    gap_m += context.time_s * (speed - scenario.start.speed_mps)
    seen_m = context.last.lead_distance_m  # known better
    if seen_m < LEAD_RANGE_M:
        gap_m = seen_m
    elif spec.event not in ("cut_in", "oncoming_over_line"):  # those aren't in the lane yet
        gap_m = max(gap_m, seen_m)
    staged = Staged(spec, context.time_s, gap_m, speed)
    return staged.scripted(context.last, 0.0)
