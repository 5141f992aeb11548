"""Imports Udacity's two recorded drives (a real highway, a simulated lake track) as episodes.

Source folders hold `actions.csv` and shards `frames_NN.npz` of JPEG pictures, or what the simulator itself
writes (`driving_log`); units are converted to ours, labels that the source lacks stay absent, and both are
written down in each episode's meta.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from simulator.ego import DT_S, FULL_LOCK_RAD, WHEELBASE_M
from simulator.recording.episode import EpisodeWriter, episode_paths
from simulator.recording.errors import RecordingError
from simulator.recording.importers.driving_log import LOG, LOG_NOTES, DrivingLog

FRAME_HEIGHT, FRAME_WIDTH = 128, 256
EPISODE_S = 60.0
VAL_SHARE = 0.1

MKZ_STEERING_RATIO = 14.8
MKZ_THROTTLE_MPS2 = 3.5
MKZ_BRAKE_MPS2 = 8.0
LAKE_FULL_LOCK_RAD = np.deg2rad(25.0)
LAKE_FOLLOWED = 0.5
"""Share of a command that the lake's car follows within a tick: so its pictures shift (correlation with
the yaw rate 0.99; 0.78 with that of the frame's own command, `docs/training-log.md`)."""
MPH_TO_MPS = 0.44704

Floats = NDArray[np.float64]
Table = dict[str, Floats]


@dataclass(frozen=True, slots=True)
class Source:
    """One foreign data set: its columns, and how they become ours."""

    name: str
    columns: tuple[str, ...]
    stride: int  # source frames per 10 Hz tick; each phase becomes episodes of its own
    convert: Callable[[Table], tuple[Floats, Floats, Floats, Floats]]
    """-> steer, accelerate, speed_mps, and the steering that the car turns by as a frame is taken."""
    notes: dict[str, Any]


def _convert_highway(table: Table) -> tuple[Floats, Floats, Floats, Floats]:
    steer = table["steering"] / MKZ_STEERING_RATIO / FULL_LOCK_RAD
    accel = table["accel"]
    accelerate = np.where(accel >= 0, accel / MKZ_THROTTLE_MPS2, accel / MKZ_BRAKE_MPS2)
    return steer, accelerate, table["speed"], steer  # measured at the wheel


def _convert_lake(table: Table) -> tuple[Floats, Floats, Floats, Floats]:
    steer = -table["steering"] * LAKE_FULL_LOCK_RAD / FULL_LOCK_RAD
    turned = steer.copy()  # its log tells the command, which the car follows
    for row in np.flatnonzero(np.diff(table["segment"]) == 0) + 1:
        turned[row] = turned[row - 1] + LAKE_FOLLOWED * (steer[row - 1] - turned[row - 1])
    accelerate = table["throttle"] - table["brake"]
    return steer, accelerate, table["speed"] * MPH_TO_MPS, turned


HIGHWAY = Source(
    name="udacity_highway",
    columns=("frame", "segment", "time_s", "steering", "speed", "accel"),
    stride=2,
    convert=_convert_highway,
    notes={
        "source": "real",
        "licence": "MIT, Copyright (c) 2016 Udacity. "
        '"Datasets are released under MIT" (Udacity self-driving-car Challenge 2)',
        "origin": "Udacity self-driving-car Challenge 2, Lincoln MKZ, centre camera, "
        "San Francisco Bay Area, 2016-11-17",
        "camera": {"note": "640x480 cropped to rows 120..440, then 2:1", "rate_hz": 20.0},
        "conversion": {
            "steer": f"steering-wheel angle / {MKZ_STEERING_RATIO} / {FULL_LOCK_RAD} rad, "
            "mean over the tick",
            "accelerate": f"acceleration / {MKZ_THROTTLE_MPS2} m/s^2 (throttle) or "
            f"/ {MKZ_BRAKE_MPS2} m/s^2 (brake), mean over the tick: not a pedal",
            "frames": "every second one of 20 Hz; `phase` says which",
        },
    },
)

