"""The screen on which one chooses where to drive: a picture of each place, below its world's name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any, Protocol

import numpy as np
import pygame
from numpy.typing import NDArray

from simulator.viewer.colours import DIM, DRAWN, INK, PANEL, WARN
from simulator.viewer.drawing import surface_of

COLUMNS = 5
MENU_EVENTS = (pygame.KEYDOWN, pygame.MOUSEBUTTONDOWN, pygame.MOUSEWHEEL)
"""What it listens to; all else, such as keys that go up, is the window's."""
STEPS = {
    pygame.K_LEFT: (-1, 0),
    pygame.K_RIGHT: (1, 0),
    pygame.K_UP: (0, -1),
    pygame.K_DOWN: (0, 1),
    pygame.K_PAGEUP: (0, -3),
    pygame.K_PAGEDOWN: (0, 3),
}
"""Columns and rows that a key goes on."""
SEEDS = {pygame.K_COMMA: -1, pygame.K_PERIOD: 1}
"""By how much a key changes the seed."""
WEATHER = pygame.K_w
CHOOSE = (pygame.K_RETURN, pygame.K_KP_ENTER)
CLOSE = (pygame.K_TAB, pygame.K_ESCAPE)
SHAPE = 0.5  # height of a picture as a share of its width
HINT = "arrows and Enter, or a click · Tab closes"

Text = Callable[..., int]
"""Draws text as `Hud.text` does."""


class Place(Protocol):
    """Where one can drive."""

    @property
    def world(self) -> str: ...
    @property
    def scenario(self) -> str: ...
    @property
    def about(self) -> str: ...
    @property
    def env_id(self) -> str: ...
    @property
    def env_arguments(self) -> Mapping[str, Any]: ...
    @property
    def options(self) -> Mapping[str, Any]: ...
    @property
    def picture(
        self,
    ) -> Callable[[int], NDArray[np.uint8] | None]: ...  # of the start that a seed takes
    @property
    def seeded(self) -> bool: ...  # whether seeds matter
    @property
    def weathers(
        self,
    ) -> Sequence[str]: ...  # that can be chosen; none where it comes with the start
    def options_in(self, weather: str) -> Mapping[str, Any]: ...  # "" for its own weather


