"""The report on disk: equal runs give equal bytes, a broken-off one goes on, an unfinished one is refused."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import painted
import pyarrow.parquet as pq
import pytest
import torch
from rich.progress import Progress

from simulator.evaluation.conditions import named_files, part_key
from simulator.evaluation.folder import ReportError, ReportFolder, read_report
from simulator.evaluation.judge import Part, judge
from simulator.evaluation.report import (
    Chart,
    Section,
    Series,
    Verdict,
    Video,
    samples,
    table,
)
from simulator.evaluation.settings import ClosedLoopConfig, EvalConfig, OpenLoopConfig

SECTION = Section(
    "paths",
    "Paths",
    {"mean": 1.5, "unknown": float("nan"), "by_step": [1.0, 2.0]},
    (table("Numbers", ("a", "b"), [("1", "2")]),),
    ("A note.",),
    ("sheet.png",),
    (Chart("Curve", "x", "y", (Series("s", (0.0, 1.0), (2.0, float("nan"))),)),),
    (Verdict("It holds the lane.", True),),
    (Video("videos/paths_1.mp4", "The worst one"),),
    (samples("error_m", [0.5, 0.25], ["a", "b"], [3, 4], 10, "lower"),),
)


SMALL = dataclasses.replace(
    painted.CONFIG, batch=2, meter_pairs=8, open_loop=OpenLoopConfig(starts=4, horizons=(1, 2))
)


def subject_of(kind: str, config: EvalConfig) -> painted.PaintedSubject:
    torch.manual_seed(0)  # the meter's network, which compares sets of pictures, is untrained
    return painted.subject(kind, config)


def run(folder: Path, kind: str = "obeys", **changes: object):
    config = dataclasses.replace(SMALL, output=str(folder), **changes)
    with Progress(disable=True) as bar:
        return judge(subject_of(kind, config), ["open-loop"], folder, bar)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report") / "one"
    run(folder)
    return folder


def kept(report) -> dict[str, bool]:
    parts = report.environment["parts"]
    return {name: facts["kept_from_an_earlier_run"] for name, facts in parts.items()}


def test_equal_evaluations_give_equal_bytes_wherever_they_are_written(finished, tmp_path):
    run(tmp_path / "two")
    for name in ("report.json", "report.md"):
        assert (tmp_path / "two" / name).read_bytes() == (finished / name).read_bytes()


def test_host_and_places_stand_apart_from_the_figures(finished):
    environment = json.loads((finished / "environment.json").read_text())
    assert {"device", "threads", "load_before", "dreamlane", "code", "places"} <= set(environment)
    assert environment["places"]["output"] == str(finished)
    assert environment["parts"]["open-loop"]["seconds"] > 0
    report = (finished / "report.json").read_text()
    for fact in (environment["device"], str(finished), environment["code"]):
        assert fact not in report


def test_a_finished_report_is_complete_and_readable(finished):
    report = read_report(finished)
    assert list(report["sections"]) == ["meter", "open_loop"]
    assert (finished / "config.yaml").read_text().startswith("model: ")
    assert (finished / "report.html").read_text().startswith("<!doctype html>")
    columns = pq.read_table(finished / "samples.parquet").column_names
    assert columns == ["section", "metric", "horizon", "better", "group", "unit", "value"]


def test_a_broken_off_evaluation_goes_on_where_it_stopped(finished, tmp_path):
    subject = subject_of("obeys", SMALL)
    step, steps = subject.engine.step, iter(range(3))

    def breaks(action, noise):
        if next(steps, None) is None:
            raise OSError("the power went out")
        return step(action, noise)

    subject.engine.step = breaks  # type: ignore[method-assign]
    with pytest.raises(OSError, match="power"), Progress(disable=True) as bar:
        judge(subject, ["open-loop"], tmp_path, bar)
    assert not (tmp_path / "_complete").exists()
    with pytest.raises(ReportError, match=r"interrupted.*repeat its command"):
        read_report(tmp_path)
    assert kept(run(tmp_path)) == {"meter": True, "open-loop": False}
    assert (tmp_path / "report.json").read_bytes() == (finished / "report.json").read_bytes()
    assert kept(run(tmp_path)) == {"meter": True, "open-loop": True}
    assert (tmp_path / "report.json").read_bytes() == (finished / "report.json").read_bytes()


def test_what_was_measured_under_other_conditions_is_measured_anew(finished, tmp_path):
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    assert kept(run(tmp_path, "frozen")) == {"meter": False, "open-loop": False}


@pytest.mark.parametrize("edited", ["policy", "scenario"])
def test_a_part_is_measured_anew_where_a_file_that_its_settings_name_changed(
    tmp_path, monkeypatch, edited
):
    monkeypatch.syspath_prepend(str(tmp_path))
    files = {"policy": tmp_path / "my_own.py", "scenario": tmp_path / "my_own.yaml"}
    for file in files.values():
        file.write_text("before")
    loop = ClosedLoopConfig(policies=("my_own:Mine",), scenarios=(str(files["scenario"]),))
    config = dataclasses.replace(SMALL, closed_loop=loop)
    before = part_key({}, {}, named_files(config))
    assert part_key({}, {}, named_files(config)) == before
    files[edited].write_text("after")
    assert part_key({}, {}, named_files(config)) != before


@pytest.mark.parametrize("errors", [[], [{"policy": "mine", "error": "lost the map"}]])
def test_a_part_with_breakdowns_is_measured_anew(tmp_path, monkeypatch, errors):
    section = dataclasses.replace(SECTION, figures={"errors": errors}, pictures=(), videos=())
    part = Part("closed-loop", lambda job: section, drives=False)
    monkeypatch.setattr("simulator.evaluation.judge.PARTS", (part,))
    for _ in range(2):
        with Progress(disable=True) as bar:
            report = judge(subject_of("obeys", SMALL), ["closed-loop"], tmp_path, bar)
    assert kept(report)["closed-loop"] == (not errors)


def test_a_part_whose_pictures_are_gone_or_whose_file_is_damaged_is_measured_anew(tmp_path):
    files = ReportFolder(tmp_path)
    files.begin({})
    for name in ("sheet.png", "videos/paths_1.mp4"):
        files.write(name, "picture")
    files.keep("paths", "key", SECTION)
    assert files.kept("paths", "other key") is None
    assert files.kept("paths", "key") is not None
    (tmp_path / "sheet.png").unlink()
    assert files.kept("paths", "key") is None
    files.write("sheet.png", "picture")
    place = tmp_path / "parts" / "paths.json"
    place.write_text(place.read_text()[:100])
    assert files.kept("paths", "key") is None


def test_a_kept_section_says_what_the_measured_one_said():
    read = Section.from_json(json.loads(json.dumps(SECTION.to_json(), allow_nan=False)))
    assert read.to_json() == SECTION.to_json()
    assert (read.tables, read.videos, read.samples) == (
        SECTION.tables, SECTION.videos, SECTION.samples,
    )  # fmt: skip
    assert read.charts[0].series[0].y[1] != read.charts[0].series[0].y[1]  # NaN came back
    assert read.figures["unknown"] is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: (f / "report.json").unlink(), "no report in"),
        (lambda f: (f / "report.json").write_text("{"), "damaged"),
        (lambda f: (f / "_complete").unlink(), "interrupted"),
        (lambda f: edit(f, lambda r: r | {"schema_version": 99}), "version 99"),
        (lambda f: edit(f, lambda r: r | {"schema": "other"}), "schema 'other'"),
        (lambda f: edit(f, lambda r: r | {"sections": {}}), "changed after"),
    ],
)
def test_what_is_no_finished_report_of_this_version_is_refused(finished, tmp_path, change, message):
    for name in ("report.json", "_complete"):
        (tmp_path / name).write_bytes((finished / name).read_bytes())
    read_report(tmp_path)
    change(tmp_path)
    with pytest.raises(ReportError, match=message):
        read_report(tmp_path)


def edit(folder: Path, change) -> None:
    path = folder / "report.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


def test_samples_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match="error_m"):
        samples("error_m", [1.0], ["a", "b"], ["1", "2"])
