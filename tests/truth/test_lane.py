"""Curves and lanes: projection is the inverse of position, exact and without memory."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.truth.lane import Curve, CurveLane
from simulator.truth.layout import winding


def winding_lane(seed: int = 3, length_m: float = 800.0) -> CurveLane:
    bends = winding(np.random.default_rng(seed), length_m, (70.0, 300.0))
    return CurveLane(Curve.from_curvature(bends, heading_rad=1.0), 3.5, 20.0)


def ring_lane(radius_m: float = 18.0) -> CurveLane:
    steps = round(radius_m * 1.2)
    curve = Curve.from_curvature(np.full(steps + 1, 1.0 / radius_m), 1.2 * radius_m / steps)
    return CurveLane(curve, 4.5, 8.0)


WINDING, RING = winding_lane(), ring_lane()


@pytest.mark.parametrize("lane", [WINDING, RING], ids=["winding", "ring"])
@settings(max_examples=200, deadline=None)
@given(share=st.floats(0.0, 1.0), offset=st.floats(-8.0, 8.0))
def test_projection_inverts_position(lane: CurveLane, share: float, offset: float) -> None:
    station = share * lane.length
    found_station, found_offset = lane.local_coordinates(lane.position(station, offset))
    assert found_station == pytest.approx(station, abs=0.08)
    assert found_offset == pytest.approx(offset, abs=0.02)


def test_points_far_away_project_onto_the_nearest_place() -> None:
    lane = WINDING
    rng = np.random.default_rng(0)
    for _ in range(50):
        point = lane.position(rng.uniform(100, 700), 0.0) + rng.uniform(-60, 60, 2)
        station, _ = lane.local_coordinates(point)
        station = min(max(station, 0.0), lane.length)
        found = np.hypot(*(lane.position(station, 0.0) - point))
        nearest = np.min(np.hypot(lane.curve.x_m - point[0], lane.curve.y_m - point[1]))
        assert found < nearest + 1.0


def test_projection_does_not_depend_on_what_was_asked_before() -> None:
    one, other = winding_lane(), winding_lane()
    points = [one.position(s, 2.0) for s in np.linspace(0, 700, 40)]
    forwards = [one.local_coordinates(p) for p in points]
    backwards = [other.local_coordinates(p) for p in reversed(points)]
    assert forwards == backwards[::-1]


def test_offset_is_positive_to_the_left() -> None:
    lane = CurveLane(Curve.from_curvature(np.zeros(50)), 3.5, 20.0)  # heads east
    assert lane.local_coordinates((10.0, 1.5)) == pytest.approx((10.0, 1.5))


def test_a_lane_goes_on_straight_beyond_its_ends() -> None:
    lane = RING
    for station in (-7.0, lane.length + 7.0):
        found = lane.local_coordinates(lane.position(station, 1.0))
        assert found == pytest.approx((station, 1.0), abs=1e-6)


def test_a_parallel_curve_keeps_its_distance() -> None:
    curve = WINDING.curve
    parallel = curve.offset(3.5)
    apart = np.hypot(parallel.x_m - curve.x_m, parallel.y_m - curve.y_m)
    assert np.allclose(apart, 3.5)
    steps = np.hypot(np.diff(parallel.x_m), np.diff(parallel.y_m))
    assert parallel.length_m == pytest.approx(steps.sum(), rel=1e-3)


def test_a_connecting_curve_joins_both_poses_smoothly() -> None:
    start, end = (0.0, 0.0, 0.3), (14.0, 12.0, 0.3 + math.pi / 2)
    curve = Curve.between(start, end, pull=1.17)
    assert curve.pose(0) == pytest.approx(start, abs=1e-9)
    assert curve.pose(-1) == pytest.approx(end, abs=1e-9)
    assert np.abs(np.diff(curve.heading_rad)).max() < 0.2


@pytest.mark.parametrize("seed", range(8))
def test_a_winding_road_keeps_its_radius_and_never_crosses_itself(seed: int) -> None:
    bends = winding(np.random.default_rng(seed), 3000.0, (70.0, 500.0))
    assert np.abs(bends).max() <= 1.0 / 70.0 + 1e-9
    curve = Curve.from_curvature(bends)
    assert np.all(np.diff(curve.x_m) > 0.0)  # always onwards
    assert np.abs(np.diff(bends)).max() < 0.002  # clothoids, no jumps
