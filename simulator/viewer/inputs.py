"""Which key does what: pygame events become car controls and commands to the window."""

from __future__ import annotations

import enum
from dataclasses import dataclass

import pygame

from agents.human import Control


class Command(enum.Enum):
    """What a person can ask of the window."""

    RESET = "reset"
    PAUSE = "pause"
    QUIT = "quit"
    LARGER = "larger"
    SMALLER = "smaller"
    FULLSCREEN = "fullscreen"
    SCREENSHOT = "screenshot"


@dataclass(frozen=True, slots=True)
class Key:
    """A control's key went down or up."""

    control: Control
    down: bool


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
}

HELP = (
    "arrows or WASD drive · R again · P or Space pause · + - size · F full screen · "
    "C picture · Q or Esc quit"
)


def translate(event: pygame.event.Event) -> Key | Command | FocusLost | None:
    """What an event means to us, None for nothing."""
    if event.type == pygame.QUIT:
        return Command.QUIT
    if event.type == pygame.WINDOWFOCUSLOST:
        return FocusLost()
    if event.type == pygame.KEYDOWN:
        if event.key in CONTROLS:
            return Key(CONTROLS[event.key], down=True)
        return COMMANDS.get(event.key)
    if event.type == pygame.KEYUP and event.key in CONTROLS:
        return Key(CONTROLS[event.key], down=False)
    return None
