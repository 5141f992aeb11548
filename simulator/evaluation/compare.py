"""`dreamlane compare A B`: two reports clip by clip; what differs between them, and how surely.

Only equal things are compared: the same drives, starts, meter, metrics and settings. Values are paired by
section, metric, horizon, group and unit; the differences are bootstrapped over groups (drives or
scenarios), as clips of one group resemble each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from simulator.evaluation.folder import SAMPLE_COLUMNS, ReportError, read_report
from simulator.evaluation.intervals import Interval, mean_interval
from simulator.evaluation.report import Chart, Section, Series, Verdict, flat, table

PAIRED_BY = ("section", "metric", "horizon", "group", "unit")
MAY_DIFFER = ("model", "checkpoint", "sampler", "backend")
"""Conditions whose effect a comparison is about."""


@dataclass(frozen=True, slots=True)
class Difference:
    """B minus A in one metric at one horizon."""

    section: str
    metric: str
    horizon: int
    better: str  # "higher", "lower" or empty
    a: float
    b: float
    gap: Interval

    @property
    def word(self) -> str:
        """B against A; "unclear" where the interval holds zero, or isn't known."""
        if not (self.gap.low > 0 or self.gap.high < 0):
            return "unclear"
        higher = self.gap.value > 0
        if not self.better:
            return "higher" if higher else "lower"
        return "better" if higher is (self.better == "higher") else "worse"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two reports, paired."""

    a: str  # what they are called
    b: str
    differences: tuple[Difference, ...]
    lonely: int  # values of either report without a partner in the other


def compare_reports(a: Path, b: Path) -> Comparison:
    """Pair the samples of two finished reports.

    Raises:
        ReportError: a report is missing, unfinished or of another version; the two were made of different
            drives, starts, meter, metrics or settings (each is named); nothing could be paired.
    """
    first, second = read_report(a), read_report(b)
    if found := unequal(first, second):
        raise ReportError(
            f"{a} and {b} can't be compared, they differ in:\n"
            + "\n".join(f"  {name}: {x} | {y}" for name, x, y in found)
            + "\nEvaluate both with the same drives and settings."
        )
    samples_a, samples_b = read_samples(a), read_samples(b)
    rows: dict[tuple[Any, ...], list[tuple[float, float, str]]] = {}
    for key, (value_a, better) in samples_a.items():
        if key in samples_b:
            pair = value_a, samples_b[key][0], key[3]
            rows.setdefault((*key[:3], better), []).append(pair)
    if not rows:
        raise ReportError(f"{a} and {b} have no sample in common: evaluate the same parts for both")
    lonely = len(samples_a.keys() ^ samples_b.keys())
    return Comparison(*names(a, first, b, second), tuple(map(difference, rows.items())), lonely)


def difference(item: tuple[tuple[Any, ...], list[tuple[float, float, str]]]) -> Difference:
    """Of the pairs of one metric at one horizon; pairs with a NaN are left out."""
    (section, metric, horizon, better), pairs = item
    values = np.array([pair[:2] for pair in pairs], np.float64)
    known = ~np.isnan(values).any(1)
    groups = np.array([pair[2] for pair in pairs])[known]
    values = values[known]
    gap = mean_interval(values[:, 1] - values[:, 0], groups)
    a, b = values.mean(0).tolist() if len(values) else (np.nan, np.nan)
    return Difference(section, metric, horizon, better, a, b, gap)


def unequal(first: dict[str, Any], second: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """Names and both values of what must be equal and isn't."""
    found = []
    for part in ("conditions", "settings"):
        mine, theirs = (dict(flat(report[part])) for report in (first, second))
        for name in dict.fromkeys([*mine, *theirs]):
            x, y = mine.get(name, "absent"), theirs.get(name, "absent")
            if x != y and name not in MAY_DIFFER:
                found.append((name, x, y))
    return found


