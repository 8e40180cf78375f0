"""What the levels of a category say of the label: their order, and what a rare level becomes.

A column of hundreds of levels, such as the teacher's number, may say much about the label, each
level in few rows. Two things let a network see that. The levels lie in the order of their labels'
mean, along the direction in which the levels' means differ most (the first principal component of
the class shares, weighted by rows), so that neighbouring codes can share strength. And a level
that is too rare to be shown becomes a kept level in proportion to the rows of the same label: what
kept levels say of the label is not diluted by rows that have another one.

The order follows the labels of the very rows that are learnt from. Where levels say nothing, their
means differ by chance alone, and an order of chance would be learnt by heart. So levels are ordered
only where the variance between them exceeds what chance gives: the F ratio of a one-way analysis of
variance is FEWEST_F or more, half of the differences being real, and far from its own spread under
chance (SPREADS standard deviations, √(2 / (levels - 1)), of an F ratio with many rows).

What is stored: the order, and for each kept level, which `g` rows or more hold, the shares of the
label's groups in eighths: means over as many rows as stand behind any number that is shown.

Shapes: N rows, L levels, C groups of the label.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

LabelShares = tuple[tuple[int, ...], ...]
"""Of each group of the label its share in each level, in eighths."""
STEPS = 8

FEWEST_LEVELS = 12
"""Fewer levels have rows enough each."""
FEWEST_F, SPREADS = 2.0, 4.0
MOST_GROUPS = 8
"""Of a label that is a number."""


def label_groups(codes_N: Array, codes: int, *, ordered: bool) -> Array:
    """Return the group of each row's label: its code, or one of a few ranges of codes."""
    if not ordered or codes <= MOST_GROUPS:
        return codes_N
    groups_N: Array = codes_N * MOST_GROUPS // codes
    return groups_N


def label_order(encoded: Any, kept: Array, groups_N: Array) -> Array | None:
    """Return the order of the kept levels by what they say of the label; None where that is little.

    Args:
        encoded: the column as an Arrow dictionary.
        kept: index of each kept level in its dictionary.
        groups_N: group of the label of each row.
    """
    if len(kept) < FEWEST_LEVELS:
        return None
    counts_LC = _counts(encoded, kept, groups_N).astype(np.float64)
    rows_L = counts_LC.sum(axis=1)
    shares_LC = counts_LC / rows_L[:, None]
    whole_C = counts_LC.sum(axis=0) / counts_LC.sum()
    apart_LC = shares_LC - whole_C
    noise = float((whole_C * (1 - whole_C)).sum())
    between = float((rows_L * (apart_LC**2).sum(axis=1)).sum()) / (len(kept) - 1)
    least = max(FEWEST_F, 1 + SPREADS * np.sqrt(2 / (len(kept) - 1)))
    if noise <= 0 or between < least * noise:
        return None
    _, directions_CC = np.linalg.eigh((apart_LC * rows_L[:, None]).T @ apart_LC)
    direction_C = directions_CC[:, -1] * np.sign(
        directions_CC[np.abs(directions_CC[:, -1]).argmax(), -1]
    )
    order: Array = np.argsort(np.round(apart_LC @ direction_C, 12), kind="stable")
    return order


def label_shares(encoded: Any, kept: Array, groups_N: Array) -> LabelShares:
    """Return the shares of the label's groups in each level, in the order of `kept`."""
    counts_LC = _counts(encoded, kept, groups_N)
    eighths_LC = np.rint(STEPS * counts_LC / counts_LC.sum(axis=1, keepdims=True)).astype(np.int64)
    return tuple(tuple(eighths_L.tolist()) for eighths_L in eighths_LC.T)


def weights_of(rows: Sequence[int], shares: Sequence[int]) -> Array:
    """Return in proportion to what a rare level of one group becomes each kept one."""
    weights_L = np.array(rows, dtype=np.float64) * np.array(shares, dtype=np.float64)
    return weights_L if weights_L.any() else np.array(rows, dtype=np.float64)


def _counts(encoded: Any, kept: Array, groups_N: Array) -> Array:
    """Return rows with each kept level and group, (L, C)."""
    valid_N = encoded.indices.is_valid().to_numpy(zero_copy_only=False)
    index_N = encoded.indices.fill_null(0).to_numpy()
    place = np.full(len(encoded.dictionary), -1, dtype=np.int64)
    place[kept] = np.arange(len(kept))
    level_N = np.where(valid_N, place[index_N], -1)
    known_N = level_N >= 0
    counts_LC = np.zeros((len(kept), int(groups_N.max(initial=0)) + 1), dtype=np.int64)
    np.add.at(counts_LC, (level_N[known_N], groups_N[known_N]), 1)
    return counts_LC
