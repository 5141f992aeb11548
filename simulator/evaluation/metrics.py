"""Figures of merit as pure functions of arrays: what a number in the report means is decided here.

Shapes: N clips, T steps, H W picture, S states (`STATE_HEADS`). Pictures are uint8 RGB.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from world_model.engine.base import STATE_HEADS
from world_model.heads import STATE_SCALES

Frames = NDArray[np.uint8]
Values = NDArray[np.float64]
Floats = NDArray[np.floating]

VERSION = 3
"""Of the set of metrics; it rises when a number's meaning changes."""

PSNR_CAP_DB = 80.0
"""What equal pictures get: infinity has no mean."""

MOST_BLUR_PX = 8.0
"""Widest Gaussian that `psnr_at_detail_db` takes to bring a picture down to a given detail."""


def psnr_db(frames_NHWC: Frames, truth_NHWC: Frames) -> Values:
    """Peak signal-to-noise ratio of each picture, (N,), at most `PSNR_CAP_DB`."""
    _same_shape(frames_NHWC, truth_NHWC)
    mse = np.square(frames_NHWC.astype(np.float64) - truth_NHWC).mean((1, 2, 3))
    floor = 255.0**2 / 10 ** (PSNR_CAP_DB / 10)
    out: Values = 10 * np.log10(255.0**2 / np.maximum(mse, floor))
    return out


def ssim(frames_NHWC: Frames, truth_NHWC: Frames) -> Values:
    """Structural similarity of each picture, (N,); 1 for equal ones."""
    import torch
    from torchmetrics.functional.image import structural_similarity_index_measure

    _same_shape(frames_NHWC, truth_NHWC)
    shown, true = (
        torch.from_numpy(np.ascontiguousarray(f)).permute(0, 3, 1, 2).float()
        for f in (frames_NHWC, truth_NHWC)
    )
    values = structural_similarity_index_measure(shown, true, reduction="none", data_range=255.0)
    out: Values = torch.as_tensor(values).reshape(-1).double().numpy()
    return out


def fine_detail(frames_NHWC: Frames) -> Values:
    """Energy of the finest detail of each picture, (N,): mean square of its Laplacian."""
    grey = (cv2.cvtColor(np.ascontiguousarray(f), cv2.COLOR_RGB2GRAY) for f in frames_NHWC)
    return np.array([np.square(cv2.Laplacian(g, cv2.CV_64F)).mean() for g in grey])


def sharpness_ratio(frames_NHWC: Frames, truth_NHWC: Frames) -> Values:
    """Fine detail over the truth's, (N,): 1 as sharp, below it blurred, above it grainy."""
    _same_shape(frames_NHWC, truth_NHWC)
    return fine_detail(frames_NHWC) / np.maximum(fine_detail(truth_NHWC), 1e-6)


def psnr_at_detail_db(frames_NHWC: Frames, truth_NHWC: Frames, detail_N: Floats) -> Values:
    """Sharpness-corrected PSNR, (N,): both pictures are first blurred to the same fine detail.

    PSNR(G_a * x, G_b * y), where the Gaussians' widths a and b (0 to `MOST_BLUR_PX`) are the smallest
    at which `fine_detail` of either picture is at most `detail_N`. With the least detail of all
    sources in `detail_N`, none of them gains by being more blurred than the others.
    """
    _same_shape(frames_NHWC, truth_NHWC)
    mse = [
        np.square(_softened(x, float(d)) - _softened(y, float(d))).mean(dtype=np.float64)
        for x, y, d in zip(frames_NHWC, truth_NHWC, detail_N, strict=True)
    ]
    floor = 255.0**2 / 10 ** (PSNR_CAP_DB / 10)
    out: Values = 10 * np.log10(255.0**2 / np.maximum(mse, floor))
    return out


def _softened(frame_HWC: NDArray[np.uint8], detail: float) -> NDArray[np.float32]:
    """The picture under the narrowest Gaussian that leaves at most this much fine detail."""
    colour: NDArray[np.float32] = frame_HWC.astype(np.float32)
    grey = cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY)

    def left(sigma: float) -> float:
        soft = cv2.GaussianBlur(grey, (0, 0), sigma) if sigma else grey
        return float(np.square(cv2.Laplacian(soft, cv2.CV_32F)).mean())

    if left(0.0) <= detail * (1 + 1e-3) + 1e-6:  # uint8 and float32 grey differ in rounding
        return colour
    low, high = 0.2, MOST_BLUR_PX
    for _ in range(8):
        middle = float(np.sqrt(low * high))
        low, high = (low, middle) if left(middle) <= detail else (middle, high)
    return cv2.GaussianBlur(colour, (0, 0), high).astype(np.float32, copy=False)


def change(old_NHWC: Frames, new_NHWC: Frames) -> Values:
    """Mean absolute difference of two successive pictures in grey levels, (N,)."""
    _same_shape(old_NHWC, new_NHWC)
    out: Values = np.abs(new_NHWC.astype(np.float64) - old_NHWC).mean((1, 2, 3))
    return out


