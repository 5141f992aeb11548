"""What a package drags in at run time; import-linter checks the same walls in the source."""

from __future__ import annotations

import subprocess
import sys

import pytest

WALLS = {
    "world_model.engine": ("simulator", "scenarios", "agents", "gymnasium", "pygame", "moderngl"),
    "scenarios": ("simulator", "world_model", "agents", "torch", "gymnasium", "pygame"),
    "agents.lane_keeper": ("world_model", "simulator.truth", "simulator.envs", "torch"),
    "simulator.viewer.app": ("world_model", "simulator.truth", "simulator.envs", "torch"),
    "simulator.recording.collect": ("world_model", "simulator.viewer", "pygame.display"),
    "simulator.cli": ("torch", "hydra", "pygame", "moderngl", "av"),
    "simulator": ("torch", "simulator.truth", "simulator.envs", "world_model"),
}


@pytest.mark.parametrize("package", WALLS)
def test_importing_a_package_stays_on_its_side_of_the_wall(package):
    program = (
        f"import sys, {package}\nprint([m for m in {WALLS[package]!r} if m in sys.modules], end='')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
