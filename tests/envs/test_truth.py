"""The reference world behind the Gymnasium API."""

from __future__ import annotations

import multiprocessing

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as check_env_sb3

import simulator
from simulator.envs import rewards
from simulator.envs.wrappers import ClipAction

STRAIGHT = np.zeros(2, np.float32)
LEFT = np.array([1.0, 0.3], np.float32)
INFO_KEYS = {
    "speed_mps",
    "yaw_rate_radps",
    "lane_offset_m",
    "heading_error_rad",
    "curvature_1pm",
    "lead_distance_m",
    "progress_m",
    "collision",
    "offroad",
    "speed_limit_mps",
    "reward_terms",
    "surprise",
    "drift_score",
    "picture_gap_m",
    "doubt",
    "reanchored",
    "time_s",
    "scenario",
    "frame_hash",
    "termination_reason",
    "unknown",
}


@pytest.fixture(scope="module")
def env():
    environment = gymnasium.make("dreamlane/Truth-v0", render_mode="rgb_array")
    yield environment
    environment.close()


def drive(env, actions):
    return [env.step(action)[4]["frame_hash"] for action in actions]


def first_hashes(env_id: str) -> list[str]:
    """Runs in a spawned process, which imports only what unpickling this function imports."""
    environment = gymnasium.make(env_id)
    _, info = environment.reset(seed=11)
    hashes = [info["frame_hash"], *drive(environment, [STRAIGHT, LEFT])]
    environment.close()
    return hashes


@pytest.mark.parametrize("obs", ["camera", "dict"])
@pytest.mark.filterwarnings("ignore:.*:UserWarning")
def test_both_checkers_accept_it(obs):
    environment = gymnasium.make("dreamlane/Truth-v0", obs=obs, render_mode="rgb_array")
    check_env(environment.unwrapped)
    check_env_sb3(environment.unwrapped)
    environment.close()


def test_registering_again_changes_nothing():
    before = gymnasium.spec("dreamlane/Truth-v0")
    simulator.register_environments()
    assert gymnasium.spec("dreamlane/Truth-v0") is before


def test_spawned_processes_see_the_same_frames():
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        there = pool.apply(first_hashes, ("simulator:dreamlane/Truth-v0",))
    assert there == first_hashes("dreamlane/Truth-v0")


def test_info_has_every_key_from_the_first_frame_on(env):
    _, info = env.reset(seed=0)
    assert set(info) == INFO_KEYS
    assert set(env.step(STRAIGHT)[4]) == INFO_KEYS
    assert info["surprise"] == info["drift_score"] == 0.0


def test_equal_seeds_give_equal_frames_rewards_and_info(env):
    runs = []
    for _ in range(2):
        _, info = env.reset(seed=4)
        runs.append([info, *(env.step(action)[1:] for action in [STRAIGHT, LEFT, LEFT])])
    assert runs[0] == runs[1]


def test_the_reward_is_the_sum_of_its_terms(env):
    env.reset(seed=0)
    _, reward, _, _, info = env.step(LEFT)
    assert reward == pytest.approx(sum(info["reward_terms"].values()))
    assert tuple(info["reward_terms"]) == rewards.TERMS
    assert info["reward_terms"]["progress"] > 0.5


def test_steering_left_turns_left_and_leaves_the_road(env):
    env.reset(seed=0)
    for _ in range(60):
        _, _, terminated, truncated, info = env.step(LEFT)
        if terminated:
            break
    assert terminated
    assert not truncated
    assert info["termination_reason"] in ("offroad", "collision")
    assert info["reward_terms"][info["termination_reason"]] < -5.0


def test_some_endings_can_be_switched_off():
    environment = gymnasium.make("dreamlane/Truth-v0", terminate_on=(), max_steps=40)
    environment.reset(seed=0)
    results = [environment.step(LEFT) for _ in range(40)]
    assert not any(result[2] for result in results)
    assert any(result[4]["offroad"] or result[4]["collision"] for result in results)
    assert results[-1][3]
    assert results[-1][4]["termination_reason"] == "time_limit"
    environment.close()


