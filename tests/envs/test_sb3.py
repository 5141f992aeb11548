"""Batched dreams under Stable-Baselines3's interface: its conventions, and its PPO."""

from __future__ import annotations

import numpy as np
import pytest
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecMonitor
from toy_engine import ToyEngine

from simulator.envs.sb3 import DreamVecEnv

STRAIGHT = np.zeros((2, 2), np.float32)


@pytest.fixture
def make(contexts):
    """`make(toy={...}, **arguments)`: two slots on the toy engine."""

    def made(toy: dict | None = None, **arguments) -> DreamVecEnv:
        return DreamVecEnv(2, engine=ToyEngine(2, **(toy or {})), contexts=contexts, **arguments)

    return made


def test_it_dreams_what_the_vector_environment_dreams(make, make_dreams):
    mine, other = make(), make_dreams(2)
    mine.seed(7)
    np.testing.assert_array_equal(mine.reset(), other.reset(seed=[7, 8])[0])
    for _ in range(3):
        observation, rewards, dones, infos = mine.step(STRAIGHT)
        wanted = other.step(STRAIGHT)
        np.testing.assert_array_equal(observation, wanted[0])
        np.testing.assert_allclose(rewards, wanted[1], rtol=1e-6)
        assert not dones.any()
        for slot in range(2):
            assert infos[slot]["frame_hash"] == wanted[4]["frame_hash"][slot]
            assert infos[slot]["reward_terms"]["progress"] == pytest.approx(
                wanted[4]["reward_terms"]["progress"][slot]
            )


def test_a_slot_that_ends_begins_anew_and_tells_its_last_observation(make):
    venv = make(max_steps=2)
    venv.seed(0)
    venv.reset()
    before = venv.step(STRAIGHT)[0]
    observation, _, dones, infos = venv.step(STRAIGHT)
    assert dones.all()
    for slot, info in enumerate(infos):
        assert info["TimeLimit.truncated"] is True
        assert info["termination_reason"] == "time_limit"
        assert info["time_s"] == pytest.approx(0.2)
        assert info["terminal_observation"].shape == observation[slot].shape
        assert not np.array_equal(info["terminal_observation"], observation[slot])
        assert not np.array_equal(info["terminal_observation"], before[slot])
        assert venv.reset_infos[slot]["time_s"] == 0.0


def test_options_are_for_the_next_reset_alone(make):
    venv = make()
    scenarios = []
    venv.set_options([{"scenario": "night"}, {}])
    for _ in range(2):
        venv.reset()
        scenarios.append([info["scenario"] for info in venv.reset_infos])
    assert scenarios == [["night", "calm_cruise"], ["calm_cruise"] * 2]
    venv.set_options({"scenario": "no such"})
    with pytest.raises(ValueError, match="no such"):
        venv.reset()


def test_a_crash_is_no_time_limit(make):
    venv = make(toy={"collision_ages": [1, 2]}, max_steps=9)
    venv.reset()
    _, _, dones, infos = venv.step(STRAIGHT)
    assert not dones.any()
    assert "terminal_observation" not in infos[0]
    _, rewards, dones, infos = venv.step(STRAIGHT)
    assert dones.all()
    assert (rewards < -10).all()
    assert [info["TimeLimit.truncated"] for info in infos] == [False, False]
    assert [info["termination_reason"] for info in infos] == ["collision"] * 2


def test_ppo_trains_on_it(make):
    venv = VecMonitor(make(obs="latent", max_steps=5))
    model = PPO("MlpPolicy", venv, n_steps=8, batch_size=8, n_epochs=1, seed=0, device="cpu")
    before = model.policy.action_net.weight.detach().clone()
    model.learn(32)
    assert model.num_timesteps == 32
    assert not np.array_equal(before.numpy(), model.policy.action_net.weight.detach().numpy())
    assert model.ep_info_buffer[0]["l"] == 5


def test_slots_share_what_belongs_to_the_environment(make):
    venv = make(render_mode="rgb_array")
    venv.reset()
    assert venv.get_attr("render_mode") == ["rgb_array"] * 2
    assert [image.shape for image in venv.get_images()] == [ToyEngine.frame_shape] * 2
    assert venv.env_is_wrapped(VecMonitor, indices=[1]) == [False]
    with pytest.raises(ValueError, match="accepted: all slots"):
        venv.set_attr("anything", 1, indices=[0])
    venv.close()
