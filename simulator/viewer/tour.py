"""The drives that one window shows, one after the other, and the menu from which the next is chosen."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pygame

from simulator.viewer.files import save_moment
from simulator.viewer.menu import Menu, Place
from simulator.viewer.painting import Easel
from simulator.viewer.session import Session
from simulator.viewer.settings import PlaySettings
from simulator.viewer.snapshot import Totals
from simulator.viewer.wheel import Wheel

STOP_S = 30.0  # longer than any step takes


class Tour:
    """Where the window is.

    Args:
        settings: of the first drive.
        wheel: who drives, unless the settings name a driver.
        places: says what is on the menu, at each opening.

    Attributes:
        session: the present drive.
        easel: the mouse over its picture.
        opened_s: when it began to load.
    """

    def __init__(
        self, settings: PlaySettings, wheel: Wheel, places: Callable[[], Sequence[Place]]
    ) -> None:
        self.settings, self.wheel = settings, wheel
        self.menu = Menu(places)
        self._was_paused = False
        self._before: tuple[PlaySettings, Mapping[str, Any] | None] | None = None
        self._begin(Totals(), settings.options)

    def _begin(self, totals: Totals, options: Mapping[str, Any] | None = None) -> None:
        """Another drive, which the caller starts: its window has to be there."""
        settings = self.settings
        # A person needs a moment to find the keys; a counted drive must not hang without one.
        waits = settings.driver is None and self.wheel.manual and settings.frames is None
        policy = settings.driver or self.wheel
        self.session = Session(settings, policy, waits, options, totals)
        self.easel = Easel(self.session.painting, self.session.travel.say)
        self.opened_s = time.perf_counter()

    def toggle_menu(self) -> None:
        """Open or close it; the world's time stands still meanwhile. One that still loads can't be left."""
        session = self.session
        if session.latest is None:
            return
        was_open = self.menu.is_open
        self.menu.toggle()
        if was_open:
            self._go_on(self._was_paused)
        elif self.menu.is_open:
            self._was_paused, session.paused = session.paused, True
            self.wheel.let_go()  # keys may go up meanwhile
            session.travel.rewind(False)
            self.easel.stroke((0, 0), "up")

    def ask_menu(self, event: pygame.event.Event) -> None:
        """All keys are the menu's own while it is open."""
        place = self.menu.handle(event)
        if place is not None:
            self._go_to(place)
        if not self.menu.is_open:
            self._go_on(self._was_paused and place is None)

    def _go_on(self, paused: bool) -> None:
        """The menu is closed."""
        self.session.paused = paused
        self.session.wake()

    def _go_to(self, place: Place) -> None:
        """Drive there: in the same world from its start, or in another one, which has to load."""
        old = self.settings
        same = old.env_id == place.env_id and all(
            old.env_arguments.get(name) == value for name, value in place.env_arguments.items()
        )
        if same:
            options = place.options_in(self.menu.weather)
            self.session.ask_reset(options=options, seed=self.menu.seed)
            return
        self.session.stop()
        self.session.join(timeout=STOP_S)
        if self.session.is_alive():
            raise TimeoutError(f"the world didn't stop within {STOP_S:g} s")
        lost = self.session.error
        self._before = old, self.session.options
        arguments = dict(place.env_arguments)
        self.settings = replace(
            old, env_id=place.env_id, env_arguments=arguments, seed=self.menu.seed
        )
        self._begin(self.session.totals, place.options_in(self.menu.weather))
        if lost is not None:  # a recording that couldn't be finished
            self.session.travel.say(str(lost))
        self.session.start()

    def go_back(self) -> bool:
        """To the world before, where the one that was chosen can't be made. False if there is none."""
        failed = self.session
        if failed.latest is not None or self._before is None:
            return False
        (self.settings, options), self._before = self._before, None
        self._begin(failed.totals, options)
        self.session.travel.say(f"no: {failed.error}")
        self.session.start()
        return True

    def keep_moment(self) -> None:
        """Put the present one in a file; it is on the menu from then on."""
        travel, now = self.session.travel, self.session.travel.timeline.now
        if travel.why_not or now is None:
            travel.say(travel.why_not)
            return
        try:
            travel.say(f"saved {save_moment(now.state, self.settings.moments)}")
        except (OSError, ValueError) as error:
            travel.say(str(error))
