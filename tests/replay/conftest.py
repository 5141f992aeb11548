"""Recorded dreams on the toy engine: quick to make, exact to repeat."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "envs"))

from toy_engine import ToyEngine

import simulator  # noqa: F401  (registers the environments)
from simulator.ego import EgoState
from simulator.recording.episode import Episode, EpisodeWriter, read_episode
from simulator.recording.recorder import RecordEpisodes

ACTIONS = np.array([(0.2, 0.5), (-0.4, 0.5), (0.0, -0.5), (0.6, 0.0), (0.1, 1.0)], np.float32)


def write_camera_drive(path: Path, frames: int = 8, **meta: Any) -> Path:
    """A recording by a car of no environment: grey frames of the toy's size, 10 m/s and rising."""
    described = {"source": "real", "dt_s": 0.1, "split": "val", "scenario": "calm_cruise", **meta}
    with EpisodeWriter(path, described) as writer:
        for step in range(frames):
            frame = np.full(ToyEngine.frame_shape, 40 + 3 * step, np.uint8)
            state = EgoState(10.0 + step, 0.01, 0.2, 0.0, 0.001, 80.0, 1.0 * step, False, False)
            action = None if step == frames - 1 else np.array([0.1 * (step % 3), 0.2], np.float32)
            writer.add(frame, action, state=state)
    return path


@pytest.fixture
def record_dream(tmp_path: Path) -> Callable[..., Episode]:
    """`record_dream(actions)`: a dream of the toy, recorded."""

    def record(
        actions: Sequence[Any] = ACTIONS, seed: int = 5, scales: int | None = None
    ) -> Episode:
        contexts = tmp_path / "contexts"
        if not contexts.exists():
            write_camera_drive(contexts / "calm_cruise" / "0")
        env = gymnasium.make("dreamlane/Dream-v0", engine=ToyEngine(1), contexts=contexts)
        if scales is not None:
            env.unwrapped.scales = scales
        recorder = RecordEpisodes(env, tmp_path / "dreams")
        recorder.reset(seed=seed)
        for action in actions:
            recorder.step(np.asarray(action, np.float32))
        recorder.close()
        return read_episode(recorder.written[0])

    return record
