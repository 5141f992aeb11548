"""Random scenarios for training: all roads, all weathers, all densities of traffic, some critical events."""

from __future__ import annotations

import numpy as np

from scenarios.schema import (
    EVENTS,
    ROUTES,
    WEATHERS,
    CriticalSpec,
    RoadSpec,
    Scenario,
    StartSpec,
    TrafficSpec,
)

KIND_SHARES = {
    "rural": 0.34,
    "highway": 0.16,
    "town": 0.16,
    "roundabout": 0.10,
    "junction": 0.10,
    "merge": 0.07,
    "exit": 0.07,
}
CRITICAL_SHARE = 0.12
"""How many of the scenarios on roads that allow it have a critical event."""

LEADER_SHARE = 0.35
"""How many of the others on roads that allow it begin with somebody to follow: left to chance, hardly
three seconds in a hundred are spent behind another vehicle."""

_CROSSINGS = ("roundabout", "junction")


def sample(rng: np.random.Generator) -> Scenario:
    """Draw a scenario. Equal generators draw equal scenarios."""
    kind = str(rng.choice(list(KIND_SHARES), p=list(KIND_SHARES.values())))
    road = _road(kind, rng)
    route = str(rng.choice(ROUTES[kind]))
    start = _start(road, route, rng)
    critical = None
    if rng.random() < CRITICAL_SHARE:
        critical = _critical(road, route, start, rng)
    elif rng.random() < LEADER_SHARE:
        critical = _leader(road, route, start, rng)
    if critical is not None and critical.event == "merging_truck":
        start = StartSpec(lane=road.lanes - 1, station_m=100.0, speed_mps=start.speed_mps)
    return Scenario(
        name=f"random_{kind}",
        description=f"A random drive on a road of kind {kind}",
        tags=("random", kind),
        road=road,
        weather=str(rng.choice(WEATHERS)),
        traffic=TrafficSpec(
            cars=int(rng.integers(1, 6) if critical else rng.integers(0, 13)),
            truck_share=float(rng.uniform(0.0, 0.3)),
            parked_per_km=float(rng.uniform(20.0, 110.0)) if kind == "town" else 0.0,
        ),
        start=start,
        route=route,
        critical=critical,
    )


def _pick(rng: np.random.Generator, *values: float) -> float:
    return float(rng.choice(values))


def _road(kind: str, rng: np.random.Generator) -> RoadSpec:
    hills_m = float(rng.uniform(0.3, 3.2))
    if kind == "rural":
        tightest = float(np.exp(rng.uniform(np.log(70.0), np.log(250.0))))
        return RoadSpec(
            kind=kind,
            lane_width_m=float(rng.uniform(3.2, 3.75)),
            speed_limit_mps=_pick(rng, 16.7, 19.4, 22.2, 25.0),
            radius_m=(tightest, 500.0),
            hills_m=hills_m,
        )
    if kind == "town":
        return RoadSpec(
            kind=kind,
            lane_width_m=float(rng.uniform(3.1, 3.5)),
            speed_limit_mps=_pick(rng, 8.3, 11.1, 13.9),
            radius_m=(150.0, 800.0),
            hills_m=0.4 * hills_m,
        )
    if kind in _CROSSINGS:
        return RoadSpec(
            kind=kind,
            lane_width_m=float(rng.uniform(3.2, 3.6)),
            speed_limit_mps=_pick(rng, 11.1, 13.9, 16.7),
            radius_m=(150.0, 400.0),
            hills_m=0.4 * hills_m,
        )
    return RoadSpec(
        kind=kind,
        lanes=int(rng.integers(2, 5 if kind == "highway" else 4)),
        lane_width_m=float(rng.uniform(3.5, 3.75)),
        speed_limit_mps=_pick(rng, 25.0, 27.8, 30.6),
        radius_m=(450.0, 1500.0),
        hills_m=0.8 * hills_m,
    )


def _start(road: RoadSpec, route: str, rng: np.random.Generator) -> StartSpec:
    lane, station_m = int(rng.integers(road.lanes)), float(rng.uniform(60.0, 300.0))
    if road.kind in _CROSSINGS:
        station_m = float(rng.uniform(20.0, 120.0))
    elif road.kind == "merge" and route == "ramp":
        lane, station_m = 0, float(rng.uniform(15.0, 60.0))
    elif road.kind == "exit" and route == "ramp":
        lane, station_m = road.lanes - 1, float(rng.uniform(30.0, 120.0))
    slowest = 0.4 if rng.random() < 0.8 else 0.0  # some begin from a standstill
    return StartSpec(
        lane=lane,
        station_m=station_m,
        offset_m=float(np.clip(rng.normal(0.0, 0.15), -0.5, 0.5)),
        heading_rad=float(np.clip(rng.normal(0.0, 0.01), -0.03, 0.03)),
        speed_mps=float(rng.uniform(slowest, 1.0) * road.speed_limit_mps),
    )


def _leader(
    road: RoadSpec, route: str, start: StartSpec, rng: np.random.Generator
) -> CriticalSpec | None:
    """Somebody ahead who keeps a steady speed for a while, then often brakes, more or less hard."""
    events = [e for e in ("hard_braking_lead", "slow_leader") if road.kind in EVENTS[e]]
    if not events or route == "ramp" or start.speed_mps < 5.0:
        return None
    return CriticalSpec(
        event=str(rng.choice(events)),
        why="Drawn at random: somebody to follow, and to watch.",
        at_s=float(rng.uniform(5.0, 40.0)),
        gap_m=float(rng.uniform(7.0, 20.0) + rng.uniform(0.0, 1.2) * start.speed_mps),
        speed_mps=float(rng.uniform(0.6, 1.05) * start.speed_mps),
        decel_mps2=float(rng.uniform(1.5, 6.0)),
    )


def _critical(
    road: RoadSpec, route: str, start: StartSpec, rng: np.random.Generator
) -> CriticalSpec | None:
    events = [event for event, kinds in EVENTS.items() if road.kind in kinds]
    if not events or route == "ramp" or start.speed_mps < 8.0:
        return None
    event, speed = str(rng.choice(events)), start.speed_mps
    at_s, speed_mps, gap_m = float(rng.uniform(2.0, 15.0)), speed, 1.2 * speed + 5.0
    if event == "cut_in":
        gap_m, speed_mps = float(rng.uniform(7.0, 14.0)), 0.7 * speed
    elif event == "stopped_car":
        gap_m, speed_mps = float(rng.uniform(60.0, 250.0)), 0.0
    elif event == "oncoming_over_line":
        gap_m, speed_mps = float(rng.uniform(65.0, 80.0)), float(rng.uniform(7.0, 10.0))
    elif event == "merging_truck":
        gap_m, speed_mps = float(rng.uniform(10.0, 16.0)), 0.65 * speed
    elif event == "slow_leader":
        gap_m, speed_mps = float(rng.uniform(90.0, 160.0)), 0.35 * speed
    return CriticalSpec(
        event=event,
        why="Drawn at random: whoever does not watch the others hits this one.",
        at_s=at_s,
        gap_m=gap_m,
        speed_mps=speed_mps,
        decel_mps2=2.5 if event in ("cut_in", "merging_truck") else float(rng.uniform(4.0, 7.0)),
    )
