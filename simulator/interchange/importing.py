"""`dreamlane import commonroad`: recorded traffic becomes scenarios of our schema.

The recording stays where it is: a scenario names it by path and digest.
"""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from scenarios.schema import RECORDED, WEATHERS, RoadSpec, Scenario, TrafficSpec
from simulator.interchange.commonroad import read
from simulator.interchange.traffic_log import Problem, TrafficLog

MOTORWAY_TAGS = ("interstate", "highway")
MOTORWAY_MPS, URBAN_MPS = 29.0, 13.9
"""Limits taken where the file gives none: 65 mph, 50 km/h."""

SHORTEST_S = 1.0


def scenarios_in(
    path: Path, weather: str = "day", limit_mps: float | None = None
) -> list[Scenario]:
    """One scenario for each planning problem of a CommonRoad file.

    Raises XmlError for a file that can't be used, ScenarioError for a problem that can't be driven.
    """
    from simulator.truth.replay import file_digest

    log = read(path)
    if limit_mps is None:
        on_motorway = any(tag in MOTORWAY_TAGS for tag in log.tags)
        limit_mps = MOTORWAY_MPS if on_motorway else URBAN_MPS
    road = RoadSpec(
        kind=RECORDED,
        file=str(path.resolve()),
        digest=file_digest(path),
        speed_limit_mps=limit_mps,
        hills_m=0.0,  # recordings are flat
    )
    several = len(log.problems) > 1
    return [_scenario(log, problem, road, weather, several) for problem in log.problems.values()]


def _scenario(
    log: TrafficLog, problem: Problem, road: RoadSpec, weather: str, several: bool
) -> Scenario:
    name = re.sub(r"[^a-z0-9]+", "_", log.name.lower()).strip("_")
    return Scenario(
        name=f"{name}_{problem.number}" if several else name,
        description=(
            f"Recorded traffic {log.name}: {len(log.tracks)} vehicles on {len(log.lanelets)} "
            f"lanelets, planning problem {problem.number}"
        ),
        road=dataclasses.replace(road, problem=problem.number),
        tags=("recorded", *log.tags),
        weather=weather,
        traffic=TrafficSpec(cars=0),  # all traffic is recorded
        duration_s=max(round(problem.latest_s - problem.start_s, 3), SHORTEST_S),
    )


def written_as(scenario: Scenario, folder: Path) -> str:
    """The scenario as YAML, its recording named relative to the folder that it will lie in."""
    road = scenario.road
    recording = os.path.relpath(str(road.file), folder.resolve())
    said: dict[str, Any] = {
        "name": scenario.name,
        "description": scenario.description,
        "tags": list(scenario.tags),
        "road": {
            "kind": road.kind,
            "file": Path(recording).as_posix(),
            "digest": road.digest,
            "problem": road.problem,
            "speed_limit_mps": road.speed_limit_mps,
            "hills_m": road.hills_m,
        },
        "weather": scenario.weather,
        "traffic": {"cars": 0},
        "duration_s": scenario.duration_s,
    }
    return str(yaml.safe_dump(said, sort_keys=False, allow_unicode=True))


Recording = Annotated[Path, typer.Argument(help="CommonRoad XML file, 2018b or 2020a.")]
Output = Annotated[Path, typer.Option(help="Folder for the scenarios (YAML).")]
Weather = Annotated[str, typer.Option(help=f"One of {', '.join(WEATHERS)}.")]
Limit = Annotated[
    float | None,
    typer.Option(help="Limit in m/s where the file gives none (29 on motorways, else 13.9)."),
]


def commonroad(
    path: Recording,
    output: Output = Path("data/scenarios"),
    weather: Weather = "day",
    speed_limit_mps: Limit = None,
) -> None:
    """Recorded traffic (CommonRoad XML) becomes scenarios for Truth-v0; the file stays where it is."""
    from simulator.truth.world import World

    found = scenarios_in(path, weather, speed_limit_mps)
    for scenario in found:
        World(scenario, seed=0)  # whatever can't be driven is told now
    output.mkdir(parents=True, exist_ok=True)
    for scenario in found:
        target = output / f"{scenario.name}.yaml"
        target.write_text(written_as(scenario, output), encoding="utf-8")
        typer.echo(f"{target}: {scenario.description}")
    log = read(path)
    if any(each.speed_limit_mps is None for each in log.lanelets.values()):
        limit = found[0].road.speed_limit_mps
        typer.echo(f"no speed limit in parts of the file: {limit:g} m/s there")
    if log.notes:
        typer.echo(f"in the file, but not shown: {', '.join(log.notes)}")
