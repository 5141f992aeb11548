"""Steps that end in time: as many scales as fit, fewer on a slow machine, more again on a faster one."""

from __future__ import annotations

import pytest

from world_model.engine import deadline
from world_model.engine.deadline import Deadline


class Clockwork:
    """An engine and its clock: a step takes as many ticks as scales, times the machine's slowness; the first
    of a number, a thousand more."""

    possible_scales = (2, 3, 5)

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s, self.slowness, self.scales = 0.0, 1.0, 5
        self.warmed: set[int] = set()
        monkeypatch.setattr(deadline.time, "perf_counter", lambda: self.now_s)

    def step(self, action, noise):
        self.now_s += self.scales * self.slowness + 1000 * (self.scales not in self.warmed)
        self.warmed.add(self.scales)
        return action, noise


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Clockwork:
    return Clockwork(monkeypatch)


def drawn(engine: Clockwork, seconds: float, steps: int) -> list[int]:
    """The scales of so many steps."""
    stepper, found = Deadline(engine, seconds), []
    for _ in range(steps):
        assert stepper.step("action", "noise") == ("action", "noise")
        found.append(engine.scales)
    return found


def test_all_scales_are_drawn_where_there_is_time(engine):
    assert drawn(engine, 5.0, 10) == [5] * 10


def test_a_step_too_long_is_followed_by_shorter_ones(engine):
    assert drawn(engine, 4.0, 6) == [5, 5, 3, 3, 3, 3]
    assert drawn(engine, 1.0, 8) == [5, 5, 3, 3, 2, 2, 2, 2]  # none fits: the fewest


def test_a_machine_that_got_faster_draws_more_again(engine):
    stepper = Deadline(engine, 4.0)
    for _ in range(5):
        stepper.step("action", "noise")
    assert engine.scales == 3
    engine.slowness = 0.5
    for _ in range(60):
        stepper.step("action", "noise")
    assert engine.scales == 5


def test_no_time_at_all_is_refused(engine):
    with pytest.raises(ValueError, match="deadline of 0 s; accepted: more than 0"):
        Deadline(engine, 0)
