"""The reference camera, judged by its pictures: geometry, weather, classes, determinism, errors."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import moderngl
import numpy as np
import pytest
from numpy.typing import NDArray

from simulator.truth.camera import Camera, CameraConfig, CameraError
from simulator.truth.scene import (
    WEATHERS,
    Actors,
    Body,
    Hills,
    LaneStrip,
    Line,
    PixelClass,
    Scene,
    Scenery,
    View,
)

Picture = NDArray[np.uint8]
WHITE = (0.9, 0.9, 0.9)
LANE_WIDTH_M = 3.6


def straight_lane(offset_m: float, left: Line, right: Line, length_m: float = 400.0) -> LaneStrip:
    x = np.arange(-30.0, length_m, 2.0)
    points = np.stack([x, np.full_like(x, offset_m)], axis=1)
    return LaneStrip(points, np.zeros(len(x)), LANE_WIDTH_M, left, right)


def scene(
    weather: str = "day",
    seed: int = 1,
    scenery: Scenery | None = None,
    hills: Hills | None = None,
    lanes: tuple[LaneStrip, ...] | None = None,
) -> Scene:
    """A straight road to the east; the ego lane is centred on y = 0, the other one left of it."""
    if lanes is None:
        lanes = (
            straight_lane(LANE_WIDTH_M, Line.SOLID, Line.NONE),
            straight_lane(0.0, Line.DASHED, Line.SOLID),
        )
    return Scene(lanes, hills or Hills(), scenery or Scenery(), weather, seed)


def town(weather: str = "day", seed: int = 1) -> Scene:
    rng = np.random.default_rng(0)
    side = rng.choice([-1.0, 1.0], 150)
    trees = np.column_stack(
        [
            rng.uniform(0, 300, 150),
            side * rng.uniform(9, 50, 150),
            rng.uniform(4, 9, 150),
            rng.integers(0, 4, 150),
        ]
    )
    buildings = np.array([[40.0, 24, 0.1, 14, 10, 9, 0.2], [70, -22, 0.0, 12, 18, 12, 0.5]])
    posts = np.array([[x, side * 7.0] for x in range(12, 120, 25) for side in (-1, 1)], float)
    return scene(weather, seed, Scenery(trees, buildings, posts))


def view(
    cars: list[tuple[float, float, float, Body]] | None = None,
    braking: bool = False,
    x_m: float = 0.0,
    yaw_rad: float = 0.0,
    colour: tuple[float, float, float] = WHITE,
) -> View:
    cars = cars or []
    actors = Actors(
        np.array([car[:3] for car in cars], float).reshape(-1, 3),
        np.array([int(car[3]) for car in cars], np.int64),
        np.array([colour for _ in cars], float).reshape(-1, 3),
        np.full(len(cars), braking),
    )
    return View(x_m, 0.0, yaw_rad, 0.0, actors)


def digest(picture: Picture) -> str:
    return hashlib.sha256(picture.tobytes()).hexdigest()


def colours(picture: Picture) -> NDArray[np.int64]:
    return picture.astype(np.int64)


@pytest.fixture(scope="module")
def camera() -> Iterator[Camera]:
    try:
        made = Camera()
    except CameraError as error:
        pytest.skip(f"needs OpenGL through EGL: {error}")
    yield made
    made.close()


TRAFFIC = [(14.0, 0.0, 0.0, Body.CAR), (25.0, 3.6, np.pi, Body.TRUCK), (40.0, 0.0, 0.0, Body.VAN)]


def test_a_picture_is_128_by_256_rgb_and_a_fresh_array(camera: Camera) -> None:
    camera.load(town())
    first = camera.render(view())
    kept = first.copy()
    second = camera.render(view(x_m=50.0))
    assert first.shape == (128, 256, 3)
    assert first.dtype == np.uint8
    assert first.flags.c_contiguous
    assert not np.array_equal(first, second)
    assert np.array_equal(first, kept)


@pytest.mark.parametrize("weather", WEATHERS)
def test_equal_scenes_and_views_give_equal_pictures_whatever_was_drawn_before(
    camera: Camera, weather: str
) -> None:
    camera.load(town(weather))
    before = [camera.render(view(TRAFFIC, x_m=x)) for x in (0.0, 3.0)]
    mask = camera.classes(view(TRAFFIC))
    camera.load(scene("night", seed=9))
    camera.render(view(x_m=100.0))
    camera.load(town(weather))
    assert np.array_equal(camera.classes(view(TRAFFIC)), mask)
    after = [camera.render(view(TRAFFIC, x_m=x)) for x in (0.0, 3.0)]
    assert np.array_equal(before, after)


def test_another_process_draws_the_same_picture(camera: Camera) -> None:
    camera.load(town("rain"))
    script = (
        "from test_camera import *; camera = Camera(); camera.load(town('rain'));"
        "print(digest(camera.render(view(TRAFFIC))))"
    )
    other = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert other.stdout.strip() == digest(camera.render(view(TRAFFIC)))


def test_the_seed_varies_light_and_ground_but_not_the_classes(camera: Camera) -> None:
    pictures, masks = [], []
    for seed in range(4):
        camera.load(scene(seed=seed))
        pictures.append(digest(camera.render(view())))
        masks.append(camera.classes(view())[80:])  # far hills above are the seed's too
    assert len(set(pictures)) == 4
    assert all(np.array_equal(mask, masks[0]) for mask in masks)


def test_the_class_mask_shows_every_thing_at_its_place(camera: Camera) -> None:
    camera.load(town())
    mask = camera.classes(view([(14.0, 0.0, 0.0, Body.CAR)]))
    assert set(np.unique(mask)) == {int(kind) for kind in PixelClass}
    assert np.all(mask[0, 100:150] == PixelClass.SKY)
    assert np.all(mask[-1, 120:136] == PixelClass.ROAD)
    assert mask[70, 128] == PixelClass.VEHICLE


def test_a_car_appears_where_perspective_puts_it(camera: Camera) -> None:
    camera.load(scene())
    for ahead_m, left_m in ((20.0, 3.6), (20.0, -3.0), (40.0, 0.0)):
        mask = camera.classes(view([(ahead_m, left_m, 0.0, Body.CAR)]))
        rows, columns = np.nonzero(mask == PixelClass.VEHICLE)
        rear_m = ahead_m - 2.3 - camera.config.mount_forward_m
        focal_px = 128 / np.tan(np.radians(40.0))
        assert columns.mean() == pytest.approx(128 - focal_px * left_m / rear_m, abs=4.0)
        # The wheels stand on the road: the eye is 1.35 m higher and looks 0.02 rad down.
        assert rows.max() == pytest.approx(64 + focal_px * (1.35 / rear_m - 0.02), abs=2.0)


def test_the_horizon_is_level_on_flat_ground_and_rises_before_a_climb(camera: Camera) -> None:
    camera.load(scene())
    level = np.argmax(camera.classes(view())[:, 128] == PixelClass.ROAD)
    assert 59 <= level <= 64
    # The road falls away at x = 0 on the way to a trough at x = 100, then climbs from there.
    waves = np.zeros((3, 4))
    waves[0] = (5.0, 2 * np.pi / 400.0, 0.0, np.pi)
    camera.load(scene(hills=Hills(waves)))
    going_down = np.argmax(camera.classes(view())[:, 128] == PixelClass.ROAD)
    crest = np.argmax(camera.classes(view(x_m=270.0))[:, 128] == PixelClass.ROAD)
    assert going_down < level - 10
    assert crest > level + 3


def test_things_behind_or_far_away_are_not_drawn(camera: Camera) -> None:
    camera.load(scene())
    mask = camera.classes(view([(-12.0, 0.0, 0.0, Body.CAR), (900.0, 0.0, 0.0, Body.TRUCK)]))
    assert not np.any(mask == PixelClass.VEHICLE)


def test_turning_left_moves_the_road_to_the_right(camera: Camera) -> None:
    camera.load(scene())
    masks = [camera.classes(view(yaw_rad=yaw)) for yaw in (-0.2, 0.0, 0.2)]
    centres = [np.nonzero(mask[75] == PixelClass.ROAD)[0].mean() for mask in masks]
    assert centres[0] < centres[1] - 20
    assert centres[2] > centres[1] + 20


def line_share(camera: Camera, line: Line) -> float:
    """Share of rows that show paint where the ego lane's left line runs."""
    camera.load(scene(lanes=(straight_lane(0.0, line, Line.NONE),)))
    mask = camera.classes(view())
    return float(np.mean(np.any(mask[75:125, :120] == PixelClass.LINE, axis=1)))


