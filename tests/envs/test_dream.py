"""The dream's own logic, on a toy engine that can stage events."""

from __future__ import annotations

import math
from dataclasses import replace

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as check_env_sb3
from toy_engine import ToyEngine

import scenarios
from simulator.envs.state import DreamState
from simulator.recording.errors import RecordingError
from world_model.engine.base import EVENT_HEADS, STATE_HEADS

STRAIGHT = np.zeros(2, np.float32)
LEFT = np.array([0.5, 0.0], np.float32)


def drive(env, actions):
    """Frame hashes under a list of actions."""
    return [env.step(action)[4]["frame_hash"] for action in actions]


@pytest.mark.parametrize("obs", ["camera", "dict", "latent"])
@pytest.mark.filterwarnings("ignore:.*:UserWarning")
def test_both_checkers_accept_every_kind_of_observation(make_dream, obs):
    check_env(make_dream(obs=obs).unwrapped, skip_render_check=True)
    check_env_sb3(make_dream(obs=obs).unwrapped, skip_render_check=True)


def test_equal_seeds_give_equal_frames(make_dream):
    runs = []
    for _ in range(2):
        env = make_dream()
        _, info = env.reset(seed=7)
        runs.append([info["frame_hash"], *drive(env, [STRAIGHT, LEFT] * 3)])
    assert runs[0] == runs[1]


def test_another_seed_gives_another_dream(make_dream):
    env = make_dream()
    env.reset(seed=1)
    one = drive(env, [STRAIGHT] * 3)
    env.reset(seed=2)
    assert drive(env, [STRAIGHT] * 3) != one


def test_the_seed_chooses_among_the_recorded_starts(make_dream):
    env = make_dream()
    first_frames = {env.reset(seed=seed)[1]["frame_hash"] for seed in range(12)}
    assert len(first_frames) == 3


def test_an_episode_begins_with_the_recorded_ego_state(make_dream):
    _, info = make_dream().reset(seed=0)
    assert info["speed_mps"] == pytest.approx(17.0)
    assert info["lane_offset_m"] == pytest.approx(0.2)
    assert info["progress_m"] == 0.0
    assert info["speed_limit_mps"] == pytest.approx(22.0)


def test_options_choose_scenario_and_context(make_dream):
    env = make_dream()
    _, info = env.reset(seed=0, options={"scenario": "night"})
    assert info["scenario"] == "night"
    hashes = {env.reset(seed=s, options={"context": 1})[1]["frame_hash"] for s in range(4)}
    assert len(hashes) == 1


def test_any_recording_can_be_the_start(make_dream, contexts):
    _, info = make_dream().reset(seed=0, options={"context": contexts / "night" / "0"})
    assert info["scenario"] == "night"


def test_random_takes_any_scenario_that_has_starts(make_dream):
    env = make_dream(scenario="random")
    assert {env.reset(seed=s)[1]["scenario"] for s in range(10)} == {"calm_cruise", "night"}


def test_progress_is_speed_along_the_lane(make_dream):
    env = make_dream()
    env.reset(seed=0)
    info = env.step(LEFT)[4]
    assert info["progress_m"] == pytest.approx(0.1 * info["speed_mps"] * math.cos(0.05), rel=1e-5)


def test_info_says_how_far_the_picture_falls_behind(make_dream):
    env = make_dream()
    _, info = env.reset(seed=1)
    assert info["picture_gap_m"] == info["doubt"] == 0.0
    straight = env.step(STRAIGHT)[4]
    info = env.step(np.array([0.8, 0.0], np.float32))[4]
    assert info["doubt"] > straight["doubt"]
    assert info["heading_error_rad"] == pytest.approx(0.08)
    assert info["picture_gap_m"] == pytest.approx(0.4)  # 0.04 rad, 10 m ahead
    blind = make_dream(toy={"known": ["speed_mps"]})
    blind.reset(seed=1)
    assert np.isnan(blind.step(np.zeros(2, np.float32))[4]["picture_gap_m"])


