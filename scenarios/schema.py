"""What a scenario may say: frozen dataclasses whose fields know what they accept.

The same checks run for a YAML file and for a scenario built in Python; every error names the file, the
field, what was given and what is accepted. Distances are metres, speeds metres a second, angles radians.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

ROADS = ("rural", "highway", "merge", "exit", "roundabout", "junction", "town")
WEATHERS = ("day", "overcast", "sunset", "fog", "rain", "night")
ROUTES = {
    "rural": ("ahead",),
    "highway": ("ahead",),
    "town": ("ahead",),
    "merge": ("ahead", "ramp"),
    "exit": ("ahead", "ramp"),
    "roundabout": ("ahead", "left", "right"),
    "junction": ("ahead", "left", "right"),
}
"""What a route may be on each kind of road; "ramp" comes in or goes off by the slip road."""

CENTRE_LINES = ("double", "dashed", "any")
EVENTS = {
    "hard_braking_lead": ("rural", "highway", "town"),
    "cut_in": ("highway",),
    "stopped_car": ("rural", "town"),
    "oncoming_over_line": ("rural", "town"),
    "merging_truck": ("merge",),
    "slow_leader": ("rural", "highway"),
}
"""What can become critical, and on which kinds of road."""


class ScenarioError(ValueError):
    """A scenario that cannot be used: `source`, `field`, `given` and `accepted` say why."""

    def __init__(self, source: str, field: str, given: object, accepted: str) -> None:
        super().__init__(f"{source}: field '{field}': got {given!r}; accepted: {accepted}")
        self.source, self.field, self.given, self.accepted = source, field, given, accepted


@dataclass(frozen=True, slots=True)
class _Number:
    low: float
    high: float
    whole: bool = False
    optional: bool = False

    def __str__(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        return f"{kind} from {self.low:g} to {self.high:g}" + (" or null" * self.optional)

    def read(self, given: Any) -> Any:
        if given is None and self.optional:
            return None
        good = isinstance(given, int | float) and not isinstance(given, bool)
        if not good or not math.isfinite(given) or not self.low <= given <= self.high:
            raise ValueError
        if self.whole:
            if given != int(given):
                raise ValueError
            return int(given)
        return float(given)


@dataclass(frozen=True, slots=True)
class _Range:
    low: float
    high: float

    def __str__(self) -> str:
        return f"two numbers [least, most] from {self.low:g} to {self.high:g}"

    def read(self, given: Any) -> tuple[float, float]:
        if not isinstance(given, list | tuple) or len(given) != 2:
            raise ValueError
        least, most = (_Number(self.low, self.high).read(value) for value in given)
        if least > most:
            raise ValueError
        return least, most


@dataclass(frozen=True, slots=True)
class _Choice:
    options: tuple[str, ...]

    def __str__(self) -> str:
        return "one of " + ", ".join(self.options)

    def read(self, given: Any) -> str:
        if not isinstance(given, str) or given not in self.options:
            raise ValueError
        return given


@dataclass(frozen=True, slots=True)
class _Text:
    def __str__(self) -> str:
        return "text that is not empty"

    def read(self, given: Any) -> str:
        if not isinstance(given, str) or not given.strip():
            raise ValueError
        return " ".join(given.split())


@dataclass(frozen=True, slots=True)
class _Words:
    def __str__(self) -> str:
        return "a list of words"

    def read(self, given: Any) -> tuple[str, ...]:
        if not isinstance(given, list | tuple) or not all(isinstance(w, str) for w in given):
            raise ValueError
        return tuple(given)


@dataclass(frozen=True, slots=True)
class _Part:
    """A nested dataclass, or null where `optional`."""

    kind: type
    optional: bool = False

    def __str__(self) -> str:
        names = ", ".join(f.name for f in dataclasses.fields(self.kind))
        return f"a mapping with {names}" + (" or null" * self.optional)


def _accepts(check: Any, **default: Any) -> Any:
    return field(metadata={"accepts": check}, **default)


def _check(part: Any) -> None:
    """Validate one dataclass in place (it is frozen: normalised values go in the back door)."""
    source = f"{type(part).__name__}"
    for spec in dataclasses.fields(part):
        accepts, given = spec.metadata["accepts"], getattr(part, spec.name)
        if isinstance(accepts, _Part):
            if not (isinstance(given, accepts.kind) or (given is None and accepts.optional)):
                raise ScenarioError(source, spec.name, given, str(accepts))
            continue
        try:
            object.__setattr__(part, spec.name, accepts.read(given))
        except ValueError:
            raise ScenarioError(source, spec.name, given, str(accepts)) from None


@dataclass(frozen=True, slots=True)
class RoadSpec:
    """The road's shape. Where a range is given, the seed chooses within it."""

    kind: str = _accepts(_Choice(ROADS))
    lanes: int = _accepts(_Number(1, 4, whole=True), default=1)  # in each direction
    lane_width_m: float = _accepts(_Number(2.8, 5.0), default=3.5)
    speed_limit_mps: float = _accepts(_Number(5.0, 40.0), default=22.0)
    radius_m: tuple[float, float] = _accepts(_Range(40.0, 5000.0), default=(150.0, 500.0))
    centre_line: str = _accepts(_Choice(CENTRE_LINES), default="any")
    hills_m: float = _accepts(_Number(0.0, 6.0), default=2.5)  # amplitude

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True, slots=True)
class TrafficSpec:
    """Who else is on the road."""

    cars: int = _accepts(_Number(0, 12, whole=True), default=6)  # alive at any time
    speed_factor: tuple[float, float] = _accepts(_Range(0.2, 1.5), default=(0.8, 1.05))
    truck_share: float = _accepts(_Number(0.0, 1.0), default=0.15)
    parked_per_km: float = _accepts(_Number(0.0, 150.0), default=0.0)  # town streets only

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True, slots=True)
class StartSpec:
    """Where the ego begins."""

    lane: int = _accepts(_Number(0, 4, whole=True), default=0)  # 0 is the leftmost of its direction
    station_m: float = _accepts(_Number(10.0, 2000.0), default=100.0)  # along the first lane
    offset_m: float = _accepts(_Number(-2.5, 2.5), default=0.0)  # left of the lane's centre
    heading_rad: float = _accepts(_Number(-0.5, 0.5), default=0.0)  # against the lane's heading
    speed_mps: float = _accepts(_Number(0.0, 40.0), default=15.0)

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True, slots=True)
class SuccessSpec:
    """What must hold after `duration_s` (or at the route's end) besides no crash and no leaving
    the road."""

    min_progress_m: float = _accepts(_Number(0.0, 5000.0), default=0.0)

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True, slots=True)
class CriticalSpec:
    """The event that a driver who merely keeps lane and speed does not survive."""

    event: str = _accepts(_Choice(tuple(EVENTS)))
    why: str = _accepts(_Text())
    at_s: float = _accepts(_Number(0.0, 60.0), default=3.0)  # when it begins
    gap_m: float = _accepts(_Number(2.0, 400.0), default=25.0)  # bumper to bumper at the start
    speed_mps: float = _accepts(_Number(0.0, 40.0), default=15.0)  # of the other vehicle
    decel_mps2: float = _accepts(_Number(0.0, 9.0), default=6.0)

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A drive that can be repeated: everything but the seed."""

    name: str = _accepts(_Text())
    description: str = _accepts(_Text())
    road: RoadSpec = _accepts(_Part(RoadSpec))
    tags: tuple[str, ...] = _accepts(_Words(), default=())
    weather: str = _accepts(_Choice(WEATHERS), default="day")
    traffic: TrafficSpec = _accepts(_Part(TrafficSpec), default=TrafficSpec())
    start: StartSpec = _accepts(_Part(StartSpec), default=StartSpec())
    route: str = _accepts(_Choice(("ahead", "left", "right", "ramp")), default="ahead")
    duration_s: float = _accepts(_Number(1.0, 600.0), default=60.0)
    success: SuccessSpec = _accepts(_Part(SuccessSpec), default=SuccessSpec())
    critical: CriticalSpec | None = _accepts(_Part(CriticalSpec, optional=True), default=None)

    def __post_init__(self) -> None:
        _check(self)
        routes = ROUTES[self.road.kind]
        if self.route not in routes:
            accepted = f"one of {', '.join(routes)} on a road of kind {self.road.kind}"
            raise ScenarioError("Scenario", "route", self.route, accepted)
        one_lane = ("roundabout", "junction")
        if self.road.kind in one_lane and self.road.lanes != 1:
            accepted = f"1 on a road of kind {self.road.kind}"
            raise ScenarioError("Scenario", "road.lanes", self.road.lanes, accepted)
        if self.critical is not None and self.road.kind not in EVENTS[self.critical.event]:
            accepted = f"{' or '.join(EVENTS[self.critical.event])} for this event"
            raise ScenarioError("Scenario", "road.kind", self.road.kind, accepted)


T = TypeVar("T")


def from_mapping(kind: type[T], data: object, source: str, path: str = "") -> T:
    """Build `kind` from parsed YAML. Raises ScenarioError for a wrong, unknown or missing field."""
    specs = {spec.name: spec for spec in dataclasses.fields(kind)}  # type: ignore[arg-type]
    if not isinstance(data, Mapping):
        raise ScenarioError(source, path or "(whole file)", data, str(_Part(kind)))
    for name in data:
        if name not in specs:
            raise ScenarioError(source, f"{path}{name}", data[name], "fields " + ", ".join(specs))
    values: dict[str, Any] = {}
    for name, spec in specs.items():
        accepts = spec.metadata["accepts"]
        if name not in data:
            if spec.default is dataclasses.MISSING:
                raise ScenarioError(source, f"{path}{name}", "nothing", f"{accepts} (required)")
        elif isinstance(accepts, _Part) and not (data[name] is None and accepts.optional):
            values[name] = from_mapping(accepts.kind, data[name], source, f"{path}{name}.")
        else:
            values[name] = data[name]
    try:
        return kind(**values)
    except ScenarioError as error:
        field_path = f"{path}{error.field}"
        raise ScenarioError(source, field_path, error.given, error.accepted) from None
