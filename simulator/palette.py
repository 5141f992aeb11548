"""Things to put into a picture: cut out of frames of the reference world, made as large as they are far away.

Shapes: H W picture.
"""

from __future__ import annotations

import json
import math
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from simulator.assets import assets_dir

HORIZON_ROW = 61.0  # of 128
"""Of the reference camera's pictures (80 degrees wide, 0.02 rad down): what stands there is endlessly far."""

FOCAL_PX, CAMERA_M = 64.0 / math.tan(math.radians(40.0)) * 2, (1.35, 2.0)
"""Of the same pictures: pixels to a tangent of 1; the camera's height, and its way to the car's front."""

NEAREST, FARTHEST = 3.0, 0.15  # times as large as it was cut out


@cache
def _rows() -> dict[str, int]:
    """What there is, and the row of its frame that it stood on."""
    told = json.loads((assets_dir() / "palette" / "palette.json").read_text())
    return {name: int(about["bottom_row"]) for name, about in told.items()}


def names() -> tuple[str, ...]:
    """What there is to put."""
    return tuple(_rows())


@cache
def _cutout(name: str) -> NDArray[np.uint8]:
    """(h, w, 4) in the order of OpenCV."""
    if name not in names():
        raise ValueError(f"nothing called {name!r} to put; accepted: {', '.join(names())}")
    picture = cv2.imread(str(assets_dir() / "palette" / f"{name}.png"), cv2.IMREAD_UNCHANGED)
    assert picture is not None
    return np.asarray(picture, np.uint8)


def seen_at(
    distance_m: float, lane_offset_m: float, heading_error_rad: float, curvature_1pm: float
) -> tuple[float, float]:
    """Column and row, in pixels of a picture 256 wide, at which something stands in the middle of the lane.

    Args:
        distance_m: from the car's front.
        lane_offset_m, heading_error_rad, curvature_1pm: the car's place, as `EgoState` has it.
    """
    height_m, front_m = CAMERA_M
    away_m = distance_m + front_m
    right = lane_offset_m / away_m + heading_error_rad - curvature_1pm * away_m / 2
    return 128.0 + FOCAL_PX * right, HORIZON_ROW + FOCAL_PX * height_m / away_m


def put(
    frame_HWC: NDArray[np.uint8], name: str, column: float, row: float, light: float = 1.0
) -> tuple[NDArray[np.bool_], NDArray[np.uint8]]:
    """The picture with something standing on the road at a place, and the mask of what it covers.

    Args:
        frame_HWC: uint8.
        name: one of `names()`.
        column: pixel of its middle.
        row: pixel on which it stands; at the horizon and above it is as far as things get.
        light: that falls on it; by day 1.

    Raises:
        ValueError: nothing of that name, or a place outside the picture.
    """
    height, width = frame_HWC.shape[:2]
    if not (0 <= column < width and 0 <= row < height):
        raise ValueError(f"place ({column}, {row}); accepted: inside {width}x{height} pixels")
    cutout = _cutout(name)
    below = height / 128
    size = (row / below - HORIZON_ROW) / (_rows()[name] - HORIZON_ROW)
    size = below * min(NEAREST, max(FARTHEST, size))
    h, w = (max(2, math.ceil(size * n)) for n in cutout.shape[:2])
    shown = cv2.resize(cutout, (w, h), interpolation=cv2.INTER_AREA)
    canvas = np.zeros((height + 2 * h, width + 2 * w, 4), np.uint8)  # it may stand out at the edges
    top, left = round(row) + 1, w + round(column - w / 2)  # the picture begins at (h, w)
    canvas[top : top + h, left : left + w] = shown
    seen = canvas[h : h + height, w : w + width]
    share = seen[..., 3:].astype(np.float32) / 255
    mixed = frame_HWC * (1 - share) + seen[..., 2::-1] * (share * light)
    return share[..., 0] > 0, mixed.round().clip(0, 255).astype(np.uint8)
