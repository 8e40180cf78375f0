"""Whether rows tell a rule, or chance, zeros or a simpler rule do.

A formula is told by the rows in which something happens: `0 = 0 + 0` and `5 = 5 * 1` tell nothing.
There must be enough of them, and the formula must break in a share of them once the results are
shuffled (a permutation test whose statistic is the share of broken rows; as a found rule breaks in
none, what counts is how many a shuffled one would break).
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from storage.sources.tables.structure.columns import (
    LEAST_ROWS,
    LEAST_SHARE,
    Floats,
    Quantity,
)

_BROKEN_SHARE: Final = 0.1
"""Of the rows, or of those that tell a product, so many must break a formula once shuffled."""

_TERM_ROWS: Final = 30
_TERM_SHARE: Final = 0.01
"""In so many of the rows the second most frequent term of a sum is not zero."""

_BROKEN_ROWS: Final = 50
"""Of a rule on levels, so many rows would break it once shuffled."""


def formula_support(
    result: Quantity,
    computed_N: Floats,
    terms: Sequence[Floats] = (),
    factors: Sequence[Quantity] = (),
) -> int | None:
    """Return how many rows tell a formula; None where it does not hold or too few do.

    It does not hold either where the column has values though the formula gives none.

    Args:
        result: the column that the formula gives.
        computed_N: what it gives, before it is rounded; NaN where an input is missing.
        terms: what it adds; two of them at least must count in many rows.
        factors: what it multiplies or divides; a row in which one of them is the result tells
            nothing.
    """
    lacking_N = np.isnan(computed_N)
    known_N = ~(lacking_N | np.isnan(result.values_N))
    known = int(known_N.sum())
    if known < LEAST_ROWS or not np.isnan(result.values_N[lacking_N]).all():
        return None
    size_N = np.nansum(np.abs(terms), axis=0) if len(terms) else None
    if not result.is_rounded_from(computed_N, size_N=size_N):
        return None
    told_N = known_N
    for each in factors:
        told_N = told_N & (each.values_N != result.values_N)
    if len(terms) > 1:
        counts = sorted(int((known_N & (term_N != 0)).sum()) for term_N in terms)
        told_N = told_N & (result.values_N != 0)
        if counts[-2] < max(_TERM_ROWS, _TERM_SHARE * known):
            return None
    told = int(told_N.sum())
    if told < max(LEAST_ROWS, LEAST_SHARE * known):
        return None
    rows = np.flatnonzero(told_N if factors else known_N)
    mixed_N = computed_N[np.random.default_rng(0).permutation(rows)]
    broken = np.abs(result.values_N[rows] - mixed_N) > max(result.step / 2, 1e-12)
    return told if broken.mean() >= _BROKEN_SHARE else None


def levels_support(
    decided_N: NDArray[np.int32], deciding_N: NDArray[np.int32], counts_L: NDArray[np.int64]
) -> int | None:
    """Return how many rows tell that levels decide others; None where too few do.

    Of the rows of one deciding level the first tells nothing, and each other one would hold the
    same decided level by chance in the share of rows that hold it.

    Args:
        decided_N: of the column that is decided.
        deciding_N: of the column, or the columns together, that decide it.
        counts_L: rows of each decided level.
    """
    telling = len(deciding_N) - len(np.unique(deciding_N))
    chance = float(((counts_L / max(len(decided_N), 1)) ** 2).sum())
    expected = telling * (1 - chance)
    enough = telling >= LEAST_ROWS and expected >= _BROKEN_ROWS
    return telling if enough and expected >= LEAST_SHARE * len(decided_N) else None
