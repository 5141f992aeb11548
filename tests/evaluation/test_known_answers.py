"""Models whose marks are known beforehand: obedient, frozen, mirrored, late, and the truth itself."""

from __future__ import annotations

import numpy as np
import painted
import pytest

from simulator.evaluation import control, metrics
from simulator.evaluation.open_loop import open_loop
from simulator.evaluation.reading import reading


def ignore() -> None:
    pass


def means(section, source: str, metric: str) -> dict[int, float]:
    return {
        row["horizon"]: row["value"]
        for row in section.figures["means"]
        if (row["source"], row["metric"]) == (source, metric)
    }


def test_the_replayed_truth_is_perfect_and_beats_the_last_frame():
    section = open_loop(painted.subject("replays"))
    assert means(section, "dream", "psnr_db") == dict.fromkeys((1, 5, 20), metrics.PSNR_CAP_DB)
    assert means(section, "dream", "state_vs_meter") == dict.fromkeys((1, 5, 20), 0.0)
    assert section.figures["beats_floor_at"]["psnr_db"] == [1, 5, 20]
    assert section.figures["clearly_beats_floor_at"]["heads"] == [1, 5, 20]
    assert section.figures["trust_horizon"] == 20


def test_a_frozen_dream_equals_the_copied_last_frame():
    section = open_loop(painted.subject("frozen"))
    assert means(section, "dream", "psnr_db") == means(section, "copy_last", "psnr_db")
    for row in section.figures["advantage_over_floor"]:  # but for the rounding of what is painted
        assert row["value"] == pytest.approx(0.0, abs=1e-3)
    assert section.figures["trust_horizon"] == 0


def test_the_meter_s_own_error_is_reported():
    section = reading(painted.subject("obeys"))
    assert section.figures["speed_mps"]["mae"]["value"] < 1e-3
    assert section.figures["yaw_rate_radps"]["gain"]["value"] == pytest.approx(1.0, abs=1e-2)


@pytest.mark.parametrize(
    ("kind", "gain", "signs", "lag"), [("obeys", 1, 1, 0), ("mirrored", -1, 0, None)]
)
def test_steering_of_vehicles_that_are_known(kind, gain, signs, lag):
    _, figures, _, _ = control.steering(painted.subject(kind), ignore)
    for reader in control.READERS:
        marks = figures[reader]
        assert marks["gain"]["value"] == pytest.approx(gain, abs=0.25)
        assert marks["sign_accuracy"]["value"] == pytest.approx(signs, abs=0.1)
        if lag is not None:
            assert marks["gain"]["value"] == pytest.approx(1.0, abs=1e-3)
            assert marks["r2"] == pytest.approx(1.0, abs=1e-3)
            assert marks["spearman"] == pytest.approx(1.0, abs=1e-3)
            assert marks["lag_steps"] == lag


def test_a_late_vehicle_shows_its_lag():
    _, figures, _, _ = control.steering(painted.subject("late"), ignore)
    assert figures["meter"]["lag_steps"] == 2


def test_a_frozen_picture_does_not_follow_the_wheel():
    _, figures, _, _ = control.steering(painted.subject("frozen"), ignore)
    assert abs(figures["meter"]["gain"]["value"]) < 0.1


def test_an_obedient_vehicle_stops_stands_and_pulls_away():
    _, figures, _, _ = control.pedals(painted.subject("obeys"), ignore)
    assert figures["stopped"]["value"] == 1.0
    assert figures["meter"]["creep_m"]["value"] == pytest.approx(0.0, abs=1e-6)
    assert figures["pulled_away"]["value"] == 1.0
    assert figures["standing_change_grey_levels"]["value"] == 0.0


def test_a_frozen_picture_never_stops():
    _, figures, _, _ = control.pedals(painted.subject("frozen"), ignore)
    assert figures["stopped"]["value"] == 0.0
    assert figures["reference_stopped"] == 1.0


def test_an_untrained_model_does_not_care_for_actions():
    _, figures, _, _ = control.likelihood(painted.subject("obeys"))
    assert abs(figures["gap"]["value"]) < 1e-2
    assert figures["true"]["value"] == pytest.approx(np.log(1024), rel=0.05)
