"""Errors of single columns and of pairs of columns, against what unseen real rows reach.

Distributions are compared on codes: quantile bins and levels of the real train. They are the
judge's own, not the codec's, so that what a generator cannot say is counted, too. The number of
bins grows with the rows that are compared: with too many, the noise of so few rows would hide every
difference.

Shapes: N rows of a side, D columns, K codes of all columns side by side, R halves, B resamples.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from gan.evaluation.resampling import summarise
from gan.metrics.intervals import random_half, spread_interval
from gan.metrics.marginals import column_errors, mean_pair_error, one_hot, pair_counts, pair_errors
from gan.randomness import numpy_stream
from gan.report import Measured, Metric
from gan.tables.evaluation.columns import (
    EvaluationContext,
    JudgedColumn,
    as_levels,
    as_numbers,
    is_null,
    levels_by_count,
)

Array = np.ndarray[Any, Any]

MOST_LEVELS = 50
"""Levels of a column that have a code of their own; the rest share one."""
LEAST_EXPECTED = 5
"""Rows of a comparison in which a level must be expected to have a code of its own."""
FEWEST_BINS, MOST_BINS = 4, 20
ROWS_PER_BIN = 20
"""Rows of a comparison in one bin of a column."""
ROWS_PER_PAIR = 10
"""Rows of a comparison in one bin of a pair of columns."""
PAIR_COLUMNS = 40
"""Most columns whose pairs are compared, 780 pairs; of more, a random choice with the label."""
OFFENDERS = 3
"""Columns, the worst ones, of which it is asked whether real rows would pass."""


class ColumnCodes:
    """The codes of one column: bins or levels, then one for other values, then one for null."""

    def __init__(self, train: pa.Table, column: JudgedColumn, bins: int, rows: int) -> None:
        """Learn train's levels or quantiles; see `Codes`."""
        self.column = column
        if column.form == "levels":
            levels, counts = levels_by_count(train[column.name])
            expected = counts / max(train.num_rows, 1) * rows
            kept = min(MOST_LEVELS, int((expected >= LEAST_EXPECTED).sum()))
            self.levels = levels.slice(0, kept)
            self.size = kept + 2
            return
        numbers = as_numbers(train[column.name])
        known = numbers[~np.isnan(numbers)]
        steps = np.linspace(0, 1, bins + 1)[1:-1]
        edges = np.quantile(known, steps, method="inverted_cdf") if len(known) else np.zeros(0)
        unique = np.unique(edges)
        self.edges = unique[unique < (known.max() if len(known) else 0.0)]
        """Upper ends of all bins but the last."""
        self.size = len(self.edges) + 2

    def of(self, records: pa.Table) -> Array:
        """Return the code of every row; int64 (N,)."""
        values = records[self.column.name]
        if self.column.form == "levels":
            found = as_levels(values, self.levels)
            codes_N = np.where(found < 0, len(self.levels), found)
        else:
            codes_N = np.searchsorted(self.edges, as_numbers(values), side="left")
        return np.where(is_null(values), self.size - 1, codes_N).astype(np.int64)


class Codes:
    """The codes of all columns."""

    def __init__(
        self, train: pa.Table, columns: Sequence[JudgedColumn], bins: int, rows: int
    ) -> None:
        """Learn the codes of train.

        Args:
            train: the real training rows.
            columns: that are compared.
            bins: quantile bins of a number; equal quantiles are one.
            rows: that a comparison will have on each side; rarer levels share a code.
        """
        self.columns = tuple(ColumnCodes(train, column, bins, rows) for column in columns)
        self.sizes = tuple(column.size for column in self.columns)
        """Number of codes of each column."""

    def of(self, records: pa.Table) -> Array:
        """Return `codes_ND`, int64."""
        return np.stack([column.of(records) for column in self.columns], axis=1)


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


class ErrorCodes:
    """The codes in which errors are measured."""

    def __init__(
        self,
        train: pa.Table,
        columns: Sequence[JudgedColumn],
        paired: Sequence[JudgedColumn],
        n: int,
    ) -> None:
        """Learn the codes of train for comparisons of n rows with n.

        Args:
            train: the real training rows.
            columns: that are compared one by one.
            paired: those whose pairs are compared.
            n: rows on each side.
        """
        self.columns = Codes(train, columns, bins_of_columns(n), n)
        self.pairs = Codes(train, paired, bins_of_pairs(n), n)

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


