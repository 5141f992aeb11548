"""`dreamlane scenarios list|show|check|export`: what can be driven, whether it is well-formed, and out."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

import scenarios
from scenarios import Scenario, ScenarioError

app = typer.Typer(
    no_args_is_help=True,
    help="List, show, check and export what is driven.",
    add_completion=False,
    pretty_exceptions_enable=False,
)

Name = Annotated[str, typer.Argument(help="name in the catalogue, or path to a YAML file")]
OptionalName = Annotated[
    str | None, typer.Argument(help="name or path; without it the whole catalogue")
]


@app.command("list")
def list_all() -> None:
    """One line for each scenario of the catalogue."""
    table = Table(box=None)
    for column in ("name", "road", "weather", "cars", "critical event"):
        table.add_column(column, no_wrap=True)
    table.add_column("description")
    for name in scenarios.names():
        scenario = scenarios.load(name)
        event = scenario.critical.event if scenario.critical else ""
        table.add_row(
            name,
            scenario.road.kind,
            scenario.weather,
            str(scenario.traffic.cars),
            event,
            scenario.description,
        )
    Console(width=None if sys.stdout.isatty() else 160).print(table)


@app.command()
def show(name: Name) -> None:
    """Every field of one scenario, defaults included."""
    try:
        scenario = scenarios.load(name)
    except ScenarioError as error:
        _fail(str(error))
    for field, value in dataclasses.asdict(scenario).items():
        typer.echo(f"{field}: {_plain(value)}")


@app.command()
def check(name: OptionalName = None) -> None:
    """Read one scenario or all, and build the world of each that can be read."""
    problems: dict[str, str] = {n: str(e) for n, e in scenarios.check(name).items()}
    checked = scenarios.names() if name is None else [name]
    for each in checked:
        if each not in problems:
            problem = world_problem(scenarios.load(each))
            if problem:
                problems[each] = problem
    if problems:
        _fail("\n".join(problems.values()))
    typer.echo(f"{len(checked)} scenario(s) are well-formed and can be built")


@app.command()
def export(
    name: Name,
    output: Annotated[Path, typer.Option(help="Folder for the two files.")] = Path("exported"),
    seed: Annotated[int, typer.Option(help="Which of the scenario's worlds.")] = 0,
) -> None:
    """Write one scenario as OpenSCENARIO (.xosc) with its road as OpenDRIVE (.xodr)."""
    from simulator.interchange.openscenario import export as write

    scenario_path, road_path, left_out = write(scenarios.load(name), seed, output)
    typer.echo(f"{scenario_path} and {road_path.name}")
    typer.echo(f"not in them: {'; '.join(left_out)}")


def world_problem(scenario: Scenario) -> str:
    """Why no world can be built for a scenario; empty when one can."""
    from simulator.truth.world import World

    try:
        World(scenario, seed=0)
    except ScenarioError as error:
        return str(error)
    return ""


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(each)}" for key, each in value.items())
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_plain, value)) + "]"
    return str(value)


def _fail(message: str) -> None:
    typer.secho(message, err=True, fg=typer.colors.RED)
    raise typer.Exit(1)