def read_samples(folder: Path) -> dict[tuple[Any, ...], tuple[float, str]]:
    """Value and direction by `PAIRED_BY`. Raises ReportError for a missing or foreign table."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / "samples.parquet"
    try:
        rows = pq.read_table(path, columns=list(SAMPLE_COLUMNS)).to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise ReportError(f"{path} can't be read ({error}): evaluate again") from error
    return {tuple(row[k] for k in PAIRED_BY): (row["value"], row["better"]) for row in rows}


def names(a: Path, first: dict[str, Any], b: Path, second: dict[str, Any]) -> tuple[str, str]:
    """What the reports are called: their models, or their folders where these are the same."""
    called = tuple(str(report["conditions"]["model"]) for report in (first, second))
    if called[0] != called[1]:
        return called[0], called[1]
    return (a.name, b.name) if a.name != b.name else (str(a), str(b))


def sections_of(comparison: Comparison) -> list[Section]:
    """A table for each part of the evaluation, and charts of metrics that have several horizons."""
    found = []
    for name in dict.fromkeys(d.section for d in comparison.differences):
        mine = [d for d in comparison.differences if d.section == name]
        lines = [
            (
                d.metric, str(d.horizon or "–"), f"{d.a:.4g}", f"{d.b:.4g}", str(d.gap),
                d.better or "–", d.word, str(d.gap.n), str(d.gap.drives),
            )
            for d in mine
        ]  # fmt: skip
        head = (
            "metric", "horizon", comparison.a, comparison.b, "difference [95 %]", "better is",
            f"{comparison.b} is", "pairs", "groups",
        )  # fmt: skip
        title = name.replace("_", " ").capitalize()
        found.append(
            Section(
                name, title, {}, (table(f"{comparison.b} minus {comparison.a}", head, lines),),
                charts=tuple(charts(mine)), verdicts=tuple(verdicts(comparison, mine)),
            )
        )  # fmt: skip
    return found


def charts(differences: list[Difference]) -> list[Chart]:
    """Of each metric with more than one horizon: the difference with its interval."""
    found = []
    for metric in dict.fromkeys(d.metric for d in differences):
        points = sorted((d for d in differences if d.metric == metric), key=lambda d: d.horizon)
        if len(points) < 2:
            continue
        columns = zip(
            *((d.horizon, d.gap.value, d.gap.low, d.gap.high) for d in points), strict=True
        )
        x, y, low, high = (tuple(float(v) for v in column) for column in columns)
        better = f" ({points[0].better} is better)" if points[0].better else ""
        series = Series("", x, y, low, high)
        found.append(Chart(metric + better, "steps", "difference", (series,), log_x=True))
    return found


def verdicts(comparison: Comparison, differences: list[Difference]) -> list[Verdict]:
    """What B does clearly better than A, and what clearly worse."""
    found = []
    for word, good in (("better", True), ("worse", False)):
        steps: dict[str, list[int]] = {}
        for d in differences:
            if d.word == word:
                steps.setdefault(d.metric, []).append(d.horizon)
        if steps:
            said = [
                m + (f" (steps {', '.join(map(str, h))})" if any(h) else "")
                for m, h in steps.items()
            ]
            title = differences[0].section.replace("_", " ")
            found.append(Verdict(f"{title}: {'; '.join(said)}", good))
    return found


def markdown(comparison: Comparison) -> str:
    """Verdicts and tables."""
    sections = sections_of(comparison)
    lines = [f"# {comparison.b} against {comparison.a}", ""]
    for word, good in (("better", True), ("worse", False)):
        lines += [
            f"- clearly {word}: {v.text}" for s in sections for v in s.verdicts if v.trusted is good
        ]
    if comparison.lonely:
        lines += [
            f"- {comparison.lonely} values had no partner in the other report and were left out"
        ]
    return "\n".join(lines) + "\n\n" + "\n\n".join(s.to_markdown() for s in sections) + "\n"


def page(comparison: Comparison) -> str:
    """The comparison as one self-contained HTML page."""
    from simulator.evaluation.report_page import Page, render

    sections = sections_of(comparison)
    said = {
        good: [v.text for s in sections for v in s.verdicts if v.trusted is good]
        for good in (True, False)
    }
    left_out = (
        f" {comparison.lonely} values had no partner and were left out."
        if comparison.lonely
        else ""
    )
    return render(
        Page(
            f"{comparison.b} against {comparison.a}",
            f"Paired clip by clip; ranges in brackets and bands are 95 % intervals.{left_out}",
            "Clearly better",
            "Clearly worse",
            said[True],
            said[False],
            sections,
            Path(),
            no_verdicts="Nothing is clearly better or worse: every interval holds zero.",
        )
    )


def compare(
    a: Annotated[Path, typer.Argument(help="Folder of a report: the one compared with.")],
    b: Annotated[
        Path, typer.Argument(help="Folder of another report of the same drives and settings.")
    ],
    output: Annotated[
        Path | None, typer.Option(help="The page; empty: outputs/compare/<A>-<B>.html.")
    ] = None,
) -> None:
    """Compare two reports of `dreamlane eval` clip by clip: differences with intervals."""
    from rich.console import Console
    from rich.markdown import Markdown

    comparison = compare_reports(a, b)
    place = output or Path("outputs/compare") / f"{a.resolve().name}-{b.resolve().name}.html"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(page(comparison), encoding="utf-8")
    console = Console()
    console.print(Markdown(markdown(comparison)))
    console.print(f"wrote {place}", soft_wrap=True)
