"""Does the picture obey the wheel and the pedals? All questions, in one section."""

from __future__ import annotations

from collections.abc import Callable

from simulator.evaluation.control_kinematics import kinematics
from simulator.evaluation.control_likelihood import likelihood
from simulator.evaluation.control_pedals import pedals
from simulator.evaluation.control_rollouts import NoStartError, Part, Progress
from simulator.evaluation.control_round_trip import round_trip
from simulator.evaluation.control_steering import steering
from simulator.evaluation.report import Section, table
from simulator.evaluation.subject import Subject

QUESTIONS: tuple[tuple[str, Callable[[Subject, Progress], Part]], ...] = (
    ("steering", steering),
    ("pedals", pedals),
    ("round_trip", round_trip),
    ("kinematics", kinematics),
    ("likelihood", lambda subject, progress: likelihood(subject)),
)


def control(subject: Subject, progress: Progress = lambda: None) -> Section:
    """Steering sweep, pedals, round trip, kinematics, and what wrong actions cost.

    A question for which the held-out drives have no start is skipped and says what is missing.
    """
    parts = [answer(name, measure, subject, progress) for name, measure in QUESTIONS]
    return Section(
        "control",
        "Does the picture obey?",
        {part.name: part.figures for part in parts},
        tuple(part.table for part in parts),
        tuple(part.note for part in parts),
        charts=tuple(chart for part in parts for chart in part.charts),
        verdicts=tuple(verdict for part in parts for verdict in part.verdicts),
        samples=tuple(kept for part in parts for kept in part.samples),
    )


def answer(
    name: str, measure: Callable[[Subject, Progress], Part], subject: Subject, progress: Progress
) -> Part:
    """One question's answer, or why there is none."""
    try:
        return measure(subject, progress)
    except NoStartError as error:
        why = f"skipped: {error}"
        title = name.replace("_", " ").capitalize()
        return Part(name, {"skipped": why}, table(title, ("answer",), [(why,)]), f"{title}: {why}.")
