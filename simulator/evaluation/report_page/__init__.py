"""One self-contained HTML page: verdicts, clips, charts and tables of a report, or of a comparison.

The page makes no request of any kind: style, charts (SVG), pictures and clips are inside. Its colours
follow the reader's light or dark setting, and paper.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from simulator.evaluation.report import Report, Section, flat
from simulator.evaluation.report_page.charts import chart_svg
from simulator.evaluation.report_page.media import clips_of, picture_uri

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class Page:
    """What a page shows, from top to bottom."""

    title: str
    lead: str  # one line under the title
    yes_title: str
    no_title: str
    yes: Sequence[str]
    no: Sequence[str]
    sections: Sequence[Section]
    folder: Path  # where the sections' pictures and videos are
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)  # tables of names and values
    no_verdicts: str = "No part of this evaluation gives a verdict: judge by the figures below."


def render(page: Page) -> str:
    """The page's HTML."""
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["chart_svg"] = chart_svg
    environment.filters["facts"] = flat
    return environment.get_template("page.html.j2").render(
        page=page,
        style=(HERE / "style.css").read_text(encoding="utf-8"),
        picture=lambda name: picture_uri(page.folder / name),
        clips=clips_of((v for s in page.sections for v in s.videos), page.folder),
    )


def report_page(report: Report, folder: Path) -> str:
    """The page of an evaluation."""
    model = report.conditions["model"]
    drives = str(report.conditions["held-out drives"])
    return render(
        Page(
            f"How far can the dream of {model} be trusted?",
            f"Checkpoint {str(report.conditions['checkpoint'])[:12]}; held-out drives (never trained"
            f" on): {drives.rpartition(',')[0] or drives}."
            " Ranges in brackets and bars are 95 % intervals.",
            "Trust it for",
            "Don’t trust it for",
            report.verdicts(True),
            report.verdicts(False),
            report.sections,
            folder,
            {
                "Conditions": report.conditions,
                "Settings": report.settings,
                "Environment (not part of report.json)": report.environment,
            },
        )
    )