def test_lines_are_absent_dashed_or_solid_as_the_lane_says(camera: Camera) -> None:
    assert line_share(camera, Line.NONE) == 0.0
    assert 0.1 < line_share(camera, Line.DASHED) < 0.8
    assert 0.1 < line_share(camera, Line.DASHED_YELLOW) < 0.8
    assert line_share(camera, Line.SOLID) > 0.95
    assert line_share(camera, Line.DOUBLE) > 0.95


def test_double_lines_are_two_and_yellow(camera: Camera) -> None:
    def bands(line: Line) -> tuple[int, NDArray[np.float64]]:
        camera.load(scene(lanes=(straight_lane(0.0, line, Line.NONE),)))
        picture, mask = camera.render_with_classes(view())
        painted = mask[105] == PixelClass.LINE
        starts = np.count_nonzero(np.diff(painted.astype(int)) == 1)
        return starts, picture[105][painted].mean(axis=0)

    count, colour = bands(Line.DOUBLE)
    assert count == 2
    assert colour[0] > colour[2] + 60
    count, colour = bands(Line.SOLID)
    assert count == 1
    assert abs(colour[0] - colour[2]) < 30


def test_a_lane_under_another_does_not_change_the_road(camera: Camera) -> None:
    # A crossing lane without paint: the same asphalt, so the picture stays, but for wheel tracks.
    across = LaneStrip(
        np.stack([np.full(11, 40.0), np.linspace(-1.7, 1.7, 11)], axis=1),
        np.full(11, np.pi / 2), 0.4, Line.NONE, Line.NONE,
    )  # fmt: skip
    lane = straight_lane(0.0, Line.SOLID, Line.SOLID)
    camera.load(scene(lanes=(lane,)))
    alone, mask = camera.render_with_classes(view())
    camera.load(scene(lanes=(across, lane)))
    crossed, crossed_mask = camera.render_with_classes(view())
    assert np.array_equal(mask, crossed_mask)
    assert np.abs(colours(alone) - colours(crossed)).max() < 30


