"""What only the reference world can tell: how close the others come, and whose fault a collision was.

After nuPlan's metrics (Karnchanachari et al. 2024), with one change: paths are continued with their present
turn rate, not straight on, or every oncoming car in a bend would be on collision course.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from simulator.ego import DT_S
from simulator.truth.collision import Box, overlap
from simulator.truth.world import World

HORIZON_S = 2.0
"""Times to collision above this are given as infinite."""

STANDING_MPS = 0.05
BUMPER_M = 0.1
NEAR_M = 120.0


@dataclass(frozen=True, slots=True)
class Mover:
    """A rectangle that goes on at its speed along its present arc."""

    box: Box
    speed_mps: float
    yaw_rate_radps: float

    def after(self, seconds: float) -> Box:
        """Where it is then."""
        turn = self.yaw_rate_radps * seconds
        chord = self.box.heading_rad + 0.5 * turn
        run = self.speed_mps * seconds
        return self.box._replace(
            x_m=self.box.x_m + run * math.cos(chord),
            y_m=self.box.y_m + run * math.sin(chord),
            heading_rad=self.box.heading_rad + turn,
        )


def ego_of(world: World) -> Mover:
    """The ego as it moves now."""
    ego = world.road.ego
    return Mover(ego.box(), ego.speed, ego.yaw_rate_radps)


def others_of(world: World) -> list[Mover]:
    """Everybody within reach, parked cars included; drivers follow their lane's bend."""
    x, y, *_ = world.road.ego.box()
    moving = []
    for driver in world.road.drivers:
        box = driver.box()
        if math.hypot(box.x_m - x, box.y_m - y) < NEAR_M:
            lane = getattr(driver, "lane", None)  # replayed vehicles keep to no lane
            bend = lane.curvature_at(lane.local_coordinates(driver.position)[0]) if lane else 0.0
            moving.append(Mover(box, driver.speed, driver.speed * bend))
    reach = world.road.ego.speed * HORIZON_S / 2
    heading = world.road.ego.heading
    ahead = (x + reach * math.cos(heading), y + reach * math.sin(heading))
    parked = world.parked.boxes_near(*ahead, range_m=reach + 10.0)
    return moving + [Mover(box, 0.0, 0.0) for box in parked]


def time_to_collision_s(ego: Mover, others: list[Mover], horizon_s: float = HORIZON_S) -> float:
    """Seconds until the ego would touch one of the others, if all went on as they do now.

    Whoever is behind the ego's centre doesn't count, nor does anybody while the ego stands. Infinite
    where nothing would happen within the horizon; resolved to a tick.
    """
    if ego.speed_mps < STANDING_MPS:
        return math.inf
    cos, sin = math.cos(ego.box.heading_rad), math.sin(ego.box.heading_rad)
    before = [
        other
        for other in others
        if (other.box.x_m - ego.box.x_m) * cos + (other.box.y_m - ego.box.y_m) * sin > 0.0
    ]
    for tick in range(round(horizon_s / DT_S) + 1):
        here = ego.after(tick * DT_S)
        if any(overlap(here, other.after(tick * DT_S)) for other in before):
            return tick * DT_S
    return math.inf


def at_fault(world: World, ego_mps: float, others_mps: dict[int, float]) -> bool:
    """Whether the collision that just happened in the world was the ego's doing.

    It was where the ego ran into somebody standing or with its front bumper, or was touched from the
    side while it reached out of its lane. It was not where the ego stood or was hit from behind.

    Args:
        world: at the instant of the collision.
        ego_mps, others_mps: speeds one tick before, the others' by `id` of their vehicle.
    """
    if ego_mps < STANDING_MPS:
        return False
    car = world.road.ego
    box = car.box()
    hit = [d for d in world.road.drivers if overlap(box, d.box())]
    if not hit:  # then it was a parked car
        return True
    front, rear = (_bumper(box, side) for side in (1.0, -1.0))
    beyond_m = abs(world.ego.lane_offset_m) + 0.5 * car.WIDTH - 0.5 * world.lane_width_m
    for driver in hit:
        standing = others_mps.get(id(driver), driver.speed) < STANDING_MPS
        if standing or overlap(front, driver.box()):
            return True
        if not overlap(rear, driver.box()) and beyond_m > 0.0:
            return True
    return False


def speeds_of(world: World) -> tuple[float, dict[int, float]]:
    """Speeds of the ego and, by `id` of their vehicle, of the others: what `at_fault` asks for."""
    return world.road.ego.speed, {id(driver): driver.speed for driver in world.road.drivers}


def _bumper(box: Box, side: float) -> Box:
    away = side * 0.5 * (box.length_m - BUMPER_M)
    return box._replace(
        x_m=box.x_m + away * math.cos(box.heading_rad),
        y_m=box.y_m + away * math.sin(box.heading_rad),
        length_m=BUMPER_M,
    )
