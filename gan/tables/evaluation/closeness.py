"""Closeness of rows: coverage, density, whether training rows come back, what attacks find.

Rows of mixed columns are points, so that distances between them mean something. A number is its
rank among train's, from 0 to √3, so that two random rows lie ½ apart (squared) on average; two
different levels, or a value and a null, lie 1 apart. That is Gower's idea (1971, Biometrics 27,
857), every column with the same weight whatever its unit, with squared differences.

`Attacks` is what an attacker can tell apart: synthetic from real rows, training from unseen rows.

Shapes: N real rows, M fakes, F coordinates, P real rows of both sides, B resamples.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gan.evaluation.neighbourhoods import coverage_ceiling, measure_coverage
from gan.evaluation.resampling import (
    Calibration,
    Real,
    RealSides,
    measure_copies,
    summarise,
)
from gan.metrics.auc import auc, delong, null_spread
from gan.metrics.copies import nominal_share, record_digests
from gan.metrics.distances import (
    closest_share,
    nearer,
    owners,
    resampled_shares,
)
from gan.metrics.intervals import Z_95, normal_draws, random_half
from gan.metrics.neighbours import nearest, nearest_distances
from gan.metrics.trees import out_of_fold_scores
from gan.randomness import numpy_stream
from gan.report import Measured, Metric
from gan.tables.columns.values import plain
from gan.tables.evaluation.columns import (
    EvaluationContext,
    JudgedColumn,
    as_levels,
    as_numbers,
    is_null,
    levels_by_count,
)
from gan.tables.evaluation.rows import some
from gan.tables.evaluation.usefulness import Features

Array = np.ndarray[Any, Any]

MOST_LEVELS = 63
"""Levels with a coordinate of their own; the rest share one."""
RANK_SCALE = math.sqrt(3.0)
LEVEL_SCALE = math.sqrt(0.5)


class Axis:
    """The coordinates of one column."""

    def __init__(self, train: pa.Table, column: JudgedColumn) -> None:
        """Learn train's levels, or its numbers in order and whether any is null."""
        self.column, values = column, train[column.name]
        if column.form == "levels":
            self.levels = levels_by_count(values)[0].slice(0, MOST_LEVELS)
            return
        numbers = as_numbers(values)
        self.sorted_values = np.sort(numbers[~np.isnan(numbers)])
        self.nulls = len(self.sorted_values) < len(numbers)

    def points(self, records: pa.Table) -> Array:
        """Return the column's coordinates; float64 (N, F of this column)."""
        values = records[self.column.name]
        if self.column.form == "levels":
            found = as_levels(values, self.levels)
            codes_N = np.where(found < 0, len(self.levels), found)
            codes_N = np.where(is_null(values), len(self.levels) + 1, codes_N)
            return LEVEL_SCALE * np.eye(len(self.levels) + 2)[codes_N]
        numbers = as_numbers(values)
        null_N = np.isnan(numbers)
        ranks_N = np.where(null_N, 0.5, self._ranks(np.nan_to_num(numbers)))
        if self.nulls:
            return np.column_stack([RANK_SCALE * ranks_N, null_N])
        return (RANK_SCALE * ranks_N)[:, None]

    def _ranks(self, numbers: Array) -> Array:
        """Return the share of train below, equal values counted half."""
        below = np.searchsorted(self.sorted_values, numbers, side="left")
        upto = np.searchsorted(self.sorted_values, numbers, side="right")
        ranks: Array = (below + upto) / (2 * max(len(self.sorted_values), 1))
        return ranks


class Space:
    """The coordinates of all columns."""

    def __init__(self, train: pa.Table, columns: Sequence[JudgedColumn]) -> None:
        """Learn train's ranks and levels."""
        self.axes = tuple(Axis(train, column) for column in columns)

    def points(self, records: pa.Table) -> Array:
        """Return `points_NF`, float64."""
        return np.concatenate([axis.points(records) for axis in self.axes], axis=1)


class RowIdentity:
    """Tells by digests which rows are equal in all judged columns."""

    def __init__(self, splits: Sequence[pa.Table], columns: Sequence[JudgedColumn]) -> None:
        """Collect the distinct values, null among them, of every column in all splits."""
        self.values = {
            column.name: pc.unique(pa.concat_arrays([plain(part[column.name]) for part in splits]))
            for column in columns
        }

    def digests(self, records: pa.Table) -> list[bytes]:
        """Return a digest of every row; a value that no real row has makes it equal to none."""
        return record_digests(self.codes(records))

    def codes(self, records: pa.Table) -> Array:
        """Return the place of every value among the distinct ones, -1 for another; (N, D)."""
        columns = [
            pc.fill_null(
                pc.index_in(plain(records[name]), value_set=known, skip_nulls=False), -1
            ).to_numpy(zero_copy_only=False)
            for name, known in self.values.items()
        ]
        codes_ND: Array = np.stack(columns, axis=1).astype(np.int32)
        return codes_ND


