"""Two drives in one picture: labelled side by side for the video and the window, and a contact sheet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.uint8]

BAR_PX = 16
"""Height of a label above a picture; even, as video wants it."""

SHEET_AFTER_S = (0.0, 0.5, 1.0, 2.0, 3.0, 4.0)
INK, PAPER = (235, 238, 240), (22, 25, 28)


def side_by_side(
    left: Sequence[Frames], right: Sequence[Frames], labels: tuple[str, str], dt_s: float
) -> list[Frames]:
    """Pictures (BAR_PX + H, 2 W, 3) with label and time above; a shorter drive holds its last frame."""
    pairs = range(max(len(left), len(right)))
    return [
        np.hstack(
            [
                labelled(frames[min(i, len(frames) - 1)], f"{i * dt_s:.1f} s | {label}")
                for frames, label in zip((left, right), labels, strict=True)
            ]
        )
        for i in pairs
    ]


def labelled(frame: Frames, text: str) -> Frames:
    """The frame under a bar with the text: (BAR_PX + H, W, 3)."""
    bar = np.full((BAR_PX, frame.shape[1], 3), PAPER, np.uint8)
    cv2.putText(bar, text, (4, BAR_PX - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.36, INK, 1, cv2.LINE_AA)
    return np.vstack([bar, frame])


def contact_sheet(
    top: Sequence[Frames],
    bottom: Sequence[Frames],
    labels: tuple[str, str],
    first: int,
    dt_s: float,
    after_s: Sequence[float] = SHEET_AFTER_S,
) -> Frames:
    """Two rows of frames at these times after frame `first`, as far as either drive goes."""
    columns = [first + round(s / dt_s) for s in after_s]
    longest = max(len(top), len(bottom))
    columns = [c for c in columns if c < longest] or [longest - 1]
    rows = [
        np.hstack(
            [
                labelled(
                    frames[min(c, len(frames) - 1)],
                    f"{c * dt_s:.1f} s | {label}" if c < len(frames) else f"ended | {label}",
                )
                for c in columns
            ]
        )
        for frames, label in zip((top, bottom), labels, strict=True)
    ]
    return np.vstack(rows)


def save_video(path: Path, frames: Sequence[Frames], dt_s: float, dreamed: bool) -> None:
    """Write an H.264 video that browsers play; it appears under its name when it is complete."""
    from simulator.videos import write_video

    write_video(path, frames, round(1.0 / dt_s), dreamed=dreamed)


def save_picture(path: Path, picture: Frames) -> None:
    """Write a PNG.

    Raises:
        OSError: it can't be written.
    """
    done, data = cv2.imencode(".png", picture[..., ::-1])
    assert done
    path.write_bytes(data.tobytes())
