"""Kernel distance: unbiased squared maximum mean discrepancy under a cubic kernel.

Bińkowski et al. 2018 (arXiv:1801.01401), equation 4, with k(x, y) = (xᵀy / F + 1)³ (section 3.2),
averaged over disjoint blocks of records (Zaremba et al. 2013, arXiv:1307.1954, equation 4), which
keeps it unbiased and its cost linear in n.
"""

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


BLOCK_ROWS = 256


def cubic_kernel(a_NF: Array, b_MF: Array) -> Array:
    """Return `k_NM = (a·b / F + 1)³` in float64."""
    product = np.asarray(a_NF, dtype=np.float64) @ np.asarray(b_MF, dtype=np.float64).T
    base_NM: Array = product / a_NF.shape[1] + 1.0
    return base_NM * base_NM * base_NM


def kernel_distance(reals_NF: Array, fakes_MF: Array, block_rows: int = BLOCK_ROWS) -> float:
    """Return the unbiased estimate; it may fall below zero where the two sides agree.

    Both sides are cut into as many blocks, of at most `block_rows` and at least two records.
    """
    largest, smallest = max(len(reals_NF), len(fakes_MF)), min(len(reals_NF), len(fakes_MF))
    blocks = max(1, min(-(-largest // block_rows), smallest // 2))
    pairs = zip(np.array_split(reals_NF, blocks), np.array_split(fakes_MF, blocks), strict=True)
    return float(np.mean([_block_distance(reals, fakes) for reals, fakes in pairs]))


def _block_distance(reals_NF: Array, fakes_MF: Array) -> float:
    n, m = len(reals_NF), len(fakes_MF)
    within_reals = cubic_kernel(reals_NF, reals_NF)
    within_fakes = cubic_kernel(fakes_MF, fakes_MF)
    across = cubic_kernel(reals_NF, fakes_MF).mean()
    reals = (within_reals.sum() - np.trace(within_reals)) / (n * (n - 1))
    fakes = (within_fakes.sum() - np.trace(within_fakes)) / (m * (m - 1))
    return float(reals + fakes - 2.0 * across)
