"""Does the picture obey the wheel and the pedals? All questions, in one section."""

from __future__ import annotations

from simulator.evaluation.control_kinematics import kinematics
from simulator.evaluation.control_likelihood import likelihood
from simulator.evaluation.control_pedals import pedals
from simulator.evaluation.control_rollouts import Progress
from simulator.evaluation.control_round_trip import round_trip
from simulator.evaluation.control_steering import steering
from simulator.evaluation.report import Section
from simulator.evaluation.subject import Subject


def control(subject: Subject, progress: Progress = lambda: None) -> Section:
    """Steering sweep, pedals, round trip, kinematics, and what wrong actions cost.

    Raises:
        ValueError: the held-out drives have no start of a kind that is needed.
    """
    parts = [
        steering(subject, progress),
        pedals(subject, progress),
        round_trip(subject, progress),
        kinematics(subject, progress),
        likelihood(subject),
    ]
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
