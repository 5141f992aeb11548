"""Worlds beside each other: the same start, the same actions, and the first one leads."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env

import simulator  # noqa: F401  (registers the environments)

LEFT = np.array([0.4, 0.3], np.float32)


@pytest.fixture
def make(untrained: dict[str, Any]):
    """`make(*worlds)`; "model" stands for an untrained one."""
    made = []

    def pair(*worlds: str, **arguments: Any) -> gymnasium.Env[Any, Any]:
        names = [w.replace("model", str(untrained["world_model"])) for w in worlds]
        given = {"worlds": names, "contexts": untrained["contexts"], "backend": "eager"}
        made.append(gymnasium.make("dreamlane/Pair-v0", **given, **arguments))
        return made[-1]

    yield pair
    for env in made:
        env.close()


def halves(frame: np.ndarray) -> list[np.ndarray]:
    return np.split(frame, frame.shape[1] // 256, 1)


def test_a_dream_begins_with_what_the_reference_world_showed(make):
    env = make("truth", "model", scenario="tight_bends")
    frame, info = env.reset(seed=3)
    camera, dream = halves(frame)
    np.testing.assert_array_equal(camera, dream)
    (beside,) = info["beside"]
    assert beside["speed_mps"] == pytest.approx(info["speed_mps"], abs=1e-4)
    assert beside["world"].endswith("untrained")
    assert info["scenario"] == beside["scenario"] == "tight_bends"
    frame, reward, _, _, info = env.step(LEFT)
    camera, dream = halves(frame)
    assert not np.array_equal(camera, dream)
    assert reward == pytest.approx(sum(info["reward_terms"].values()))


def test_equal_models_dream_alike_and_differ_by_nothing(make):
    env = make("model", "model", difference=True)
    env.reset(seed=2)
    for _ in range(3):
        frame, *_ = env.step(LEFT)
    one, other, apart = halves(frame)
    np.testing.assert_array_equal(one, other)
    assert not apart.any()


def test_different_models_begin_with_the_same_picture(town):
    env = gymnasium.make("dreamlane/Pair-v0", worlds=(town, "highway"), backend="eager")
    one, other = halves(env.reset(seed=0)[0])
    np.testing.assert_array_equal(one, other)
    env.close()


def test_a_pair_keeps_the_manners_of_an_environment(make):
    check_env(make("model", "truth").unwrapped, skip_render_check=True)


@pytest.mark.parametrize("other", ["model", "forced:model"])
def test_all_worlds_go_back_together(make, other):
    env = make("truth", other).unwrapped
    env.reset(seed=1)
    env.step(LEFT)
    saved = env.save_state()
    after = env.step(LEFT)[0]
    env.step(-LEFT)
    shown = env._joined()
    env.restore_state(saved)
    assert not np.array_equal(env._joined(), shown)
    np.testing.assert_array_equal(env.step(LEFT)[0], after)


@pytest.mark.parametrize("worlds", [("truth",), ("truth", "model", "truth")])
def test_pairs_that_are_none_are_refused(make, worlds):
    with pytest.raises(ValueError, match="accepted: two or more"):
        make(*worlds)


def test_a_forced_dream_begins_each_frame_anew_from_the_truth(make):
    """A free dream and a forced one agree in their first frame; then the forced one has forgotten it."""
    env = make("truth", "model", "forced:model", scenario="tight_bends")
    env.reset(seed=3)
    for step in range(3):
        frame, _, _, _, info = env.step(LEFT)
        _, free, forced = halves(frame)
        assert np.array_equal(free, forced) == (step == 0)
    assert info["beside"][1]["world"].startswith("forced:")
    engines = [env.unwrapped._envs[i]._batch.engine for i in (1, 2)]
    truth, tokenizer = halves(frame)[0], engines[1].tokenizer
    seen = tokenizer.quantizer.encode(tokenizer.latents(torch.from_numpy(truth[None].copy())))
    np.testing.assert_allclose(engines[1].latent, seen.latent_BChw.numpy(), atol=1e-5)
    assert not np.allclose(engines[0].latent, engines[1].latent, atol=1e-2)
    assert "told the truth" in env.unwrapped.describe()["world"]


def test_a_forced_dream_takes_the_truth(make):
    with pytest.raises(ValueError, match="only with 'truth' beside it"):
        make("model", "forced:model")
