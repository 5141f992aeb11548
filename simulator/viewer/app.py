"""The window of `dreamlane play`, in which a person, or a policy, drives the dream or the reference world.

The window reads keys and draws in the main thread; the world ticks in `session.Session`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pygame

from agents.lane_keeper import LaneKeeper
from simulator.viewer.canvas import Canvas
from simulator.viewer.drawing import place_in
from simulator.viewer.files import save_picture
from simulator.viewer.film import SNIP_S
from simulator.viewer.gamepad import Gamepads
from simulator.viewer.inputs import (
    Axes,
    Choose,
    Command,
    FocusLost,
    Hover,
    Key,
    Meaning,
    Put,
    Rewind,
    Stroke,
    Told,
    Unplugged,
    Wind,
    translate,
)
from simulator.viewer.keys import keys_file, load_keys
from simulator.viewer.mapping import gamepad_file, load_mappings
from simulator.viewer.menu import MENU_EVENTS, Place
from simulator.viewer.panels import recent
from simulator.viewer.session import Session
from simulator.viewer.settings import PlaySettings
from simulator.viewer.snapshot import Totals
from simulator.viewer.tour import STOP_S, Tour
from simulator.viewer.wheel import TAKES_OVER, Wheel

POLL_MS = 16


class Viewer:
    """The window and its main loop: `run`, or `open`, `pump` until False, and `close`.

    Attributes:
        canvas: what is drawn, and how large.
        keys: which mean what.
        wheel: who drives.
    """

    def __init__(
        self,
        settings: PlaySettings,
        shown: Callable[[pygame.Surface], object] | None = None,
        places: Callable[[], Sequence[Place]] = tuple,
    ) -> None:
        """`shown` is called with all that is drawn, `places` says what is on the menu.

        Raises:
            ValueError: the user's keys can't be read.
        """
        self.keys = load_keys(keys_file())
        self.canvas = Canvas(self.keys, settings.scale, settings.text_size, shown)
        self.wheel = Wheel(settings.autopilot or LaneKeeper(), settings.policy == "human")
        self._tour = Tour(settings, self.wheel, places)
        self._menu_first = settings.menu_first
        self._mouse_steers = False

    @property
    def session(self) -> Session:
        """The present drive, in the other thread."""
        return self._tour.session

    @property
    def settings(self) -> PlaySettings:
        """What is driven."""
        return self._tour.settings

    def run(self) -> Totals:
        """Open the window, drive until the person quits or `frames` are done, close it."""
        self.open()
        try:
            while self.pump():
                pass
        finally:
            self.close()
        if self.session.error is not None:  # at the very end: what was driven couldn't be written
            raise self.session.error
        return self.session.totals

    def open(self) -> None:
        """Show the window and start loading the world behind it.

        Raises:
            NoDisplayError: no screen; says what to do.
            ValueError: the user's mapping of gamepads can't be read.
        """
        mappings = load_mappings(gamepad_file())
        self.canvas.open()
        self.gamepads = Gamepads(mappings)
        self.session.start()

    def pump(self) -> bool:
        """Handle what came in, draw what is new; False when it is over.

        Raises:
            Exception: whatever stopped the world in its thread.
        """
        first = pygame.event.wait(POLL_MS)
        for event in [first, *pygame.event.get()]:
            meaning = translate(event, self.keys) or self.gamepads.translate(event)
            if self._tour.menu.is_open and event.type in MENU_EVENTS and meaning != Command.MENU:
                self._tour.ask_menu(event)
                continue
            if meaning is Command.QUIT:
                return False
            if event.type == pygame.WINDOWEXPOSED:
                self.canvas.spoiled()
            self._obey(meaning)
        alive = self.session.is_alive()  # asked first: its last word comes before its end
        if self.session.error is not None:
            if not self._tour.go_back():
                raise self.session.error
            alive = True  # that is another one
        if self._menu_first and self.session.latest is not None:
            self._menu_first = False
            self._tour.toggle_menu()
        self.canvas.draw(self._tour, self.gamepads.prompt)
        return alive

    def close(self) -> None:
        """Stop the world and close the window."""
        self.session.stop()
        if self.session.ident is not None:
            self.session.join(timeout=STOP_S)
        pygame.quit()

    def _obey(self, meaning: Meaning | Axes | Unplugged | Told | None) -> None:
        session, travel = self.session, self.session.travel
        match meaning:
            case Key(control, down):
                (self.wheel.press if down else self.wheel.person.release)(control)
                if down:
                    session.go()
            case Axes(steer, pedal):
                self.wheel.hold(steer, pedal)
                if abs(pedal) > TAKES_OVER:
                    session.go()
            case Unplugged(name):
                self.wheel.let_go()
                travel.rewind(False)
                travel.say(f"{name} is gone: the keyboard drives")
            case Told(text):
                travel.say(text)
            case Command.CALIBRATE:
                travel.say(self.gamepads.calibrate())
                self.wheel.let_go()
                session.paused = session.paused or bool(self.gamepads.prompt)
            case Rewind(down):
                travel.rewind(down)
            case Wind(seconds):
                travel.wind(seconds)
            case Stroke(place, what) if travel.can_wind:
                if what != "up":
                    travel.wind(to_share=(1.0 + place_in(self.canvas.hud.picture, place)[0]) / 2)
            case Stroke(place, what):
                self._tour.easel.stroke(place, what)
            case Hover(place) if self._mouse_steers:
                if self.wheel.follow(*place_in(self.canvas.hud.picture, place)):
                    session.go()
            case Put(place):
                self._tour.easel.put(place)
            case Choose(steps):
                self._tour.easel.choose(steps)
            case FocusLost():
                self._tour.easel.stroke((0, 0), "up")
                self.wheel.let_go()
                travel.rewind(False)
            case Command.STEP:
                session.step_once()
            case Command.SLOWER | Command.FASTER:
                session.change_pace(0.5 if meaning is Command.SLOWER else 2.0)
            case Command.SWITCH:
                self.wheel.switch()
                session.go()
            case Command.BRANCH:
                travel.next_branch()
            case Command.MARK:
                travel.mark()
            case Command.RETURN:
                travel.go_to_mark()
            case Command.MENU:
                self._tour.toggle_menu()
            case Command.HELP:
                self.canvas.help = not self.canvas.help
            case Command.PANELS:
                self.canvas.panels = not self.canvas.panels
            case Command.SCALES:
                session.looks.scales.wanted = not session.looks.scales.wanted
            case Command.UNSURE:
                session.looks.unsure.wanted = not session.looks.unsure.wanted
            case Command.WIDER:
                session.looks.wide.wanted = session.paused = not session.looks.wide.wanted
            case Command.REANCHOR:
                session.painting.reanchor()
            case Command.FILM:
                session.film.toggle()
            case Command.SNIP:
                session.film.snip(recent(travel.timeline.now, SNIP_S), session.description)
            case Command.RECORD:
                session.keeper.ask()
            case Command.KEEP:
                self._tour.keep_moment()
            case Command.MOUSE:
                self._mouse_steers = not self._mouse_steers
                travel.say("the mouse steers: J ends it" if self._mouse_steers else "keys steer")
                self.wheel.let_go()
            case Command.RESET | Command.NEXT:
                session.ask_reset(elsewhere=meaning is Command.NEXT)
            case Command.PAUSE:
                session.toggle_pause()
            case Command.LARGER | Command.SMALLER:
                self.canvas.grow(1 if meaning is Command.LARGER else -1)
            case Command.FULLSCREEN:
                self.canvas.toggle_fullscreen()
            case Command.TEXT:
                self.canvas.next_text_size()
            case Command.SCREENSHOT:
                travel.say(save_picture(self.canvas.surface, self.settings.screenshots))
            case _:
                return
        session.wake()
