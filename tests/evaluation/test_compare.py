"""Two reports against each other: known differences come out, unlike things are refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from simulator import cli
from simulator.evaluation.compare import Comparison, compare_reports, markdown, page
from simulator.evaluation.folder import ReportError, ReportFolder
from simulator.evaluation.report import Report, Section, samples

CONDITIONS = {
    "model": "town", "checkpoint": "00", "sampler": "s", "held-out drives": "40 drives, 99 frames, ab",
    "seed": 0,
}  # fmt: skip
DRIVES = np.repeat(np.arange(20), 3)
UNITS = np.arange(60)
NOISE = np.random.default_rng(0).normal(size=(2, 60))


def written(
    folder: Path,
    error: np.ndarray,
    units: np.ndarray = UNITS,
    settings: dict | None = None,
    **conditions: object,
) -> Path:
    """A finished report with the given error of every clip, at two horizons."""
    section = Section(
        "open_loop",
        "Open loop",
        {},
        samples=(
            samples("error_m", error, DRIVES[: len(error)], units, 1, "lower"),
            samples("error_m", error + 1, DRIVES[: len(error)], units, 10, "lower"),
            samples("ratio", error, DRIVES[: len(error)], units),
        ),
    )
    report = Report(
        CONDITIONS | conditions, settings or {"open_loop": {"starts": 60}}, {}, [section]
    )
    files = ReportFolder(folder)
    files.begin({})
    files.finish(report)
    return folder


def of(comparison: Comparison, metric: str, horizon: int):
    (found,) = (d for d in comparison.differences if (d.metric, d.horizon) == (metric, horizon))
    return found


@pytest.fixture
def a(tmp_path: Path) -> Path:
    return written(tmp_path / "a", 5 + NOISE[0])


def test_a_known_difference_is_found_with_its_interval(a, tmp_path):
    """Noise that both share leaves the difference alone: pairing is what makes it visible."""
    b = written(tmp_path / "b", 5 + NOISE[0] - 0.2 + 0.1 * NOISE[1], model="better")
    gain = of(compare_reports(a, b), "error_m", 1)
    assert gain.gap.value == pytest.approx(-0.2 + 0.1 * NOISE[1].mean())
    assert gain.gap.low < -0.2 < gain.gap.high < 0
    assert (gain.word, gain.gap.n, gain.gap.drives) == ("better", 60, 20)
    assert gain.b - gain.a == pytest.approx(gain.gap.value)


def test_a_report_against_itself_shows_no_difference(a, tmp_path):
    b = written(tmp_path / "b", 5 + NOISE[0])
    assert {d.gap.value for d in compare_reports(a, b).differences} == {0.0}
    assert {d.word for d in compare_reports(a, b).differences} == {"unclear"}


def test_what_is_worse_one_way_is_better_the_other_way(a, tmp_path):
    b = written(tmp_path / "b", 6 + NOISE[0])
    assert of(compare_reports(a, b), "error_m", 10).word == "worse"
    assert of(compare_reports(b, a), "error_m", 10).word == "better"
    assert of(compare_reports(a, b), "ratio", 0).word == "higher"


def test_clips_are_paired_by_name_whatever_their_order(a, tmp_path):
    turned = np.arange(60).reshape(20, 3)[:, ::-1].ravel()  # within each drive
    b = written(tmp_path / "b", (5 + NOISE[0])[turned], UNITS[turned])
    assert of(compare_reports(a, b), "error_m", 1).gap.value == 0.0


def test_clips_without_a_partner_or_a_value_are_left_out_and_counted(a, tmp_path):
    error = (5 + NOISE[0])[:57]
    error[0] = np.nan
    comparison = compare_reports(a, written(tmp_path / "b", error, UNITS[:57]))
    assert comparison.lonely == 3 * 3
    assert of(comparison, "error_m", 1).gap.n == 56
    assert "9 values had no partner" in markdown(comparison)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"held-out drives": "3 drives, 9 frames, cd"}, "held-out drives: 40 drives, 99 frames, ab | 3"),
        ({"seed": 1}, "seed: 0 | 1"),
        ({"settings": {"open_loop": {"starts": 8}}}, "open_loop.starts: 60 | 8"),
        ({"settings": {"other": 1}}, "open_loop.starts: 60 | absent"),
    ],
)  # fmt: skip
def test_unlike_reports_are_refused_and_the_difference_is_named(a, tmp_path, changes, message):
    b = written(tmp_path / "b", 5 + NOISE[0], **changes)
    with pytest.raises(ReportError) as refused:
        compare_reports(a, b)
    assert message in str(refused.value)


def test_reports_without_a_common_sample_are_refused(a, tmp_path):
    b = written(tmp_path / "b", 5 + NOISE[0], UNITS + 1000)
    with pytest.raises(ReportError, match="no sample in common"):
        compare_reports(a, b)


def test_the_command_prints_and_writes_the_page(a, tmp_path, capsys):
    b = written(tmp_path / "b", 6 + NOISE[0], model="<worse>")
    with pytest.raises(SystemExit) as ending:
        cli.main(["compare", str(a), str(b), "--output", str(tmp_path / "new" / "page.html")])
    assert ending.value.code == 0
    assert "clearly worse: open loop: error_m (steps 1, 10)" in " ".join(
        capsys.readouterr().out.split()
    )
    text = (tmp_path / "new" / "page.html").read_text()
    assert "Clearly worse" in text
    assert "&lt;worse&gt; against town" in text
    assert text.count("<svg") == 1  # of the metric with two horizons
    assert text == page(compare_reports(a, b))


def test_the_command_explains_a_folder_without_report(a, tmp_path, capsys):
    with pytest.raises(SystemExit) as ending:
        cli.main(["compare", str(a), str(tmp_path)])
    assert ending.value.code == 2
    assert "no report in" in capsys.readouterr().err
