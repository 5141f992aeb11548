"""A recorded drive through a dream: actions arrive in their order, and the figures know good from bad."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from conftest import write_camera_drive
from toy_engine import ToyEngine

from simulator.recording.episode import read_episode
from simulator.replay.rerun import RerunError
from simulator.replay.through import Through, dream_through, figures


def seen(dream: np.ndarray, camera: np.ndarray, speed_error: float = 0.0) -> Through:
    steps = len(camera)
    speed = np.linspace(10.0, 12.0, steps)
    nothing = np.zeros(steps)
    actions = np.zeros((steps, 2), np.float32)
    return Through(0.1, 3, camera, dream, actions, speed, speed + speed_error, nothing)


@pytest.fixture(scope="module")
def camera() -> np.ndarray:
    """25 frames of moving noise, 2.4 s."""
    field = np.random.default_rng(0).integers(0, 255, (32, 128, 3), np.uint8)
    return np.stack([field[:, 2 * t : 2 * t + 64] for t in range(25)])


def test_a_dream_that_is_the_camera_is_perfect(camera):
    rows = figures(seen(camera.copy(), camera), reconstruct=lambda frames: frames)
    assert [(row["from_s"], row["to_s"]) for row in rows] == [(0.0, 1.0), (1.0, 2.0), (2.0, 2.4)]
    for row in rows:
        assert row["psnr_db"]["dream"] == row["psnr_db"]["tokenizer"] == 80.0
        assert row["sharpness_ratio"]["dream"] == 1.0
        assert row["speed_error_mps"] == 0.0
        assert row["psnr_db"]["held_frame"] < 15.0


def test_a_blurred_dream_is_less_sharp_and_a_wrong_speed_is_told(camera):
    blurred = np.stack([cv2.GaussianBlur(frame, (0, 0), 2.0) for frame in camera])
    for row in figures(seen(blurred, camera, speed_error=-1.5)):
        assert row["sharpness_ratio"]["dream"] < 0.1
        assert row["psnr_db"]["dream"] < 20.0
        assert row["speed_error_mps"] == pytest.approx(1.5)
        assert "tokenizer" not in row["psnr_db"]


def test_the_dream_gets_the_recorded_actions_from_its_last_given_frame_on(tmp_path):
    episode = read_episode(write_camera_drive(tmp_path / "real", frames=12))
    dreamed = dream_through(episode, ToyEngine(1), start_s=0.2)
    assert dreamed.first == 5  # two frames later than the fourth
    assert len(dreamed.dream_THWC) == len(dreamed.camera_THWC) == 12 - 5
    np.testing.assert_array_equal(dreamed.dream_THWC[0], dreamed.camera_THWC[0])
    stripes = [int(frame[-1, :, 0].argmax()) for frame in dreamed.dream_THWC[1:]]
    # the toy's stripe moves by 3 + 5 * steer; where it begins, the last given frame tells
    moves = 3 + 5 * episode.actions[5:11, 0]
    begin = float(dreamed.camera_THWC[0].mean())
    assert stripes == [int(place % 32) for place in begin + np.cumsum(moves)]
    assert dreamed.dream_speed_mps_T[1] == pytest.approx(15.0 + 0.3 * 0.2)
    assert dreamed.speed_mps_T[0] == 15.0


def test_equal_seeds_dream_alike_and_other_seeds_otherwise(tmp_path):
    episode = read_episode(write_camera_drive(tmp_path / "real", frames=12))
    first, again, other = (dream_through(episode, ToyEngine(1), seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(first.dream_THWC, again.dream_THWC)
    assert (first.dream_THWC != other.dream_THWC).any()


def test_the_length_can_be_chosen(tmp_path):
    episode = read_episode(write_camera_drive(tmp_path / "real", frames=12))
    assert len(dream_through(episode, ToyEngine(1), seconds=0.3).dream_THWC) == 4


@pytest.mark.parametrize(
    ("meta", "start_s", "said"),
    [({}, 0.9, "earlier --start"), ({"dt_s": 0.05}, 0.0, "ticks every 0.05 s")],
)
def test_a_drive_that_does_not_fit_is_refused(tmp_path, meta, start_s, said):
    episode = read_episode(write_camera_drive(tmp_path / "real", frames=12, **meta))
    with pytest.raises(RerunError, match=said):
        dream_through(episode, ToyEngine(1), start_s=start_s)


def test_pictures_of_another_size_are_refused(tmp_path):
    class LargerEngine(ToyEngine):
        frame_shape = (128, 256, 3)

    episode = read_episode(write_camera_drive(tmp_path / "real"))
    with pytest.raises(RerunError, match="pictures \\(16, 32, 3\\)"):
        dream_through(episode, LargerEngine(1))