def first_of_each(digests: Sequence[bytes]) -> Array:
    """Return the index of the first row of every content, in order."""
    seen: dict[bytes, int] = {}
    for index, digest in enumerate(digests):
        seen.setdefault(digest, index)
    return np.array(list(seen.values()), dtype=np.int64)


NEIGHBOUR_ROWS = 2500
"""Most rows on each side of coverage."""
CLOSEST_ROWS = 10_000
"""Most training and most holdout rows between which the nearest is sought."""
LEAST_CLOSEST = 5000
"""Rows of both sides from which `dcr_share` must be known; with fewer, calibrated copies must."""
FEW_ROWS = "few rows"
"""Scope of `dcr_share` with fewer: only what is past its bound beyond doubt blocks."""
COPY_ROWS = 50_000
"""Most training rows among which near copies are sought."""


class Closeness:
    """Neighbours of a candidate's rows among the real ones, and what unseen real rows reach."""

    def __init__(self, context: EvaluationContext, identity: RowIdentity) -> None:
        """Place the real rows and measure what unseen ones reach."""
        splits, seed = context.splits, context.seed
        self.context, self.identity = context, identity
        self.space = Space(splits.train, context.columns)
        self.train_digests = frozenset(identity.digests(splits.train))
        n = min(context.n, NEIGHBOUR_ROWS)
        self.holdout_NF, validation_NF = (
            self.space.points(some(part, n, seed, "neighbours"))
            for part in (context.holdout, context.validation)
        )
        points_PF = np.concatenate([self.holdout_NF, validation_NF])
        self.coverage = coverage_ceiling(points_PF, context.halves, seed)
        self.train_PF, self.distinct_PF = self._distinct()
        """Equally many distinct rows of train and of the holdout."""
        self.copied_NF = self.space.points(some(splits.train, COPY_ROWS, seed, "copies"))
        """Rows of train among which near copies are sought."""
        few = len(self.train_PF) < LEAST_CLOSEST
        self.unseen_NF = self._unseen() if few else self.copied_NF[:0]
        """Unseen rows that equal none of train."""
        self.unseen_digests = self._unseen_digests() if few else frozenset()
        self.unseen_N = nearest_distances(self.unseen_NF, self.copied_NF) if few else np.zeros(0)
        """Their distance to the rows of train."""
        self.sides = RealSides(self.copied_NF, self.unseen_NF, seed)

    def measure(self, candidate: pa.Table, sets: Sequence[Array]) -> Iterator[Measured]:
        """Yield `coverage`, `density`, `dcr_share`, and `copies` where rows are too few for it."""
        fakes_MF = self.space.points(candidate)
        yield from self._neighbours(fakes_MF, sets)
        share = self._dcr_share(fakes_MF)
        yield share
        if share.metric.scope == FEW_ROWS:
            yield from self._copies(candidate, fakes_MF)

    def _neighbours(self, fakes_MF: Array, sets: Sequence[Array]) -> Iterator[Measured]:
        n, context = len(self.holdout_NF), self.context
        parts = [fakes_MF[rows[:n]] for rows in sets]
        yield from measure_coverage(
            self.holdout_NF, parts, self.coverage, context.replicates, context.seed
        )

    def _dcr_share(self, fakes_MF: Array) -> Measured:
        """Return the share of fakes that are nearer to train; of few rows in its own scope.

        Of real rows it is one half, with the spread that so many effective rows have. With few rows
        that spread is wider than the bounds, so only an interval that is past them as a whole
        counts, and real rows as the candidate are not asked whether they would pass.
        """
        rows = len(self.train_PF)
        to_train, to_holdout = nearest(fakes_MF, self.train_PF), nearest(fakes_MF, self.distinct_PF)
        hits_M, owners_M = nearer(to_train, to_holdout), owners(to_train, to_holdout, rows)
        found = closest_share(hits_M, owners_M, 2 * rows)
        weights_BP = np.zeros((self.context.replicates, 2 * rows))
        for r in range(len(weights_BP)):
            chosen = random_half(2 * rows, numpy_stream(self.context.seed, "closest-half", r))
            weights_BP[r, chosen] = 1.0
        again_B = np.nan_to_num(resampled_shares(hits_M, owners_M, weights_BP), nan=found.share)
        spread = 0.5 / np.sqrt(found.effective)
        draws = normal_draws(0.5, float(spread))
        n = min(rows, len(fakes_MF))
        ceiling = summarise(draws, value=0.5).ceiling
        metric = Metric(
            name="dcr_share",
            scope="all" if n >= LEAST_CLOSEST else FEW_ROWS,
            value=found.share,
            low=found.low,
            high=found.high,
            n=n,
            ceiling=ceiling,
            direction="lower",
        )
        reals = tuple(draws) if n >= LEAST_CLOSEST else ()
        return Measured(metric=metric, reals=reals, replicates=tuple(again_B.tolist()))

    def _copies(self, candidate: pa.Table, fakes_MF: Array) -> Iterator[Measured]:
        """Yield near copies; rows that equal a real one are judged as exact copies.

        Nothing where so few unseen rows differ from train's that none is the nominal share.
        """
        known = self.train_digests | self.unseen_digests
        exact = _known(self.identity.digests(candidate), known)
        nominal = nominal_share(self.context.splits.holdout.num_rows)
        if exact.all() or len(self.unseen_N) * nominal < 1:
            return
        calibration = Calibration(
            unseen_N=self.unseen_N,
            nominal=nominal,
            replicates=self.context.replicates,
            seed=self.context.seed,
        )
        new_MF = fakes_MF[~exact]
        distances_M = nearest_distances(new_MF, self.copied_NF)
        yield measure_copies(distances_M, self.sides.hits(new_MF), calibration, "all")

    def _distinct(self) -> tuple[Array, Array]:
        """Return equally many distinct rows of train and of the holdout.

        A row that repeats lies in one split with all its copies: counted once, every content has
        the same chance to be in either.
        """
        found = []
        for name in ("train", "holdout"):
            records = getattr(self.context.splits, name)
            first = first_of_each(self.identity.digests(records))
            order = numpy_stream(self.context.seed, f"closest-{name}").permutation(first)
            found.append((records, order))
        rows = min(CLOSEST_ROWS, *(len(order) for _, order in found))
        train, holdout = (
            self.space.points(records.take(pa.array(np.sort(order[:rows]))))
            for records, order in found
        )
        return train, holdout

    def _unseen(self) -> Array:
        """Return the points of unseen rows that equal none of train."""
        parts, context = [], self.context
        for records in (context.splits.holdout, context.splits.validation):
            rows = some(records, context.options.cap, context.seed, "unseen")
            fresh = ~_known(self.identity.digests(rows), self.train_digests)
            parts.append(self.space.points(rows)[fresh])
        return np.concatenate(parts)

    def _unseen_digests(self) -> frozenset[bytes]:
        """Return the digests of all unseen rows."""
        splits = self.context.splits
        found = (self.identity.digests(part) for part in (splits.holdout, splits.validation))
        return frozenset(digest for part in found for digest in part)


