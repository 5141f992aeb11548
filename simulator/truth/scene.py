"""The reference world as the camera sees it: plain geometry, no behaviour.

The frontier between who lays out and moves the world (`road`, `traffic`, `world`) and who draws it
(`camera`). Coordinates are metres in a right-handed frame: x east, y north, z up; angles are radians,
counter-clockwise. HighwayEnv's y axis points down: `world` converts before anything arrives here.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

WEATHERS = ("day", "overcast", "sunset", "fog", "rain", "night")


class Line(enum.IntEnum):
    """What is painted along one side of a lane."""

    NONE = 0
    DASHED = 1
    SOLID = 2
    DOUBLE = 3
    """Two solid yellow lines: the centre of a two-way road."""
    DASHED_YELLOW = 4


class PixelClass(enum.IntEnum):
    """What a pixel of the class mask shows."""

    SKY = 0
    GROUND = 1
    ROAD = 2
    LINE = 3
    VEHICLE = 4
    VEGETATION = 5
    BUILDING = 6
    POST = 7


class Body(enum.IntEnum):
    """Vehicle shapes the camera can draw."""

    CAR = 0
    VAN = 1
    TRUCK = 2


BODY_SIZE_M = {Body.CAR: (4.6, 1.85, 1.45), Body.VAN: (5.4, 2.0, 2.3), Body.TRUCK: (9.0, 2.5, 3.4)}
"""Length, width, height."""


@dataclass(frozen=True, slots=True)
class LaneStrip:
    """One lane's surface and paint. Left and right are seen in the direction of travel."""

    points_xy_m: Floats  # (N, 2), centre line in the direction of travel, 1-4 m apart
    heading_rad: Floats  # (N,)
    width_m: float | Floats  # one for all points, or (N,)
    left_line: Line
    right_line: Line
    bare: bool = False  # asphalt only: no wheel tracks, no gravel beside it


@dataclass(frozen=True, slots=True)
class Hills:
    """A sum of three sine waves; `waves` is (3, 4): amplitude_m, k_x, k_y (rad/m), phase."""

    waves: Floats = field(default_factory=lambda: np.zeros((3, 4)))

    def height_m(self, x_m: Floats, y_m: Floats) -> Floats:
        """Ground height at points of any common shape."""
        x, y = np.asarray(x_m, float), np.asarray(y_m, float)
        total = np.zeros(np.broadcast(x, y).shape)
        for amplitude, k_x, k_y, phase in self.waves:
            total = total + amplitude * np.sin(k_x * x + k_y * y + phase)
        return total


@dataclass(frozen=True, slots=True)
class Scenery:
    """Things beside the road, one row each."""

    trees: Floats = field(default_factory=lambda: np.zeros((0, 4)))  # x, y, height_m, kind 0..3
    buildings: Floats = field(
        default_factory=lambda: np.zeros((0, 7))
    )  # x, y, yaw_rad, length_m, width_m, height_m, tint 0..1
    posts: Floats = field(default_factory=lambda: np.zeros((0, 2)))  # x, y: reflector posts


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that stays where it is for a whole episode."""

    lanes: tuple[LaneStrip, ...]
    hills: Hills
    scenery: Scenery
    weather: str  # one of WEATHERS
    seed: int  # varies sun, clouds, asphalt and grass from one episode to the next


@dataclass(frozen=True, slots=True)
class Actors:
    """All other vehicles at one instant, one row each."""

    pose: Floats  # (N, 3): x, y, yaw
    body: NDArray[np.int64]  # (N,): Body
    colour_rgb: Floats  # (N, 3) in 0..1
    braking: NDArray[np.bool_]  # (N,)
    size_m: Floats | None = None  # (N, 3): length, width, height; None: as `BODY_SIZE_M` has them


@dataclass(frozen=True, slots=True)
class View:
    """Where the ego stands at one instant and who is around. The camera adds its own mounting."""

    x_m: float
    y_m: float
    yaw_rad: float
    pitch_rad: float  # nose up positive: suspension only, the grade of the road comes from Hills
    actors: Actors
