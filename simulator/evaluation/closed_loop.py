"""Policies on scenarios, beside drivers whose worth is known: is the score earned, and is the danger real?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from simulator.assets import model_folder
from simulator.evaluation.episodes import REPLAY
from simulator.evaluation.intervals import Interval, mean_interval, verdict
from simulator.evaluation.policies import BLIND
from simulator.evaluation.report import Samples, Section, Table, Verdict, cell, samples, table
from simulator.evaluation.scores import TERMS
from simulator.evaluation.settings import EvalConfig
from simulator.evaluation.suite import Course, Row, run

CONSTANT, STILL, RANDOM = "constant_velocity", "stand_still", "random"
WORLDS = {"dream": "the dream", "truth": "the reference world"}
HEADINGS = {
    "drive_score": "drive score", "success": "success", "no_collision": "NC",
    "drivable_area": "DAC", "time_to_collision": "TTC", "comfort": "C", "progress": "EP",
    "lane_keeping": "LK", "route_completion": "route",
}  # fmt: skip


def closed_loop(
    config: EvalConfig, folder: Path, progress: Callable[[], None] = lambda: None
) -> Section:
    """Drive the configured policies and the reference rows; `progress` is called once a drive.

    Raises:
        ValueError: settings that can't be driven.
    """
    settings = config.closed_loop
    course = Course(
        folder, settings.scenarios, tuple(range(config.seed, config.seed + settings.seeds)),
        settings.steps, config.workers, settings.step_limit_s, str(model_folder(config.model)),
        config.backend,
    )  # fmt: skip
    names = rows_of_table(settings.env, settings.policies)
    rows = run(course, "closed_loop", [(settings.env, name) for name in names], progress)
    by_policy = {name: [row for row in rows if row.policy == name] for name in names}
    figures: dict[str, Any] = {
        "env": settings.env,
        "policies": {name: summary(part) for name, part in by_policy.items()},
        "better_by": {
            name: gained.to_json() for name, gained in paired(by_policy, settings.policies).items()
        },
        "critical": critical_check(by_policy[CONSTANT]),
        "errors": errors(rows),
    }
    return Section(
        "closed_loop",
        f"Closed loop: policies in {WORLDS[settings.env]}",
        figures,
        (
            score_table(by_policy),
            *paired_table(by_policy, settings.policies),
            place_table(by_policy, settings.policies),
            *error_table(rows),
        ),
        (notes(course, rows, settings.env),),
        verdicts=verdicts(by_policy, settings.policies[0], settings.env, course),
        samples=tuple(score_samples(name, part) for name, part in by_policy.items()),
    )


def rows_of_table(env: str, policies: Sequence[str]) -> list[str]:
    """The judged policies and the rows that every table must have, each once."""
    fixed = [REPLAY] if env == "truth" else []
    blind = [p if p.startswith(BLIND) else BLIND + p for p in policies]
    return list(dict.fromkeys([*policies, *fixed, CONSTANT, STILL, RANDOM, *blind]))


def values(rows: Sequence[Row], term: str) -> np.ndarray:
    """One term of each row, NaN where unknown."""
    found = [None if row.scores is None else getattr(row.scores, term) for row in rows]
    return np.array([np.nan if value is None else float(value) for value in found])


def interval(rows: Sequence[Row], term: str) -> Interval:
    """Mean of a term with its bootstrap interval over scenarios."""
    return mean_interval(values(rows, term), np.array([row.scenario for row in rows]))


def summary(rows: Sequence[Row]) -> dict[str, Any]:
    """All terms of one policy."""
    kept: dict[str, Any] = {term: interval(rows, term).to_json() for term in TERMS}
    endings = sorted({row.ending for row in rows if row.ending})
    return kept | {
        "episodes": len(rows),
        "errors": sum(bool(row.error) for row in rows),
        "endings": {ending: sum(row.ending == ending for row in rows) for ending in endings},
    }


def critical_check(rows: Sequence[Row]) -> dict[str, Any]:
    """Of each critical scenario, whether the driver who keeps lane and speed fails it, as it must."""
    critical = [row for row in rows if row.critical and row.scores is not None]
    failed = [row for row in critical if row.scores is not None and row.scores.success is False]
    return {
        "drives": len(critical),
        "failed_by_constant_velocity": len(failed),
        "survived": [f"{r.scenario}, seed {r.seed}" for r in critical if r not in failed],
    }


def score_table(by_policy: dict[str, list[Row]]) -> Table:
    """A row each policy, the reference rows below."""
    lines = []
    for name, rows in by_policy.items():
        spread = interval(rows, "drive_score")
        rest = [cell(interval(rows, term).value, 3) for term in list(HEADINGS)[1:]]
        errors = sum(bool(row.error) for row in rows)
        lines.append((name, str(spread), *rest, str(len(rows)), str(errors)))
    columns = ("policy", "drive score [95 %]", *list(HEADINGS.values())[1:], "drives", "errors")
    return table("Scores, means over scenarios and seeds", columns, lines)


def paired(by_policy: dict[str, list[Row]], judged: Sequence[str]) -> dict[str, Interval]:
    """By how much the first of the judged policies scores more than each other one at the same places."""
    rows = by_policy[judged[0]]
    mine, groups = values(rows, "drive_score"), np.array([row.scenario for row in rows])
    return {
        name: mean_interval(mine - values(by_policy[name], "drive_score"), groups)
        for name in dict.fromkeys(judged[1:])
        if name != judged[0]
    }


def paired_table(by_policy: dict[str, list[Row]], judged: Sequence[str]) -> tuple[Table, ...]:
    """The judged policies beside each other; no table where there is one alone."""
    answers = {"better": "yes", "worse": "no, worse", "unclear": "unclear"}
    lines = [
        (name, str(gained), answers[verdict(gained)])
        for name, gained in paired(by_policy, judged).items()
    ]
    columns = ("than", "drive score more by [95 %]", "better?")
    return (table(f"{judged[0]}, place by place", columns, lines),) if lines else ()


def place_table(by_policy: dict[str, list[Row]], judged: Sequence[str]) -> Table:
    """Drive score and passes, scenario by scenario, the worst of the first judged policy first."""
    shown = [*judged, *(name for name in by_policy if name not in judged)]
    scenarios = {row.scenario: row.critical for row in by_policy[shown[0]]}
    lines = []
    for scenario, critical in scenarios.items():
        cells, first = [], np.nan
        for name in shown:
            here = [row for row in by_policy[name] if row.scenario == scenario]
            mean = interval(here, "drive_score").value
            first = mean if name == shown[0] else first
            passed = sum(bool(row.scores and row.scores.success) for row in here)
            cells.append(f"{cell(mean, 2)} ({passed}/{len(here)})")
        lines.append((first, (scenario + " (critical)" * critical, *cells)))
    lines.sort(key=lambda line: (line[0] != line[0], line[0]))
    return table(
        "Drive score (passed / drives), worst first", ("scenario", *shown), [c for _, c in lines]
    )


def errors(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """What broke down, as figures."""
    return [
        {"policy": r.policy, "scenario": r.scenario, "seed": r.seed, "error": r.error}
        for r in rows
        if r.error
    ]


def error_table(rows: Sequence[Row]) -> tuple[Table, ...]:
    """What broke down; no table where nothing did."""
    lines = [(r.policy, r.scenario, str(r.seed), str(r.steps), r.error) for r in rows if r.error]
    columns = ("policy", "scenario", "seed", "steps before", "error")
    return (table("Drives that broke down", columns, lines),) if lines else ()


def score_samples(name: str, rows: Sequence[Row]) -> Samples:
    """Drive scores episode by episode, for `dreamlane compare`."""
    groups, units = [row.scenario for row in rows], [row.seed for row in rows]
    known = values(rows, "drive_score")
    return samples(f"drive score, {name}", known, groups, units, better="higher")


def notes(course: Course, rows: Sequence[Row], env: str) -> str:
    """How it was driven, and what the scores mean in this world."""
    text = (
        f"{course.in_words()}; the lane keeper drives the first 0.7 s of every drive. EP is measured"
        " against the lane keeper in the reference world. A policy that broke down scores 0; a"
        " scenario that did is left out."
    )
    if env == "dream":
        text += (
            " In a dream nobody knows the other cars: every collision that the model's head"
            " reports counts as at fault, TTC is the gap to the car ahead over its closing speed,"
            " and leaving the road is the head's word. The other driver of a critical scenario is"
            " staged by the scenario's script, where the model carries a vehicle ahead along."
        )
    unknown = sum(row.scores is not None and row.scores.drive_score is None for row in rows)
    return text + (f" {unknown} drives have no score: the model lacks a head." if unknown else "")


def verdicts(
    by_policy: dict[str, list[Row]], judged: str, env: str, course: Course
) -> tuple[Verdict, ...]:
    """What the first judged policy's score is worth, and whether danger is dangerous here.

    Danger is judged on whole drives only: in shorter ones it may not have come yet.
    """
    where = WORLDS[env]
    known = values(by_policy[judged], "drive_score"), values(by_policy[RANDOM], "drive_score")
    groups = np.array([row.scenario for row in by_policy[judged]])
    better = mean_interval(known[0] - known[1], groups)
    scores = [interval(by_policy[name], "drive_score").value for name in (judged, RANDOM)]
    said = [
        Verdict(
            f"Telling a driver from chance: in {where} {judged} scores {cell(scores[0], 2)} of 1"
            f" and a random driver {cell(scores[1], 2)}; the difference is {better}"
            f" ({course.in_words()}).",
            better.low > 0.0,
        )
    ]
    check = critical_check(by_policy[CONSTANT])
    if check["drives"] and not course.steps:
        count, failed = check["drives"], check["failed_by_constant_velocity"]
        said.append(
            Verdict(
                f"Danger in {where}: a driver who only keeps lane and speed fails {failed} of {count}"
                " critical drives; it must fail all.",
                failed == count,
            )
        )
    if env == "truth":
        log = interval(by_policy[REPLAY], "drive_score")
        said.append(
            Verdict(
                f"The scale holds: re-driving the expert's own actions scores {log}.",
                log.value >= 0.99,
            )
        )
    return tuple(said)