def test_one_alarming_frame_ends_nothing_two_in_a_row_do(make_dream):
    env = make_dream(toy={"collision_ages": [2, 5, 6]})
    env.reset(seed=0)
    results = [env.step(STRAIGHT) for _ in range(6)]
    assert [result[2] for result in results] == [False] * 5 + [True]
    assert results[-1][4]["termination_reason"] == "collision"
    assert results[-1][4]["reward_terms"]["collision"] < 0
    assert not any(result[3] for result in results)


def test_leaving_the_road_ends_the_dream(make_dream):
    env = make_dream(toy={"offroad_ages": [1, 2]})
    env.reset(seed=0)
    env.step(STRAIGHT)
    _, _, terminated, _, info = env.step(STRAIGHT)
    assert terminated
    assert info["termination_reason"] == "offroad"
    assert info["offroad"] is True


def test_the_event_threshold_is_a_setting(make_dream):
    env = make_dream(toy={"collision_ages": [1, 2, 3]}, event_threshold=0.95)
    env.reset(seed=0)
    assert not any(env.step(STRAIGHT)[2] for _ in range(3))


def test_max_steps_truncates(make_dream):
    env = make_dream(max_steps=3)
    env.reset(seed=0)
    results = [env.step(STRAIGHT) for _ in range(3)]
    assert [r[3] for r in results] == [False, False, True]
    assert not results[-1][2]
    assert results[-1][4]["termination_reason"] == "time_limit"


def test_the_scenario_s_duration_is_the_time_limit_unless_endless(make_dream):
    env, endless = make_dream(), make_dream(endless=True)
    env.reset(seed=0)
    endless.reset(seed=0)
    steps = 1
    while not env.step(STRAIGHT)[3]:
        steps += 1
    assert steps > 50
    assert not any(endless.step(STRAIGHT)[3] for _ in range(steps + 5))


def test_a_scenario_of_ones_own_has_its_own_time_whatever_it_starts_with(make_dream, contexts):
    short = replace(scenarios.load("calm_cruise"), duration_s=1.0)
    env = make_dream()
    for start in ({}, {"context": 1}, {"context": contexts / "night" / "0"}):
        env.reset(seed=0, options={"scenario": short, **start})
        assert [env.step(STRAIGHT)[3] for _ in range(10)] == [False] * 9 + [True]


def test_a_restored_dream_has_the_time_that_its_environment_gives(make_dream):
    usual = make_dream()
    usual.reset(seed=0)
    saved = usual.unwrapped.save_state()
    for rules, limit in (({"max_steps": 5}, 5), ({"endless": True}, None), ({}, 600)):
        other = make_dream(**rules)
        other.reset(options={"state": saved})
        assert other.unwrapped._batch.episode(0).limit_steps == limit


def test_lasting_surprise_truncates_when_asked_to(make_dream):
    env = make_dream(toy={"surprise": 3.0}, surprise_limit=2.0)
    env.reset(seed=0)
    assert not env.step(STRAIGHT)[3]
    _, _, _, truncated, info = env.step(STRAIGHT)
    assert truncated
    assert info["termination_reason"] == "surprise"
    assert info["surprise"] == 3.0


def test_unknown_heads_are_named_and_never_end_a_dream(make_dream):
    known = ["speed_mps", "yaw_rate_radps"]
    env = make_dream(toy={"known": known, "collision_ages": [1, 2, 3]})
    _, info = env.reset(seed=0)
    expected = {*STATE_HEADS, *EVENT_HEADS} - set(known)
    assert set(info["unknown"]) == expected
    assert math.isnan(info["lane_offset_m"])
    for _ in range(3):
        _, reward, terminated, _, info = env.step(LEFT)
        assert not terminated
        assert math.isfinite(reward)
    assert math.isnan(info["lane_offset_m"])
    assert info["collision"] is False
    assert math.isfinite(info["progress_m"])


