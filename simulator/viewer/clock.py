"""The world's pace: when the next tick is due, and how fast the last ones were."""

from __future__ import annotations

import statistics
import time
from collections import deque

TIMED_STEPS = 50
SLOWEST = 0.125


class Clock:
    """Paces the world's thread.

    Args:
        ticks_per_s: the world's own pace; 0 for as fast as it goes.

    Attributes:
        share: of the world's own pace.
        due_s: when the next tick is due.
    """

    def __init__(self, ticks_per_s: float) -> None:
        self.full_period_s = 1.0 / ticks_per_s if ticks_per_s > 0 else 0.0
        self.share = 1.0
        self.due_s = 0.0
        self._moments: deque[float] = deque(maxlen=TIMED_STEPS)
        self._durations_s: deque[float] = deque(maxlen=TIMED_STEPS)

    @property
    def period_s(self) -> float:
        """Between two ticks; 0 for as fast as it goes."""
        return self.full_period_s / self.share

    @property
    def left_s(self) -> float:
        """Until the next tick is due; 0 when it is."""
        return max(0.0, self.due_s - time.perf_counter())

    def change(self, factor: float) -> None:
        """Slower or faster, between an eighth and the world's own pace."""
        self.share = min(1.0, max(SLOWEST, self.share * factor))

    def restart(self) -> None:
        """After a stop, which doesn't count as slowness."""
        self._moments.clear()
        self.due_s = time.perf_counter() + self.period_s

    def tick(self, begin_s: float) -> tuple[float | None, bool]:
        """A tick that began at `begin_s` is done. Seconds since the one before, None after a stop; and
        whether it came a tick too late, after which the world goes on from now: catching up would race."""
        now = time.perf_counter()
        since_s = now - self._moments[-1] if self._moments else None
        self._moments.append(now)
        self._durations_s.append(now - begin_s)
        late = self.period_s > 0.0 and now > self.due_s + self.period_s
        self.due_s = now if late else self.due_s + self.period_s
        return since_s, late

    @property
    def ticks_per_s(self) -> float:
        """Of the last ticks."""
        span_s = self._moments[-1] - self._moments[0] if len(self._moments) > 1 else 0.0
        return (len(self._moments) - 1) / span_s if span_s > 0.0 else 0.0

    @property
    def last_step_ms(self) -> float:
        """What the last step took; 0 before the first."""
        return 1000 * self._durations_s[-1] if self._durations_s else 0.0

    @property
    def step_ms(self) -> float:
        """What a step took: the median of the last ones."""
        return 1000 * statistics.median(self._durations_s) if self._durations_s else 0.0
