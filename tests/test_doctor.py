"""The doctor tries things for real, survives crashes and always offers a remedy."""

from __future__ import annotations

import os

import pytest
import typer

from simulator import doctor
from simulator.doctor import Check, Finding, Problem, examine


def crash() -> str:
    os.abort()


def complain() -> str:
    raise Problem("the wheel came off")


def stumble() -> str:
    raise KeyError("wheel")


def work() -> str:
    return "four wheels"


def test_a_check_that_works_reports_what_it_found():
    assert examine(Check("wheels", work, "buy some")) == Finding("wheels", "OK", "four wheels", "")


@pytest.mark.parametrize(
    ("run", "words"), [(complain, "came off"), (stumble, "KeyError"), (crash, "crashed")]
)
def test_whatever_goes_wrong_becomes_a_finding_with_a_fix(run, words):
    found = examine(Check("wheels", run, "buy some"))
    assert found.status == "FAIL"
    assert words in found.detail
    assert found.fix == "buy some"


def test_an_optional_check_only_warns():
    assert examine(Check("wheels", complain, "buy some", needed=False)).status == "WARN"


@pytest.mark.parametrize(
    "check",
    [
        doctor.check_python,
        doctor.check_torch,
        doctor.check_opengl,
        doctor.check_sdl_dummy,
        doctor.check_h264,
        doctor.check_disk,
    ],
)
def test_this_machine_can_do_what_the_program_needs(check):
    assert check()


def test_no_display_is_named(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(Problem, match="DISPLAY"):
        doctor.check_display()


def test_a_full_disk_is_a_problem(monkeypatch):
    monkeypatch.setattr(doctor, "NEEDED_FREE_GB", 1e12)
    with pytest.raises(Problem, match="needed"):
        doctor.check_disk()


def test_missing_assets_are_a_problem_that_names_the_place(monkeypatch, tmp_path):
    monkeypatch.setenv("DREAMLANE_ASSETS", str(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError, match="nowhere"):
        doctor.check_models()


def test_a_foreign_model_is_a_finding(monkeypatch, tmp_path):
    folder = tmp_path / "models" / "odd"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"format": "onnx"}')
    monkeypatch.setenv("DREAMLANE_ASSETS", str(tmp_path))
    found = examine(Check("models", doctor.check_models, "restore them"))
    assert found.status == "FAIL"
    assert "dreamlane.checkpoint" in found.detail


def test_the_shipped_models_and_starts_are_whole(town):
    assert town in doctor.check_models()


@pytest.mark.parametrize(("needed", "exits"), [(True, True), (False, False)])
def test_the_exit_code_says_whether_something_needed_fails(monkeypatch, capsys, needed, exits):
    checks = (Check("fine", work, "-"), Check("wheels", complain, "buy [some]", needed))
    monkeypatch.setattr(doctor, "CHECKS", checks)
    if exits:
        with pytest.raises(typer.Exit) as ending:
            doctor.doctor()
        assert ending.value.exit_code == 1
    else:
        doctor.doctor()
    printed = capsys.readouterr().out
    assert "wheels: buy [some]" in printed
    assert "four wheels" in printed
