"""`dreamlane play` in a real X window with key presses from outside the process, under Xvfb."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
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
PATIENCE_S = 180.0


class Game:
    """`dreamlane play` on a screen of its own, with a person's hands and eyes."""

    def __init__(self, display: str, folder: Path, *options: str, verb: str = "play") -> None:
        self._display = display
        without = {k: v for k, v in os.environ.items() if k != "SDL_VIDEODRIVER"}
        self._environment = {**without, "DISPLAY": display}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "simulator.cli", verb, *options],
            env={**self._environment, "PYTHONPATH": str(Path(__file__).parents[2])},
            cwd=folder,
            stdout=subprocess.PIPE,
            text=True,
        )

    def until_running(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("RUNNING"):
                break
        time.sleep(0.5)  # the picture is on its way to the screen

    def press(self, *arguments: str) -> None:
        self.asked(*arguments)

    def asked(self, *arguments: str) -> str:
        """What `xdotool` answers."""
        command = ["xdotool", *arguments]
        ran = subprocess.run(
            command, env=self._environment, check=True, capture_output=True, text=True
        )
        return ran.stdout

    def screen(self) -> np.ndarray:
        return np.asarray(ImageGrab.grab(xdisplay=self._display).convert("RGB"))

    def pixels(self, colour: tuple[int, int, int]) -> int:
        return int((self.screen() == colour).all(axis=2).sum())

    def until(self, condition: Callable[[], bool], said: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, said
            time.sleep(0.1)


@pytest.fixture
def play(display: str, tmp_path: Path) -> Iterator[Callable[..., Game]]:
    """`play(*options)` opens the window and waits until the world is there."""
    opened: list[Game] = []

    def start(*options: str, verb: str = "play") -> Game:
        opened.append(Game(display, tmp_path, *options, verb=verb))
        if verb == "play":
            opened[-1].until_running()
        return opened[-1]

    yield start
    for game in opened:
        game.process.kill()
        game.process.communicate()


def test_a_person_drives_in_a_real_window(play) -> None:
    game = play("--env", "truth")
    assert game.pixels(BRAKE_RED) == 0
    game.press("keydown", "Down")
    game.until(lambda: game.pixels(BRAKE_RED) > 100, "the key never reached the brake")
    assert game.screen().std() > 20.0  # a landscape, not one colour
    game.press("keyup", "Down")
    assert game.pixels(BACKWARDS) == 0
    game.press("keydown", "BackSpace")
    game.until(lambda: game.pixels(BACKWARDS) > 100, "time never ran backwards")
    game.press("keyup", "BackSpace")
    game.press("key", "Escape")
    game.process.communicate(timeout=PATIENCE_S)
    assert game.process.returncode == 0


def test_a_person_paints_on_the_dream(play, town) -> None:
    game = play()
    # the left of the picture, above the banner: sky and trees
    x, y, width, height = window_box(game)
    seen = slice(y, y + height // 4), slice(x, x + width // 3)
    before = game.screen()[seen].astype(int)

    def changed() -> float:
        return float(np.abs(game.screen()[seen] - before).mean())

    assert changed() == 0.0  # the world waits for its driver
    game.press("mousemove", str(x + width // 12), str(y + height // 6), "mousedown", "1")
    game.press("mousemove", str(x + width // 4), str(y + height // 6))
    game.until(lambda: changed() > 5.0, "what is marked was never shown")
    marked = changed()
    game.press("mouseup", "1")
    game.until(lambda: 0.2 < changed() < 0.7 * marked, "what was marked never went")
    game.press("key", "Escape")
    game.process.communicate(timeout=PATIENCE_S)
    assert game.process.returncode == 0


@pytest.mark.parametrize("family", ["nar", "raster", "dit"])
def test_every_family_is_driven_in_a_real_window(play, family) -> None:
    game = play("--model", family)
    before = above_the_banner(game)
    game.press("keydown", "Up")
    game.until(
        lambda: np.abs(above_the_banner(game) - before).mean() > 2.0, "the car never drove off"
    )
    game.press("keyup", "Up")
    game.press("key", "Escape")
    said, _ = game.process.communicate(timeout=PATIENCE_S)
    assert game.process.returncode == 0
    assert "Drove" in said


def above_the_banner(game: Game) -> np.ndarray:
    """The upper quarter of the picture, without its border."""
    x, y, width, height = window_box(game)
    return game.screen()[y + 20 : y + height // 5, x + 20 : x + width - 20].astype(int)


def test_the_autopilot_drives_and_a_branch_is_found_again_to_the_pixel(play) -> None:
    game = play("--env", "truth")
    begin = above_the_banner(game)

    def paused() -> np.ndarray:
        """The picture, once it no longer changes."""
        game.press("key", "space")
        last = above_the_banner(game)
        for _ in range(100):
            time.sleep(0.3)
            if np.array_equal(now := above_the_banner(game), last):
                return now
            last = now
        raise AssertionError("the world never stood still")

    game.press("key", "m")
    game.until(
        lambda: np.abs(above_the_banner(game) - begin).mean() > 3, "the autopilot never drove"
    )
    first = paused()
    game.press("keydown", "BackSpace")
    game.until(
        lambda: np.abs(above_the_banner(game) - first).mean() > 1, "time never ran backwards"
    )
    game.press("keyup", "BackSpace")
    game.press("key", "space", "keydown", "Left")
    time.sleep(1.5)
    game.press("keyup", "Left")
    assert not np.array_equal(paused(), first)
    game.press("key", "b")
    game.until(lambda: np.array_equal(above_the_banner(game), first), "the branch never came back")


def test_what_was_recorded_is_equal_when_driven_again_and_can_be_watched(play, tmp_path) -> None:
    game = play("--env", "truth", "--record", "drives")
    begin = above_the_banner(game)
    game.press("key", "m")
    game.until(
        lambda: np.abs(above_the_banner(game) - begin).mean() > 3, "the autopilot never drove"
    )
    game.press("key", "Escape")
    game.process.communicate(timeout=PATIENCE_S)
    verified = subprocess.run(
        [sys.executable, "-m", "simulator.cli", "replay", "--verify", "drives"],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert "EQUAL" in verified.stdout, verified.stderr
    (drive,) = (meta.parent for meta in (tmp_path / "drives").rglob("meta.json"))
    shown = play(str(drive.relative_to(tmp_path)), verb="watch")
    shown.until(lambda: shown.screen().any() and shown.screen().std() > 20, "nothing was shown")
    shown.until(lambda: np.abs(above_the_banner(shown) - begin).mean() > 1, "it never played")
    shown.press("key", "q")
    shown.process.communicate(timeout=PATIENCE_S)
    assert shown.process.returncode == 0


def test_another_scenario_is_chosen_from_the_menu(play) -> None:
    game = play("--env", "truth")
    before = above_the_banner(game)
    game.press("key", "Tab")
    game.until(lambda: game.pixels((22, 25, 28)) > 300_000, "the menu never came")
    game.press("key", "Next", "key", "Next", "key", "Next", "key", "Return")
    game.until(lambda: game.pixels((22, 25, 28)) < 300_000, "the menu never went")
    game.until(lambda: np.abs(above_the_banner(game) - before).mean() > 3, "it is the same place")


def window_box(game: Game) -> tuple[int, int, int, int]:
    """Left, top, width and height, as the X server has them: dark edges of a picture count too."""
    pid = str(game.process.pid)
    window = game.asked("search", "--onlyvisible", "--pid", pid).strip()
    said = game.asked("getwindowgeometry", "--shell", window)
    told = dict(line.split("=") for line in said.split())
    return int(told["X"]), int(told["Y"]), int(told["WIDTH"]), int(told["HEIGHT"])