def bins_of_columns(n: int) -> int:
    """Return the number of bins of a number where n rows are compared with n."""
    return min(MOST_BINS, max(FEWEST_BINS, n // ROWS_PER_BIN))


def bins_of_pairs(n: int) -> int:
    """Return the same for pairs, whose bins are the square of it."""
    return min(MOST_BINS, max(FEWEST_BINS, math.isqrt(n // ROWS_PER_PAIR)))


class DistributionErrors:
    """Errors of a candidate's columns and pairs, and those between halves of unseen real rows."""

    def __init__(self, context: EvaluationContext) -> None:
        """Code the real rows; cut validation and holdout in two at random, again and again."""
        self.context, n = context, context.n
        paired = _paired_columns(context)
        self.codes = ErrorCodes(context.splits.train, context.columns, paired, n)
        self.holdout, validation = (
            self.codes.code(part) for part in (context.holdout, context.validation)
        )
        both = zip(self.holdout, validation, strict=True)
        pool = Coded(*(np.concatenate(parts) for parts in both))
        draws = []
        rng = numpy_stream(context.seed, "ceiling-errors")
        for _ in range(context.halves):
            order = rng.permutation(2 * n)
            draws.append(self.codes.compare(pool.take(order[:n]), pool.take(order[n:])))
        self.real_columns_RD = np.stack([draw.columns_D for draw in draws])
        self.real_pairs_R = np.array([draw.pairs for draw in draws])

    def measure(self, candidate: pa.Table, sets: Sequence[Array]) -> Iterator[Measured]:
        """Yield `one_way` of the table and of every column, and `two_way`."""
        coded = self.codes.code(candidate)
        parts = [coded.take(rows) for rows in sets]
        points = [self.codes.compare(self.holdout, part) for part in parts]
        again = [self._resample(parts[r % len(parts)], r) for r in range(self.context.replicates)]
        columns_D = np.mean([point.columns_D for point in points], axis=0)
        columns_BD = np.stack([one.columns_D for one in again])
        draws_R = self.real_columns_RD.mean(axis=1)
        yield self._measured(
            "one_way", "all", float(columns_D.mean()), columns_BD.mean(axis=1), draws_R
        )
        yield from self._by_column(columns_D, columns_BD)
        if len(self.codes.pairs.sizes) > 1:
            value = float(np.mean([point.pairs for point in points]))
            swings_B = np.array([one.pairs for one in again])
            yield self._measured("two_way", "all", value, swings_B, self.real_pairs_R)

    def _resample(self, fakes: Coded, r: int) -> Errors:
        """Return the errors of a random half of both sides; the reals' is any candidate's."""
        seed = self.context.seed
        reals_N = random_half(self.context.n, numpy_stream(seed, "holdout-half", r))
        rng = numpy_stream(seed, "candidate-half", r)
        fakes_N = random_half(len(fakes.columns_ND), rng)
        return self.codes.compare(self.holdout.take(reals_N), fakes.take(fakes_N))

    def _by_column(self, columns_D: Array, columns_BD: Array) -> Iterator[Measured]:
        """Yield the error of every column.

        The worst of real data's columns is what the worst of a candidate's stands beside: its
        draws are the largest excess over the ceiling that any column has in a half.
        """
        means_D = self.real_columns_RD.mean(axis=0)
        excess_R = (self.real_columns_RD - means_D).max(axis=1)
        worst = np.argsort(means_D - columns_D, kind="stable")[:OFFENDERS]
        for d, column in enumerate(self.context.columns):
            scope, draws_R = f"all/{column.name}", self.real_columns_RD[:, d]
            found = self._measured("one_way", scope, float(columns_D[d]), columns_BD[:, d], draws_R)
            reals = tuple((means_D[d] + excess_R).tolist()) if d in worst else ()
            yield Measured(metric=found.metric, reals=reals, replicates=found.replicates)

    def _measured(
        self, name: str, scope: str, value: float, swings_B: Array, draws_R: Array
    ) -> Measured:
        """Return a metric: its value, that of resamples, and that of halves of real rows."""
        replicates = tuple(swings_B.tolist())
        low, high = spread_interval(value, replicates, 0.0, 1.0)
        real = summarise(draws_R.tolist())
        metric = Metric(
            name=name,
            scope=scope,
            value=value,
            low=low,
            high=high,
            n=self.context.n,
            ceiling=real.ceiling,
            direction="lower",
        )
        return Measured(metric=metric, reals=real.draws, replicates=replicates)


def error_notes(context: EvaluationContext) -> tuple[str, ...]:
    """Return what a reader should know of how errors were measured."""
    found = []
    bins = (bins_of_columns(context.n), bins_of_pairs(context.n))
    if bins != (MOST_BINS, MOST_BINS):
        found.append(
            f"with {context.n:,} rows on each side, numbers are compared in {bins[0]} quantile "
            f"bins, in pairs in {bins[1]}"
        )
    if len(context.columns) > PAIR_COLUMNS:
        found.append(
            f"pairs were compared among {PAIR_COLUMNS} of {len(context.columns)} columns, "
            "chosen at random"
        )
    return tuple(found)


def _paired_columns(context: EvaluationContext) -> tuple[JudgedColumn, ...]:
    """Return the columns whose pairs are compared."""
    if len(context.columns) <= PAIR_COLUMNS:
        return context.columns
    order = numpy_stream(context.seed, "pair-columns").permutation(len(context.columns)).tolist()
    label = context.splits.label
    order.sort(key=lambda index: context.columns[index].name != label)
    return tuple(context.columns[index] for index in sorted(order[:PAIR_COLUMNS]))
