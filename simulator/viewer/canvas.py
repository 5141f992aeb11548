"""The window itself: how large it is, and what of the drive is drawn on it when something changed."""

from __future__ import annotations

import time
from collections.abc import Callable

import pygame

from simulator.viewer.display import open_display
from simulator.viewer.hud import TEXT_SIZES, Hud, window_size
from simulator.viewer.keys import Keys
from simulator.viewer.mood import mood_of
from simulator.viewer.panels import recent
from simulator.viewer.settings import LARGEST, SMALLEST
from simulator.viewer.tour import Tour

FRAME_SHAPE = (128, 256)  # for the window before the first frame tells


class Canvas:
    """Draws a tour.

    Args:
        keys: which mean what, for the hints.
        scale: times a frame's size.
        text_size: of all text; see `Hud`.
        shown: called with all that is drawn.

    Attributes:
        help: whether the screen of keys is shown.
        panels: whether the graphs are shown.
        surface: of the window; there from `open` on.
        hud: likewise.
    """

    hud: Hud
    surface: pygame.Surface

    def __init__(
        self,
        keys: Keys,
        scale: int,
        text_size: float = 1.0,
        shown: Callable[[pygame.Surface], object] | None = None,
    ) -> None:
        self.help = self.panels = False
        self._keys, self._scale, self._text_size, self._shown = keys, scale, text_size, shown
        self._fullscreen = False
        self._shape: tuple[int, ...] = FRAME_SHAPE
        self._drawn: object = None
        self._drawn_of: object = None

    def open(self) -> None:
        """Show the window.

        Raises:
            NoDisplayError: no screen; says what to do.
        """
        open_display()
        self.hud = Hud(self._keys)
        self.hud.text_size = self._text_size
        self._resize()
        pygame.display.set_caption("Dreamlane")

    def spoiled(self) -> None:
        """Something else covered it: draw it again."""
        self._drawn = None

    def grow(self, steps: int) -> None:
        """Larger or smaller, by frame sizes."""
        self._scale = max(SMALLEST, min(LARGEST, self._scale + steps))
        self._fullscreen = False
        self._resize()

    def toggle_fullscreen(self) -> None:
        """All of the screen, or the window again."""
        self._fullscreen = not self._fullscreen
        self._resize()

    def next_text_size(self) -> None:
        """Larger text, round and round; the picture stays as large."""
        size = self.hud.text_size
        at = TEXT_SIZES.index(size) if size in TEXT_SIZES else -1
        self.hud.text_size = TEXT_SIZES[(at + 1) % len(TEXT_SIZES)]
        self._resize()

    def _resize(self) -> None:
        if self._fullscreen:
            self.surface = pygame.display.set_mode((0, 0), pygame.FULLSCREEN)
        else:
            size = window_size(self._shape, self._scale, self.hud.text_size)
            self.surface = pygame.display.set_mode(size, pygame.RESIZABLE)
        self._drawn = None

    def draw(self, tour: Tour, prompt: str) -> None:
        """Draw only what changed: the processor belongs to the world. `prompt` is what a calibration asks
        for."""
        session, menu, brush = tour.session, tour.menu, tour.easel.brush
        latest = session.latest
        if latest is not None and latest.frame.shape[:2] != self._shape:
            self._shape = latest.frame.shape[:2]
            self._resize()  # the window was opened for a picture of the usual size
        surface = self.surface = pygame.display.get_surface() or self.surface
        if menu.is_open:
            seen: object = menu.version, surface.get_size()
        elif latest is None:
            waited_s = time.perf_counter() - tour.opened_s
            seen = round(waited_s * 20)
        else:
            mood = mood_of(session, tour.wheel, prompt)
            scales, unsure, wide = closer = session.looks.of(
                latest.frame, held=not session.travel.rewinding
            )
            switched = self.help, self.panels, surface.get_size(), self.hud.text_size
            seen = id(latest), mood, switched, brush.strokes, tuple(map(id, closer))
        if seen == self._drawn:
            return
        if menu.is_open:
            menu.draw(surface, self.hud.text, self.hud.text_size)
        elif latest is None:
            what = tour.settings.env_arguments.get("world_model", "the reference world")
            self.hud.draw_loading(surface, f"loading {what}", waited_s)
        else:
            self.hud.draw(surface, latest, session.description, mood)
            if unsure is not None:
                self.hud.draw_unsure(surface, unsure)
            if self.panels:
                self.hud.draw_panels(surface, recent(session.travel.timeline.now))
            if scales is not None:
                self.hud.draw_scales(surface, scales)
            if wide is not None:
                self.hud.draw_wide(surface, wide)
            tour.easel.picture, tour.easel.shape = self.hud.picture, latest.frame.shape[:2]
            if brush.mask is not None:
                self.hud.draw_marked(surface, brush.mask)
            if self.help:
                self.hud.draw_help(surface)
        pygame.display.flip()
        if self._shown is not None:
            self._shown(surface)
        self._drawn = seen
        self._drawn_of = latest  # kept, so that no later one gets its id
