"""Distances between sets of pictures, on sets whose distance is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from simulator.assets import assets_dir, model_dir
from simulator.envs.contexts import read_context
from simulator.evaluation import perceptual
from simulator.evaluation.envelope import fit_reader
from simulator.evaluation.feature_distance import (
    across_drives,
    frechet_distance,
    kernel_distance,
    shrunk_covariance,
)
from world_model.meter import LAYOUT, TEXTURE, Meter, MeterConfig, load_meter

DISTANCES = [frechet_distance, kernel_distance]


def cloud(count: int, features: int = 6, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, features))


def test_equal_sets_have_no_frechet_distance():
    assert frechet_distance(cloud(50), cloud(50)) == pytest.approx(0.0, abs=1e-9)


def test_a_shifted_set_is_as_far_as_it_was_shifted():
    shift = np.array([3.0, 0, 0, 0, 0, 4.0])
    assert frechet_distance(cloud(50), cloud(50) + shift) == pytest.approx(25.0)


def test_a_wider_set_has_the_distance_of_the_widths():
    many = cloud(20_000)
    assert frechet_distance(many, 3 * many) == pytest.approx(6 * (3 - 1) ** 2, rel=0.05)


def test_with_few_pictures_the_distance_is_that_of_the_shrunk_covariances():
    a, b = cloud(5, 30), 2 * cloud(6, 30, seed=1) + 0.3
    first, second = shrunk_covariance(a), shrunk_covariance(b)
    overlap = np.sqrt(np.linalg.eigvals(first @ second).real).sum()
    expected = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(first + second) - 2 * overlap
    assert frechet_distance(a, b) == pytest.approx(expected)


@pytest.mark.parametrize("distance", DISTANCES)
def test_a_further_shift_is_a_larger_distance(distance):
    a, b = cloud(40), cloud(40, seed=1)
    far = [distance(a, b + shift) for shift in (0.0, 0.5, 1.0, 2.0)]
    assert far == sorted(far)


def test_the_kernel_distance_of_small_sets_of_one_kind_is_zero_on_average():
    values = [kernel_distance(cloud(10, 4, 2 * i), cloud(10, 4, 2 * i + 1)) for i in range(300)]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(300)
    assert min(values) < 0 < max(values)


def test_the_covariance_is_regular_with_fewer_pictures_than_features():
    covariance = shrunk_covariance(cloud(5, 30))
    assert np.linalg.eigvalsh(covariance).min() > 0
    plain = np.cov(cloud(5000, 3).T, bias=True)
    np.testing.assert_allclose(shrunk_covariance(cloud(5000, 3)), plain, atol=0.02)


@pytest.mark.parametrize("distance", DISTANCES)
def test_the_truth_itself_lies_on_the_floor_and_a_shift_above_it(distance):
    true, drive = cloud(60), np.repeat(np.arange(12), 5)
    found = across_drives({"same": true, "shifted": true + 1.0}, true, drive, distance)
    value, excess = found["same"]
    assert value == found["truth"][0]
    assert (excess.value, excess.low, excess.high) == (0.0, 0.0, 0.0)
    assert found["shifted"][0].value > value.value
    assert found["shifted"][1].low > 0.0


def test_one_drive_alone_has_no_distance():
    found = across_drives({"dream": cloud(5)}, cloud(5), np.zeros(5, np.int64), kernel_distance)
    for value, excess in found.values():
        assert np.isnan(value.value)
        assert np.isnan(excess.value)


def test_the_meter_s_features_have_one_row_a_picture_whatever_the_batch():
    torch.manual_seed(0)
    meter = Meter(MeterConfig(channels=(8, 8, 8), squeeze=4, motion_hidden=8, place_hidden=16))
    frames = np.random.default_rng(0).integers(0, 255, (3, 128, 256, 3)).astype(np.uint8)
    seen = meter.features(frames, batch=2)
    assert seen.shape == (3, 2 * 8 + 8 * 4)
    np.testing.assert_allclose(seen, meter.features(frames), rtol=1e-4, atol=1e-5)
    assert meter.features(frames[:0]).shape == (0, seen.shape[1])
    layers = [type(layer).__name__ for layer in meter.place]
    assert layers[TEXTURE - 3 : TEXTURE] == ["Conv2d", "GroupNorm", "SiLU"]
    assert layers[LAYOUT] == "Flatten"


@pytest.fixture(scope="module")
def starts() -> np.ndarray:
    """True frames: the last one of each shipped start."""
    paths = sorted((assets_dir() / "contexts" / "town").glob("*/*/meta.json"))
    return np.stack([read_context(path.parent).frames_THWC[-1] for path in paths])


def spoilt(frames: np.ndarray) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    tiles = frames.reshape(-1, 8, 16, 16, 16, 3).swapaxes(2, 3).reshape(-1, 128, 16, 16, 3)
    mixed = tiles[:, rng.permutation(128)].reshape(-1, 8, 16, 16, 16, 3).swapaxes(2, 3)
    return {
        "grey": np.full_like(frames, 110),
        "noise": rng.integers(0, 255, frames.shape).astype(np.uint8),
        "upside down": np.ascontiguousarray(frames[:, ::-1]),
        "mixed up": mixed.reshape(frames.shape),
        "blurred": np.stack([cv2.GaussianBlur(f, (0, 0), 6) for f in frames]),
    }


def test_the_shipped_meter_s_features_know_a_road_from_what_is_none(starts):
    meter = load_meter(model_dir("meter")).meter
    half, other = meter.features(starts[::2]), meter.features(starts[1::2])
    reader = fit_reader(half)
    usual = np.quantile(reader.distance(other), 0.75)
    for name, frames in spoilt(starts[1::2]).items():
        features = meter.features(frames)
        for distance in DISTANCES:
            assert distance(features, half) > 1.15 * distance(other, half), name
        assert (reader.distance(features) > usual).mean() > 0.5, name


def test_missing_weights_are_named(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for metric, (_, file) in perceptual.NEEDS.items():
        assert file in perceptual.missing(metric)
        assert str(tmp_path) not in perceptual.missing(metric)
