"""What a page says, one JSON object a message, as the events that a window would have had.

So keys, mouse and gamepad mean in the page what they mean in the window, and are told apart in one place
(`simulator.viewer.inputs`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import pygame

from simulator.viewer.inputs import Command
from simulator.viewer.keys import Keys
from simulator.viewer.menu import CHOOSE, CLOSE, STEPS

BROWSER = -2
"""Instance of the gamepad that a browser reads; SDL counts its own from 0."""

BUTTONS = {0: pygame.BUTTON_LEFT, 2: pygame.BUTTON_RIGHT}  # of a mouse, as browsers count them
MOUSE = {
    "down": pygame.MOUSEBUTTONDOWN,
    "up": pygame.MOUSEBUTTONUP,
    "move": pygame.MOUSEMOTION,
}
NAMED = {
    "ArrowLeft": pygame.K_LEFT,
    "ArrowRight": pygame.K_RIGHT,
    "ArrowUp": pygame.K_UP,
    "ArrowDown": pygame.K_DOWN,
    "Backspace": pygame.K_BACKSPACE,
    "Tab": pygame.K_TAB,
    "Enter": pygame.K_RETURN,
    "Home": pygame.K_HOME,
    "PageUp": pygame.K_PAGEUP,
    "PageDown": pygame.K_PAGEDOWN,
    **{f"F{n}": getattr(pygame, f"K_F{n}") for n in range(1, 13)},
}
"""Keys by the names that browsers give them; of all others the name is the character."""

OF_THE_WINDOW = (Command.QUIT, Command.FULLSCREEN, Command.LARGER, Command.SMALLER)
"""What a page has no say in: it has a tab to close and a size of its own."""


def known_keys(keys: Keys) -> list[str]:
    """Keys that a page sends on, by their browser's names; all others stay the browser's."""
    wanted = {*keys.codes(without=OF_THE_WINDOW), *STEPS, *CHOOSE, *CLOSE}
    named = [name for name, key in NAMED.items() if key in wanted]
    return named + [chr(key) for key in sorted(wanted) if key < 128 and chr(key).isprintable()]


def events(message: str, size: tuple[int, int], known: Sequence[str]) -> list[pygame.event.Event]:
    """The events that a page's message stands for; places are shares of a window of this size, and
    only known keys count.

    Raises:
        ValueError: what came in isn't one of the messages of `page/drive.js`.
    """
    try:
        said = json.loads(message)
        return _events(said, size, known)
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"message {message[:100]!r}: {type(error).__name__}: {error}") from error


def _events(
    said: dict[str, Any], size: tuple[int, int], known: Sequence[str]
) -> list[pygame.event.Event]:
    match said["type"]:
        case "key":
            name = str(said["key"])
            if name not in known:
                return []
            key = NAMED.get(name) or ord(name)
            kind = pygame.KEYDOWN if said["down"] else pygame.KEYUP
            return [pygame.event.Event(kind, key=key)]
        case "mouse":
            place = (
                round(_share(said["x"]) * (size[0] - 1)),
                round(_share(said["y"]) * (size[1] - 1)),
            )
            kind, button = MOUSE[said["what"]], BUTTONS.get(said["button"], 0)
            pressed = (int(bool(said.get("held"))), 0, 0)
            return [pygame.event.Event(kind, pos=place, button=button, buttons=pressed)]
        case "wheel":
            return [pygame.event.Event(pygame.MOUSEWHEEL, y=1 if said["steps"] > 0 else -1)]
        case "axis":
            axis, value = int(said["axis"]), 2 * _share((said["value"] + 1) / 2) - 1
            return [
                pygame.event.Event(
                    pygame.JOYAXISMOTION, instance_id=BROWSER, axis=axis, value=value
                )
            ]
        case "button":
            kind = pygame.JOYBUTTONDOWN if said["down"] else pygame.JOYBUTTONUP
            return [pygame.event.Event(kind, instance_id=BROWSER, button=int(said["button"]))]
        case "blur":
            return [pygame.event.Event(pygame.WINDOWFOCUSLOST)]
    raise ValueError("unknown type")


def _share(value: Any) -> float:
    """A number from 0 to 1."""
    share = float(value)
    if not math.isfinite(share):
        raise ValueError(f"{value} isn't a place")
    return min(1.0, max(0.0, share))
