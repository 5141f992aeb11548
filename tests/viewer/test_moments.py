"""F6 keeps a moment of a dream in a file, on the menu then and for `play --moment`; E keeps the way there."""

from __future__ import annotations

import numpy as np
import pygame
import pytest

from simulator import DREAM, TRUTH
from simulator.places import places, read_moment
from simulator.play_cli import play
from simulator.recording.episode import read_episode
from simulator.replay.rerun import open_rerun
from simulator.viewer.app import Viewer
from simulator.viewer.inputs import Stroke
from simulator.viewer.settings import PlaySettings


@pytest.fixture
def kept(drive, tmp_path, town):
    """A dream of a few steps and the file of its last moment."""
    arguments = {"world_model": town, "backend": "eager"}
    driven = drive(DREAM, arguments, policy="lane_keeper", ticks_per_s=0.0, frames=10_000)
    driven.until_steps(4)
    driven.pause()
    driven.key(pygame.K_F6)
    driven.until(lambda: driven.session.travel.notice.startswith("saved"))
    (path,) = tmp_path.glob("*.moment")
    return driven, path


def test_a_kept_moment_is_on_the_menu_and_is_that_moment(kept, tmp_path, town):
    driven, path = kept
    first, *_ = places(tmp_path)
    assert (first.world, first.scenario) == ("kept moments", path.stem)
    assert np.array_equal(first.picture(0), driven.session.latest.frame)
    driven.key(pygame.K_SPACE)
    driven.until_steps(3)
    driven.viewer._tour.menu._all = lambda: [first]
    driven.key(pygame.K_TAB)
    driven.key(pygame.K_RETURN)
    driven.until(lambda: driven.session.totals.episodes == 2)
    driven.key(pygame.K_SPACE)
    driven.until(lambda: driven.session.paused)
    while driven.session.travel.timeline.now.before is not None:
        driven.key(pygame.K_BACKSPACE)
        driven.viewer.pump()
        driven.key(pygame.K_BACKSPACE, down=False)
        driven.until(lambda: not driven.session.travel.wanted)
    assert np.array_equal(driven.session.travel.timeline.now.frame, first.picture(0))


def test_a_drive_can_begin_with_a_kept_moment(kept, monkeypatch):
    _, path = kept
    seen = []
    monkeypatch.setattr(Viewer, "open", lambda viewer: seen.append(viewer.settings))
    monkeypatch.setattr(Viewer, "pump", lambda viewer: False)
    monkeypatch.setattr(Viewer, "close", lambda viewer: None)
    play(moment=path)
    (settings,) = seen
    assert settings.env_id == DREAM
    assert settings.env_arguments["world_model"] == "town"
    assert np.array_equal(settings.options["state"].frame, read_moment(path, "town")[1].frame)
    with pytest.raises(ValueError, match="leave out --env"):
        play(moment=path, env="truth")


def test_what_is_no_moment_is_named_and_not_on_the_menu(tmp_path, town):
    broken = tmp_path / "dreamlane-0001.moment"
    broken.write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"dreamlane-0001\.moment: not a saved dream"):
        read_moment(broken, "town")
    assert all(place.world != "kept moments" for place in places(tmp_path))


def test_a_world_without_files_for_its_moments_says_so(drive, tmp_path):
    driven = drive()
    driven.until(lambda: driven.session.latest is not None)
    driven.key(pygame.K_F6)
    driven.until(lambda: "single dream" in driven.session.travel.notice)
    assert not list(tmp_path.glob("*.moment"))


def test_a_full_disk_is_said_and_the_drive_goes_on(drive, tmp_path, monkeypatch, town):
    arguments = {"world_model": town, "backend": "eager"}
    folder = tmp_path / "file"
    folder.write_text("no folder")
    settings = {"policy": "lane_keeper", "ticks_per_s": 0.0, "moments": folder}
    driven = drive(DREAM, arguments, **settings)
    driven.until_steps(1)
    driven.key(pygame.K_F6)
    driven.until(lambda: "file" in driven.session.travel.notice)
    driven.until_steps(2)


