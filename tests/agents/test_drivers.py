"""Drivers in a world of a few lines: one straight or bent lane, one vehicle ahead."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from agents.constant import Constant
from agents.exploration import DRIVERS
from agents.lane_keeper import LaneKeeper
from agents.policy import Policy
from agents.random_policy import Random
from simulator.ego import DT_S, FULL_LOCK_RAD, LEAD_RANGE_M, WHEELBASE_M

POLICIES: dict[str, Callable[[], Policy]] = {
    **DRIVERS,
    "constant": lambda: Constant(0.2, -0.1),
    "random": Random,
    "lane_keeper": LaneKeeper,
}


@dataclass
class Lane:
    """A kinematic bicycle in the coordinates of an endless lane."""

    speed_mps: float = 15.0
    lane_offset_m: float = 0.0
    heading_error_rad: float = 0.0
    curvature_1pm: float = 0.0
    lead_distance_m: float = LEAD_RANGE_M
    lead_mps: float | None = None
    speed_limit_mps: float = 20.0

    def info(self) -> dict[str, float]:
        return {key: value for key, value in vars(self).items() if key != "lead_mps"}

    def step(self, action: NDArray[np.float32]) -> None:
        steer, accelerate = float(action[0]), float(action[1])
        push = accelerate * (3.5 if accelerate >= 0 else 8.0)
        self.speed_mps = max(0.0, self.speed_mps + push * DT_S)
        turn = self.speed_mps * math.tan(steer * FULL_LOCK_RAD) / WHEELBASE_M
        self.heading_error_rad += (turn - self.speed_mps * self.curvature_1pm) * DT_S
        self.lane_offset_m += self.speed_mps * math.sin(self.heading_error_rad) * DT_S
        if self.lead_mps is not None:
            self.lead_distance_m += (self.lead_mps - self.speed_mps) * DT_S


def drive(policy: Policy, lane: Lane, ticks: int, seed: int = 0) -> list[dict[str, float]]:
    policy.reset(seed)
    trace = []
    for _ in range(ticks):
        lane.step(policy.act(None, lane.info()))
        trace.append(lane.info())
    return trace


@pytest.mark.parametrize("curvature", [0.0, 1 / 120, -1 / 120])
@pytest.mark.parametrize("offset", [-1.5, 0.0, 1.5])
def test_the_lane_keeper_finds_the_centre_and_stays(curvature: float, offset: float) -> None:
    trace = drive(LaneKeeper(), Lane(lane_offset_m=offset, curvature_1pm=curvature), 150)
    assert max(abs(row["lane_offset_m"]) for row in trace[60:]) < 0.25
    assert max(abs(row["lane_offset_m"]) for row in trace) < abs(offset) + 0.3


def test_the_lane_keeper_reaches_the_limit_and_keeps_it() -> None:
    trace = drive(LaneKeeper(), Lane(speed_mps=0.0), 300)
    assert 0.85 * 20.0 < trace[-1]["speed_mps"] < 20.0


def test_the_lane_keeper_is_slower_in_bends() -> None:
    trace = drive(LaneKeeper(), Lane(curvature_1pm=1 / 40), 200)
    assert trace[-1]["speed_mps"] ** 2 / 40 < 3.0


@pytest.mark.parametrize("lead_mps", [0.0, 8.0])
def test_the_lane_keeper_never_hits_the_vehicle_ahead(lead_mps: float) -> None:
    trace = drive(LaneKeeper(), Lane(speed_mps=19.0, lead_distance_m=75.0, lead_mps=lead_mps), 300)
    assert min(row["lead_distance_m"] for row in trace) > 1.5
    assert trace[-1]["speed_mps"] == pytest.approx(lead_mps, abs=0.5)


def test_the_lane_keeper_drives_on_where_nothing_is_known() -> None:
    unknown = dict.fromkeys(
        ("lane_offset_m", "heading_error_rad", "curvature_1pm", "lead_distance_m"), math.nan
    )
    action = LaneKeeper().act(None, {"speed_mps": 10.0, **unknown})
    assert action[0] == 0.0
    assert action[1] > 0.0


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_equal_seeds_drive_equally(name: str) -> None:
    assert drive(POLICIES[name](), Lane(), 120, 4) == drive(POLICIES[name](), Lane(), 120, 4)
    policy = POLICIES[name]()
    first = drive(policy, Lane(), 120, 4)
    assert drive(policy, Lane(), 120, 4) == first


@pytest.mark.parametrize("name", sorted({*DRIVERS, "random"} - {"expert"}))
def test_other_seeds_drive_otherwise(name: str) -> None:
    assert drive(POLICIES[name](), Lane(), 120, 4) != drive(POLICIES[name](), Lane(), 120, 5)


numbers = st.floats(-100, 100) | st.just(math.nan)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    name=st.sampled_from(sorted(POLICIES)),
    seed=st.integers(0, 100),
    infos=st.lists(
        st.fixed_dictionaries(
            {
                "speed_mps": st.floats(0, 40) | st.just(math.nan),
                "lane_offset_m": numbers,
                "heading_error_rad": numbers,
                "curvature_1pm": numbers,
                "lead_distance_m": st.floats(0, 80) | st.just(math.nan),
                "speed_limit_mps": st.floats(1, 40) | st.just(math.nan),
            }
        ),
        min_size=1,
        max_size=20,
    ),
)
def test_actions_are_always_within_the_action_space(
    name: str, seed: int, infos: list[Mapping[str, Any]]
) -> None:
    policy = POLICIES[name]()
    policy.reset(seed)
    for info in infos:
        action = policy.act(None, info)
        assert action.shape == (2,)
        assert action.dtype == np.float32
        assert (np.abs(action) <= 1.0).all()


def test_stop_and_go_stands_for_seconds_and_pulls_away() -> None:
    trace = drive(DRIVERS["stop_and_go"](), Lane(), 600)
    standing = [row["speed_mps"] == 0.0 for row in trace]
    changes = [i for i in range(1, 600) if standing[i] != standing[i - 1]]
    assert max(b - a for a, b in itertools.pairwise(changes) if standing[a]) >= 20
    assert max(row["speed_mps"] for row in trace) > 5.0


def test_the_road_leaver_leaves_and_the_crasher_crashes() -> None:
    left = [
        max(abs(row["lane_offset_m"]) for row in drive(DRIVERS["road_leaver"](), Lane(), 300, seed))
        for seed in range(8)
    ]
    assert sum(offset > 3.0 for offset in left) >= 6
    gaps = [
        drive(DRIVERS["crasher"](), Lane(lead_distance_m=40.0, lead_mps=8.0), 200, seed)
        for seed in range(8)
    ]
    assert all(min(row["lead_distance_m"] for row in trace) < 0.0 for trace in gaps)


@pytest.mark.parametrize("name", ["off_centre", "swerver", "constant_steer", "noisy_expert"])
def test_exploring_drivers_move_about_in_the_lane(name: str) -> None:
    trace = drive(DRIVERS[name](), Lane(), 300, 1)
    offsets = np.array([row["lane_offset_m"] for row in trace])
    assert np.ptp(offsets) > 0.8


def test_a_constant_outside_the_action_space_is_refused() -> None:
    with pytest.raises(ValueError, match=r"steer=1.5; accepted: a number in \[-1, 1\]"):
        Constant(1.5)
