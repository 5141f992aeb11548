"""Policies by name: shipped ones, classes with arguments, zips; and what is said where it can't be."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest
from drivers_for_tests import Straight

from agents.panel import Blind
from simulator.evaluation.policies import (
    SHIPPED,
    PolicyError,
    fingerprint,
    load_policy,
    load_watched_policy,
)

MINE = "drivers_for_tests"


def test_every_shipped_name_is_a_driver():
    for name in SHIPPED:
        policy = load_policy(name)
        policy.reset(1)
        action = policy.act(np.zeros((2, 2, 3), np.uint8), {"speed_mps": 5.0})
        assert action.shape == (2,)


def test_a_class_of_ones_own_with_and_without_arguments():
    assert isinstance(load_policy(f"{MINE}:Straight"), Straight)
    given = load_policy(f"{MINE}:Straight(pedal=-0.5)")
    assert isinstance(given, Straight)
    assert given.pedal == -0.5
    blind = load_policy(f"blind:{MINE}:Straight(pedal=0.1)")
    assert isinstance(blind, Blind)
    assert isinstance(blind.driver, Straight)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("lane_keper", "lane_keeper"),
        ("nowhere_at_all:Mine", "nowhere_at_all"),
        (f"{MINE}:Nobody", "no class 'Nobody'; it has"),
        (f"{MINE}:NoPolicy", r"no method reset\(\)"),
        (f"{MINE}:Straight(0.5)", "can't be read"),
        (f"{MINE}:Straight(pedal=open('x'))", "can't be read"),
        ("missing.zip", "no Stable-Baselines3 model"),
    ],
)
def test_a_policy_that_cannot_be_loaded_says_what_is_accepted(spec, words):
    with pytest.raises(PolicyError, match=words):
        load_policy(spec)


def test_a_zip_of_an_unknown_algorithm_is_refused_before_anything_is_unpickled(tmp_path):
    path = tmp_path / "model.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data", json.dumps({"policy_class": {}}))
    with pytest.raises(PolicyError, match="accepted: A2C, PPO, SAC, TD3"):
        load_policy(str(path))


def test_the_fingerprint_changes_with_the_file(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    file = tmp_path / "some_driver.py"
    file.write_text("class Mine: ...\n")
    before = fingerprint("some_driver:Mine")
    assert before
    file.write_text("class Mine: pass\n")
    assert fingerprint("some_driver:Mine(x=1)") != before
    assert fingerprint("lane_keeper") == ""


def test_the_fingerprint_changes_with_what_the_arguments_name(tmp_path):
    spec = f"drivers_for_tests:Learned(folder={str(tmp_path)!r})"
    found = [fingerprint(spec)]
    for weights in ("few", "many"):
        (tmp_path / "weights").write_text(weights)
        found.append(fingerprint(spec))
    assert len(set(found)) == 3
    assert fingerprint(spec) == found[-1]


def test_who_looks_at_something_else_is_refused_where_there_is_the_picture_alone():
    assert load_watched_policy("drivers_for_tests:Straight")
    with pytest.raises(PolicyError, match="obs='latent'"):
        load_watched_policy("drivers_for_tests:LooksAtLatents")


@pytest.mark.parametrize("algorithm", ["PPO", "SAC"])
def test_a_stable_baselines_zip_drives_by_the_camera(tmp_path, algorithm):
    sb3 = pytest.importorskip("stable_baselines3")
    import gymnasium
    from gymnasium import spaces

    class Picture(gymnasium.Env):
        observation_space = spaces.Box(0, 255, (36, 36, 3), np.uint8)
        action_space = spaces.Box(-1.0, 1.0, (2,), np.float32)

        def reset(self, *, seed=None, options=None):
            return np.zeros((36, 36, 3), np.uint8), {}

    more = {"buffer_size": 10} if algorithm == "SAC" else {}
    model = getattr(sb3, algorithm)("CnnPolicy", Picture(), device="cpu", **more)
    model.save(tmp_path / "driver.zip")
    policy = load_policy(str(tmp_path / "driver.zip"))
    policy.reset(0)
    action = policy.act(np.full((36, 36, 3), 120, np.uint8), {})
    assert policy.obs == "camera"
    assert (action.shape, action.dtype) == ((2,), np.float32)
    assert (np.abs(action) <= 1.0).all()