LAKE = Source(
    name="udacity_lake",
    columns=("frame", "segment", "time_s", "steering", "speed", "throttle", "brake"),
    stride=1,
    convert=_convert_lake,
    notes={
        "source": "simulated",
        "licence": "MIT, Copyright (c) 2017-2018 Udacity, Inc. (CarND-Behavioral-Cloning-P3)",
        "origin": "sample drive of Udacity's simulator, track 1, centre camera",
        "camera": {"note": "96x192 enlarged to 128x256 (cv2.INTER_CUBIC)", "rate_hz": 10.0},
        "conversion": {
            "steer": f"-steering * {LAKE_FULL_LOCK_RAD:.6f} / {FULL_LOCK_RAD} rad "
            "(the source counts right positive)",
            "accelerate": "throttle - brake",
            "speed_mps": f"mph * {MPH_TO_MPS}",
            "yaw_rate_radps": f"by the steering of the frames before, of which the car follows "
            f"{LAKE_FOLLOWED} within a tick",
        },
    },
)

SOURCES = {"udacity-highway": HIGHWAY, "udacity-lake": LAKE}


def import_drives(
    source: Source, folder: Path, output: Path, progress: Callable[[int], None] = lambda n: None,
    name: str = "",
) -> list[Path]:  # fmt: skip
    """Write the drives in `folder` as 10 Hz episodes `output/<name>/...`; return all their paths.

    Without a `name` the set has the source's.

    Each stretch of consecutive frames is cut at about `EPISODE_S`; its last `VAL_SHARE` of time is
    split "val" in every phase, so that no picture of it is ever seen in training. Episodes that
    exist are kept, so an interrupted import goes on where it stopped. `progress` is called with the
    number of frames just written.

    Raises:
        RecordingError: the folder lacks something, or the disk refuses.
    """
    pictures: DrivingLog | _Pictures
    if source is LAKE and (folder / LOG).is_file():
        pictures = DrivingLog(folder)
        table, source = pictures.table, replace(source, notes={**source.notes, **LOG_NOTES})
    else:
        table = _read_table(folder / "actions.csv", source.columns)
        pictures = _Pictures(folder)
    root = output / (name or source.name)
    written = []
    for part, rows, meta in _plan(source, table):
        path = root / part
        written.append(path)
        if not path.exists():
            _write_episode(source, path, rows, {**meta, "set": root.name}, table, pictures)
            progress(len(rows))
    stale = set(episode_paths(root)) - set(written)
    if stale:
        raise RecordingError(f"{sorted(stale)[0]} is of another import; delete {root} and repeat")
    return written


def _plan(source: Source, table: Table) -> Iterator[tuple[str, NDArray[np.int64], dict[str, Any]]]:
    """Yield name, source rows and meta of each episode to be written."""
    time_s = table["time_s"]
    for segment in np.unique(table["segment"]):
        rows = np.flatnonzero(table["segment"] == segment)
        start_s, end_s = time_s[rows[0]], time_s[rows[-1]]
        border_s = end_s - VAL_SHARE * (end_s - start_s)
        pieces = max(1, round((border_s - start_s) / EPISODE_S))
        cuts_s = [*np.linspace(start_s, border_s, pieces + 1), np.inf]
        for piece in range(pieces + 1):
            inside = (time_s[rows] >= cuts_s[piece]) & (time_s[rows] < cuts_s[piece + 1])
            for phase in range(source.stride):
                chosen = rows[inside][phase :: source.stride]
                if len(chosen) < 2:  # no drive: a stretch of a second has no tenth to hold out
                    continue
                split = "val" if piece == pieces else "train"
                name = f"segment{int(segment):02d}_piece{piece:02d}_phase{phase}"
                yield name, chosen, {"split": split, "segment": int(segment), "phase": phase}


