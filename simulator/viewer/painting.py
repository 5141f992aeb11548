"""Painting on the picture: the mouse marks what shall go, or puts something on the road.

The window holds the brush (`Easel`, `Brush`); what it painted is done in the world's thread (`Painting`).
"""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import Any, Protocol

import cv2
import numpy as np
import pygame
from numpy.typing import NDArray

from simulator import palette

BRUSH_SHARE = 0.04
"""Radius of the brush as a share of the picture's height."""

Mask = NDArray[np.bool_]
Place = tuple[float, float]
Frame = NDArray[np.uint8]
Changed = tuple[Any, dict[str, Any]]
"""Observation and info after a change, as after a reset."""


class Paintable(Protocol):
    """What a world offers that can be painted on."""

    def repaint(self, mask_HW: Mask, pasted_HWC: Frame | None = None) -> Changed:
        """Change the current picture."""

    def reanchor(self) -> Changed:
        """Go on from a recorded picture."""


class Brush:
    """Marks pixels of a picture while the mouse is down.

    Attributes:
        mask: what has been marked, None while the mouse is up.
        chosen: name of what a right click puts.
        strokes: counts changes of the mask.
    """

    def __init__(self) -> None:
        self.mask: Mask | None = None
        self.chosen = palette.names()[0]
        self.strokes = 0
        self._last: Place | None = None

    @staticmethod
    def pixel(window: tuple[int, int], picture: pygame.Rect, shape: tuple[int, ...]) -> Place:
        """Column and row of the frame under a place in the window; outside the picture, the nearest."""
        column = (window[0] - picture.left) / picture.width * shape[1]
        row = (window[1] - picture.top) / picture.height * shape[0]
        return float(np.clip(column, 0, shape[1] - 1)), float(np.clip(row, 0, shape[0] - 1))

    def down(self, place: Place, shape: tuple[int, ...]) -> None:
        """The mouse went down."""
        self.mask, self._last = np.zeros(shape[:2], np.bool_), place
        self.move(place)

    def move(self, place: Place) -> None:
        """The mouse moved; nothing while it is up."""
        if self.mask is None or self._last is None:
            return
        canvas = self.mask.astype(np.uint8)
        begin, end = ((round(column), round(row)) for column, row in (self._last, place))
        cv2.line(canvas, begin, end, 1, 2 * round(BRUSH_SHARE * len(canvas)) + 1)
        self.mask, self._last = canvas > 0, place
        self.strokes += 1

    def up(self) -> Mask | None:
        """The mouse went up: what it marked."""
        mask, self.mask, self._last = self.mask, None, None
        self.strokes += 1
        return mask

    def choose(self, steps: int) -> str:
        """Another thing to put, round and round."""
        names = palette.names()
        self.chosen = names[(names.index(self.chosen) + steps) % len(names)]
        return self.chosen


class Painting:
    """What was painted in the window and is still to be done.

    Attributes:
        held: the world's time stands still while somebody paints.
        why_not: why nothing can be painted here; empty where it can.
    """

    def __init__(self) -> None:
        self.held = False
        self.why_not = "the world is still loading"
        self._wishes: queue.SimpleQueue[Callable[[Paintable, Frame], Changed]] = queue.SimpleQueue()

    def set_up(self, world: object, recording: bool) -> None:
        """A world is there. A recording has to be driven again by its actions alone."""
        able = "" if hasattr(world, "repaint") else "this world can't be painted on"
        self.why_not = "no painting while recording" if recording else able

    def erase(self, mask: Mask) -> None:
        """Take away what is marked."""
        self._wishes.put(lambda world, frame: world.repaint(mask))

    def put(self, name: str, place: Place) -> None:
        """Something stands at a place from now on."""
        self._wishes.put(lambda world, frame: world.repaint(*palette.put(frame, name, *place)))

    def reanchor(self) -> None:
        """Go on from a recorded picture."""
        self._wishes.put(self._reanchor)

    def _reanchor(self, world: Paintable, frame: Frame) -> Changed:
        if self.why_not:
            raise ValueError(self.why_not)
        if not hasattr(world, "reanchor"):
            raise ValueError("this world has no recorded pictures to go on from")
        return world.reanchor()

    @property
    def wanted(self) -> bool:
        """Whether there is something to do."""
        return not self._wishes.empty()

    def apply(self, world: Paintable, frame: Frame, ended: str) -> Changed:
        """Do the next of it on the current frame: observation and info after it.

        Raises:
            ValueError: the world can't be painted on, and says why, or the episode has `ended`.
        """
        wish = self._wishes.get()
        if ended:
            raise ValueError("the drive has ended: Backspace goes back")
        return wish(world, frame)


class Easel:
    """What the mouse does over the picture.

    Args:
        painting: takes what was painted.
        say: tells the driver something.

    Attributes:
        picture: where in the window the frame is.
        shape: of the frame.
    """

    def __init__(self, painting: Painting, say: Callable[[str], None]) -> None:
        self.picture, self.shape = pygame.Rect(0, 0, 1, 1), (1, 1)
        self.brush = Brush()
        self._painting, self._say = painting, say

    def stroke(self, place: tuple[int, int], what: str) -> None:
        """Time stands still while the brush is down; what it marked is gone when it goes up."""
        brush = self.brush
        if what == "down":
            if self._can_paint(place):
                brush.down(self._pixel(place), self.shape)
        elif what == "move":
            brush.move(self._pixel(place))
        elif (mask := brush.up()) is not None:
            self._painting.erase(mask)
        self._painting.held = brush.mask is not None

    def put(self, place: tuple[int, int]) -> None:
        """Stand the chosen thing there."""
        if self._can_paint(place):
            self._painting.put(self.brush.chosen, self._pixel(place))

    def choose(self, steps: int) -> None:
        """Another thing to put."""
        if self._can_paint(self.picture.center):
            self._say(f"a right click puts: {self.brush.choose(steps)}")

    def _can_paint(self, place: tuple[int, int]) -> bool:
        """Whether one can there; where the world is why not, that is said to the driver."""
        if not self.picture.collidepoint(place):
            return False
        if self._painting.why_not:
            self._say(self._painting.why_not)
        return not self._painting.why_not

    def _pixel(self, place: tuple[int, int]) -> Place:
        return self.brush.pixel(place, self.picture, self.shape)
