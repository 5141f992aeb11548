"""Time to collision, whose fault a collision is, and the rows that every table must have."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import scenarios
from agents.lane_keeper import LaneKeeper
from agents.panel import ConstantVelocity
from agents.policy import Policy
from scenarios.schema import RoadSpec, Scenario, StartSpec, TrafficSpec
from simulator.envs.lead_in import LEAD_IN_STEPS
from simulator.evaluation import scores, surroundings
from simulator.evaluation.drive import Replay
from simulator.evaluation.surroundings import Mover, at_fault, speeds_of, time_to_collision_s
from simulator.truth.collision import Box
from simulator.truth.vehicle import Driver
from simulator.truth.world import World

CRITICAL = [name for name in scenarios.names() if scenarios.load(name).critical]


def mover(x: float, y: float = 0.0, heading: float = 0.0, speed: float = 0.0, yaw: float = 0.0):
    return Mover(Box(x, y, heading, 4.6, 1.9), speed, yaw)


@pytest.mark.parametrize(
    ("ego", "other", "seconds"),
    [
        (mover(0, speed=10), mover(14.6), 1.0),  # ten metres between the bumpers
        (mover(0, speed=10), mover(14.6, heading=math.pi, speed=10), 0.5),
        (mover(0, speed=10), mover(14.6, speed=10), math.inf),  # keeps its distance
        (mover(0, speed=10), mover(14.6, y=3.0), math.inf),  # in the next lane
        (mover(0, speed=0), mover(5, heading=math.pi, speed=10), math.inf),  # the ego stands
        (mover(0, speed=5), mover(-6, speed=20), math.inf),  # comes from behind
        (mover(0, speed=20), mover(80), math.inf),  # beyond the horizon
    ],
)
def test_time_to_collision_is_the_gap_over_the_closing_speed(ego, other, seconds):
    assert time_to_collision_s(ego, [other]) == pytest.approx(seconds, abs=0.11)


def test_in_a_bend_the_oncoming_car_is_not_on_collision_course_unless_it_goes_straight():
    radius, speed = 40.0, 12.0
    ego = mover(0, speed=speed, yaw=speed / radius)
    turn = 0.5  # the other comes towards it on the next lane, half a radian round the bend
    outer = radius + 3.5
    x, y = outer * math.sin(turn), radius - outer * math.cos(turn)
    coming = mover(x, y, turn + math.pi, speed, -speed / outer)
    assert time_to_collision_s(ego, [coming]) == math.inf
    assert time_to_collision_s(dataclasses.replace(ego, yaw_rate_radps=-0.3), [coming]) < 2.0


def empty_road(speed_mps: float, offset_m: float = 0.0) -> World:
    start = StartSpec(speed_mps=speed_mps, offset_m=offset_m)
    road = RoadSpec(kind="highway", lanes=2, radius_m=(4000.0, 5000.0))
    return World(Scenario("e", "e", road, traffic=TrafficSpec(cars=0), start=start), seed=1)


def hit(world: World, other: Driver, action: tuple[float, float] = (0.0, 0.0)) -> bool:
    """Drive until the collision; whether it was the ego's fault."""
    world.road.vehicles.append(other)
    for _ in range(60):
        before = speeds_of(world)
        world.step(np.array(action))
        if world.ego.collision:
            return at_fault(world, *before)
    raise AssertionError("no collision")


def test_running_into_somebody_is_the_egos_fault_and_being_run_into_is_not():
    world = empty_road(15.0)
    ahead = Driver(world.road, world.road.ego.lane_index, 115.0, 5.0)
    assert hit(world, ahead, (0.0, 0.5))

    world = empty_road(3.0)
    behind = Driver(world.road, world.road.ego.lane_index, 85.0, 25.0)
    behind.act = lambda action=None: None  # type: ignore[method-assign]  # it doesn't look
    behind.action = {"steering": 0.0, "acceleration": 0.0}
    assert not hit(world, behind)

    world = empty_road(0.0)
    behind = Driver(world.road, world.road.ego.lane_index, 90.0, 10.0)
    behind.act = lambda action=None: None  # type: ignore[method-assign]
    behind.action = {"steering": 0.0, "acceleration": 0.0}
    assert not hit(world, behind)


def run(
    name: str, seed: int, driver: Policy, seconds: float = 30.0,
    see: Callable[[NDArray[np.float32]], None] = lambda action: None,
) -> tuple[dict[str, NDArray[np.float64]], World]:  # fmt: skip
    """A drive as an evaluation does it, without the camera: lead-in, take-over, table of steps."""
    world, keeper = World(scenarios.load(name), seed), LaneKeeper()

    def info() -> Mapping[str, Any]:
        return dataclasses.asdict(world.ego) | {"speed_limit_mps": world.speed_limit_mps}

    def row(fault: bool) -> dict[str, float]:
        others = surroundings.others_of(world)
        ttc = time_to_collision_s(surroundings.ego_of(world), others)
        known = {k: float(v) for k, v in dataclasses.asdict(world.ego).items()}
        return known | {"at_fault": float(fault), "ttc_s": ttc}

    for _ in range(LEAD_IN_STEPS):
        world.step(keeper.act(None, info()))
    rows = [row(False)]
    driver.reset(0)
    while world.time_s < seconds and not world.ego.collision:
        before = speeds_of(world)
        action = driver.act(np.zeros(1), info())
        see(action)
        world.step(action)
        rows.append(row(world.ego.collision and at_fault(world, *before)))
    return {name: np.array([r[name] for r in rows]) for name in rows[0]}, world


@pytest.mark.parametrize("name", CRITICAL)
def test_every_critical_scenario_is_failed_by_keeping_lane_and_speed(name):
    steps, world = run(name, 0, ConstantVelocity())
    found = scores.score(steps, 300.0, world.scenario.success.min_progress_m, passed=world.success)
    assert (found.no_collision, found.drive_score, found.success) == (0.0, 0.0, False)
    assert found.time_to_collision < 1.0  # it was to be seen coming


def test_re_driving_the_log_gives_the_same_drive_and_a_score_of_about_one():
    found = []
    for name in ("calm_cruise", "town", "cut_in"):
        actions: list[NDArray[np.float32]] = []
        log, world = run(name, 0, LaneKeeper(), 20.0, actions.append)
        again, _ = run(name, 0, Replay(np.array(actions, np.float64)), 20.0)
        assert all(np.array_equal(log[column], again[column]) for column in log)
        reference = float(log["progress_m"][-1] - log["progress_m"][0])
        wanted = world.scenario.success.min_progress_m * 20.0 / world.scenario.duration_s
        found.append(scores.score(again, reference, wanted, float(log["progress_m"][0])))
    assert np.mean([f.drive_score for f in found]) >= 0.99
    assert all(f.success for f in found)
