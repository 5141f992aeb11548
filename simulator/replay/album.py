"""What `dreamlane watch` has to show: recordings and training samples as places on the window's menu."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from simulator.recording.episode import RecordingError, episode_paths, read_episode, read_meta
from simulator.replay.pictures import labelled, side_by_side
from simulator.replay.player import Shown, register
from simulator.replay.produce import as_recorded

SAMPLES = ("rollout_*.png", "steering_*.png", "sample_*.png")
"""What a run of `dreamlane train` leaves in its folder."""

Frame = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Shot:
    """Something to look at; a place for the window's menu."""

    world: str
    scenario: str
    about: str
    picture: Callable[[int], Frame | None]
    shown: Callable[[], Shown]
    env_id: str = field(default_factory=register)
    options: Mapping[str, Any] = field(default_factory=dict)
    seeded: bool = False
    weathers: Sequence[str] = ()

    @property
    def env_arguments(self) -> Mapping[str, Any]:
        """What the window makes its world of."""
        return {"shown": self.shown}

    def options_in(self, weather: str) -> Mapping[str, Any]:
        """What was recorded has its weather."""
        return self.options


def album(folders: Sequence[Path]) -> list[Shot]:
    """All recordings and samples in these folders and below; two recordings are also shown side by side.

    Raises:
        RecordingError: nothing there.
    """
    recordings = [path for folder in folders for path in episode_paths(folder)]
    shots = [shot for path in recordings if (shot := _recording(path)) is not None]
    if len(recordings) == len(folders) == 2:
        shots.insert(0, _both(*recordings))
    for folder in folders:
        for run in sorted({p.parent for pattern in SAMPLES for p in folder.rglob(pattern)}):
            shots += [_samples(run, p) for p in SAMPLES if any(run.glob(p))]
    if not shots:
        raise RecordingError(
            f"nothing to watch in {', '.join(map(str, folders))}: neither recordings (`dreamlane play"
            f" --record FOLDER`, `dreamlane collect`) nor samples of a run of `dreamlane train`"
        )
    return shots


def readable(shot: Shot) -> bool:
    """Whether it can be shown, as far as its first picture tells."""
    try:
        return shot.picture(0) is not None
    except (OSError, ValueError):
        return False


def _recording(path: Path) -> Shot | None:
    try:
        meta = read_meta(path)
    except RecordingError as error:
        print(f"left out: {error}")
        return None
    length_s = meta["frames"] * float(meta["dt_s"])
    scenario = str(meta.get("scenario") or path.name)
    driver = meta.get("driver") or "unknown driver"
    about = (
        f"{path.name}: {scenario}, {driver}, {length_s:.0f} s, {meta['source']}, {meta['split']}"
    )

    def picture(seed: int) -> Frame | None:
        try:
            return next(read_episode(path).iterate_frames(), None)
        except RecordingError:
            return None  # its place is shown, and why it is damaged when it is opened

    def shown() -> Shown:
        return as_recorded(read_episode(path), 0, None, None)

    return Shot(path.parent.name, path.name, about, picture, shown)


def _both(left: Path, right: Path) -> Shot:
    def shown() -> Shown:
        first, second = (as_recorded(read_episode(path), 0, None, None) for path in (left, right))
        names = left.name, right.name
        dt_s = float(read_meta(left)["dt_s"])
        pictures = side_by_side(first.frames, second.frames, names, dt_s)
        last = len(first.infos) - 1
        rows = [min(t, last) for t in range(len(pictures))]
        times = [{"time_s": t * dt_s} for t in range(len(pictures))]
        infos = [{**first.infos[row], **time_s} for row, time_s in zip(rows, times, strict=True)]
        generated = {first.description["generated"], second.description["generated"]}
        described = {"world": " | ".join(names), "generated": "yes" if "yes" in generated else "no"}
        rewards = [first.rewards[row] for row in rows]
        return Shown(pictures, infos, first.actions, rewards, described)

    about = f"{left.name} and {right.name} side by side; numbers are of the first"

    def picture(seed: int) -> Frame:
        first, second = ([next(read_episode(path).iterate_frames())] for path in (left, right))
        return side_by_side(first, second, (left.name, right.name), 0.1)[0]

    return Shot("side by side", "both", about, picture, shown)


def _samples(run: Path, pattern: str) -> Shot:
    """Pictures that a training run has left so far, oldest first; begun again, it looks again."""
    what = pattern.partition("_")[0]

    def files() -> list[Path]:
        return sorted(run.glob(pattern))

    def shown() -> Shown:
        read = []
        for path in files():
            with suppress(RecordingError):  # half written
                read.append(_labelled(path))
        if not read:
            raise RecordingError(f"none of the pictures {run / pattern} can be read")
        frames = [frame for frame in read if frame.shape == read[-1].shape]
        still = np.zeros((len(frames), 2), np.float32)
        infos = [{"scenario": what, "time_s": float(t)} for t in range(len(frames))]
        described = {"world": f"{what}s of {run.name}", "generated": "yes"}
        return Shown(frames, infos, still, [0.0] * len(frames), described)

    latest = files()[-1]
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(latest.stat().st_mtime))
    about = f"{len(files())} {what}s, the latest, {latest.name}, of {when}"
    return Shot(f"run {run.name}", what, about, lambda seed: _read(files()[-1]), shown)


def _read(path: Path) -> Frame:
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    if picture is None:
        raise RecordingError(f"{path} is no picture that can be read")
    frame: Frame = np.asarray(picture, np.uint8)
    return frame


def _labelled(path: Path) -> Frame:
    step = path.stem.rpartition("_")[2].lstrip("0") or "0"
    return labelled(_read(path), f"step {step}")
