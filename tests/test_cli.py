"""The command line: quick, complete, and civil about mistakes."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from simulator import cli

VERBS = {v.name: v for v in cli.VERBS}


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    import os

    return subprocess.run(
        [sys.executable, "-m", "simulator.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "COLUMNS": "120", **environment},
    )


def test_help_names_every_verb():
    output = run("--help").stdout
    for name in ("demo", "play", "scenarios", "collect", "import", "train", "eval", "bench"):
        assert name in output
    assert "doctor" in output
    assert "info" in output


def test_help_imports_none_of_the_heavy_libraries():
    program = (
        "import sys; from typer.testing import CliRunner; from simulator.cli import app;"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0;"
        "print([m for m in ('torch', 'pygame', 'moderngl', 'hydra', 'av', 'highway_env')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize("name", sorted(VERBS))
def test_each_verb_is_wired_and_explains_itself(name):
    result = CliRunner().invoke(cli.load(VERBS[name]), ["--help"])
    assert result.exit_code == 0, result.output
    assert "Usage" in result.output


def test_a_verb_receives_its_own_options():
    done = run("bench", "--help")
    assert done.returncode == 0, done.stderr
    assert "--quick" in done.stdout
    assert "dreamlane bench" in done.stdout


def test_an_unknown_verb_is_refused():
    done = run("fly")
    assert done.returncode == 2
    assert "fly" in done.stderr


def test_a_wrong_override_is_one_message_that_lists_what_is_accepted():
    done = run("demo", "speed=3")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "speed" in done.stderr
    assert "frames: int = 300" in done.stderr


def test_the_traceback_can_be_asked_for():
    done = run("demo", "env=nowhere", **{cli.TRACEBACK_VARIABLE: "1"})
    assert done.returncode != 0
    assert "Traceback" in done.stderr
    assert "accepted: dream, truth" in done.stderr


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ModuleNotFoundError("No module named 'ray'", name="ray"), "'ray' is missing"),
        (ModuleNotFoundError("gone", name="simulator.gone"), "lacks its own module"),
        (ValueError("frames=1; a drive needs at least 2"), "frames=1"),
    ],
)
def test_expected_failures_are_explained_in_one_line(monkeypatch, capsys, error, expected):
    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(cli, "app", fail)
    monkeypatch.delenv(cli.TRACEBACK_VARIABLE, raising=False)
    with pytest.raises(SystemExit) as ending:
        cli.main([])
    assert ending.value.code == 2
    assert expected in capsys.readouterr().err
