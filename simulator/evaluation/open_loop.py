"""Recorded start, recorded actions: how long does the dream stay with what really happened?

Beside the dream stand its floor (the last known frame, shown for ever) and its ceiling (the true frames
through the tokenizer). Blur wins PSNR, so sharpness and the state that an independent meter reads stand
beside it. Shapes: N clips, H W picture, S states.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from simulator.evaluation import metrics
from simulator.evaluation.intervals import Interval, mean_interval
from simulator.evaluation.report import Section, Table, table
from simulator.evaluation.subject import Rows, Subject, padded_batches
from world_model.engine.base import STATE_HEADS
from world_model.training.data import DataError, evenly

SOURCES = ("dream", "copy_last", "tokenizer", "truth", "heads", "hold_state")


@dataclass(frozen=True, slots=True)
class Comparison:
    """Of a source with its floor in one metric."""

    source: str
    floor: str
    metric: str
    higher_is_better: bool = False


COMPARISONS = {
    "psnr_db": Comparison("dream", "copy_last", "psnr_db", True),
    "ssim": Comparison("dream", "copy_last", "ssim", True),
    "state_error": Comparison("dream", "copy_last", "state_error"),
    "state_vs_meter": Comparison("dream", "copy_last", "state_vs_meter"),
    "yaw_rate": Comparison("dream", "copy_last", "mae_yaw_rate_radps"),
    "speed": Comparison("dream", "copy_last", "mae_speed_mps"),
    "heads": Comparison("heads", "hold_state", "state_error"),
}
"""What is expected to beat what. The heads' floor is the start's true state, held for ever."""

Key = tuple[str, str, int]  # source, metric, horizon


@dataclass
class Clips:
    """Values of every clip by source, metric and horizon."""

    values: dict[Key, list[NDArray[np.floating]]] = field(default_factory=dict)

    def add(self, source: str, metric: str, horizon: int, values_N: NDArray[np.floating]) -> None:
        """Append the values of a batch of clips."""
        self.values.setdefault((source, metric, horizon), []).append(values_N)

    def get(self, source: str, metric: str, horizon: int) -> NDArray[np.floating]:
        """All values, (N,)."""
        return np.concatenate(self.values[source, metric, horizon])


def open_loop(subject: Subject, progress: Callable[[], None] = lambda: None) -> Section:
    """Dream from held-out starts and compare at each horizon. `progress` is called once a batch."""
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
    clips = Clips()
    for picked, count in padded_batches(len(rows), subject.config.batch):
        compare(subject, rows[picked], count, clips)
        progress()
    return section(clips, subject.drives.episode_N[rows], config.horizons)


def compare(subject: Subject, rows: Rows, count: int, clips: Clips) -> None:
    """Dream one batch; add the values of its first `count` clips at every horizon."""
    drives, kept = subject.drives, rows[:count]
    now = drives.frames(kept)
    before_now = drives.frames(kept - 1)
    copied_state = subject.read(before_now, now)
    subject.begin(rows)
    generators = subject.generators(rows)
    old = now
    horizons = subject.config.open_loop.horizons
    for h in range(1, max(horizons) + 1):
        actions = np.nan_to_num(drives.action_NA[rows + h - 1])
        out = subject.engine.step(actions, subject.engine.draw_noise(generators))
        assert out.frame_BHWC is not None
        new = out.frame_BHWC[:count]
        if h in horizons:
            true_old, true = drives.frames(kept + h - 1), drives.frames(kept + h)
            coded_old, coded = subject.reconstruct(true_old), subject.reconstruct(true)
            label, on_truth = drives.state_NS[kept + h], subject.read(true_old, true)
            for source, frames, state in (
                ("dream", new, subject.read(old, new)),
                ("copy_last", now, copied_state),
                ("tokenizer", coded, subject.read(coded_old, coded)),
            ):
                for metric in ("psnr_db", "ssim", "sharpness_ratio"):
                    clips.add(source, metric, h, getattr(metrics, metric)(frames, true))
                add_states(clips, source, h, state, label, on_truth)
            add_states(clips, "truth", h, on_truth, label, on_truth)
            heads = np.stack([out.state[name][:count] for name in STATE_HEADS], 1)
            held = drives.state_NS[kept].copy()
            for states in (heads, held):  # compared over the same states
                states[:, [name not in out.known for name in STATE_HEADS]] = np.nan
            add_states(clips, "heads", h, heads, label, on_truth)
            add_states(clips, "hold_state", h, held, label, on_truth)
        old = new


def add_states(
    clips: Clips,
    source: str,
    horizon: int,
    read_NS: NDArray[np.float32],
    label_NS: NDArray[np.float32],
    on_truth_NS: NDArray[np.float32],
) -> None:
    """Errors of a reading against the labels, and against the meter's reading of the truth."""
    clips.add(source, "state_error", horizon, metrics.state_error(read_NS, label_NS))
    clips.add(source, "state_vs_meter", horizon, metrics.state_error(read_NS, on_truth_NS))
    for i, name in enumerate(STATE_HEADS):
        clips.add(source, f"mae_{name}", horizon, np.abs(read_NS[:, i] - label_NS[:, i]))
        clips.add(source, f"vs_meter_{name}", horizon, np.abs(read_NS[:, i] - on_truth_NS[:, i]))


