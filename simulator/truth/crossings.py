"""Places where four roads meet: the roundabout and the four-way junction.

Four arms, counted counter-clockwise from the one the ego comes in on. Each arm has a way in, slower over
its last metres, and a way out; lanes that need the same ground are listed as conflicts.
"""

from __future__ import annotations

import math
from itertools import product

import numpy as np

from scenarios.schema import Scenario
from simulator.truth.lane import Curve, CurveLane
from simulator.truth.layout import (
    Crossing,
    LaneIndex,
    Layout,
    Way,
    centre_line,
    needed_length_m,
    two_way,
    winding,
)
from simulator.truth.scene import Line

ARMS = 4
SLOW_ZONE_M = 60
SLOW_MPS = 8.3
SIDE_ARM_M = 260.0
WAYS_OUT = {"right": 1, "ahead": 2, "left": 3}
"""The arm a route leaves by."""

_SAME_GROUND_M = 2.9


def _add_arms(
    layout: Layout, scenario: Scenario, from_centre_m: float, rng: np.random.Generator
) -> list[tuple[CurveLane, CurveLane]]:
    """Four arms around the origin; returns each arm's last lane in and first lane out."""
    out_by = WAYS_OUT[scenario.route]
    straight = rng.uniform(-math.pi, math.pi)
    inner: list[tuple[CurveLane, CurveLane]] = []
    for arm in range(ARMS):
        angle = straight + arm * math.tau / ARMS
        length_m = SIDE_ARM_M
        if arm == 0:
            length_m = scenario.start.station_m + SLOW_ZONE_M + 70.0
        elif arm == out_by:
            length_m = needed_length_m(scenario)
        bends = winding(
            rng, length_m, scenario.road.radius_m, (0.1, 0.4), first_straight_m=80.0, wander_rad=0.3
        )
        x, y = from_centre_m * math.cos(angle), from_centre_m * math.sin(angle)
        curve = Curve.from_curvature(bends, 1.0, x, y, angle)
        near, far = curve.cut(0, SLOW_ZONE_M), curve.cut(SLOW_ZONE_M, len(curve.s_m) - 1)
        centre = centre_line(scenario, rng)
        (out_far,), (in_far,) = two_way(far, scenario.road, centre)
        (out_near,), (in_near,) = two_way(near, scenario.road, Line.DOUBLE)
        in_near.speed_limit = min(in_near.speed_limit, SLOW_MPS)
        layout.add(f"far {arm}", f"slow {arm}", in_far)
        layout.add(f"slow {arm}", f"in {arm}", in_near)
        layout.add(f"out {arm}", f"leaving {arm}", out_near)
        layout.add(f"leaving {arm}", f"away {arm}", out_far)
        inner.append((in_near, out_near))
    return inner


def _route(scenario: Scenario, between: list[tuple[str, str]]) -> list[tuple[str, str]]:
    out_by = WAYS_OUT[scenario.route]
    way_in = [("far 0", "slow 0"), ("slow 0", "in 0")]
    way_out = [(f"out {out_by}", f"leaving {out_by}"), (f"leaving {out_by}", f"away {out_by}")]
    return way_in + between + way_out


def junction(scenario: Scenario, rng: np.random.Generator) -> Layout:
    """A four-way junction; the ego's road has the right of way."""
    layout = Layout()
    width = scenario.road.lane_width_m
    arms = _add_arms(layout, scenario, 9.0 + width, rng)
    out_by = WAYS_OUT[scenario.route]
    layout.route = _route(scenario, [("in 0", f"out {out_by}")])
    ways: dict[LaneIndex, Way] = {}
    for start, turn in product(range(ARMS), (1, 2, 3)):
        end = (start + turn) % ARMS
        curve = Curve.between(arms[start][0].curve.pose(-1), arms[end][1].curve.pose(0), pull=1.17)
        limit = min(scenario.road.speed_limit_mps, SLOW_MPS)
        layout.add(f"in {start}", f"out {end}", CurveLane(curve, width, limit))
        main_road, left = start in (0, 2), turn == 3
        rank = (0 if main_road else 2) + left
        ways[f"in {start}", f"out {end}", 0] = Way(0.0, curve.length_m, rank)
    conflicts = {
        (one, other)
        for one, other in product(ways, ways)
        if one[0] != other[0] and _meet(layout.lanes[one], layout.lanes[other])
    }
    layout.crossings.append(Crossing(ways, frozenset(conflicts)))
    return layout


def _meet(one: CurveLane, other: CurveLane) -> bool:
    dx = one.curve.x_m[:, None] - other.curve.x_m[None, :]
    dy = one.curve.y_m[:, None] - other.curve.y_m[None, :]
    return bool(np.min(np.hypot(dx, dy)) < _SAME_GROUND_M)


def roundabout(scenario: Scenario, rng: np.random.Generator) -> Layout:
    """A ring driven counter-clockwise; who is in it goes first."""
    layout = Layout()
    radius_m, ring_width_m = float(rng.uniform(17.0, 24.0)), 4.6
    arms = _add_arms(layout, scenario, radius_m + 20.0, rng)
    _, _, first_heading = arms[0][1].curve.pose(0)
    aside = math.radians(33.0)  # between an arm and the points where its lanes touch the ring
    limit = min(scenario.road.speed_limit_mps, SLOW_MPS)

    def arc(start_rad: float, end_rad: float) -> CurveLane:
        length_m = (end_rad - start_rad) * radius_m
        steps = max(round(length_m), 4)
        curve = Curve.from_curvature(
            np.full(steps + 1, 1.0 / radius_m),
            length_m / steps,
            radius_m * math.cos(start_rad),
            radius_m * math.sin(start_rad),
            start_rad + math.pi / 2,
        )
        return CurveLane(curve, ring_width_m, limit, left_line=Line.SOLID)

    for arm, (way_in, way_out) in enumerate(arms):
        angle = first_heading + arm * math.tau / ARMS
        after = (arm + 1) % ARMS
        mouth = arc(angle - aside, angle + aside)
        between = arc(angle + aside, angle + math.tau / ARMS - aside)
        between.right_line = Line.SOLID
        layout.add(f"leave {arm}", f"enter {arm}", mouth)
        layout.add(f"enter {arm}", f"leave {after}", between)
        inwards = Curve.between(way_in.curve.pose(-1), mouth.curve.pose(-1), pull=1.05)
        outwards = Curve.between(mouth.curve.pose(0), way_out.curve.pose(0), pull=1.05)
        width = scenario.road.lane_width_m
        edge = Line.SOLID
        layout.add(f"in {arm}", f"enter {arm}", CurveLane(inwards, width, limit, right_line=edge))
        layout.add(f"leave {arm}", f"out {arm}", CurveLane(outwards, width, limit, right_line=edge))
        ring, entry = (f"leave {arm}", f"enter {arm}", 0), (f"in {arm}", f"enter {arm}", 0)
        ways = {
            ring: Way(0.0, mouth.length + 5.0, rank=0),
            entry: Way(max(inwards.length_m - 14.0, 0.0), inwards.length_m + 5.0, rank=1),
        }
        layout.crossings.append(Crossing(ways, frozenset({(ring, entry), (entry, ring)})))

    passed = range(1, WAYS_OUT[scenario.route])
    between_edges = [("in 0", "enter 0"), ("enter 0", "leave 1")]
    for arm in passed:
        between_edges += [(f"leave {arm}", f"enter {arm}"), (f"enter {arm}", f"leave {arm + 1}")]
    out_by = WAYS_OUT[scenario.route]
    layout.route = _route(scenario, [*between_edges, (f"leave {out_by}", f"out {out_by}")])
    return layout