def test_a_policy_never_meets_nan_in_its_observation(make_dream):
    env = make_dream(obs="dict", toy={"known": ["collision"]})
    first, info = env.reset(seed=0)
    assert math.isnan(info["speed_mps"])
    assert math.isnan(env.step(LEFT)[4]["progress_m"])
    assert first["speed_mps"] == env.step(LEFT)[0]["speed_mps"] == 0.0


def test_latent_observations_draw_no_picture(make_dream):
    env = make_dream(obs="latent")
    observation, info = env.reset(seed=0)
    assert observation.shape == ToyEngine.latent_shape
    stepped, _, _, _, after = env.step(LEFT)
    assert not np.array_equal(observation, stepped)
    assert after["frame_hash"] != info["frame_hash"]


def test_dict_observations_carry_the_sensors_and_the_last_action(make_dream):
    env = make_dream(obs="dict")
    env.reset(seed=0)
    observation, _, _, _, info = env.step(LEFT)
    assert observation["speed_mps"] == pytest.approx([info["speed_mps"]])
    np.testing.assert_array_equal(observation["previous_action"], LEFT)


def test_a_restored_dream_goes_on_as_it_did(make_dream):
    env = make_dream()
    env.reset(seed=3)
    drive(env, [LEFT, STRAIGHT])
    state = env.unwrapped.save_state()
    first = drive(env, [LEFT] * 4)
    other = drive(env, [STRAIGHT] * 3)
    env.unwrapped.restore_state(state)
    assert drive(env, [LEFT] * 4) == first
    assert drive(env, [STRAIGHT] * 3) == other


def test_a_dream_moves_to_another_environment_as_bytes(make_dream):
    env, other = make_dream(), make_dream()
    env.reset(seed=3)
    drive(env, [LEFT, STRAIGHT])
    data = env.unwrapped.save_state().to_bytes()
    expected = [env.step(LEFT) for _ in range(3)]
    observation, info = other.reset(options={"state": DreamState.from_bytes(data)})
    assert info["time_s"] == 0.2
    assert observation.shape == ToyEngine.frame_shape
    for was in expected:
        now = other.step(LEFT)
        np.testing.assert_array_equal(now[0], was[0])
        assert now[1:] == was[1:]


def test_foreign_states_are_refused(make_dream):
    env = make_dream()
    env.reset(seed=0)
    with pytest.raises(ValueError, match="not a saved dream"):
        DreamState.from_bytes(b"nonsense")
    with pytest.raises(ValueError, match="accepted: a DreamState"):
        env.unwrapped.restore_state({"some": "dict"})
    saved = env.unwrapped.save_state()
    foreign = DreamState("another", saved.engine, saved.frame, saved.episode)
    with pytest.raises(ValueError, match="checkpoint another"):
        env.unwrapped.restore_state(foreign)


def test_wrong_arguments_and_options_are_named(make_dream, tmp_path):
    for arguments, message in (
        ({"obs": "lidar"}, "accepted: camera, dict, latent"),
        ({"scenario": "mars"}, "accepted: calm_cruise, night"),
        ({"max_steps": 0}, "max_steps=0"),
        ({"event_threshold": 1.5}, "event_threshold=1.5"),
    ):
        with pytest.raises(ValueError, match=message):
            make_dream(**arguments)
    env = make_dream()
    for options, message in (
        ({"scenari": "night"}, "scenari; accepted: context, scenario, state"),
        ({"scenario": "mars"}, "accepted: calm_cruise, night"),
        ({"context": 9}, "accepted: 0 to 2"),
    ):
        with pytest.raises(ValueError, match=message):
            env.reset(options=options)
    with pytest.raises(RecordingError, match="recorded episode"):
        env.reset(options={"context": tmp_path / "nowhere"})


def test_an_unknown_model_names_the_shipped_ones(tmp_path, monkeypatch):
    (tmp_path / "models" / "venus").mkdir(parents=True)
    (tmp_path / "models" / "venus" / "config.json").touch()
    monkeypatch.setenv("DREAMLANE_ASSETS", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"no world model 'mars'.*present: venus"):
        gymnasium.make("dreamlane/Dream-v0", world_model="mars")
