"""Recordings of what was driven already, from what a window remembers of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import gymnasium
import numpy as np
from numpy.typing import NDArray

from simulator.recording.errors import RecordingError
from simulator.recording.recorder import columns, next_path, open_writer


class Remembered(Protocol):
    """One frame of it."""

    frame: NDArray[np.uint8]
    info: Mapping[str, Any]
    action: NDArray[np.float32]  # the one that led here
    episode_return: float
    ended: str  # why the episode ended here, "" where it goes on
    tick: int  # since the episode began
    state: Any  # as `save_state` gave it


def keep_drive(
    env: gymnasium.Env[Any, Any],
    folder: Path,
    way: Sequence[Remembered],
    seed: int,
    options: Mapping[str, Any] | None,
) -> Path:
    """Write an exact recording of a drive in `env`, which goes on meanwhile; returns its folder.

    Args:
        env: still in that episode.
        folder: where it goes, under the next number.
        way: its frames, two at least.
        seed: of the episode.
        options: of its `reset`.

    Raises:
        RecordingError: the disk refuses, or a world whose states can't be kept in files is not remembered
            from its start.
    """
    first = way[0]
    if first.tick > 0 and not hasattr(first.state, "to_bytes"):
        raise RecordingError(
            "this world is recorded from an episode's start, and that is forgotten already: R begins anew"
        )
    path = next_path(folder, str(first.info.get("scenario") or "drive"))
    writer = open_writer(env, path, seed, options, first.info, first.state)
    before = first.episode_return
    for one, following in zip(way, [*way[1:], None], strict=True):
        worth, before, over = one.episode_return - before, one.episode_return, bool(one.ended)
        told = columns(one.info, worth, over, following is None and not over)
        writer.add(one.frame, None if following is None else following.action, **told)
    return writer.close()
