"""What an evaluation leaves behind: `report.json` for programs, `report.md` for people, pictures beside.

Every section yields figures (plain JSON) and the tables made of them; this module only writes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from simulator.evaluation import metrics
from simulator.evaluation.subject import Subject

SCHEMA = "dreamlane.report"
SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Table:
    """A table for people; cells are ready to print."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def to_markdown(self) -> str:
        """As GitHub shows it."""
        lines = [self.columns, tuple("---" for _ in self.columns), *self.rows]
        return f"**{self.title}**\n\n" + "\n".join("| " + " | ".join(row) + " |" for row in lines)


@dataclass(frozen=True, slots=True)
class Series:
    """One line or cloud of a chart; `low` and `high` are the ends of its 95 % intervals, if any."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart for people: curves over a horizon, or points of read against commanded motion."""

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    kind: str = "line"  # or "scatter"
    identity: bool = False  # draw y = x as well: what a perfect dream would give
    log_x: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """One sentence on what the dream can (or can't) be trusted for, with the figure that says so."""

    text: str
    trusted: bool


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the report."""

    name: str
    title: str
    figures: dict[str, Any]
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()
    pictures: tuple[str, ...] = ()  # file names in the report's folder
    charts: tuple[Chart, ...] = ()
    verdicts: tuple[Verdict, ...] = ()  # the report's first lines are made of them

    def to_markdown(self) -> str:
        """Title, notes, tables, pictures."""
        parts = [f"## {self.title}", *self.notes, *(table.to_markdown() for table in self.tables)]
        parts += [f"![{name}]({name})" for name in self.pictures]
        return "\n\n".join(parts)


@dataclass(frozen=True, slots=True)
class Report:
    """Sections and the conditions under which they were measured."""

    conditions: dict[str, Any]
    config: dict[str, Any]
    sections: list[Section] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """As written to report.json."""
        return {
            "schema": SCHEMA,
            "schema_version": SCHEMA_VERSION,
            "conditions": self.conditions,
            "config": self.config,
            "sections": {
                s.name: {"title": s.title, "notes": list(s.notes), "figures": s.figures}
                for s in self.sections
            },
        }

    def to_markdown(self) -> str:
        """As written to report.md."""
        head = "\n".join(f"- {key}: {value}" for key, value in self.conditions.items())
        body = "\n\n".join(section.to_markdown() for section in self.sections)
        return f"# Evaluation of {self.conditions['model']}\n\n{head}\n\n{body}\n"

    def write(self, folder: Path) -> None:
        """Write both files; they replace those of an earlier evaluation."""
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(without_nan(self.to_json()), indent=1, allow_nan=False) + "\n"
        for name, content in (("report.json", text), ("report.md", self.to_markdown())):
            part = folder / (name + ".part")
            part.write_text(content, encoding="utf-8")
            part.replace(folder / name)


def conditions_of(subject: Subject) -> dict[str, Any]:
    """What the figures depend on besides the code."""
    from simulator.info import device_in_words, version

    config = subject.config
    sampling = subject.checkpoint.config.sampling
    return {
        "model": subject.checkpoint.config.name,
        "checkpoint": subject.checkpoint.hash,
        "backend": config.backend,
        "device": device_in_words(),
        "load before": round(os.getloadavg()[0], 2),
        "sampler": f"temperatures {sampling.temperatures}, top_k {sampling.top_k},"
        f" top_p {sampling.top_p}",
        "held-out drives": f"{len(set(subject.drives.episode_N.tolist()))} of {config.cache},"
        f" {len(subject.drives)} frames",
        "seed": config.seed,
        "metric set": metrics.VERSION,
        "dreamlane": version(),
    }


def new_report(subject: Subject) -> Report:
    """A report without sections."""
    return Report(conditions_of(subject), asdict(subject.config))


def without_nan(value: Any) -> Any:
    """Plain JSON values, None for NaN and infinity."""
    if isinstance(value, dict):
        return {str(k): without_nan(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(v) for v in value]
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None
    return value


def cell(value: float, digits: int = 3) -> str:
    """A number in a table; a dash where there is none."""
    return "–" if value != value else f"{value:.{digits}g}"


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """A table from any sequences."""
    return Table(title, tuple(columns), tuple(tuple(row) for row in rows))
