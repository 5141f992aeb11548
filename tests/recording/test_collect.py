"""Collecting drives in the real reference world."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from bar_drives import bar_position, write_drive

from simulator.recording.collect import (
    AFTERMATH_TICKS,
    CollectConfig,
    Plan,
    collect,
    make_env,
    plan,
    record,
)
from simulator.recording.collect_cli import parse_mix
from simulator.recording.contexts import cut_contexts, record_contexts
from simulator.recording.episode import RecordingError, episode_paths, read_episode

SHORT = CollectConfig(episodes=3, seed=5, least_s=1.0, most_s=1.5, scenario="calm_cruise")


@pytest.fixture(scope="module")
def env() -> Iterator[gymnasium.Env[Any, Any]]:
    from simulator.truth.camera import CameraError

    env = make_env()
    try:
        env.reset(seed=0)
    except CameraError as error:
        pytest.skip(f"needs OpenGL through EGL: {error}")
    yield env
    env.close()


def test_plans_depend_on_seed_and_index_only() -> None:
    assert plan(SHORT, 2) == plan(CollectConfig(99, 5, "calm_cruise", least_s=1.0, most_s=1.5), 2)
    assert plan(SHORT, 2) != plan(SHORT, 1)
    assert plan(CollectConfig(seed=1), 2) != plan(CollectConfig(seed=2), 2)


def test_the_mix_decides_who_drives() -> None:
    config = CollectConfig(mix={"expert": 1.0, "crasher": 3.0})
    drivers = [plan(config, index).driver for index in range(400)]
    assert set(drivers) == {"expert", "crasher"}
    assert 0.68 < drivers.count("crasher") / 400 < 0.82
    splits = [plan(config, index).split for index in range(24)]
    assert splits.count("val") == 2


@pytest.mark.parametrize("mix", [{"nobody": 1.0}, {}, {"expert": 0.0}, {"expert": -1.0}])
def test_a_bad_mix_is_explained(mix: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"accepted|shares"):
        CollectConfig(mix=mix)


def test_the_mix_is_read_from_text() -> None:
    assert parse_mix("expert=2, crasher=0.5") == {"expert": 2.0, "crasher": 0.5}
    with pytest.raises(ValueError, match="accepted: name=share"):
        parse_mix("expert")


def test_a_drive_can_be_repeated_to_the_bit(env: gymnasium.Env[Any, Any], tmp_path: Path) -> None:
    todo = plan(SHORT, 0)
    outcome = record(env, SHORT, todo, tmp_path / "0")
    record(env, SHORT, todo, tmp_path / "1")
    first, second = (read_episode(tmp_path / name) for name in "01")
    assert first.steps["frame_hash"].tolist() == second.steps["frame_hash"].tolist()
    assert len(first) == outcome.frames == todo.ticks + 1
    assert first.meta["absent"] == []
    assert first.meta["scenario"] == "calm_cruise"
    masks = first.classes()
    assert masks is not None
    assert masks.shape == (outcome.frames, 64, 128)


def test_recorded_actions_drive_the_world_through_the_recorded_frames(
    env: gymnasium.Env[Any, Any], tmp_path: Path
) -> None:
    record(env, SHORT, plan(SHORT, 1), tmp_path / "0")
    episode = read_episode(tmp_path / "0")
    env.reset(seed=episode.meta["seed"], options=episode.meta["reset_options"])
    for step, action in enumerate(episode.actions[:-1]):
        _, reward, *_, info = env.step(action)
        assert info["frame_hash"] == episode.steps["frame_hash"][step + 1]
        assert info["speed_mps"] == episode.steps["speed_mps"][step + 1]
        assert reward == episode.steps["reward"][step + 1]


def test_an_accident_is_seen_to_its_end_and_no_longer(
    env: gymnasium.Env[Any, Any], tmp_path: Path
) -> None:
    todo = Plan("x", "road_leaver", env_seed=3, driver_seed=1, ticks=250, split="train")
    outcome = record(
        env, CollectConfig(scenario="calm_cruise", classes=False), todo, tmp_path / "0"
    )
    steps = read_episode(tmp_path / "0").steps
    accident = (steps["offroad"] + steps["collision"]) > 0
    assert outcome.ending == "offroad"
    assert accident[-1]
    assert len(accident) - int(accident.argmax()) == AFTERMATH_TICKS + 1


def test_a_set_is_resumed_and_other_settings_are_refused(
    env: gymnasium.Env[Any, Any], tmp_path: Path
) -> None:
    todo = plan(SHORT, 0)
    list(collect(CollectConfig(1, 5, "calm_cruise", least_s=1.0, most_s=1.5), tmp_path, workers=1))
    before = (tmp_path / todo.name / "meta.json").stat().st_mtime_ns
    (tmp_path / ".000001_x.partial-abc").mkdir()
    outcomes = list(collect(SHORT, tmp_path, workers=1))
    assert [outcome.new for outcome in outcomes] == [False, True, True]
    assert (tmp_path / todo.name / "meta.json").stat().st_mtime_ns == before
    assert len(episode_paths(tmp_path)) == 3
    assert not list(tmp_path.glob(".*partial*"))
    with pytest.raises(RecordingError, match=r"other settings.*seed"):
        list(collect(CollectConfig(3, 6, "calm_cruise", least_s=1.0, most_s=1.5), tmp_path))


def test_ctrl_c_stops_the_workers_and_keeps_what_is_recorded(
    env: gymnasium.Env[Any, Any], tmp_path: Path
) -> None:
    command = (
        "collect --set s --episodes 500 --scenario calm_cruise --workers 1 --least-s 1 --most-s 2"
    )
    # started in the background, a shell's jobs ignore SIGINT, and so would this one
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    code += "from simulator.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *command.split(), "--output", str(tmp_path), "--no-classes"],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob("s/0*/meta.json")) and time.monotonic() < deadline:
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: parent and workers
        told, _ = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 0
    episodes = episode_paths(tmp_path / "s")
    assert f"{len(episodes)} episodes" in told or f"{len(episodes) - 1} episodes" in told
    assert read_episode(episodes[0]).frames().shape[1:] == (128, 256, 3)
    assert json.loads((tmp_path / "s" / "collect.json").read_text())["seed"] == 0
    assert not list((tmp_path / "s").glob(".*partial*"))


def test_contexts_are_eight_settled_frames(env: gymnasium.Env[Any, Any], tmp_path: Path) -> None:
    paths = list(record_contexts(tmp_path, ["calm_cruise"], count=2))
    assert [path.relative_to(tmp_path).as_posix() for path in paths] == [
        "calm_cruise/0",
        "calm_cruise/1",
    ]
    episode = read_episode(paths[0])
    assert len(episode) == 8
    assert episode.steps["time_s"][0] == pytest.approx(2.2)
    assert not np.isnan(episode.actions[:-1]).any()
    again = list(record_contexts(tmp_path, ["calm_cruise"], count=1))
    assert (
        read_episode(again[0]).steps["frame_hash"].tolist() == episode.steps["frame_hash"].tolist()
    )


def test_starts_are_cut_out_of_held_out_recordings(tmp_path: Path) -> None:
    write_drive(tmp_path / "set" / "0", [0.25] * 30)
    held_out = write_drive(tmp_path / "set" / "1", [0.25] * 30, split="val")
    paths = list(cut_contexts(tmp_path / "set", tmp_path / "starts", count=2))
    first, last = (read_episode(path) for path in paths)
    assert first.meta["cut_from"] == [held_out.name, 0]
    assert len(last) == 8
    row = last.meta["cut_from"][1]
    np.testing.assert_allclose(last.steps["speed_mps"], 10.0 + row + np.arange(8))
    assert "lane_offset_m" in last.meta["absent"]
    positions = [bar_position(frame) for frame in last.iterate_frames()]
    assert np.diff(positions).tolist() == [1] * 7
    with pytest.raises(RecordingError, match="places for a start"):
        list(cut_contexts(tmp_path / "set", tmp_path / "starts", count=9))
