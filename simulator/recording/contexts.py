"""The short starts from which dreams begin: eight frames, driven afresh or cut out of recordings."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

import scenarios
from agents.lane_keeper import LaneKeeper
from simulator.ego import DT_S
from simulator.recording.collect import ENV_ID, make_env
from simulator.recording.episode import (
    STATE_COLUMNS,
    EpisodeWriter,
    RecordingError,
    iterate_episodes,
)

CONTEXT_FRAMES = 8
LEAD_IN_TICKS = 30
"""Driven before the context ends: the car has settled, traffic is moving."""


def record_contexts(
    root: Path, names: Sequence[str] | None = None, count: int = 3, seed: int = 1000
) -> Iterator[Path]:
    """Write `root/<scenario>/<k>/` for k = 0 .. count-1, replacing what is there; yield each path.

    Args:
        root: `assets/contexts/<model>`, where the environments look for a model's starts.
        names: catalogue scenarios; None takes all.
        seed: of context 0; context k has `seed + k`.
    """
    env = make_env()
    driver = LaneKeeper()
    try:
        for name in scenarios.names() if names is None else names:
            for k in range(count):
                driver.reset(seed + k)
                frame, info = env.reset(seed=seed + k, options={"scenario": name})
                path = root / name / str(k)
                shutil.rmtree(path, ignore_errors=True)
                meta = {
                    "source": "truth",
                    "environment": ENV_ID,
                    "scenario": name,
                    "weather": scenarios.load(name).weather,
                    "seed": seed + k,
                    "driver": "lane_keeper",
                    "dt_s": DT_S,
                    "split": "val",
                }
                first = LEAD_IN_TICKS - CONTEXT_FRAMES
                with EpisodeWriter(path, meta) as writer:
                    reward = float("nan")
                    for tick in range(LEAD_IN_TICKS):
                        action = driver.act(frame, info)
                        if tick >= first:
                            last = tick == LEAD_IN_TICKS - 1
                            writer.add(
                                frame,
                                None if last else action,
                                state=info,
                                reward=reward,
                                reward_terms=info["reward_terms"],
                                time_s=info["time_s"],
                                truncated=last,
                                extra={"speed_limit_mps": info["speed_limit_mps"]},
                            )
                        frame, worth, *_, info = env.step(action)
                        reward = float(worth)
                yield path
    finally:
        env.close()


def cut_contexts(
    recordings: Path, root: Path, name: str = "recorded_drive", count: int = 6, split: str = "val"
) -> Iterator[Path]:
    """Write `root/<name>/<k>/` from recorded drives, evenly spread over a split; yield each path.

    For worlds that can't be driven afresh, such as real roads. Frames are encoded a second time.

    Raises:
        RecordingError: the split has too few frames.
    """
    episodes = [e for e in iterate_episodes(recordings) if e.meta["split"] == split]
    starts = [
        (episode, first)
        for episode in episodes
        for first in range(0, len(episode) - CONTEXT_FRAMES + 1, CONTEXT_FRAMES)
    ]
    if len(starts) < count:
        raise RecordingError(
            f"{recordings} has {len(starts)} places for a start in split {split!r}, {count} wanted; "
            "import or record more"
        )
    for k, chosen in enumerate(np.linspace(0, len(starts) - 1, count).round().astype(int)):
        episode, first = starts[chosen]
        path = root / name / str(k)
        shutil.rmtree(path, ignore_errors=True)
        kept = {
            key: value
            for key, value in episode.meta.items()
            if key not in ("frames", "frame_shape", "absent", "files")
        }
        frames = episode.frames()[first : first + CONTEXT_FRAMES]
        with EpisodeWriter(path, {**kept, "cut_from": [episode.path.name, first]}) as writer:
            for row, frame in enumerate(frames, first):
                last = row == first + CONTEXT_FRAMES - 1
                state = {name: float(episode.steps[name][row]) for name in STATE_COLUMNS}
                writer.add(
                    frame,
                    None if last else episode.actions[row],
                    state={key: v for key, v in state.items() if not math.isnan(v)},
                    time_s=float(episode.steps["time_s"][row]),
                    truncated=last,
                )
        yield path
