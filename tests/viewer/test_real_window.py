"""`dreamlane play` in a real X window with key presses from outside the process, under Xvfb."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import ImageGrab

MISSING = [tool for tool in ("Xvfb", "xdotool") if shutil.which(tool) is None]
pytestmark = pytest.mark.skipif(
    bool(MISSING), reason=f"needs {' and '.join(MISSING)}: apt-get install xvfb xdotool"
)


@pytest.fixture
def display() -> Iterator[str]:
    """A virtual screen of its own; Xvfb picks a free number and tells it."""
    reader, writer = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writer), "-screen", "0", "1280x800x24", "-nolisten", "tcp"],
        pass_fds=[writer],
        stderr=subprocess.DEVNULL,
    )
    os.close(writer)
    with os.fdopen(reader) as said:
        number = said.readline().strip()
    assert number, "Xvfb did not start"
    yield f":{number}"
    server.terminate()
    server.wait(timeout=10)


BRAKE_RED = (235, 90, 80)
BACKWARDS = (230, 120, 40)
PATIENCE_S = 60.0


def test_a_person_drives_in_a_real_window(display: str, tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "SDL_VIDEODRIVER"}
    environment["DISPLAY"] = display

    def press(*arguments: str) -> None:
        subprocess.run(["xdotool", *arguments], env=environment, check=True)

    def screen() -> np.ndarray:
        return np.asarray(ImageGrab.grab(xdisplay=display).convert("RGB"))

    def pixels(colour: tuple[int, int, int]) -> int:
        return int((screen() == colour).all(axis=2).sum())

    def until_seen(colour: tuple[int, int, int], said: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while pixels(colour) < 100:
            assert time.monotonic() < deadline, said
            time.sleep(0.1)

    game = subprocess.Popen(
        [sys.executable, "-m", "simulator.cli", "play", "--env", "truth"],
        env={**environment, "PYTHONPATH": str(Path(__file__).parents[2])},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert game.stdout is not None
        for line in game.stdout:
            if line.startswith("RUNNING"):
                break
        assert pixels(BRAKE_RED) == 0
        press("keydown", "Down")
        until_seen(BRAKE_RED, "the key never reached the brake")
        assert screen().std() > 20.0  # a landscape, not one colour
        press("keyup", "Down")
        assert pixels(BACKWARDS) == 0
        press("keydown", "BackSpace")
        until_seen(BACKWARDS, "time never ran backwards")
        press("keyup", "BackSpace")
        press("key", "Escape")
        rest, _ = game.communicate(timeout=PATIENCE_S)
    finally:
        game.kill()
    assert game.returncode == 0
    assert "Drove " in rest
    assert "Drove 0 steps" not in rest
