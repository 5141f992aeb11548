"""CommonRoad's states: tracks of obstacles, the ego's first instant, its goals."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np

from simulator.interchange.safe_xml import Element, Reader
from simulator.interchange.traffic_log import Floats, Goal, Instant, Problem, Track

KINDS = ("car", "truck", "bus", "taxi", "priorityVehicle", "parkedVehicle", "unknown")
"""Obstacles that look like one of the camera's bodies."""

OBSTACLE_PARTS = ("role", "type", "shape", "initialState", "trajectory")
SIGNALS = ("initialSignalState", "signalSeries")  # indicators: not drawn
GOAL_PARTS = ("position", "orientation", "time", "velocity")
CIRCLE_CORNERS = 64


def read_track(
    reader: Reader, element: Element, step_s: float, origin: tuple[float, float],
    notes: Counter[str],
) -> Track | None:  # fmt: skip
    """One obstacle; None after a feature that is not supported. Raises XmlError."""
    before = sum(map(len, reader.unsupported.values()))
    for part in element:
        if part.tag in SIGNALS:
            notes[part.tag] += 1
        elif part.tag not in OBSTACLE_PARTS:
            reader.refuse(part, f"<{part.tag}> of an obstacle")
    kind = (reader.child(element, "type").text or "").strip()
    if kind not in KINDS:
        reader.refuse(element, f"obstacle of type {kind}")
    size = _size(reader, element)
    first, trajectory = reader.child(element, "initialState"), element.find("trajectory")
    moves = element.tag == "dynamicObstacle" or element.findtext("role", "").strip() == "dynamic"
    if moves and trajectory is None:
        reader.refuse(element, "dynamic obstacle without <trajectory>")
    states = [first, *([] if trajectory is None else trajectory.iterfind("state"))]
    for state in states:
        _check_exact(reader, state)
    if sum(map(len, reader.unsupported.values())) > before:
        return None
    times = [_exact(reader, state, "time") * step_s for state in states]
    for earlier, later, state in zip(times, times[1:], states[1:], strict=False):
        if later <= earlier:
            raise reader.wrong(state, f"a state at {later:g} s follows one at {earlier:g} s")
    places = np.array([_place(reader, state, origin) for state in states])
    headings = np.unwrap([_exact(reader, state, "orientation") for state in states])
    return Track(
        number=reader.whole(element, "id"),
        kind=kind,
        length_m=size[0],
        width_m=size[1],
        time_s=np.array(times),
        x_m=places[:, 0],
        y_m=places[:, 1],
        heading_rad=headings,
        speed_mps=_speeds(reader, states, np.array(times), places),
    )


def _size(reader: Reader, element: Element) -> tuple[float, float]:
    shape = reader.child(element, "shape")
    rectangle = shape.find("rectangle")
    if len(shape) != 1 or rectangle is None:
        reader.refuse(shape, "obstacle shape other than one <rectangle>")
        return 1.0, 1.0
    for name in ("orientation", "center/x", "center/y"):
        turned = rectangle.find(name)
        if turned is not None and abs(reader.number(turned)) > 1e-6:
            reader.refuse(turned, "obstacle <rectangle> that is turned or moved")
    length, width = (reader.number(reader.child(rectangle, n)) for n in ("length", "width"))
    if not (0.3 <= length <= 40.0 and 0.3 <= width <= 6.0):
        raise reader.wrong(
            rectangle, f"size {length:g} x {width:g} m; accepted: 0.3 to 40 by 0.3 to 6 m"
        )
    return length, width


def _check_exact(reader: Reader, state: Element) -> None:
    """Uncertain states (intervals, areas) can't be replayed."""
    position = reader.child(state, "position")
    if position.find("point") is None:
        reader.refuse(position, "<position> that is an area")
    for name in ("orientation", "time", "velocity"):
        part = state.find(name)
        if part is not None and part.find("exact") is None:
            reader.refuse(part, f"<{name}> that is an interval")


def _exact(reader: Reader, state: Element, name: str) -> float:
    return reader.number(reader.child(reader.child(state, name), "exact"))


def _place(reader: Reader, state: Element, origin: tuple[float, float]) -> tuple[float, float]:
    return _point(reader, reader.child(reader.child(state, "position"), "point"), origin)


def _point(reader: Reader, point: Element, origin: tuple[float, float]) -> tuple[float, float]:
    x, y = (reader.number(reader.child(point, axis)) for axis in ("x", "y"))
    return x - origin[0], y - origin[1]


