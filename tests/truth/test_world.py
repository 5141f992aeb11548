"""The reference world: deterministic, exactly branching, with a car that obeys its physics."""

import dataclasses
import math

import numpy as np
import pytest
from drive import ConstantVelocity, Expert, drive

import scenarios
from scenarios.schema import RoadSpec, Scenario, StartSpec, TrafficSpec
from simulator.ego import DT_S, FULL_LOCK_RAD, LEAD_RANGE_M, WHEELBASE_M
from simulator.truth.collision import Box, overlap
from simulator.truth.vehicle import Driver
from simulator.truth.world import World

CRITICAL = [name for name in scenarios.names() if scenarios.load(name).critical]


def empty_road(speed_mps: float = 15.0, kind: str = "rural", **start: float) -> World:
    road = RoadSpec(kind=kind, radius_m=(400.0, 500.0), lanes=2 if kind == "highway" else 1)
    scenario = Scenario(
        name="empty",
        description="nobody else",
        road=road,
        traffic=TrafficSpec(cars=0),
        start=StartSpec(speed_mps=speed_mps, **start),
    )
    return World(scenario, seed=1)


def trace(world: World, ticks: int, seed: int = 0) -> list[object]:
    """What a camera and a label would see, under random but smooth actions."""
    rng = np.random.default_rng(seed)
    seen: list[object] = []
    for _ in range(ticks):
        world.step(np.clip(rng.normal([0.0, 0.1], [0.02, 0.4]), -1.0, 1.0))
        view = world.view()
        seen.append((world.ego, view.x_m, view.y_m, view.actors.pose.tobytes()))
    return seen


def act(world: World, steer: float, accelerate: float, ticks: int = 1) -> None:
    for _ in range(ticks):
        world.step(np.array([steer, accelerate]))


@pytest.mark.parametrize("name", ["calm_cruise", "junction", "merging_truck"])
def test_equal_seeds_and_actions_give_equal_drives(name: str) -> None:
    one, other = (World(scenarios.load(name), 5) for _ in range(2))
    assert trace(one, 100) == trace(other, 100)
    assert one.scene.scenery.trees.tobytes() == other.scene.scenery.trees.tobytes()


def test_another_seed_gives_another_road_scenery_and_traffic() -> None:
    one, other = (World(scenarios.load("calm_cruise"), seed) for seed in (1, 2))
    assert one.scene.lanes[0].points_xy_m.tobytes() != other.scene.lanes[0].points_xy_m.tobytes()
    assert one.scene.hills.waves.tobytes() != other.scene.hills.waves.tobytes()
    assert one.view().actors.pose.tobytes() != other.view().actors.pose.tobytes()


@pytest.mark.parametrize("name", ["highway", "cut_in", "roundabout", "town"])
def test_a_restored_state_branches_exactly(name: str) -> None:
    world = World(scenarios.load(name), 7)
    trace(world, 60)
    state, ego = world.save_state(), world.ego
    first = trace(world, 120, seed=1)
    world.restore_state(state)
    assert world.ego == ego
    trace(world, 50, seed=2)  # another branch leaves no trace
    world.restore_state(state)
    assert trace(world, 120, seed=1) == first
    fresh = World(scenarios.load(name), 7)
    fresh.restore_state(state)
    assert trace(fresh, 120, seed=1) == first


def test_a_state_of_another_world_is_refused() -> None:
    state = World(scenarios.load("calm_cruise"), 1).save_state()
    with pytest.raises(ValueError, match="seed 1 does not fit"):
        World(scenarios.load("calm_cruise"), 2).restore_state(state)
    with pytest.raises(ValueError, match="save_state"):
        World(scenarios.load("calm_cruise"), 2).restore_state({})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "action", [[0.0], [0.0, 0.0, 0.0], [1.01, 0.0], [0.0, math.nan], [math.inf, 0.0]]
)
def test_a_bad_action_is_refused_and_changes_nothing(action: list[float]) -> None:
    world = empty_road()
    before = world.ego
    with pytest.raises(ValueError, match=r"\[-1, 1\]"):
        world.step(np.array(action))
    assert world.ego == before
    assert world.time_s == 0.0


def test_steering_left_turns_left_by_the_bicycle_formula() -> None:
    world = empty_road(speed_mps=5.0)
    act(world, 0.4, 0.1, ticks=12)
    speed = world.ego.speed_mps
    wanted = speed * math.tan(0.4 * FULL_LOCK_RAD) / WHEELBASE_M
    assert world.ego.yaw_rate_radps == pytest.approx(wanted, rel=0.03)
    assert world.ego.heading_error_rad > 0.1
    assert world.ego.lane_offset_m > 0.3


