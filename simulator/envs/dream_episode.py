"""The bookkeeping of one dream: ego state from the model's heads, reward, and when it ends.

Pixels and tensors stay with the engine; this is the part that is the same for every model.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from simulator.ego import EgoState
from simulator.envs import rewards
from simulator.envs.contexts import Context
from simulator.envs.info import TerminationReason
from simulator.envs.spaces import Action
from simulator.envs.staging import NOBODY, Lead, Staged
from world_model.engine.base import EVENT_HEADS, STATE_HEADS, StepOutput


@dataclass(frozen=True, slots=True)
class DreamRules:
    """When a dream ends."""

    event_threshold: float = 0.5
    """A collision or leaving the road is believed above this probability ..."""

    confirm_frames: int = 2
    """... in this many frames in a row: a single outlier ends nothing. Holds for surprise too."""

    surprise_limit: float | None = None
    """Truncate when the mean token entropy (nats) stays above this; None never does."""

    reanchor_drift: float | None = None
    """Go on from the most similar recorded start when the drift score stays above this; None never does."""

    max_steps: int | None = None
    """Time limit in ticks; None takes the scenario's duration."""

    endless: bool = False
    """No time limit at all."""

    def __post_init__(self) -> None:
        """Check the numbers. Raises ValueError naming field, value and what is accepted."""
        if not 0.0 < self.event_threshold < 1.0:
            raise ValueError(f"event_threshold={self.event_threshold}; accepted: between 0 and 1")
        if self.confirm_frames < 1:
            raise ValueError(f"confirm_frames={self.confirm_frames}; accepted: at least 1")
        if self.surprise_limit is not None and not self.surprise_limit > 0.0:
            raise ValueError(f"surprise_limit={self.surprise_limit}; accepted: None or above 0")
        if self.reanchor_drift is not None and not self.reanchor_drift >= 0.0:
            raise ValueError(f"reanchor_drift={self.reanchor_drift}; accepted: None or at least 0")
        if self.max_steps is not None and self.max_steps < 1:
            raise ValueError(f"max_steps={self.max_steps}; accepted: None or at least 1")

    def limit(self, steps: int | None) -> int | None:
        """The time limit in ticks, where the scenario gives `steps`."""
        return None if self.endless else self.max_steps or steps


