"""Two ways from one moment: equal until then, and apart by what can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import ACTIONS
from toy_engine import ToyEngine

from simulator.demo import DemoConfig, drive
from simulator.recording.episode import episode_paths, read_episode
from simulator.replay.changes import parse
from simulator.replay.counterfactual import Branches, Drive, branch, figures, path
from simulator.replay.pictures import BAR_PX, contact_sheet, side_by_side
from simulator.replay.rerun import open_rerun

FRAME = np.zeros((4, 6, 3), np.uint8)


def moving(speed_mps: float, yaw_rate_radps: float, steps: int = 101) -> Drive:
    info = {"speed_mps": speed_mps, "yaw_rate_radps": yaw_rate_radps}
    return Drive([FRAME] * steps, [dict(info) for _ in range(steps)])


def test_a_constant_turn_is_a_circle():
    x, y, heading = path(moving(10.0, 0.2), 0, 0.1)[-1]
    radius, angle = 50.0, 2.0
    assert heading == pytest.approx(angle)
    assert x == pytest.approx(radius * np.sin(angle), abs=0.01)
    assert y == pytest.approx(radius * (1 - np.cos(angle)), abs=0.01)


def test_known_positions_are_seen_from_the_branch_s_own_heading():
    drive = moving(10.0, 0.0, 3)
    drive.poses = [
        np.array([5.0, 5.0, 1.0]),
        np.array([7.0, 3.0, np.pi / 2]),
        np.array([6.0, 5.0, 2.0]),
    ]
    np.testing.assert_allclose(path(drive, 1, 0.1)[-1], [2.0, 1.0, 2.0 - np.pi / 2])


def test_the_path_begins_at_the_branch():
    np.testing.assert_allclose(path(moving(10.0, 0.0), 90, 0.1)[-1], [10.0, 0.0, 0.0])


def test_differences_are_told_in_the_recorded_car_s_own_directions():
    both = Branches(0.1, 0, (), moving(10.0, 0.0, 51), moving(8.0, 0.0, 51), None)
    told = figures(both)
    last = told["changed_minus_recorded"][-1]
    assert last == {
        "t_s": 5.0,
        "apart_m": 10.0,
        "ahead_m": -10.0,
        "left_m": 0.0,
        "heading_rad": 0.0,
        "speed_mps": -2.0,
        "lane_offset_m": None,
        "progress_m": None,
    }
    assert told["largest_apart_m"] == 10.0


def test_events_and_the_road_s_end_are_told_with_their_times():
    crashed = moving(10.0, 0.0, 11)
    crashed.infos[7]["collision"] = crashed.infos[8]["collision"] = True
    ended = moving(10.0, 0.0, 6)
    ended.infos[-1]["termination_reason"] = "route_completed"
    told = figures(Branches(0.1, 2, (), crashed, ended, None))
    assert told["events"]["recorded"] == {
        "collision_s": 0.7,
        "offroad_s": None,
        "route_completed_s": None,
    }
    assert told["events"]["changed"]["route_completed_s"] == 0.5
    assert told["compared_s"] == 0.3


def test_the_same_actions_again_change_nothing(record_dream):
    text = f"t=0.2s steer={ACTIONS[2, 0]:g} accelerate={ACTIONS[2, 1]:g} for 0.1s"
    with open_rerun(record_dream(), engine=ToyEngine(1)) as rerun:
        both = branch(rerun, parse(text))
    np.testing.assert_array_equal(both.recorded.frames, both.changed.frames)
    assert figures(both)["largest_apart_m"] == 0.0
    assert both.difference is None


def test_a_dream_branches_where_it_is_told_and_its_recorded_side_is_the_recording(record_dream):
    episode = record_dream()
    with open_rerun(episode, engine=ToyEngine(1)) as rerun:
        both = branch(rerun, parse("t=0.2s accelerate=-1 for 0.2s"))
    hashes = [info["frame_hash"] for info in both.recorded.infos]
    assert hashes == episode.steps["frame_hash"].tolist()
    assert both.difference is None
    assert both.branch_step == 2
    np.testing.assert_array_equal(both.recorded.frames[:3], both.changed.frames[:3])
    # the toy gains 0.3 m/s a step and unit of throttle: -1 instead of -0.5 and 0.0
    gap = both.changed.column("speed_mps") - both.recorded.column("speed_mps")
    np.testing.assert_allclose(gap, [0, 0, 0, -0.15, -0.45, -0.45], atol=1e-5)


def test_an_accident_ends_neither_way(record_dream):
    with open_rerun(record_dream(), engine=ToyEngine(1, collision_ages=[2, 3])) as rerun:
        both = branch(rerun, parse("t=0.1s steer=0.5 for 0.2s"))
    assert len(both.recorded.frames) == len(both.changed.frames) == len(ACTIONS) + 1
    assert figures(both)["events"]["changed"]["collision_s"] == pytest.approx(0.3)


def test_a_re_run_that_is_not_the_recording_says_so(record_dream):
    episode = record_dream()
    episode.steps["frame_hash"][1] = "0" * 32
    with open_rerun(episode, engine=ToyEngine(1)) as rerun:
        told = figures(branch(rerun, parse("t=0.3s steer=0")))
    assert told["rerun_equals_recording"] is False
    assert "step 1" in told["first_difference"]


def test_steering_left_in_the_reference_world_goes_left(tmp_path):
    drive(DemoConfig(env="truth", scenario="calm_cruise", frames=9, record=str(tmp_path)))
    with open_rerun(read_episode(episode_paths(tmp_path)[0])) as rerun:
        both = branch(rerun, parse("t=0.2s steer=+0.2"))
    told = figures(both)
    assert told["rerun_equals_recording"]
    last = told["changed_minus_recorded"][-1]
    assert last["left_m"] > 0.1
    assert last["heading_rad"] > 0.02
    assert told["positions"] == "exact"
    assert last["lane_offset_m"] == pytest.approx(last["left_m"], abs=0.1)


def test_pictures_stand_side_by_side_and_a_shorter_drive_holds_its_last_frame():
    dark, bright = [FRAME] * 5, [FRAME + np.uint8(200)] * 3
    frames = side_by_side(dark, bright, ("a", "b"), 0.1)
    assert len(frames) == 5
    assert frames[4].shape == (4 + BAR_PX, 12, 3)
    assert (frames[4][BAR_PX:, :6] == 0).all()
    assert (frames[4][BAR_PX:, 6:] == 200).all()
    sheet = contact_sheet(dark, bright, ("a", "b"), 2, 0.1, after_s=(0.0, 0.2, 9.0))
    assert sheet.shape == (2 * (4 + BAR_PX), 2 * 6, 3)
