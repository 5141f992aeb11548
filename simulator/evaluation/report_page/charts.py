"""A chart as inline SVG that takes its colours from the page: matplotlib draws, CSS variables colour."""

from __future__ import annotations

import io
import re
import textwrap
from typing import Any

import numpy as np
from markupsafe import Markup, escape
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from simulator.evaluation.report import Chart, Series

COLOURS = 6
"""As many as style.css defines (--series-0 ...); further series start again, dashed."""

MARKERS = "os^Dvp"
SIZE_INCHES = (6.4, 3.4)

# Colours that only say what a stroke is; they are replaced by what the page calls it.
INK, FAINT = "#010203", "#040506"
SERIES = tuple(f"#0a0b{n:02x}" for n in range(COLOURS))


def chart_svg(chart: Chart, number: int = 0) -> str:
    """The chart as an `<svg>` element; `number` keeps the ids of a page's charts apart."""
    style: dict[Any, Any] = {
        "svg.fonttype": "none", "svg.hashsalt": f"chart {number}", "font.family": "sans-serif",
        "font.size": 10, "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": FAINT,
        "axes.titlelocation": "left", "xtick.color": FAINT, "ytick.color": FAINT,
        "xtick.labelcolor": INK, "ytick.labelcolor": INK, "grid.color": FAINT, "grid.alpha": 0.25,
        "axes.spines.top": False, "axes.spines.right": False,
    }  # fmt: skip
    with rc_context(style):
        figure = Figure(SIZE_INCHES, layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        axes.grid(True, axis="y" if chart.categories else "both")
        axes.set_xlabel(chart.x_label)
        axes.set_ylabel(textwrap.fill(chart.y_label, 30))
        if chart.log_x:
            _log_ticks(axes, chart)
        if chart.categories:
            axes.set_xticks(range(len(chart.categories)), chart.categories)
        if chart.identity:
            axes.axline((0, 0), slope=1, color=FAINT, linewidth=1, linestyle=(0, (4, 3)))
        for i, series in enumerate(chart.series):
            _draw(axes, chart, series, i)
        if len(chart.series) > 1 or chart.series[0].name:
            axes.legend(frameon=False, fontsize=9)
        stream = io.StringIO()
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    return _inline(stream.getvalue(), chart.title)


def _draw(axes: Axes, chart: Chart, series: Series, i: int) -> None:
    """One series: a line in its band, or points with their intervals."""
    colour = SERIES[i % COLOURS]
    x, y = np.array(series.x, float), np.array(series.y, float)
    low, high = (np.array(bound or series.y, float) for bound in (series.low, series.high))
    label = series.name or None
    if chart.kind == "scatter" or chart.categories:
        if chart.categories:  # side by side, not on top of one another
            x = x + 0.12 * (i - (len(chart.series) - 1) / 2)
        if series.low:
            around = np.abs(np.stack([y - low, high - y]))
            axes.errorbar(x, y, around, fmt="none", ecolor=colour, elinewidth=1.5, capsize=3)
        many = len(x) > 60
        axes.scatter(
            x, y, s=9 if many else 26, color=colour, marker=MARKERS[i % len(MARKERS)],
            alpha=0.5 if many else 1.0, linewidths=0, label=label, zorder=3,
        )  # fmt: skip
        return
    dash = "solid" if i < COLOURS else "dashed"
    axes.plot(
        x, y, color=colour, linestyle=dash, linewidth=1.8, marker=MARKERS[i % len(MARKERS)],
        markersize=4, label=label,
    )  # fmt: skip
    if series.low:
        axes.fill_between(x, low, high, color=colour, alpha=0.16, linewidth=0)


def _log_ticks(axes: Axes, chart: Chart) -> None:
    """A logarithmic axis whose ticks are the values that were measured."""
    axes.set_xscale("log")
    values = sorted({x for series in chart.series for x in series.x if x > 0})
    if len(values) <= 12:
        axes.set_xticks(values, [f"{x:g}" for x in values])
        axes.xaxis.set_minor_locator(NullLocator())


def _inline(svg: str, title: str) -> str:
    """Without prologue and fixed size; the page's colours for the markers."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)  # unused, and not unique on the page
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = svg.replace("<svg ", f'<svg role="img" aria-label="{escape(title)}" ', 1)
    names = {INK: "--ink", FAINT: "--faint"} | {c: f"--series-{n}" for n, c in enumerate(SERIES)}
    for marker, name in names.items():
        svg = svg.replace(marker, f"var({name})")
    return Markup(svg)  # matplotlib escapes its texts
