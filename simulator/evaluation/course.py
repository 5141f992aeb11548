"""Where on a closed course a drive is, by what its pictures look like, and whether it got round.

A drive that went round more than once teaches the course: pictures that look alike and lie a long way apart
are the same place, and the shortest such way is one lap. The pictures of two seconds are then compared with
all places at once, each moved on by what was driven meanwhile: the best fit is where the drive is.

Shapes: N recorded frames, T frames of a drive, G places, F features, H W picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from simulator.ego import DT_S

Frames = NDArray[np.uint8]
Floats = NDArray[np.float64]

SEEN = (32, 16)  # pixels, wide and high: places, not details
PLACE_M = 4.0
NEAR_M = 150.0  # what lies nearer looks alike because it is near
WINDOW_S = 2.0
NOISE = 5.0  # of 255: what varies less tells no place
JUMP_M = 40.0
"""A drive whose place changes by this much more or less than was driven has gone elsewhere."""


class CourseError(ValueError):
    """Drives that teach no closed course."""


def looks(frames_THWC: Frames) -> NDArray[np.float32]:
    """What a place looks like from afar: (T, F), small pictures in CIELAB."""
    small = [
        cv2.resize(
            cv2.cvtColor(np.ascontiguousarray(f), cv2.COLOR_RGB2LAB),
            SEEN,
            interpolation=cv2.INTER_AREA,
        )
        for f in frames_THWC
    ]
    return np.stack(small).reshape(len(small), -1).astype(np.float32)


def driven(speed_T: NDArray[np.floating]) -> Floats:
    """Metres since the first frame, (T,)."""
    steps = np.nan_to_num(speed_T[:-1]).astype(np.float64) * DT_S
    return np.concatenate([[0.0], np.cumsum(steps)])


@dataclass(frozen=True)
class Round:
    """How a drive went, second by second."""

    driven_m: Floats
    place_m: Floats  # along the lap
    unlike: Floats  # mean distance of its pictures from those of the place
    lap_m: float

    @property
    def unbroken_m(self) -> float:
        """The longest way along the course, as the pictures tell it, without being elsewhere all at once."""
        ahead = np.diff(self.driven_m)
        went = np.diff(self.place_m)
        went -= self.lap_m * np.round((went - ahead) / self.lap_m)
        longest = way = 0.0
        for step, due in zip(went, ahead, strict=True):
            way = way + float(step) if abs(step - due) < JUMP_M else 0.0
            longest = max(longest, way)
        return longest

    @property
    def laps(self) -> float:
        """The same in laps."""
        return self.unbroken_m / self.lap_m


class Course:
    """A closed course as a recorded drive shows it.

    Args:
        looks_NF: of one unbroken recorded drive.
        driven_N: metres, rising.

    Raises:
        CourseError: the drive never came back to where it had been.
    """

    def __init__(self, looks_NF: NDArray[np.float32], driven_N: Floats) -> None:
        self.mean_F, self.size_F = looks_NF.mean(0), looks_NF.std(0) + NOISE
        self.looks_NF = (looks_NF - self.mean_F) / self.size_F
        self.lap_m = self._lap(driven_N)
        places = round(self.lap_m / PLACE_M)
        self.place_N = (driven_N % self.lap_m / self.lap_m * places).astype(int) % places
        self.places = places

    def _lap(self, driven_N: Floats) -> float:
        ways, fits = [], []
        for i in np.linspace(0, len(driven_N) - 1, 60).astype(int):
            far = np.flatnonzero(np.abs(driven_N - driven_N[i]) > NEAR_M)
            if len(far):
                unlike = np.square(self.looks_NF[far] - self.looks_NF[i]).mean(1)
                best = int(unlike.argmin())
                ways.append(abs(driven_N[far[best]] - driven_N[i]))
                fits.append(float(unlike[best]))
        if not ways:
            raise CourseError(f"a drive of {driven_N[-1]:.0f} m is too short to be a closed course")
        good = np.array(ways)[np.array(fits) <= np.median(fits)]
        lap = float(np.median(good[good < 1.2 * good.min()]))
        laps = good / lap
        if np.mean(np.abs(laps - np.round(laps)) < 0.05) < 0.8:
            raise CourseError(
                f"places that look alike lie {np.round(good).astype(int).tolist()} m apart: not one lap's"
                " multiples, so these drives went round no closed course"
            )
        return lap

    def unlikeness(self, looks_TF: NDArray[np.float32]) -> NDArray[np.float32]:
        """Of each picture from each place, (T, G)."""
        out = np.full((len(looks_TF), self.places), np.inf, np.float32)
        for t, seen in enumerate((looks_TF - self.mean_F) / self.size_F):
            unlike_N = np.square(self.looks_NF - seen).mean(1)
            np.minimum.at(out[t], self.place_N, unlike_N)
        seldom = np.isinf(out)  # places between two recorded frames
        out[seldom] = out[~seldom].max(initial=0.0)
        return out

    def follow(self, frames_THWC: Frames, speed_T: NDArray[np.floating]) -> Round:
        """Where a drive was, each second.

        Raises:
            ValueError: it is shorter than the window that tells a place.
        """
        window, second = round(WINDOW_S / DT_S), round(1 / DT_S)
        if len(frames_THWC) < window:
            raise ValueError(f"{len(frames_THWC)} frames; a place takes at least {window}")
        unlike_TG, driven_T = self.unlikeness(looks(frames_THWC)), driven(speed_T)
        step = self.lap_m / self.places
        found = []
        for begin in range(0, len(frames_THWC) - window + 1, second):
            total_G = np.zeros(self.places)
            for t in range(begin, begin + window):
                on = round((driven_T[t] - driven_T[begin]) / step)
                total_G += np.roll(unlike_TG[t], -on)
            best = int(total_G.argmin())
            found.append((driven_T[begin], best * step, total_G[best] / window))
        driven_m, place_m, unlike = np.array(found).T
        return Round(driven_m, place_m, unlike, self.lap_m)
