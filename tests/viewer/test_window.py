"""The window, driven by real key events on SDL's dummy display."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pygame
import pytest

import simulator  # noqa: F401  (registers the environments)
from simulator import play_cli
from simulator.recording import writer
from simulator.recording.errors import RecordingError
from simulator.viewer.settings import PlaySettings
from simulator.viewer.wheel import Wheel


def test_the_world_waits_for_the_driver_s_first_key(drive):
    driven = drive()
    driven.until(lambda: driven.session.latest is not None)
    for _ in range(5):
        driven.viewer.pump()
    assert driven.session.waiting
    assert driven.session.totals.steps == 0
    driven.key(pygame.K_UP)
    driven.until_steps(3)
    assert driven.action[1] > 0.0


@pytest.mark.parametrize(
    ("key", "index", "sign"),
    [
        (pygame.K_LEFT, 0, 1),
        (pygame.K_a, 0, 1),
        (pygame.K_RIGHT, 0, -1),
        (pygame.K_d, 0, -1),
        (pygame.K_UP, 1, 1),
        (pygame.K_w, 1, 1),
        (pygame.K_DOWN, 1, -1),
        (pygame.K_s, 1, -1),
    ],
)
def test_keys_steer_and_work_the_pedals(drive, key, index, sign):
    driven = drive()
    driven.key(key)
    driven.until_steps(5)
    assert sign * driven.action[index] > 0.2
    assert driven.action[1 - index] == 0.0
    driven.key(key, down=False)
    driven.until(lambda: driven.action[index] == 0.0)


def test_a_tap_during_a_slow_frame_is_not_lost(drive):
    driven = drive(env_arguments={"step_s": 0.3}, frames=8)
    driven.until_steps(1)
    driven.key(pygame.K_LEFT)
    driven.key(pygame.K_LEFT, down=False)
    for _ in range(3):
        driven.viewer.pump()
    driven.until(lambda: driven.action[0] > 0.0, seconds=3.0)


def test_the_window_answers_while_a_slow_frame_is_under_way(drive):
    driven = drive(env_arguments={"step_s": 1.0}, frames=5)
    driven.until(lambda: driven.session.latest is not None)
    before = driven.session.totals.steps
    driven.key(pygame.K_ESCAPE)
    while driven.running and driven.session.totals.steps == before:
        driven.running = driven.viewer.pump()
    assert not driven.running
    assert driven.session.totals.steps == before


def test_pause_stops_time_and_lets_it_go_on(drive):
    driven = drive(frames=10_000)
    driven.until_steps(2)
    driven.pause()
    steps = driven.session.totals.steps
    for _ in range(20):
        driven.viewer.pump()
    assert driven.session.totals.steps == steps
    driven.key(pygame.K_p)
    driven.until_steps(2)


def test_reset_begins_another_episode(drive):
    driven = drive(frames=10_000)
    driven.until_steps(3)
    driven.key(pygame.K_r)
    driven.until(lambda: driven.session.totals.episodes == 2)
    assert driven.session.latest.episode_return < 3.0


def test_the_end_of_an_episode_is_shown_and_then_the_next_one_begins(drive):
    driven = drive(env_arguments={"ends": True}, frames=14)
    driven.until(lambda: driven.session.latest is not None and driven.session.latest.ended != "")
    assert driven.session.latest.ended == "collision"
    driven.until(lambda: not driven.running)
    assert driven.session.totals.episodes == 2
    assert driven.session.totals.endings == {"collision": 1}


def test_plus_and_minus_scale_the_window(drive):
    driven = drive(scale=2, frames=10_000)
    driven.until_steps(1)
    width = pygame.display.get_surface().get_width()
    driven.key(pygame.K_PLUS)
    driven.until(lambda: pygame.display.get_surface().get_width() == width + 256)
    driven.key(pygame.K_MINUS)
    driven.until(lambda: pygame.display.get_surface().get_width() == width)


def test_a_picture_of_the_window_can_be_saved(drive, tmp_path):
    driven = drive(frames=10_000)
    driven.until_steps(2)
    driven.key(pygame.K_c)
    driven.until(lambda: driven.session.travel.notice.startswith("saved"))
    (path,) = tmp_path.glob("*.png")
    picture = pygame.image.load(path)
    assert picture.get_size() == pygame.display.get_surface().get_size()
    assert picture.get_at((10, 10))[:3] != (0, 0, 0)


def test_missed_deadlines_are_counted(drive):
    driven = drive(env_arguments={"step_s": 0.1}, ticks_per_s=20.0, frames=5)
    driven.until(lambda: not driven.running)
    assert driven.session.totals.missed >= 4
    assert driven.session.totals.ticks_per_s < 11.0


def test_the_pace_is_kept_when_the_world_is_fast_enough(drive):
    driven = drive(ticks_per_s=20.0, frames=20)
    driven.until(lambda: not driven.running)
    assert 10.0 < driven.session.totals.ticks_per_s < 21.0


def test_an_error_in_the_world_comes_out_of_the_window(drive):
    driven = drive(env_arguments={"broken": True}, frames=5)
    with pytest.raises(RuntimeError, match="fell apart"):
        driven.until(lambda: False)


def test_a_picture_that_can_not_be_saved_ends_nothing(drive, tmp_path):
    folder = tmp_path / "file"
    folder.write_text("no folder")
    driven = drive(frames=10_000, screenshots=folder)
    driven.until_steps(2)
    driven.key(pygame.K_c)
    driven.until(lambda: driven.session.travel.notice.startswith("no picture"))
    driven.until_steps(2)


def test_wrong_settings_are_named():
    for settings, message in (
        ({"policy": "ghost"}, "accepted: human, lane_keeper"),
        ({"scale": 0}, "scale=0"),
        ({"frames": 0}, "frames=0"),
        ({"ticks_per_s": -1.0}, "fps-limit=-1.0"),
    ):
        with pytest.raises(ValueError, match=message):
            PlaySettings("toy/Paced-v0", {}, **settings)


def play(
    *arguments: str, cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    return subprocess.run(
        [sys.executable, "-m", "simulator.cli", "play", *arguments],
        env={**kept, **environment},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_play_drives_the_reference_world_and_says_what_runs():
    done = play(
        "--env", "truth", "--policy", "lane_keeper", "--frames", "8", SDL_VIDEODRIVER="dummy"
    )
    assert done.returncode == 0, done.stderr
    assert "RUNNING reference world | OpenGL" in done.stdout
    assert "Drove 8 steps" in done.stdout


MINE = """
class Mine:
    obs = {obs!r}
    def reset(self, seed=None): ...
    def act(self, observation, info):
        print("MINE", observation.shape, flush=True)
        return [0.0, 0.3]
