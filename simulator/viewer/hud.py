"""Draws the window: the camera picture, and under it what a driver wants to know."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pygame
from numpy.typing import NDArray

from simulator.viewer.closer import draw_scales, draw_unsure, draw_wide
from simulator.viewer.colours import (
    BACKWARDS,
    BAD,
    DIM,
    DRAWN,
    GOOD,
    INK,
    PANEL,
    REANCHORED,
    RECORDED,
    WARN,
    Colour,
)
from simulator.viewer.dashboard import draw_dashboard
from simulator.viewer.drawing import darken, surface_of
from simulator.viewer.keys import Keys
from simulator.viewer.mood import Mood
from simulator.viewer.panels import draw_panels
from simulator.viewer.snapshot import Snapshot
from simulator.viewer.timeline import Moment

PANEL_SHARE = 0.28
"""Height of the dashboard as a share of the picture's, where text has its usual size."""

LEAST_POINTS = 8
"""Smaller letters can't be read."""

TEXT_SIZES = (1.0, 1.25, 1.6, 0.8)
"""What F2 goes through."""


def window_size(
    frame_shape: tuple[int, ...], scale: float, text_size: float = 1.0
) -> tuple[int, int]:
    """Width and height of a window that shows a frame at `scale`."""
    height, width = frame_shape[:2]
    return round(width * scale), round(height * scale * (1 + PANEL_SHARE * text_size))


