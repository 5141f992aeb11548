"""What the meter's and the tokenizer's figures are turned into, for people."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.evaluation import reading, reconstruction
from simulator.evaluation.intervals import mean_interval


def test_the_meter_is_believed_where_it_reads_true_pictures_well():
    errors = {
        "yaw_rate_radps": (0.008, 0.99),
        "lead_distance_m": (7.4, 0.01),
        "curvature_1pm": (0.0, float("nan")),  # all roads straight: nothing to tell apart
    }
    good, bad = reading.verdicts(errors)
    assert good.trusted
    assert "yaw rate (0.008 rad/s, R² 0.99)" in good.text
    assert not bad.trusted
    assert "distance to the vehicle ahead (7.4 m, R² 0.01)" in bad.text
    assert "curvature" not in good.text + bad.text


@pytest.mark.parametrize(("sharpness", "trusted"), [(1.0, True), (0.3, False), (2.0, False)])
def test_a_tokenizer_that_blurs_or_adds_grain_is_not_trusted_with_detail(sharpness, trusted):
    one = np.ones(4)
    means = {"all": {
        "sharpness_ratio": mean_interval(sharpness * one, one),
        "psnr_db": mean_interval(28 * one, one),
    }}  # fmt: skip
    verdict = reconstruction.verdict(means)
    assert verdict.trusted is trusted
    assert f"{sharpness:.0%}" in verdict.text
    assert "28.0 dB" in verdict.text
