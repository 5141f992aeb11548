"""Re-anchoring: a dream that has come apart goes on from the most similar recorded start.

The drive goes on as it was, with its clock, its way and its scenario; picture, speed and what the model
remembers are the recorded start's. `info["reanchored"]` says so.
"""

from __future__ import annotations

from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from simulator.envs.contexts import Context, ContextLibrary
from simulator.envs.spaces import Frame

THUMBNAIL = (16, 8)  # columns and rows
GREYS_PER_MPS = 4.0
"""A start that is a metre per second faster or slower is as unlike as one so many grey levels off."""


class Anchors:
    """The recorded starts of a library, to be found by what they show.

    Args:
        library: read when the first is asked for.
    """

    def __init__(self, library: ContextLibrary) -> None:
        self._library = library

    @cached_property
    def _starts(self) -> list[Context]:
        return list(self._library.all())

    @cached_property
    def _thumbnails(self) -> NDArray[np.float32]:
        return np.stack([thumbnail(start.frames_THWC[-1]) for start in self._starts])

    def nearest(self, frame_HWC: Frame | None, speed_mps: float) -> Context:
        """The start whose last frame and speed are most like these; what isn't known doesn't count.

        Raises:
            ValueError: there are none.
        """
        if not self._starts:
            raise ValueError(
                f"no recorded start in {self._library.root} to go on from"
                " (`dreamlane collect --contexts` records them)"
            )
        apart = np.zeros(len(self._starts))
        if frame_HWC is not None:
            apart += np.abs(self._thumbnails - thumbnail(frame_HWC)).mean((1, 2, 3))
        if np.isfinite(speed_mps):
            speeds = np.array([start.ego_TE[-1, 0] for start in self._starts])
            apart += GREYS_PER_MPS * np.abs(speeds - speed_mps)
        return self._starts[int(apart.argmin())]


def thumbnail(frame_HWC: Frame) -> NDArray[np.float32]:
    """The picture's coarse colours."""
    return cv2.resize(frame_HWC, THUMBNAIL, interpolation=cv2.INTER_AREA).astype(np.float32)
