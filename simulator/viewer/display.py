"""Opening a screen, or saying why there is none."""

from __future__ import annotations

import os

import pygame


class NoDisplayError(OSError):
    """There is no screen to open a window on."""


def open_display() -> None:
    """Initialise pygame's display.

    Raises:
        NoDisplayError: no screen. SDL would fall back to drivers that show nothing without a word.
    """
    try:
        pygame.display.init()
        driver = pygame.display.get_driver()
    except pygame.error as error:
        raise NoDisplayError(_no_display(str(error))) from error
    asked = os.environ.get("SDL_VIDEODRIVER") or os.environ.get("SDL_VIDEO_DRIVER")
    if not asked and driver in ("dummy", "offscreen", "evdev"):
        pygame.display.quit()
        raise NoDisplayError(_no_display(f"SDL fell back to {driver!r}, which shows nothing"))


def _no_display(why: str) -> str:
    return (
        f"no display to open a window on ({why}). On a machine without a screen run "
        "`xvfb-run -a dreamlane play ...`, or SDL_VIDEODRIVER=dummy dreamlane play ... to drive "
        "unseen; over ssh use `ssh -X`"
    )
