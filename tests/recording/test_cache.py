"""The frame cache, and the order of frames and actions that everything trained depends on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from bar_drives import bar_position, moves, write_drive
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulator.recording import cache as cache_module
from simulator.recording.cache import FrameCache, build_cache
from simulator.recording.episode import RecordingError
from simulator.recording.windows import window_starts
from world_model.engine.base import EVENT_HEADS, STATE_HEADS

steers = st.lists(
    st.sampled_from([-1.0, -0.5, -0.25, 0.25, 0.5, 0.75, 1.0]), min_size=3, max_size=12
)


@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(drives=st.lists(steers, min_size=1, max_size=3))
def test_frame_after_action_is_the_one_the_action_made(
    drives: list[list[float]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("drives")
    for number, drive in enumerate(drives):
        write_drive(root / "set" / f"{number:04d}", drive, start=5 * number)
    cache = build_cache(root / "set", root / "cache", "train")
    windows = cache.windows(2)
    assert len(windows) == sum(len(drive) for drive in drives)
    for number, row in windows:
        shard = cache.shards[number]
        moved = bar_position(shard.frames[row + 1]) - bar_position(shard.frames[row])
        assert (moved - moves(shard.action[row, 0])) % 32 == 0
        speed = shard.state[row : row + 2, STATE_HEADS.index("speed_mps")]
        assert speed[1] == speed[0] + 1.0


@pytest.mark.parametrize("shift", [-1, 1])
def test_actions_shifted_by_one_do_not_explain_the_frames(tmp_path: Path, shift: int) -> None:
    rng = np.random.default_rng(0)
    write_drive(tmp_path / "set" / "0", rng.choice([-1.0, -0.5, 0.5, 1.0], 40).tolist())
    shard = build_cache(tmp_path / "set", tmp_path / "cache", "train").shards[0]
    moved = np.diff([bar_position(frame) for frame in shard.frames])
    wrapped = (moved + 16) % 32 - 16
    given = np.round(shard.action[:-1, 0] * 4)
    assert (wrapped == given).all()
    assert np.corrcoef(wrapped[2:-2], np.roll(given, shift)[2:-2])[0, 1] < 0.5


def test_columns_are_in_the_order_of_the_engine_heads(tmp_path: Path, drive: Path) -> None:
    assert cache_module.STATE_COLUMNS == STATE_HEADS
    assert cache_module.EVENT_COLUMNS == EVENT_HEADS
    shard = build_cache(drive.parent, tmp_path / "cache", "train").shards[0]
    assert shard.classes is not None
    assert shard.classes.shape == (6, 64, 128)
    assert np.isnan(shard.action[-1]).all()
    assert np.isnan(shard.state[:, STATE_HEADS.index("lane_offset_m")]).all()
    assert np.isnan(shard.events[:, EVENT_HEADS.index("offroad")]).all()
    np.testing.assert_array_equal(shard.events[:, EVENT_HEADS.index("collision")], 0.0)


def test_later_drives_are_appended_and_nothing_is_decoded_twice(tmp_path: Path) -> None:
    root, cache_dir = tmp_path / "set", tmp_path / "cache"
    write_drive(root / "0", [0.5, 0.5])
    decoded: list[int] = []
    first = build_cache(root, cache_dir, "train", decoded.append)
    again = build_cache(root, cache_dir, "train", decoded.append)
    assert decoded == [3]
    assert again.fingerprint == first.fingerprint
    write_drive(root / "1", [0.5] * 4)
    grown = build_cache(root, cache_dir, "train", decoded.append)
    assert decoded == [3, 5]
    assert grown.fingerprint != first.fingerprint
    assert [shard.episode[0] for shard in grown.shards] == [0, 1]
    assert len(grown) == 8


def test_drives_that_moved_are_the_same_drives(tmp_path: Path) -> None:
    write_drive(tmp_path / "old" / "set" / "0", [0.5, 0.5])
    before = build_cache(tmp_path / "old" / "set", tmp_path / "cache", "train")
    (tmp_path / "old").rename(tmp_path / "new")
    write_drive(tmp_path / "new" / "set" / "1", [0.5, -0.5])
    after = build_cache(tmp_path / "new" / "set", tmp_path / "cache", "train")
    counts = [sum(len(shard.frames) for shard in cache.shards) for cache in (before, after)]
    assert counts[1] == 2 * counts[0]
    index = json.loads((tmp_path / "cache" / "index.json").read_text())
    paths = [e["path"] for shard in index["shards"] for e in shard["episodes"]]
    assert paths == [str(tmp_path / "new" / "set" / name) for name in "01"]


def test_splits_and_masks_never_share_a_shard(tmp_path: Path) -> None:
    root, cache_dir = tmp_path / "set", tmp_path / "cache"
    write_drive(root / "0", [0.5, 0.5])
    write_drive(root / "1", [0.5, 0.5], classes=True)
    write_drive(root / "2", [0.5] * 5, split="val")
    train = build_cache(root, cache_dir)
    assert sorted(shard.classes is None for shard in train.shards) == [False, True]
    assert len(FrameCache(cache_dir, "val")) == 6
    assert {0, 1, 2} == {
        int(shard.episode[0])
        for split in ("train", "val")
        for shard in FrameCache(cache_dir, split).shards
    }


def test_shards_are_cut_at_drives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "FRAMES_PER_SHARD", 7)
    for number in range(3):
        write_drive(tmp_path / "set" / str(number), [0.5, 0.5])
    cache = build_cache(tmp_path / "set", tmp_path / "cache", "train")
    assert [len(shard.frames) for shard in cache.shards] == [6, 3]


def test_a_drive_that_changed_is_refused(tmp_path: Path, drive: Path) -> None:
    build_cache(drive.parent, tmp_path / "cache", "train")
    meta = json.loads((drive / "meta.json").read_text())
    (drive / "meta.json").write_text(json.dumps({**meta, "seed": 8}))
    with pytest.raises(RecordingError, match="changed since it was cached"):
        build_cache(drive.parent, tmp_path / "cache", "train")


def test_a_newer_or_missing_cache_is_refused(tmp_path: Path, drive: Path) -> None:
    with pytest.raises(RecordingError, match="build the cache again"):
        FrameCache(tmp_path / "nowhere", "train")
    build_cache(drive.parent, tmp_path / "cache", "train")
    index = json.loads((tmp_path / "cache" / "index.json").read_text())
    (tmp_path / "cache" / "index.json").write_text(json.dumps({**index, "version": 2}))
    with pytest.raises(RecordingError, match="version 2, this program reads 1"):
        FrameCache(tmp_path / "cache", "train")


def test_windows_never_cross_drives_or_gaps() -> None:
    episode = np.array([0, 0, 0, 1, 1, 1, 1])
    step = np.array([0, 1, 2, 0, 1, 5, 6])
    assert window_starts(episode, step, 1).tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert window_starts(episode, step, 2).tolist() == [0, 1, 3, 5]
    assert window_starts(episode, step, 3).tolist() == [0]
    assert window_starts(episode, step, 9).tolist() == []
