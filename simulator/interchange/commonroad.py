"""Reads CommonRoad scenarios, formats 2018b and 2020a (https://commonroad.in.tum.de, format specification).

What the reference world can't show or replay is refused with its line, all of it at once; what merely
adds to the picture (traffic lights, stop lines) is left out and listed in `TrafficLog.notes`.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from simulator.interchange.commonroad_states import read_problem, read_track
from simulator.interchange.safe_xml import (
    Element,
    Reader,
    UnsupportedError,
    XmlError,
    read_root,
)
from simulator.interchange.traffic_log import Floats, Lanelet, Neighbour, TrafficLog

VERSIONS = ("2018b", "2020a")
OBSTACLES = ("obstacle", "staticObstacle", "dynamicObstacle")
LEFT_OUT = ("trafficSign", "trafficLight", "intersection", "location", "scenarioTags")
LANELET_PARTS = (
    "leftBound", "rightBound", "predecessor", "successor", "adjacentLeft", "adjacentRight",
    "speedLimit", "laneletType", "trafficSignRef",
)  # fmt: skip
LANELET_LEFT_OUT = ("stopLine", "trafficLightRef", "userOneWay", "userBidirectional")
NOT_FOR_CARS = ("sidewalk", "crosswalk", "bicycleLane", "border")
SPEED_SIGNS = ("R2-1", "274", "274.1", "R301")
"""Highest speed: USA, Germany (and most others), its zones, Spain."""

_SHORTEST_M = 0.5


def read(path: Path) -> TrafficLog:
    """The recorded traffic in a CommonRoad file.

    Raises XmlError for a file that is damaged, of another format or version, or contradicts itself;
    UnsupportedError (one of them) for features we can't show; OSError for a file that can't be read.
    """
    root = read_root(path)
    reader = Reader(path)
    if root.tag != "commonRoad":
        raise reader.wrong(root, f"the file is <{root.tag}>; accepted: <commonRoad>")
    version = root.get("commonRoadVersion")
    if version not in VERSIONS:
        raise reader.wrong(
            root,
            f"commonRoadVersion is {version!r}; accepted: {' and '.join(VERSIONS)}. Convert the file "
            "with CommonRoad's own tools",
        )
    step_s = _step_s(reader, root)
    origin = _origin(reader, root)
    limits = _speed_signs(reader, root)
    notes: Counter[str] = Counter()
    lanelets: dict[int, Lanelet] = {}
    tracks, problems = [], {}
    for element in root:
        if element.tag == "lanelet":
            lanelet = _lanelet(reader, element, origin, limits, notes)
            if lanelet.number in lanelets:
                raise reader.wrong(element, f"a second lanelet has the id {lanelet.number}")
            lanelets[lanelet.number] = lanelet
        elif element.tag in OBSTACLES:
            track = read_track(reader, element, step_s, origin, notes)
            if track is not None:
                tracks.append(track)
        elif element.tag in LEFT_OUT:
            if element.tag.startswith("traffic"):
                notes[element.tag] += 1
        elif element.tag != "planningProblem":
            reader.refuse(element, f"<{element.tag}>")
    if not lanelets:
        raise reader.wrong(root, "no <lanelet>: there is no road to drive on")
    _check_references(reader, root, lanelets)
    areas = {number: lanelet.outline() for number, lanelet in lanelets.items()}
    for element in root.iterfind("planningProblem"):
        problem = read_problem(reader, element, step_s, origin, areas)
        problems[problem.number] = problem
    if reader.unsupported:
        raise UnsupportedError(path, reader.unsupported)
    return TrafficLog(
        name=root.get("benchmarkID") or path.stem,
        tags=tuple(root.get("tags", "").split()) or _tags(root),
        lanelets=lanelets,
        tracks=tuple(tracks),
        problems=problems,
        origin_xy_m=origin,
        notes=tuple(f"{count} <{name}>" for name, count in sorted(notes.items())),
    )


def _step_s(reader: Reader, root: Element) -> float:
    try:
        step_s = float(root.get("timeStepSize", ""))
    except ValueError:
        step_s = 0.0
    if not 0.001 <= step_s <= 10.0:
        given = root.get("timeStepSize")
        raise reader.wrong(root, f"timeStepSize is {given!r}; accepted: 0.001 to 10 (seconds)")
    return step_s


def _origin(reader: Reader, root: Element) -> tuple[float, float]:
    """The first ego start: the camera draws in 32-bit numbers, which far from zero are coarse."""
    problem = root.find("planningProblem")
    if problem is None:
        raise reader.wrong(root, "no <planningProblem>: nothing says where the ego starts and goes")
    point = problem.find("initialState/position/point")
    if point is None:
        raise reader.wrong(problem, "the ego's <initialState> has no <position> with a <point>")
    return reader.number(reader.child(point, "x")), reader.number(reader.child(point, "y"))


def _tags(root: Element) -> tuple[str, ...]:
    tags = root.find("scenarioTags")
    return () if tags is None else tuple(str(tag.tag) for tag in tags)


def _speed_signs(reader: Reader, root: Element) -> dict[int, float]:
    """The speed on each traffic sign that limits it (2020a)."""
    limits = {}
    for sign in root.iterfind("trafficSign"):
        for part in sign.iterfind("trafficSignElement"):
            value = part.find("additionalValue")
            if part.findtext("trafficSignID", "").strip() in SPEED_SIGNS and value is not None:
                limits[reader.whole(sign, "id")] = reader.number(value)
    return limits


def _lanelet(
    reader: Reader, element: Element, origin: tuple[float, float], limits: dict[int, float],
    notes: Counter[str],
) -> Lanelet:  # fmt: skip
    for part in element:
        if part.tag in LANELET_LEFT_OUT:
            notes[part.tag] += 1
        elif part.tag not in LANELET_PARTS:
            reader.refuse(part, f"<{part.tag}> of a lanelet")
        elif part.tag == "laneletType" and (part.text or "").strip() in NOT_FOR_CARS:
            reader.refuse(part, f"lanelet of type {part.text.strip()}")
    left, left_marking = _bound(reader, element, "leftBound", origin)
    right, right_marking = _bound(reader, element, "rightBound", origin)
    return Lanelet(
        number=reader.whole(element, "id"),
        left_xy_m=left,
        right_xy_m=right,
        successors=tuple(reader.whole(part, "ref") for part in element.iterfind("successor")),
        left=_neighbour(reader, element, "adjacentLeft"),
        right=_neighbour(reader, element, "adjacentRight"),
        left_marking=left_marking,
        right_marking=right_marking,
        speed_limit_mps=_limit(reader, element, limits),
    )


def _bound(
    reader: Reader, lanelet: Element, name: str, origin: tuple[float, float]
) -> tuple[Floats, str | None]:
    bound = reader.child(lanelet, name)
    points = np.array(
        [
            [reader.number(reader.child(point, axis)) for axis in ("x", "y")]
            for point in bound.iterfind("point")
        ]
    ).reshape(-1, 2) - np.array(origin)
    if len(points) < 2 or np.hypot(*np.diff(points, axis=0).T).sum() < _SHORTEST_M:
        raise reader.wrong(bound, f"<{name}> needs two points or more, {_SHORTEST_M} m apart")
    marking = bound.findtext("lineMarking")
    return points, marking.strip() if marking else None


def _neighbour(reader: Reader, lanelet: Element, name: str) -> Neighbour | None:
    part = lanelet.find(name)
    if part is None:
        return None
    direction = part.get("drivingDir")
    if direction not in ("same", "opposite"):
        raise reader.wrong(part, f"drivingDir is {direction!r}; accepted: same, opposite")
    return Neighbour(reader.whole(part, "ref"), direction == "same")


def _limit(reader: Reader, lanelet: Element, limits: dict[int, float]) -> float | None:
    said = lanelet.find("speedLimit")
    if said is not None:
        return reader.number(said)
    signs = (reader.whole(part, "ref") for part in lanelet.iterfind("trafficSignRef"))
    return min((limits[sign] for sign in signs if sign in limits), default=None)


def _check_references(reader: Reader, root: Element, lanelets: dict[int, Lanelet]) -> None:
    names = ("predecessor", "successor", "adjacentLeft", "adjacentRight")
    for element in root.iterfind("lanelet"):
        for part in element:
            if part.tag in names and reader.whole(part, "ref") not in lanelets:
                raise reader.wrong(part, f"there is no lanelet {part.get('ref')}")


__all__ = ["UnsupportedError", "XmlError", "read"]