@pytest.mark.parametrize("weather", WEATHERS)
@pytest.mark.parametrize("body", list(Body))
def test_brake_lights_are_visibly_brighter(camera: Camera, weather: str, body: Body) -> None:
    camera.load(scene(weather))
    for ahead_m in (12.0, 35.0):
        cars = [(ahead_m, 0.0, 0.0, body)]
        off = colours(camera.render(view(cars, braking=False)))
        on = colours(camera.render(view(cars, braking=True)))
        assert (on - off)[..., 0].max() > 80
        changed = np.abs(on - off).max(axis=2) > 20
        assert changed[:40].sum() == 0  # nothing but the car's rear changes


def test_headlights_show_at_night_on_oncoming_cars_only(camera: Camera) -> None:
    camera.load(scene("night"))
    empty = colours(camera.render(view()))
    oncoming = colours(camera.render(view([(60.0, 3.6, np.pi, Body.CAR)])))
    leading = colours(camera.render(view([(60.0, 3.6, 0.0, Body.CAR)])))
    blue = 2  # white light has it, tail lights have not
    assert (oncoming - empty)[..., blue].max() > 100
    assert (leading - empty)[..., blue].max() < 60


def test_each_weather_has_its_own_light(camera: Camera) -> None:
    pictures = {}
    for weather in WEATHERS:
        camera.load(town(weather))
        pictures[weather] = camera.render(view()).astype(float)
    sky = {weather: picture[:20].mean(axis=(0, 1)) for weather, picture in pictures.items()}
    assert sky["day"][2] > sky["day"][0] + 20  # blue
    assert np.ptp(sky["overcast"]) < 20  # grey
    assert sky["sunset"][0] > sky["day"][0] or sky["sunset"][2] < sky["day"][2] - 20
    assert sky["night"].mean() < 25
    brightness = {weather: picture.mean() for weather, picture in pictures.items()}
    assert brightness["night"] < brightness["rain"] < brightness["day"]
    contrast = {w: np.abs(np.diff(p[56:63], axis=1)).mean() for w, p in pictures.items()}
    assert contrast["fog"] < 0.6 * contrast["day"]  # far trees fade
    lit, unlit = pictures["night"][110, 128].mean(), pictures["night"][110, 4].mean()
    assert lit > unlit + 15  # the headlight cone


