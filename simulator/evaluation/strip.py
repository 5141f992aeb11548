"""The picture that says what this project is: the reference world above the dream, under the same actions.

The lane keeper drives the reference world; the dream starts from the same four frames and gets the same
actions. Nothing is chosen by hand but the scenario and the seed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from world_model.engine.base import STATE_HEADS

CONTEXT = 4
HORIZONS_S = (0.1, 0.5, 1.0, 2.0, 4.0)
LABEL_PX = 22


def strip(
    model: Path | str, scenario: str, seed: int, horizons_s: tuple[float, ...] = HORIZONS_S
) -> NDArray[np.uint8]:
    """Two rows of frames (truth, dream), a column for each horizon: (2 H, columns * W, 3)."""
    from world_model.engine import load_engine

    engine = load_engine(model)
    steps = round(max(horizons_s) / engine.dt_s)
    frames, actions, ego = drive_truth(scenario, seed, CONTEXT + steps)
    engine.reset(frames[None, :CONTEXT], actions[None, :CONTEXT], ego[None, :CONTEXT])
    generator = np.random.default_rng(seed)
    dream = []
    for t in range(CONTEXT - 1, CONTEXT - 1 + steps):
        out = engine.step(actions[None, t], engine.draw_noise([generator]))
        assert out.frame_BHWC is not None
        dream.append(out.frame_BHWC[0])
    columns = [round(h / engine.dt_s) for h in horizons_s]
    truth_row = np.hstack([frames[CONTEXT - 1 + n] for n in columns])
    dream_row = np.hstack([dream[n - 1] for n in columns])
    return np.vstack([truth_row, dream_row])


def drive_truth(
    scenario: str, seed: int, count: int
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]:
    """Frames (T, H, W, 3), actions (T, 2) and states (T, S) of a lane keeper's drive."""
    import gymnasium

    import simulator  # noqa: F401  (registers the environments)
    from agents.lane_keeper import LaneKeeper

    env: gymnasium.Env[Any, Any] = gymnasium.make(
        "dreamlane/Truth-v0", scenario=scenario, max_steps=count + 1
    )
    policy = LaneKeeper()
    policy.reset(seed)
    frame, info = env.reset(seed=seed)
    frames, actions, ego = [], [], []
    for _ in range(count):
        action = policy.act(frame, info)
        frames.append(frame)
        actions.append(action)
        ego.append([info[name] for name in STATE_HEADS])
        frame, _, _, _, info = env.step(action)
    env.close()
    return np.stack(frames), np.stack(actions), np.array(ego, np.float32)


def write_strips(path: Path, model: Path | str, starts: tuple[tuple[str, int], ...]) -> None:
    """Strips of several (scenario, seed) below each other, with the horizons above, as a PNG."""
    parts = [strip(model, scenario, seed) for scenario, seed in starts]
    width = parts[0].shape[1]
    header = np.full((LABEL_PX, width, 3), 255, np.uint8)
    for i, horizon in enumerate(HORIZONS_S):
        place = (i * width // len(HORIZONS_S) + 6, LABEL_PX - 7)
        cv2.putText(header, f"{horizon:g} s", place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (40, 40, 40), 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.vstack([header, *parts])[..., ::-1])
