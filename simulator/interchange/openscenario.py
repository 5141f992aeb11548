"""A scenario's first instant and its event as OpenSCENARIO 1.3 (ASAM), written with `scenariogeneration`.

What is exported is one world: a scenario and a seed. Everybody stands where that world begins and keeps
the speed it begins with; the receiving simulator's drivers take it from there. Events that only need a
clock are exported as events, those that follow the ego are named in the answer of `export`.
"""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

from scenariogeneration import xosc

from scenarios.schema import RECORDED, CriticalSpec, Scenario, ScenarioError
from simulator.ego import FULL_LOCK_RAD, WHEELBASE_M
from simulator.interchange.opendrive import opendrive
from simulator.truth.scene import BODY_SIZE_M, Body
from simulator.truth.vehicle import MAX_BRAKE_MPS2, MAX_THROTTLE_MPS2
from simulator.truth.world import World

WRITTEN = datetime.datetime(2000, 1, 1)  # not the day of the export: equal worlds give equal files
TOP_SPEED_MPS = 60.0
EGO_HEIGHT_M = 1.45
BRAKES, CUTS_IN = "hard_braking_lead", "cut_in"
STEADY = ("slow_leader", "stopped_car")
"""Events whose actor keeps the speed it has at the start."""

_CATEGORY = {
    Body.CAR: xosc.VehicleCategory.car,
    Body.VAN: xosc.VehicleCategory.van,
    Body.TRUCK: xosc.VehicleCategory.truck,
}


def export(scenario: Scenario, seed: int, folder: Path) -> tuple[Path, Path, tuple[str, ...]]:
    """Write NAME.xosc and NAME.xodr; returns both paths and what could not be said in them.

    Raises ScenarioError for a recorded road, whose file is an exchange format already.
    """
    if scenario.road.kind == RECORDED:
        accepted = f"a scenario of ours: {scenario.road.file} is in an exchange format already"
        raise ScenarioError(scenario.name, "road.kind", scenario.road.kind, accepted)
    world = World(scenario, seed)
    folder.mkdir(parents=True, exist_ok=True)
    road_path = folder / f"{scenario.name}.xodr"
    scenario_path = folder / f"{scenario.name}.xosc"
    opendrive(world.layout, scenario.name).write_xml(str(road_path))
    openscenario(world, road_path.name).write_xml(str(scenario_path))
    return scenario_path, road_path, _left_out(world)


def _left_out(world: World) -> tuple[str, ...]:
    said = [f"weather ({world.scenario.weather}), hills, trees and houses"]
    if len(world.parked.pose):
        said.append(f"{len(world.parked.pose)} parked cars")
    critical = world.scenario.critical
    if critical is not None and critical.event not in (BRAKES, CUTS_IN, *STEADY):
        said.append(f"the event {critical.event}: it follows the ego, its actor just drives on")
    return tuple(said)


def openscenario(world: World, road_file: str) -> Any:
    """The `xosc.Scenario` of a world at its first instant."""
    entities, init = xosc.Entities(), xosc.Init()
    ego, names = world.road.ego, {}
    entities.add_scenario_object("ego", _vehicle("ego", Body.CAR, ego.LENGTH, ego.WIDTH))
    _place(init, "ego", ego)
    for number, driver in enumerate(world.road.drivers, start=1):
        name = "actor" if driver.is_scripted else f"vehicle_{number}"
        names[name] = driver
        body = Body(driver.body)
        entities.add_scenario_object(name, _vehicle(name, body, driver.LENGTH, driver.WIDTH))
        _place(init, name, driver)
    story = xosc.StoryBoard(init, _at(world.scenario.duration_s, "over", "stop"))
    critical = world.scenario.critical
    if critical is not None and critical.event in (BRAKES, CUTS_IN) and "actor" in names:
        story.add_maneuver(_maneuver(critical), "actor")
    return xosc.Scenario(
        world.scenario.name,
        "dreamlane",
        xosc.ParameterDeclarations(),
        entities,
        story,
        xosc.RoadNetwork(roadfile=road_file),
        xosc.Catalog(),
        creation_date=WRITTEN,
    )


def _vehicle(name: str, body: Body, length_m: float, width_m: float) -> Any:
    height_m = EGO_HEIGHT_M if name == "ego" else BODY_SIZE_M[body][2]
    base_m = WHEELBASE_M if body == Body.CAR else 0.6 * length_m
    # OpenSCENARIO's point of reference is the rear axle's middle on the ground
    box = xosc.BoundingBox(width_m, length_m, height_m, base_m / 2, 0.0, height_m / 2)
    front = xosc.Axle(FULL_LOCK_RAD, 0.65, 0.85 * width_m, base_m, 0.325)
    rear = xosc.Axle(0.0, 0.65, 0.85 * width_m, 0.0, 0.325)
    return xosc.Vehicle(
        name, _CATEGORY[body], box, front, rear, TOP_SPEED_MPS, MAX_THROTTLE_MPS2, MAX_BRAKE_MPS2
    )


def _place(init: Any, name: str, vehicle: Any) -> None:
    """Position and speed at the start; ours is the centre, theirs the rear axle."""
    base_m = WHEELBASE_M if name == "ego" or vehicle.body == Body.CAR else 0.6 * vehicle.LENGTH
    x, y = (vehicle.position - vehicle.direction * base_m / 2).tolist()
    init.add_init_action(
        name, xosc.TeleportAction(xosc.WorldPosition(x, y, 0.0, float(vehicle.heading)))
    )
    now = xosc.TransitionDynamics(xosc.DynamicsShapes.step, xosc.DynamicsDimension.time, 0.0)
    init.add_init_action(name, xosc.AbsoluteSpeedAction(float(vehicle.speed), now))


def _at(time_s: float, name: str, point: str = "start") -> Any:
    condition = xosc.SimulationTimeCondition(time_s, xosc.Rule.greaterThan)
    return xosc.ValueTrigger(name, 0.0, xosc.ConditionEdge.none, condition, triggeringpoint=point)


def _maneuver(spec: CriticalSpec) -> Any:
    """Braking to a halt, or changing into the ego's lane and slowing down."""
    maneuver = xosc.Maneuver(spec.event)
    rate = xosc.TransitionDynamics(
        xosc.DynamicsShapes.linear, xosc.DynamicsDimension.rate, max(spec.decel_mps2, 0.1)
    )
    speed_mps = 0.0 if spec.event == BRAKES else spec.speed_mps
    event = xosc.Event(spec.event, xosc.Priority.override)
    event.add_trigger(_at(spec.at_s, f"{spec.event} begins"))
    event.add_action("slow down", xosc.AbsoluteSpeedAction(speed_mps, rate))
    if spec.event == CUTS_IN:
        glide = xosc.TransitionDynamics(
            xosc.DynamicsShapes.sinusoidal, xosc.DynamicsDimension.time, 2.5
        )
        event.add_action("change lane", xosc.RelativeLaneChangeAction(0, "ego", glide))
    maneuver.add_event(event)
    return maneuver
