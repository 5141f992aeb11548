"""Drives in real processes in the reference world: whatever breaks down, nothing else is lost."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from simulator.evaluation.suite import Course, run

MODULE = "drivers_for_tests"
TROUBLE = {
    "Raises": "RuntimeError: lost the map",
    "NotANumber": "not an action",
    "WrongShape": "shape (3,)",
    "Hangs": "no action within 4 s (step 2)",
    "Dies": "exit code 3 (step 2)",
    "Missing": "no class 'Missing'",
    "LooksAtLatents": "which only dreams have",
}


def course(root: Path, scenarios: tuple[str, ...], workers: int) -> Course:
    return Course(root, scenarios, (0,), 4, workers, 4.0, "")


@pytest.fixture(scope="module")
def impossible(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("scenarios") / "bad.yaml"
    path.write_text(
        "name: bad\ndescription: Bad.\nroad: {kind: rural}\nstart: {lane: 3}\n", encoding="utf-8"
    )
    return str(path)


def test_every_breakdown_is_a_row_and_costs_nobody_else_anything(tmp_path, impossible):
    wanted = [("truth", f"{MODULE}:{name}") for name in (*TROUBLE, "Straight")]
    rows = run(course(tmp_path, ("calm_cruise", impossible), 2), "test", wanted)
    by_place = {(row.policy.rpartition(":")[2], row.scenario): row for row in rows}
    for name, words in TROUBLE.items():
        row = by_place[name, "calm_cruise"]
        assert words in row.error
        assert row.scores is not None
        assert row.scores.drive_score == 0.0
    good = by_place["Straight", "calm_cruise"]
    assert (good.error, good.steps, good.ending) == ("", 4, "time_limit")
    assert good.scores is not None
    assert good.scores.drive_score > 0.9
    assert all(
        "start.lane" in row.error and row.scores is None
        for row in rows
        if row.scenario == impossible
    )
    table = pq.read_table(tmp_path / "episodes.parquet").to_pylist()
    assert [(r["policy"], r["scenario"], r["error"]) for r in table] == [
        (row.policy, row.scenario, row.error) for row in rows
    ]


def test_what_broke_down_is_tried_again_by_the_next_run(tmp_path, monkeypatch):
    wanted = [("truth", f"{MODULE}:NeedsPackage"), ("truth", "lane_keeper")]
    broken, _ = run(course(tmp_path, ("calm_cruise",), 1), "test", wanted)
    assert "no package for tests" in broken.error
    kept = good_file(tmp_path).stat().st_mtime_ns
    monkeypatch.setenv("PACKAGE_FOR_TESTS", "1")
    mended, _ = run(course(tmp_path, ("calm_cruise",), 1), "test", wanted)
    assert mended.error == ""
    assert good_file(tmp_path).stat().st_mtime_ns == kept


def good_file(root: Path) -> Path:
    return next((root / "episodes" / "truth" / "lane_keeper").glob("*.parquet"))


def test_a_run_goes_on_where_it_stopped_and_workers_change_nothing(tmp_path):
    wanted = [("truth", "log_replay"), ("truth", "strong_noise")]
    one, two = tmp_path / "one", tmp_path / "two"
    rows = run(course(one, ("cut_in",), 1), "test", wanted)
    assert run(course(two, ("cut_in",), 2), "test", wanted) == rows
    for name in ("episodes.parquet", "steps.parquet"):
        assert (one / name).read_bytes() == (two / name).read_bytes()
    assert [row.scores.drive_score for row in rows if row.policy == "log_replay"] == [1.0]

    files = {path: path.stat().st_mtime_ns for path in (one / "episodes").rglob("*.parquet")}
    lost = next(path for path in files if "strong_noise" in str(path))
    lost.unlink()
    assert run(course(one, ("cut_in",), 1), "test", wanted) == rows
    after = {path: path.stat().st_mtime_ns for path in (one / "episodes").rglob("*.parquet")}
    assert {path for path in files if files[path] != after[path]} == {lost}


def test_lost_starts_are_recorded_again(tmp_path):
    wanted = [("truth", "lane_keeper")]
    run(course(tmp_path, ("cut_in",), 1), "test", wanted)
    files = {path.name: path.read_bytes() for path in (tmp_path / "starts").rglob("*.parquet")}
    shutil.rmtree(tmp_path / "starts")
    (row,) = run(course(tmp_path, ("cut_in",), 1), "test", wanted)
    assert row.error == ""
    again = {path.name: path.read_bytes() for path in (tmp_path / "starts").rglob("*.parquet")}
    assert files
    assert again == files
