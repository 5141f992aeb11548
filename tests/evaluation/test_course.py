"""A course is learned from a drive that went round it, and a drive is found on it."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from simulator.evaluation.course import Course, CourseError, driven, looks
from simulator.evaluation.laps import LapsConfig, measure_laps
from world_model.engine.base import EVENT_HEADS, STATE_HEADS

LAP_M = 600.0


def pictures(place_m) -> np.ndarray:
    """What is to be seen along a ring: smooth hills of a few frequencies, none like another."""
    rng = np.random.default_rng(0)
    waves = rng.integers(1, 12, (16, 32, 3))
    phases = rng.uniform(0, 6.28, (16, 32, 3))
    angle = np.asarray(place_m)[:, None, None, None] * 2 * np.pi / LAP_M
    small = 128 + 90 * np.sin(waves * angle + phases)
    return np.kron(small, np.ones((1, 4, 4, 1))).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def course() -> Course:
    speed = np.full(1900, 10.0)
    way = driven(speed)
    return Course(looks(pictures(way)), way)


def test_a_lap_is_the_way_between_places_that_look_alike(course):
    assert course.lap_m == pytest.approx(LAP_M, rel=0.01)


def test_a_drive_is_found_where_it_is_and_gets_round(course):
    speed = np.full(700, 12.0)
    way = 200.0 + driven(speed)
    went = course.follow(pictures(way), speed)
    off = (went.place_m - (200.0 + went.driven_m) + LAP_M / 2) % LAP_M - LAP_M / 2
    assert np.abs(off).max() < 12.0
    assert went.unbroken_m == pytest.approx(went.driven_m[-1], abs=8.0)
    assert went.laps > 1.3
    assert went.unlike.max() < 0.2


def test_who_is_elsewhere_all_at_once_did_not_get_round(course):
    speed = np.full(400, 12.0)
    way = driven(speed)
    way[200:] += 150.0
    went = course.follow(pictures(way), speed)
    assert 200.0 < went.unbroken_m < 260.0
    standing = course.follow(pictures(np.zeros(400)), speed)  # the picture stays, the car drives
    assert standing.unbroken_m == 0.0


def test_pictures_of_no_place_are_unlike_all(course):
    noise = np.random.default_rng(1).integers(0, 255, (30, 64, 128, 3)).astype(np.uint8)
    assert course.follow(noise, np.full(30, 10.0)).unlike.min() > 0.5


def test_a_road_that_leads_nowhere_is_no_course():
    rng = np.random.default_rng(2)
    with pytest.raises(CourseError, match="no closed course"):
        Course(rng.normal(128, 40, (800, 64)).astype(np.float32), np.arange(800.0))
    with pytest.raises(CourseError, match="too short"):
        Course(rng.normal(128, 40, (50, 64)).astype(np.float32), np.arange(50.0))


def test_a_glance_is_too_short(course):
    with pytest.raises(ValueError, match="at least 20"):
        course.follow(pictures([0.0] * 5), np.zeros(5))


def write_cache(folder) -> None:
    """A recorded drive round the ring, twice and a bit, and a held-out one."""
    shards = []
    for name, split, count in (("0000", "train", 480), ("0001", "val", 220)):
        speed = np.full(count, 30.0, np.float32)
        state = np.full((count, len(STATE_HEADS)), np.nan, np.float32)
        state[:, 0] = speed
        np.save(folder / f"{name}.frames.npy", pictures(driven(speed)))
        np.savez(
            folder / f"{name}.steps.npz",
            action=np.zeros((count, 2), np.float32),
            state=state,
            events=np.zeros((count, len(EVENT_HEADS)), np.float32),
            episode=np.full(count, 100 * (split == "val")),
        )
        shards.append({"name": name, "split": split, "frames": count, "episodes": []})
    (folder / "index.json").write_text(json.dumps({"shards": shards}))


def test_a_dream_of_another_place_gets_nowhere_and_the_recorded_drive_gets_round(tmp_path):
    write_cache(tmp_path)
    steps = []
    config = LapsConfig("lake", str(tmp_path), "stand_still", drives=1, seconds=10)
    figures = measure_laps(config, tmp_path / "out", lambda: steps.append(1))
    assert len(steps) == 100
    assert json.loads((tmp_path / "out" / "laps.json").read_text()) == figures
    recorded, dreamed = figures["drives"]
    assert recorded["laps"] > 0.9
    assert recorded["unlike_median"] < 0.1
    assert dreamed["unlike_median"] > 0.5
    sheet = cv2.imread(str(tmp_path / "out" / "laps.png"))
    assert sheet.shape == (128, 12 * 256, 3)


def test_no_drive_is_refused():
    with pytest.raises(ValueError, match="at least 1 drive of 10 s"):
        LapsConfig(drives=0)
