"""Scores of drives made by hand: each term is kept by a good drive and broken by the fault it is for."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.evaluation import scores
from simulator.evaluation.scores import score

T = 101  # ten seconds


def calm(**changes: np.ndarray | float) -> dict[str, np.ndarray]:
    """Ten metres a second on the centre line, nobody about."""
    columns: dict[str, np.ndarray | float] = {
        "speed_mps": 10.0, "yaw_rate_radps": 0.0, "lane_offset_m": 0.0, "ttc_s": math.inf,
        "progress_m": np.arange(T) * 1.0, "collision": 0.0, "at_fault": 0.0, "offroad": 0.0,
    }  # fmt: skip
    return {
        name: np.broadcast_to(np.asarray(value, float), (T,)).copy()
        for name, value in (columns | changes).items()
    }


def only_last() -> np.ndarray:
    return (np.arange(T) == T - 1).astype(float)


def test_a_perfect_drive_scores_one_in_every_term():
    found = score(calm(), reference_m=100.0, min_progress_m=100.0)
    assert found == scores.Scores(1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, True)


@pytest.mark.parametrize(
    ("changes", "term", "worth", "drive_score", "success"),
    [
        ({"collision": only_last(), "at_fault": only_last()}, "no_collision", 0.0, 0.0, False),
        ({"collision": only_last()}, "no_collision", 1.0, 1.0, False),  # hit from behind
        ({"offroad": only_last()}, "drivable_area", 0.0, 0.0, False),
        ({"ttc_s": np.where(np.arange(T) > 50, 0.9, 1.0)}, "time_to_collision", 0.5, 9.5 / 12, True),
        ({"progress_m": np.arange(T) * 0.5}, "progress", 0.5, 9.5 / 12, False),
        ({"progress_m": np.arange(T) * 9.0}, "progress", 1.0, 1.0, True),
        ({"progress_m": -np.arange(T) * 1.0}, "progress", 0.0, 7.0 / 12, False),
        ({"lane_offset_m": np.where(np.arange(T) > 50, -0.6, 0.4)}, "lane_keeping", 0.5, 1.0, True),
        ({"yaw_rate_radps": 0.5}, "comfort", 0.0, 10.0 / 12, True),  # 5 m/s² sideways
    ],
)  # fmt: skip
def test_each_fault_costs_its_own_term(changes, term, worth, drive_score, success):
    found = score(calm(**changes), reference_m=100.0, min_progress_m=100.0)
    assert getattr(found, term) == pytest.approx(worth)
    assert found.drive_score == pytest.approx(drive_score)
    assert found.success is success


@pytest.mark.parametrize(
    ("acceleration", "comfortable"), [(2.3, True), (2.5, False), (-4.0, True), (-4.1, False)]
)
def test_steady_acceleration_is_comfortable_up_to_nuplans_limits(acceleration, comfortable):
    speed = 50.0 + 0.1 * acceleration * np.arange(T)
    assert score(calm(speed_mps=speed), 1.0, 0.0).comfort == pytest.approx(float(comfortable))


def test_jerk_and_yaw_acceleration_have_limits_of_their_own():
    seconds = np.arange(T) / 10
    still = np.zeros(T)
    smooth = 10.0 + np.cumsum(1.5 * np.sin(0.8 * seconds)) / 10
    jerky = 10.0 + np.cumsum(1.5 * np.sin(4.0 * seconds)) / 10
    assert scores.comfort(smooth, still).all()
    assert not scores.comfort(jerky, still).all()
    assert scores.comfort(np.ones(T), 0.3 * np.sin(seconds)).all()
    assert not scores.comfort(np.ones(T), 0.9 * np.sin(4.0 * seconds)).all()


def test_a_short_swerve_out_of_the_lane_is_no_failure_to_keep_it():
    away = np.zeros(T)
    away[10:29] = 0.8
    assert scores.lane_keeping(away).all()
    away[10:30] = 0.8
    assert scores.lane_keeping(away).sum() == T - 20


def test_what_the_world_cannot_tell_is_unknown_and_nothing_is_made_up():
    blank = np.full(T, np.nan)
    found = score(calm(ttc_s=blank, collision=blank, at_fault=blank), 100.0, 100.0)
    assert (found.no_collision, found.time_to_collision) == (None, None)
    assert (found.drive_score, found.success) == (None, None)
    assert found.drivable_area == 1.0
    assert score(calm(), None, 100.0).progress is None


def test_the_worlds_own_word_on_success_counts():
    assert score(calm(), 100.0, 100.0, passed=False).success is False


def test_progress_before_the_take_over_counts_for_the_scenario_only():
    found = score(calm(), reference_m=200.0, min_progress_m=120.0, progress_before_m=20.0)
    assert (found.progress, found.route_completion, found.success) == (0.5, 1.0, True)


def test_where_even_the_reference_stands_progress_says_nothing():
    assert score(calm(progress_m=0.0), 4.9, 0.0).progress == 1.0
    assert score(calm(progress_m=0.0), 5.1, 0.0).progress == 0.0


def test_time_to_the_lead_is_the_gap_over_the_closing_speed():
    gap = 60.0 - 0.5 * np.arange(T)  # closing at 5 m/s
    found = scores.time_to_lead_s(gap, 80.0)
    assert found[1:].tolist() == pytest.approx((gap / 5.0)[1:].tolist(), rel=1e-6)
    assert np.isinf(scores.time_to_lead_s(gap[::-1].copy(), 80.0)).all()  # it draws away
    assert np.isinf(scores.time_to_lead_s(np.full(T, 80.0), 80.0)).all()  # nobody there
    assert np.isinf(scores.time_to_lead_s(np.full(T, 12.0), 80.0)).all()  # nobody comes nearer


def test_a_vehicle_that_appears_has_closed_no_gap():
    for before in (80.0, 40.0):
        gap = np.full(T, 12.0)
        gap[: T // 2] = before
        assert np.isinf(scores.time_to_lead_s(gap, 80.0)).all()
    shrinking = np.concatenate([np.full(10, 80.0), 20.0 - np.arange(T - 10)])  # 10 m/s
    found = scores.time_to_lead_s(shrinking, 80.0)
    assert np.isinf(found[:10]).all()
    np.testing.assert_allclose(found[10:], shrinking[10:] / 10.0)


@given(st.lists(st.floats(0, 1), min_size=5, max_size=5), st.integers(0, 4))
def test_the_drive_score_is_in_its_range_and_rises_with_every_term(terms, which):
    nc, dac, ep, ttc, c = terms
    found = scores.drive_score(nc, dac, ep, ttc, c)
    assert found is not None
    assert 0.0 <= found <= 1.0
    better = list(terms)
    better[which] = 1.0
    assert scores.drive_score(*better) >= found
