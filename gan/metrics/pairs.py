"""Error of pairs of columns: total variation distance between their joint distributions.

As in `gan.metrics.marginals`, over the codes of two columns together. All pairs at once: with the
codes as ones and zeros, `X_NK`, the product `XᵀX` holds how often any two codes meet.

Shapes: N rows, D columns, K codes of all columns side by side.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from gan.metrics.marginals import starts

Array = np.ndarray[Any, Any]


def one_hot(codes_ND: Array, sizes: Sequence[int]) -> Array:
    """Return the codes as ones and zeros; float32 (N, K)."""
    ones_NK = np.zeros((len(codes_ND), sum(sizes)), dtype=np.float32)
    np.put_along_axis(ones_NK, codes_ND + starts(sizes), np.float32(1), axis=1)
    return ones_NK


def pair_counts(ones_NK: Array) -> Array:
    """Return how many rows have both codes; float32 (K, K), exact below 2²⁴ rows."""
    counts_KK: Array = ones_NK.T @ ones_NK
    return counts_KK


def pair_errors(real_shares_KK: Array, fake_shares_KK: Array, sizes: Sequence[int]) -> Array:
    """Return the error of every pair, symmetric; on the diagonal that of the single columns.

    Args:
        real_shares_KK: `pair_counts` divided by the number of rows.
        fake_shares_KK: the same of the other side.
        sizes: number of codes of each column.
    """
    first = starts(sizes)
    differences_KK = np.abs(real_shares_KK - fake_shares_KK)
    by_row_DK = np.add.reduceat(differences_KK, first, axis=0, dtype=np.float64)
    errors_DD: Array = 0.5 * np.add.reduceat(by_row_DK, first, axis=1)
    return errors_DD


def mean_pair_error(errors_DD: Array) -> float:
    """Return the mean over all pairs of two different columns.

    Raises:
        ValueError: there is a single column.
    """
    if len(errors_DD) < 2:
        msg = f"pairs need at least two columns, got {len(errors_DD)}: bring more"
        raise ValueError(msg)
    return float(errors_DD[np.triu_indices(len(errors_DD), 1)].mean())
