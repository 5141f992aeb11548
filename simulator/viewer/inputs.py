"""What a person can ask for, and which events of pygame ask for it; `keys` says which keys do."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pygame

from agents.human import Control

if TYPE_CHECKING:
    from simulator.viewer.keys import Keys


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
    SCALES = "scales"
    UNSURE = "unsure"
    WIDER = "wider"
    REANCHOR = "reanchor"
    TEXT = "text"
    FILM = "film"
    SNIP = "snip"
    RECORD = "record"
    KEEP = "keep"
    MOUSE = "mouse"
    CALIBRATE = "calibrate"


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
class Told:
    """Something to tell the driver."""

    text: str


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


Meaning = Key | Rewind | Wind | Command | Stroke | Hover | Put | Choose | FocusLost


def translate(event: pygame.event.Event, keys: Keys) -> Meaning | None:
    """What an event means to us, None for nothing."""
    if event.type == pygame.QUIT:
        return Command.QUIT
    if event.type == pygame.WINDOWFOCUSLOST:
        return FocusLost()
    if event.type in (pygame.KEYDOWN, pygame.KEYUP):
        return keys.meaning(event.key, down=event.type == pygame.KEYDOWN)
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