def test_the_wheel_needs_time_to_turn() -> None:
    world = empty_road(speed_mps=5.0)
    rates = []
    for _ in range(5):  # 0.5 rad at 1 rad/s
        act(world, -1.0, 0.0)
        rates.append(world.ego.yaw_rate_radps)
    assert rates == sorted(rates, reverse=True)
    assert abs(rates[0]) < 0.3 * abs(rates[-1])


def test_grip_limits_the_lateral_acceleration() -> None:
    world = empty_road(speed_mps=25.0)
    for _ in range(10):
        act(world, 1.0, 0.0)
        assert world.ego.speed_mps * abs(world.ego.yaw_rate_radps) < 8.5


def test_braking_ends_in_an_exact_standstill_and_never_in_reverse() -> None:
    world = empty_road(speed_mps=10.0)
    act(world, 0.0, -1.0, ticks=40)
    assert world.ego.speed_mps == 0.0
    before = world.view()
    act(world, 0.3, -1.0, ticks=100)
    after = world.view()
    assert (before.x_m, before.y_m, before.yaw_rad) == (after.x_m, after.y_m, after.yaw_rad)
    assert world.ego.yaw_rate_radps == 0.0
    act(world, 0.0, 0.5, ticks=20)
    assert world.ego.speed_mps > 2.0


def test_power_falls_with_speed_and_drag_limits_it() -> None:
    slow, fast = empty_road(speed_mps=3.0), empty_road(speed_mps=28.0, kind="highway")
    for world in (slow, fast):
        before = world.ego.speed_mps
        act(world, 0.0, 1.0)
        gained = (world.ego.speed_mps - before) / DT_S
        assert (gained > 3.0) if world is slow else (0.0 < gained < 1.0)
    before = fast.ego.speed_mps
    act(fast, 0.0, 0.0, ticks=10)
    assert fast.ego.speed_mps < before


def test_the_nose_dips_under_braking() -> None:
    world = empty_road()
    act(world, 0.0, -1.0, ticks=5)
    assert world.view().pitch_rad < -0.01


def test_progress_is_the_distance_driven_along_the_lanes() -> None:
    for name in ("calm_cruise", "roundabout", "exit"):
        world, driven = World(scenarios.load(name), 3), 0.0
        keeper = Expert()
        for _ in range(300):
            driven += world.ego.speed_mps * DT_S
            world.step(keeper(world))
        assert world.ego.progress_m == pytest.approx(driven, rel=0.03)


def test_leaving_the_road_is_offroad_but_the_opposite_lane_is_not() -> None:
    world = empty_road(speed_mps=8.0)
    act(world, 0.15, 0.0, ticks=3)
    while world.ego.lane_offset_m < 3.0:
        act(world, 0.0, 0.1)
    assert not world.ego.offroad  # on the wrong side, and the offset says so
    while not world.ego.offroad:
        act(world, 0.0, 0.1)
        assert world.time_s < 20.0
    assert world.ego.lane_offset_m > 5.25 + 0.3
    assert world.success is False


def test_a_hit_is_a_collision_and_both_stop() -> None:
    world = World(scenarios.load("hard_braking_lead"), 0)
    drive(world, ConstantVelocity(), 30.0)
    assert world.ego.collision
    assert world.ego.speed_mps == 0.0
    place = (world.view().x_m, world.view().y_m)
    act(world, 0.0, 1.0, ticks=10)  # the world goes on, the wreck does not
    assert (world.view().x_m, world.view().y_m) == place
    assert world.success is False


def test_a_parked_car_can_be_hit() -> None:
    world = World(scenarios.load("town"), 0)
    keeper = Expert()
    keeper.keeper.target_offset_m = -2.6
    drive(world, keeper, 30.0)
    assert world.ego.collision
    assert not any(driver.crashed for driver in world.road.drivers)


@pytest.mark.parametrize(
    ("other", "touches"),
    [
        (Box(4.59, 0.0, 0.0, 4.6, 1.9), True),
        (Box(4.61, 0.0, 0.0, 4.6, 1.9), False),
        (Box(0.0, 1.91, 0.0, 4.6, 1.9), False),
        (Box(0.0, 1.89, 0.0, 4.6, 1.9), True),
        (Box(3.0, 2.0, math.pi / 4, 4.6, 1.9), True),
        (Box(4.0, 2.6, math.pi / 4, 4.6, 1.9), False),
        (Box(0.0, 0.0, 1.0, 1.0, 0.5), True),
    ],
)
def test_rectangles_overlap_exactly(other: Box, touches: bool) -> None:
    ego = Box(0.0, 0.0, 0.0, 4.6, 1.9)
    assert overlap(ego, other) is touches
    assert overlap(other, ego) is touches


