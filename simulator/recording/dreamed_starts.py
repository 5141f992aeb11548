"""Starts that a model dreams itself, for worlds whose recorded drives are not ours to ship.

A dream begins from frames cut out of a local recording and goes on for some seconds; its last frames,
none of them recorded by a camera, become the start that is shipped.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import gymnasium
import numpy as np

from simulator.ego import DT_S
from simulator.recording.contexts import CONTEXT_FRAMES, cut_contexts
from simulator.recording.episode import EpisodeWriter, read_episode

ENV_ID = "simulator:dreamlane/Dream-v0"
DREAMED_TICKS = 16
"""Twice the length of a start: even its oldest frame has only dreamed frames behind it."""


def dream_starts(
    recordings: Path, root: Path, world_model: Path | str, name: str = "open_road", count: int = 4
) -> Iterator[Path]:
    """Write `root/<name>/<k>/`, replacing what is there; yield each path.

    Args:
        recordings: drives of the model's world, e.g. `data/recordings/udacity_highway`.
        root: `assets/contexts/<model>`.
        world_model: name or checkpoint folder of the model that dreams.

    Raises:
        RecordingError: the recordings have too few held-out frames.
    """
    with tempfile.TemporaryDirectory() as folder:
        seeds = list(cut_contexts(recordings, Path(folder), name, count))
        env = gymnasium.make(
            ENV_ID, world_model=world_model, contexts=folder, scenario=name, endless=True
        )
        try:
            for k, start in enumerate(seeds):
                yield _dream(env, start, root / name / str(k), k)
        finally:
            env.close()


def _dream(env: gymnasium.Env[object, object], start: Path, path: Path, seed: int) -> Path:
    shutil.rmtree(path, ignore_errors=True)
    held = np.nanmean(read_episode(start).actions, axis=0).astype(np.float32)
    frame, info = env.reset(seed=seed, options={"context": str(start)})
    meta = {
        "source": "dream",
        "scenario": path.parent.name,
        "seed": seed,
        "driver": "held",
        "dt_s": DT_S,
        "split": "val",
    }
    first = DREAMED_TICKS - CONTEXT_FRAMES
    with EpisodeWriter(path, meta) as writer:
        for tick in range(1, DREAMED_TICKS + 1):
            frame, _, _, _, info = env.step(held)
            if tick > first:
                last = tick == DREAMED_TICKS
                known = {k: v for k, v in info.items() if v == v}  # NaN: the model has no such head
                writer.add(np.asarray(frame), None if last else held, state=known, truncated=last)
    return path
