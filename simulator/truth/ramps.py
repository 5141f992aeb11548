"""Highways with one slip road: traffic that comes in (merge) or turns off (exit).

The slip road runs beside the main road and slides into its rightmost lane (or out of it), so whoever
follows its centre line arrives on the main road (or leaves it) without a lane change.
"""

from __future__ import annotations

import math

import numpy as np

from scenarios.schema import Scenario
from simulator.truth.lane import Curve, CurveLane, Floats
from simulator.truth.layout import (
    Crossing,
    LaneIndex,
    Layout,
    Way,
    needed_length_m,
    side_by_side,
    winding,
)
from simulator.truth.scene import Line

TAPER_M = 100
BESIDE_M = 80
SLIP_M = 150
SIDE_BY_SIDE_M = TAPER_M + BESIDE_M  # where only a dashed line is between the two
RAMP_M = SIDE_BY_SIDE_M + SLIP_M
ASIDE_M = 40.0  # how far from the main road the slip road begins or ends


def _ease(length_m: int) -> Floats:
    """From 0 to 1 in nodes a metre apart, without a kink in curvature."""
    u = np.arange(length_m) / length_m
    return np.asarray(u**3 * (10.0 - 15.0 * u + 6.0 * u**2))


def _slip_offsets(lane_width_m: float) -> Floats:
    """Offset to the right of the rightmost lane, from the taper outwards, (RAMP_M + 1,)."""
    return np.concatenate(
        [
            lane_width_m * _ease(TAPER_M),
            np.full(BESIDE_M, lane_width_m),
            lane_width_m + ASIDE_M * _ease(SLIP_M),
            [lane_width_m + ASIDE_M],
        ]
    )


def _main_curve(scenario: Scenario, length_m: float, rng: np.random.Generator) -> Curve:
    curvature = winding(
        rng,
        length_m,
        scenario.road.radius_m,
        turn_rad=(0.08, 0.3),
        straight_m=(80.0, 250.0),
        wander_rad=0.3,
    )
    return Curve.from_curvature(curvature, heading_rad=rng.uniform(-math.pi, math.pi))


def _main_lanes(scenario: Scenario, curve: Curve, right_line: Line = Line.SOLID) -> list[CurveLane]:
    spec = scenario.road
    left_edge_m = spec.lanes * spec.lane_width_m / 2
    lanes = side_by_side(curve, spec.lanes, spec.lane_width_m, spec.speed_limit_mps, left_edge_m)
    lanes[0].left_line, lanes[-1].right_line = Line.SOLID, right_line
    return lanes


def merge(scenario: Scenario, rng: np.random.Generator) -> Layout:
    """A slip road joins from the right. Route "ramp" begins on it, "ahead" on the main road."""
    spec, on_ramp = scenario.road, scenario.route == "ramp"
    join = int(40 + RAMP_M if on_ramp else scenario.start.station_m + RAMP_M)
    gore = join - SIDE_BY_SIDE_M
    main = _main_curve(scenario, join + needed_length_m(scenario), rng)
    layout = Layout(route=[("ramp", "ramp gore"), ("ramp gore", "join"), ("join", "end")])
    if not on_ramp:
        layout.route = [("start", "gore"), ("gore", "join"), ("join", "end")]
    layout.add("start", "gore", *_main_lanes(scenario, main.cut(0, gore)))
    layout.add("gore", "join", *_main_lanes(scenario, main.cut(gore, join), Line.DASHED))
    layout.add("join", "end", *_main_lanes(scenario, main.cut(join, len(main.s_m) - 1)))

    rightmost_m = -(spec.lanes - 1) / 2 * spec.lane_width_m
    ramp = main.cut(join - RAMP_M, join).offset(
        rightmost_m - _slip_offsets(spec.lane_width_m)[::-1]
    )
    limit, width = spec.speed_limit_mps, spec.lane_width_m
    slip, beside = ramp.cut(0, SLIP_M), ramp.cut(SLIP_M, RAMP_M)
    layout.add("ramp", "ramp gore", CurveLane(slip, width, limit, Line.SOLID, Line.SOLID))
    layout.add("ramp gore", "join", CurveLane(beside, width, limit, Line.NONE, Line.SOLID))
    ways: dict[LaneIndex, Way] = {
        ("gore", "join", spec.lanes - 1): Way(0.0, SIDE_BY_SIDE_M, rank=0),
        ("ramp gore", "join", 0): Way(0.0, SIDE_BY_SIDE_M, rank=1),
    }
    one, other = ways
    layout.crossings.append(Crossing(ways, frozenset({(one, other), (other, one)}), zips=True))
    return layout


def exit_road(scenario: Scenario, rng: np.random.Generator) -> Layout:
    """A slip road leaves to the right. Route "ramp" takes it, "ahead" stays on the main road."""
    spec, leaves = scenario.road, scenario.route == "ramp"
    fork = int(scenario.start.station_m + 200.0)
    gore = fork + SIDE_BY_SIDE_M
    beyond_m = 500.0 if leaves else needed_length_m(scenario)
    main = _main_curve(scenario, gore + beyond_m, rng)
    layout = Layout(route=[("start", "fork"), ("fork", "gore"), ("gore", "end")])
    if leaves:
        layout.route = [("start", "fork"), ("fork", "exit gore"), ("exit gore", "off")]
    layout.add("start", "fork", *_main_lanes(scenario, main.cut(0, fork)))
    layout.add("fork", "gore", *_main_lanes(scenario, main.cut(fork, gore), Line.DASHED))
    layout.add("gore", "end", *_main_lanes(scenario, main.cut(gore, len(main.s_m) - 1)))

    rightmost_m = -(spec.lanes - 1) / 2 * spec.lane_width_m
    ramp = main.cut(fork, fork + RAMP_M).offset(rightmost_m - _slip_offsets(spec.lane_width_m))
    width, slow = spec.lane_width_m, min(spec.speed_limit_mps, 19.4)
    beside, slip = ramp.cut(0, SIDE_BY_SIDE_M), ramp.cut(SIDE_BY_SIDE_M, RAMP_M)
    after = _beyond_exit(scenario, slip, needed_length_m(scenario) if leaves else 400.0, rng)
    limit = spec.speed_limit_mps
    layout.add("fork", "exit gore", CurveLane(beside, width, limit, Line.NONE, Line.SOLID))
    layout.add("exit gore", "off", CurveLane(slip, width, slow, Line.SOLID, Line.SOLID))
    layout.add("off", "ramp end", CurveLane(after, width, slow, Line.SOLID, Line.SOLID))
    layout.route.append(("off", "ramp end"))
    return layout


def _beyond_exit(
    scenario: Scenario, slip: Curve, length_m: float, rng: np.random.Generator
) -> Curve:
    """The road after the slip: first away to the right, then winding, never back across."""
    ramp, radius_m = 40, 150.0
    up = np.linspace(0.0, 1.0, ramp, endpoint=False)
    away = -np.concatenate([up, np.ones(int(0.6 * radius_m) - ramp), 1.0 - up]) / radius_m
    rest = winding(rng, length_m, (120.0, 400.0), turn_rad=(0.1, 0.3), wander_rad=0.25)
    x, y, heading = slip.pose(-1)
    return Curve.from_curvature(np.concatenate([away, rest]), 1.0, x, y, heading)
