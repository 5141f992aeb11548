"""Synthetic drives: a bar that each action moves by a known amount, so that pixels prove the order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from simulator.recording.episode import EpisodeWriter

BAR_PX = 8
STEPS = 4  # steer +-1 moves the bar by this many bar widths
META = {"source": "truth", "dt_s": 0.1, "split": "train", "seed": 7}


def bar_frame(position: int) -> NDArray[np.uint8]:
    """A white bar on grey at `position` bar widths from the left, wrapped around."""
    frame = np.full((128, 256, 3), 60, np.uint8)
    left = position % (256 // BAR_PX) * BAR_PX
    frame[:, left : left + BAR_PX] = 230
    return frame


def bar_position(frame: NDArray[np.uint8]) -> int:
    """Where the bar of a (decoded) frame is."""
    return int(frame.astype(float).mean(axis=(0, 2)).reshape(-1, BAR_PX).mean(1).argmax())


def moves(steer: float) -> int:
    """Bar widths that an action moves the bar."""
    return round(float(steer) * STEPS)


def write_drive(
    path: Path,
    steers: Sequence[float],
    start: int = 3,
    split: str = "train",
    classes: bool = False,
) -> Path:
    """Record a drive in which frame t+1 is frame t moved by action t."""
    position = start
    with EpisodeWriter(path, {**META, "split": split}) as writer:
        for step, steer in enumerate([*steers, None]):
            writer.add(
                bar_frame(position),
                None if steer is None else np.array([steer, 0.0], np.float32),
                state={"speed_mps": 10.0 + step, "collision": False},
                reward=float(step),
                reward_terms={"progress": 0.5},
                classes=np.full((128, 256), step % 8, np.uint8) if classes else None,
            )
            position += moves(steer or 0.0)
    return path
