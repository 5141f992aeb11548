"""The importers, on small data sets of the same form."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from simulator.recording.episode import RecordingError, iterate_episodes
from simulator.recording.importers.udacity import HIGHWAY, LAKE, Source, import_drives


def make_source(
    folder: Path, shape: tuple[int, int], rows: list[dict[str, float]], shards: int = 2
) -> Path:
    """A data set whose frame n is plain grey of brightness 3n (as JPEG, a shard each half)."""
    folder.mkdir(parents=True)
    with (folder / "actions.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    for number, part in enumerate(np.array_split(np.arange(len(rows)), shards)):
        jpegs = [
            cv2.imencode(".jpg", np.full((*shape, 3), 3 * n, np.uint8))[1].ravel() for n in part
        ]
        np.savez(
            folder / f"frames_{number:02d}.npz",
            jpeg=np.concatenate(jpegs),
            offset=np.cumsum([0, *map(len, jpegs)]),
            frame=part.astype(np.int32),
            shape=np.array([*shape, 3], np.int32),
        )
    return folder


def highway(folder: Path, count: int = 80) -> Path:
    rows = [
        {
            "frame": n,
            "segment": 0 if n < 40 else 1,
            "time_s": 0.05 * n + (0 if n < 40 else 100),
            "steering": 0.1 * n,
            "speed": 20.0,
            "accel": -4.0 if n % 4 < 2 else 1.75,
        }
        for n in range(count)
    ]
    return make_source(folder, (128, 256), rows)


def lake(folder: Path, steering: list[float] | None = None) -> Path:
    rows = [
        {
            "frame": n,
            "segment": 0,
            "time_s": 0.1 * n,
            "steering": steering[n] if steering else 0.5,
            "speed": 10.0,
            "throttle": 0.75,
            "brake": 0.25,
        }
        for n in range(20)
    ]
    return make_source(folder, (96, 192), rows)


def test_highway_becomes_two_phases_at_10_hz_that_stay_within_segments(tmp_path: Path) -> None:
    import_drives(HIGHWAY, highway(tmp_path / "raw"), tmp_path / "out")
    episodes = list(iterate_episodes(tmp_path / "out"))
    seen = []
    for episode in episodes:
        brightness = [float(frame.mean()) / 3 for frame in episode.iterate_frames()]
        numbers = np.round(brightness).astype(int)
        np.testing.assert_array_equal(np.diff(numbers), 2)
        assert (numbers >= 40).all() if episode.meta["segment"] else (numbers < 40).all()
        assert episode.meta["source_rows"] == [numbers[0], numbers[-1]]
        np.testing.assert_allclose(np.diff(episode.steps["time_s"]), 0.1)
        seen.extend(numbers)
    assert sorted(seen) == list(range(80))


def test_highway_steering_is_the_mean_until_the_next_frame_at_the_road_wheel(
    tmp_path: Path,
) -> None:
    import_drives(HIGHWAY, highway(tmp_path / "raw"), tmp_path / "out")
    episode = next(iterate_episodes(tmp_path / "out"))
    wheel = 0.1 * (np.arange(len(episode) - 1) * 2 + 0.5)
    np.testing.assert_allclose(episode.actions[:-1, 0], wheel / 14.8 / 0.5, rtol=1e-5)
    np.testing.assert_allclose(episode.actions[:4, 1], [-0.5, 0.5, -0.5, 0.5], rtol=1e-5)
    yaw_rate = 20.0 * np.tan(0.2 * np.arange(len(episode)) / 14.8) / 2.8
    np.testing.assert_allclose(episode.steps["yaw_rate_radps"], yaw_rate)
    assert "yaw_rate_radps" in episode.meta["derived"]
    assert "MIT" in episode.meta["licence"]
    assert {"lane_offset_m", "collision", "offroad"} <= set(episode.meta["absent"])


def test_the_last_tenth_of_each_segment_is_held_out_in_both_phases(tmp_path: Path) -> None:
    import_drives(HIGHWAY, highway(tmp_path / "raw"), tmp_path / "out")
    held_out = [
        e.meta["source_rows"]
        for e in iterate_episodes(tmp_path / "out")
        if e.meta["split"] == "val"
    ]
    assert sorted(held_out) == [[36, 38], [37, 39], [76, 78], [77, 79]]


def test_lake_turns_the_sign_of_steering_and_enlarges_the_frames(tmp_path: Path) -> None:
    import_drives(LAKE, lake(tmp_path / "raw"), tmp_path / "out")
    episode = next(iterate_episodes(tmp_path / "out"))
    np.testing.assert_allclose(episode.actions[:-1, 0], -0.5 * np.deg2rad(25) / 0.5, rtol=1e-5)
    np.testing.assert_allclose(episode.actions[:-1, 1], 0.5)
    np.testing.assert_allclose(episode.steps["speed_mps"], 4.4704)
    assert episode.frames().shape[1:] == (128, 256, 3)


def test_the_lakes_car_turns_by_the_commands_before_a_frame(tmp_path: Path) -> None:
    raw = lake(tmp_path / "raw", steering=[0.0] * 5 + [-1.0] * 15)
    import_drives(LAKE, raw, tmp_path / "out")
    episode = next(iterate_episodes(tmp_path / "out"))
    full_lock_radps = 4.4704 * np.tan(np.deg2rad(25)) / 2.8
    told = episode.steps["yaw_rate_radps"] / full_lock_radps
    np.testing.assert_allclose(told[:6], 0.0)  # frame 5 is taken as the command is given
    assert 0.4 < told[6] < 0.5 < told[7] < told[8] < told[-1] < 1.0001


def test_an_interrupted_import_goes_on(tmp_path: Path) -> None:
    raw, out = highway(tmp_path / "raw"), tmp_path / "out"
    first = import_drives(HIGHWAY, raw, out)
    shutil.rmtree(first[-1])
    written: list[int] = []
    assert import_drives(HIGHWAY, raw, out, written.append) == first
    assert len(written) == 1


@pytest.mark.parametrize("source", [HIGHWAY, LAKE])
def test_a_wrong_folder_is_explained(tmp_path: Path, source: Source) -> None:
    with pytest.raises(RecordingError, match=r"actions.csv doesn't exist: give the unpacked"):
        import_drives(source, tmp_path, tmp_path / "out")
    raw = lake(tmp_path / "raw") if source is HIGHWAY else highway(tmp_path / "raw")
    with pytest.raises(RecordingError, match="expected numbers in columns"):
        import_drives(source, raw, tmp_path / "out")


def write_log(folder: Path, times_s: list[float], header: bool, missing: int | None = None) -> Path:
    """As the simulator writes it on a Windows machine; picture n is plain grey of brightness 3n."""
    (folder / "IMG").mkdir(parents=True)
    lines = ["center,left,right,steering,throttle,brake,speed"] * header
    for n, time_s in enumerate(times_s):
        whole, thousandths = divmod(round(1000 * time_s), 1000)
        name = f"center_2016_12_01_13_30_{whole:02d}_{thousandths:03d}.jpg"
        if n != missing:
            picture = np.full((160, 320, 3), 3 * n, np.uint8)
            cv2.imwrite(str(folder / "IMG" / name), picture)
        lines.append(f"C:\\drives\\IMG\\{name}, left.jpg, right.jpg, 0.5, 0.75, 0.25, 10.0")
    (folder / "driving_log.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.mark.parametrize("header", [True, False])
def test_a_log_of_the_simulator_is_read_as_it_is(tmp_path: Path, header: bool) -> None:
    times = [*np.arange(0.0, 2.0, 0.1), *np.arange(10.0, 11.0, 0.05)]  # a pause, then twice as fast
    written = import_drives(LAKE, write_log(tmp_path / "raw", times, header), tmp_path, name="mine")
    episodes = list(iterate_episodes(tmp_path / "mine"))
    assert len(episodes) == len(written)
    first = [e for e in episodes if e.meta["segment"] == 0]
    seen = [float(f.mean()) / 3 for e in first for f in e.iterate_frames()]
    np.testing.assert_allclose(sorted(seen), np.arange(20), atol=0.4)
    second = [e for e in episodes if e.meta["segment"] == 1]
    numbers = sorted(float(f.mean()) / 3 for e in second for f in e.iterate_frames())
    np.testing.assert_allclose(np.diff(numbers), 2, atol=0.5)  # every other one
    np.testing.assert_allclose(episodes[0].actions[:-1, 0], -0.5 * np.deg2rad(25) / 0.5, rtol=1e-5)
    np.testing.assert_allclose(episodes[0].steps["speed_mps"], 4.4704)
    assert episodes[0].meta["set"] == "mine"
    assert "driver's" in episodes[0].meta["licence"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace("center_2016_12_01", "center"), "doesn't say when"),
        (lambda text: text.replace("0.75", "much"), "expected numbers"),
        (lambda text: text.replace(", 10.0", ""), "expected the columns"),
        (lambda text: text.splitlines()[0], "expected a drive"),
    ],
)
def test_a_log_that_can_not_be_read_says_why(tmp_path: Path, change, words: str) -> None:
    folder = write_log(tmp_path / "raw", [0.0, 0.1, 0.2], header=True)
    file = folder / "driving_log.csv"
    file.write_text(change(file.read_text()))
    with pytest.raises(RecordingError, match=words):
        import_drives(LAKE, folder, tmp_path / "out")


def test_a_picture_that_is_missing_is_named(tmp_path: Path) -> None:
    folder = write_log(tmp_path / "raw", [0.1 * n for n in range(12)], True, missing=3)
    with pytest.raises(RecordingError, match=r"00_300\.jpg is missing"):
        import_drives(LAKE, folder, tmp_path / "out")