def c2st_of_reals(n: int) -> Real:
    """Return the ceiling of `c2st` of n rows a side, and the upper ends that real rows reach."""
    spread = null_spread(n, n)
    draws = normal_draws(0.5, spread)
    ceiling = summarise(draws, value=0.5).ceiling
    return Real(ceiling, tuple(draw + Z_95 * spread for draw in draws))


def _known(digests: Sequence[bytes], known: frozenset[bytes]) -> Array:
    """Return which digests are known; bool (N,)."""
    return np.array([digest in known for digest in digests], dtype=bool)


NOTABLE_MEMBERSHIP = 0.55
"""Area from which the report says a sentence about it."""


class Attacks:
    """Attacks on a candidate's rows, and on the likelihood of its generator."""

    def __init__(self, context: EvaluationContext, features: Features) -> None:
        """Keep the holdout as trees take it."""
        self.context, self.features = context, features
        self.holdout_NF = features.of(context.holdout)

    def measure(self, candidate: pa.Table, sets: Sequence[Array]) -> Iterator[Measured]:
        """Yield `c2st` of as many fakes as there are reals."""
        context, n = self.context, len(self.holdout_NF)
        fakes = candidate.take(pa.array(sets[0]))
        scores = out_of_fold_scores(
            self.holdout_NF,
            self.features.of(fakes),
            self.features.is_levels,
            numpy_stream(context.seed, "c2st-folds"),
        )
        found = delong(scores.fakes_M, scores.reals_N)
        real = c2st_of_reals(n)
        metric = Metric(
            name="c2st",
            scope="all",
            value=found.value,
            low=found.low,
            high=found.high,
            n=n,
            ceiling=real.ceiling,
            direction="lower",
        )
        replicates = []
        for r in range(context.replicates):
            reals_N = random_half(n, numpy_stream(context.seed, "holdout-half", r))
            fakes_N = random_half(n, numpy_stream(context.seed, "candidate-half", r))
            replicates.append(auc(scores.fakes_M[fakes_N], scores.reals_N[reals_N]))
        yield Measured(metric=metric, reals=real.draws, replicates=tuple(replicates))