class Menu:
    """Shows places and says which one is chosen.

    Args:
        places: says what there is, at each opening; those of one world side by side.

    Attributes:
        is_open: whether it is on the screen.
        seed: of the start that is chosen.
        version: changes with what it shows.
        weather: that is chosen, "" for the scenario's own.
    """

    def __init__(self, places: Callable[[], Sequence[Place]]) -> None:
        self._all = places
        self.is_open = False
        self.version = 0
        self.seed, self.weather = 0, ""
        self._at = 0
        self._top = 0  # first row on the screen
        self._pictures: dict[tuple[int, int], pygame.Surface] = {}  # by place and seed
        self._boxes: dict[int, pygame.Rect] = {}
        self.places: list[Place] = []
        self._rows: list[list[int]] = []  # of indices, each of one world

    def _look(self) -> None:
        self.places = list(self._all())
        self._pictures.clear()
        self._at = min(self._at, max(0, len(self.places) - 1))
        self._rows.clear()
        for _, group in groupby(range(len(self.places)), lambda i: self.places[i].world):
            numbers = list(group)
            self._rows += [numbers[i : i + COLUMNS] for i in range(0, len(numbers), COLUMNS)]

    def toggle(self) -> None:
        """Open or close it."""
        if not self.is_open:
            self._look()
        self.is_open = not self.is_open and bool(self.places)
        self.version += 1

    def handle(self, event: pygame.event.Event) -> Place | None:
        """Take in an event while it is open; the place that was chosen, None as long as none is."""
        self.version += 1
        if event.type == pygame.KEYDOWN:
            if event.key in CLOSE:
                self.is_open = False
            elif event.key in CHOOSE:
                return self._choose(self._at)
            elif event.key in STEPS:
                self._step(*STEPS[event.key])
            elif event.key in SEEDS and self.places[self._at].seeded:
                self.seed = max(0, self.seed + SEEDS[event.key])
            elif event.key == WEATHER:
                choice = ("", *self.places[self._at].weathers)
                self.weather = choice[(choice.index(self.weather) + 1) % len(choice)]
        elif event.type == pygame.MOUSEWHEEL:
            self._step(0, -1 if event.y > 0 else 1)
        elif event.type == pygame.MOUSEBUTTONDOWN and event.button == pygame.BUTTON_LEFT:
            for i, box in self._boxes.items():
                if box.collidepoint(event.pos):
                    return self._choose(i)
        return None

    def _choose(self, i: int) -> Place:
        self._go_to(i)
        self.is_open = False
        return self.places[i]

    def _go_to(self, i: int) -> None:
        if i != self._at:
            self._at, self.seed, self.weather = i, 0, ""

    def _step(self, across: int, down: int) -> None:
        if across:
            self._go_to(min(max(self._at + across, 0), len(self.places) - 1))
            return
        row = self._row_of(self._at)
        target = self._rows[min(max(row + down, 0), len(self._rows) - 1)]
        self._go_to(target[min(self._rows[row].index(self._at), len(target) - 1)])

    def _row_of(self, i: int) -> int:
        return next(n for n, row in enumerate(self._rows) if i in row)

    def draw(self, surface: pygame.Surface, text: Text, text_size: float = 1.0) -> bool:
        """Draw it; False if pictures are still to be read, of which each call reads one."""
        surface.fill(PANEL)
        width, height = surface.get_size()
        gap = max(4, width // 80)
        tile = (width - gap) // COLUMNS - gap
        line = round(text_size * max(10, tile // 11))
        row_height = round(tile * SHAPE) + round(1.6 * line) + gap
        footer = 3 * line + gap
        text(surface, "Where to?", (gap, gap // 2), round(1.3 * line), INK)
        where = (width - gap, gap // 2 + line // 4)
        text(surface, HINT, where, line, DIM, 1.0, room=width * 3 // 4)
        head = round(1.9 * line) + gap // 2
        self._scroll(row_height, round(1.5 * line), height - head - footer)
        self._boxes.clear()
        done, y, last = True, head, ""
        for row in self._rows[self._top :]:
            world = self.places[row[0]].world
            title = 0 if world == last else round(1.5 * line)
            if y + title + row_height > height - footer:
                break
            if title:
                text(surface, world, (gap, y), line, WARN)
            y, last = y + title, world
            for column, i in enumerate(row):
                box = pygame.Rect(gap + column * (tile + gap), y, tile, round(tile * SHAPE))
                self._boxes[i] = box
                key = (i, self.seed if i == self._at else 0)
                if key not in self._pictures and done:
                    self._pictures[key] = self._read(*key)
                    done = False
                if key in self._pictures:
                    surface.blit(pygame.transform.smoothscale(self._pictures[key], box.size), box)
                else:
                    pygame.draw.rect(surface, (50, 56, 62), box)
                if i == self._at:
                    pygame.draw.rect(
                        surface, DRAWN, box.inflate(gap // 2, gap // 2), max(2, gap // 4)
                    )
                name = self.places[i].scenario.replace("_", " ")
                ink = INK if i == self._at else DIM
                where = (box.left, box.bottom + line // 4)
                text(surface, name, where, line, ink, room=tile)
            y += row_height
        chosen = self.places[self._at]
        taken = self._draw_choices(surface, text, (width - gap, height - 2 * line), line)
        about, room = chosen.about or chosen.world, width - taken - 3 * gap
        text(surface, about, (gap, height - 2 * line), line, INK, room=room)
        if not done:
            self.version += 1
        return done

    def _draw_choices(
        self, surface: pygame.Surface, text: Text, right: tuple[int, int], line: int
    ) -> int:
        """Start and weather, and the keys that change them; the width that took."""
        chosen, said = self.places[self._at], []
        if chosen.weathers:
            said.append(f"weather (W): {self.weather or 'its own'}")
        if chosen.seeded:
            said.append(f"start (, .): {self.seed}")
        return text(surface, "   ".join(said), right, line, WARN, 1.0) if said else 0

    def _scroll(self, row_height: int, title: int, room: int) -> None:
        """So that the chosen row can be seen."""
        row = self._row_of(self._at)
        self._top = min(self._top, row)
        while self._top < row and self._height(self._top, row, row_height, title) > room:
            self._top += 1

    def _height(self, first: int, last: int, row_height: int, title: int) -> int:
        worlds = {self.places[row[0]].world for row in self._rows[first : last + 1]}
        return (last - first + 1) * row_height + len(worlds) * title

    def _read(self, i: int, seed: int) -> pygame.Surface:
        try:
            frame = self.places[i].picture(seed)
        except (OSError, ValueError, IndexError):
            frame = None  # why, is said when it is opened
        if frame is None:
            blank = pygame.Surface((2, 1))
            blank.fill((50, 56, 62))
            return blank
        return surface_of(frame)
