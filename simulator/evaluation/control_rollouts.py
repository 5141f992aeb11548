"""Dreams under given actions, read by the meter and by the model's own heads: what all of control measures.

Shapes: N rollouts, T steps, A=2 action, S states.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.evaluation import metrics
from simulator.evaluation.report import Chart, Samples, Table, Verdict
from simulator.evaluation.subject import Rows, Subject, padded_batches
from world_model.engine.base import STATE_HEADS, StepOutput

SPEED, YAW_RATE = STATE_HEADS.index("speed_mps"), STATE_HEADS.index("yaw_rate_radps")
READERS = ("meter", "heads")
Floats = NDArray[np.float64]
Progress = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Part:
    """One question of the section on control, with its answer."""

    name: str
    figures: dict[str, Any]
    table: Table
    note: str
    charts: tuple[Chart, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    samples: tuple[Samples, ...] = ()


@dataclass(frozen=True, slots=True)
class Rollouts:
    """What was read from dreams under given actions."""

    meter_NTS: NDArray[np.float32]
    heads_NTS: NDArray[np.float32]
    change_NT: NDArray[np.float64]  # grey levels from frame to frame

    def of(self, reader: str, state: int) -> Floats:
        """One state as one of the `READERS` sees it, (N, T); NaN where the model doesn't tell it."""
        read = self.meter_NTS if reader == "meter" else self.heads_NTS
        return read[..., state].astype(np.float64)


def dream(
    subject: Subject, rows: Rows, actions_NTA: NDArray[np.float32], progress: Progress
) -> Rollouts:
    """Dream from each row under the given actions and read every frame; `progress` once a batch."""
    kept: tuple[list[NDArray[Any]], ...] = ([], [], [])
    for picked, count in padded_batches(len(rows), subject.config.batch):
        starts = rows[picked]
        subject.begin(starts)
        generators = subject.generators(starts)
        old = subject.drives.frames(starts[:count])
        by_step: list[tuple[NDArray[np.generic], ...]] = []
        for t in range(actions_NTA.shape[1]):
            out = subject.engine.step(actions_NTA[picked, t], subject.engine.draw_noise(generators))
            assert out.frame_BHWC is not None
            new = out.frame_BHWC[:count]
            by_step.append((subject.read(old, new), said(out, count), metrics.change(old, new)))
            old = new
        for parts, values in zip(kept, zip(*by_step, strict=True), strict=True):
            parts.append(np.stack(values, 1))
        progress()
    return Rollouts(*(np.concatenate(parts) for parts in kept))


def said(out: StepOutput, count: int) -> NDArray[np.float32]:
    """States of the first `count` dreams as the model's heads read them, (count, S); NaN where untrained."""
    return _known(out, out.shown, count)


def told(out: StepOutput, count: int) -> NDArray[np.float32]:
    """The same as drivers are told them: what is carried along where it is, else what the heads read."""
    return _known(out, out.state, count)


def _known(
    out: StepOutput, by_name: Mapping[str, NDArray[np.float32]], count: int
) -> NDArray[np.float32]:
    states = np.stack([by_name[name][:count] for name in STATE_HEADS], 1)
    states[:, [name not in out.known for name in STATE_HEADS]] = np.nan
    return states


def usable_starts(subject: Subject, low_mps: float, high_mps: float, steps: int = 1) -> Rows:
    """Rows with enough past, a known speed in the range, and no event now nor in the next `steps`."""
    drives = subject.drives
    rows = drives.window_ends(subject.engine.context_frames - 1, steps)
    speed = drives.state_NS[rows, SPEED]
    eventful = np.cumsum(np.nan_to_num(drives.event_NE).max(1))
    before = np.where(rows > 0, eventful[rows - 1], 0.0)
    quiet = eventful[rows + steps] == before
    picked: Rows = rows[quiet & (speed >= low_mps) & (speed < high_mps)]
    return picked


class NoStartError(ValueError):
    """The held-out drives have no start of the kind that a question needs."""


def require(rows: Rows, what: str) -> None:
    """Raises NoStartError where there is none."""
    if not len(rows):
        raise NoStartError(f"no held-out start {what}: can't be measured; record more drives")
