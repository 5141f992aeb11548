"""Anytime drawing: as many scales of a frame as fit into the time there is.

A frame is drawn from coarse to fine, and any prefix of its scales is a picture. So a step that must end in
time needs no luck: it stops earlier where the machine is slow, and draws softer for it.
"""

from __future__ import annotations

import time
import warnings

import numpy as np
from numpy.typing import NDArray

from world_model.engine.base import Engine, StepOutput

RECENT = 0.3  # weight of the newest step in what a number of scales is thought to take
FIRST_REST, LONGEST_REST = 20, 640  # steps until a number that took too long is tried again


class Deadline:
    """Steps an engine within a given time, as far as that can be foreseen.

    A number of scales that takes too long rests, twice as long each time that it is tried again in vain: on a
    steady machine about one step in a hundred is late, in the long run fewer, and a faster one is noticed
    within a minute.

    What was drawn depends on the clock from then on: such dreams can't be dreamed again by their seed.

    Args:
        engine: whose `scales` are chosen before each step. Warns if there is nothing to choose from.
        seconds: that a step may take.

    Raises:
        ValueError: no time at all.
    """

    def __init__(self, engine: Engine, seconds: float) -> None:
        if not seconds > 0:
            raise ValueError(f"deadline of {seconds} s; accepted: more than 0")
        self.engine, self.seconds = engine, seconds
        self.counts = sorted(engine.possible_scales, reverse=True)
        if len(self.counts) == 1:
            warnings.warn(
                f"the deadline changes nothing: backend {engine.backend!r} draws this model with"
                f" {self.counts[0]} scales alone. Fewer are drawn of family 'var' only: by backend 'eager',"
                " and by others where `dreamlane export --scales 4` wrote graphs for it",
                stacklevel=2,
            )
        self.took_s: dict[int, float] = {}
        self.resting = dict.fromkeys(self.counts, 0)  # steps left
        self.next_rest = dict.fromkeys(self.counts, FIRST_REST)
        self.warm: set[int] = set()  # numbers whose first step, which warms up, is over
        before = engine.scales
        for count in self.counts:  # graphs are loaded now, not while somebody drives
            engine.scales = count
        engine.scales = before

    def choose(self) -> int:
        """The most scales that aren't known to take too long; the fewest there are if all are."""
        return next((n for n in self.counts if not self.resting[n]), self.counts[-1])

    def step(self, action_BA: NDArray[np.float32], noise_BL: NDArray[np.float32]) -> StepOutput:
        """See `Engine.step`."""
        self.engine.scales = count = self.choose()
        begin = time.perf_counter()
        out = self.engine.step(action_BA, noise_BL)
        self.learn(count, time.perf_counter() - begin)
        return out

    def learn(self, count: int, seconds: float) -> None:
        """So many scales took so long; the first time tells nothing."""
        if count not in self.warm:
            self.warm.add(count)
            return
        self.resting = {n: max(0, left - 1) for n, left in self.resting.items()}
        before = self.took_s.get(count, seconds)
        self.took_s[count] = before + RECENT * (seconds - before)
        if self.took_s[count] <= self.seconds:
            self.next_rest[count] = max(FIRST_REST, self.next_rest[count] - 1)
            return
        for more in (n for n in self.counts if n >= count):
            self.took_s.pop(more, None)  # the next try is judged by itself
            self.resting[more] = max(self.resting[more], self.next_rest[count])
        if count != self.counts[-1]:  # the fewest are drawn in any case: that is no try
            self.next_rest[count] = min(LONGEST_REST, 2 * self.next_rest[count])
