"""The demo drives for the promised number of frames and leaves three files that agree."""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from simulator.demo import DemoConfig, demo, drive, summarise

FILES = ("drive.mp4", "contact_sheet.png", "summary.json")


def check_files(folder: Path, frames: int) -> dict:
    assert sorted(p.name for p in folder.iterdir()) == sorted(FILES)
    with av.open(str(folder / "drive.mp4"), "r") as video:
        pictures = [p.to_ndarray(format="rgb24") for p in video.decode(video=0)]
    assert len(pictures) == frames
    assert pictures[-1].std() > 5  # a picture, not a blank
    assert Image.open(folder / "contact_sheet.png").size == (5 * 256, 4 * 128)
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["frames"] == frames
    assert summary["steps_per_s"] > 0
    return summary


def test_the_reference_world_can_be_driven(tmp_path):
    demo(["env=truth", "frames=25", f"out={tmp_path}"])
    check_files(tmp_path, 25)


def test_a_dream_can_be_driven(town, tmp_path):
    demo([f"world_model={town}", "frames=25", f"out={tmp_path}"])
    summary = check_files(tmp_path, 25)
    assert summary["mean_surprise"] > 0


def test_the_same_seed_ends_in_the_same_frame():
    config = DemoConfig(env="truth", frames=12, seed=5)
    first, second = drive(config), drive(config)
    np.testing.assert_array_equal(first.frames[-1], second.frames[-1])
    hashes = [summarise(config, result)["last_frame_hash"] for result in (first, second)]
    assert hashes[0] == hashes[1]


def test_an_episode_that_ends_is_followed_by_the_next_seed(monkeypatch):
    import agents.lane_keeper

    class HardLeft:
        def reset(self, seed: int | None = None) -> None: ...

        def act(self, observation: object, info: object) -> np.ndarray:
            return np.array([1.0, 1.0], np.float32)

    monkeypatch.setattr(agents.lane_keeper, "LaneKeeper", HardLeft)
    result = drive(DemoConfig(env="truth", frames=150))
    assert result.episodes == len(result.endings) + 1
    assert result.episodes >= 2
    assert len(result.frames) == 150


@pytest.mark.parametrize("wrong", [{"env": "moon"}, {"frames": 1}])
def test_a_wrong_value_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        DemoConfig(**wrong)
