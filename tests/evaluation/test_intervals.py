"""Intervals: narrow where all agree, wide where few drives speak, equal on every call."""

from __future__ import annotations

import numpy as np
import painted
import pytest

from simulator.evaluation.intervals import (
    Interval,
    mean_interval,
    share_interval,
    statistic_interval,
    verdict,
)


def test_equal_values_leave_no_doubt():
    interval = mean_interval(np.full(6, 2.5), np.arange(6))
    assert (interval.value, interval.low, interval.high) == (2.5, 2.5, 2.5)
    assert (interval.n, interval.drives) == (6, 6)


def test_clips_of_one_drive_count_as_one_witness():
    values = np.repeat(np.random.default_rng(0).normal(size=5), 40)
    alone = mean_interval(values, np.arange(len(values)))
    together = mean_interval(values, np.repeat(np.arange(5), 40))
    assert together.high - together.low > 3 * (alone.high - alone.low)
    assert together.value == pytest.approx(alone.value)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(1)
    samples = rng.normal(1.0, 2.0, (200, 30))
    hits = [i.low <= 1.0 <= i.high for i in (mean_interval(s, np.arange(30)) for s in samples)]
    assert 0.87 < np.mean(hits) < 0.99


def test_a_single_witness_has_an_unknown_interval_and_proves_nothing():
    values, one = np.array([1.0, 1.1, 1.2]), np.zeros(3)
    for interval in (
        mean_interval(values, one),
        statistic_interval(lambda i: float(values[i].mean()), one),
    ):
        assert (interval.value, interval.n, interval.drives) == (pytest.approx(1.1), 3, 1)
        assert str(interval) == "1.1 [?]"
        assert verdict(interval) == "unclear"
        assert Interval.from_json(interval.to_json()).n == 3
        assert interval.to_json()["low"] is None


def test_absent_values_are_left_out():
    values = np.array([1.0, np.nan, 3.0])
    interval = mean_interval(values, np.arange(3))
    assert (interval.value, interval.n) == (2.0, 2)
    nothing = mean_interval(np.full(2, np.nan), np.arange(2))
    assert nothing.n == 0
    assert nothing.to_json()["value"] is None


def test_any_statistic_can_have_an_interval_and_equal_calls_agree():
    values = np.random.default_rng(2).normal(size=40)
    first = statistic_interval(lambda i: float(np.median(values[i])), np.arange(40) // 4)
    again = statistic_interval(lambda i: float(np.median(values[i])), np.arange(40) // 4)
    assert first == again
    assert first.low <= first.value <= first.high
    assert first.drives == 10


@pytest.mark.parametrize(("drives", "named"), [(6, "held-out drives"), (1, "stretches of 5 s")])
def test_a_single_drive_is_resampled_by_its_stretches(drives, named):
    subject = painted.subject("obeys", held_out=painted.drives(drives))
    rows = np.arange(len(subject.drives))
    groups = subject.groups(rows)
    assert named in subject.grouped_by
    assert len(set(groups)) == (drives if drives > 1 else 2)  # of 60 frames
    assert mean_interval(rows.astype(float), groups).low < rows.mean()


def test_a_share_of_all_or_none_is_not_certain():
    drives = np.repeat(np.arange(12), 2)
    every, none = (share_interval(np.full(24, held), drives) for held in (True, False))
    assert (every.value, every.high, none.value, none.low) == (1.0, 1.0, 0.0, 0.0)
    assert every.low == pytest.approx(0.757, abs=1e-3)  # Wilson: 12 of 12
    assert none.high == pytest.approx(0.243, abs=1e-3)
    some = np.arange(24) % 4 == 0
    assert share_interval(some, drives) == mean_interval(some.astype(float), drives)
