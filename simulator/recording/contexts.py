"""Records the short starts from which dreams begin: eight frames of every catalogue scenario."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import scenarios
from agents.lane_keeper import LaneKeeper
from simulator.ego import DT_S
from simulator.recording.collect import ENV_ID, make_env
from simulator.recording.episode import EpisodeWriter

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
