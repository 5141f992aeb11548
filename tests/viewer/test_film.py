"""V makes a video of the drive: what was shown, and what was done for it."""

from __future__ import annotations

import json

import av
import numpy as np
import pygame
import pytest
from PIL import Image

from simulator.viewer import film
from simulator.viewer.files import next_free


def comment(path) -> dict:
    with av.open(str(path)) as container:
        assert len(list(container.decode(video=0))) > 0
    with av.open(str(path)) as container:
        return json.loads(container.metadata["comment"])


def test_v_begins_a_video_and_ends_it(drive, tmp_path):
    driven = drive(frames=10_000, seed=4)
    driven.until_steps(2)
    driven.key(pygame.K_v)
    driven.until(lambda: driven.session.film.running)
    assert driven.session.travel.notice == film.FILMING
    driven.until_steps(5)
    driven.key(pygame.K_v)
    driven.until(lambda: driven.session.travel.notice.startswith("saved"))
    (path,) = tmp_path.glob("*.mp4")
    told = comment(path)
    assert told["seed"] == 4
    assert told["world"]["world"] == "paced"
    assert not told["generated"]  # no dream
    assert len(told["actions"]) >= 5


def test_a_video_ends_with_the_drive(drive, tmp_path):
    driven = drive(frames=20)
    driven.key(pygame.K_v)
    while driven.running:
        driven.running = driven.viewer.pump()
    driven.viewer.close()
    (path,) = tmp_path.glob("*.mp4")
    assert len(comment(path)["actions"]) >= 15


def test_a_video_that_cannot_be_written_is_given_up_and_the_drive_goes_on(
    drive, tmp_path, monkeypatch
):
    (tmp_path / "taken").write_text("a file where the folder should be")
    driven = drive(frames=10_000, videos=tmp_path / "taken")
    driven.until_steps(1)
    driven.key(pygame.K_v)
    driven.until(lambda: driven.session.travel.notice.startswith("no video"))
    assert not driven.session.film.running
    driven.until_steps(2)


def test_a_video_that_breaks_in_the_middle_leaves_nothing(drive, tmp_path, monkeypatch):
    driven = drive(frames=10_000)
    driven.until_steps(1)
    driven.key(pygame.K_v)
    driven.until(lambda: driven.session.film.running)

    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("simulator.videos.VideoWriter.add", full)
    driven.until(lambda: "No space left" in driven.session.travel.notice)
    assert not list(tmp_path.iterdir())
    driven.until_steps(2)


def test_no_video_takes_another_s_name(tmp_path):
    for number in (1, 3):
        (tmp_path / f"dreamlane-{number:04d}.mp4").touch()
    assert next_free(tmp_path, ".mp4").name == "dreamlane-0004.mp4"
    assert next_free(tmp_path / "new", ".png").name == "dreamlane-0000.png"


def test_x_makes_a_gif_of_the_last_ten_seconds(drive, tmp_path):
    driven = drive(frames=10_000)
    driven.key(pygame.K_x)
    driven.until_steps(6)
    driven.key(pygame.K_x)
    driven.until(lambda: driven.session.travel.notice.startswith("saved"))
    (path,) = tmp_path.glob("*.gif")
    with Image.open(path) as gif:
        told = json.loads(gif.info["comment"])
        assert gif.n_frames >= 6
        assert gif.size == (256, 128)
        assert gif.info["duration"] == 100
    assert not told["generated"]
    assert told["world"]["world"] == "paced"
    assert len(told["actions"]) >= 6


def test_a_gif_of_nothing_is_refused(drive, tmp_path):
    driven = drive()  # waits for the driver
    driven.until(lambda: driven.session.latest is not None)
    driven.key(pygame.K_x)
    driven.until(lambda: driven.session.travel.notice == "nothing was driven yet")
    assert not list(tmp_path.glob("*.gif"))


def test_a_gif_and_a_video_of_the_same_number_do_not_meet(drive, tmp_path):
    driven = drive(frames=10_000)  # at a pace that the encoder keeps up with
    driven.key(pygame.K_v)
    driven.until_steps(120)
    driven.key(pygame.K_x)
    driven.until(lambda: driven.session.travel.notice.endswith(".gif"))
    driven.key(pygame.K_v)
    driven.until(lambda: driven.session.travel.notice.endswith(".mp4"))
    (video,), (gif,) = tmp_path.glob("*.mp4"), tmp_path.glob("*.gif")
    assert video.stem == gif.stem
    assert not comment(video)["generated"]
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("stamp", [False, True])
def test_a_stamped_gif_of_a_dream_says_so_in_its_corner(drive, tmp_path, stamp):
    driven = drive("toy/Layered-v0", frames=10_000, stamp=stamp)
    driven.until_steps(5)
    driven.key(pygame.K_x)
    driven.until(lambda: any(tmp_path.glob("*.gif")))
    (path,) = tmp_path.glob("*.gif")
    with Image.open(path) as picture:
        corner = np.asarray(picture.convert("RGB"))[-20:, 150:]
    assert (corner > 200).any() == stamp
