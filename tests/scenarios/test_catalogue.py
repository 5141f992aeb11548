"""The catalogue covers what it promises, and random scenarios cover everything else."""

import os
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import scenarios
from scenarios.schema import EVENTS, ROADS, ROUTES, WEATHERS, ScenarioError
from simulator.scenario_cli import app
from simulator.truth import scene
from simulator.truth.world import World

ALL = [scenarios.load(name) for name in scenarios.names()]


def test_the_catalogue_has_every_road_weather_and_event() -> None:
    assert len(ALL) >= 18
    assert {scenario.road.kind for scenario in ALL} == set(ROADS)
    assert {scenario.weather for scenario in ALL} == set(WEATHERS) == set(scene.WEATHERS)
    assert {scenario.critical.event for scenario in ALL if scenario.critical} == set(EVENTS)
    assert "calm_cruise" in scenarios.names()
    assert scenarios.check() == {}


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ScenarioError, match="calm_cruise"):
        scenarios.load("calm_crusie")


def test_a_file_of_ones_own_can_be_loaded(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\ndescription: Mine.\nroad: {kind: town}\n")
    assert scenarios.load(str(path)).road.kind == "town"


def test_a_file_that_was_edited_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    for road in ("town", "rural"):
        path.write_text(f"name: mine\ndescription: Mine.\nroad: {{kind: {road}}}\n")
        os.utime(path, (1, len(road)))
        assert scenarios.load(str(path)).road.kind == road


def test_equal_generators_draw_equal_scenarios() -> None:
    draws = [
        [scenarios.sample(rng) for _ in range(20)] for rng in map(np.random.default_rng, (4, 4))
    ]
    assert draws[0] == draws[1]


def test_random_scenarios_cover_roads_routes_weathers_and_events() -> None:
    rng = np.random.default_rng(0)
    draws = [scenarios.sample(rng) for _ in range(600)]
    routes = {(kind, route) for kind, allowed in ROUTES.items() for route in allowed}
    assert {(s.road.kind, s.route) for s in draws} == routes
    assert {s.weather for s in draws} == set(WEATHERS)
    assert {s.critical.event for s in draws if s.critical} == set(EVENTS)
    assert {s.traffic.cars for s in draws} == set(range(13))


def test_in_many_random_scenarios_there_is_somebody_to_follow() -> None:
    rng = np.random.default_rng(1)
    draws = [scenarios.sample(rng) for _ in range(400)]
    followed = [s for s in draws if s.critical and "to follow" in s.critical.why]
    assert 0.12 < len(followed) / len(draws) < 0.35
    # near enough to be seen, and not faster than one can follow
    assert all(7.0 <= s.critical.gap_m < 60.0 for s in followed)
    assert all(s.critical.speed_mps <= 1.05 * s.start.speed_mps for s in followed)


def test_random_scenarios_can_be_built_and_stepped() -> None:
    rng = np.random.default_rng(7)
    for seed in range(6):
        world = World(scenarios.sample(rng), seed)
        for _ in range(5):
            world.step(np.zeros(2))
        assert not world.ego.offroad


def test_a_start_lane_that_does_not_exist_is_named() -> None:
    scenario = scenarios.load("calm_cruise")
    start = type(scenario.start)(lane=2)
    with pytest.raises(ScenarioError, match=r"start\.lane.*got 2.*0 \(leftmost\) to 0"):
        World(type(scenario)("x", "x", scenario.road, start=start), 0)


def test_the_command_line_lists_shows_and_checks(tmp_path: Path) -> None:
    runner = CliRunner()
    listed = runner.invoke(app, ["list"])
    assert listed.exit_code == 0
    assert all(name in listed.output for name in scenarios.names())
    shown = runner.invoke(app, ["show", "cut_in"])
    assert "speed_limit_mps 28.0" in shown.output
    assert runner.invoke(app, ["check", "roundabout"]).exit_code == 0
    bad = tmp_path / "bad.yaml"
    bad.write_text("name: bad\ndescription: Bad.\nroad: {kind: rural}\nstart: {lane: 3}\n")
    failed = runner.invoke(app, ["check", str(bad)])
    assert failed.exit_code == 1
    assert "start.lane" in failed.output
