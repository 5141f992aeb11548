"""Clips of the cases in which a dream fared worst: the camera above, the dream below it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from simulator.ego import DT_S
from simulator.evaluation.report import Samples, Section, Video
from simulator.evaluation.subject import Rows, Subject, padded_batches
from simulator.videos import write_video

RANKS = ("The worst", "The second worst", "The third worst")
SCALE = 2
JUDGED_BY = ("state_vs_meter", "psnr_db")
"""The first of these that a section has samples of, at its longest horizon, ranks the clips."""

Frames = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Case:
    """A start that is filmed, and why."""

    row: int
    caption: str


def filmed(subject: Subject, section: Section, folder: Path) -> Section:
    """The section with clips of its worst starts and of a median one, in `folder`/videos.

    The starts are dreamed again from the same noise. Units of the section's samples are rows of the drives.
    """
    ranked = ranking(section)
    if ranked is None:
        return section
    chosen = cases(ranked)
    (folder / "videos").mkdir(parents=True, exist_ok=True)
    clips = dream(subject, np.array([case.row for case in chosen]), ranked.horizon)
    videos = []
    for i, (case, frames) in enumerate(zip(chosen, clips, strict=True), 1):
        video = Video(f"videos/{section.name}_{i}.mp4", case.caption)
        write_video(folder / video.file, list(frames), scale=SCALE, dreamed=True)
        videos.append(video)
    return replace(section, videos=(*section.videos, *videos))


def ranking(section: Section) -> Samples | None:
    """The samples by which clips are ranked; None where there are none."""
    for metric in JUDGED_BY:
        found = [s for s in section.samples if s.metric == metric and not np.isnan(s.value).all()]
        if found:
            return max(found, key=lambda s: s.horizon)
    return None


def cases(ranked: Samples) -> list[Case]:
    """The worst starts, the worst first, then the median one."""
    values = np.array(ranked.value)
    order = np.argsort(-values if ranked.better == "lower" else values, kind="stable")
    order = order[~np.isnan(values[order])]
    chosen = [*zip(RANKS, order, strict=False), ("A median one", order[len(order) // 2])]
    return [
        Case(
            int(ranked.unit[i]),
            f"{name} of {len(order)} clips by {ranked.metric} ({values[i]:.3g} after"
            f" {ranked.horizon * DT_S:g} s). Above the camera, below the dream.",
        )
        for name, i in chosen
    ]


def dream(subject: Subject, rows: Rows, steps: int) -> list[Frames]:
    """Camera above dream, from each row's frame on: (steps + 1, 2 H, W, 3) each."""
    clips: list[Frames] = []
    for picked, count in padded_batches(len(rows), subject.config.batch):
        starts = rows[picked]
        subject.begin(starts)
        generators = subject.generators(starts)
        now = subject.drives.frames(starts[:count])
        shown = [np.concatenate([now, now], 1)]
        for h in range(1, steps + 1):
            actions = np.nan_to_num(subject.drives.action_NA[starts + h - 1])
            out = subject.engine.step(actions, subject.engine.draw_noise(generators))
            assert out.frame_BHWC is not None
            true = subject.drives.frames(starts[:count] + h)
            shown.append(np.concatenate([true, out.frame_BHWC[:count]], 1))
        clips += [
            np.stack([label(frames[i], t) for t, frames in enumerate(shown)]) for i in range(count)
        ]
    return clips


def label(frame: Frames, step: int) -> Frames:
    """The frame with the names of its halves and the time."""
    out = frame.copy()
    half = out.shape[0] // 2
    for text, y in ((f"camera  {step * DT_S:.1f} s", 11), ("dream", half + 11)):
        write_on(out, text, (4, y), 0.35)
    return out


def write_on(picture: Frames, text: str, place: tuple[int, int], size: float) -> None:
    """White on black, so that it can be read on any picture."""
    for colour, width in (((0, 0, 0), 2), ((255, 255, 255), 1)):
        cv2.putText(
            picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, colour, width, cv2.LINE_AA
        )
