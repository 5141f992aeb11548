"""What the reward prefers."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.ego import EgoState
from simulator.envs.rewards import TERMS, reward_terms, total

BEFORE = EgoState(20.0, 0.0, 0.0, 0.0, 0.0, 80.0, 100.0, False, False)
GOOD = replace(BEFORE, progress_m=102.0)
CALM = np.zeros(2, np.float32)


def reward(after: EgoState, action=CALM, limit_mps: float = 20.0) -> float:
    return total(reward_terms(BEFORE, after, action, CALM, limit_mps))


def test_driving_in_the_lane_at_the_limit_is_worth_one():
    assert reward(GOOD) == pytest.approx(1.0)


@pytest.mark.parametrize(
    "worse",
    [
        replace(GOOD, progress_m=101.0),
        replace(GOOD, lane_offset_m=-1.0),
        replace(GOOD, heading_error_rad=0.3),
        replace(GOOD, speed_mps=26.0),  # too fast, and 6 m/s more within a tick
        replace(GOOD, speed_mps=14.0),  # stamped on the brake
        replace(GOOD, yaw_rate_radps=0.6),
        replace(GOOD, offroad=True),
        replace(GOOD, collision=True),
    ],
    ids=str,
)
def test_whatever_is_worse_driving_earns_less(worse):
    assert reward(worse) < reward(GOOD)


def test_a_jerky_hand_earns_less():
    assert reward(GOOD, np.array([1.0, -1.0], np.float32)) < reward(GOOD)


def test_standing_still_earns_nothing():
    still = replace(BEFORE, speed_mps=0.0)
    assert total(reward_terms(still, still, CALM, CALM, 20.0)) == 0.0


def test_no_good_step_outweighs_a_crash():
    assert reward(replace(GOOD, collision=True)) < -10.0


numbers = st.floats(-1e3, 1e3) | st.just(math.nan)
states = st.builds(
    EgoState,
    numbers,
    numbers,
    numbers,
    numbers,
    numbers,
    numbers,
    numbers,
    st.booleans(),
    st.booleans(),
)


@given(states, states, numbers)
def test_terms_are_finite_and_bounded_whatever_is_unknown(before, after, limit):
    terms = reward_terms(before, after, CALM, CALM, limit)
    assert tuple(terms) == TERMS
    assert -1.0 <= terms.pop("progress") <= 1.0
    assert all(-20.0 <= term <= 0.0 for term in terms.values())


@pytest.mark.parametrize("event", ["collision", "offroad"])
def test_an_event_costs_once_as_it_happens(event):
    after = replace(GOOD, **{event: True})
    first = reward_terms(BEFORE, after, CALM, CALM, 20.0)
    later = reward_terms(after, after, CALM, CALM, 20.0)
    assert first[event] < 0.0 == later[event]