def test_the_class_mask_does_not_depend_on_the_weather(camera: Camera) -> None:
    masks = []
    for weather in WEATHERS:
        camera.load(town(weather))
        masks.append(camera.classes(view(TRAFFIC)))
    assert all(np.array_equal(mask, masks[0]) for mask in masks)


def test_the_sky_has_no_seam_in_any_direction(camera: Camera) -> None:
    camera.load(scene("overcast", lanes=()))
    for yaw in np.linspace(-np.pi, np.pi, 9):
        picture = colours(camera.render(view(yaw_rad=float(yaw))))
        assert np.abs(np.diff(picture[:40], axis=1)).max() < 40


def test_size_and_supersampling_are_configurable(camera: Camera) -> None:
    small = Camera(CameraConfig(height_px=64, width_px=128, supersampling=1.0))
    try:
        small.load(town())
        picture, mask = small.render_with_classes(view())
    finally:
        small.close()
    assert picture.shape == (64, 128, 3)
    assert mask.shape == (64, 128)
    camera.load(town())
    large = colours(camera.render(view())).reshape(64, 2, 128, 2, 3).mean(axis=(1, 3))
    assert np.abs(large - picture).mean() < 6.0


def test_loading_many_scenes_does_not_grow_memory(camera: Camera) -> None:
    def resident_mib() -> float:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * 4096 / 2**20

    if not Path("/proc/self/statm").exists():
        pytest.skip("needs /proc to read the memory in use")
    x = np.arange(0.0, 40_000.0, 1.0)
    lane = LaneStrip(
        np.stack([x, 0 * x], axis=1), np.zeros(len(x)), 3.6, Line.SOLID, Line.SOLID
    )  # about 12 MB of vertices and indices
    long_road = scene(lanes=(lane,))
    for _ in range(3):
        camera.load(long_road)
    before = resident_mib()
    for _ in range(12):
        camera.load(long_road)
    camera.load(scene())
    assert resident_mib() < before + 40


def test_several_cameras_in_one_process_do_not_disturb_each_other(camera: Camera) -> None:
    camera.load(town())
    alone = camera.render(view(TRAFFIC))
    other = Camera(CameraConfig(height_px=64, width_px=128))
    other.load(scene("night"))
    other.render(view())
    assert np.array_equal(camera.render(view(TRAFFIC)), alone)
    other.close()
    assert np.array_equal(camera.render(view(TRAFFIC)), alone)


def test_bad_input_is_refused_with_what_to_do(camera: Camera) -> None:
    with pytest.raises(ValueError, match=r"'snow'.*day, overcast"):
        camera.load(scene("snow"))
    lane = straight_lane(0.0, Line.SOLID, Line.SOLID)
    with pytest.raises(ValueError, match=r"lane 0.*need \(N, 2\)"):
        camera.load(scene(lanes=(replace(lane, heading_rad=np.zeros(3)),)))
    with pytest.raises(ValueError, match=r"waves.*\(3, 4\)"):
        camera.load(scene(hills=Hills(np.zeros((2, 4)))))
    camera.load(scene())
    with pytest.raises(ValueError, match="finite"):
        camera.render(view(x_m=float("nan")))
    broken = view([(10.0, 0.0, 0.0, Body.CAR)])
    with pytest.raises(ValueError, match="shapes"):
        camera.render(replace(broken, actors=replace(broken.actors, body=np.zeros(2, np.int64))))
    with pytest.raises(ValueError, match="bodies"):
        camera.render(replace(broken, actors=replace(broken.actors, body=np.array([7]))))
    with pytest.raises(ValueError, match="supersampling=9"):
        CameraConfig(supersampling=9)


def test_drawing_before_load_or_after_close_says_so(camera: Camera) -> None:
    other = Camera()
    with pytest.raises(CameraError, match="load"):
        other.render(view())
    other.close()
    other.close()
    with pytest.raises(CameraError, match="closed"):
        other.load(scene())


def test_missing_opengl_names_the_packages_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**settings: object) -> None:
        raise RuntimeError("libEGL.so not loaded")

    monkeypatch.setattr(moderngl, "create_context", refuse)
    with pytest.raises(CameraError, match=r"libegl1 libgl1-mesa-dri.*libEGL"):
        Camera()
