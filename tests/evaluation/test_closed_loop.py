"""Policies beside each other in one report: the difference is taken place by place."""

from __future__ import annotations

import pytest

from simulator.evaluation.closed_loop import paired, paired_table
from simulator.evaluation.scores import Scores
from simulator.evaluation.suite import Row

PLACES = {"town": 0.9, "merge": 0.6, "exit": 0.3, "cut_in": 0.0}


def rows(policy: str, less: float, broken: str = "") -> list[Row]:
    """A drive at each place, which are of very different difficulty."""
    return [
        Row(
            "truth", policy, scenario, 0, scenario == "cut_in", 9, "", "",
            None if scenario == broken else Scores(1, 1, 1, 1, 1, 1, 1, score - less, True),
        )
        for scenario, score in PLACES.items()
    ]  # fmt: skip


@pytest.mark.parametrize(("less", "said"), [(0.02, "yes"), (-0.02, "no, worse"), (0.0, "unclear")])
def test_a_small_difference_is_seen_across_unequal_places(less, said):
    by_policy = {"mine": rows("mine", 0.0), "other": rows("other", less)}
    gained = paired(by_policy, ["mine", "other"])["other"]
    assert (gained.value, gained.low, gained.high) == pytest.approx((less, less, less))
    (shown,) = paired_table(by_policy, ["mine", "other"])
    assert shown.rows[0][0] == "other"
    assert shown.rows[0][-1] == said


def test_a_place_that_broke_down_for_one_counts_for_neither():
    by_policy = {"mine": rows("mine", 0.0), "other": rows("other", 0.1, broken="town")}
    assert paired(by_policy, ["mine", "other"])["other"].n == 3


def test_one_policy_alone_is_beside_nobody():
    assert paired_table({"mine": rows("mine", 0.0)}, ["mine"]) == ()
    assert paired_table({"mine": rows("mine", 0.0)}, ["mine", "mine"]) == ()
