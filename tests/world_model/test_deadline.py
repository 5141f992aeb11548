"""Steps that end in time: as many scales as fit, fewer on a slow machine, more again on a faster one."""

from __future__ import annotations

import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from world_model.engine import deadline
from world_model.engine.deadline import Deadline


class Clockwork:
    """An engine and its clock: a step takes as many ticks as scales, times the machine's slowness; the first
    of a number, a thousand more."""

    backend = "clockwork"

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, possible_scales: tuple[int, ...] = (2, 3, 5)
    ) -> None:
        self.now_s, self.slowness, self.scales = 0.0, 1.0, max(possible_scales)
        self.possible_scales = possible_scales
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


@given(
    slowness=st.floats(0.2, 2.4),  # 2.5 at most: the fewest scales fit
    counts=st.sampled_from([(2, 3, 5), (1, 2, 3, 4, 5), (2, 5)]),
)
@settings(max_examples=40, deadline=None)
def test_on_a_steady_machine_hardly_a_step_is_late(slowness, counts):
    with pytest.MonkeyPatch.context() as patch:
        engine = Clockwork(patch, counts)
        engine.slowness = slowness
        stepper, took = Deadline(engine, 5.0), []
        for _ in range(4000):
            begin = engine.now_s
            stepper.step("action", "noise")
            took.append(engine.now_s - begin)
    late = [5.0 < seconds < 1000 for seconds in took]  # without the warming up
    assert sum(late) <= 0.015 * len(late)
    assert sum(late[2000:]) <= 0.01 * len(late[2000:])
    most = max(count for count in counts if count * slowness <= 5.0)
    assert sum(seconds == pytest.approx(most * slowness) for seconds in took) > 0.97 * len(took)


def test_a_stall_is_soon_forgotten(engine):
    stepper = Deadline(engine, 5.0)
    for engine.slowness, steps in ((1.0, 20), (100.0, 30), (1.0, 100)):
        for _ in range(steps):
            stepper.step("action", "noise")
    assert engine.scales == 5


def test_who_can_t_draw_less_is_told(monkeypatch):
    with pytest.warns(UserWarning, match="changes nothing.*'clockwork'.*5 scales alone"):
        Deadline(Clockwork(monkeypatch, (5,)), 4.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Deadline(Clockwork(monkeypatch), 4.0)


def test_no_time_at_all_is_refused(engine):
    with pytest.raises(ValueError, match="deadline of 0 s; accepted: more than 0"):
        Deadline(engine, 0)
