"""Recorded start, recorded actions: how long does the dream stay with what really happened?

Beside the dream stand its floor (the last known frame, shown for ever) and its ceiling (the true frames
through the tokenizer). Blur wins PSNR, so sharpness, PSNR at equal sharpness, distances in a network's
features and the states that an independent meter reads stand beside it. `open_loop_section` makes tables,
charts and verdicts of what is measured here. Shapes: N clips, H W picture, S states, F features.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from simulator.evaluation import metrics, perceptual
from simulator.evaluation.control_rollouts import SPEED, said, told
from simulator.evaluation.open_loop_clips import Clips
from simulator.evaluation.open_loop_section import section
from simulator.evaluation.reading import STANDING_MPS
from simulator.evaluation.report import Section
from simulator.evaluation.subject import Rows, Subject, padded_batches
from world_model.engine.base import STATE_HEADS
from world_model.meter import MOTION, PLACE
from world_model.training.data import DataError, evenly

Frames = NDArray[np.uint8]


def open_loop(subject: Subject, progress: Callable[[], None] = lambda: None) -> Section:
    """Dream from held-out starts and compare at each horizon. `progress` is called once a batch.

    Raises:
        DataError: no held-out drive lasts as long as the longest horizon.
    """
    config = subject.config.open_loop
    longest = max(config.horizons)
    rows = evenly(
        subject.drives.window_ends(max(subject.engine.context_frames - 1, 1), longest),
        config.starts,
    )
    if not len(rows):
        raise DataError(
            f"{subject.config.cache} has no held-out drive of {longest} steps; choose shorter"
            " open_loop.horizons or record more drives"
        )
    clips = Clips(rows, subject.groups(rows), config.horizons, subject.grouped_by)
    for picked, count in padded_batches(len(rows), subject.config.batch):
        dream_and_compare(subject, rows[picked], count, clips)
        progress()
    return section(clips)


@dataclass
class Moment:
    """What is shown for one horizon: by source, pictures and the states read from them."""

    true: Frames
    label_NS: NDArray[np.float32]
    on_truth_NS: NDArray[np.float32]
    frames: dict[str, Frames] = field(default_factory=dict)
    states: dict[str, NDArray[np.float32]] = field(default_factory=dict)


def dream_and_compare(subject: Subject, rows: Rows, count: int, clips: Clips) -> None:
    """Dream one batch; add the values of its first `count` clips at every horizon."""
    drives, kept = subject.drives, rows[:count]
    now = drives.frames(kept)
    held_reading = subject.read(drives.frames(kept - 1), now)
    still_reading = subject.read(now, now)  # a frozen picture stands still
    subject.begin(rows)
    generators = subject.generators(rows)
    old = now
    for h in range(1, max(clips.horizons) + 1):
        actions = np.nan_to_num(drives.action_NA[rows + h - 1])
        out = subject.engine.step(actions, subject.engine.draw_noise(generators))
        assert out.frame_BHWC is not None
        new = out.frame_BHWC[:count]
        if h in clips.horizons:
            true_old, true = drives.frames(kept + h - 1), drives.frames(kept + h)
            coded_old, coded = subject.reconstruct(true_old), subject.reconstruct(true)
            on_truth = subject.read(true_old, true)
            moment = Moment(true, drives.state_NS[kept + h], on_truth)
            speed = drives.state_NS[kept, SPEED], drives.state_NS[kept + h, SPEED]
            clips.still.setdefault(h, []).append(np.fmax(*speed) < STANDING_MPS)
            moment.frames = {"dream": new, "copy_last": now, "tokenizer": coded}
            held_state = drives.state_NS[kept].copy()
            held_state[:, [name not in out.known for name in STATE_HEADS]] = np.nan
            moment.states = {
                "dream": subject.read(old, new),
                "copy_last": still_reading,
                "hold_reading": held_reading,
                "tokenizer": subject.read(coded_old, coded),
                "truth": on_truth,
                "heads": said(out, count),
                "told": told(out, count),
                "hold_state": held_state,  # over the same states as the heads
            }
            compare(subject, moment, h, clips)
            clips.add("dream", "doubt", h, out.doubt[:count])
            clips.add("dream", "surprise", h, out.surprise_B[:count])
            clips.add("dream", "drift_score", h, out.drift_B[:count])
            clips.add("dream", "picture_gap_m", h, out.picture_gap_m[:count])
        old = new


def compare(subject: Subject, moment: Moment, horizon: int, clips: Clips) -> None:
    """Add all metrics of all sources at one horizon."""
    true = moment.true
    least = np.min([metrics.fine_detail(f) for f in (true, *moment.frames.values())], axis=0)
    for source, frames in moment.frames.items():
        for metric in (metrics.psnr_db, metrics.ssim, metrics.sharpness_ratio):
            clips.add(source, metric.__name__, horizon, metric(frames, true))
        at_detail = metrics.psnr_at_detail_db(frames, true, least)
        clips.add(source, "psnr_at_detail_db", horizon, at_detail)
        clips.add(source, "feature_error", horizon, subject.unlikeness(frames, true))
        if not perceptual.missing("lpips"):
            clips.add(source, "lpips", horizon, perceptual.lpips(frames, true))
    for source, frames in {**moment.frames, "truth": true}.items():
        clips.add(source, "features", horizon, subject.features(frames))
        if not perceptual.missing("kid"):
            clips.add(source, "inception", horizon, perceptual.inception_features(frames))
    for source, read in moment.states.items():
        for suffix, other in (("error", moment.label_NS), ("vs_meter", moment.on_truth_NS)):
            for kind, states in (("state", PLACE), ("motion", MOTION), ("all", STATE_HEADS)):
                error = metrics.state_error(read, other, states)
                clips.add(source, f"{kind}_{suffix}", horizon, error)
        for i, name in enumerate(STATE_HEADS):
            clips.add(source, f"mae_{name}", horizon, np.abs(read[:, i] - moment.label_NS[:, i]))
            off = np.abs(read[:, i] - moment.on_truth_NS[:, i])
            clips.add(source, f"vs_meter_{name}", horizon, off)
