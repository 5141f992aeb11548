"""Which key does what: pygame events become car controls and commands to the window."""

from __future__ import annotations

import enum
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
    HELP = "WASD or arrows · Backspace goes back in time · Space pause · F1 all keys"


ALL_KEYS = (
    ("arrows, W A S D", "steer, throttle, brake; takes over from the autopilot"),
    ("M", "you or the autopilot"),
    ("Backspace, held", "back in time"),
    ("B", "to the next branch of what was driven"),
    ("F5, F9", "mark this moment, return to it"),
    ("P, Space", "pause"),
    ("N, .", "a single step"),
    ("[ ]", "slower, faster"),
    ("R, T", "the same start again, the next one"),
    ("+ -, F", "size of the window, full screen"),
    ("C, F12", "save a picture"),
    ("Q, Esc", "quit"),
)
"""Keys and what they do, for the help screen."""


def translate(event: pygame.event.Event) -> Key | Rewind | Command | FocusLost | None:
    """What an event means to us, None for nothing."""
    if event.type == pygame.QUIT:
        return Command.QUIT
    if event.type == pygame.WINDOWFOCUSLOST:
        return FocusLost()
    if event.type == pygame.KEYDOWN:
        if event.key in CONTROLS:
            return Key(CONTROLS[event.key], down=True)
        return Rewind(down=True) if event.key == REWIND else COMMANDS.get(event.key)
    if event.type == pygame.KEYUP and event.key in CONTROLS:
        return Key(CONTROLS[event.key], down=False)
    if event.type == pygame.KEYUP and event.key == REWIND:
        return Rewind(down=False)
    return None