def test_e_keeps_what_was_driven_to_the_bit(tmp_path, drive, town):
    arguments = {"world_model": town, "backend": "eager"}
    driven = drive(DREAM, arguments, policy="lane_keeper", ticks_per_s=0.0, frames=10_000)
    driven.until_steps(3)
    driven.pause()
    driven.viewer._obey(Stroke((100, 100), "down"))  # from here on by actions alone
    driven.viewer._obey(Stroke((130, 110), "up"))
    driven.until(
        lambda: driven.session.painting.held is False and not driven.session.painting.wanted
    )
    driven.key(pygame.K_SPACE)
    driven.until_steps(4)
    driven.pause()
    now = driven.session.travel.timeline.now
    driven.key(pygame.K_e)
    driven.until(lambda: driven.session.travel.notice.startswith("kept"))
    (path,) = (tmp_path / "recordings").iterdir()
    episode = read_episode(path)
    assert episode.steps["frame_hash"][-1] == now.info["frame_hash"]
    painted = now
    while painted.before.tick < painted.tick:
        painted = painted.before
    assert len(episode) == now.tick - painted.tick + 1
    with open_rerun(episode) as rerun:
        frame, _ = rerun.begin()
        assert np.array_equal(frame, painted.frame)
        for action in rerun.actions:
            frame, info, _ = rerun.step(action)
    assert info["frame_hash"] == now.info["frame_hash"]


def test_a_world_whose_moments_are_no_files_is_kept_from_its_start(tmp_path, drive):
    driven = drive(TRUTH, {"scenario": "calm_cruise"}, policy="lane_keeper", frames=10_000)
    driven.until_steps(4)
    driven.key(pygame.K_e)
    driven.until(lambda: driven.session.travel.notice.startswith("kept"))
    (path,) = (tmp_path / "recordings").iterdir()
    with open_rerun(read_episode(path)) as rerun:
        rerun.begin()
        for action in rerun.actions:
            _, info, _ = rerun.step(action)
    assert info["frame_hash"] == rerun.episode.steps["frame_hash"][-1]
    driven.pause()
    timeline = driven.session.travel.timeline
    first = timeline.moments[0]
    timeline._forget(first)
    driven.key(pygame.K_e)
    driven.until(lambda: "forgotten already" in driven.session.travel.notice)


def test_before_the_first_step_there_is_nothing_to_keep(drive, tmp_path):
    driven = drive()
    driven.until(lambda: driven.session.latest is not None)
    driven.key(pygame.K_e)
    driven.until(lambda: driven.session.travel.notice.startswith("nothing to keep"))
    assert not (tmp_path / "recordings").exists()


def test_the_mouse_steers_once_it_is_asked_to(drive):
    driven = drive()
    driven.until(lambda: driven.session.latest is not None)
    driven.viewer.pump()
    box = driven.viewer.canvas.hud.picture

    def point(x: float, y: float) -> None:
        place = round(box.left + x * (box.width - 1)), round(box.top + y * (box.height - 1))
        motion = {"pos": place, "buttons": (0, 0, 0), "rel": (1, 1)}
        pygame.event.post(pygame.event.Event(pygame.MOUSEMOTION, **motion))

    point(0.0, 0.0)
    for _ in range(5):
        driven.viewer.pump()
    assert driven.session.waiting  # not asked to
    driven.key(pygame.K_j)
    point(0.0, 0.0)
    driven.until(lambda: driven.action[0] > 0.0 and driven.action[1] > 0.9)  # left, throttle
    point(1.0, 1.0)
    driven.until(lambda: driven.action[0] < 0.0 and driven.action[1] < -0.9)
    point(0.5, 0.5)
    driven.until(lambda: abs(driven.action).max() < 1e-3)
    driven.key(pygame.K_j)
    point(0.0, 0.0)
    driven.until_steps(5)
    assert abs(driven.action).max() < 1e-3


def test_settings_say_where_moments_are_kept():
    assert PlaySettings(DREAM, {}).moments.name == "moments"
