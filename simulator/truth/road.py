"""Roads without crossings (rural, highway, town), and `build`, which knows all kinds."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from scenarios.schema import Scenario
from simulator.truth.crossings import junction, roundabout
from simulator.truth.lane import Curve, CurveLane
from simulator.truth.layout import (
    Layout,
    centre_line,
    needed_length_m,
    side_by_side,
    two_way,
    winding,
)
from simulator.truth.ramps import exit_road, merge
from simulator.truth.scene import Line

PARKING_WIDTH_M = 2.2


def rural(scenario: Scenario, rng: np.random.Generator) -> Layout:
    """A two-way country road."""
    layout = Layout(route=[("start", "end")])
    curvature = winding(rng, needed_length_m(scenario), scenario.road.radius_m)
    curve = Curve.from_curvature(curvature, heading_rad=rng.uniform(-math.pi, math.pi))
    forth, back = two_way(curve, scenario.road, centre_line(scenario, rng))
    layout.add("start", "end", *forth)
    layout.add("end back", "start back", *back)  # nodes of its own: nobody turns round
    return layout


def highway(scenario: Scenario, rng: np.random.Generator) -> Layout:
    """One carriageway of a dual road."""
    layout = Layout(route=[("start", "end")])
    curvature = winding(
        rng,
        needed_length_m(scenario),
        scenario.road.radius_m,
        turn_rad=(0.1, 0.6),
        straight_m=(60.0, 300.0),
    )
    curve = Curve.from_curvature(curvature, heading_rad=rng.uniform(-math.pi, math.pi))
    spec = scenario.road
    left_edge_m = spec.lanes * spec.lane_width_m / 2
    lanes = side_by_side(curve, spec.lanes, spec.lane_width_m, spec.speed_limit_mps, left_edge_m)
    lanes[0].left_line = Line.SOLID
    layout.add("start", "end", *lanes)
    return layout


def town(scenario: Scenario, rng: np.random.Generator) -> Layout:
    """A two-way street between rows of parked cars."""
    layout = Layout(route=[("start", "end")])
    spec = scenario.road
    curvature = winding(
        rng,
        needed_length_m(scenario),
        spec.radius_m,
        turn_rad=(0.1, 0.5),
        straight_m=(60.0, 200.0),
        wander_rad=0.8,
    )
    curve = Curve.from_curvature(curvature, heading_rad=rng.uniform(-math.pi, math.pi))
    forth, back = two_way(curve, spec, centre_line(scenario, rng))
    layout.add("start", "end", *forth)
    layout.add("end back", "start back", *back)
    middle_m = -spec.lanes * spec.lane_width_m - PARKING_WIDTH_M / 2
    for lanes, along in ((forth, curve), (back, curve.reversed())):
        lanes[-1].right_line = Line.NONE  # the kerb is beyond the parked cars
        strip = CurveLane(
            along.offset(middle_m), PARKING_WIDTH_M, spec.speed_limit_mps, right_line=Line.SOLID
        )
        layout.surfaces.append(strip)
        layout.parking.append(strip)
    return layout


BUILDERS: dict[str, Callable[[Scenario, np.random.Generator], Layout]] = {
    "rural": rural,
    "highway": highway,
    "merge": merge,
    "exit": exit_road,
    "roundabout": roundabout,
    "junction": junction,
    "town": town,
}


def build(scenario: Scenario, rng: np.random.Generator) -> Layout:
    """The road of a scenario; `rng` decides where the scenario leaves freedom."""
    layout = BUILDERS[scenario.road.kind](scenario, rng)
    layout.finish()
    return layout
