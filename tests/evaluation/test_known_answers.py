"""Models whose marks are known beforehand: obedient, frozen, and the truth itself."""

from __future__ import annotations

import numpy as np
import painted
import pytest

from simulator.evaluation import metrics
from simulator.evaluation.open_loop import open_loop
from simulator.evaluation.open_loop_section import lasting
from simulator.evaluation.reading import reading


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
    assert [verdict.trusted for verdict in section.verdicts] == [True, True, False]
    assert "50%" in section.verdicts[2].text  # no frame is wrong: nothing to warn of
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


def test_where_no_place_can_be_read_a_network_s_eyes_decide_how_long_a_dream_is_trusted():
    def motion_alone(old, new):
        states = painted.read(new)
        states[:, 2:] = np.nan
        return states

    for kind, trust in (("replays", 20), ("frozen", 0)):
        subject = painted.subject(kind)
        vars(subject)["read"] = motion_alone
        section = open_loop(subject)
        assert section.figures["trusted_by"] == "feature_error"
        assert section.figures["trust_horizon"] == trust
        assert section.verdicts[0].trusted is (trust > 0)
        assert "state error" not in {chart.y_label for chart in section.charts}
    assert means(section, "dream", "feature_error")[20] > 0.0


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


def test_pictures_of_a_car_that_stands_are_judged_apart():
    moving, mixed = painted.subject("obeys"), painted.subject("obeys")
    speed = mixed.drives.state_NS[:, 0]
    stopped = mixed.drives.episode_N == 0
    speed[stopped] = 0.0
    one, other = open_loop(moving), open_loop(mixed)
    left_out = other.figures["standing"]["5"]
    assert 0 < left_out["clips"] < other.figures["clips"]
    assert left_out["copy_last"]["n"] == left_out["clips"]
    assert one.figures["standing"]["5"]["clips"] == 0
    counted = {
        (row["metric"], row["source"], row["horizon"]): row["n"] for row in other.figures["means"]
    }
    assert counted["psnr_db", "copy_last", 5] == other.figures["clips"] - left_out["clips"]
    assert counted["motion_error", "dream", 5] == other.figures["clips"]


@pytest.mark.parametrize(
    ("clear", "until"), [([1, 5, 10], 10), ([5, 10], 10), ([1, 10], 1), ([10], 0), ([], 0)]
)
def test_a_dream_is_trusted_to_the_end_of_an_unbroken_run(clear, until):
    assert lasting((1, 5, 10), clear) == until
