"""Errors of columns and of pairs of columns: total variation distance between samples of codes.

Half the sum over the codes of the absolute difference of shares: Levin & Peres 2017, Markov Chains
and Mixing Times, proposition 4.2. In [0, 1]. Pairs are compared over the codes of two columns
together, all pairs at once: with the codes as ones and zeros, `X_NK`, the product `XᵀX` holds how
often any two codes meet.

Shapes: N and M rows, D columns, K codes of all columns side by side.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def starts(sizes: Sequence[int]) -> Array:
    """Return where the codes of each column start among all; int64 (D,)."""
    return np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)


def code_shares(codes_ND: Array, sizes: Sequence[int]) -> Array:
    """Return the share of rows that have each code; float64 (K,).

    Args:
        codes_ND: integers, 0 ≤ codes_ND[:, d] < sizes[d].
        sizes: number of codes of each column.
    """
    flat = (codes_ND + starts(sizes)).ravel()
    shares_K: Array = np.bincount(flat, minlength=sum(sizes)) / len(codes_ND)
    return shares_K


def column_errors(reals_ND: Array, fakes_MD: Array, sizes: Sequence[int]) -> Array:
    """Return the total variation distance of every column; float64 (D,)."""
    differences_K = np.abs(code_shares(reals_ND, sizes) - code_shares(fakes_MD, sizes))
    errors_D: Array = 0.5 * np.add.reduceat(differences_K, starts(sizes))
    return errors_D


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