"""


def test_a_policy_of_ones_own_drives_in_the_window(tmp_path):
    (tmp_path / "mine.py").write_text(MINE.format(obs="camera"))
    arguments = ("--env", "truth", "--policy", "mine:Mine", "--frames", "4")
    done = play(*arguments, cwd=tmp_path, SDL_VIDEODRIVER="dummy")
    assert done.returncode == 0, done.stderr
    assert "MINE (128, 256, 3)" in done.stdout
    assert "Drove 4 steps" in done.stdout


@pytest.mark.parametrize(
    ("policy", "message"), [("mine:Mine", "obs='latent'"), ("ghost", "accepted: module:Class")]
)
def test_a_policy_that_can_not_drive_in_the_window_is_refused(tmp_path, policy, message):
    (tmp_path / "mine.py").write_text(MINE.format(obs="latent"))
    done = play("--policy", policy, "--frames", "4", cwd=tmp_path, SDL_VIDEODRIVER="dummy")
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux: other systems have a display")
def test_without_a_display_it_says_what_to_do():
    done = play("--env", "truth", "--frames", "2", SDL_VIDEODRIVER="")
    assert done.returncode == 2
    assert "xvfb-run" in done.stderr
    assert "SDL_VIDEODRIVER=dummy" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_drive_that_can_t_be_written_at_the_end_is_no_success(drive, tmp_path, monkeypatch):
    driven = drive(record=tmp_path / "drives")
    driven.until(lambda: driven.session.latest is not None)
    driven.key(pygame.K_UP)
    driven.until_steps(3)

    def full(*_: object) -> None:
        raise RecordingError("disk full")

    monkeypatch.setattr(writer, "write_directory", full)
    pygame.event.post(pygame.event.Event(pygame.QUIT))
    with pytest.raises(RecordingError, match="disk full"):
        play_cli.drive(driven.viewer)


class Locked:
    """A driver with a memory, a network and something that can't be copied."""

    uses_camera = False

    def __init__(self, network: object, lock: object = None) -> None:
        self.network, self.lock, self.seen = network, lock, [0]

    def reset(self, seed=None):
        self.seen = [0]

    def act(self, observation, info):
        self.seen[0] += 1
        return [0.0, 0.0]


def test_what_a_driver_remembers_is_kept_but_no_network_of_his():
    import torch

    network = torch.nn.Linear(2, 2)
    wheel = Wheel(Locked(network), manual=False)
    kept = wheel.save_state()
    wheel.act(None, {})
    wheel.restore_state(kept)
    assert wheel.autopilot.seen == [0]
    assert wheel.autopilot.network is network
    held = Wheel(Locked(network, threading.Lock()), manual=False)
    kept = held.save_state()
    held.act(None, {})
    held.restore_state(kept)  # he can't be copied: he goes on as he is
    assert held.autopilot.seen == [1]
