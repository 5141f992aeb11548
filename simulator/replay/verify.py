"""Drives a recording again and compares every frame's hash: bit for bit, or the first difference by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.recording.episode import Episode
from simulator.replay.rerun import Rerun, RerunError, open_rerun

ROUNDING_GREY_LEVELS = 4.0
"""A frame this close to the recorded video (whose codec alone costs about 1 to 2) shows the same scene:
only its rounding or a detail of the drawing differs."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The first frame that came out otherwise."""

    step: int
    time_s: float
    expected: str  # hash in the recording
    found: str  # hash of the frame now
    grey_levels: float  # mean absolute difference to the recorded video, codec included
    reason: str

    def __str__(self) -> str:
        return (
            f"step {self.step} ({self.time_s:.1f} s): expected {self.expected}, found {self.found}; "
            f"the picture differs from the video by {self.grey_levels:.1f} grey levels. Likely "
            f"reason: {self.reason}"
        )


@dataclass(frozen=True, slots=True)
class Verification:
    """What a re-run showed: `frames` were compared, up to and including the first difference."""

    path: str
    frames: int
    difference: Difference | None

    @property
    def equal(self) -> bool:
        """Whether every frame came out bit for bit."""
        return self.difference is None

    def to_json(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {**asdict(self), "equal": self.equal}


def verify(
    episode: Episode,
    model: str | None = None,
    progress: Callable[[int], None] = lambda n: None,
    **arguments: Any,
) -> Verification:
    """Re-run a recording and compare every frame hash, until the first that differs.

    `progress` is called with the number of frames just compared; `model` and `arguments` as in
    `open_rerun`.

    Raises:
        RerunError: it can't be re-run here.
        RecordingError: it is damaged.
    """
    expected = recorded_hashes(episode)
    with open_rerun(episode, model, **arguments) as rerun:
        frame, info = rerun.begin()
        for step in range(len(episode)):
            if step:
                frame, info, _ = rerun.step(rerun.actions[step - 1])
            progress(1)
            if info["frame_hash"] != expected[step]:
                found = difference(rerun, step, frame, info, expected[step])
                return Verification(str(episode.path), step + 1, found)
    return Verification(str(episode.path), len(episode), None)


def recorded_hashes(episode: Episode) -> list[str]:
    """Hash of every frame. Raises RerunError where the recording holds none."""
    if "frame_hash" not in episode.steps:
        raise RerunError(f"{episode.path} holds no frame hashes; record it again")
    return [str(value) for value in episode.steps["frame_hash"]]


def difference(
    rerun: Rerun, step: int, frame: NDArray[np.uint8], info: Mapping[str, Any], expected: str
) -> Difference:
    """Describe the frame of `step`, which should have had the hash `expected`."""
    off = _grey_levels(rerun.episode, step, frame)
    return Difference(
        step=step,
        time_s=round(step * float(rerun.episode.meta["dt_s"]), 6),
        expected=expected,
        found=str(info["frame_hash"]),
        grey_levels=round(off, 2),
        reason=_reason(rerun, step, off),
    )


def _grey_levels(episode: Episode, step: int, frame: NDArray[np.uint8]) -> float:
    for number, recorded in enumerate(episode.iterate_frames()):
        if number == step:
            return float(np.abs(frame.astype(np.float32) - recorded).mean())
    return float("nan")


def _reason(rerun: Rerun, step: int, grey_levels: float) -> str:
    """The differing conditions if any are known, else what the picture itself suggests."""
    changes = rerun.changes()
    if changes:
        return "; ".join(changes)
    if grey_levels < ROUNDING_GREY_LEVELS:
        guess = "the same scene, so the drawing changed a little: other renderer or newer code"
    elif step == 0:
        guess = "another scene from the first frame on: other scenario, seed or newer code"
    else:
        guess = "the world took another way: newer code, or actions that aren't the recorded ones"
    noted = {"device", "dreamlane"} & set(rerun.episode.meta)
    return guess if noted else f"{guess} (this recording doesn't tell what it was made with)"
