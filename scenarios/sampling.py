"""Random scenarios for training: all roads, all weathers, all densities of traffic."""

from __future__ import annotations

import numpy as np

from scenarios.schema import (
    WEATHERS,
    RoadSpec,
    Scenario,
    StartSpec,
    TrafficSpec,
)

_KINDS = {"rural": 0.6, "highway": 0.4}


def sample(rng: np.random.Generator) -> Scenario:
    """Draw a scenario. Equal generators draw equal scenarios."""
    kind = str(rng.choice(list(_KINDS), p=list(_KINDS.values())))
    road = _road(kind, rng)
    cars = int(rng.integers(0, 13))
    speed = float(rng.uniform(0.4, 1.05) * road.speed_limit_mps)
    return Scenario(
        name=f"random_{kind}",
        description=f"A random drive: {kind}",
        tags=("random", kind),
        road=road,
        weather=str(rng.choice(WEATHERS)),
        traffic=TrafficSpec(cars=cars, truck_share=float(rng.uniform(0.0, 0.3))),
        start=StartSpec(
            lane=int(rng.integers(road.lanes)),
            station_m=float(rng.uniform(60.0, 400.0)),
            speed_mps=speed,
        ),
    )


def _road(kind: str, rng: np.random.Generator) -> RoadSpec:
    if kind == "rural":
        tightest = float(np.exp(rng.uniform(np.log(70.0), np.log(250.0))))
        return RoadSpec(
            kind=kind,
            lane_width_m=float(rng.uniform(3.2, 3.75)),
            speed_limit_mps=float(rng.choice([16.7, 19.4, 22.2, 25.0])),
            radius_m=(tightest, 500.0),
            hills_m=float(rng.uniform(0.5, 3.5)),
        )
    return RoadSpec(
        kind=kind,
        lanes=int(rng.integers(2, 5)),
        lane_width_m=float(rng.uniform(3.5, 3.75)),
        speed_limit_mps=float(rng.choice([25.0, 27.8, 30.6])),
        radius_m=(450.0, 1500.0),
        hills_m=float(rng.uniform(0.5, 3.0)),
    )
