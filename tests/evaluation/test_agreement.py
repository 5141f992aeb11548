"""Statistics of agreement on cases whose answer is known, and a dream that deceives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.evaluation import ranking
from simulator.evaluation.agreement import Pairs, chart, statistics, tables, verdicts
from simulator.evaluation.scores import Scores
from simulator.evaluation.suite import Row

TRUTH = np.array([0.9, 0.7, 0.5, 0.3, 0.1])


def row(env: str, policy: str, scenario: str, drive_score: float, error: bool = False) -> Row:
    known = None if error else Scores(1, 1, 1, 1, 1, 1, 1, drive_score, drive_score > 0.5)
    return Row(env, policy, scenario, 0, scenario == "cut_in", 9, "", "lost" * error, known)


def pairs_of(dreamed) -> Pairs:
    """Five drivers at four places; `dreamed` makes the dream's score of the true one."""
    rows = []
    for number, scenario in enumerate(("town", "merge", "exit", "cut_in")):
        for i, true in enumerate(TRUTH):
            score = true + 0.01 * number
            rows.append(row("truth", f"p{i}", scenario, score))
            rows.append(row("dream", f"p{i}", scenario, dreamed(score)))
    return Pairs([f"p{i}" for i in range(len(TRUTH))], rows)


def test_a_dream_that_is_the_truth_agrees_in_every_statistic():
    found = {name: interval.value for name, interval in statistics(pairs_of(lambda s: s)).items()}
    assert found == pytest.approx(
        {"spearman": 1, "pearson": 1, "kendall": 1, "r2": 1, "mmrv": 0, "bias": 0, "kappa": 1}
    )


def test_a_flattering_dream_keeps_the_order_and_shows_in_bias_r2_and_kappa():
    found = statistics(pairs_of(lambda s: 0.5 + s / 2))
    assert found["spearman"].value == pytest.approx(1.0)
    assert found["mmrv"].value == 0.0
    assert found["bias"].value == pytest.approx(0.25, abs=0.01)
    assert found["r2"].value < 0.5
    assert found["kappa"].value < 0.5


def test_a_dream_that_reverses_the_order_is_not_trusted():
    pairs = pairs_of(lambda s: 1.0 - s)
    found = statistics(pairs)
    assert found["spearman"].value == pytest.approx(-1.0)
    assert found["kendall"].value == pytest.approx(-1.0)
    assert found["mmrv"].value == pytest.approx((0.8 + 0.6 + 0.4 + 0.6 + 0.8) / 5)
    assert not any(verdict.trusted for verdict in verdicts(5, found, "four scenarios"))


def test_mmrv_is_the_worst_true_difference_that_the_dream_turns_round():
    dream = np.array([0.9, 0.7, 0.3, 0.5, 0.1])  # the third and the fourth change places
    assert ranking.mmrv(TRUTH, dream) == pytest.approx((0.2 + 0.2) / 5)


def test_kappa_is_agreement_beyond_chance():
    truth = np.array([1, 1, 1, 1, 0, 0, 0, 0.0])
    assert ranking.kappa(truth, np.array([1, 1, 1, 0, 0, 0, 0, 1.0])) == pytest.approx(0.5)
    assert ranking.kappa(truth, np.tile([1.0, 0.0], 4)) == pytest.approx(0.0)
    assert np.isnan(ranking.kappa(np.ones(4), np.ones(4)))


def test_what_does_not_vary_has_no_rank():
    for name in ("spearman", "pearson", "kendall"):
        assert np.isnan(ranking.OF_SCORES[name](TRUTH, np.full(5, 0.5)))


def test_a_place_where_a_world_broke_down_is_left_out_for_all():
    rows = [row(env, p, s, 0.5) for env in ("truth", "dream") for p in "ab" for s in ("x", "y")]
    rows[-1] = row("dream", "b", "y", 0.0, error=True)
    pairs = Pairs(["a", "b"], rows)
    assert pairs.left_out == 1
    assert pairs.scenario_N.tolist() == ["x"]


def test_where_every_drive_passes_pass_and_fail_are_not_trusted():
    pairs = pairs_of(lambda s: s)
    pairs.passed_truth_NP[:] = pairs.passed_dream_NP[:] = 1.0
    found = statistics(pairs)
    single = verdicts(5, found, "four scenarios")[1]
    assert not single.trusted
    assert "all drives ended alike" in single.text
    assert ("kappa", "–", "1") in tables(pairs, found, {})[1].rows


def test_a_driver_bred_in_the_dream_shows_its_gap():
    pairs = pairs_of(lambda s: min(1.0, s + 0.3))
    assert pairs.gap("p4").value == pytest.approx(0.3)
    shown = tables(pairs, statistics(pairs), {"p4": pairs.gap("p4")})[1]
    assert any("exploitability gap, p4" in line for line in shown.rows)
    panel, bred = chart(pairs, ("p4",)).series
    assert (len(panel.x), len(bred.x)) == (4, 1)
    assert bred.y[0] == pytest.approx(bred.x[0] + 0.3)


scores = st.lists(st.integers(0, 20), min_size=6, max_size=6).map(lambda v: np.array(v) / 20)


@given(scores, scores)
def test_rank_violations_are_none_exactly_where_the_order_is_kept(truth, dream):
    found = ranking.mmrv(truth, dream)
    assert 0.0 <= found <= np.ptp(truth)
    assert ranking.mmrv(truth, truth) == 0.0
    kept = all((truth[i] < truth[j]) == (dream[i] < dream[j]) for i in range(6) for j in range(6))
    tied_only = all(
        truth[i] == truth[j] for i in range(6) for j in range(6)
        if (truth[i] < truth[j]) != (dream[i] < dream[j])
    )  # fmt: skip
    assert (found == 0.0) == (kept or tied_only)
