"""Errors of what is summed over entities, and of pairs of columns, against unseen real entities.

Shapes: N entities of a side, D parts of a measure, K sums, R halves, B resamples, Q steps that are
looked at of every entity, C columns.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from gan.evaluation.resampling import summarise
from gan.metrics.intervals import random_half, spread_interval
from gan.metrics.marginals import mean_pair_error, one_hot, pair_counts, pair_errors
from gan.randomness import numpy_stream
from gan.report import Measured, Metric
from gan.series.evaluation.aggregates import Aggregate, aggregates_of, compared_columns, spread_over
from gan.series.evaluation.context import SeriesContext, Side
from gan.tables.evaluation.errors import OFFENDERS, Codes, bins_of_pairs

Array = np.ndarray[Any, Any]

STEPS = 4
"""Random steps of every entity in which pairs of columns are compared."""
PAIR_COLUMNS = 30
"""Most columns whose pairs are compared; of more, evenly spread ones."""


class PartErrors(NamedTuple):
    """Errors of one measure: of a candidate, of resamples of it, and between halves of reals."""

    points_D: Array
    again_BD: Array
    reals_RD: Array


def measured(
    name: str, scope: str, n: int, value: float, again_B: Array, reals_R: Array
) -> Measured:
    """Return an error as a metric, with its interval and beside its ceiling."""
    replicates = tuple(again_B.tolist())
    low, high = spread_interval(value, replicates, 0.0, math.inf)
    real = summarise(reals_R.tolist())
    metric = Metric(
        name=name,
        scope=scope,
        value=value,
        low=low,
        high=high,
        n=n,
        ceiling=real.ceiling,
        direction="lower",
    )
    return Measured(metric=metric, reals=real.draws, replicates=replicates)


class SeriesErrors:
    """Errors of a candidate's sums, and those between halves of unseen real entities."""

    def __init__(self, context: SeriesContext) -> None:
        """Sum up the real entities; cut validation and holdout in two at random, again and again.

        Args:
            context: the real entities.
        """
        self.context = context
        self.aggregates = aggregates_of(context)
        self.holdout = [one.sums(context.holdout) for one in self.aggregates]
        self.reals = []
        order_RP = _halves(context)
        for one, holdout_NK in zip(self.aggregates, self.holdout, strict=True):
            pool_PK = np.concatenate([holdout_NK, one.sums(context.validation)])
            self.reals.append(np.stack([_of_halves(one, pool_PK, order) for order in order_RP]))

    def measure(self, candidate: Side, sets: Sequence[Array]) -> Iterator[Measured]:
        """Yield every error of the whole, and those of its parts that are metrics besides."""
        for place, one in enumerate(self.aggregates):
            found = self._found(place, one.sums(candidate), sets)
            reduce = np.max if one.worst else np.mean
            value = float(reduce(found.points_D))
            scope = "all"
            if one.worst:
                scope = f"all/{one.parts[int(np.argmax(found.points_D))]}"
            again_B, reals_R = reduce(found.again_BD, axis=1), reduce(found.reals_RD, axis=1)
            yield self._measured(one.name, scope, value, again_B, reals_R)
            if one.by_part:
                yield from self._by_part(one, found)

    def _found(self, place: int, sums_MK: Array, sets: Sequence[Array]) -> PartErrors:
        one, holdout_NK = self.aggregates[place], self.holdout[place]
        total_K = holdout_NK.sum(axis=0)
        points = [one.errors(total_K, sums_MK[rows].sum(axis=0)) for rows in sets]
        again, n, seed = [], self.context.n, self.context.seed
        for r in range(self.context.replicates):
            rows = sets[r % len(sets)]
            reals_N = random_half(n, numpy_stream(seed, "holdout-half", r))
            fakes_N = rows[random_half(len(rows), numpy_stream(seed, "candidate-half", r))]
            again.append(one.errors(holdout_NK[reals_N].sum(axis=0), sums_MK[fakes_N].sum(axis=0)))
        return PartErrors(np.mean(points, axis=0), np.stack(again), self.reals[place])

    def _by_part(self, one: Aggregate, found: PartErrors) -> Iterator[Measured]:
        """Yield the error of every part.

        The worst of real data's parts is what the worst of a candidate's stands beside: its draws
        are the largest excess over the ceiling that any part has in a half.
        """
        means_D = found.reals_RD.mean(axis=0)
        excess_R = (found.reals_RD - means_D).max(axis=1)
        worst = np.argsort(means_D - found.points_D, kind="stable")[:OFFENDERS]
        for d, part in enumerate(one.parts):
            item = self._measured(
                one.name,
                f"all/{part}",
                float(found.points_D[d]),
                found.again_BD[:, d],
                found.reals_RD[:, d],
            )
            reals = tuple((means_D[d] + excess_R).tolist()) if d in worst else ()
            yield Measured(metric=item.metric, reals=reals, replicates=item.replicates)

    def _measured(
        self, name: str, scope: str, value: float, again_B: Array, reals_R: Array
    ) -> Measured:
        return measured(name, scope, self.context.n, value, again_B, reals_R)


