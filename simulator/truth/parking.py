"""Parked cars along town streets: they never move, but they are seen and can be hit."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulator.truth.collision import Box
from simulator.truth.lane import CurveLane, Floats
from simulator.truth.scene import BODY_SIZE_M, Actors, Body
from simulator.truth.vehicle import draw_colour

SEEN_M = 110.0
_BUMPER_GAP_M = 1.0


@dataclass(frozen=True, slots=True)
class ParkedCars:
    """One row a car, as in `Actors`."""

    pose: Floats  # (N, 3)
    body: NDArray[np.int64]  # (N,)
    colour_rgb: Floats  # (N, 3)

    def near(self, x_m: float, y_m: float, range_m: float) -> NDArray[np.int64]:
        """Rows of the cars within a range."""
        away = np.hypot(self.pose[:, 0] - x_m, self.pose[:, 1] - y_m)
        return np.flatnonzero(away < range_m)

    def boxes_near(self, x_m: float, y_m: float, range_m: float = 10.0) -> list[Box]:
        """The rectangles of the cars within a range, by default those the ego could touch from here."""
        boxes = []
        for row in self.near(x_m, y_m, range_m):
            x, y, heading = self.pose[row].tolist()
            length, width, _ = BODY_SIZE_M[Body(int(self.body[row]))]
            boxes.append(Box(x, y, heading, length, width))
        return boxes

    def seen_with(self, moving: Actors, x_m: float, y_m: float) -> Actors:
        """The moving actors and the parked cars around a place."""
        rows = self.near(x_m, y_m, SEEN_M)
        return Actors(
            np.concatenate([moving.pose, self.pose[rows]]),
            np.concatenate([moving.body, self.body[rows]]),
            np.concatenate([moving.colour_rgb, self.colour_rgb[rows]]),
            np.concatenate([moving.braking, np.zeros(len(rows), np.bool_)]),
        )


def park(strips: list[CurveLane], cars_per_km: float, rng: np.random.Generator) -> ParkedCars:
    """Fill parking strips at random; `cars_per_km` counts both sides of the street together."""
    poses, bodies, colours = [], [], []
    per_m = cars_per_km / 1000.0 / max(len(strips), 1)
    for strip in strips:
        station = float(rng.uniform(5.0, 15.0))
        while per_m > 0.0 and station < strip.length - 10.0:
            body = Body.VAN if rng.random() < 0.15 else Body.CAR
            length = BODY_SIZE_M[body][0]
            gap = float(rng.exponential(max(1.0 / per_m - length - _BUMPER_GAP_M, 0.5)))
            station += _BUMPER_GAP_M + gap + length
            x, y = strip.position(station - length / 2, float(rng.uniform(-0.12, 0.12)))
            turned = math.pi if rng.random() < 0.1 else 0.0
            heading = strip.heading_at(station - length / 2) + turned + rng.uniform(-0.03, 0.03)
            poses.append((x, y, math.remainder(heading, math.tau)))
            bodies.append(int(body))
            colours.append(draw_colour(rng, body))
    return ParkedCars(
        np.array(poses, float).reshape(-1, 3),
        np.array(bodies, np.int64),
        np.array(colours, float).reshape(-1, 3),
    )
