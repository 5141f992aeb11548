"""What true frames look like: the range that a dream must not leave, and the level of the drift alarm.

Measured on held-out drives (see `Subject.world_drives`), through the tokenizer: what the tokenizer takes away
is no decay of a dream. One half of the drives (of a single drive, its first half) says what the reader's
features are like, the other how far from that true pictures are; all of them give the other ranges.

Shapes: N pictures, W successive looks at one drive, F features, L tokens, Q quantities.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from simulator.evaluation import metrics
from simulator.evaluation.feature_distance import shrunk_covariance
from simulator.evaluation.settings import StabilityConfig
from simulator.evaluation.subject import Subject
from world_model.training.data import evenly

Frames = NDArray[np.uint8]
Floats = NDArray[np.float64]

RULE_OF = {
    "brightness": "statistics",
    "contrast": "statistics",
    "colour": "statistics",
    "codes": "codes",
    "reader": "reader",
}
"""The quantities that have a range, and the rule of survival that each belongs to."""

QUANTITIES = tuple(RULE_OF)
CODES, READER = QUANTITIES.index("codes"), QUANTITIES.index("reader")
SECOND_STEPS = 10


def window(sample_every: int) -> int:
    """How many looks a rule takes the mean of: a second's, at least four (an odd one is forgiven)."""
    return max(4, SECOND_STEPS // sample_every)


def picture_statistics(frames_NHWC: Frames) -> Floats:
    """Brightness and contrast in grey levels and colourfulness, (N, 3).

    Mean and standard deviation of the grey picture; mean of the largest minus the smallest channel.
    """
    values = []
    for frame in frames_NHWC:
        grey = cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY).astype(np.float64)
        colour = (frame.max(-1).astype(np.float64) - frame.min(-1)).mean()
        values.append((grey.mean(), grey.std(), colour))
    return np.array(values).reshape(-1, 3)


def code_entropy(tokens_WL: NDArray[np.integer]) -> float:
    """How evenly codes are used in successive frames, nats: mean entropy of each token's place.

    0 where every place keeps its code, log(W) where no code comes twice. A dream that freezes falls below
    the truth's range, one that turns to noise rises above it.
    """
    looks = len(tokens_WL)
    ordered = np.sort(tokens_WL, axis=0)
    entropy = np.zeros(tokens_WL.shape[1])
    run = np.ones(tokens_WL.shape[1])
    for i in range(1, looks + 1):
        same = ordered[i] == ordered[i - 1] if i < looks else np.zeros(len(run), np.bool_)
        share = run / looks
        entropy -= np.where(same, 0.0, share * np.log(share))
        run = np.where(same, run + 1, 1)
    return float(entropy.mean())


@dataclass(frozen=True, slots=True)
class Reader:
    """How unlike true pictures a picture is in the features of the meter's network."""

    mean_F: Floats
    precision_FF: Floats

    def distance(self, features_NF: NDArray[np.floating]) -> Floats:
        """Mahalanobis distance over the root of the number of features, (N,): about 1 for true ones."""
        off = features_NF - self.mean_F
        squared = np.einsum("nf,fg,ng->n", off, self.precision_FF, off)
        out: Floats = np.sqrt(np.maximum(squared, 0.0) / len(self.mean_F))
        return out


def fit_reader(features_NF: NDArray[np.floating]) -> Reader:
    """The reader's idea of a true picture, from features of true pictures."""
    precision: Floats = np.linalg.pinv(shrunk_covariance(features_NF)).astype(np.float64)
    return Reader(features_NF.mean(0, dtype=np.float64), precision)


@dataclass(frozen=True, slots=True)
class Envelope:
    """Ranges of the looks' means, and the drift score above which the alarm sounds."""

    low_Q: Floats
    high_Q: Floats
    drift_alarm: float
    most_detail: float  # fine detail of the sharpest true pictures
    reader: Reader | None = None

    def left(self, means_TQ: Floats, moving_T: NDArray[np.bool_]) -> dict[str, NDArray[np.bool_]]:
        """By rule, when one of its quantities was out of range, (T,); NaN is in range.

        Who stands sees the same codes again and again: too few of them count while moving only.
        """
        with np.errstate(invalid="ignore"):
            below, above = means_TQ < self.low_Q, means_TQ > self.high_Q
        below[:, CODES] &= moving_T
        out = below | above
        rules = dict.fromkeys(RULE_OF.values())
        picked = {rule: [RULE_OF[q] == rule for q in QUANTITIES] for rule in rules}
        return {rule: np.asarray(out[:, columns].any(1)) for rule, columns in picked.items()}

    def to_json(self) -> dict[str, object]:
        """As the report's figures hold it."""
        ranges = zip(QUANTITIES, self.low_Q.tolist(), self.high_Q.tolist(), strict=True)
        single = {"drift_alarm": self.drift_alarm, "most_detail": self.most_detail}
        return single | {name: [low, high] for name, low, high in ranges}


