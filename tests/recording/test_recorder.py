"""Whatever is driven through the recorder can be read back, and knows how it was made."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

import simulator  # noqa: F401  (registers the environments)
from simulator.demo import DemoConfig, drive
from simulator.recording import writer
from simulator.recording.episode import RecordingError, episode_paths, read_episode
from simulator.recording.recorder import RecordEpisodes

ACTION = np.array([0.25, 0.5], np.float32)


class CountingEnv(gymnasium.Env[Any, Any]):
    """Frames whose brightness is the step; ends after `length` steps or breaks down at `breaks`."""

    observation_space = gymnasium.spaces.Box(0, 255, (16, 32, 3), np.uint8)
    action_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)

    def __init__(self, length: int = 4, breaks: int = 99) -> None:
        self._length, self._breaks = length, breaks

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self._step = 0
        self._seen = int(self.np_random.integers(200))
        return self._frame(), {"speed_mps": float(self._seen), "scenario": "toy"}

    def step(self, action: np.ndarray) -> Any:
        self._step += 1
        if self._step == self._breaks:
            raise RuntimeError("the world fell apart")
        return self._frame(), 1.0 * self._step, self._step == self._length, False, {}

    def _frame(self) -> np.ndarray:
        return np.full((16, 32, 3), 10 * self._step, np.uint8)


def drive_toy(folder: Path, steps: int, **arguments: Any) -> list[Path]:
    env = RecordEpisodes(CountingEnv(**arguments), folder, {"driver": "nobody"})
    env.reset(seed=3)
    try:
        for _ in range(steps):
            env.step(ACTION)
    finally:
        env.close()
    return env.written


def test_an_action_stands_in_the_row_of_the_frame_it_followed(tmp_path):
    [path] = drive_toy(tmp_path, 4)
    episode = read_episode(path)
    assert path.name == "000000_toy"
    np.testing.assert_array_equal(episode.actions, [*[ACTION] * 4, [np.nan] * 2])
    np.testing.assert_array_equal(episode.steps["reward"], [np.nan, 1, 2, 3, 4])
    np.testing.assert_allclose(episode.frames().mean((1, 2, 3)), [0, 10, 20, 30, 40], atol=2)
    assert episode.steps["terminated"].tolist() == [False] * 4 + [True]
    assert episode.meta["driver"] == "nobody"


def test_an_interrupted_drive_keeps_what_was_driven(tmp_path):
    with pytest.raises(RuntimeError, match="fell apart"):
        drive_toy(tmp_path, 4, breaks=3)
    [path] = episode_paths(tmp_path)
    episode = read_episode(path)
    assert len(episode) == 3
    assert episode.steps["truncated"].tolist() == [False, False, True]


def test_numbers_go_on_and_nothing_is_overwritten(tmp_path):
    [first] = drive_toy(tmp_path, 2)
    [second] = drive_toy(tmp_path, 3)
    assert (first.name, second.name) == ("000000_toy", "000001_toy")
    assert len(read_episode(first)) == 3


def test_a_reset_without_a_seed_gets_one_that_repeats_it(tmp_path):
    env = RecordEpisodes(CountingEnv(), tmp_path)
    _, info = env.reset()
    env.step(ACTION)
    env.close()
    seed = read_episode(env.written[0]).meta["seed"]
    assert CountingEnv().reset(seed=seed)[1] == info


def test_an_episode_that_never_moved_leaves_nothing(tmp_path):
    assert drive_toy(tmp_path, 0) == []
    assert list(tmp_path.iterdir()) == []


def test_features_without_a_camera_are_refused_at_the_start(tmp_path):
    env = gymnasium.wrappers.TransformObservation(
        CountingEnv(), lambda frame: frame.astype(np.float32), None
    )
    with pytest.raises(RecordingError, match="hold no camera"):
        RecordEpisodes(env, tmp_path).reset(seed=0)


def test_a_drive_in_the_reference_world_states_what_its_frames_depend_on(tmp_path):
    drive(DemoConfig(env="truth", scenario="rain_cruise", frames=3, record=str(tmp_path)))
    [path] = episode_paths(tmp_path)
    meta = read_episode(path).meta
    assert meta["source"] == "truth"
    assert meta["weather"] == "rain"
    assert meta["environment"] == "dreamlane/Truth-v0"
    assert meta["arguments"] == {"scenario": "rain_cruise"}
    assert meta["backend"] == "OpenGL"
    assert meta["device"]
    assert len(meta["scenario_digest"]) == 32


def test_a_scenario_of_one_s_own_is_recorded_whole(tmp_path):
    from scenarios import Scenario
    from scenarios.schema import RoadSpec, from_mapping

    own = Scenario("mine", "a road of my own", RoadSpec("rural"), weather="fog")
    env = RecordEpisodes(gymnasium.make("dreamlane/Truth-v0", scenario=own), tmp_path)
    env.reset(seed=1)
    env.step(ACTION)
    env.close()
    meta = read_episode(env.written[0]).meta
    assert from_mapping(Scenario, meta["arguments"]["scenario"], "meta.json") == own


def test_a_dream_is_recorded_with_its_start(town, tmp_path):
    from simulator.envs.state import DreamState

    env = gymnasium.make("dreamlane/Dream-v0", world_model=town)
    recorded = RecordEpisodes(env, tmp_path)
    frame, _ = recorded.reset(seed=2)
    recorded.step(ACTION)
    recorded.close()
    episode = read_episode(recorded.written[0])
    state = DreamState.from_bytes((episode.path / "start.safetensors").read_bytes())
    np.testing.assert_array_equal(state.frame, frame)
    assert state.checkpoint_hash == episode.meta["checkpoint"]
    assert episode.meta["source"] == "dream"


def test_what_the_disk_refuses_is_told_kept_and_tried_again(tmp_path, monkeypatch):
    told: list[str] = []
    env = RecordEpisodes(CountingEnv(length=3), tmp_path, on_refusal=told.append)
    real = os.fsync

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    for _ in range(2):
        env.reset(seed=3)
        for _ in range(3):
            env.step(ACTION)  # the drive goes on
    assert "disk full" in told[0]
    assert not list(tmp_path.glob("0*"))
    monkeypatch.setattr(os, "fsync", real)  # somebody made room
    env.reset(seed=4)
    assert [path.name for path in env.written] == ["000000_toy", "000001_toy"]
    assert len(read_episode(env.written[1])) == 4
    env.step(ACTION)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RecordingError, match="disk full"):
        env.close()
    env.close()  # told once


def test_two_who_record_in_one_folder_lose_nothing(tmp_path):
    both = [RecordEpisodes(CountingEnv(length=3), tmp_path) for _ in range(2)]
    for seed in (1, 2):
        for env in both:
            env.reset(seed=seed)
        for env in both:
            for _ in range(3):
                env.step(ACTION)
    names = sorted(path.name for env in both for path in env.written)
    assert names == [f"{i:06d}_toy" for i in range(4)]
    assert [len(read_episode(tmp_path / name)) for name in names] == [4] * 4


def test_who_draws_on_a_frame_draws_on_his_own(tmp_path):
    env = RecordEpisodes(CountingEnv(length=2), tmp_path)
    frame, _ = env.reset(seed=1)
    for _ in range(2):
        frame[:] = 255
        frame = env.step(ACTION)[0]
    (plain,) = drive_toy(tmp_path / "plain", 2, length=2)
    drawn, untouched = (read_episode(path).steps["frame_hash"] for path in (env.written[0], plain))
    assert list(drawn) == list(untouched)


def test_what_can_t_be_recorded_is_refused_before_the_step(tmp_path):
    env = RecordEpisodes(CountingEnv(length=2), tmp_path)
    env.reset(seed=1)
    with pytest.raises(RecordingError, match="ClipAction"):
        env.step(np.array([1.5, 0.0], np.float32))
    assert env.unwrapped._step == 0
    env.step(ACTION)
    env.step(ACTION)
    assert len(read_episode(env.written[0])) == 3


def test_info_may_hold_anything(tmp_path):
    class Telling(CountingEnv):
        def step(self, action: np.ndarray) -> Any:
            *stepped, _ = super().step(action)
            return (*stepped, {"map": np.ones(3), "speed_mps": np.float32("nan")})

    env = RecordEpisodes(Telling(length=2), tmp_path)
    env.reset(seed=1)
    env.step(ACTION)
    env.step(ACTION)
    assert np.isnan(read_episode(env.written[0]).steps["speed_mps"][1])


def test_without_room_for_an_episode_the_drive_goes_on_unrecorded(tmp_path, monkeypatch):
    told: list[str] = []
    env = RecordEpisodes(CountingEnv(), tmp_path, on_refusal=told.append)

    def no_room(_: Path) -> None:
        raise RecordingError("hardly any room")

    with monkeypatch.context() as full:
        full.setattr(writer, "check_room", no_room)
        env.reset(seed=0)
        env.step(ACTION)
    assert told == ["hardly any room; this episode isn't recorded"]
    env.reset(seed=1)
    env.step(ACTION)
    env.close()
    assert len(env.written) == 1
