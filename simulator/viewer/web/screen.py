"""Pictures on their way from the window to a page."""

from __future__ import annotations

import statistics
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import pygame

QUALITY = 85
TIMED_PICTURES = 600


@dataclass(frozen=True, slots=True)
class Picture:
    """One state of the window."""

    jpeg: bytes
    number: int
    drawn_s: float


class Screen:
    """The window's latest picture, compressed while somebody watches.

    The window's thread calls `publish`, the server's everything else.
    """

    def __init__(self) -> None:
        self.latest: Picture | None = None
        self.size = (1, 1)  # width and height of the window, pixels
        self._number = 0
        self._wake: Callable[[], object] | None = None
        self._lock = threading.Lock()
        self._taken_ms: deque[float] = deque(maxlen=TIMED_PICTURES)

    def watch(self, wake: Callable[[], object] | None) -> None:
        """Call `wake`, in the window's thread, at each new picture; None: nobody watches."""
        with self._lock:
            self._wake, self.latest = wake, None

    def publish(self, surface: pygame.Surface) -> None:
        """The window has drawn."""
        drawn_s = time.perf_counter()
        self.size = surface.get_size()
        if self._wake is None:
            return
        width, height = self.size
        rgb = np.frombuffer(pygame.image.tobytes(surface, "RGB"), np.uint8)
        bgr = cv2.cvtColor(rgb.reshape(height, width, 3), cv2.COLOR_RGB2BGR)
        _, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        with self._lock:
            self._number += 1
            if self._wake is not None:
                self.latest = Picture(jpeg.tobytes(), self._number, drawn_s)
                self._wake()

    def seen(self, picture: Picture) -> None:
        """The page has shown it."""
        self._taken_ms.append(1000 * (time.perf_counter() - picture.drawn_s))

    @property
    def taken_ms(self) -> float | None:
        """From a drawn window to a page that has shown it and said so: the median of the last ones."""
        return statistics.median(self._taken_ms) if self._taken_ms else None
