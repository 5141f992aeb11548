"""A dream that has come apart goes on from the most similar recorded start, and says so."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest

from simulator.envs.anchors import Anchors
from simulator.envs.contexts import ContextLibrary
from simulator.envs.state import DreamState

COAST = np.zeros(2, np.float32)


def test_the_nearest_start_is_found_by_picture_and_speed(contexts):
    anchors = Anchors(ContextLibrary(contexts))
    grey = np.full((16, 32, 3), 98, np.uint8)
    found = anchors.nearest(grey, 17.0)  # starts are of 40, 70 and 100 greys
    assert found.frames_THWC[-1].mean() == pytest.approx(100, abs=3)
    assert anchors.nearest(grey, float("nan")) is found


def test_a_drive_goes_on_from_a_recorded_picture(make_dream):
    env = make_dream()
    env.reset(seed=1)
    for _ in range(3):
        _, _, _, _, before = env.step(COAST)
    assert before["reanchored"] is False
    frame, info = env.unwrapped.reanchor()
    assert info["reanchored"] is True
    assert np.unique(frame).size <= 4  # a start's plain grey, not the toy's stripe
    assert (info["time_s"], info["progress_m"]) == (before["time_s"], before["progress_m"])
    assert info["speed_mps"] == 17.0  # the recorded one
    saved = env.unwrapped.save_state()
    _, _, _, _, after = env.step(COAST)
    assert after["reanchored"] is False
    assert after["time_s"] > before["time_s"]
    env.unwrapped.restore_state(DreamState.from_bytes(saved.to_bytes()))
    assert env.step(COAST)[4] == after


def test_a_drift_that_lasts_re_anchors_by_itself(make_dream, monkeypatch):
    env = make_dream(reanchor_drift=0.5)
    engine = env.unwrapped._batch.engine
    plain, drifts = engine.step, iter([0.0, 0.9, 0.9, 0.9, 0.0])

    def drifting(*given):
        return replace(plain(*given), drift_B=np.array([next(drifts)], np.float32))

    monkeypatch.setattr(engine, "step", drifting)
    env.reset(seed=0)
    told = [env.step(COAST)[4] for _ in range(5)]
    assert [info["reanchored"] for info in told] == [False, False, True, False, False]
    assert told[2]["drift_score"] == 0.0  # the recorded picture's


def test_only_the_slot_that_drifts_is_re_anchored(make_dreams, monkeypatch):
    envs = make_dreams(2, reanchor_drift=0.5)
    engine = envs._batch.engine
    plain = engine.step
    drift = np.array([0.0, 0.9], np.float32)
    monkeypatch.setattr(engine, "step", lambda *given: replace(plain(*given), drift_B=drift))
    envs.reset(seed=0)
    actions = np.zeros((2, 2), np.float32)
    envs.step(actions)
    infos = envs.step(actions)[4]
    assert infos["reanchored"].tolist() == [False, True]
    envs.close()


def test_what_has_ended_goes_on_from_nowhere(make_dream, monkeypatch):
    env = make_dream(toy={"collision_ages": (1, 2)}, reanchor_drift=0.5)
    engine = env.unwrapped._batch.engine
    plain, drift = engine.step, np.array([0.9], np.float32)
    monkeypatch.setattr(engine, "step", lambda *given: replace(plain(*given), drift_B=drift))
    env.reset(seed=0)
    env.step(COAST)
    _, _, terminated, _, info = env.step(COAST)
    assert terminated
    assert (info["collision"], info["reanchored"]) == (True, False)


def test_without_pictures_the_speed_alone_finds_the_start(make_dream):
    env = make_dream(obs="latent")
    env.reset(seed=1)
    env.step(COAST)
    _, info = env.unwrapped.reanchor()
    assert info["reanchored"] is True
    assert info["speed_mps"] == 17.0


def test_limits_and_folders_that_are_none_are_refused(make_dream, tmp_path):
    with pytest.raises(ValueError, match="reanchor_drift=-1"):
        make_dream(reanchor_drift=-1.0)
    with pytest.raises(ValueError, match="no recorded start"):
        Anchors(ContextLibrary(tmp_path)).nearest(np.zeros((16, 32, 3), np.uint8), 1.0)


def test_what_a_killed_recorder_left_is_no_start(contexts, tmp_path):
    shutil.copytree(contexts, tmp_path / "starts")
    whole = list(ContextLibrary(tmp_path / "starts").all())
    shutil.copytree(contexts / "night" / "0", tmp_path / "starts" / "night" / ".1.partial-abc")
    assert len(list(ContextLibrary(tmp_path / "starts").all())) == len(whole)
