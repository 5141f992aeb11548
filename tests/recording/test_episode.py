"""The episode format, through its writer and reader."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
from bar_drives import META, bar_frame, bar_position, write_drive

from simulator.ego import EgoState
from simulator.recording.classes import shrink_classes
from simulator.recording.episode import (
    EpisodeWriter,
    RecordingError,
    episode_paths,
    frame_hash,
    iterate_episodes,
    read_episode,
)


def read_everything(path: Path) -> None:
    episode = read_episode(path)
    episode.frames()
    episode.classes()


def test_a_drive_reads_back_as_it_was_written(drive: Path) -> None:
    episode = read_episode(drive)
    assert len(episode) == 6
    assert episode.meta["seed"] == 7
    np.testing.assert_allclose(episode.actions[:5, 0], [0.5, -0.25, 1.0, 0.0, -1.0])
    np.testing.assert_allclose(episode.steps["reward"], range(6))
    np.testing.assert_allclose(episode.steps["time_s"], np.arange(6) * 0.1)
    np.testing.assert_allclose(episode.steps["reward_progress"], 0.5)
    assert [bar_position(frame) for frame in episode.iterate_frames()] == [3, 5, 4, 8, 8, 4]
    classes = episode.classes()
    assert classes is not None
    assert classes.shape == (6, 64, 128)
    assert classes[5, 0, 0] == 5


def test_the_last_frame_has_no_action(drive: Path) -> None:
    assert np.isnan(read_episode(drive).actions[-1]).all()


def test_labels_that_the_source_lacks_are_nan_and_listed(drive: Path) -> None:
    episode = read_episode(drive)
    assert np.isnan(episode.steps["lane_offset_m"]).all()
    assert "lane_offset_m" in episode.meta["absent"]
    assert "speed_mps" not in episode.meta["absent"]
    np.testing.assert_array_equal(episode.steps["collision"], 0.0)


def test_an_ego_state_fills_every_label(tmp_path: Path) -> None:
    ego = EgoState(1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, True, False)
    with EpisodeWriter(tmp_path / "e", META) as writer:
        writer.add(bar_frame(0), np.zeros(2), state=ego)
        writer.add(bar_frame(0), None, state=ego)
    episode = read_episode(tmp_path / "e")
    assert episode.meta["absent"] == []
    assert episode.steps["lead_distance_m"][0] == 6.0
    assert episode.steps["collision"][1] == 1.0
    assert episode.steps["offroad"][1] == 0.0


def test_frame_hashes_are_those_of_the_raw_frames(drive: Path) -> None:
    assert read_episode(drive).steps["frame_hash"][1] == frame_hash(bar_frame(5))


def test_video_keeps_colours_of_textured_frames(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (16, 32, 3)).astype(np.uint8)
    frame = coarse.repeat(8, axis=0).repeat(8, axis=1)
    with EpisodeWriter(tmp_path / "e", META) as writer:
        for _ in range(4):
            writer.add(frame, np.zeros(2), state={})
        writer.add(frame, None, state={})
    error = read_episode(tmp_path / "e").frames().astype(float) - frame
    assert 10 * np.log10(255**2 / (error**2).mean()) > 35.0
    assert np.abs(error.mean(axis=(0, 1, 2))).max() < 0.5


def test_thin_classes_survive_halving() -> None:
    mask = np.full((128, 256), 2, np.uint8)  # road
    mask[10, 20], mask[31, 41], mask[51, 60] = 3, 4, 7  # line, vehicle, post: one pixel each
    small = shrink_classes(mask)
    assert (small[5, 10], small[15, 20], small[25, 30]) == (3, 4, 7)
    assert (small == 2).sum() == small.size - 3


def test_an_exception_while_recording_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="expected two numbers"):
        write_drive(tmp_path / "e", [0.5, 0.5, float("nan")])
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_discards_this_episode_and_keeps_the_others(
    drive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        RecordingError, match=r"disk full.*earlier ones are intact.*free some space"
    ):
        write_drive(drive.parent / "0001", [0.0])
    monkeypatch.undo()
    assert list(drive.parent.iterdir()) == [drive]
    assert read_episode(drive).frames().shape == (6, 128, 256, 3)


@pytest.mark.parametrize("name", ["camera.mp4", "steps.parquet", "classes.npz"])
def test_a_truncated_file_is_refused_by_name(drive: Path, name: str) -> None:
    file = drive / name
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(RecordingError, match=rf"{name} is damaged.*record it again"):
        read_everything(drive)


def test_a_missing_video_is_refused_by_name(drive: Path) -> None:
    (drive / "camera.mp4").unlink()
    with pytest.raises(RecordingError, match=r"camera.mp4 can't be read"):
        read_episode(drive).frames()


def test_damaged_meta_is_refused(drive: Path) -> None:
    (drive / "meta.json").write_text('{"schema": "dreamla')
    with pytest.raises(RecordingError, match=r"meta.json can't be read"):
        read_episode(drive)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 99}, "schema version 99.*reads 1"),
        ({"schema": "someone.else"}, "not a dreamlane.episode"),
    ],
)
def test_newer_and_foreign_recordings_are_refused(
    drive: Path, change: dict[str, object], message: str
) -> None:
    meta = json.loads((drive / "meta.json").read_text())
    (drive / "meta.json").write_text(json.dumps({**meta, **change}))
    with pytest.raises(RecordingError, match=message):
        read_episode(drive)


def test_something_else_is_no_recording(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="not a recorded episode"):
        read_episode(tmp_path)


def test_existing_recordings_are_never_overwritten(drive: Path) -> None:
    with pytest.raises(RecordingError, match="exists already"):
        EpisodeWriter(drive, META)


def test_half_written_episodes_do_not_show(drive: Path) -> None:
    hidden = drive.parent / ".0001.partial-abc"
    hidden.mkdir()
    (hidden / "meta.json").write_text("{}")
    assert episode_paths(drive.parent) == [drive]
    assert [episode.path for episode in iterate_episodes(drive.parent)] == [drive]


def test_where_the_folder_lies_does_not_hide_its_episodes(
    drive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = drive.parent.parent / ".beside"
    beside.mkdir()
    monkeypatch.chdir(beside)
    there = Path("..") / drive.parent.name
    assert [path.resolve() for path in episode_paths(there)] == [drive.resolve()]
    assert episode_paths(drive) == [drive]


def test_misuse_is_explained(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="meta lacks"):
        EpisodeWriter(tmp_path / "e", {"source": "truth"})
    with pytest.raises(RecordingError, match="split is 'test'; accepted"):
        EpisodeWriter(tmp_path / "e", {**META, "split": "test"})
    writer = EpisodeWriter(tmp_path / "e", META)
    with pytest.raises(RecordingError, match=r"expected uint8 \(H, W, 3\)"):
        writer.add(np.zeros((128, 256), np.uint8), np.zeros(2), state={})
    with pytest.raises(RecordingError, match=r"expected two numbers in \[-1, 1\]"):
        writer.add(bar_frame(0), np.array([0.0, 1.5]), state={})
    writer.add(bar_frame(0), np.zeros(2), state={})
    with pytest.raises(RecordingError, match="an episode needs two"):
        writer.close()
    writer.add(bar_frame(1), np.zeros(2), state={})
    with pytest.raises(RecordingError, match="must be added with action=None"):
        writer.close()
    writer.add(bar_frame(2), None, state={})
    with pytest.raises(RecordingError, match="follows a frame without an action"):
        writer.add(bar_frame(3), None, state={})
