"""Scenario files: what is wrong is said with file, field, what was given and what is accepted."""

import dataclasses
from pathlib import Path

import pytest

from scenarios.catalogue import CATALOGUE, parse
from scenarios.schema import (
    CriticalSpec,
    RoadSpec,
    Scenario,
    ScenarioError,
    StartSpec,
    SuccessSpec,
    TrafficSpec,
)

PAGE = Path(__file__).parents[2] / "docs" / "scenarios.md"

GOOD = """
name: some_road
description: A road.
road: {kind: rural, radius_m: [80, 200]}
"""


def error_of(text: str) -> ScenarioError:
    with pytest.raises(ScenarioError) as caught:
        parse(text, "some_road.yaml")
    return caught.value


def test_a_short_file_is_filled_with_defaults() -> None:
    scenario = parse(GOOD, "some_road.yaml")
    assert scenario.road.radius_m == (80.0, 200.0)
    assert (scenario.weather, scenario.duration_s, scenario.critical) == ("day", 60.0, None)


@pytest.mark.parametrize(
    ("line", "field", "accepted"),
    [
        ("weather: hail", "weather", "one of day, overcast"),
        ("duration_s: 0", "duration_s", "a number from 1 to 600"),
        ("duration_s: .nan", "duration_s", "a number from 1 to 600"),
        ("duration_s: soon", "duration_s", "a number"),
        ("traffic: {cars: 13}", "traffic.cars", "a whole number from 0 to 12"),
        ("traffic: {cars: 2.5}", "traffic.cars", "a whole number"),
        ("traffic: {cars: true}", "traffic.cars", "a whole number"),
        ("traffic: {speed_factor: [1.2, 0.8]}", "traffic.speed_factor", "two numbers"),
        ("traffic: {tanks: 1}", "traffic.tanks", "cars, speed_factor"),
        ("traffic: many", "traffic.", "a mapping with cars"),
        ("tags: easy", "tags", "a list of words"),
        ("route: left", "route", "one of ahead on a road of kind rural"),
        ("critical: {event: cut_in, why: close}", "road.kind", "highway"),
        ("critical: {event: flood, why: wet}", "critical.event", "hard_braking_lead"),
        ("critical: {event: cut_in}", "critical.why", "required"),
    ],
)
def test_an_error_names_file_field_and_accepted_values(
    line: str, field: str, accepted: str
) -> None:
    error = error_of(GOOD + line)
    assert error.field == field
    assert accepted in error.accepted
    assert str(error).startswith(f"some_road.yaml: field '{field}'")


def test_a_missing_field_a_wrong_name_and_broken_yaml_are_refused() -> None:
    assert error_of("name: some_road\ndescription: x").field == "road"
    assert error_of(GOOD.replace("some_road", "other")).field == "name"
    assert error_of("name: [").accepted == "valid YAML"
    assert error_of("- a list").accepted.startswith("a mapping")


def test_scenarios_built_in_python_are_checked_too() -> None:
    with pytest.raises(ScenarioError, match="RoadSpec: field 'kind'"):
        RoadSpec(kind="river")
    with pytest.raises(ScenarioError, match="speed_mps"):
        StartSpec(speed_mps=-1.0)
    with pytest.raises(ScenarioError, match="lanes"):
        Scenario("x", "x", RoadSpec(kind="roundabout", lanes=2))
    with pytest.raises(ScenarioError, match="why"):
        CriticalSpec(event="cut_in", why=" ")


def test_scenarios_are_frozen_and_hashable() -> None:
    scenario = parse(GOOD, "some_road.yaml")
    with pytest.raises(dataclasses.FrozenInstanceError):
        scenario.weather = "fog"  # type: ignore[misc]
    assert scenario == parse(GOOD, "some_road.yaml")
    assert len({scenario, parse(GOOD, "some_road.yaml")}) == 1


@pytest.mark.parametrize(
    "part", [Scenario, RoadSpec, TrafficSpec, StartSpec, SuccessSpec, CriticalSpec]
)
def test_the_page_names_every_field_and_what_it_accepts(part):
    page = PAGE.read_text()
    for field in dataclasses.fields(part):
        accepted = str(field.metadata["accepts"])
        if accepted.startswith("a mapping"):
            accepted = "a mapping" + " or null" * accepted.endswith("or null")
        assert f"| `{field.name}` | {accepted} |" in page


def test_the_page_s_example_is_the_catalogue_s():
    page = PAGE.read_text()
    assert page.split("```yaml\n")[1].split("```")[0] == (CATALOGUE / "cut_in.yaml").read_text()
