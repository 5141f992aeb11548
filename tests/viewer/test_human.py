"""Keys become smooth driving."""

from __future__ import annotations

import numpy as np
import pytest

from agents.human import Control, HumanPolicy
from simulator.ego import FULL_LOCK_RAD, WHEELBASE_M

SLOW = {"speed_mps": 2.0}


def acts(policy: HumanPolicy, ticks: int, info=SLOW) -> np.ndarray:
    return np.stack([policy.act(None, info) for _ in range(ticks)])


def test_the_wheel_turns_gradually_and_comes_back_quicker():
    policy = HumanPolicy()
    policy.press(Control.LEFT)
    there = acts(policy, 10)[:, 0]
    assert (np.diff(there[:6]) > 0).all()
    assert there[0] < 0.3
    assert there[-1] == pytest.approx(1.0)
    policy.release(Control.LEFT)
    back = acts(policy, 5)[:, 0]
    assert back[-1] == 0.0


def test_both_sides_at_once_go_straight():
    policy = HumanPolicy()
    policy.press(Control.LEFT)
    policy.press(Control.RIGHT)
    assert (acts(policy, 5)[:, 0] == 0.0).all()


def test_a_tap_between_two_ticks_counts_for_one():
    policy = HumanPolicy()
    policy.press(Control.THROTTLE)
    policy.release(Control.THROTTLE)
    first, second, third = acts(policy, 3)[:, 1]
    assert first > 0.0
    assert first > second
    assert third == 0.0


def test_the_brake_wins_over_the_throttle_and_the_foot_changes_at_once():
    policy = HumanPolicy()
    policy.press(Control.THROTTLE)
    acts(policy, 10)
    policy.press(Control.BRAKE)
    assert acts(policy, 1)[0, 1] < 0.0


@pytest.mark.parametrize("speed_mps", [5.0, 15.0, 30.0])
def test_a_held_key_never_asks_for_more_than_the_tyres_comfortably_give(speed_mps):
    policy = HumanPolicy()
    policy.press(Control.RIGHT)
    steer = acts(policy, 20, {"speed_mps": speed_mps})[-1, 0]
    lateral = speed_mps**2 * np.tan(abs(steer) * FULL_LOCK_RAD) / WHEELBASE_M
    assert lateral <= 5.01


def test_actions_stay_in_the_box_and_have_its_type():
    policy = HumanPolicy()
    for control in Control:
        policy.press(control)
        for action in acts(policy, 5, {"speed_mps": float("nan")}):
            assert action.dtype == np.float32
            assert action.shape == (2,)
            assert (np.abs(action) <= 1.0).all()


def test_losing_the_focus_lifts_all_keys():
    policy = HumanPolicy()
    policy.press(Control.THROTTLE)
    acts(policy, 5)
    policy.release_all()
    assert acts(policy, 3)[-1, 1] == 0.0
