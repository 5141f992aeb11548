"""Which key does what: pygame events become car controls and commands to the window."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

import pygame

from agents.human import Control


class Command(enum.Enum):
    """What a person can ask of the window."""

    RESET = "reset"
    NEXT = "next"
    PAUSE = "pause"
    QUIT = "quit"
    LARGER = "larger"
    SMALLER = "smaller"
    FULLSCREEN = "fullscreen"
    SCREENSHOT = "screenshot"
    STEP = "step"
    SLOWER = "slower"
    FASTER = "faster"
    SWITCH = "switch"
    BRANCH = "branch"
    MARK = "mark"
    RETURN = "return"
    HELP = "help"
    MENU = "menu"
    PANELS = "panels"
    FILM = "film"
    SNIP = "snip"
    KEEP = "keep"
    MOUSE = "mouse"


@dataclass(frozen=True, slots=True)
class Key:
    """A control's key went down or up."""

    control: Control
    down: bool


@dataclass(frozen=True, slots=True)
class Rewind:
    """Time runs backwards while the key is down."""

    down: bool


@dataclass(frozen=True, slots=True)
class Wind:
    """To another place of what is played back."""

    seconds: float  # forwards; minus infinity to the begin


@dataclass(frozen=True, slots=True)
class Axes:
    """Where a gamepad's or a steering wheel's axes are."""

    steer: float  # left positive, -1 to 1
    pedal: float  # -1 brake to 1 throttle


@dataclass(frozen=True, slots=True)
class Unplugged:
    """A device is gone."""

    name: str


@dataclass(frozen=True, slots=True)
class Stroke:
    """The mouse paints: the left button went down or up, or it moved meanwhile."""

    place: tuple[int, int]  # pixels of the window
    what: str  # "down", "move" or "up"


@dataclass(frozen=True, slots=True)
class Hover:
    """The mouse moved with no button down."""

    place: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Put:
    """A right click: something shall stand there."""

    place: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Choose:
    """The mouse's wheel: something else shall be put by right clicks."""

    steps: int


class FocusLost:
    """The window can't see keys go up any more."""


CONTROLS = {
    pygame.K_LEFT: Control.LEFT,
    pygame.K_a: Control.LEFT,
    pygame.K_RIGHT: Control.RIGHT,
    pygame.K_d: Control.RIGHT,
    pygame.K_UP: Control.THROTTLE,
    pygame.K_w: Control.THROTTLE,
    pygame.K_DOWN: Control.BRAKE,
    pygame.K_s: Control.BRAKE,
}

COMMANDS = {
    pygame.K_r: Command.RESET,
    pygame.K_t: Command.NEXT,
    pygame.K_p: Command.PAUSE,
    pygame.K_SPACE: Command.PAUSE,
    pygame.K_q: Command.QUIT,
    pygame.K_ESCAPE: Command.QUIT,
    pygame.K_PLUS: Command.LARGER,
    pygame.K_EQUALS: Command.LARGER,
    pygame.K_KP_PLUS: Command.LARGER,
    pygame.K_MINUS: Command.SMALLER,
    pygame.K_KP_MINUS: Command.SMALLER,
    pygame.K_f: Command.FULLSCREEN,
    pygame.K_c: Command.SCREENSHOT,
    pygame.K_F12: Command.SCREENSHOT,
    pygame.K_n: Command.STEP,
    pygame.K_PERIOD: Command.STEP,
    pygame.K_COMMA: Command.SLOWER,
    pygame.K_LEFTBRACKET: Command.SLOWER,
    pygame.K_RIGHTBRACKET: Command.FASTER,
    pygame.K_m: Command.SWITCH,
    pygame.K_b: Command.BRANCH,
    pygame.K_F5: Command.MARK,
    pygame.K_F9: Command.RETURN,
    pygame.K_F1: Command.HELP,
    pygame.K_TAB: Command.MENU,
    pygame.K_g: Command.PANELS,
    pygame.K_v: Command.FILM,
    pygame.K_x: Command.SNIP,
    pygame.K_F6: Command.KEEP,
    pygame.K_j: Command.MOUSE,
}

REWIND = pygame.K_BACKSPACE

WINDS = {
    pygame.K_PAGEDOWN: Wind(5.0),
    pygame.K_PAGEUP: Wind(-5.0),
    pygame.K_HOME: Wind(-math.inf),
}

HELP = (
    "WASD or arrows · Tab where to drive · Backspace goes back in time · Space pause · F1 all keys"
)

ALL_KEYS = (
    ("arrows, W A S D", "steer, throttle, brake; takes over from the autopilot"),
    ("Tab", "another world or scenario"),
    ("M", "you or the autopilot"),
    ("Backspace, held", "back in time"),
    ("B", "to the next branch of what was driven"),
    ("F5, F9", "mark this moment, return to it"),
    ("P, Space", "pause"),
    ("N, .", "a single step"),
    ("[ ]", "slower, faster"),
    ("left mouse button", "take away what it is drawn over"),
    ("right, wheel", "put a car there, choose what to put"),
    ("G", "graphs of the last half minute, and the way from above"),
    ("Page up, down, Home", "of a recording: 5 s back or on, its begin; or click on the picture"),
    ("R, T", "the same start again, the next one"),
    ("+ -, F", "size of the window, full screen"),
    ("C, F12", "save a picture"),
    ("V, X", "begin or end a video; the last 10 s as a GIF"),
    ("F6", "keep this moment in a file; it is on the menu then"),
    ("J", "the mouse steers, or no longer"),
    ("Q, Esc", "quit"),
)
"""Keys and what they do, for the help screen."""


Meaning = Key | Rewind | Wind | Command | Stroke | Hover | Put | Choose | FocusLost


def translate(event: pygame.event.Event) -> Meaning | None:
    """What an event means to us, None for nothing."""
    if event.type == pygame.QUIT:
        return Command.QUIT
    if event.type == pygame.WINDOWFOCUSLOST:
        return FocusLost()
    if event.type == pygame.KEYDOWN:
        if event.key in CONTROLS:
            return Key(CONTROLS[event.key], down=True)
        if event.key == REWIND:
            return Rewind(down=True)
        return WINDS.get(event.key) or COMMANDS.get(event.key)
    if event.type == pygame.KEYUP and event.key in CONTROLS:
        return Key(CONTROLS[event.key], down=False)
    if event.type == pygame.KEYUP and event.key == REWIND:
        return Rewind(down=False)
    return _of_mouse(event)


def _of_mouse(event: pygame.event.Event) -> Stroke | Hover | Put | Choose | None:
    if event.type == pygame.MOUSEWHEEL and event.y:
        return Choose(1 if event.y > 0 else -1)
    if event.type == pygame.MOUSEMOTION:
        return Stroke(event.pos, "move") if event.buttons[0] else Hover(event.pos)
    if event.type in (pygame.MOUSEBUTTONDOWN, pygame.MOUSEBUTTONUP):
        down = event.type == pygame.MOUSEBUTTONDOWN
        if event.button == pygame.BUTTON_LEFT:
            return Stroke(event.pos, "down" if down else "up")
        if event.button == pygame.BUTTON_RIGHT and down:
            return Put(event.pos)
    return None
