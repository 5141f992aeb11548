"""How alike two sets of scores are: those of the same drivers in the reference world and in the dream.

Shapes: P policies; `truth_P` are their scores in the reference world, `dream_P` in the dream.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]


def pearson(truth_P: Floats, dream_P: Floats) -> float:
    """Linear correlation; NaN where either doesn't vary."""
    return _correlation("pearsonr", truth_P, dream_P)


def spearman(truth_P: Floats, dream_P: Floats) -> float:
    """Correlation of the ranks."""
    return _correlation("spearmanr", truth_P, dream_P)


def kendall(truth_P: Floats, dream_P: Floats) -> float:
    """Kendall's tau-b: pairs in the same order minus pairs in the other, over all."""
    return _correlation("kendalltau", truth_P, dream_P)


def r2(truth_P: Floats, dream_P: Floats) -> float:
    """Share of the truth's variance that the dreamed scores explain as they are, without a fit.

    1 is perfect, 0 no better than one number for all, below 0 worse than that.
    """
    total = np.square(truth_P - truth_P.mean()).sum()
    return 1.0 - float(np.square(truth_P - dream_P).sum() / total) if total > 0.0 else np.nan


def mmrv(truth_P: Floats, dream_P: Floats) -> float:
    """Mean maximum rank violation (SIMPLER, Li et al. 2024): for each policy, the largest difference of
    true scores among those whom the dream puts on its other side; the mean over policies. 0 is perfect."""
    true = truth_P[:, None] - truth_P[None]
    dreamed = dream_P[:, None] - dream_P[None]
    violated = (true < 0.0) != (dreamed < 0.0)
    return float((np.abs(true) * violated).max(1).mean())


def bias(truth_P: Floats, dream_P: Floats) -> float:
    """How much too well the dream thinks of drivers, on average."""
    return float((dream_P - truth_P).mean())


def kappa(passed_truth: NDArray[Any], passed_dream: NDArray[Any]) -> float:
    """Cohen's kappa of pass and fail: agreement beyond chance; NaN where both always say the same one."""
    truth, dream = (np.asarray(p, np.float64).ravel() for p in (passed_truth, passed_dream))
    known = ~np.isnan(truth + dream)
    truth, dream = truth[known], dream[known]
    if not len(truth):
        return np.nan
    observed = float((truth == dream).mean())
    chance = float(truth.mean() * dream.mean() + (1 - truth.mean()) * (1 - dream.mean()))
    return (observed - chance) / (1.0 - chance) if chance < 1.0 else np.nan


OF_SCORES: dict[str, Callable[[Floats, Floats], float]] = {
    "spearman": spearman, "pearson": pearson, "kendall": kendall, "r2": r2, "mmrv": mmrv, "bias": bias,
}  # fmt: skip


def _correlation(name: str, truth_P: Floats, dream_P: Floats) -> float:
    if np.ptp(truth_P) == 0.0 or np.ptp(dream_P) == 0.0:
        return np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nearly constant input: the value is given all the same
        return float(getattr(stats, name)(truth_P, dream_P).statistic)
