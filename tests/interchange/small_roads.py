"""Small CommonRoad files, written by the tests themselves: recordings of real traffic stay outside."""

from __future__ import annotations

import math
from pathlib import Path

WIDTH_M = 3.5


def points(line: list[tuple[float, float]]) -> str:
    return "".join(f"<point><x>{x}</x><y>{y}</y></point>" for x, y in line)


def lanelet(number: int, y_m: float, x_m: tuple[float, float], inside: str = "") -> str:
    """A straight lane to the east, its centre at `y_m`."""
    left, right = ([(x, y_m + side * WIDTH_M / 2) for x in x_m] for side in (1, -1))
    return (
        f'<lanelet id="{number}"><leftBound>{points(left)}</leftBound>'
        f"<rightBound>{points(right)}</rightBound>{inside}</lanelet>"
    )


def state(
    tag: str, step: float, x_m: float, y_m: float, speed_mps: float, heading: float = 0.0
) -> str:
    return (
        f"<{tag}><position>{points([(x_m, y_m)])}</position><orientation><exact>{heading}</exact>"
        f"</orientation><time><exact>{step}</exact></time>"
        f"<velocity><exact>{speed_mps}</exact></velocity></{tag}>"
    )


def car(number: int, states: str, kind: str = "car", size: tuple[float, float] = (4.5, 1.8)) -> str:
    """A 2018b obstacle; the first of `states` is its initial state."""
    return (
        f'<obstacle id="{number}"><role>dynamic</role><type>{kind}</type><shape><rectangle>'
        f"<length>{size[0]}</length><width>{size[1]}</width></rectangle></shape>{states}</obstacle>"
    )


def track(
    y_m: float, x0_m: float, speed_mps: float, steps: int, first: int = 0, dt_s: float = 0.1
) -> str:
    at = [
        (k, x0_m + speed_mps * dt_s * (k - first), y_m, speed_mps)
        for k in range(first, first + steps)
    ]
    rest = "".join(state("state", *each) for each in at[1:])
    return state("initialState", *at[0]) + f"<trajectory>{rest}</trajectory>"


def problem(goal: str = "", x_m: float = 20.0, speed_mps: float = 10.0, step: int = 0) -> str:
    goal = goal or (
        '<position><lanelet ref="2"/></position><time><intervalStart>0</intervalStart>'
        "<intervalEnd>100</intervalEnd></time>"
    )
    start = state("initialState", step, x_m, 0.0, speed_mps)
    return f'<planningProblem id="7">{start}<goalState>{goal}</goalState></planningProblem>'


TWO_LANES = (
    lanelet(1, 0.0, (0.0, 60.0), '<successor ref="2"/><adjacentLeft ref="3" drivingDir="same"/>')
    + lanelet(2, 0.0, (60.0, 200.0), '<predecessor ref="1"/><speedLimit>20</speedLimit>')
    + lanelet(3, WIDTH_M, (0.0, 60.0), '<adjacentRight ref="1" drivingDir="same"/>')
)


def file(
    folder: Path, content: str, version: str = "2018b", step_s: float = 0.1, name: str = "small.xml"
) -> Path:
    path = folder / name
    path.write_text(
        '<?xml version="1.0"?>\n'
        f'<commonRoad timeStepSize="{step_s}" commonRoadVersion="{version}" benchmarkID="Small-1">\n'
        f"{content}\n</commonRoad>\n"
    )
    return path


def turned(x_m: float, y_m: float, by_rad: float) -> tuple[float, float]:
    cos, sin = math.cos(by_rad), math.sin(by_rad)
    return x_m * cos - y_m * sin, x_m * sin + y_m * cos