class Hud:
    """Draws onto a surface of any size. Keeps fonts and the enlarged picture between calls.

    Attributes:
        picture: where the frame is in the window.
        text_size: of all text over and under the picture; 1 is the usual one.
    """

    def __init__(self, keys: Keys) -> None:
        pygame.font.init()
        self._keys = keys
        self._fonts: dict[int, pygame.font.Font] = {}
        self._picture: pygame.Surface | None = None
        self._picture_of: object = None
        self.picture = pygame.Rect(0, 0, 1, 1)
        self.text_size = TEXT_SIZES[0]

    def draw_loading(self, surface: pygame.Surface, what: str, seconds: float) -> None:
        """The screen before the first frame: something moves, so that it doesn't look dead."""
        surface.fill(PANEL)
        width, height = surface.get_size()
        self.text(surface, what, (width // 2, height // 2 - height // 12), height // 14, INK, 0.5)
        self.text(
            surface,
            f"{seconds:.1f} s",
            (width // 2, height // 2 + height // 8),
            height // 24,
            DIM,
            0.5,
        )
        phase = (seconds % 1.6) / 1.6
        bar = pygame.Rect(width // 4, height // 2 + height // 24, width // 2, max(2, height // 100))
        pygame.draw.rect(surface, (50, 56, 62), bar)
        knob = pygame.Rect(bar.left, bar.top, bar.width // 6, bar.height)
        knob.left += round((bar.width - knob.width) * 0.5 * (1 - math.cos(2 * math.pi * phase)))
        pygame.draw.rect(surface, GOOD, knob)

    def draw(
        self,
        surface: pygame.Surface,
        snapshot: Snapshot,
        description: Mapping[str, str],
        mood: Mood = Mood(),
    ) -> None:
        """One instant: picture, panel, and a word across the picture when the world stands still."""
        still = mood.still
        width, height = surface.get_size()
        frame_height, frame_width = snapshot.frame.shape[:2]
        share = PANEL_SHARE * self.text_size
        scale = min(width / frame_width, height / (frame_height * (1 + share)))
        picture = pygame.Rect(0, 0, round(frame_width * scale), round(frame_height * scale))
        panel_height = round(frame_height * scale * share)
        picture.left = (width - picture.width) // 2
        picture.top = (height - picture.height - panel_height) // 2
        self.picture = picture
        surface.fill((0, 0, 0))
        surface.blit(self._enlarged(snapshot.frame, picture.size), picture)
        panel = pygame.Rect(picture.left, picture.bottom, picture.width, panel_height)
        pygame.draw.rect(surface, PANEL, panel)
        draw_dashboard(surface, panel, snapshot, description, mood, self._keys, self.text)
        if description.get("generated") == "yes":
            colour = RECORDED if snapshot.tick == 0 else DRAWN
            if snapshot.info.get("reanchored"):
                colour = REANCHORED
            border = max(2, picture.height // 90)
            pygame.draw.rect(
                surface, BACKWARDS if still == "rewinding" else colour, picture, border
            )
        if length_s := float(snapshot.info.get("length_s", 0.0)):
            bar = pygame.Rect(picture.left, 0, 0, max(3, picture.height // 60))
            bar.width = round(picture.width * float(snapshot.info["time_s"]) / length_s)
            bar.bottom = picture.bottom
            pygame.draw.rect(surface, WARN, bar)
        if still == "calibrating":
            self._banner(surface, picture, "CALIBRATE", mood.notice, WARN)
        elif still == "waiting":
            self._banner(surface, picture, "READY", f"{self._keys.wheel} to start", GOOD)
        elif still == "rewinding":
            gone = f"{snapshot.rewound} ticks back"
            self._banner(
                surface, picture, "REWIND", f"{gone}; let go to drive on from here", BACKWARDS
            )
        elif still == "paused":
            self._banner(surface, picture, "PAUSED", f"{self._keys.named('pause')}: on", INK)
        elif snapshot.ended:
            said = snapshot.ended.replace("_", " ")
            good = snapshot.ended in ("route_completed", "time_limit", "end_of_recording")
            self._banner(
                surface,
                picture,
                said,
                f"{self._keys.named('again')} begins again",
                GOOD if good else BAD,
            )

    def draw_panels(self, surface: pygame.Surface, moments: Sequence[Moment]) -> None:
        """Graphs and plan, over the picture."""
        draw_panels(surface, self.picture, moments, self._small(22))

    def draw_scales(self, surface: pygame.Surface, frames: Sequence[NDArray[np.uint8]]) -> None:
        """The picture scale by scale, over its lower edge."""
        draw_scales(surface, self.picture, frames, self._small(26))

    def draw_unsure(self, surface: pygame.Surface, nats_hw: NDArray[np.float32]) -> None:
        """Where the model was unsure, over the picture."""
        draw_unsure(surface, self.picture, nats_hw, self._small(22))

    def draw_wide(self, surface: pygame.Surface, wide_HWC: NDArray[np.uint8]) -> None:
        """The picture and what may be beside it."""
        draw_wide(surface, self.picture, wide_HWC, self._small(16))

    def draw_marked(self, surface: pygame.Surface, mask_HW: NDArray[np.bool_]) -> None:
        """What the brush has marked, over the picture."""
        height, width = mask_HW.shape
        tint = np.zeros((height, width, 4), np.uint8)
        tint[mask_HW] = (*BAD, 150)
        marked = pygame.image.frombuffer(tint.tobytes(), (width, height), "RGBA")
        surface.blit(pygame.transform.scale(marked, self.picture.size), self.picture)

    def draw_help(self, surface: pygame.Surface) -> None:
        """All keys, over whatever is there."""
        width, height = surface.get_size()
        darken(surface, surface.get_rect(), 215)
        rows = self._keys.rows()
        row = height // (len(rows) + 4)
        self.text(surface, "Keys", (width // 2, row // 2), row, INK, 0.5)
        for i, (keys, meaning) in enumerate(rows, 2):
            self.text(surface, keys, (round(width * 0.36), i * row), round(row * 0.6), WARN, 1.0)
            self.text(surface, meaning, (round(width * 0.39), i * row), round(row * 0.6), INK)
        self.text(
            surface,
            f"{self._keys.named('help')} closes",
            (width // 2, height - row),
            round(row * 0.6),
            DIM,
            0.5,
        )

    def _banner(
        self, surface: pygame.Surface, box: pygame.Rect, title: str, hint: str, colour: Colour
    ) -> None:
        third = pygame.Rect(box.left, box.centery - box.height // 6, box.width, box.height // 3)
        darken(surface, third, 150)
        room, size = box.width - 8, min(1.25, self.text_size)  # a third of the picture, and no more
        place = (box.centerx, box.centery - box.height // 8)
        self.text(surface, title, place, round(size * box.height / 7), colour, 0.5, room)
        place = (box.centerx, box.centery + box.height // 24)
        self.text(surface, hint, place, round(size * box.height / 16), INK, 0.5, room)

    def _enlarged(self, frame: NDArray[np.uint8], size: tuple[int, int]) -> pygame.Surface:
        """The frame at another size. Enlarging costs milliseconds, so each frame has it done once."""
        if (
            self._picture is None
            or self._picture_of is not frame
            or self._picture.get_size() != size
        ):
            self._picture = pygame.transform.smoothscale(surface_of(frame), size)
            self._picture_of = frame
        return self._picture

    def _small(self, part: int) -> pygame.font.Font:
        """For what is drawn over the picture, such a part of its height."""
        return self._font(round(self.text_size * self.picture.height / part))

    def _font(self, size: int) -> pygame.font.Font:
        size = max(LEAST_POINTS, size)
        if size not in self._fonts:
            self._fonts[size] = pygame.font.Font(None, size)
        return self._fonts[size]

    def text(
        self,
        surface: pygame.Surface,
        text: str,
        place: tuple[int, int],
        size: int,
        colour: Colour,
        align: float = 0.0,
        room: int | None = None,
    ) -> int:
        """Text with its top at `place`; `align` 0, 0.5, 1 puts left, middle or right there. Smaller, where it
        is wider than `room` pixels.

        Returns its width in pixels.
        """
        points = round(size * 1.25)
        while room is not None and points > LEAST_POINTS:
            if self._font(points).size(text)[0] <= room:
                break
            points -= 1
        drawn = self._font(points).render(text, True, colour)
        surface.blit(drawn, (place[0] - round(align * drawn.get_width()), place[1]))
        return drawn.get_width()
