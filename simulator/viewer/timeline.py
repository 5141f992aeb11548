"""What was driven, as a tree of moments: back in time, and on from there another way.

Each moment keeps the world's state, as its environment saved it. Driving on from a moment in the past begins
a branch; the other future stays and can be returned to.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_MOMENTS = 720
"""72 s at ten a second. With `town` a moment takes about 240 kB, so that all stay below 200 MB."""


@dataclass(slots=True, eq=False)
class Moment:
    """An instant that can be gone back to."""

    frame: NDArray[np.uint8]
    info: Mapping[str, Any]
    action: NDArray[np.float32]  # the one that led here
    episode_return: float
    ended: str  # why the episode ended here, "" where it goes on
    tick: int  # since the episode began
    state: Any  # as the environment's save_state gave it
    memory: Any = None  # what the driver remembered, as its save_state gave it
    before: Moment | None = None
    forgotten: bool = False  # to make room: nothing goes back this far


class Timeline:
    """The tree of one episode. `now` is where the world is; None before the first moment.

    Args:
        most: moments that are kept, of all branches together; the oldest are forgotten.
    """

    def __init__(self, most: int = MOST_MOMENTS) -> None:
        self.now: Moment | None = None
        self._most = most
        self._order: deque[Moment] = deque()
        self._tips: list[Moment] = []

    def begin(self, moment: Moment) -> None:
        """Forget all; an episode begins."""
        self._order.clear()
        self._tips.clear()
        self.now = None
        self.add(moment)

    def add(self, moment: Moment) -> None:
        """What follows on `now`; a branch, if something else has followed before."""
        moment.before = self.now
        if self.now is not None and self.now in self._tips:
            self._tips[self._tips.index(self.now)] = moment
        else:
            self._tips.append(moment)
        self.now = moment
        self._order.append(moment)
        if len(self._order) > self._most:
            self._forget(self._order.popleft())

    def back(self) -> Moment | None:
        """Go back to the moment before; None, and stay, where there is none."""
        if self.now is None or self.now.before is None or self.now.before.forgotten:
            return None
        self.now = self.now.before
        return self.now

    def next_branch(self) -> Moment | None:
        """Go to the end of the next branch, round and round; None, and stay, where there is no other."""
        others = [tip for tip in self._tips if tip is not self.now]
        if not others:
            return None
        here = self._tips.index(self.now) if self.now in self._tips else -1
        self.now = self._tips[(here + 1) % len(self._tips)]
        return self.now

    def go_to(self, moment: Moment) -> bool:
        """Go to any moment of this episode; False, and stay, if it is forgotten or of another."""
        if moment.forgotten or moment not in self._order:
            return False
        self.now = moment
        return True

    @property
    def moments(self) -> list[Moment]:
        """All that are kept, the oldest first."""
        return list(self._order)

    @property
    def branches(self) -> int:
        """How many futures there are."""
        return len(self._tips)

    def _forget(self, moment: Moment) -> None:
        moment.forgotten = True
        moment.state = moment.memory = moment.before = None
        if moment in self._tips:
            self._tips.remove(moment)
