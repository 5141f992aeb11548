"""Recordings of what was driven already, from what a window remembers of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from simulator.recording.errors import RecordingError
from simulator.recording.recorder import START_FILE, columns, next_path, open_writer


@dataclass(frozen=True, slots=True)
class Driven:
    """One frame of it."""

    frame: NDArray[np.uint8]
    info: Mapping[str, Any]
    action: NDArray[np.float32]  # the one that led here
    reward: float
    ended: str  # why the episode ended here, "" where it goes on


def keep_drive(
    env: gymnasium.Env[Any, Any],
    folder: Path,
    driven: Sequence[Driven],
    start: Any,
    first_tick: int,
    seed: int,
    options: Mapping[str, Any] | None,
) -> Path:
    """Write an exact recording of a drive in `env`, which goes on meanwhile; returns its folder.

    Args:
        env: still in that episode.
        folder: where it goes, under the next number.
        driven: its frames, two at least.
        start: what `save_state` gave at the first of them.
        first_tick: of the first of them, since the episode began.
        seed: of the episode.
        options: of its `reset`.

    Raises:
        RecordingError: the disk refuses, or a world whose states can't be kept in files is not remembered
            from its start.
    """
    to_bytes = getattr(start, "to_bytes", None)
    if to_bytes is None and first_tick > 0:
        raise RecordingError(
            "this world is recorded from an episode's start, and that is forgotten already: R begins anew"
        )
    info = driven[0].info
    path = next_path(folder, str(info.get("scenario") or "drive"))
    writer = open_writer(env, path, seed, options, info, {})
    if to_bytes is not None:
        writer.attach(START_FILE, to_bytes())
    actions = [*(one.action for one in driven[1:]), None]
    for one, action in zip(driven, actions, strict=True):
        last = action is None
        over = bool(one.ended)
        writer.add(one.frame, action, **columns(one.info, one.reward, over, last and not over))
    return writer.close()
