"""Exported roads lie where ours do, link as ours do, and the scenario stands on them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from lxml import etree
from typer.testing import CliRunner

import scenarios
from simulator.scenario_cli import app
from simulator.truth.world import World

pytest.importorskip("scenariogeneration", reason="needs the extra 'exchange'")

from scenariogeneration import xosc

from simulator.interchange.opendrive import road_ids
from simulator.interchange.openscenario import export


def centre_line(road: etree._Element, lane: int) -> np.ndarray:
    """Points (N, 2) on a right lane's centre line, evaluated as OpenDRIVE defines it."""
    widths = [float(w.get("a")) for w in road.iterfind("lanes/laneSection/right/lane/width")]
    offset = -(sum(widths[:lane]) + widths[lane] / 2)
    points = []
    for piece in road.iterfind("planView/geometry"):
        x, y, heading, length = (float(piece.get(k)) for k in ("x", "y", "hdg", "length"))
        cubic = piece.find("paramPoly3")
        assert cubic.get("pRange") == "arcLength"
        au, bu, cu, du, av, bv, cv, dv = (float(cubic.get(k + s)) for s in "UV" for k in "abcd")
        p = np.linspace(0.0, length, 9)
        u, v = au + bu * p + cu * p**2 + du * p**3, av + bv * p + cv * p**2 + dv * p**3
        turn = np.arctan2(bv + 2 * cv * p + 3 * dv * p**2, bu + 2 * cu * p + 3 * du * p**2)
        cos, sin = math.cos(heading), math.sin(heading)
        points.append(
            np.stack(
                [
                    x + u * cos - v * sin - offset * np.sin(heading + turn),
                    y + u * sin + v * cos + offset * np.cos(heading + turn),
                ],
                axis=1,
            )
        )
    return np.concatenate(points)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exported")


@pytest.mark.parametrize("name", ["tight_bends", "busy_highway", "merge", "roundabout"])
def test_the_exported_road_lies_on_our_lanes(name: str, folder: Path) -> None:
    scenario = scenarios.load(name)
    _, path, _ = export(scenario, 3, folder)
    world = World(scenario, 3)
    roads = {int(road.get("id")): road for road in etree.parse(str(path)).iterfind("road")}
    numbers = road_ids(world.layout)
    worst = 0.0
    for (start, end, place), lane in world.layout.lanes.items():
        points = centre_line(roads[numbers[start, end]], place)
        local = np.array([lane.local_coordinates(point) for point in points])
        worst = max(worst, float(np.abs(local[:, 1]).max()))
        assert local[0, 0] == pytest.approx(0.0, abs=0.1)
        assert local[-1, 0] == pytest.approx(lane.length, abs=0.1)
    assert worst < 0.1


@pytest.mark.parametrize("name", ["busy_highway", "merge", "exit", "roundabout", "junction"])
def test_links_lead_where_ours_lead(name: str, folder: Path) -> None:
    scenario = scenarios.load(name)
    _, path, _ = export(scenario, 3, folder)
    tree = etree.parse(str(path))
    layout = World(scenario, 3).layout
    numbers = road_ids(layout)
    ours = {
        (numbers[index[:2]], -1 - index[2], numbers[other[:2]], -1 - other[2])
        for index, followers in layout.successors.items()
        for other in followers
    }
    theirs = set()
    for connection in tree.iterfind("junction/connection"):
        before, after = int(connection.get("incomingRoad")), int(connection.get("linkedRoad"))
        for link in connection.iterfind("laneLink"):
            theirs.add((before, int(link.get("from")), after, int(link.get("to"))))
    for road in tree.iterfind("road"):
        after = road.find("link/successor[@elementType='road']")
        if after is not None:
            for lane in road.iterfind("lanes/laneSection/right/lane"):
                follower = lane.find("link/successor")
                if follower is not None:
                    ends = int(after.get("elementId")), int(follower.get("id"))
                    theirs.add((int(road.get("id")), int(lane.get("id")), *ends))
    assert theirs == ours


def test_the_scenario_places_everybody_and_brakes_in_time(folder: Path) -> None:
    scenario = scenarios.load("hard_braking_lead")
    path, road, _ = export(scenario, 3, folder)
    tree = etree.parse(str(path))
    assert tree.find("RoadNetwork/LogicFile").get("filepath") == road.name
    world = World(scenario, 3)
    privates = {p.get("entityRef"): p for p in tree.iterfind("Storyboard/Init/Actions/Private")}
    assert len(privates) == 1 + len(world.road.drivers)
    at = privates["ego"].find(".//WorldPosition")
    base = 1.4 * np.array([math.cos(float(at.get("h"))), math.sin(float(at.get("h")))])
    assert np.array([float(at.get(k)) for k in "xy"]) + base == pytest.approx(
        world.road.ego.position, abs=1e-6
    )
    speed = privates["ego"].find(".//AbsoluteTargetSpeed")
    assert float(speed.get("value")) == pytest.approx(scenario.start.speed_mps)
    event = tree.find(".//Event")
    assert float(event.find(".//AbsoluteTargetSpeed").get("value")) == 0.0
    assert float(event.find(".//SpeedActionDynamics").get("value")) == scenario.critical.decel_mps2
    assert float(event.find(".//SimulationTimeCondition").get("value")) == scenario.critical.at_s


@pytest.mark.parametrize("name", ["hard_braking_lead", "cut_in", "stopped_car_behind_bend"])
def test_the_library_reads_back_what_it_wrote(name: str, folder: Path) -> None:
    path, _, _ = export(scenarios.load(name), 0, folder)
    entities = etree.parse(str(path)).find("Entities")
    assert xosc.Entities.parse(entities).get_element() is not None
    again = xosc.Scenario.parse(etree.parse(str(path)).getroot())
    assert again.get_element().find("Storyboard") is not None


def test_equal_worlds_give_equal_scenarios(tmp_path: Path) -> None:
    first, second = (export(scenarios.load("cut_in"), 5, tmp_path / f) for f in ("a", "b"))
    assert first[0].read_bytes() == second[0].read_bytes()


def test_the_command_says_what_is_left_out(tmp_path: Path) -> None:
    done = CliRunner().invoke(
        app, ["export", "oncoming_over_line", "--output", str(tmp_path), "--seed", "1"]
    )
    assert done.exit_code == 0, done.output
    assert "the event oncoming_over_line" in done.output
    assert {p.suffix for p in tmp_path.iterdir()} == {".xosc", ".xodr"}
