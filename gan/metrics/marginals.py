"""Error of single columns: total variation distance between two samples of coded columns.

Half the sum over a column's codes of the absolute difference of shares: Levin & Peres 2017, Markov
Chains and Mixing Times, proposition 4.2. In [0, 1].

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
