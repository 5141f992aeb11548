"""The rules of survival, on drives whose fate is known."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.evaluation.settings import StabilityConfig
from simulator.evaluation.stability import (
    NEVER,
    Drive,
    failures,
    paint,
    rollout_scenarios,
    spread_numbers,
)

CONFIG = StabilityConfig(columns_s=(1.0, 2.0))
STEPS = 60


def drive(**changes) -> Drive:
    """A healthy drive of six seconds, but for the changes."""
    healthy = {
        "drift": [0.0] * STEPS,
        "detail": [10.0] * STEPS,
        "change": [5.0] * STEPS,
        "speed": [12.0] * STEPS,
        "offset": [0.2] * STEPS,
    }
    return Drive("calm_cruise", 10.0, **{**healthy, **changes})


def broken(some: Drive) -> dict[str, int]:
    return {rule: step for rule, step in failures(some, CONFIG).items() if step < NEVER}


def test_a_healthy_drive_breaks_no_rule():
    assert broken(drive()) == {}


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("drift", {"drift": [0.0] * 30 + [3.0] * 30}),
        ("detail", {"detail": [10.0] * 30 + [0.1] * 30}),
        ("detail", {"detail": [10.0] * 30 + [500.0] * 30}),
        ("frozen", {"change": [5.0] * 30 + [0.0] * 30}),
        ("offset", {"offset": [0.0] * 30 + [-4.0] * 30}),
    ],
)
def test_each_decay_breaks_its_own_rule_soon_after_it_begins(rule, changes):
    found = broken(drive(**changes))
    assert set(found) == {rule}
    assert 30 < found[rule] <= 40


def test_a_single_odd_frame_is_forgiven():
    odd = [0.0] * 30 + [2.0] + [0.0] * 29
    assert broken(drive(drift=odd)) == {}


def test_standing_still_is_not_frozen():
    assert broken(drive(change=[0.0] * STEPS, speed=[0.0] * STEPS)) == {}


def test_an_event_counts_from_its_step():
    assert broken(drive(end=(17, "collision"))) == {"collision": 17}


def test_what_comes_after_the_end_of_a_road_does_not_count():
    late = [0.0] * 30 + [3.0] * 30
    assert broken(drive(drift=late, over=20)) == {}


def test_an_unknown_speed_counts_as_moving():
    seen = drive()
    info = {"speed_mps": float("nan"), "termination_reason": ""}
    frame = np.zeros((8, 8, 3), np.uint8)
    seen.see(frame, frame, 0.0, info, 0.0)
    assert seen.speed[-1] > 2.0


def test_rollouts_are_spread_over_the_scenarios():
    assert spread_numbers(10, 3) == [0, 4, 9]
    assert rollout_scenarios(["a", "b"], 5) == ["a", "b", "a", "b", "a"]
    with pytest.raises(ValueError, match="collect --contexts"):
        rollout_scenarios([], 5)


def test_the_contact_sheet_has_a_row_a_rollout_and_a_column_a_moment(tmp_path):
    import cv2

    some = [drive(), drive(offset=[4.0] * STEPS)]
    for each in some:
        each.frames = {10: np.zeros((16, 32, 3), np.uint8), 20: np.zeros((16, 32, 3), np.uint8)}
    paint(tmp_path / "sheet.png", some, CONFIG)
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    assert sheet.shape == (32, 64, 3)
    assert sheet[31, 0].tolist() == [0, 0, 220]  # failed: a red edge
    assert sheet[15, 0].tolist() == [0, 0, 0]
