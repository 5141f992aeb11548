"""How the tests of the reference world drive it: an expert, and one who only keeps lane and speed."""

import dataclasses
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from agents.lane_keeper import LaneKeeper
from simulator.truth.collision import overlap
from simulator.truth.world import World


class Expert:
    """The lane keeper of `agents`, fed from the world's own state."""

    def __init__(self) -> None:
        self.keeper = LaneKeeper()

    def __call__(self, world: World) -> NDArray[np.float32]:
        info = dataclasses.asdict(world.ego) | {"speed_limit_mps": world.speed_limit_mps}
        return self.keeper.act(None, info)


class ConstantVelocity(Expert):
    """Follows its lane at the speed it began with, whatever is ahead."""

    def __call__(self, world: World) -> NDArray[np.float32]:
        missing = world.scenario.start.speed_mps - world.ego.speed_mps
        pedal = np.clip(1.2 * missing + 0.15, -1.0, 1.0)
        return np.array([super().__call__(world)[0], pedal], np.float32)


def drive(world: World, driver: Expert, seconds: float) -> int:
    """Drive until the time is over or the ego has crashed; returns the ticks driven."""
    for tick in range(round(seconds * 10)):
        if world.ego.collision or world.ego.offroad or world.done_route:
            return tick
        world.step(driver(world))
    return round(seconds * 10)


def overlapping_pairs(world: World) -> int:
    """How many pairs of other vehicles stand inside each other."""
    return sum(overlap(a.box(), b.box()) for a, b in combinations(world.road.drivers, 2))
