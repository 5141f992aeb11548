"""How far two sets of pictures are apart in the features of a network, with the floor that belongs to it.

Dreams are compared with the true pictures of OTHER drives, and so are true pictures: the floor is then what
two disjoint sets of true pictures give at the same number of pictures. Each distance is the mean over many
random halvings of the drives.

Two distances: `kernel_distance` is unbiased, so its value doesn't hang on the number of pictures;
`frechet_distance` is the better known one, needs more pictures than features for its covariances, and is
therefore regularised and only to be read beside its floor.

Shapes: N M pictures, F features.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from simulator.evaluation.intervals import SEED, Interval

Features = NDArray[np.floating]
Distance = Callable[[Features, Features], float]
HALVINGS = 24


def frechet_distance(a_NF: Features, b_MF: Features) -> float:
    """Squared Frechet distance of the Gaussians fitted to both sets (Heusel et al. 2017, FID).

    |mean_a - mean_b|^2 + tr(A + B - 2 (A B)^(1/2)), A and B shrunk covariances: with fewer pictures than
    features the plain ones are singular, and the distance grows with what is missing.
    """
    features = a_NF.shape[1]
    a, b = (x.astype(np.float64) - x.mean(0, dtype=np.float64) for x in (a_NF, b_MF))
    mean = np.square(a_NF.mean(0, dtype=np.float64) - b_MF.mean(0, dtype=np.float64)).sum()
    if len(a) + len(b) < features:  # all that varies lies in few directions: the same, much faster
        basis, _ = np.linalg.qr(np.concatenate([a, b]).T)
        a, b = a @ basis, b @ basis
    (a_cov, a_rest), (b_cov, b_rest) = (_shrunk(x, features) for x in (a, b))
    sizes, axes = np.linalg.eigh(a_cov)
    root = (axes * np.sqrt(np.maximum(sizes, 0.0))) @ axes.T
    overlap = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ b_cov @ root), 0.0)).sum()
    elsewhere = (features - len(sizes)) * (np.sqrt(a_rest) - np.sqrt(b_rest)) ** 2
    return max(0.0, float(mean + np.trace(a_cov) + np.trace(b_cov) - 2 * overlap + elsewhere))


def shrunk_covariance(values_NF: Features) -> NDArray[np.float64]:
    """Covariance (F, F) drawn towards a multiple of unity: oracle approximating shrinkage.

    Chen et al. 2010, "Shrinkage algorithms for MMSE covariance estimation", equation 23.
    """
    centred = values_NF.astype(np.float64) - values_NF.mean(0, dtype=np.float64)
    return _shrunk(centred, values_NF.shape[1])[0]


def _shrunk(centred_NR: NDArray[np.float64], features: int) -> tuple[NDArray[np.float64], float]:
    """Shrunk covariance in the R directions given, and the variance in all others of the features."""
    plain = centred_NR.T @ centred_NR / len(centred_NR)
    scale, energy = np.trace(plain) / features, np.square(plain).sum() / features**2
    spread = (len(centred_NR) + 1) * (energy - scale**2 / features)
    share = 1.0 if spread <= 0.0 else min(1.0, float((energy + scale**2) / spread))
    return (1 - share) * plain + share * scale * np.eye(len(plain)), float(share * scale)


def kernel_distance(a_NF: Features, b_MF: Features) -> float:
    """Unbiased squared maximum mean discrepancy with KID's cubic kernel (Binkowski et al. 2018).

    About zero, and as often below as above, for two sets of the same kind. Of sets of different size
    the first pictures of the larger one count.
    """
    import torch
    from torchmetrics.image.kid import poly_mmd

    n = min(len(a_NF), len(b_MF))
    a, b = (torch.from_numpy(np.asarray(x[:n], np.float64)) for x in (a_NF, b_MF))
    return float(poly_mmd(a, b))


def across_drives(
    shown: Mapping[str, Features], true_NF: Features, drive_N: NDArray[np.int64], distance: Distance
) -> dict[str, tuple[Interval, Interval]]:
    """Distance of what is shown in some drives from the truth in the others; and its excess over the floor.

    Args:
        shown: by source, features (N, F) of the pictures to be judged.
        true_NF: of the true pictures of the same moments.
        drive_N: the drive of each moment.
        distance: of two sets of features.

    Returns:
        For each source, and for "truth" (the floor): the mean over random halvings of the drives with the
        range of 95 % of them, and the same of the difference to the floor. NaN with fewer than four drives.
    """
    names, index = np.unique(drive_N, return_inverse=True)
    sources = {**shown, "truth": true_NF}
    if len(names) < 4:
        empty = Interval(np.nan, np.nan, np.nan, 0, len(names))
        return dict.fromkeys(sources, (empty, empty))
    rng = np.random.default_rng(SEED)
    rows = []
    for _ in range(HALVINGS):
        mine = rng.permutation(len(names))[index] < len(names) // 2
        rows.append([distance(f[mine], true_NF[~mine]) for f in sources.values()])
    values = np.array(rows)
    excess = values - values[:, -1:]
    size = len(drive_N), len(names)
    return {
        name: (_summary(values[:, i], *size), _summary(excess[:, i], *size))
        for i, name in enumerate(sources)
    }


def _summary(values: NDArray[np.float64], pictures: int, drives: int) -> Interval:
    low, high = np.quantile(values, (0.025, 0.975))
    return Interval(float(values.mean()), float(low), float(high), pictures, drives)
