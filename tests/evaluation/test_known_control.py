"""Does the picture obey? Models whose marks are known: obedient, frozen, mirrored, late, boasting."""

from __future__ import annotations

import numpy as np
import painted
import pytest

from simulator.evaluation.control import control
from simulator.evaluation.control_kinematics import kinematics
from simulator.evaluation.control_likelihood import likelihood
from simulator.evaluation.control_pedals import pedals
from simulator.evaluation.control_rollouts import READERS
from simulator.evaluation.control_round_trip import round_trip
from simulator.evaluation.control_steering import steering
from world_model.families.config import WorldConfig
from world_model.families.reprojection import CameraConfig


def ignore() -> None:
    pass


@pytest.mark.parametrize(
    ("kind", "gain", "signs", "lag"), [("obeys", 1, 1, 0), ("mirrored", -1, 0, None)]
)
def test_steering_of_vehicles_that_are_known(kind, gain, signs, lag):
    figures = steering(painted.subject(kind), ignore).figures
    for reader in READERS:
        marks = figures[reader]
        assert marks["gain"]["value"] == pytest.approx(gain, abs=0.25)
        assert marks["sign_accuracy"]["value"] == pytest.approx(signs, abs=0.1)
        if lag is not None:
            assert marks["gain"]["value"] == pytest.approx(1.0, abs=1e-3)
            assert marks["r2"] == pytest.approx(1.0, abs=1e-3)
            assert marks["spearman"] == pytest.approx(1.0, abs=1e-3)
            assert marks["lag_steps"] == lag


def test_a_late_vehicle_shows_its_lag():
    figures = steering(painted.subject("late"), ignore).figures
    assert figures["meter"]["lag_steps"] == 2


def test_a_frozen_picture_does_not_follow_the_wheel():
    figures = steering(painted.subject("frozen"), ignore).figures
    assert abs(figures["meter"]["gain"]["value"]) < 0.1


def test_an_obedient_vehicle_stops_stands_and_pulls_away():
    figures = pedals(painted.subject("obeys"), ignore).figures
    assert figures["stopped"]["value"] == 1.0
    assert figures["meter"]["creep_m"]["value"] == pytest.approx(0.0, abs=1e-6)
    assert figures["pulled_away"]["value"] == 1.0
    assert figures["standing_change_grey_levels"]["value"] == 0.0


def test_a_frozen_picture_never_stops():
    figures = pedals(painted.subject("frozen"), ignore).figures
    assert figures["stopped"]["value"] == 0.0
    assert figures["reference_stopped"] == 1.0


def test_an_untrained_model_does_not_care_for_actions():
    figures = likelihood(painted.subject("obeys")).figures
    assert abs(figures["gap"]["value"]) < 1e-2
    assert figures["true"]["value"] == pytest.approx(np.log(1024), rel=0.05)


def test_drives_that_do_not_know_their_way_round_a_course_can_be_judged():
    course = WorldConfig(32, 1, 2, camera=CameraConfig(), course_m=1000.0)
    figures = likelihood(painted.subject("obeys", size=course)).figures
    assert figures["true"]["value"] == pytest.approx(np.log(1024), rel=0.05)


def test_equal_ways_left_and_right_return_the_heading():
    figures = round_trip(painted.subject("obeys"), ignore).figures
    assert abs(figures["commanded_turn_rad"]["value"]) > 0.1
    for reader in READERS:
        assert figures[reader]["return_error_rad"]["value"] < 2e-3
    pulling = round_trip(painted.subject("pulls"), ignore).figures
    steps = 2 * painted.CONFIG.control.round_trip_steps
    steps += painted.CONFIG.control.round_trip_rest_steps
    expected = painted.PULL_RADPS * steps * 0.1
    assert pulling["meter"]["return_error_rad"]["value"] == pytest.approx(expected, abs=5e-3)


def test_a_world_that_steers_the_wrong_way_turns_the_wrong_way_on_the_round_trip():
    figures = round_trip(painted.subject("mirrored"), ignore).figures
    assert figures["meter"]["turn_rad"]["value"] < -0.1


def test_an_obedient_vehicle_has_one_pose_by_pixels_heads_and_kinematics():
    figures = kinematics(painted.subject("obeys"), ignore).figures
    for pair in ("heads - picture", "picture - commanded", "label - true picture"):
        assert figures[pair]["position_m"]["value"] < 0.02
        assert figures[pair]["heading_rad"]["value"] < 2e-3
    for name in ("heads", "picture", "label", "true picture"):
        assert figures[f"{name} - kinematics"]["yaw_rate_radps"]["value"] < 1e-3


def test_heads_that_boast_part_from_their_picture():
    figures = kinematics(painted.subject("boasts"), ignore).figures
    assert figures["heads - picture"]["position_m"]["value"] > 1.0
    assert figures["heads - commanded"]["position_m"]["value"] < 0.02
    assert figures["picture - kinematics"]["yaw_rate_radps"]["value"] > 0.01


def test_the_section_says_in_words_and_charts_what_was_found():
    good, bad = control(painted.subject("obeys")), control(painted.subject("frozen"))
    trusted = {v.text.partition(":")[0]: v.trusted for v in good.verdicts}
    assert trusted == {
        "Steering": True, "Pedals": True, "Standing": True, "Round trip": True,
        "Consistency": True, "Listening": False,
    }  # fmt: skip
    assert not {v.text.partition(":")[0]: v.trusted for v in bad.verdicts}["Steering"]
    sweep = next(chart for chart in good.charts if chart.kind == "scatter")
    assert sweep.identity
    np.testing.assert_allclose(sweep.series[0].y, sweep.series[0].x, atol=0.05)
    assert {kept.metric for kept in good.samples} >= {"yaw_rate_error_meter_radps", "creep_meter_m"}


def test_a_question_without_a_start_is_skipped_and_says_why():
    turning = painted.subject("obeys")
    turning.drives.state_NS[:, 1] = 0.5
    figures = control(turning).figures
    assert "on a straight" in figures["round_trip"]["skipped"]
    assert figures["pedals"]["stopped"]["value"] == 1.0
