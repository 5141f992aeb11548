"""A recorded drive through a dream: its first frames and its actions go in, and the dream meets the camera.

For drives by real cars above all, where nothing else can be re-run. The dream never sees a later frame.
Shapes: T dreamed steps, H W picture.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simulator.recording.episode import Episode
from simulator.replay.rerun import RerunError, check_actions
from world_model.engine.base import STATE_HEADS

if TYPE_CHECKING:
    from world_model.engine.base import Engine

Frames = NDArray[np.uint8]
Values = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Through:
    """What the camera saw and what the dream made of it, row t of both at the same moment."""

    dt_s: float
    first: int  # row of the recording that row 0 belongs to: the last frame the dream was given
    camera_THWC: Frames
    dream_THWC: Frames  # row 0 is the given frame itself
    actions_TA: NDArray[np.float32]  # taken after each row
    speed_mps_T: NDArray[np.float64]  # as recorded
    dream_speed_mps_T: NDArray[np.float64]  # by the model's head; NaN where it has none
    surprise_T: NDArray[np.float64]  # nats; NaN in row 0


def dream_through(
    episode: Episode,
    engine: Engine,
    seed: int = 0,
    start_s: float = 0.0,
    seconds: float | None = None,
    progress: Callable[[int], None] = lambda n: None,
) -> Through:
    """Dream a recorded drive from its own first frames under its own actions.

    Args:
        episode: any recording with the model's picture size and tick.
        engine: of batch size 1.
        seed: of the dream's noise.
        start_s: where in the recording the dream's given frames begin.
        seconds: how long to dream; None to the recording's end.
        progress: called with the number of frames just dreamed.

    Raises:
        RerunError: another picture size or tick, or too short from `start_s` on.
    """
    check_actions(episode)
    _check_fit(episode, engine)
    begin = round(start_s / engine.dt_s)
    first = begin + engine.context_frames - 1
    last = len(episode) - 1
    if seconds is not None:
        last = min(last, first + round(seconds / engine.dt_s))
    if begin < 0 or last <= first:
        raise RerunError(
            f"{episode.path} lasts {(len(episode) - 1) * engine.dt_s:g} s; dreaming from "
            f"{start_s:g} s takes {engine.context_frames} frames to begin with and at least one "
            "more. Choose an earlier --start or a longer recording"
        )
    camera = np.stack(list(islice(episode.iterate_frames(), begin, last + 1)))
    given = slice(begin, first + 1)
    ego = np.stack([_column(episode, name) for name in STATE_HEADS], 1)
    actions = episode.actions
    engine.reset(
        camera[None, : engine.context_frames],
        actions[None, given],
        ego[None, given].astype(np.float32),
    )
    generator = np.random.default_rng(seed)
    frames, speeds, surprises = [camera[engine.context_frames - 1]], [ego[first, 0]], [np.nan]
    for row in range(first, last):
        out = engine.step(actions[None, row], engine.draw_noise([generator]))
        assert out.frame_BHWC is not None
        frames.append(out.frame_BHWC[0])
        speeds.append(float(out.state["speed_mps"][0]) if "speed_mps" in out.known else np.nan)
        surprises.append(float(out.surprise_B[0]))
        progress(1)
    return Through(
        dt_s=engine.dt_s,
        first=first,
        camera_THWC=camera[engine.context_frames - 1 :],
        dream_THWC=np.stack(frames),
        actions_TA=actions[first : last + 1],
        speed_mps_T=ego[first : last + 1, 0],
        dream_speed_mps_T=np.array(speeds),
        surprise_T=np.array(surprises),
    )


def figures(
    seen: Through, reconstruct: Callable[[Frames], Frames] | None = None
) -> list[dict[str, Any]]:
    """Dream against camera, one row a second, as plain JSON (None: not known).

    PSNR and sharpness ratio (fine detail over the camera's) stand between a floor, the last given
    frame held for ever, and a ceiling, the camera's own frames through the tokenizer (`reconstruct`).
    """
    from simulator.evaluation.metrics import psnr_db, sharpness_ratio

    second = max(1, round(1.0 / seen.dt_s))
    rows = []
    for begin in range(1, len(seen.camera_THWC), second):
        part = slice(begin, min(begin + second, len(seen.camera_THWC)))
        camera = seen.camera_THWC[part]
        held = np.broadcast_to(seen.camera_THWC[0], camera.shape)
        sources = {"dream": seen.dream_THWC[part], "held_frame": held}
        if reconstruct is not None:
            sources["tokenizer"] = reconstruct(camera)
        speed_error = np.abs(seen.dream_speed_mps_T[part] - seen.speed_mps_T[part])
        rows.append(
            {
                "from_s": round((begin - 1) * seen.dt_s, 6),
                "to_s": round((part.stop - 1) * seen.dt_s, 6),
                "psnr_db": {k: _mean(psnr_db(f, camera)) for k, f in sources.items()},
                "sharpness_ratio": {
                    k: _mean(sharpness_ratio(f, camera)) for k, f in sources.items()
                },
                "speed_error_mps": _mean(speed_error),
                "surprise": _mean(seen.surprise_T[part]),
            }
        )
    return rows


def tokenizer_of(folder: Path) -> Callable[[Frames], Frames]:
    """Encode and decode pictures (N, H, W, 3) with a checkpoint's tokenizer.

    Raises:
        CheckpointError: no usable checkpoint.
    """
    from world_model.checkpoint import load

    return load(folder).tokenizer.reconstruct


def _check_fit(episode: Episode, engine: Engine) -> None:
    shape = tuple(episode.meta["frame_shape"])
    if shape != tuple(engine.frame_shape):
        raise RerunError(
            f"{episode.path} has pictures {shape}, the model's are {tuple(engine.frame_shape)}; "
            "choose a model that was trained on this size"
        )
    if abs(float(episode.meta["dt_s"]) - engine.dt_s) > 1e-6:
        raise RerunError(
            f"{episode.path} ticks every {episode.meta['dt_s']} s, the model every {engine.dt_s} s; "
            "choose a model of the recording's tick"
        )


def _column(episode: Episode, name: str) -> NDArray[np.float64]:
    return np.asarray(episode.steps.get(name, np.full(len(episode), np.nan)), np.float64)


def _mean(values: Values) -> float | None:
    known = values[~np.isnan(values)]
    return round(float(known.mean()), 4) if len(known) else None
