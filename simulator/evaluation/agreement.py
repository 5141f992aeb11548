"""Would the dream have picked the same driver as the truth? One panel of drivers, driven in both worlds.

Shapes: N places (a scenario with a seed), P policies; R scores in the reference world, S in the dream.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.panel import PANEL
from simulator.assets import model_folder
from simulator.evaluation.closed_loop import error_table, errors, values
from simulator.evaluation.intervals import Interval, mean_interval, statistic_interval
from simulator.evaluation.ranking import OF_SCORES, kappa
from simulator.evaluation.report import Chart, Section, Series, Verdict, cell, samples, table
from simulator.evaluation.settings import EvalConfig
from simulator.evaluation.suite import Course, Row, run

Floats = NDArray[np.float64]
TITLE = "Agreement of dream and truth"
TRUSTED_SPEARMAN, TRUSTED_KAPPA = 0.8, 0.6  # the whole interval must lie above


def agreement(
    config: EvalConfig, folder: Path, progress: Callable[[], None] = lambda: None
) -> Section:
    """Drive the panel in both worlds and compare the scores; `progress` is called once a drive."""
    settings = config.agreement
    panel = list(dict.fromkeys([*(settings.policies or PANEL), *settings.dreamed]))
    course = Course(
        folder, settings.scenarios, tuple(range(config.seed, config.seed + settings.seeds)),
        settings.steps, config.workers, settings.step_limit_s, str(model_folder(config.model)),
        config.backend,
    )  # fmt: skip
    wanted = [(env, name) for name in panel for env in ("truth", "dream")]
    rows = run(course, "agreement", wanted, progress)
    pairs = Pairs(panel, rows)
    if not len(pairs.scenario_N):
        return nothing_to_compare(panel, pairs.left_out, rows)
    figures: dict[str, Any] = {
        "errors": errors(rows),
        "policies": panel,
        "places": len(pairs.scenario_N),
        "left_out": pairs.left_out,
        "truth": dict(zip(panel, pairs.truth_NP.mean(0).tolist(), strict=True)),
        "dream": dict(zip(panel, pairs.dream_NP.mean(0).tolist(), strict=True)),
        "passed": pairs.passes(panel),
    }
    found = statistics(pairs)
    figures |= {name: interval.to_json() for name, interval in found.items()}
    for kind, chosen in (("critical", pairs.critical_N), ("calm", ~pairs.critical_N)):
        if chosen.any() and not chosen.all():
            part = statistics(pairs.of(chosen))
            figures[kind] = {name: interval.to_json() for name, interval in part.items()}
    gaps = {name: pairs.gap(name) for name in settings.dreamed}
    figures["exploitability_gap"] = {name: gap.to_json() for name, gap in gaps.items()}
    return Section(
        "agreement",
        TITLE,
        figures,
        (*tables(pairs, found, gaps), *error_table(rows)),
        (notes(pairs, course, bool(gaps)),),
        charts=(chart(pairs, settings.dreamed),),
        verdicts=verdicts(len(panel), found, course.in_words()),
        samples=(
            samples("spread of dream and truth", np.abs(pairs.dream_NP - pairs.truth_NP).ravel(),
                    np.repeat(pairs.scenario_N, len(panel)),
                    [f"{seed} {name}" for seed in pairs.seed_N for name in panel],
                    better="lower"),
        ),
    )  # fmt: skip


def nothing_to_compare(panel: Sequence[str], left_out: int, rows: Sequence[Row]) -> Section:
    """Where a world broke down at every place."""
    text = f"Dream and truth could not be compared: none of {left_out} places was driven in both."
    figures = {
        "errors": errors(rows), "policies": list(panel), "places": 0, "left_out": left_out,
    }  # fmt: skip
    verdict = Verdict(text, False)
    return Section("agreement", TITLE, figures, error_table(rows), (text,), verdicts=(verdict,))


class Pairs:
    """Scores of the same policies at the same places in both worlds.

    A place where the world broke down for any of them is left out for all, so that means are comparable.
    """

    def __init__(self, panel: Sequence[str], rows: Sequence[Row]) -> None:
        self.panel = list(panel)
        every = list(dict.fromkeys(row.place for row in rows))
        by_key = {(row.env, row.policy, row.place): row for row in rows}
        whole = [
            place
            for place in every
            if not np.isnan(
                values(
                    [by_key[e, p, place] for e in ("truth", "dream") for p in panel], "drive_score"
                )
            ).any()
        ]
        self.left_out = len(every) - len(whole)
        self.rows = [[by_key["truth", p, place] for p in panel] for place in whole]
        self.scenario_N = np.array([scenario for scenario, _ in whole], dtype=object)
        self.seed_N = np.array([seed for _, seed in whole], np.int64)
        self.critical_N = np.array([line[0].critical for line in self.rows], np.bool_)

        def grid(env: str, term: str) -> Floats:
            found = [values([by_key[env, p, place] for p in panel], term) for place in whole]
            return np.array(found).reshape(len(whole), len(panel))

        self.truth_NP, self.dream_NP = (grid(env, "drive_score") for env in ("truth", "dream"))
        self.passed_truth_NP, self.passed_dream_NP = (
            grid(env, "success") for env in ("truth", "dream")
        )

    def of(self, chosen: NDArray[np.bool_]) -> Pairs:
        """Only some of the places."""
        part = Pairs.__new__(Pairs)
        part.panel, part.left_out = self.panel, self.left_out
        part.rows = [line for line, kept in zip(self.rows, chosen, strict=True) if kept]
        for name in ("scenario_N", "seed_N", "critical_N", "truth_NP", "dream_NP",
                     "passed_truth_NP", "passed_dream_NP"):  # fmt: skip
            setattr(part, name, getattr(self, name)[chosen])
        return part

    def passes(self, panel: Sequence[str]) -> dict[str, dict[str, float]]:
        """Share of places each policy passed, in both worlds."""
        truth, dream = self.passed_truth_NP.mean(0), self.passed_dream_NP.mean(0)
        return {
            p: {"truth": float(truth[i]), "dream": float(dream[i])} for i, p in enumerate(panel)
        }

    def gap(self, policy: str) -> Interval:
        """Exploitability gap: score in the dream minus score in truth of a policy bred in the dream."""
        i = self.panel.index(policy)
        return mean_interval(self.dream_NP[:, i] - self.truth_NP[:, i], self.scenario_N)


def statistics(pairs: Pairs) -> dict[str, Interval]:
    """All of them with their bootstrap intervals over scenarios."""

    def of_means(statistic: Callable[[Floats, Floats], float], picked: NDArray[np.int64]) -> float:
        return statistic(pairs.truth_NP[picked].mean(0), pairs.dream_NP[picked].mean(0))

    def of_passes(picked: NDArray[np.int64]) -> float:
        return kappa(pairs.passed_truth_NP[picked], pairs.passed_dream_NP[picked])

    groups = pairs.scenario_N.astype(str)
    found = {
        name: statistic_interval(partial(of_means, function), groups)
        for name, function in OF_SCORES.items()
    }
    return found | {"kappa": statistic_interval(of_passes, groups)}


def tables(pairs: Pairs, found: dict[str, Interval], gaps: dict[str, Interval]) -> tuple[Any, ...]:
    """Policies by their true score, then the statistics."""
    truth, dream = pairs.truth_NP.mean(0), pairs.dream_NP.mean(0)
    passes = pairs.passes(pairs.panel)
    lines = []
    for i in np.argsort(-truth, kind="stable"):
        name = pairs.panel[i]
        ends = [
            str(mean_interval(scores[:, i], pairs.scenario_N))
            for scores in (pairs.truth_NP, pairs.dream_NP)
        ]
        share = [f"{passes[name][world]:.0%}" for world in ("truth", "dream")]
        lines.append((name, *ends, cell(dream[i] - truth[i], 2), *share))
    columns = (
        "policy",
        "truth [95 %]",
        "dream [95 %]",
        "difference",
        "passed, truth",
        "passed, dream",
    )
    ideal = {"mmrv": "0", "bias": "0"}
    numbers = [
        (name, "–" if np.isnan(value.value) else str(value), ideal.get(name, "1"))
        for name, value in found.items()
    ]
    numbers += [(f"exploitability gap, {name}", str(gap), "0") for name, gap in gaps.items()]
    return (
        table("Drive scores in both worlds, best true score first", columns, lines),
        table("Agreement", ("statistic", "value [95 %]", "ideal"), numbers),
    )


def chart(pairs: Pairs, dreamed: Sequence[str]) -> Chart:
    """Every driver as a point, those trained in the dream apart."""
    truth, dream = pairs.truth_NP.mean(0), pairs.dream_NP.mean(0)
    bred = np.isin(pairs.panel, list(dreamed))
    series = tuple(
        Series(name, tuple(truth[chosen].tolist()), tuple(dream[chosen].tolist()))
        for name, chosen in (("panel", ~bred), ("trained in the dream", bred))
        if chosen.any()
    )
    title, x, y = "Score of each driver", "in the reference world", "in the dream"
    return Chart(title, x, y, series, "scatter", True)


def notes(pairs: Pairs, course: Course, has_gap: bool) -> str:
    """How it was measured."""
    text = (
        f"{len(pairs.panel)} drivers, {course.in_words()}, from the same eight frames in both worlds;"
        " intervals by bootstrap over scenarios. Correlations, R², MMRV and bias are those of the"
        " drivers' mean drive scores; R² is without a fit; kappa is on pass and fail of every drive."
    )
    if pairs.left_out:
        text += f" {pairs.left_out} places where a world broke down are left out."
    if not has_gap:
        text += " The exploitability gap wasn't measured: no policy trained in the dream was given."
    return text


def verdicts(drivers: int, found: dict[str, Interval], driven: str) -> tuple[Verdict, ...]:
    """Whether the dream may rank drivers, and whether its passes mean anything."""
    rank, passes, high = found["spearman"], found["kappa"], found["bias"]
    if np.isnan(passes.value):
        single = "dream and reference world can't be compared: all drives ended alike"
    else:
        single = f"dream and reference world agree with kappa {passes} (1: always, 0: by chance)"
    return (
        Verdict(
            f"Ranking drivers: the dream's order of {drivers} drivers has a rank correlation of {rank}"
            f" with the reference world's (1: the same order; {driven}).",
            rank.low > TRUSTED_SPEARMAN,
        ),
        Verdict(
            f"Pass or fail of a single drive: {single}; the dream's scores are"
            f" {abs(high.value):.2f} too {'high' if high.value > 0 else 'low'} on average.",
            passes.low > TRUSTED_KAPPA,
        ),
    )