def _halves(context: SeriesContext) -> list[Array]:
    """Return random orders of validation and holdout together."""
    rng = numpy_stream(context.seed, "ceiling-errors")
    return [rng.permutation(2 * context.n) for _ in range(context.halves)]


def _of_halves(one: Aggregate, pool_PK: Array, order: Array) -> Array:
    half = len(order) // 2
    return one.errors(pool_PK[order[:half]].sum(axis=0), pool_PK[order[half:]].sum(axis=0))


class PairErrors:
    """Errors of pairs of columns in one step: static ones, variables, and one of each.

    Of every entity some random steps are looked at, so that each weighs the same.
    """

    def __init__(self, context: SeriesContext) -> None:
        """Code the real entities; cut them in two as above."""
        self.context, columns = context, compared_columns(context)
        chosen = spread_over(len(columns), PAIR_COLUMNS)
        self.columns = tuple(columns[index] for index in chosen.tolist())
        if len(self.columns) < 2:
            return
        bins = bins_of_pairs(context.n)
        self.codes = Codes(self._rows(context.train, "train"), self.columns, bins, context.n)
        self.holdout_NQK = self._coded(context.holdout, "holdout")
        pool_PQK = np.concatenate([self.holdout_NQK, self._coded(context.validation, "validation")])
        draws = []
        for order in _halves(context):
            half = len(order) // 2
            draws.append(self._compare(pool_PQK[order[:half]], pool_PQK[order[half:]]))
        self.reals_R = np.array(draws)

    def measure(self, candidate: Side, sets: Sequence[Array]) -> Iterator[Measured]:
        """Yield `two_way`; nothing of a single column."""
        if len(self.columns) < 2:
            return
        coded_MQK = self._coded(candidate, "candidate")
        points = [self._compare(self.holdout_NQK, coded_MQK[rows]) for rows in sets]
        again, seed = [], self.context.seed
        for r in range(self.context.replicates):
            rows = sets[r % len(sets)]
            reals_N = random_half(self.context.n, numpy_stream(seed, "holdout-half", r))
            fakes_N = rows[random_half(len(rows), numpy_stream(seed, "candidate-half", r))]
            again.append(self._compare(self.holdout_NQK[reals_N], coded_MQK[fakes_N]))
        yield measured(
            "two_way",
            "all",
            self.context.n,
            float(np.mean(points)),
            np.array(again),
            self.reals_R,
        )

    def _rows(self, side: Side, purpose: str) -> pa.Table:
        """Return the columns in some random steps of every entity, N · Q rows."""
        rng = numpy_stream(self.context.seed, f"pairs-{purpose}")
        lengths_N = side.observed.lengths_N
        places_NQ = (rng.random((len(lengths_N), STEPS)) * lengths_N[:, None]).astype(np.int64)
        steps = pa.array((side.observed.first[:, None] + places_NQ).ravel())
        entities = pa.array(np.repeat(np.arange(len(lengths_N)), STEPS))
        names = set(side.statics.column_names)
        found = {
            one.name: side.statics[one.name].take(entities)
            if one.name in names
            else side.steps[one.name].take(steps)
            for one in self.columns
        }
        return pa.table(found)

    def _coded(self, side: Side, purpose: str) -> Array:
        codes_RC = self.codes.of(self._rows(side, purpose))
        return one_hot(codes_RC, self.codes.sizes).reshape(side.entities, STEPS, -1)

    def _compare(self, reals_NQK: Array, fakes_NQK: Array) -> float:
        shares = [
            pair_counts(side.reshape(-1, side.shape[2])) / (len(side) * STEPS)
            for side in (reals_NQK, fakes_NQK)
        ]
        return mean_pair_error(pair_errors(shares[0], shares[1], self.codes.sizes))
