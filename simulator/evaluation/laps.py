"""Does a driver get round in the dream of a closed course?

The driver sees the dream and nothing else; afterwards its pictures are looked for on the recorded course
(`course`). A held-out recorded drive through the same code says what true pictures would score.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import gymnasium
import numpy as np
from numpy.typing import NDArray

from agents.policy import Policy
from simulator.ego import DT_S
from simulator.evaluation.course import Course, Round, driven, looks
from simulator.evaluation.policies import load_watched_policy
from world_model.training.data import Drives, load_drives

COLUMNS = 12


@dataclass(frozen=True, slots=True)
class LapsConfig:
    """Who drives where, how often and how long.

    Raises:
        ValueError: no drive, or one of no length.
    """

    model: str = "lake"
    cache: str = "data/cache/udacity_lake"
    policy: str = ""
    drives: int = 4
    seconds: float = 150.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.drives < 1 or self.seconds < 10:
            raise ValueError(
                f"drives={self.drives}, seconds={self.seconds}; accepted: at least 1 drive of 10 s"
            )

    @property
    def steps(self) -> int:
        """Of each drive."""
        return round(self.seconds / DT_S)


def recorded_course(drives: Drives) -> Course:
    """The course that a cache's training drives, one unbroken drive cut into pieces, went round."""
    parts = np.array_split(np.arange(len(drives)), max(1, len(drives) // 256))
    seen = np.concatenate([looks(drives.frames(rows)) for rows in parts])
    return Course(seen, driven(drives.state_NS[:, 0]))


def drive(
    env: gymnasium.Env[Any, Any], policy: Policy, seed: int, steps: int, tell: Callable[[], None]
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Frames (T, H, W, 3) and speeds (T,) of one dreamed drive."""
    policy.reset(seed)
    frame, info = env.reset(seed=seed)
    frames, speeds = [], []
    for _ in range(steps):
        frame, _, _, _, info = env.step(policy.act(frame, info))
        frames.append(frame)
        speeds.append(float(info["speed_mps"]))
        tell()
    return np.stack(frames), np.array(speeds)


def measure_laps(
    config: LapsConfig, folder: Path, tell: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """Drive, look where that was, write `laps.json` and `laps.png` (a drive a row) into the folder."""
    course = recorded_course(load_drives(config.cache, "train"))
    held_out = load_drives(config.cache, "val")
    truth = course.follow(held_out.frames(np.arange(len(held_out))), held_out.state_NS[:, 0])
    rows, pictures = [said("held-out recording", truth)], []
    env: gymnasium.Env[Any, Any] = gymnasium.make(
        "simulator:dreamlane/Dream-v0", world_model=config.model, scenario="random", endless=True
    )
    policy = load_watched_policy(config.policy)
    for number in range(config.drives):
        frames, speeds = drive(env, policy, config.seed + number, config.steps, tell)
        rows.append(said(f"dream {number}", course.follow(frames, speeds)))
        columns = np.linspace(0, len(frames) - 1, COLUMNS).astype(int)
        pictures.append(np.hstack([frames[i] for i in columns]))
    env.close()
    folder.mkdir(parents=True, exist_ok=True)
    figures = {
        "lap_m": course.lap_m,
        "seconds": config.seconds,
        "policy": config.policy,
        "drives": rows,
    }
    (folder / "laps.json").write_text(json.dumps(figures, indent=1) + "\n")
    cv2.imwrite(str(folder / "laps.png"), cv2.cvtColor(np.vstack(pictures), cv2.COLOR_RGB2BGR))
    return figures


def said(name: str, went: Round) -> dict[str, Any]:
    """A drive in figures."""
    return {
        "drive": name,
        "driven_m": float(went.driven_m[-1]),
        "unbroken_m": went.unbroken_m,
        "laps": went.laps,
        "unlike_median": float(np.median(went.unlike)),
        "place_m": went.place_m.round().tolist(),
    }
