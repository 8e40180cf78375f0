"""Rows as codes of single columns and of pairs, and the errors between two sets of rows.

The number of bins grows with the rows that are compared: with too many bins the noise of so few
rows would hide every difference.

Shapes: N rows of a side, D columns, K codes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from gan.metrics.marginals import column_errors
from gan.metrics.pairs import mean_pair_error, one_hot, pair_counts, pair_errors
from gan.tables.evaluation.codes import Codes, fit_codes
from gan.tables.evaluation.columns import JudgedColumn

Array = np.ndarray[Any, Any]

FEWEST_BINS, MOST_BINS = 4, 20
ROWS_PER_BIN = 20
"""Rows of a comparison in one bin of a column."""
ROWS_PER_PAIR = 10
"""Rows of a comparison in one bin of a pair of columns."""


class Coded(NamedTuple):
    """Rows as codes, for single columns and for pairs."""

    columns_ND: Array
    pairs_NK: Array
    """Ones and zeros."""

    def take(self, rows: Array) -> "Coded":
        """Return some of the rows."""
        return Coded(self.columns_ND[rows], self.pairs_NK[rows])


class Errors(NamedTuple):
    """What one comparison found."""

    columns_D: Array
    pairs: float
    """Mean over all pairs; NaN with a single column."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ErrorCodes:
    """The codes in which errors are measured."""

    columns: Codes
    pairs: Codes

    def code(self, records: pa.Table) -> Coded:
        """Return rows as codes."""
        return Coded(self.columns.of(records), one_hot(self.pairs.of(records), self.pairs.sizes))

    def compare(self, reals: Coded, fakes: Coded) -> Errors:
        """Return the errors between two sets of rows."""
        columns_D = column_errors(reals.columns_ND, fakes.columns_ND, self.columns.sizes)
        if len(self.pairs.sizes) < 2:
            return Errors(columns_D, math.nan)
        shares = [pair_counts(side.pairs_NK) / len(side.pairs_NK) for side in (reals, fakes)]
        pairs = mean_pair_error(pair_errors(shares[0], shares[1], self.pairs.sizes))
        return Errors(columns_D, pairs)


def fit_error_codes(
    train: pa.Table, columns: Sequence[JudgedColumn], paired: Sequence[JudgedColumn], n: int
) -> ErrorCodes:
    """Return codes of train for comparisons of n rows with n.

    Args:
        train: the real training rows.
        columns: that are compared one by one.
        paired: those whose pairs are compared.
        n: rows on each side.
    """
    return ErrorCodes(
        columns=fit_codes(train, columns, bins_of_columns(n), n),
        pairs=fit_codes(train, paired, bins_of_pairs(n), n),
    )


def bins_of_columns(n: int) -> int:
    """Return the number of bins of a number where n rows are compared with n."""
    return min(MOST_BINS, max(FEWEST_BINS, n // ROWS_PER_BIN))


def bins_of_pairs(n: int) -> int:
    """Return the same for pairs, whose bins are the square of it."""
    return min(MOST_BINS, max(FEWEST_BINS, math.isqrt(n // ROWS_PER_PAIR)))
