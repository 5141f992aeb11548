"""What the heads say of the frame that follows a true one: places in their units, events as probabilities.

Each row of a held-out drive is one start: one dreamed frame under the recorded action, the labels of the true
frame beside what the heads say. Frames with an event are few, so they are drawn more often; every start
weighs as many frames as it stands for. A recording that goes on after a crash is told to stand, by which it
could be told apart without a look: rows of a crashed car are no starts. Shapes: N starts, S states, E events.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulator.ego import DT_S
from simulator.envs.dream_episode import DreamRules
from simulator.evaluation import metrics
from simulator.evaluation.control_rollouts import said
from simulator.evaluation.intervals import Interval, mean_interval, statistic_interval
from simulator.evaluation.report import Section, Verdict, table
from simulator.evaluation.subject import Rows, Subject, padded_batches
from world_model.engine.base import EVENT_HEADS, STATE_HEADS
from world_model.training.data import DataError, evenly

GOOD_AREA, GOOD_CALIBRATION = 0.95, 0.05
TOLD = DreamRules().event_threshold
FRAMES_A_MINUTE = 60 / DT_S


@dataclass(frozen=True, slots=True)
class Answers:
    """What the heads said, and what was true."""

    drive_N: NDArray[np.int64]
    state_NS: NDArray[np.float32]
    event_NE: NDArray[np.float32]
    true_state_NS: NDArray[np.float32]
    true_event_NE: NDArray[np.float32]
    begins_NE: NDArray[np.bool_]  # the first frame of the event
    weight_N: NDArray[np.float64]  # frames of the held-out drives that one start stands for


def heads(subject: Subject, progress: Callable[[], None] = lambda: None) -> Section:
    """Mean absolute errors of the states; how well the events are told apart, and how honestly."""
    rows, weight_N = starts(subject)
    states, events = [], []
    for picked, count in padded_batches(len(rows), subject.config.batch):
        now = rows[picked]
        subject.begin(now)
        actions = np.nan_to_num(subject.drives.action_NA[now])
        out = subject.engine.step(actions, subject.engine.draw_noise(subject.generators(now)))
        states.append(said(out, count))
        known = [np.where(e in out.known, out.events[e][:count], np.nan) for e in EVENT_HEADS]
        events.append(np.stack(known, 1))
        progress()
    drives, then = subject.drives, rows + 1
    event_NE = drives.event_NE
    answers = Answers(
        subject.groups(rows),
        np.concatenate(states),
        np.concatenate(events),
        drives.state_NS[then],
        event_NE[then],
        (event_NE[then] == 1) & (event_NE[rows] == 0),
        weight_N,
    )
    return section(answers)


def starts(subject: Subject) -> tuple[Rows, NDArray[np.float64]]:
    """Rows before frames with an event and before others, and how many each stands for."""
    drives, config = subject.drives, subject.config.heads
    before = max(subject.engine.context_frames - 1, 1)
    rows = drives.window_ends(before, 1)
    rows = rows[~drives.crashed(rows)]
    if not len(rows):
        raise DataError(
            f"{subject.config.cache} has no held-out drive of {before + 2} frames; record longer ones"
            " (`dreamlane collect`)"
        )
    event = (drives.event_NE[rows + 1] == 1).any(1)
    parts = [evenly(rows[event], config.event_frames), evenly(rows[~event], config.frames)]
    weights = [
        np.full(len(part), np.sum(mask) / max(len(part), 1))
        for part, mask in zip(parts, (event, ~event), strict=True)
    ]
    return np.concatenate(parts), np.concatenate(weights)


def section(answers: Answers) -> Section:
    """Tables, figures and verdicts."""
    places = {name: place(answers, i) for i, name in enumerate(STATE_HEADS)}
    told = {name: event(answers, i) for i, name in enumerate(EVENT_HEADS)}
    return Section(
        "heads",
        "What the heads say of the next frame",
        {
            "states": {k: {m: i.to_json() for m, i in v.items()} for k, v in places.items()},
            "events": {k: {m: i.to_json() for m, i in v.items()} for k, v in told.items()},
        },
        (
            table(
                "States: mean absolute error [95 %], and how far the labels themselves are from their median",
                ("state", "error", "spread of the labels"),
                [(name, *map(str, found.values())) for name, found in places.items()],
            ),
            table(
                "Events: area under the ROC curve (1 is ideal) and expected calibration error (0 is ideal)",
                (
                    "event",
                    "area",
                    "area, first frames",
                    "calibration error",
                    "first frames told",
                    "false alarms a minute",
                    "share of frames",
                ),
                [(name, *map(str, found.values())) for name, found in told.items()],
            ),
        ),
        (
            f"One dreamed frame after {len(answers.drive_N)} true ones; frames with an event are drawn more"
            " often and weigh less. First frames alone: those in which it happens, against all without it."
            f" Told is what has a probability above {TOLD}.",
        ),
        verdicts=verdicts(places, told),
    )


def place(answers: Answers, state: int) -> dict[str, Interval]:
    """Error of one state, and the spread of its labels: what knowing nothing but the median costs."""
    true = answers.true_state_NS[:, state]
    weights = answers.weight_N
    away = np.abs(true - metrics.weighted_median(true, weights))
    error = np.abs(answers.state_NS[:, state] - true)
    return {
        name: mean_interval(values, answers.drive_N, weights)
        for name, values in (("error", error), ("spread", away))
    }


def event(answers: Answers, number: int) -> dict[str, Interval]:
    """How one event is told from its absence; NaN where it never happens or isn't known."""
    told, true = answers.event_NE[:, number], answers.true_event_NE[:, number]
    usable = ~np.isnan(told) & ~np.isnan(true)
    begins = usable & ((true == 0) | answers.begins_NE[:, number])

    def over(mask: NDArray[np.bool_], statistic: Callable[[Rows], float]) -> Interval:
        kept = np.flatnonzero(mask)
        return statistic_interval(lambda i: statistic(kept[i]), answers.drive_N[kept])

    def area(i: Rows) -> float:
        return metrics.area_under_roc(told[i], true[i] == 1, answers.weight_N[i])

    def off(i: Rows) -> float:
        return metrics.calibration_error(told[i], true[i] == 1, answers.weight_N[i])

    return {
        "area": over(usable, area),
        "area_of_first_frames": over(begins, area),
        "calibration_error": over(usable, off),
        "first_frames_told": mean_interval(
            np.where(begins & (true == 1), told > TOLD, np.nan), answers.drive_N
        ),
        "false_alarms_per_min": mean_interval(
            np.where(usable & (true == 0), FRAMES_A_MINUTE * (told > TOLD), np.nan),
            answers.drive_N,
            answers.weight_N,
        ),
        "share": mean_interval(np.where(usable, true, np.nan), answers.drive_N, answers.weight_N),
    }


def verdicts(
    places: dict[str, dict[str, Interval]], told: dict[str, dict[str, Interval]]
) -> tuple[Verdict, ...]:
    """One sentence for each event, one for the place in the lane."""
    said_of = []
    for name, found in told.items():
        area, off = found["area"], found["calibration_error"]
        if np.isnan(area.value):
            text = f"{name.capitalize()}: unknown to this model, or absent from these drives."
            said_of.append(Verdict(text, trusted=False))
            continue
        text = (
            f"{name.capitalize()}: {area.value:.0%} of pairs of frames, one with and one without, are told"
            f" apart; probabilities are off by {off.value:.3f} on average. Its first frame is told in"
            f" {found['first_frames_told'].value:.0%}."
        )
        said_of.append(
            Verdict(text, trusted=area.value >= GOOD_AREA and off.value <= GOOD_CALIBRATION)
        )
    lane = places["lane_offset_m"]
    if lane["error"].n:
        text = (
            f"Place in the lane: told within {lane['error'].value:.2f} m on average after one dreamed frame"
            f" (labels lie {lane['spread'].value:.2f} m from their median)."
        )
        said_of.append(Verdict(text, trusted=lane["error"].value < 0.5 * lane["spread"].value))
    return tuple(said_of)