def test_lead_distance_is_the_gap_between_the_bumpers() -> None:
    world = empty_road(speed_mps=0.0)
    assert world.ego.lead_distance_m == LEAD_RANGE_M
    car = world.road.ego
    ahead = Driver(world.road, car.lane_index, 100.0 + 30.0, 0.0)
    world.road.vehicles.append(ahead)
    act(world, 0.0, -1.0)
    length = 0.5 * (car.LENGTH + ahead.LENGTH)
    assert world.ego.lead_distance_m == pytest.approx(30.0 - length, abs=0.3)


def test_a_lane_change_is_measured_from_the_nearest_lane() -> None:
    world = empty_road(speed_mps=15.0, kind="highway", lane=1)
    offsets = []
    keeper = Expert()
    keeper.keeper.target_offset_m = 3.5
    for _ in range(40):
        world.step(keeper(world))
        offsets.append(world.ego.lane_offset_m)
        if offsets[-1] < -1.0:
            keeper.keeper.target_offset_m = 0.0  # it is in the other lane now
    assert max(offsets) > 1.0
    assert min(offsets) < -1.0
    assert abs(offsets[-1]) < 0.6


def test_success_waits_for_the_end_and_asks_for_progress() -> None:
    world = World(scenarios.load("cut_in"), 0)
    assert world.success is None
    drive(world, Expert(), world.scenario.duration_s)
    assert world.success is True
    lazy = empty_road(speed_mps=0.0)
    assert lazy.scenario.success.min_progress_m == 0.0
    idle = dataclasses.replace(lazy.scenario, success=scenarios.load("cut_in").success)
    idle = dataclasses.replace(idle, duration_s=1.0)
    standing = World(idle, 1)
    act(standing, 0.0, -1.0, ticks=10)
    assert standing.success is False


@pytest.mark.parametrize("name", scenarios.names())
def test_trees_and_houses_stand_beside_the_road(name: str) -> None:
    world = World(scenarios.load(name), 2)
    surfaces = [*world.layout.lanes.values(), *world.layout.surfaces]

    def clearance(x: float, y: float) -> float:
        near = [lane for lane in surfaces if lane.is_near(x, y)]
        return min((lane.outside_m((x, y)) for lane in near), default=20.0)

    scenery = world.scene.scenery
    assert len(scenery.trees) > 50
    assert len(scenery.buildings) > 0
    assert min(clearance(x, y) for x, y in scenery.trees[::3, :2]) > 1.0
    for x, y, yaw, length, width, *_ in scenery.buildings:
        along, across = (
            np.array([math.cos(yaw), math.sin(yaw)]),
            np.array([-math.sin(yaw), math.cos(yaw)]),
        )
        for a, b in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
            corner = (x, y) + 0.5 * (a * length * along + b * width * across)
            assert clearance(*corner) > 1.5


@pytest.mark.parametrize("name", CRITICAL)
@pytest.mark.parametrize("seed", [0, 11])
def test_critical_scenarios_fail_a_constant_velocity_driver(name: str, seed: int) -> None:
    world = World(scenarios.load(name), seed)
    drive(world, ConstantVelocity(), world.scenario.duration_s)
    assert world.ego.collision, "keeping lane and speed must end in a crash"
    assert world.success is False


@pytest.mark.parametrize("name", CRITICAL)
@pytest.mark.parametrize("seed", [0, 11])
def test_the_lane_keeper_survives_critical_scenarios(name: str, seed: int) -> None:
    world = World(scenarios.load(name), seed)
    drive(world, Expert(), world.scenario.duration_s)
    assert world.success is True


@pytest.mark.parametrize("name", [n for n in scenarios.names() if n not in CRITICAL])
def test_the_lane_keeper_is_at_home_in_the_other_scenarios(name: str) -> None:
    world, half_s = World(scenarios.load(name), 4), scenarios.load(name).duration_s / 2
    drive(world, Expert(), half_s)
    assert (world.time_s, world.success) == (pytest.approx(half_s), None)
    assert world.ego.progress_m > 0.45 * world.scenario.success.min_progress_m
