"""What a scenario may say: frozen dataclasses whose fields know what they accept.

The same checks run for a YAML file and for a scenario built in Python; every error names the file, the
field, what was given and what is accepted. Distances are metres, speeds metres a second, angles radians.
"""

from __future__ import annotations

from dataclasses import dataclass

from scenarios.fields import (
    Choice,
    Number,
    Part,
    Range,
    Text,
    Verbatim,
    Words,
    accepts,
    check,
)
from scenarios.fields import ScenarioError as ScenarioError
from scenarios.fields import from_mapping as from_mapping

ROADS = ("rural", "highway", "merge", "exit", "roundabout", "junction", "town")
RECORDED = "commonroad"
"""The kind of road that is read from a file, with its recorded traffic and its own start and goal."""

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
STANDING_S = 4.0
"""How long a driver that braked to a halt stays there."""
EVENTS = {
    "hard_braking_lead": ("rural", "highway", "town"),
    "cut_in": ("highway",),
    "stopped_car": ("rural", "town"),
    "oncoming_over_line": ("rural", "town"),
    "merging_truck": ("merge",),
    "slow_leader": ("rural", "highway"),
}
"""What can become critical, and on which kinds of road."""


@dataclass(frozen=True, slots=True)
class RoadSpec:
    """The road's shape. Where a range is given, the seed chooses within it."""

    kind: str = accepts(Choice((*ROADS, RECORDED)))
    lanes: int = accepts(Number(1, 4, whole=True), default=1)  # in each direction
    lane_width_m: float = accepts(Number(2.8, 5.0), default=3.5)
    speed_limit_mps: float = accepts(Number(5.0, 40.0), default=22.0)
    radius_m: tuple[float, float] = accepts(Range(40.0, 5000.0), default=(150.0, 500.0))
    centre_line: str = accepts(Choice(CENTRE_LINES), default="any")
    hills_m: float = accepts(Number(0.0, 6.0), default=2.5)  # amplitude
    file: str | None = accepts(Verbatim(), default=None)  # recorded roads only
    digest: str | None = accepts(Verbatim(), default=None)  # BLAKE2b-128 of the file
    problem: int | None = accepts(Number(0, 2**62, whole=True, optional=True), default=None)

    def __post_init__(self) -> None:
        check(self)
        for name in ("file", "digest"):
            given = getattr(self, name)
            if (given is None) == (self.kind == RECORDED):
                accepted = f"a text on a road of kind {RECORDED}, nothing on all others"
                raise ScenarioError("RoadSpec", name, given, accepted)


@dataclass(frozen=True, slots=True)
class TrafficSpec:
    """Who else is on the road."""

    cars: int = accepts(Number(0, 12, whole=True), default=6)  # alive at any time
    speed_factor: tuple[float, float] = accepts(Range(0.2, 1.5), default=(0.8, 1.05))
    truck_share: float = accepts(Number(0.0, 1.0), default=0.15)
    parked_per_km: float = accepts(Number(0.0, 150.0), default=0.0)  # town streets only

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True)
class StartSpec:
    """Where the ego begins."""

    lane: int = accepts(Number(0, 4, whole=True), default=0)  # 0 is the leftmost of its direction
    station_m: float = accepts(Number(10.0, 2000.0), default=100.0)  # along the first lane
    offset_m: float = accepts(Number(-2.5, 2.5), default=0.0)  # left of the lane's centre
    heading_rad: float = accepts(Number(-0.5, 0.5), default=0.0)  # against the lane's heading
    speed_mps: float = accepts(Number(0.0, 40.0), default=15.0)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True)
class SuccessSpec:
    """What must hold after `duration_s` (or at the route's end) besides no crash and no leaving
    the road."""

    min_progress_m: float = accepts(Number(0.0, 5000.0), default=0.0)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True)
class CriticalSpec:
    """The event that a driver who merely keeps lane and speed does not survive."""

    event: str = accepts(Choice(tuple(EVENTS)))
    why: str = accepts(Text())
    at_s: float = accepts(Number(0.0, 60.0), default=3.0)  # when it begins
    gap_m: float = accepts(Number(2.0, 400.0), default=25.0)  # bumper to bumper at the start
    speed_mps: float = accepts(Number(0.0, 40.0), default=15.0)  # of the other vehicle
    decel_mps2: float = accepts(Number(0.0, 9.0), default=6.0)

    def __post_init__(self) -> None:
        check(self)

    @property
    def halt_s(self) -> float:
        """How long a driver that brakes to a halt takes until it drives on."""
        return self.speed_mps / max(self.decel_mps2, 1.0) + STANDING_S


@dataclass(frozen=True, slots=True)
class Scenario:
    """A drive that can be repeated: everything but the seed."""

    name: str = accepts(Text())
    description: str = accepts(Text())
    road: RoadSpec = accepts(Part(RoadSpec))
    tags: tuple[str, ...] = accepts(Words(), default=())
    weather: str = accepts(Choice(WEATHERS), default="day")
    traffic: TrafficSpec = accepts(Part(TrafficSpec), default=TrafficSpec())
    start: StartSpec = accepts(Part(StartSpec), default=StartSpec())
    route: str = accepts(Choice(("ahead", "left", "right", "ramp")), default="ahead")
    duration_s: float = accepts(Number(1.0, 600.0), default=60.0)
    success: SuccessSpec = accepts(Part(SuccessSpec), default=SuccessSpec())
    critical: CriticalSpec | None = accepts(Part(CriticalSpec, optional=True), default=None)

    def __post_init__(self) -> None:
        check(self)
        if self.road.kind == RECORDED:
            self._check_recorded()
            return
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

    def _check_recorded(self) -> None:
        """What a recording brings along can't be given a second time."""
        for name, given, accepted in (
            ("traffic.cars", self.traffic.cars, 0),
            ("start", self.start, StartSpec()),
            ("route", self.route, "ahead"),
            ("success", self.success, SuccessSpec()),
            ("critical", self.critical, None),
        ):
            if given != accepted:
                said = f"nothing on a road of kind {RECORDED}: the recording says it"
                said = "0, the traffic is recorded" if name == "traffic.cars" else said
                raise ScenarioError("Scenario", name, given, said)
