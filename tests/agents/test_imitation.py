"""The driver who learned from drives does what was done, comes back from askew, and checks its files."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from agents.imitation import Imitation, ImitationConfig, ImitationError, ImitationNet, save_net
from agents.imitation_training import (
    ImitationTraining,
    askew,
    back,
    held_out_errors,
    smoothed,
    train,
)
from simulator.evaluation.policies import load_policy

pytestmark = pytest.mark.usefixtures("one_thread")

H, W = 64, 128
SMALL = ImitationConfig(height=16, width=32, channels=(8, 16), hidden=16)
CONFIG = ImitationTraining(net=SMALL, steps=150, batch=16, learning_rate=3e-3)


def road(bend_N) -> np.ndarray:
    """Pictures of a line that leans as the road bends."""
    frames = np.full((len(bend_N), H, W, 3), 40, np.uint8)
    for frame, bend in zip(frames, bend_N, strict=True):
        for y in range(H // 2, H):
            x = int(W / 2 - bend * 60 * (H - y) / H)
            frame[y, max(0, x - 3) : x + 3] = 230
    return frames


def drives(count: int = 200):
    rng = np.random.default_rng(0)
    bend = rng.uniform(-1, 1, count)
    action = np.stack([0.3 * bend, np.full(count, 0.2)], 1).astype(np.float32)
    return road(bend), np.full(count, 10.0, np.float32), action, np.repeat([0, 1], count // 2)


def test_it_steers_as_was_steered_and_survives_its_file(tmp_path):
    frames, speed, action, episode = drives()
    config = dataclasses.replace(CONFIG, turned_rad=0.0, aside_m=0.0, smooth_steps=0.0)
    told: list[str] = []
    net = train(config, lambda rows: frames[rows], speed, action, episode, told.append)
    assert told[0].startswith("step 0")
    errors = held_out_errors(net, lambda rows: frames[rows], speed, action, np.arange(200))
    assert errors["mae_steer"] < 0.3 * errors["mae_of_median_steer"]
    save_net(tmp_path, net, errors)
    driver = load_policy(f"agents.imitation:Imitation(folder='{tmp_path}')")
    assert isinstance(driver, Imitation)
    driver.reset(0)
    left, right = (driver.act(road([b])[0], {"speed_mps": 10.0}) for b in (0.8, -0.8))
    assert left.dtype == np.float32
    assert left.shape == (2,)
    assert left[0] > 0.1 > -0.1 > right[0]


def test_equal_seeds_give_equal_drivers():
    frames, speed, action, episode = drives(40)
    config = dataclasses.replace(CONFIG, steps=3, mirror=True)
    nets = [train(config, lambda rows: frames[rows], speed, action, episode) for _ in range(2)]
    for a, b in zip(*(n.state_dict().values() for n in nets), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_who_stands_askew_sees_the_road_elsewhere_and_steers_back():
    config = ImitationTraining(horizontal_fov_deg=90.0, height_m=1.0, pitch_rad=0.0)
    post = np.zeros((H, W, 3), np.uint8)
    post[:, 62:66] = 255

    def middle(picture, y):
        row = picture[y, :, 0].astype(float)
        return float((row * np.arange(W)).sum() / row.sum())

    turned = askew(post, 0.1, 0.0, config)  # to the left: all of it moves to the right
    for y in (5, 60):
        assert middle(turned, y) - middle(post, y) == pytest.approx(64 * np.tan(0.1), abs=0.6)
    aside = askew(post, 0.0, 0.5, config)  # to the left: the ground moves, the nearer the more
    assert middle(aside, 5) == middle(post, 5)
    for y in (40, 60):
        assert middle(aside, y) - middle(post, y) == pytest.approx(0.5 * (y - 32), abs=0.6)
    assert back(0.1, 0.0, 10.0, 1.0) < 0 < back(0.0, -0.5, 10.0, 1.0)
    assert back(0.0, 0.0, 10.0, 1.0) == 0.0


def test_wheels_are_smoothed_within_a_drive_alone():
    action = np.zeros((10, 2), np.float32)
    action[5:, 0] = 1.0
    action[[4, 9]] = np.nan
    out = smoothed(action, np.repeat([0, 1], 5), 2.0)
    np.testing.assert_array_equal(np.isnan(out).any(1), np.isnan(action).any(1))
    assert (out[:4, 0] == 0).all()
    np.testing.assert_allclose(out[5:9, 0], 1.0, atol=1e-6)
    jump = np.zeros((20, 2), np.float32)
    jump[10:, 0] = 1.0
    soft = smoothed(jump, np.zeros(20, int), 2.0)[:, 0]
    assert 0.2 < soft[9] < 0.5 < soft[10] < 0.8


def test_what_is_no_driver_is_refused(tmp_path):
    with pytest.raises(ImitationError, match="dreamlane train imitation"):
        Imitation(tmp_path)
    save_net(tmp_path, ImitationNet(SMALL), {})
    text = (tmp_path / "imitation.json").read_text()
    for harmed in (
        text.replace('"version": 1', '"version": 7'),
        "{",
        text.replace('"hidden": 16', '"hidden": 8'),
    ):
        (tmp_path / "imitation.json").write_text(harmed)
        with pytest.raises(ImitationError):
            Imitation(tmp_path)
    with pytest.raises(ValueError, match="accepted"):
        ImitationTraining(steps=0)
    frames, speed, action, episode = drives(10)
    with pytest.raises(ValueError, match="no frame"):
        train(CONFIG, lambda rows: frames[rows], speed, action * np.nan, episode)
