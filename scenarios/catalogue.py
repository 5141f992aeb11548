"""Reading scenarios from YAML: by name from the catalogue, or by path."""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from pathlib import Path

import yaml

from scenarios.schema import Scenario, ScenarioError, from_mapping

CATALOGUE = Path(__file__).parent / "catalog"


def names() -> list[str]:
    """All scenarios of the catalogue, sorted."""
    return sorted(path.stem for path in CATALOGUE.glob("*.yaml"))


def load(name: str) -> Scenario:
    """The scenario of that name, or of the YAML file at that path. Raises ScenarioError."""
    path = Path(name) if name.endswith((".yaml", ".yml")) else CATALOGUE / f"{name}.yaml"
    if not path.is_file():
        accepted = "a path to a YAML file or one of " + ", ".join(names())
        raise ScenarioError("catalogue", "name", name, accepted)
    return _load(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=256)
def _load(path: Path, written_ns: int) -> Scenario:
    """A file that was edited meanwhile is read anew."""
    scenario = parse(path.read_text(encoding="utf-8"), path.name)
    if scenario.road.file is None:
        return scenario
    recording = path.parent / scenario.road.file  # written relative to the scenario, or absolute
    road = dataclasses.replace(scenario.road, file=str(recording))
    return dataclasses.replace(scenario, road=road)


def check(name: str | None = None) -> dict[str, ScenarioError]:
    """What is wrong with one scenario or the whole catalogue: by name, empty when all is well."""
    problems = {}
    for each in names() if name is None else [name]:
        try:
            load(each)
        except ScenarioError as error:
            problems[each] = error
    return problems


def parse(text: str, source: str) -> Scenario:
    """A scenario from YAML text; `source` is named in errors."""
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        problem = " ".join(str(error).split())
        raise ScenarioError(source, "(whole file)", problem, "valid YAML") from None
    scenario = from_mapping(Scenario, data, source)
    stem = source.rsplit(".", 1)[0]
    if scenario.name != stem:
        raise ScenarioError(source, "name", scenario.name, f"the file's name, '{stem}'")
    return scenario