def _write_episode(
    source: Source,
    path: Path,
    rows: NDArray[np.int64],
    meta: dict[str, Any],
    table: Table,
    pictures: DrivingLog | _Pictures,
) -> None:
    steer, accelerate, speed, turned = source.convert(table)
    # The action after frame t lasts until frame t+1: the mean of the source's values in between.
    ends = np.append(rows[1:], rows[-1] + 1)
    actions = np.array(
        [(steer[a:b].mean(), accelerate[a:b].mean()) for a, b in zip(rows, ends, strict=True)]
    )
    clipped = int((np.abs(actions[:-1]) > 1).any(axis=1).sum())
    actions = np.clip(actions, -1.0, 1.0)
    yaw_rate = speed * np.tan(turned * FULL_LOCK_RAD) / WHEELBASE_M
    full_meta = {
        **source.notes,
        **meta,
        "dt_s": DT_S,
        "derived": {"yaw_rate_radps": f"speed_mps * tan(road-wheel angle) / {WHEELBASE_M} m"},
        "clipped_actions": clipped,
        "source_rows": [int(rows[0]), int(rows[-1])],
    }
    last = len(rows) - 1
    with EpisodeWriter(path, full_meta) as writer:
        for step, row in enumerate(rows):
            writer.add(
                _as_ours(pictures.read(int(table["frame"][row]))),
                None if step == last else actions[step],
                state={"speed_mps": speed[row], "yaw_rate_radps": yaw_rate[row]},
                time_s=float(table["time_s"][row]),
                truncated=step == last,
            )


class _Pictures:
    """Random access to the JPEG pictures of all shards of a folder."""

    def __init__(self, folder: Path) -> None:
        self._where: dict[int, tuple[Path, int]] = {}
        self._open: tuple[Path, NDArray[np.uint8], NDArray[np.int64]] | None = None
        shards = sorted(folder.glob("frames_*.npz"))
        if not shards:
            raise RecordingError(
                f"{folder} has no frames_NN.npz: give the unpacked data set's folder"
            )
        for shard in shards:
            try:
                with np.load(shard) as archive:
                    numbers = archive["frame"]
            except (OSError, ValueError, KeyError) as error:
                raise RecordingError(f"{shard} can't be read ({error}); fetch it again") from error
            self._where.update({int(n): (shard, i) for i, n in enumerate(numbers)})

    def read(self, number: int) -> NDArray[np.uint8]:
        """Frame `number`, (H, W, 3) BGR."""
        if number not in self._where:
            raise RecordingError(f"no shard holds frame {number}; fetch the data set again")
        shard, index = self._where[number]
        if self._open is None or self._open[0] != shard:
            with np.load(shard) as archive:
                self._open = (shard, archive["jpeg"], archive["offset"])
        _, jpeg, offset = self._open
        bgr = cv2.imdecode(jpeg[offset[index] : offset[index + 1]], cv2.IMREAD_COLOR)
        if bgr is None:
            raise RecordingError(f"{shard}: frame {number} is no JPEG picture; fetch it again")
        return np.asarray(bgr, np.uint8)


def _as_ours(bgr_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture of any size, (128, 256, 3) RGB."""
    height, width = bgr_HWC.shape[:2]
    if (height, width) != (FRAME_HEIGHT, FRAME_WIDTH):
        way = cv2.INTER_AREA if width > FRAME_WIDTH else cv2.INTER_CUBIC
        bgr_HWC = np.asarray(cv2.resize(bgr_HWC, (FRAME_WIDTH, FRAME_HEIGHT), interpolation=way))
    return np.ascontiguousarray(bgr_HWC[..., ::-1])


def _read_table(file: Path, columns: tuple[str, ...]) -> Table:
    try:
        with file.open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        table = {name: np.array([float(row[name]) for row in rows]) for name in columns}
    except FileNotFoundError as error:
        raise RecordingError(
            f"{file} doesn't exist: give the unpacked data set's folder"
        ) from error
    except (KeyError, TypeError, ValueError) as error:
        raise RecordingError(f"{file}: expected numbers in columns {columns} ({error})") from error
    if len(rows) < 2:
        raise RecordingError(f"{file} has {len(rows)} rows; expected a drive")
    return table
