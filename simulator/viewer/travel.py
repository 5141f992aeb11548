"""Going back in time, to marks and between branches: asked for in the window, done in the world's thread."""

from __future__ import annotations

import threading
import time

from simulator.viewer.timeline import Moment, Timeline

NOTICE_S = 4.0
"""How long a notice can be read."""


class Travel:
    """Where in what was driven the drive is.

    The window calls `rewind`, `mark`, `go_to_mark` and `next_branch`; the world's thread asks for the next
    moment to show (`next_moment`), and afterwards restores the world at `timeline.now` if it has `moved`.
    """

    def __init__(self) -> None:
        self.timeline = Timeline()
        self.rewinding = False
        self.moved = False  # the timeline is elsewhere than the world
        self.rewound = 0  # ticks gone back since time ran forward
        self.why_not = (
            "the world is still loading"  # why there is no way back; empty where there is
        )
        self.can_wind = False  # to any time: what is shown was recorded
        self._wound_s: float | None = None
        self._marked: Moment | None = None
        self._once, self._jump, self._return = (threading.Event() for _ in range(3))
        self._said, self._said_s = "", 0.0

    def set_out(self, world: object, recording: bool) -> None:
        """A world is there. A recording has to go on as it began."""
        able = "" if hasattr(world, "save_state") else "this world can't go back"
        self.why_not = "no way back while recording" if recording else able
        self.can_wind = hasattr(world, "wind")

    @property
    def notice(self) -> str:
        """What there is to say to the driver, for some seconds."""
        return self._said if time.monotonic() < self._said_s + NOTICE_S else ""

    def say(self, notice: str) -> None:
        """Tell the driver something."""
        self._said, self._said_s = notice, time.monotonic()

    # -- asked for in the window -------------------------------------------------------------

    def rewind(self, on: bool) -> None:
        """Let time run backwards, a moment at least, or forwards again."""
        if on and self.why_not:
            self.say(self.why_not)
            return
        if on:
            self._once.set()
        self.rewinding = on

    def mark(self) -> None:
        """Remember this moment."""
        if self.why_not:
            self.say(self.why_not)
            return
        self._marked = self.timeline.now
        self.say("marked: F9 returns here")

    def go_to_mark(self) -> None:
        """Return to the moment that was marked."""
        self._return.set()

    def next_branch(self) -> None:
        """Go to where another branch has got to."""
        self._jump.set()

    def wind(self, by_s: float = 0.0, to_share: float | None = None) -> None:
        """Go on at another time of a recording: so much later than now, or at this share of the whole."""
        now = self.timeline.now
        if now is None or not self.can_wind:
            self.say("only what was recorded can be wound")
            return
        wound_s = self._wound_s  # the world's thread may take it away meanwhile
        begin_s = float(now.info["time_s"]) if wound_s is None else wound_s
        length_s = float(now.info["length_s"])
        self._wound_s = begin_s + by_s if to_share is None else to_share * length_s

    # -- done in the world's thread -------------------------------------------------------------

    @property
    def going_back(self) -> bool:
        """Whether time runs backwards just now."""
        return self.rewinding or self._once.is_set()

    def wound_to(self) -> float | None:
        """The time that was asked for, once; None for none."""
        wound_s, self._wound_s = self._wound_s, None
        return wound_s

    @property
    def wanted(self) -> bool:
        """Whether somebody wants to be elsewhere."""
        return self.going_back or self._jump.is_set() or self._return.is_set()

    def next_moment(self) -> Moment | None:
        """Where to go next; None where there is no such place, which is then said."""
        if self.going_back:
            self._once.clear()
            moment = self.timeline.back()
            self.rewound += moment is not None
        elif self._jump.is_set():
            self._jump.clear()
            moment = self.timeline.next_branch()
            if moment is None:
                self.say("there is no other branch: go back, and drive on from there")
        else:
            self._return.clear()
            moment = self._marked
            if moment is None or not self.timeline.go_to(moment):
                moment = None
                self.say("no moment of this episode is marked: F5 marks one")
        self.moved = self.moved or moment is not None
        return moment

    def arrived(self) -> Moment:
        """The world is where the timeline is."""
        self.moved, self.rewound = False, 0
        assert self.timeline.now is not None
        return self.timeline.now

    def begin(self, moment: Moment) -> None:
        """An episode begins: what was before can't be gone back to, nor what was asked of it."""
        self.timeline.begin(moment)
        self.moved, self.rewound, self.rewinding, self._marked = False, 0, False, None
        for wish in (self._once, self._jump, self._return):
            wish.clear()
