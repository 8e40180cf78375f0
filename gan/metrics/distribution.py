"""Distances between the distributions of two sets of features: Fréchet (FD) and kernel (KID).

FD: of two normal distributions fitted to the features. Heusel et al. 2017 (arXiv:1706.08500),
equation 6, after Dowson & Landau 1982:

    d² = ‖m₁ - m₂‖² + tr(C₁ + C₂ - 2 (C₁ C₂)^½)

With C = L Lᵀ the trace of the root is the sum of the singular values of L₁ᵀ L₂: no root of a
matrix is taken, no imaginary part appears, and singular covariances need no offset.

KID: unbiased squared maximum mean discrepancy under a cubic kernel. Bińkowski et al. 2018
(arXiv:1801.01401), equation 4, with k(x, y) = (xᵀy / F + 1)³ (section 3.2), averaged over disjoint
blocks of records (Zaremba et al. 2013, arXiv:1307.1954, equation 4), which keeps it unbiased and
its cost linear in n.
"""

from typing import Any, NamedTuple

import numpy as np
import torch

Array = np.ndarray[Any, Any]


class Moments(NamedTuple):
    """The statistics of one side."""

    mean_F: Array
    factor_FF: Array
    """L with covariance = L Lᵀ."""
    trace: float
    """Trace of the covariance."""


def moments(features_NF: Array) -> Moments:
    """Return mean and a factor of the unbiased covariance; needs two records.

    Raises:
        ValueError: fewer than two records.
    """
    if len(features_NF) < 2:
        msg = f"a covariance needs two records, got {len(features_NF)}: bring more"
        raise ValueError(msg)
    features = np.asarray(features_NF, dtype=np.float64)
    mean_F = features.mean(axis=0)
    centred = features - mean_F
    covariance_FF = centred.T @ centred / (len(features) - 1)
    values_F, vectors_FF = np.linalg.eigh(covariance_FF)
    factor_FF = vectors_FF * np.sqrt(np.maximum(values_F, 0.0))
    return Moments(mean_F, factor_FF, float(np.trace(covariance_FF)))


def frechet_distance(reals: Moments, fakes: Moments) -> float:
    """Return d² of the module's formula, at least 0."""
    shift = float(np.square(reals.mean_F - fakes.mean_F).sum())
    root = float(np.linalg.svd(reals.factor_FF.T @ fakes.factor_FF, compute_uv=False).sum())
    return max(0.0, shift + reals.trace + fakes.trace - 2.0 * root)


BLOCK_ROWS = 256
PIECE_ROWS = 256
"""Rows and columns of a kernel at once; they change speed, not results."""


def kernel_sum(a_NF: torch.Tensor, b_MF: torch.Tensor, *, within: bool = False) -> float:
    """Return the sum of `(a·b / F + 1)³` over all pairs, in float64.

    In pieces that stay in the processor's cache.

    Args:
        a_NF: records of one side.
        b_MF: of the other.
        within: both are the same records; every pair of two is computed once.
    """
    total, one, share = 0.0, torch.ones((), dtype=torch.float64), 1.0 / a_NF.shape[1]
    for place, rows in enumerate(a_NF.split(PIECE_ROWS)):
        for column, columns in enumerate(b_MF.split(PIECE_ROWS)):
            if within and column < place:
                continue
            base = torch.addmm(one, rows, columns.T, alpha=share).flatten()
            found = float(torch.dot(base * base, base))
            total += 2.0 * found if within and column > place else found
    return total


def kernel_distance(reals_NF: Array, fakes_MF: Array, block_rows: int = BLOCK_ROWS) -> float:
    """Return the unbiased estimate; it may fall below zero where the two sides agree.

    Both sides are cut into as many blocks, of at most `block_rows` and at least two records.
    """
    largest, smallest = max(len(reals_NF), len(fakes_MF)), min(len(reals_NF), len(fakes_MF))
    blocks = max(1, min(-(-largest // block_rows), smallest // 2))
    pairs = zip(np.array_split(reals_NF, blocks), np.array_split(fakes_MF, blocks), strict=True)
    return float(np.mean([_block_distance(reals, fakes) for reals, fakes in pairs]))


def _block_distance(reals_NF: Array, fakes_MF: Array) -> float:
    reals, fakes = (
        torch.from_numpy(np.ascontiguousarray(side, dtype=np.float64))
        for side in (reals_NF, fakes_MF)
    )
    across = kernel_sum(reals, fakes) / (len(reals) * len(fakes))
    return _mean_of_pairs(reals) + _mean_of_pairs(fakes) - 2.0 * across


def _mean_of_pairs(side_NF: torch.Tensor) -> float:
    """Return the mean kernel of two different records."""
    n, width = side_NF.shape
    own_N = (side_NF * side_NF).sum(dim=1) / width + 1.0
    own = float((own_N * own_N * own_N).sum())
    return (kernel_sum(side_NF, side_NF, within=True) - own) / (n * (n - 1))