def test_a_restored_instant_has_the_same_future(env):
    env.reset(seed=2)
    drive(env, [STRAIGHT, LEFT])
    state = env.unwrapped.save_state()
    future = drive(env, [STRAIGHT] * 4)
    drive(env, [LEFT] * 4)
    env.unwrapped.restore_state(state)
    assert drive(env, [STRAIGHT] * 4) == future


def test_a_state_goes_over_to_another_environment_and_scenario(env):
    env.reset(seed=2)
    drive(env, [LEFT])
    state = env.unwrapped.save_state()
    future = drive(env, [STRAIGHT] * 2)
    other = gymnasium.make("dreamlane/Truth-v0", scenario="highway")
    other.reset(seed=0)
    _, info = other.reset(options={"state": state})
    assert info["scenario"] == "calm_cruise"
    assert drive(other, [STRAIGHT] * 2) == future
    other.close()


def test_random_scenarios_come_from_the_seed(env):
    names = [env.reset(seed=s, options={"scenario": "random"})[1]["scenario"] for s in (1, 2)]
    again = [env.reset(seed=s, options={"scenario": "random"})[1]["scenario"] for s in (1, 2)]
    assert names == again
    assert all(name.startswith("random") for name in names)


def test_the_class_mask_belongs_to_the_current_frame(env):
    env.reset(seed=0)
    before = env.unwrapped.class_mask().copy()
    assert before.shape == (128, 256)
    drive(env, [LEFT] * 3)
    assert not np.array_equal(env.unwrapped.class_mask(), before)


@pytest.mark.parametrize(
    "action",
    [
        np.array([np.nan, 0.0]),
        np.array([0.0, np.inf]),
        np.array([1.5, 0.0]),
        np.zeros(3),
        np.zeros((1, 2)),
        "left",
        None,
        {"steer": 0.0},
    ],
    ids=str,
)
def test_a_wrong_action_is_an_error_that_says_what_is_accepted(env, action):
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"got .*accepted is \[steer, accelerate\]"):
        env.unwrapped.step(action)


def test_the_clipping_wrapper_clips_numbers_but_not_nonsense(env):
    clipping = ClipAction(env.unwrapped)
    clipping.reset(seed=0)
    wide = clipping.step(np.array([-7.0, 3.0], np.float32))[4]
    env.reset(seed=0)
    assert env.step(np.array([-1.0, 1.0], np.float32))[4] == wide
    with pytest.raises(ValueError, match="nan"):
        clipping.step(np.array([np.nan, 0.0]))


def test_wrong_arguments_and_options_are_named(env):
    for arguments, message in (
        ({"obs": "latent"}, "accepted: camera, dict"),
        ({"scenario": "mars"}, "calm_cruise"),
        ({"scenario": 5}, "accepted: a name"),
        ({"terminate_on": ["boredom"]}, "accepted: collision, offroad, route_completed"),
        ({"render_mode": "human"}, "accepted: rgb_array"),
    ):
        with pytest.raises(ValueError, match=message):
            simulator.envs.truth.TruthEnv(**arguments)
    with pytest.raises(ValueError, match="wether; accepted: scenario, state"):
        env.reset(options={"wether": "fog"})
    with pytest.raises(ValueError, match="accepted: a TruthState"):
        env.reset(options={"state": 3})


def test_stepping_before_the_first_reset_says_so():
    with pytest.raises(gymnasium.error.ResetNeeded, match="reset"):
        simulator.envs.truth.TruthEnv().step(STRAIGHT)


def test_a_closed_environment_goes_on_from_a_state():
    env = gymnasium.make("dreamlane/Truth-v0", scenario="calm_cruise").unwrapped
    env.reset(seed=1)
    state = env.save_state()
    frame, *_, info = env.step(np.zeros(2, np.float32))
    env.close()
    env.restore_state(state)
    again, *_, told = env.step(np.zeros(2, np.float32))
    np.testing.assert_array_equal(again, frame)
    assert told["frame_hash"] == info["frame_hash"]
    env.close()