def state_error(read_NS: Floats, true_NS: Floats, states: Sequence[str] = STATE_HEADS) -> Values:
    """One number a clip, (N,): mean over the known states of |error| / typical size of the state.

    `states` names those that count, by default all.
    """
    errors = np.abs(read_NS.astype(np.float64) - true_NS) / np.array(STATE_SCALES)
    errors = errors[:, [STATE_HEADS.index(name) for name in states]]
    known = ~np.isnan(errors)
    sums, counts = np.where(known, errors, 0.0).sum(1), known.sum(1)
    out: Values = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return out


def gain_and_r2(commanded_N: Floats, read_N: Floats) -> tuple[float, float]:
    """Slope of the line through read over commanded (ideal 1), and the squared correlation.

    NaN where the commanded values don't vary.
    """
    x, y = commanded_N - np.mean(commanded_N), read_N - np.mean(read_N)
    xx, yy, xy = float(np.dot(x, x)), float(np.dot(y, y)), float(np.dot(x, y))
    if xx == 0.0:
        return float("nan"), float("nan")
    return xy / xx, xy * xy / (xx * yy) if yy > 0.0 else 0.0


def sign_accuracy(commanded_N: Floats, read_N: Floats, threshold: float) -> float:
    """Share of readings with the right sign where |commanded| exceeds the threshold."""
    clear = np.abs(commanded_N) > threshold
    if not clear.any():
        return float("nan")
    return float(np.mean(np.sign(commanded_N[clear]) == np.sign(read_N[clear])))


def ranks(values_N: Floats) -> Values:
    """Ranks from 0, equal values sharing their mean rank."""
    _, inverse, counts = np.unique(values_N, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    out: Values = (ends - (counts + 1) / 2)[inverse]
    return out


def spearman(a_N: Floats, b_N: Floats) -> float:
    """Rank correlation; NaN where one of them doesn't vary."""
    a, b = ranks(a_N) - (len(a_N) - 1) / 2, ranks(b_N) - (len(b_N) - 1) / 2
    size = float(np.sqrt(np.dot(a, a) * np.dot(b, b)))
    return float(np.dot(a, b)) / size if size > 0.0 else float("nan")


def area_under_roc(
    score_N: Floats, is_N: NDArray[np.bool_], weight_N: Floats | None = None
) -> float:
    """Share of pairs, one that is and one that isn't, in which the former scores higher (ties: half).

    Scores may be anything that can be ordered; a pair weighs the product of its weights. NaN where one of the
    two kinds is missing.
    """
    weight_N = np.ones(len(score_N)) if weight_N is None else weight_N
    _, place = np.unique(score_N, return_inverse=True)
    yes, no = (np.bincount(place, weight_N * kind) for kind in (is_N, ~is_N))
    pairs = yes.sum() * no.sum()
    below = np.cumsum(no) - no
    return float((yes * (below + no / 2)).sum() / pairs) if pairs else float("nan")


def weighted_median(values_N: Floats, weight_N: Floats) -> float:
    """The value with half of the weight on either side; NaN are left out, NaN where nothing is left."""
    known = ~np.isnan(values_N)
    if not known.any():
        return float("nan")
    order = np.argsort(values_N[known])
    reached = np.cumsum(weight_N[known][order])
    return float(values_N[known][order][np.searchsorted(reached, reached[-1] / 2)])


def calibration_error(
    said_N: Floats, is_N: NDArray[np.bool_], weight_N: Floats, bins: int = 10
) -> float:
    """Expected calibration error (Naeini et al. 2015): how far said probabilities are from frequencies.

    Mean over equally wide bins of |mean said - share that is|, each with the weight of its members.
    """
    index = np.clip((said_N * bins).astype(np.int64), 0, bins - 1)
    gaps = np.bincount(index, weight_N * (said_N - is_N), bins)
    return float(np.abs(gaps).sum() / np.sum(weight_N))


def lag_steps(commanded_NT: Floats, read_NT: Floats, longest: int) -> int:
    """By how many steps the readings trail: the shift of smallest mean absolute difference.

    The first `longest` columns of both are the run-up: every shift is judged on the columns after.
    """
    steps = commanded_NT.shape[1]
    if commanded_NT.shape != read_NT.shape or not 0 <= longest < steps:
        raise ValueError(
            f"series have shapes {commanded_NT.shape} and {read_NT.shape}, longest={longest};"
            " accepted: equal shapes with more columns than `longest`"
        )
    tail = read_NT[:, longest:]
    misfits = [
        float(np.abs(commanded_NT[:, longest - lag : steps - lag] - tail).mean())
        for lag in range(longest + 1)
    ]
    return int(np.argmin(misfits))


def running_mean(values_NT: Floats, length: int) -> Values:
    """Mean of each step and up to `length` - 1 before it, (N, T)."""
    padded = np.concatenate([np.zeros((len(values_NT), 1)), np.cumsum(values_NT, 1)], 1)
    ends = np.arange(1, values_NT.shape[1] + 1)
    starts = np.maximum(ends - length, 0)
    out: Values = (padded[:, ends] - padded[:, starts]) / (ends - starts)
    return out


def _same_shape(a: Frames, b: Frames) -> None:
    if a.shape != b.shape or a.ndim != 4:
        raise ValueError(f"pictures have shapes {a.shape} and {b.shape}; accepted: equal (N,H,W,3)")