def _speeds(reader: Reader, states: list[Element], time_s: Floats, places: Floats) -> Floats:
    """As recorded; where a state has none, from the places."""
    if all(state.find("velocity") is not None for state in states):
        return np.array([_exact(reader, state, "velocity") for state in states])
    if len(states) == 1:
        return np.zeros(1)
    return np.asarray(np.hypot(*np.gradient(places, time_s, axis=0).T))


def read_problem(
    reader: Reader, element: Element, step_s: float, origin: tuple[float, float],
    lane_areas: dict[int, Floats],
) -> Problem:  # fmt: skip
    """One planning problem. Raises XmlError."""
    first = reader.child(element, "initialState")
    _check_exact(reader, first)
    x, y = _place(reader, first, origin)
    goals = tuple(
        _goal(reader, goal, step_s, origin, lane_areas) for goal in element.iterfind("goalState")
    )
    if not goals:
        raise reader.wrong(element, "a <planningProblem> without <goalState>: there is no goal")
    start_s = _exact(reader, first, "time") * step_s
    turning = first.find("yawRate/exact")
    problem = Problem(
        number=reader.whole(element, "id"),
        start_s=start_s,
        start=Instant(
            x, y, _exact(reader, first, "orientation"), _exact(reader, first, "velocity"), 0.0
        ),
        yaw_rate_radps=0.0 if turning is None else reader.number(turning),
        goals=goals,
    )
    if problem.latest_s <= start_s:
        raise reader.wrong(element, "the goal's time is over before the ego starts")
    return problem


def _goal(
    reader: Reader, element: Element, step_s: float, origin: tuple[float, float],
    lane_areas: dict[int, Floats],
) -> Goal:  # fmt: skip
    for part in element:
        if part.tag not in GOAL_PARTS:
            reader.refuse(part, f"<{part.tag}> of a goal")
    first_step, last_step = _interval(reader, reader.child(element, "time"))
    velocity, orientation = element.find("velocity"), element.find("orientation")
    areas = [
        area
        for position in element.iterfind("position")
        for shape in position
        if (area := _area(reader, shape, origin, lane_areas)) is not None
    ]
    return Goal(
        areas_xy_m=tuple(areas),
        time_s=(first_step * step_s, last_step * step_s),
        speed_mps=None if velocity is None else _interval(reader, velocity),
        heading_rad=None if orientation is None else _interval(reader, orientation),
    )


def _interval(reader: Reader, element: Element) -> tuple[float, float]:
    if element.find("exact") is not None:
        value = reader.number(element.find("exact"))
        return value, value
    first, last = (
        reader.number(reader.child(element, name)) for name in ("intervalStart", "intervalEnd")
    )
    if last < first:
        raise reader.wrong(element, f"the interval ends at {last:g} before it starts at {first:g}")
    return first, last


def _area(
    reader: Reader, shape: Element, origin: tuple[float, float], lane_areas: dict[int, Floats]
) -> Floats | None:
    if shape.tag == "lanelet":
        number = reader.whole(shape, "ref")
        if number not in lane_areas:
            raise reader.wrong(shape, f"there is no lanelet {number}")
        return lane_areas[number]
    if shape.tag == "polygon":
        return np.array([_point(reader, point, origin) for point in shape.iterfind("point")])
    if shape.tag not in ("rectangle", "circle"):
        reader.refuse(shape, f"goal position <{shape.tag}>")
        return None
    middle = shape.find("center")
    at_zero = (-origin[0], -origin[1])  # where a shape without a centre lies
    centre = np.array(at_zero if middle is None else _point(reader, middle, origin))
    if shape.tag == "circle":
        turn = np.linspace(0.0, math.tau, CIRCLE_CORNERS, endpoint=False)
        radius = reader.number(reader.child(shape, "radius"))
        return centre + radius * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    half = [reader.number(reader.child(shape, name)) / 2 for name in ("length", "width")]
    turned = shape.find("orientation")
    angle = 0.0 if turned is None else reader.number(turned)
    along = np.array([math.cos(angle), math.sin(angle)])
    across = np.array([-along[1], along[0]])
    signs = ((1, 1), (-1, 1), (-1, -1), (1, -1))
    return np.array([centre + a * half[0] * along + b * half[1] * across for a, b in signs])