class DreamEpisode:
    """One dream from its recorded start to its end.

    Attributes are those of the newest frame: `ego`, `terms`, `reason`, `surprise`, `doubt`, `drift_score`,
    `steps` since the start, `previous_action` (2,), the action that led here, `adrift`: it is time to be
    re-anchored, `reanchored`: the frame is a recorded one, from which the dream goes on, and `staged`: the
    other driver of a critical scenario, None where there is none.
    """

    def __init__(
        self,
        rules: DreamRules,
        context: Context,
        duration_s: float,
        dt_s: float,
        unknown: Collection[str] = (),
    ) -> None:
        self.scenario = context.scenario
        self.speed_limit_mps = context.speed_limit_mps
        self.limit_steps = rules.limit(round(duration_s / dt_s))
        # What the model won't tell later isn't told in the first frame either.
        blank: dict[str, Any] = {name: math.nan for name in unknown if name not in EVENT_HEADS}
        self.ego = replace(context.last, **blank)
        self.previous_action: Action = np.zeros(2, np.float32)
        self.steps = 0
        self.terms = rewards.no_terms()
        self.reason: TerminationReason = ""
        self.surprise = 0.0
        self.doubt = 0.0
        self.drift_score = 0.0
        self.picture_gap_m = 0.0
        self.adrift = self.reanchored = False
        self.staged: Staged | None = None
        self._streaks = dict.fromkeys((*EVENT_HEADS, "surprise", "drift"), 0)
        self._rules, self._dt_s = rules, dt_s

    @property
    def lead(self) -> Lead:
        """The vehicle ahead that the next step has to show; `NOBODY` leaves that to the model."""
        return NOBODY if self.staged is None or self.reason else self.staged.lead()

    def advance(self, out: StepOutput, row: int, action: Action) -> float:
        """Take in row `row` of a step under `action` (2,); returns the reward."""
        before, self.reanchored = self.ego, False
        self.surprise = float(out.surprise_B[row])
        self.doubt = float(out.doubt[row])
        self.drift_score = float(out.drift_B[row])
        self.picture_gap_m = float(out.picture_gap_m[row])
        happened = {
            name: self._confirmed(
                name,
                name in out.known and float(out.events[name][row]) > self._rules.event_threshold,
            )
            for name in EVENT_HEADS
        }
        numbers = {
            name: float(out.state[name][row]) if name in out.known else math.nan
            for name in STATE_HEADS
        }
        self.ego = EgoState(
            **numbers,
            collision=happened["collision"],
            offroad=happened["offroad"],
            progress_m=before.progress_m + self._advance_m(numbers),
        )
        if self.staged is not None:
            self.staged = self.staged.after(before, self.ego, self._dt_s)
        self.steps += 1
        self.terms = rewards.reward_terms(
            before, self.ego, action, self.previous_action, self.speed_limit_mps, self._dt_s
        )
        self.previous_action = action
        self.reason = self._find_reason()
        limit = self._rules.reanchor_drift
        drifts = self._confirmed("drift", limit is not None and self.drift_score > limit)
        self.adrift = drifts and not self.reason  # what has ended doesn't go on from anywhere
        return rewards.total(self.terms)

    def reanchor(self, context: Context) -> None:
        """The picture is this recording's from now on, and so are the ego state's numbers."""
        blank: dict[str, Any] = {
            n: math.nan for n in STATE_HEADS if math.isnan(getattr(self.ego, n))
        }
        self.ego = replace(context.last, **blank, progress_m=self.ego.progress_m)
        self.speed_limit_mps = context.speed_limit_mps
        self.surprise = self.doubt = self.drift_score = self.picture_gap_m = 0.0
        self._streaks = dict.fromkeys(self._streaks, 0)
        self.adrift, self.reanchored, self.staged = False, True, None

    def to_json(self) -> dict[str, Any]:
        """Everything but the rules, as JSON holds it."""
        return {
            "scenario": self.scenario,
            "speed_limit_mps": self.speed_limit_mps,
            "limit_steps": self.limit_steps,
            "ego": asdict(self.ego),
            "previous_action": [float(number) for number in self.previous_action],
            "steps": self.steps,
            "terms": dict(self.terms),
            "reason": self.reason,
            "surprise": self.surprise,
            "doubt": self.doubt,
            "drift_score": self.drift_score,
            "picture_gap_m": self.picture_gap_m,
            "reanchored": self.reanchored,
            "streaks": dict(self._streaks),
            "staged": None if self.staged is None else self.staged.to_json(),
        }

    @staticmethod
    def from_json(saved: Mapping[str, Any], rules: DreamRules, dt_s: float) -> DreamEpisode:
        """The episode `to_json` described, under the given rules: their time limit, if they have one."""
        episode = DreamEpisode.__new__(DreamEpisode)
        episode._rules, episode._dt_s = rules, dt_s
        episode._streaks = {"drift": 0, **saved["streaks"]}  # kept before there was one
        episode.ego = EgoState(**saved["ego"])
        episode.previous_action = np.array(saved["previous_action"], np.float32)
        episode.terms = dict(saved["terms"])
        for name in ("scenario", "speed_limit_mps", "steps", "reason", "surprise"):
            setattr(episode, name, saved[name])
        episode.limit_steps = rules.limit(saved["limit_steps"])
        episode.drift_score = saved["drift_score"]
        # kept before there was one
        episode.doubt = saved.get("doubt", math.nan)
        episode.picture_gap_m = saved.get("picture_gap_m", math.nan)
        episode.adrift = False  # that was seen to in the step itself
        episode.reanchored = bool(saved.get("reanchored", False))
        staged = saved.get("staged")  # kept before there was one
        episode.staged = None if staged is None else Staged.from_json(staged)
        return episode

    def _confirmed(self, name: str, now: bool) -> bool:
        self._streaks[name] = self._streaks[name] + 1 if now else 0
        return self._streaks[name] >= self._rules.confirm_frames

    def _advance_m(self, numbers: Mapping[str, float]) -> float:
        """Distance along the lane in this tick; NaN when the model doesn't know its speed."""
        heading = numbers["heading_error_rad"]
        along = math.cos(heading) if math.isfinite(heading) else 1.0
        return numbers["speed_mps"] * along * self._dt_s

    def _find_reason(self) -> TerminationReason:
        if self.ego.collision:
            return "collision"
        if self.ego.offroad:
            return "offroad"
        limit = self._rules.surprise_limit
        if self._confirmed("surprise", limit is not None and self.surprise > limit):
            return "surprise"
        if self.limit_steps is not None and self.steps >= self.limit_steps:
            return "time_limit"
        return ""
