"""Size and camera of a world model, of any family, and what of its car is carried along."""

from __future__ import annotations

import math
from dataclasses import dataclass

from world_model.families.reprojection import CameraConfig


@dataclass(frozen=True, slots=True)
class WorldConfig:
    """Size of the transformer, and the camera.

    Raises:
        ValueError: a width that the heads can't share evenly, or what is carried along lacks what it needs.
    """

    width: int = 256
    depth: int = 6
    heads: int = 8
    steps: int = 4  # passes a frame, of family `dit` alone
    camera: CameraConfig | None = None  # None: unknown, nothing is moved
    road: bool = False  # the place on the road is carried along, see `families.road`
    # where it is: the share of the difference to the place shown that each foreseen picture makes up for
    place_gain: float = 0.0
    lead: bool = False  # the vehicle ahead is carried along, see `families.lead`
    # once round the closed course whose places are carried along, see `families.course`; 0: none
    course_m: float = 0.0

    def __post_init__(self) -> None:
        least = min(self.depth, self.heads, self.width, self.steps)
        if least < 1 or self.width % self.heads:
            raise ValueError(
                f"width={self.width}, depth={self.depth}, heads={self.heads}, steps={self.steps}; accepted:"
                " positive, the width a multiple of the heads"
            )
        if not 0 <= self.place_gain <= 1 or (self.place_gain and not self.road):
            raise ValueError(
                f"place_gain={self.place_gain} with road={self.road}; accepted: 0 to 1, and above 0 only with"
                " road=True: a place that isn't carried can't differ from the one shown"
            )
        if not 0 <= self.course_m < math.inf:
            raise ValueError(
                f"course_m={self.course_m}; accepted: 0 (no course) or its length in metres"
            )
        if self.lead and not (self.road and self.camera):
            raise ValueError(
                "lead=True; accepted only with road=True and a camera: they say where a vehicle ahead is seen"
            )
