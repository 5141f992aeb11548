"""A re-run gives every frame again; where it doesn't, the first difference is named, and why."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ACTIONS, write_camera_drive
from toy_engine import ToyEngine

from simulator.demo import DemoConfig, drive
from simulator.recording.episode import Episode, RecordingError, episode_paths, read_episode
from simulator.replay.rerun import RerunError
from simulator.replay.verify import verify


class ElsewhereEngine(ToyEngine):
    """The same dream on another device, which rounds one colour differently from step 3 on."""

    device = "another place"

    def step(self, action_BA: Any, noise_BL: Any) -> Any:
        out = super().step(action_BA, noise_BL)
        out.frame_BHWC[:, -1, -1, 0] += np.uint8(self._state["age"][0] >= 3)
        return out


class SuccessorEngine(ToyEngine):
    """A later checkpoint."""

    checkpoint_hash = "toy-2"


def rewritten(episode: Episode, folder: Path, **changes: Any) -> Episode:
    """A copy of a recording whose meta.json says something else; None takes an entry away."""
    import json

    path = folder / "rewritten"
    shutil.copytree(episode.path, path)
    meta = {**episode.meta, **changes}
    kept = {key: value for key, value in meta.items() if value is not None}
    (path / "meta.json").write_text(json.dumps(kept))
    return read_episode(path)


def test_a_dream_comes_out_bit_for_bit(record_dream):
    found = verify(record_dream(), engine=ToyEngine(1))
    assert found.equal
    assert found.frames == len(ACTIONS) + 1


def test_a_dream_drawn_with_fewer_scales_is_drawn_so_again(record_dream):
    whole, softer = record_dream(), record_dream(scales=1)
    assert softer.meta["scales"] == 1
    assert "scales" not in whole.meta
    assert softer.steps["frame_hash"][1] != whole.steps["frame_hash"][1]
    assert verify(softer, engine=ToyEngine(1)).equal


def test_a_dream_carries_its_own_start(record_dream, tmp_path):
    episode = record_dream()
    shutil.rmtree(tmp_path / "contexts")
    assert verify(episode, engine=ToyEngine(1)).equal


def test_a_drive_in_the_reference_world_comes_out_bit_for_bit_and_a_changed_seed_does_not(tmp_path):
    drive(DemoConfig(env="truth", scenario="random", seed=3, frames=5, record=str(tmp_path)))
    episode = read_episode(episode_paths(tmp_path)[0])
    assert verify(episode).equal
    found = verify(rewritten(episode, tmp_path, seed=4)).difference
    assert found is not None
    assert found.step == 0
    assert found.expected == episode.steps["frame_hash"][0] != found.found
    assert found.grey_levels > 4
    assert "another scene from the first frame on" in found.reason or "scenario" in found.reason


def test_the_first_difference_is_named_with_the_conditions_that_changed(record_dream):
    episode = record_dream()
    found = verify(episode, engine=ElsewhereEngine(1)).difference
    assert found is not None
    assert found.step == 3
    assert found.time_s == 0.3
    assert found.expected == episode.steps["frame_hash"][3]
    assert "other renderer or device" in found.reason
    assert "another place" in found.reason


def test_one_wrong_action_shows_in_the_very_next_frame(record_dream):
    episode = record_dream()
    episode.steps["steer"][2] = 0.9  # not what was done
    found = verify(episode, engine=ToyEngine(1)).difference
    assert found is not None
    assert found.step == 3
    assert "actions" in found.reason


def test_a_dream_of_another_checkpoint_is_refused_with_both_hashes(record_dream):
    with pytest.raises(RerunError, match=r"toy-1.*toy-2.*--model"):
        verify(record_dream(), engine=SuccessorEngine(1))


def test_a_drive_by_a_real_car_is_refused_with_what_can_be_done_instead(tmp_path):
    with pytest.raises(RerunError, match=r"real car.*--through MODEL"):
        verify(read_episode(write_camera_drive(tmp_path / "real")))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"source": "truth", "environment": "dreamlane/Truth-v0", "seed": None}, "seed"),
        ({"source": "truth", "cut_from": ["a", 3], "environment": "x"}, "doesn't begin where"),
        ({"source": "truth", "environment": None}, "doesn't begin where"),
        ({"source": "dream", "environment": "dreamlane/Dream-v0"}, "lacks start.safetensors"),
        ({"source": "truth", "environment": "dreamlane/Dusk-v9", "seed": 1}, "can't make"),
        (
            {
                "source": "truth",
                "environment": "dreamlane/Truth-v0",
                "seed": 1,
                "reset_options": {"state": "not recorded"},
            },
            "saved state",
        ),
    ],
)
def test_a_recording_that_does_not_tell_its_start_says_what_it_lacks(tmp_path, change, said):
    episode = read_episode(write_camera_drive(tmp_path / "old"))
    with pytest.raises(RerunError, match=said):
        verify(rewritten(episode, tmp_path, **change))


def test_a_missing_action_is_refused(record_dream):
    episode = record_dream()
    episode.steps["accelerate"][1] = np.nan
    with pytest.raises(RerunError, match="step 1"):
        verify(episode, engine=ToyEngine(1))


def test_a_damaged_start_is_refused(record_dream):
    episode = record_dream()
    start = episode.path / "start.safetensors"
    start.write_bytes(start.read_bytes()[:-10])
    with pytest.raises(RecordingError, match=r"start\.safetensors is damaged"):
        verify(episode, engine=ToyEngine(1))
