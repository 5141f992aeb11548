"""The window of `dreamlane play`, in which a person, or a policy, drives the dream or the reference world.

The window reads keys and draws in the main thread; the world ticks in `session.Session`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import pygame

from agents.lane_keeper import LaneKeeper
from simulator.viewer.display import open_display
from simulator.viewer.drawing import place_in
from simulator.viewer.files import save_picture
from simulator.viewer.film import SNIP_S
from simulator.viewer.gamepad import Gamepads
from simulator.viewer.hud import Hud, window_size
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
from simulator.viewer.mood import mood_of
from simulator.viewer.panels import recent
from simulator.viewer.session import Session
from simulator.viewer.settings import LARGEST, SMALLEST, PlaySettings
from simulator.viewer.snapshot import Totals
from simulator.viewer.tour import STOP_S, Tour
from simulator.viewer.wheel import TAKES_OVER, Wheel

FRAME_SHAPE = (128, 256)  # for the window before the first frame tells
POLL_MS = 16


class Viewer:
    """The window and its main loop: `run`, or `open`, `pump` until False, and `close`.

    Attributes:
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
        self._shown = shown
        self._scale = settings.scale
        self.keys = load_keys(keys_file())
        self.wheel = Wheel(LaneKeeper(), manual=settings.policy == "human")
        self._tour = Tour(settings, self.wheel, places)
        self._menu_first = settings.menu_first
        self._fullscreen = False
        self._help = self._panels = self._mouse_steers = False
        self._shape: tuple[int, ...] = FRAME_SHAPE
        self._drawn: object = None
        self._drawn_of: object = None

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
        return self.session.totals

    def open(self) -> None:
        """Show the window and start loading the world behind it.

        Raises:
            NoDisplayError: no screen; says what to do.
            ValueError: the user's mapping of gamepads can't be read.
        """
        mappings = load_mappings(gamepad_file())
        open_display()
        self.gamepads = Gamepads(mappings)
        self._hud = Hud(self.keys)
        self._resize()
        pygame.display.set_caption("Dreamlane")
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
                self._drawn = None
            self._obey(meaning)
        alive = self.session.is_alive()  # asked first: its last word comes before its end
        if self.session.error is not None:
            if not self._tour.go_back():
                raise self.session.error
            alive = True  # that is another one
        self._draw()
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
                    travel.wind(to_share=(1.0 + place_in(self._hud.picture, place)[0]) / 2)
            case Stroke(place, what):
                self._tour.easel.stroke(place, what)
            case Hover(place) if self._mouse_steers:
                if self.wheel.follow(*place_in(self._hud.picture, place)):
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
                self._help = not self._help
            case Command.PANELS:
                self._panels = not self._panels
            case Command.SCALES:
                session.scales.wanted = not session.scales.wanted
            case Command.FILM:
                session.film.toggle()
            case Command.SNIP:
                session.film.snip(recent(travel.timeline.now, SNIP_S), session.description)
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
                step = 1 if meaning is Command.LARGER else -1
                self._scale = max(SMALLEST, min(LARGEST, self._scale + step))
                self._fullscreen = False
                self._resize()
            case Command.FULLSCREEN:
                self._fullscreen = not self._fullscreen
                self._resize()
            case Command.SCREENSHOT:
                travel.say(save_picture(self._surface, self.settings.screenshots))
            case _:
                return
        session.wake()

    def _resize(self) -> None:
        latest = self.session.latest
        shape = FRAME_SHAPE if latest is None else latest.frame.shape[:2]
        self._shape = shape
        if self._fullscreen:
            self._surface = pygame.display.set_mode((0, 0), pygame.FULLSCREEN)
        else:
            self._surface = pygame.display.set_mode(
                window_size(shape, self._scale), pygame.RESIZABLE
            )
        self._drawn = None

    def _draw(self) -> None:
        """Draw only what changed: the processor belongs to the world."""
        latest, menu, easel = self.session.latest, self._tour.menu, self._tour.easel
        if self._menu_first and latest is not None:
            self._menu_first = False
            self._tour.toggle_menu()
        if latest is not None and latest.frame.shape[:2] != self._shape:
            self._resize()  # the window was opened for a picture of the usual size
        session = self.session
        surface = self._surface = pygame.display.get_surface() or self._surface
        if menu.is_open:
            seen: object = menu.version, surface.get_size()
        elif latest is None:
            waited_s = time.perf_counter() - self._tour.opened_s
            seen = round(waited_s * 20)
        else:
            mood = mood_of(session, self.wheel.manual, self.gamepads.prompt)
            scales = session.scales.of(latest.frame)
            seen = (
                id(latest),
                mood,
                self._help,
                self._panels,
                surface.get_size(),
                easel.brush.strokes,
                id(scales),
            )
        if seen == self._drawn:
            return
        if menu.is_open:
            menu.draw(surface, self._hud.text)
        elif latest is None:
            what = self.settings.env_arguments.get("world_model", "the reference world")
            self._hud.draw_loading(surface, f"loading {what}", waited_s)
        else:
            self._hud.draw(surface, latest, session.description, mood)
            if self._panels:
                self._hud.draw_panels(surface, recent(session.travel.timeline.now))
            if scales:
                self._hud.draw_scales(surface, scales)
            easel.picture, easel.shape = self._hud.picture, latest.frame.shape[:2]
            if easel.brush.mask is not None:
                self._hud.draw_marked(surface, easel.brush.mask)
            if self._help:
                self._hud.draw_help(surface)
        pygame.display.flip()
        if self._shown is not None:
            self._shown(surface)
        self._drawn = seen
        self._drawn_of = latest  # kept, so that no later one gets its id
