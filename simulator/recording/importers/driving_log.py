"""Reads what Udacity's simulator writes: `driving_log.csv` and a folder `IMG` of JPEG pictures.

A row names three pictures and tells steering, throttle, brake and speed; when it was taken stands in the
pictures' names. Of the pictures the centre camera's are taken, at ten a second.
"""

from __future__ import annotations

import csv
import re
from datetime import datetime
from pathlib import Path, PureWindowsPath

import cv2
import numpy as np
from numpy.typing import NDArray

from simulator.ego import DT_S
from simulator.recording.errors import RecordingError

LOG, PICTURES = "driving_log.csv", "IMG"
COLUMNS = ("center", "left", "right", "steering", "throttle", "brake", "speed")
STAMP = re.compile(r"(\d{4}_\d{2}_\d{2}_\d{2}_\d{2}_\d{2}_\d{3})\.jpe?g$", re.IGNORECASE)
PAUSE_S = 0.3
"""After a longer one another drive begins."""

LOG_NOTES = {
    "licence": "the driver's; of Udacity's sample drive MIT, Copyright (c) 2017-2018 Udacity, Inc.",
    "origin": "a drive in Udacity's simulator, centre camera",
    "camera": {"note": "scaled to 128x256", "rate_hz": 10.0},
}

Table = dict[str, NDArray[np.float64]]


class DrivingLog:
    """A log's table, in the form of `actions.csv` (docs/recordings.md), and its pictures.

    Raises:
        RecordingError: a row, a picture's name or a picture is missing or can't be read; names it.
    """

    def __init__(self, folder: Path) -> None:
        self.file = folder / LOG
        with self.file.open(newline="") as stream:
            rows = [[cell.strip() for cell in row] for row in csv.reader(stream) if row]
        if rows and rows[0][0] == COLUMNS[0]:  # later versions leave the heading out
            rows = rows[1:]
        if len(rows) < 2:
            raise RecordingError(f"{self.file} has {len(rows)} rows; expected a drive")
        names = [row[0] for row in rows]
        time_s = np.array([self._taken(name) for name in names])
        try:
            numbers = np.array([[float(cell) for cell in row[3:7]] for row in rows])
        except ValueError as error:
            raise RecordingError(
                f"{self.file}: expected numbers behind the pictures ({error})"
            ) from error
        if numbers.shape != (len(rows), 4):
            raise RecordingError(f"{self.file}: expected the columns {', '.join(COLUMNS)}")
        steps = np.diff(time_s)
        segment = np.concatenate([[0], np.cumsum((steps > PAUSE_S) | (steps <= 0.0))])
        kept = ten_a_second(time_s, segment)
        self.pictures = [self._found(folder, names[i]) for i in kept]
        steering, throttle, brake, speed = numbers[kept].T
        self.table: Table = {
            "frame": np.arange(len(kept), dtype=np.float64),
            "segment": segment[kept].astype(np.float64),
            "time_s": time_s[kept] - time_s[0],
            "steering": steering,
            "speed": speed,
            "throttle": throttle,
            "brake": brake,
        }

    def read(self, number: int) -> NDArray[np.uint8]:
        """Picture of row `number`, (H, W, 3) BGR."""
        picture = cv2.imread(str(self.pictures[number]), cv2.IMREAD_COLOR)
        if picture is None:
            raise RecordingError(f"{self.pictures[number]} is missing or no JPEG picture")
        return np.asarray(picture, np.uint8)

    def _taken(self, name: str) -> float:
        stamp = STAMP.search(name)
        if stamp is None:
            raise RecordingError(
                f"{self.file}: {name!r} doesn't say when it was taken; expected a name such as"
                " center_2016_12_01_13_30_48_287.jpg"
            )
        return datetime.strptime(stamp[1], "%Y_%m_%d_%H_%M_%S_%f").timestamp()

    @staticmethod
    def _found(folder: Path, name: str) -> Path:
        """Where the picture is: logs name it as it was on the machine that recorded it."""
        return folder / PICTURES / PureWindowsPath(name).name  # knows either kind of slash


def ten_a_second(time_s: NDArray[np.float64], segment: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows nearest to each tenth of a second since their segment began; none twice."""
    kept = []
    for number in np.unique(segment):
        rows = np.flatnonzero(segment == number)
        since = time_s[rows] - time_s[rows[0]]
        ticks = np.arange(0.0, since[-1] + 1e-6, DT_S)
        kept.append(rows[np.unique(np.abs(since[:, None] - ticks).argmin(0))])
    return np.concatenate(kept)
