"""What the session tells the window: the newest instant, and the sum of the drive."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.viewer.clock import Clock
from simulator.viewer.timeline import Moment


def what_runs(description: Mapping[str, str]) -> list[str]:
    """What dreams, and on what, of a world's description of itself."""
    return [description[name] for name in ("world", "backend", "device") if name in description]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The newest instant, complete in itself: the window draws it without asking anyone."""

    frame: NDArray[np.uint8]  # (H, W, 3)
    info: Mapping[str, Any]
    action: NDArray[np.float32]  # (2,), the one that led here
    steps: int  # since the window opened
    episode: int  # counted from 1
    seed: int  # of its start
    episode_return: float
    ended: str  # why the episode ended, "" while it goes on
    ticks_per_s: float
    step_ms: float  # median of the last steps
    missed: int  # deadlines since the window opened
    tick: int = 0  # since the episode began
    branches: int = 1  # of what was driven in this episode
    rewound: int = 0  # ticks gone back since time ran forward


@dataclass(slots=True)
class Totals:
    """What there is to say at the end."""

    steps: int = 0
    episodes: int = 0
    missed: int = 0
    timed_ticks: int = 0
    timed_s: float = 0.0  # pauses and resets left out
    endings: Counter[str] = field(default_factory=Counter)

    @property
    def ticks_per_s(self) -> float:
        """Over the whole drive."""
        return self.timed_ticks / self.timed_s if self.timed_s > 0.0 else 0.0


def snapshot_of(
    moment: Moment, totals: Totals, clock: Clock, *, seed: int, branches: int, rewound: int
) -> Snapshot:
    """What the window draws of a moment."""
    return Snapshot(
        frame=moment.frame,
        info=moment.info,
        action=moment.action,
        steps=totals.steps,
        episode=totals.episodes,
        seed=seed,
        episode_return=moment.episode_return,
        ended=moment.ended,
        ticks_per_s=clock.ticks_per_s,
        step_ms=clock.step_ms,
        missed=totals.missed,
        tick=moment.tick,
        branches=branches,
        rewound=rewound,
    )
