"""`dreamlane watch`: recordings and samples of a run on the window's menu, played, wound, side by side."""

from __future__ import annotations

import cv2
import numpy as np
import pygame
import pytest
from conftest import write_camera_drive
from typer.testing import CliRunner

from simulator import cli
from simulator.recording.episode import RecordingError
from simulator.replay.album import album
from simulator.replay.player import Repeater
from simulator.viewer.app import Viewer
from simulator.viewer.settings import PlaySettings

VERB = cli.load(next(verb for verb in cli.VERBS if verb.name == "watch"))


def write_sample(run, step, value=0, what="rollout"):
    run.mkdir(exist_ok=True)
    cv2.imwrite(str(run / f"{what}_{step:07d}.png"), np.full((40, 60, 3), value, np.uint8))


def test_recordings_are_listed_with_their_first_picture(tmp_path):
    for name in ("a", "b", "c"):
        write_camera_drive(tmp_path / "set" / name, frames=12)
    shots = album([tmp_path / "set"])
    assert [(s.world, s.scenario) for s in shots] == [("set", "a"), ("set", "b"), ("set", "c")]
    played = shots[1].shown()
    assert len(played.frames) == 12
    assert np.array_equal(shots[1].picture(0), played.frames[0])


def test_two_recordings_come_side_by_side_as_well(tmp_path):
    short = write_camera_drive(tmp_path / "short", frames=6)
    long = write_camera_drive(tmp_path / "long", frames=12)
    both, *alone = album([short, long])
    assert [s.scenario for s in alone] == ["short", "long"]
    shown = both.shown()
    assert len(shown.frames) == len(shown.infos) == len(shown.rewards) == 12
    single = alone[0].shown().frames[0].shape
    assert shown.frames[0].shape[1] == 2 * single[1]
    assert [round(i["time_s"], 3) for i in shown.infos[:3]] == [0.0, 0.1, 0.2]


def test_samples_appear_as_the_run_leaves_them(tmp_path):
    run = tmp_path / "run"
    write_sample(run, 100, 10)
    write_sample(run, 200, 20)
    write_sample(run, 200, 20, "steering")
    shots = album([run])
    assert [s.scenario for s in shots] == ["rollout", "steering"]
    assert "rollout_0000200.png" in shots[0].about
    assert shots[0].picture(0).mean() == 20
    assert len(shots[0].shown().frames) == 2
    write_sample(run, 300, 30)
    frames = shots[0].shown().frames
    assert [f[-1, 0, 0] for f in frames] == [10, 20, 30]


def test_what_can_not_be_read_is_left_out(tmp_path, capsys):
    write_camera_drive(tmp_path / "set" / "b", frames=12)
    (tmp_path / "set" / "a").mkdir()
    (tmp_path / "set" / "a" / "meta.json").write_text("{")
    assert [s.scenario for s in album([tmp_path / "set"])] == ["b"]
    assert "left out" in capsys.readouterr().out
    run = tmp_path / "run"
    write_sample(run, 100, 10)
    (run / "rollout_0000200.png").write_bytes(b"half")
    assert len(album([run])[0].shown().frames) == 1


def test_nothing_to_watch_is_said(tmp_path):
    with pytest.raises(RecordingError, match=r"nothing to watch in .*--record"):
        album([tmp_path])
    done = CliRunner().invoke(VERB, [str(tmp_path / "nowhere")])
    assert "no directory" in str(done.exception)


def test_a_damaged_recording_keeps_its_place_and_says_why_when_opened(tmp_path):
    path = write_camera_drive(tmp_path / "set" / "a", frames=12)
    video = path / "camera.mp4"
    video.write_bytes(video.read_bytes()[:-100])
    (shot,) = album([tmp_path / "set"])
    assert shot.picture(0) is None
    with pytest.raises(RecordingError, match=r"camera\.mp4"):
        shot.shown()


def test_in_the_window_one_chooses_winds_and_goes_back(tmp_path, monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    for name in ("a", "b"):
        write_camera_drive(tmp_path / "set" / name, frames=40)
    shots = album([tmp_path / "set"])
    settings = PlaySettings(
        shots[0].env_id, dict(shots[0].env_arguments), driver=Repeater(), menu_first=True
    )
    viewer = Viewer(settings, places=lambda: shots)
    viewer.open()

    def until(condition):
        for _ in range(600):
            if condition():
                return
            viewer.pump()
        raise AssertionError("the window never got there")

    def press(*keys):
        for key in keys:
            pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=key))

    def time_s():
        return viewer.session.latest.info["time_s"]

    try:
        until(lambda: viewer.session.paused)  # the menu is open
        press(pygame.K_RIGHT, pygame.K_RETURN)
        until(
            lambda: (
                viewer.session.latest is not None
                and viewer.session.description["world"] == "recording b"
                and not viewer.session.paused
            )
        )
        until(lambda: time_s() > 0.2)
        press(pygame.K_PAGEDOWN)
        until(lambda: time_s() > 3.7)  # 5 s on are more than there are
        press(pygame.K_HOME)
        until(lambda: time_s() < 0.5)
        middle = viewer.canvas.hud.picture.center
        pygame.event.post(
            pygame.event.Event(pygame.MOUSEBUTTONDOWN, pos=middle, button=pygame.BUTTON_LEFT)
        )
        until(lambda: 1.8 < time_s() < 2.6)
    finally:
        viewer.close()


def test_the_command_closes_after_as_many_frames_as_wished(tmp_path, monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    drive = write_camera_drive(tmp_path / "drive", frames=6)
    done = CliRunner().invoke(VERB, [str(drive), "--frames", "3"])
    assert done.exit_code == 0, done.exception


def test_what_drives_by_itself_can_not_be_wound(monkeypatch):
    from simulator.viewer.travel import Travel

    travel = Travel()
    travel.wind(5.0)
    assert travel.wound_to() is None
    assert "recorded" in travel.notice