def section(clips: Clips, drive_N: NDArray[np.int64], horizons: tuple[int, ...]) -> Section:
    """Means, intervals and verdicts."""
    means: dict[Key, Interval] = {
        key: mean_interval(clips.get(*key), drive_N) for key in clips.values
    }
    verdicts = {
        name: {h: advantage(clips, drive_N, comparison, h) for h in horizons}
        for name, comparison in COMPARISONS.items()
    }
    won, clear = (
        {m: [h for h in horizons if getattr(by_h[h], bound) > 0] for m, by_h in verdicts.items()}
        for bound in ("value", "low")
    )
    figures = {
        "clips": len(drive_N),
        "means": [
            {"source": s, "metric": m, "horizon": h, **means[s, m, h].to_json()}
            for s, m, h in sorted(means)
        ],
        "advantage_over_floor": [
            {"comparison": m, "horizon": h, **interval.to_json()}
            for m, by_horizon in verdicts.items()
            for h, interval in by_horizon.items()
        ],
        "beats_floor_at": won,
        "clearly_beats_floor_at": clear,
        "trust_horizon": max(clear["state_error"] or clear["state_vs_meter"], default=0),
    }
    notes = (
        f"{len(drive_N)} starts in {len(set(drive_N.tolist()))} held-out drives, recorded actions;"
        " intervals are bootstrapped over drives. State error: mean over states of |error| / typical"
        " size. Trust horizon (the last one at which the dream's state error is clearly below"
        f" copy-last's): {figures['trust_horizon']} steps.",
    )
    return Section("open_loop", "Open loop", figures, tables(means, verdicts, horizons), notes)


def advantage(
    clips: Clips, drive_N: NDArray[np.int64], comparison: Comparison, horizon: int
) -> Interval:
    """By how much a source is better than its floor, clip by clip; positive: better."""
    better = clips.get(comparison.source, comparison.metric, horizon) - clips.get(
        comparison.floor, comparison.metric, horizon
    )
    return mean_interval(better if comparison.higher_is_better else -better, drive_N)


def verdict(gained: Interval) -> str:
    """In words; "unclear" where the interval holds zero."""
    if gained.low > 0:
        return "better"
    if gained.high < 0:
        return "worse"
    return "unclear"


def tables(
    means: dict[Key, Interval], verdicts: dict[str, dict[int, Interval]], horizons: tuple[int, ...]
) -> tuple[Table, ...]:
    """Pictures, states, and the comparison with copy-last."""
    steps = tuple(f"{h} ({h / 10:g} s)" for h in horizons)

    def lines(metric: str, sources: tuple[str, ...]) -> list[tuple[str, ...]]:
        return [
            (metric, source, *(str(means[source, metric, h]) for h in horizons))
            for source in sources
        ]

    drawn = SOURCES[:3]
    pictures = [line for m in ("psnr_db", "ssim", "sharpness_ratio") for line in lines(m, drawn)]
    states = lines("state_error", SOURCES) + lines("state_vs_meter", drawn)
    for name in STATE_HEADS:
        states += lines(f"mae_{name}", SOURCES)
    compared = [
        (
            f"{name}: {COMPARISONS[name].source} against {COMPARISONS[name].floor}",
            *(f"{verdict(by_h[h])} ({by_h[h]})" for h in horizons),
        )
        for name, by_h in verdicts.items()
    ]
    return (
        table("Better than its floor? (advantage [95 %])", ("comparison", *steps), compared),
        table("Pictures against the truth", ("metric", "source", *steps), pictures),
        table("States: meter or heads against the labels", ("metric", "source", *steps), states),
    )
