"""Anytime drawing: as many scales of a frame as fit into the time there is.

A frame is drawn from coarse to fine, and any prefix of its scales is a picture. So a step that must end in
time needs no luck: it stops earlier where the machine is slow, and draws softer for it.
"""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from world_model.engine.base import Engine, StepOutput

RECENT = 0.3  # weight of the newest step in what a number of scales is thought to take
FADING = 0.99  # of the times of numbers not drawn, a step: a machine that got faster is noticed


class Deadline:
    """Steps an engine within a given time, as far as that can be foreseen.

    What was drawn depends on the clock from then on: such dreams can't be dreamed again by their seed.

    Args:
        engine: whose `scales` are chosen before each step.
        seconds: that a step may take.

    Raises:
        ValueError: no time at all.
    """

    def __init__(self, engine: Engine, seconds: float) -> None:
        if not seconds > 0:
            raise ValueError(f"deadline of {seconds} s; accepted: more than 0")
        self.engine, self.seconds = engine, seconds
        self.took_s: dict[int, float] = {}
        self.warm: set[int] = set()  # numbers whose first step, which warms up, is over
        before = engine.scales
        for count in engine.possible_scales:  # graphs are loaded now, not while somebody drives
            engine.scales = count
        engine.scales = before

    def choose(self) -> int:
        """The most scales that are thought to fit, or not known not to; the fewest there are if none does."""
        for count in sorted(self.engine.possible_scales, reverse=True):
            if self.took_s.get(count, 0.0) <= self.seconds:
                return count
        return min(self.engine.possible_scales)

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
        self.took_s = {k: v * (1 if k == count else FADING) for k, v in self.took_s.items()}
        before = self.took_s.get(count, seconds)
        self.took_s[count] = before + RECENT * (seconds - before)
