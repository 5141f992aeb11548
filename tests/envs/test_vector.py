"""Batched dreams against single ones."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode


def actions(size: int, steps: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (steps, size, 2)).astype(np.float32)


def single_run(env, seed: int, steps: np.ndarray, autoreset: bool = True):
    """Hashes a single environment shows under the NEXT_STEP convention."""
    _, info = env.reset(seed=seed)
    hashes, ended = [info["frame_hash"]], False
    for action in steps:
        if ended and autoreset:
            _, info = env.reset()
            ended = False
        else:
            _, _, terminated, truncated, info = env.step(action)
            ended = terminated or truncated
        hashes.append(info["frame_hash"])
    return hashes


@pytest.mark.parametrize("obs", ["camera", "dict", "latent"])
def test_every_slot_dreams_what_a_single_environment_dreams(make_dream, make_dreams, obs):
    envs, steps = make_dreams(3, obs=obs, max_steps=4), actions(3, 11)
    _, infos = envs.reset(seed=5)
    seen = [infos["frame_hash"].copy()]
    seen += [envs.step(step)[4]["frame_hash"].copy() for step in steps]
    for slot in range(3):
        alone = single_run(make_dream(obs=obs, max_steps=4), 5 + slot, steps[:, slot])
        assert [row[slot] for row in seen] == alone


def test_slots_have_scenarios_of_their_own(make_dreams):
    envs = make_dreams(2, scenario=["night", "calm_cruise"])
    assert envs.reset(seed=0)[1]["scenario"].tolist() == ["night", "calm_cruise"]
    _, infos = envs.reset(seed=0, options={"scenario": ["calm_cruise", "night"]})
    assert infos["scenario"].tolist() == ["calm_cruise", "night"]


def test_an_ended_slot_is_reset_in_the_next_step(make_dreams):
    envs = make_dreams(2, max_steps=2)
    assert envs.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    envs.reset(seed=0)
    step = np.zeros((2, 2), np.float32)
    envs.step(step)
    _, _, _, truncated, infos = envs.step(step)
    assert truncated.all()
    assert infos["time_s"].tolist() == [0.2, 0.2]
    _, rewards, terminated, truncated, infos = envs.step(step)
    assert infos["time_s"].tolist() == [0.0, 0.0]
    assert not (terminated | truncated).any()
    assert rewards.tolist() == [0.0, 0.0]


def test_same_step_autoreset_keeps_the_last_frame_and_info(make_dreams):
    envs = make_dreams(2, max_steps=1, autoreset_mode=AutoresetMode.SAME_STEP)
    observations, _ = envs.reset(seed=0)
    after, _, _, truncated, infos = envs.step(np.ones((2, 2), np.float32))
    assert truncated.all()
    assert infos["time_s"].tolist() == [0.0, 0.0]
    assert infos["final_info"]["time_s"].tolist() == [0.1, 0.1]
    assert infos["final_obs"][0].shape == observations[0].shape
    assert not np.array_equal(infos["final_obs"][0], after[0])


def test_disabled_autoreset_wants_a_reset_mask(make_dreams):
    envs = make_dreams(2, toy={"collision_ages": [1, 2]}, autoreset_mode=AutoresetMode.DISABLED)
    envs.reset(seed=0)
    step = np.zeros((2, 2), np.float32)
    envs.step(step)
    assert envs.step(step)[2].all()
    with pytest.raises(ValueError, match="reset_mask"):
        envs.step(step)
    envs.reset(options={"reset_mask": np.array([True, False])})
    with pytest.raises(ValueError, match=r"slots \[1\]"):
        envs.step(step)
    envs.reset(options={"reset_mask": np.array([False, True])})
    envs.step(step)


def test_resetting_one_slot_leaves_the_others_alone(make_dreams):
    def run(reset_first: bool) -> str:
        envs = make_dreams(2, autoreset_mode=AutoresetMode.DISABLED)
        envs.reset(seed=0)
        step = np.full((2, 2), 0.3, np.float32)
        envs.step(step)
        if reset_first:
            envs.reset(seed=9, options={"reset_mask": np.array([True, False])})
        return str(envs.step(step)[4]["frame_hash"][1])

    assert run(True) == run(False)


def test_a_slot_s_state_fits_a_single_environment(make_dream, make_dreams):
    envs, env = make_dreams(3), make_dream()
    envs.reset(seed=0)
    step = np.full((3, 2), 0.2, np.float32)
    envs.step(step)
    states = envs.unwrapped.save_state()
    expected = envs.step(step)[0]
    env.reset(options={"state": states[2]})
    np.testing.assert_array_equal(env.step(step[2])[0], expected[2])
    envs.unwrapped.restore_state(states)
    np.testing.assert_array_equal(envs.step(step)[0], expected)


def test_returned_observations_are_never_written_again(make_dreams):
    envs = make_dreams(2, max_steps=1)
    first, _ = envs.reset(seed=0)
    kept = first.copy()
    for _ in range(3):
        envs.step(np.ones((2, 2), np.float32))
    np.testing.assert_array_equal(first, kept)


def test_all_slots_share_a_deadline(make_dreams):
    envs = make_dreams(2, deadline_s=1e-9)
    envs.reset(seed=1)
    for _ in range(3):  # the first step of a number of scales warms up
        envs.step(envs.action_space.sample())
    assert envs.unwrapped.deadline_s == 1e-9
    assert envs.unwrapped._batch.engine.scales == 1
    envs.unwrapped.deadline_s = None
    assert envs.unwrapped._batch.engine.scales == 2


def test_wrong_batches_are_named(make_dreams):
    envs = make_dreams(2)
    envs.reset(seed=0)
    with pytest.raises(ValueError, match=r"shape \(2, 2\)"):
        envs.step(np.zeros((3, 2), np.float32))
    with pytest.raises(ValueError, match="scenario has 3 entries for 2 slots"):
        envs.reset(options={"scenario": ["night"] * 3})
    with pytest.raises(ValueError, match="accepted: NEXT_STEP, SAME_STEP, DISABLED"):
        make_dreams(2, autoreset_mode="sometimes")
    with pytest.raises(ValueError, match="seed has 1 entries"):
        envs.reset(seed=[1])


def test_gymnasium_s_vector_wrappers_fit(make_dreams):
    envs = gymnasium.wrappers.vector.RecordEpisodeStatistics(make_dreams(2, max_steps=2))
    envs.reset(seed=0)
    envs.step(np.zeros((2, 2), np.float32))
    infos = envs.step(np.zeros((2, 2), np.float32))[4]
    assert infos["episode"]["l"].tolist() == [2, 2]


@pytest.mark.parametrize("mode", AutoresetMode)
def test_a_mode_may_be_given_by_its_name(make_dreams, mode):
    for given in (mode, mode.name, mode.value):
        assert make_dreams(1, autoreset_mode=given).metadata["autoreset_mode"] is mode
