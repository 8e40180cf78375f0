"""Errors of single columns and of pairs of columns, against what unseen real rows reach.

The number of bins grows with the rows that are compared: with too many bins the noise of so few
rows would hide every difference.

Shapes: N rows of a side, D columns, R halves, K codes.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from gan.evaluation.ceilings import summarise
from gan.evaluation.measured import Measured
from gan.metrics.intervals import random_half, spread_interval
from gan.metrics.marginals import column_errors
from gan.metrics.pairs import mean_pair_error, one_hot, pair_counts, pair_errors
from gan.randomness import numpy_stream
from gan.report import Metric
from gan.tables.evaluation.codes import Codes, fit_codes
from gan.tables.evaluation.columns import JudgedColumn
from gan.tables.evaluation.ground import Ground

Array = np.ndarray[Any, Any]

FEWEST_BINS, MOST_BINS = 4, 20
ROWS_PER_BIN = 20
"""Rows of a comparison in one bin of a column."""
ROWS_PER_PAIR = 10
"""Rows of a comparison in one bin of a pair of columns."""
PAIR_COLUMNS = 40
"""Most columns whose pairs are compared, 780 pairs; of more, a random choice with the label."""
OFFENDERS = 3
"""Columns, the worst ones, of which it is asked whether real rows would pass."""


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
class ErrorSide:
    """The real side of these metrics."""

    names: tuple[str, ...]
    columns: Codes
    pairs: Codes
    holdout: Coded
    real_columns_RD: Array
    """Errors between halves of unseen real rows."""
    real_pairs_R: Array
    replicates: int
    seed: int

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

    def measure(self, candidate: pa.Table, sets: Sequence[Array]) -> Iterator[Measured]:
        """Yield `one_way` of the table and of every column, and `two_way`."""
        coded = self.code(candidate)
        parts = [coded.take(rows) for rows in sets]
        points = [self.compare(self.holdout, part) for part in parts]
        again = [self._resample(parts[r % len(parts)], r) for r in range(self.replicates)]
        columns_D = np.mean([point.columns_D for point in points], axis=0)
        columns_BD = np.stack([one.columns_D for one in again])
        yield self._measured(
            "one_way",
            "all",
            float(columns_D.mean()),
            columns_BD.mean(axis=1),
            self.real_columns_RD.mean(axis=1),
        )
        yield from self._by_column(columns_D, columns_BD)
        if len(self.pairs.sizes) > 1:
            value = float(np.mean([point.pairs for point in points]))
            swings_B = np.array([one.pairs for one in again])
            yield self._measured("two_way", "all", value, swings_B, self.real_pairs_R)

    def _resample(self, fakes: Coded, r: int) -> Errors:
        """Return the errors of a random half of both sides; the reals' is any candidate's."""
        reals_N = random_half(
            len(self.holdout.columns_ND), numpy_stream(self.seed, "holdout-half", r)
        )
        rng = numpy_stream(self.seed, "candidate-half", r)
        fakes_N = random_half(len(fakes.columns_ND), rng)
        return self.compare(self.holdout.take(reals_N), fakes.take(fakes_N))

    def _by_column(self, columns_D: Array, columns_BD: Array) -> Iterator[Measured]:
        """Yield the error of every column.

        The worst of real data's columns is what the worst of a candidate's stands beside: its
        draws are the largest excess over the ceiling that any column has in a half.
        """
        means_D = self.real_columns_RD.mean(axis=0)
        excess_R = (self.real_columns_RD - means_D).max(axis=1)
        worst = np.argsort(means_D - columns_D, kind="stable")[:OFFENDERS]
        for d, name in enumerate(self.names):
            found = self._measured(
                "one_way",
                f"all/{name}",
                float(columns_D[d]),
                columns_BD[:, d],
                self.real_columns_RD[:, d],
            )
            reals = tuple((means_D[d] + excess_R).tolist()) if d in worst else ()
            yield Measured(metric=found.metric, reals=reals, replicates=found.replicates)

    def _measured(
        self, name: str, scope: str, value: float, swings_B: Array, draws_R: Array
    ) -> Measured:
        replicates = tuple(swings_B.tolist())
        low, high = spread_interval(value, replicates, 0.0, 1.0)
        real = summarise(draws_R.tolist())
        metric = Metric(
            name=name,
            scope=scope,
            value=value,
            low=low,
            high=high,
            n=len(self.holdout.columns_ND),
            ceiling=real.ceiling,
            direction="lower",
        )
        return Measured(metric=metric, reals=real.draws, replicates=replicates)


def build_errors(ground: Ground) -> ErrorSide:
    """Code the real rows and cut validation and holdout in two at random, again and again."""
    train, n = ground.splits.train, ground.n
    paired = _paired_columns(ground)
    columns = fit_codes(train, ground.columns, bins_of_columns(n), n)
    pairs = fit_codes(train, paired, bins_of_pairs(n), n)
    side = ErrorSide(
        names=tuple(column.name for column in ground.columns),
        columns=columns,
        pairs=pairs,
        holdout=Coded(columns.of(ground.holdout), one_hot(pairs.of(ground.holdout), pairs.sizes)),
        real_columns_RD=np.zeros((0, len(ground.columns))),
        real_pairs_R=np.zeros(0),
        replicates=ground.replicates,
        seed=ground.seed,
    )
    other = side.code(ground.validation)
    pool = Coded(*(np.concatenate(both) for both in zip(side.holdout, other, strict=True)))
    draws = []
    rng = numpy_stream(ground.seed, "ceiling-errors")
    for _ in range(ground.halves):
        order = rng.permutation(2 * n)
        draws.append(side.compare(pool.take(order[:n]), pool.take(order[n:])))
    return ErrorSide(
        **{
            **vars(side),
            "real_columns_RD": np.stack([draw.columns_D for draw in draws]),
            "real_pairs_R": np.array([draw.pairs for draw in draws]),
        }
    )


def bins_of_columns(n: int) -> int:
    """Return the number of bins of a number where n rows are compared with n."""
    return min(MOST_BINS, max(FEWEST_BINS, n // ROWS_PER_BIN))


def bins_of_pairs(n: int) -> int:
    """Return the same for pairs, whose bins are the square of it."""
    return min(MOST_BINS, max(FEWEST_BINS, math.isqrt(n // ROWS_PER_PAIR)))


def error_notes(ground: Ground) -> tuple[str, ...]:
    """Return what a reader should know of how errors were measured."""
    found = []
    bins = (bins_of_columns(ground.n), bins_of_pairs(ground.n))
    if bins != (MOST_BINS, MOST_BINS):
        found.append(
            f"with {ground.n:,} rows on each side, numbers are compared in {bins[0]} quantile "
            f"bins, in pairs in {bins[1]}"
        )
    if len(ground.columns) > PAIR_COLUMNS:
        found.append(
            f"pairs were compared among {PAIR_COLUMNS} of {len(ground.columns)} columns, "
            "chosen at random"
        )
    return tuple(found)


def _paired_columns(ground: Ground) -> tuple[JudgedColumn, ...]:
    """Return the columns whose pairs are compared."""
    if len(ground.columns) <= PAIR_COLUMNS:
        return ground.columns
    order = numpy_stream(ground.seed, "pair-columns").permutation(len(ground.columns)).tolist()
    label = ground.splits.label
    order.sort(key=lambda index: ground.columns[index].name != label)
    return tuple(ground.columns[index] for index in sorted(order[:PAIR_COLUMNS]))
