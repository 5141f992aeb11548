"""Each metric on pictures and series whose answer is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from simulator.evaluation import metrics
from world_model.engine.base import STATE_HEADS


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    """Three pictures with detail at all sizes."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 255, (3, 8, 16, 3)).astype(np.uint8)
    grown = np.stack([cv2.resize(p, (64, 32), interpolation=cv2.INTER_CUBIC) for p in coarse])
    return np.clip(grown.astype(int) + rng.integers(-20, 20, grown.shape), 0, 255).astype(np.uint8)


def blurred(pictures: np.ndarray) -> np.ndarray:
    return np.stack([cv2.GaussianBlur(p, (0, 0), 2.0) for p in pictures])


def test_equal_pictures_are_perfect(pictures):
    assert metrics.psnr_db(pictures, pictures).tolist() == [metrics.PSNR_CAP_DB] * 3
    np.testing.assert_allclose(metrics.ssim(pictures, pictures), 1.0, atol=1e-6)
    np.testing.assert_allclose(metrics.sharpness_ratio(pictures, pictures), 1.0)
    assert metrics.change(pictures, pictures).tolist() == [0.0] * 3


def test_psnr_of_a_known_error(pictures):
    dim = np.clip(pictures, 0, 200)
    expected = 20 * np.log10(255 / 16)
    np.testing.assert_allclose(metrics.psnr_db(dim + np.uint8(16), dim), expected)
    np.testing.assert_allclose(metrics.change(dim, dim + np.uint8(16)), 16.0)


def test_blur_shows_in_sharpness(pictures):
    assert (metrics.sharpness_ratio(blurred(pictures), pictures) < 0.2).all()
    assert (metrics.sharpness_ratio(pictures, blurred(pictures)) > 5.0).all()


def test_blur_beats_a_shifted_picture_in_psnr_but_not_in_sharpness(pictures):
    shifted = np.roll(pictures, 3, axis=2)
    soft = blurred(pictures)
    assert (metrics.psnr_db(soft, pictures) > metrics.psnr_db(shifted, pictures)).all()
    np.testing.assert_allclose(metrics.sharpness_ratio(shifted, pictures), 1.0, atol=0.3)


def test_at_equal_detail_blur_gains_nothing(pictures):
    shifted, soft_shifted = np.roll(pictures, 3, axis=2), blurred(np.roll(pictures, 3, axis=2))
    assert (metrics.psnr_db(soft_shifted, pictures) > metrics.psnr_db(shifted, pictures) + 1).all()
    detail = metrics.fine_detail(soft_shifted)
    np.testing.assert_allclose(
        metrics.psnr_at_detail_db(shifted, pictures, detail),
        metrics.psnr_at_detail_db(soft_shifted, pictures, detail),
        atol=0.3,
    )


def test_psnr_at_detail_of_known_cases(pictures):
    detail = metrics.fine_detail(pictures)
    cap = [metrics.PSNR_CAP_DB] * 3
    assert metrics.psnr_at_detail_db(pictures, pictures, detail).tolist() == cap
    assert metrics.psnr_at_detail_db(pictures, pictures, detail / 10).tolist() == cap
    near, far = np.roll(pictures, 1, axis=2), np.roll(pictures, 6, axis=2)
    np.testing.assert_allclose(  # nothing is blurred where nothing is too sharp
        metrics.psnr_at_detail_db(near, pictures, 2 * detail), metrics.psnr_db(near, pictures)
    )
    close, apart = (metrics.psnr_at_detail_db(p, pictures, detail / 4) for p in (near, far))
    assert (close > apart).all()


def test_worse_pictures_are_less_similar(pictures):
    near, far = np.roll(pictures, 1, axis=2), np.roll(pictures, 6, axis=2)
    assert (metrics.ssim(near, pictures) > metrics.ssim(far, pictures)).all()


def test_pictures_of_different_shape_are_refused(pictures):
    with pytest.raises(ValueError, match=r"\(3, 32, 64, 3\).*equal"):
        metrics.psnr_db(pictures, pictures[:, :16])


def test_state_error_is_in_typical_sizes_and_leaves_absent_labels_out():
    true = np.zeros((2, len(STATE_HEADS)), np.float32)
    read = true.copy()
    read[:, 0] = 10.0  # m/s: one typical size
    assert metrics.state_error(read, true)[0] == pytest.approx(1 / 6)
    true[1, 1:] = np.nan
    assert metrics.state_error(read, true)[1] == pytest.approx(1.0)
    assert np.isnan(metrics.state_error(read, np.full_like(true, np.nan))).all()
    assert metrics.state_error(read, true, ("speed_mps",)).tolist() == [1.0, 1.0]
    assert metrics.state_error(read, true, ("lane_offset_m",))[0] == 0.0


def test_gain_and_fit_of_a_known_line():
    commanded = np.linspace(-0.4, 0.4, 21)
    gain, r2 = metrics.gain_and_r2(commanded, 0.5 * commanded + 0.1)
    assert (gain, r2) == (pytest.approx(0.5), pytest.approx(1.0))
    assert metrics.gain_and_r2(commanded, np.ones(21)) == (0.0, 0.0)
    assert np.isnan(metrics.gain_and_r2(np.ones(21), commanded)[0])


def test_signs_count_only_where_the_command_is_clear():
    commanded = np.array([0.2, -0.2, 0.2, 0.01])
    read = np.array([0.1, -0.1, -0.1, -1.0])
    assert metrics.sign_accuracy(commanded, read, 0.05) == pytest.approx(2 / 3)
    assert np.isnan(metrics.sign_accuracy(commanded, read, 0.5))


def test_rank_correlation_sees_order_only():
    x = np.arange(10.0)
    assert metrics.spearman(x, np.exp(x)) == pytest.approx(1.0)
    assert metrics.spearman(x, -(x**3)) == pytest.approx(-1.0)
    assert metrics.ranks(np.array([5.0, 1.0, 5.0])).tolist() == [1.5, 0.0, 1.5]
    assert np.isnan(metrics.spearman(x, np.ones(10)))


@pytest.mark.parametrize("lag", [0, 1, 3])
def test_lag_of_a_delayed_series(lag):
    commanded = np.random.default_rng(1).normal(size=(4, 20))
    assert metrics.lag_steps(commanded, np.roll(commanded, lag, axis=1), longest=4) == lag


def test_lag_needs_a_run_up():
    with pytest.raises(ValueError, match="longest=5"):
        metrics.lag_steps(np.zeros((1, 5)), np.zeros((1, 5)), longest=5)


def test_running_mean_looks_back_only():
    values = np.array([[1.0, 3.0, 5.0, 7.0]])
    assert metrics.running_mean(values, 2).tolist() == [[1.0, 2.0, 4.0, 6.0]]
