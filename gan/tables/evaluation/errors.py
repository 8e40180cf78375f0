"""Errors of single columns and of pairs of columns, against what unseen real rows reach.

Shapes: D columns, R halves, B resamples.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from gan.evaluation.ceilings import summarise
from gan.evaluation.measured import Measured
from gan.metrics.intervals import random_half, spread_interval
from gan.randomness import numpy_stream
from gan.report import Metric
from gan.tables.evaluation.columns import JudgedColumn
from gan.tables.evaluation.error_codes import (
    MOST_BINS,
    Coded,
    ErrorCodes,
    Errors,
    bins_of_columns,
    bins_of_pairs,
    fit_error_codes,
)
from gan.tables.evaluation.ground import Ground

Array = np.ndarray[Any, Any]

PAIR_COLUMNS = 40
"""Most columns whose pairs are compared, 780 pairs; of more, a random choice with the label."""
OFFENDERS = 3
"""Columns, the worst ones, of which it is asked whether real rows would pass."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ErrorSide:
    """The real side of these metrics."""

    names: tuple[str, ...]
    codes: ErrorCodes
    holdout: Coded
    real_columns_RD: Array
    """Errors between halves of unseen real rows."""
    real_pairs_R: Array
    replicates: int
    seed: int

    def measure(self, candidate: pa.Table, sets: Sequence[Array]) -> Iterator[Measured]:
        """Yield `one_way` of the table and of every column, and `two_way`."""
        coded = self.codes.code(candidate)
        parts = [coded.take(rows) for rows in sets]
        points = [self.codes.compare(self.holdout, part) for part in parts]
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
        if len(self.codes.pairs.sizes) > 1:
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
        return self.codes.compare(self.holdout.take(reals_N), fakes.take(fakes_N))

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
    n, train = ground.n, ground.splits.train
    codes = fit_error_codes(train, ground.columns, _paired_columns(ground), n)
    holdout, validation = codes.code(ground.holdout), codes.code(ground.validation)
    pool = Coded(*(np.concatenate(both) for both in zip(holdout, validation, strict=True)))
    draws = []
    rng = numpy_stream(ground.seed, "ceiling-errors")
    for _ in range(ground.halves):
        order = rng.permutation(2 * n)
        draws.append(codes.compare(pool.take(order[:n]), pool.take(order[n:])))
    return ErrorSide(
        names=tuple(column.name for column in ground.columns),
        codes=codes,
        holdout=holdout,
        real_columns_RD=np.stack([draw.columns_D for draw in draws]),
        real_pairs_R=np.array([draw.pairs for draw in draws]),
        replicates=ground.replicates,
        seed=ground.seed,
    )


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
