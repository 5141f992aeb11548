"""Models whose marks are known beforehand: obedient, frozen, mirrored, late, and the truth itself."""

from __future__ import annotations

import numpy as np
import painted
import pytest

from simulator.evaluation import metrics
from simulator.evaluation.control import control
from simulator.evaluation.control_kinematics import kinematics
from simulator.evaluation.control_likelihood import likelihood
from simulator.evaluation.control_pedals import pedals
from simulator.evaluation.control_rollouts import READERS
from simulator.evaluation.control_round_trip import round_trip
from simulator.evaluation.control_steering import steering
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
    assert section.figures["trusted_by"] == "state_vs_meter"
    assert all(verdict.trusted for verdict in section.verdicts)
    for row in section.figures["set_distances"]:
        if row["source"] == "dream":
            assert row["over_floor"]["value"] == 0.0


def test_a_frozen_dream_equals_the_copied_last_frame():
    section = open_loop(painted.subject("frozen"))
    assert means(section, "dream", "psnr_db") == means(section, "copy_last", "psnr_db")
    for row in section.figures["advantage_over_floor"]:  # but for the rounding of what is painted
        assert row["value"] == pytest.approx(0.0, abs=1e-3)
    assert section.figures["trust_horizon"] == 0
    assert not section.verdicts[0].trusted


def test_place_is_read_from_the_newest_frame_and_motion_has_two_floors():
    section = open_loop(painted.subject("obeys"))
    for metric in ("state_error", "motion_error"):
        dream, floor = (means(section, s, metric) for s in ("dream", "hold_reading"))
        assert max(dream.values()) < 1e-3 < floor[20]
    still = painted.subject("obeys")
    vars(still)["read"] = lambda old, new: painted.read_motion_as_a_meter_would(old, new)
    means_of = open_loop(still)
    standing = means(means_of, "copy_last", "mae_speed_mps")
    held = means(means_of, "hold_reading", "mae_speed_mps")
    assert standing[1] > 4.0 > held[1]  # a frozen picture stands still: all of the speed is missing
    assert means(means_of, "copy_last", "state_error") == means(
        means_of, "hold_reading", "state_error"
    )


def test_metrics_without_weights_say_what_they_need(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    section = open_loop(painted.subject("frozen"))
    assert set(section.figures["skipped"]) == {"lpips", "kid"}
    rows = [row for table in section.tables for row in table.rows if row[0] == "lpips"]
    assert "needs alexnet" in rows[0][1]


def test_the_meter_s_own_error_is_reported():
    section = reading(painted.subject("obeys"))
    assert section.figures["speed_mps"]["mae"]["value"] < 1e-3
    assert section.figures["yaw_rate_radps"]["gain"]["value"] == pytest.approx(1.0, abs=1e-2)


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