@dataclass(frozen=True, slots=True)
class Coded:
    """True pictures as the model holds them."""

    frames_NHWC: Frames
    tokens_NL: NDArray[np.int64]
    drift_N: Floats


def coded(subject: Subject, frames_NHWC: Frames) -> Coded:
    """Encode and decode true pictures; their drift score is that of `EagerEngine`."""
    import torch

    from world_model.engine.step_graph import drift_statistics

    tokenizer, config = subject.checkpoint.tokenizer, subject.checkpoint.config
    shown, tokens, drift = [], [], []
    for i in range(0, len(frames_NHWC), 16):
        part = torch.from_numpy(np.ascontiguousarray(frames_NHWC[i : i + 16]))
        with torch.no_grad():
            quantized = tokenizer.quantizer.encode(tokenizer.latents(part))
            shown.append(tokenizer.decode_latent(quantized.latent_BChw).numpy())
            tokens.append(torch.cat(quantized.tokens, 1).numpy())
            z = torch.zeros(len(part), 1)
            if config.drift_mean:
                off = drift_statistics(quantized.latent_BChw) - torch.tensor(config.drift_mean)
                z = off / torch.tensor(config.drift_std)
            excess = z.square().mean(1).sqrt() - config.drift_threshold
        drift.append(excess.clamp_min(0).double().numpy() * bool(config.drift_mean))
    return Coded(np.concatenate(shown), np.concatenate(tokens), np.concatenate(drift))


def measure_envelope(subject: Subject) -> Envelope:
    """Ranges of true drives, widened by the configured margin."""
    config, drives = subject.config.stability, subject.world_drives
    looks, every = window(config.sample_every), config.sample_every
    starts = evenly(drives.window_ends(0, (looks - 1) * every), config.envelope_clips)
    if not len(starts):
        starts = evenly(drives.window_ends(0, 0), config.envelope_clips)
        looks = 1
    rows = (starts[:, None] + np.arange(looks) * every).ravel()
    held = [
        coded(subject, drives.frames(part)) for part in np.array_split(rows, -(-len(rows) // 64))
    ]
    features = np.concatenate([subject.features(c.frames_NHWC) for c in held])
    tokens = np.concatenate([c.tokens_NL for c in held]).reshape(len(starts), looks, -1)
    drift = np.concatenate([c.drift_N for c in held]).reshape(-1, looks).mean(1)
    fits = fitting_half(drives.episode_N[starts])
    reader = fit_reader(features[np.repeat(fits, looks)])
    distance = reader.distance(features).reshape(-1, looks).mean(1)
    if not fits.all():  # what the reader was fitted to looks nearer than it is
        distance = distance[~fits]
    shown = np.concatenate([c.frames_NHWC for c in held])
    detail = metrics.fine_detail(shown).reshape(-1, looks).mean(1)
    columns = [
        *picture_statistics(shown).reshape(-1, looks, 3).mean(1).T,
        np.array([code_entropy(t) for t in tokens]),
        distance,
    ]
    return replace(from_truth(columns, drift, detail, config), reader=reader)


def fitting_half(episode_K: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Which of K clips, in order of time, the reader is fitted to, by the drive that each belongs to.

    Every other drive; of a single drive its first half; all of fewer than four clips of one drive.
    """
    order = np.unique(episode_K, return_inverse=True)[1]
    if order.max():
        return np.asarray(order % 2 == 0)
    count = len(order)
    return np.arange(count) < (count // 2 if count >= 4 else count)


def from_truth(
    columns: list[Floats], drift_N: Floats, detail_N: Floats, config: StabilityConfig
) -> Envelope:
    """The envelope of true values: one array a quantity, drift scores, fine detail; means over looks."""
    low, high = (np.array([f(c) for c in columns]) for f in (np.min, np.max))
    wide = config.envelope_margin * (high - low)
    wide = np.maximum(wide, 1e-6)
    low, high = low - wide, high + wide
    low[READER] = -np.inf  # nothing is too much like the truth
    alarm = float(np.quantile(drift_N, 0.99)) * (1 + config.envelope_margin)
    most_detail = float(detail_N.max()) * (1 + config.envelope_margin)
    return Envelope(low, high, max(alarm, config.least_drift_alarm), most_detail)
