"""Small class masks for training: half the camera's resolution, thin things kept."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CLASS_SHAPE = (64, 128)

# What a pixel of the small class mask shows when its block disagrees: the first that occurs.
# VEHICLE, POST, LINE, then the classes that rarely compete. Numbers are scene.PixelClass.
_CLASS_PRIORITY = np.array([0, 1, 2, 5, 7, 3, 4, 6], np.uint8)  # class -> rank
_CLASS_BY_RANK = np.argsort(_CLASS_PRIORITY).astype(np.uint8)


def shrink_classes(classes_HW: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Halve a (128, 256) class mask to (64, 128); thin and rare classes win their 2x2 block."""
    rank = _CLASS_PRIORITY[classes_HW]
    rank = np.maximum(rank[0::2], rank[1::2])
    return _CLASS_BY_RANK[np.maximum(rank[:, 0::2], rank[:, 1::2])]
