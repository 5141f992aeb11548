"""The README keeps its word: its Python runs, its commands and files exist."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import gymnasium
import pytest

import scenarios
import simulator  # noqa: F401  registers the environments
from simulator.cli import VERBS

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = (
    "README.md",
    *sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("docs/*.md")),
    "CONTRIBUTING.md",
)
TUTORIAL = (ROOT / "docs" / "tutorial-policy.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def test_the_python_snippet_runs(town, tmp_path):
    (snippet,) = blocks("python")
    done = subprocess.run(
        [sys.executable, "-c", snippet], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("(128, 256, 3)")


@pytest.mark.parametrize("world", ["dreamlane/Truth-v0", "dreamlane/Dream-v0"])
def test_the_policy_of_the_tutorial_stays_on_the_road(town, world):
    (code,) = re.findall(r"```python\n(.*?)```", TUTORIAL, re.DOTALL)
    names: dict[str, type] = {}
    exec(compile(textwrap.dedent(code), "docs/tutorial-policy.md", "exec"), names)
    env = gymnasium.make(world, scenario="calm_cruise")
    driver = names["MyDriver"](speed_mps=10.0)
    driver.reset(0)
    frame, info = env.reset(seed=0)
    for _ in range(20):
        frame, _, terminated, truncated, info = env.step(driver.act(frame, info))
        assert not terminated
        assert not truncated
    env.close()
    assert abs(info["lane_offset_m"]) < 1.5
    assert 5 < info["speed_mps"] < 20


def test_the_tutorial_names_commands_and_scenarios_that_exist():
    commands = re.findall(r"```sh\n(.*?)```", TUTORIAL, re.DOTALL)
    text = " ".join(commands).replace("\\\n", " ")
    assert set(re.findall(r"\bdreamlane ([a-z]+)", text)) <= {verb.name for verb in VERBS}
    assert set(re.findall(r"--scenario (\S+)", text)) <= set(scenarios.names())


def test_its_commands_are_verbs_of_the_command_line():
    named = re.findall(r"\bdreamlane ([a-z]+)", "\n".join(blocks("sh")))
    assert len(named) >= 8
    assert set(named) <= {verb.name for verb in VERBS}


def test_its_make_targets_exist():
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"^make ([a-z]+)", "\n".join(blocks("sh")), re.MULTILINE)) <= set(targets)


@pytest.mark.parametrize("page", PAGES)
def test_links_between_the_pages_lead_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    targets = [t for t in re.findall(r"\]\(([^)#]+)\)", text) if not t.startswith("http")]
    missing = [t for t in targets if not ((ROOT / page).parent / t).exists()]
    assert not missing
