"""The dream on the real engine: an untrained checkpoint, real recorded starts, real drawing."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as check_env_sb3

import simulator  # noqa: F401  (registers the environments)

# equal thread counts in this and the spawned process, so that sums round equally
pytestmark = pytest.mark.usefixtures("one_thread")

STRAIGHT = np.zeros(2, np.float32)
LEFT = np.array([0.7, 0.2], np.float32)


@pytest.fixture
def arguments(untrained: dict[str, Any]) -> dict[str, Any]:
    """See `untrained`; a test may change them."""
    return dict(untrained)


def drive(env, seed: int, steps: int = 4) -> list[str]:
    _, info = env.reset(seed=seed)
    return [info["frame_hash"], *(env.step(LEFT)[4]["frame_hash"] for _ in range(steps))]


def drive_elsewhere(arguments: dict[str, Any], seed: int) -> list[str]:
    """Runs in a spawned process."""
    torch.set_num_threads(1)
    return drive(gymnasium.make("simulator:dreamlane/Dream-v0", **arguments), seed)


@pytest.mark.parametrize("obs", ["camera", "dict", "latent"])
@pytest.mark.filterwarnings("ignore:.*:UserWarning")
def test_both_checkers_accept_it(arguments, obs):
    env = gymnasium.make("dreamlane/Dream-v0", obs=obs, render_mode="rgb_array", **arguments)
    check_env(env.unwrapped)
    check_env_sb3(env.unwrapped)


def test_spawned_processes_dream_the_same(arguments):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        there = pool.apply(drive_elsewhere, (arguments, 5))
    here = drive(gymnasium.make("dreamlane/Dream-v0", **arguments), 5)
    assert there == here
    assert len(set(here)) == len(here)


def test_the_shown_start_is_the_recording_s_last_frame(arguments):
    from simulator.recording.episode import read_episode

    env = gymnasium.make("dreamlane/Dream-v0", **arguments)
    frame, info = env.reset(seed=0, options={"context": 1})
    recorded = read_episode(Path(arguments["contexts"]) / "calm_cruise" / "1")
    np.testing.assert_array_equal(frame, recorded.frames()[-1])
    assert info["speed_mps"] == pytest.approx(recorded.steps["speed_mps"][-1])
    assert info["speed_limit_mps"] == pytest.approx(recorded.steps["speed_limit_mps"][-1])


def test_a_restored_dream_goes_on_bit_by_bit(arguments):
    env = gymnasium.make("dreamlane/Dream-v0", **arguments)
    drive(env, 1)
    state = env.unwrapped.save_state()
    future = [env.step(STRAIGHT) for _ in range(3)]
    drive(env, 2)
    env.unwrapped.restore_state(type(state).from_bytes(state.to_bytes()))
    for was in future:
        now = env.step(STRAIGHT)
        np.testing.assert_array_equal(now[0], was[0])
        assert now[1:] == was[1:]


def test_a_batch_dreams_what_single_environments_dream(arguments):
    """Sums in a batch may round differently, so a rare token may differ: not every pixel is equal."""
    envs = gymnasium.make_vec("dreamlane/Dream-v0", num_envs=2, **arguments)
    envs.reset(seed=3)
    batched, _, _, _, infos = envs.step(np.stack([LEFT, STRAIGHT]))
    for slot, action in enumerate([LEFT, STRAIGHT]):
        env = gymnasium.make("dreamlane/Dream-v0", **arguments)
        env.reset(seed=3 + slot)
        alone, _, _, _, info = env.step(action)
        difference = np.abs(batched[slot].astype(int) - alone).mean()
        assert difference < 2.0
        assert infos["speed_mps"][slot] == pytest.approx(info["speed_mps"], abs=0.5)


def test_latent_dreams_follow_the_same_tokens_as_drawn_ones(arguments):
    drawn = gymnasium.make("dreamlane/Dream-v0", **arguments)
    latent = gymnasium.make("dreamlane/Dream-v0", obs="latent", **arguments)
    drive(drawn, 4)
    drive(latent, 4)
    assert drawn.step(LEFT)[4]["speed_mps"] == latent.step(LEFT)[4]["speed_mps"]
    assert latent.step(LEFT)[0].shape == latent.observation_space.shape


def test_how_far_a_picture_is_drawn_may_change_from_step_to_step(arguments):
    env = gymnasium.make("dreamlane/Dream-v0", **arguments).unwrapped
    env.reset(seed=3)
    saved, most = env.save_state(), env.scales
    whole = env.step(LEFT)[0]
    env.restore_state(saved)
    env.scales = 1
    rough = env.step(LEFT)[0]
    assert not np.array_equal(rough, whole)
    env.restore_state(saved)
    env.scales = most
    np.testing.assert_array_equal(env.step(LEFT)[0], whole)
    with pytest.raises(ValueError, match=f"scales={most + 1}; accepted by backend"):
        env.scales = most + 1
    env.close()


def test_a_dream_in_a_hurry_draws_less_of_each_picture(arguments):
    env = gymnasium.make("dreamlane/Dream-v0", deadline_s=1e-9, **arguments).unwrapped
    env.reset(seed=3)
    most = env.scales
    drawn = []
    for _ in range(2 * most):
        env.step(LEFT)
        drawn.append(env.scales)
    assert drawn[::2] == list(
        range(most, 0, -1)
    )  # each number once more, since its first step warms up
    assert env.provenance()["deadline_s"] == 1e-9
    env.deadline_s = None
    env.step(LEFT)
    assert env.scales == most
    with pytest.raises(ValueError, match="accepted: more than 0"):
        env.deadline_s = -1.0
    env.close()


def test_a_picture_can_be_painted_on_and_the_drive_goes_on_from_it(arguments):
    env = gymnasium.make("dreamlane/Dream-v0", **arguments).unwrapped
    before, info = env.reset(seed=3)
    saved = env.save_state()
    mask = np.zeros(before.shape[:2], np.bool_)
    mask[: mask.shape[0] // 2, : mask.shape[1] // 4] = True
    painted, told = env.repaint(mask)
    assert not np.array_equal(painted, before)
    assert told["frame_hash"] != info["frame_hash"]
    assert told["time_s"] == info["time_s"]
    later = env.step(LEFT)[0]
    env.restore_state(saved)
    again, _ = env.repaint(mask)
    np.testing.assert_array_equal(again, painted)
    np.testing.assert_array_equal(env.step(LEFT)[0], later)
    env.restore_state(saved)
    plain = env.step(LEFT)[0]
    env.restore_state(saved)
    with pytest.raises(ValueError, match="mask has shape"):
        env.repaint(mask[:3])
    np.testing.assert_array_equal(env.step(LEFT)[0], plain)  # what is refused changes nothing
    env.close()
