"""What an evaluation says, as data: sections of figures, tables, charts, verdicts and samples.

A part of an evaluation returns a `Section`; nothing here measures, draws or writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

SCHEMA = "dreamlane.report"
SCHEMA_VERSION = 2

Better = Literal["higher", "lower", ""]


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
    categories: tuple[str, ...] = ()  # names of x = 0, 1, ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """One sentence on what the dream can (or can't) be trusted for, with the figure that says so."""

    text: str
    trusted: bool


@dataclass(frozen=True, slots=True)
class Video:
    """A clip in the report's folder; the report shows those of a section in their order, worst first."""

    file: str  # such as "videos/open_loop_1.mp4"
    caption: str


@dataclass(frozen=True, slots=True)
class Samples:
    """One metric clip by clip (or episode by episode): what `dreamlane compare` pairs two reports by.

    Two values belong together where section, metric, horizon, group and unit are equal.
    """

    metric: str
    group: tuple[str, ...]  # drive or scenario: what the bootstrap draws
    unit: tuple[str, ...]  # which clip or episode of the group: row of its start, or seed
    value: tuple[float, ...]  # NaN where it could not be measured
    horizon: int = 0  # steps; 0 where there is none
    better: Better = ""  # empty where neither higher nor lower is better

    def __post_init__(self) -> None:
        """Raises ValueError where the columns differ in length."""
        lengths = len(self.group), len(self.unit), len(self.value)
        if len(set(lengths)) != 1:
            raise ValueError(
                f"samples of {self.metric!r}: group, unit and value have {lengths} entries; they"
                " must have one for each clip"
            )


def samples(
    metric: str, values: Iterable[Any], groups: Iterable[Any], units: Iterable[Any],
    horizon: int = 0, better: Better = "",
) -> Samples:  # fmt: skip
    """Samples from any sequences or arrays."""
    return Samples(
        metric,
        tuple(str(g) for g in groups),
        tuple(str(u) for u in units),
        tuple(float(v) for v in values),
        horizon,
        better,
    )


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
    videos: tuple[Video, ...] = ()
    samples: tuple[Samples, ...] = ()

    def to_markdown(self) -> str:
        """Title, notes, tables, pictures."""
        parts = [f"## {self.title}", *self.notes, *(table.to_markdown() for table in self.tables)]
        parts += [f"![{name}]({name})" for name in self.pictures]
        parts += [f"[{video.caption}]({video.file})" for video in self.videos]
        return "\n\n".join(parts)

    def to_json(self) -> dict[str, Any]:
        """All of it as plain JSON; None for NaN and infinity."""
        kept: dict[str, Any] = without_nan(asdict(self))
        return kept

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> Section:
        """The section that `to_json` wrote. Raises KeyError or TypeError for anything else."""
        return cls(
            kept["name"],
            kept["title"],
            kept["figures"],
            tuple(Table(**_tuples(t)) for t in kept["tables"]),
            tuple(kept["notes"]),
            tuple(kept["pictures"]),
            tuple(
                Chart(**_tuples(c | {"series": [Series(**_numbers(s)) for s in c["series"]]}))
                for c in kept["charts"]
            ),
            tuple(Verdict(**v) for v in kept["verdicts"]),
            tuple(Video(**v) for v in kept["videos"]),
            tuple(Samples(**_numbers(s)) for s in kept["samples"]),
        )


@dataclass(frozen=True, slots=True)
class Report:
    """Sections and the conditions under which they were measured.

    `conditions` and `settings` say all that the figures depend on; `environment` holds what they don't
    depend on (host, times, paths), so that equal evaluations give equal `to_json`.
    """

    conditions: dict[str, Any]
    settings: dict[str, Any]
    environment: dict[str, Any] = field(default_factory=dict)
    sections: list[Section] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """As written to report.json."""
        shown = ("title", "verdicts", "notes", "figures")
        kept = {s.name: s.to_json() for s in self.sections}
        return {
            "schema": SCHEMA,
            "schema_version": SCHEMA_VERSION,
            "conditions": without_nan(self.conditions),
            "settings": without_nan(self.settings),
            "sections": {name: {key: s[key] for key in shown} for name, s in kept.items()},
        }

    def verdicts(self, trusted: bool) -> list[str]:
        """What the dream can be trusted for, or what not; the judge's own errors come last."""
        ordered = sorted(self.sections, key=lambda section: section.name == "meter")
        return [v.text for s in ordered for v in s.verdicts if v.trusted is trusted]

    def to_markdown(self) -> str:
        """As written to report.md: first what to trust, then the conditions, then the sections."""
        lines = [f"# How far can the dream of {self.conditions['model']} be trusted?", ""]
        lines += [f"- yes: {text}" for text in self.verdicts(True)]
        lines += [f"- no: {text}" for text in self.verdicts(False)]
        lines += ["", *(f"- {key}: {value}" for key, value in self.conditions.items())]
        return (
            "\n".join(lines) + "\n\n" + "\n\n".join(s.to_markdown() for s in self.sections) + "\n"
        )


def without_nan(value: Any) -> Any:
    """Plain JSON values, None for NaN and infinity."""
    if isinstance(value, dict):
        return {str(k): without_nan(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(v) for v in value]
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None
    return value


def flat(facts: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested facts as dotted names and values."""
    lines = []
    for key, value in facts.items():
        if isinstance(value, dict):
            lines += flat(value, f"{prefix}{key}.")
        else:
            lines.append((prefix + key, str(value)))
    return lines


def cell(value: float, digits: int = 3) -> str:
    """A number in a table; a dash where there is none."""
    return "–" if value != value else f"{value:.{digits}g}"


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """A table from any sequences."""
    return Table(title, tuple(columns), tuple(tuple(row) for row in rows))


def _tuples(kept: Any) -> Any:
    """JSON's lists as tuples, at all depths."""
    if isinstance(kept, dict):
        return {key: _tuples(value) for key, value in kept.items()}
    return tuple(_tuples(value) for value in kept) if isinstance(kept, list) else kept


def _numbers(kept: dict[str, Any]) -> dict[str, Any]:
    """The columns of a series or of samples: None stands for NaN."""
    nan = float("nan")
    return {
        key: tuple(nan if v is None else v for v in value) if isinstance(value, list) else value
        for key, value in kept.items()
    }
