"""What distances between rows say: coverage, density, and whether training rows come back.

Shapes: N real rows, M fakes, F coordinates, P real rows of both sides, B resamples.

Rows of mixed columns as points, so that distances between rows mean something.

A number is its rank among train's, from 0 to √3, so that two random rows lie ½ apart (squared) on
average; two different levels, or a value and a null, lie 1 apart. That is Gower's idea (1971,
Biometrics 27, 857), every column with the same weight whatever its unit, with squared differences.

Shapes: N rows, F coordinates.

Which rows are equal in all judged columns.

Shapes: N rows, D columns.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gan.evaluation.resampling import Calibration, Real, compare_sets, measure_copies, summarise
from gan.metrics.closest import closest_share, nearer, nearest, owners, resampled_shares
from gan.metrics.copies import nominal_share, record_digests
from gan.metrics.distances import nearest_distances
from gan.metrics.intervals import random_half, spread_interval
from gan.metrics.pool import KINDS, make_pool, measure_neighbours
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
    some,
)

Array = np.ndarray[Any, Any]

MOST_LEVELS = 63
"""Levels with a coordinate of their own; the rest share one."""
RANK_SCALE = math.sqrt(3.0)
LEVEL_SCALE = math.sqrt(0.5)


@dataclass(frozen=True, kw_only=True, eq=False)
class Axis:
    """The coordinates of one column."""

    column: JudgedColumn
    sorted_values: Array
    """Train's numbers in order; empty for levels."""
    levels: Any
    nulls: bool
    """Whether train has any: then null is a level."""

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
        if not self.nulls:
            return (RANK_SCALE * ranks_N)[:, None]
        return np.column_stack([RANK_SCALE * ranks_N, null_N])

    def _ranks(self, numbers: Array) -> Array:
        """Return the share of train below, equal values counted half."""
        below = np.searchsorted(self.sorted_values, numbers, side="left")
        upto = np.searchsorted(self.sorted_values, numbers, side="right")
        ranks: Array = (below + upto) / (2 * max(len(self.sorted_values), 1))
        return ranks


@dataclass(frozen=True, kw_only=True, eq=False)
class Space:
    """The coordinates of all columns."""

    axes: tuple[Axis, ...]

    def points(self, records: pa.Table) -> Array:
        """Return `points_NF`, float64."""
        return np.concatenate([axis.points(records) for axis in self.axes], axis=1)


def fit_space(train: pa.Table, columns: Sequence[JudgedColumn]) -> Space:
    """Return the space of train's ranks and levels."""
    return Space(axes=tuple(_fit(train, column) for column in columns))


def _fit(train: pa.Table, column: JudgedColumn) -> Axis:
    values = train[column.name]
    if column.form == "levels":
        levels, _ = levels_by_count(values)
        kept = levels.slice(0, MOST_LEVELS)
        return Axis(column=column, sorted_values=np.zeros(0), levels=kept, nulls=True)
    numbers = as_numbers(values)
    known = np.sort(numbers[~np.isnan(numbers)])
    nulls = len(known) < len(numbers)
    return Axis(column=column, sorted_values=known, levels=pa.array([], pa.string()), nulls=nulls)


@dataclass(frozen=True, kw_only=True, eq=False)
class RowIdentity:
    """Tells equal rows by digests."""

    values: Mapping[str, Any]
    """Column → its distinct real values, null among them."""

    def digests(self, records: pa.Table) -> list[bytes]:
        """Return a digest of every row; a value that no real row has makes it equal to none."""
        columns = [
            pc.fill_null(
                pc.index_in(plain(records[name]), value_set=known, skip_nulls=False), -1
            ).to_numpy(zero_copy_only=False)
            for name, known in self.values.items()
        ]
        return record_digests(np.stack(columns, axis=1).astype(np.int32))


def fit_identity(splits: Sequence[pa.Table], columns: Sequence[JudgedColumn]) -> RowIdentity:
    """Return what tells equal rows of all splits."""
    return RowIdentity(
        values={
            column.name: pc.unique(pa.concat_arrays([plain(part[column.name]) for part in splits]))
            for column in columns
        }
    )


def repeated(digests: Sequence[bytes]) -> int:
    """Return how many rows have an equal one among them."""
    return sum(count for count in Counter(digests).values() if count > 1)


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
"""Rows of both sides from which the share is judged; with fewer, calibrated copies are."""
COPY_ROWS = 50_000
"""Most training rows among which near copies are sought."""
DRAWS = 200


@dataclass(frozen=True, kw_only=True, eq=False)
class Closeness:
    """The real side of these metrics."""

    space: Space
    identity: RowIdentity
    train_digests: frozenset[bytes]
    holdout_NF: Array
    """At most NEIGHBOUR_ROWS of it."""
    coverage: Real
    train_PF: Array
    """As many distinct rows of train as of the holdout."""
    distinct_PF: Array
    """Distinct rows of the holdout."""
    copied_NF: Array
    """Rows of train among which near copies are sought."""
    unseen_N: Array
    """Distance to them of every unseen row that equals none of train."""
    holdout_rows: int
    replicates: int
    seed: int

    def measure(self, candidate: pa.Table, sets: Sequence[Array]) -> Iterator[Measured]:
        """Yield `coverage`, `density`, `dcr_share`, and `copies` where rows are too few for it."""
        fakes_MF = self.space.points(candidate)
        yield from self._neighbours(fakes_MF, sets)
        share = self._dcr_share(fakes_MF)
        yield share
        if share.metric.ceiling is None:
            yield from self._copies(candidate, fakes_MF)

    def _neighbours(self, fakes_MF: Array, sets: Sequence[Array]) -> Iterator[Measured]:
        n = len(self.holdout_NF)
        parts = [fakes_MF[rows[:n]] for rows in sets]
        trial = compare_sets(self.holdout_NF, parts, measure_neighbours, self.replicates, self.seed)
        for name, value in trial.points.items():
            kind, replicates = KINDS[name], trial.replicates[name]
            low, high = spread_interval(value, replicates, kind.lower, kind.upper)
            judged = name == "coverage"
            metric = Metric(
                name=name,
                scope="all",
                value=value,
                low=low,
                high=high,
                n=trial.n,
                ceiling=self.coverage.ceiling if judged else None,
                direction=kind.direction,
            )
            reals = self.coverage.draws if judged else ()
            yield Measured(metric=metric, reals=reals, replicates=replicates)

    def _dcr_share(self, fakes_MF: Array) -> Measured:
        """Return the share of fakes that are nearer to train, judged only with enough rows.

        Of real rows it is one half, with the spread that so many effective rows have.
        """
        rows = len(self.train_PF)
        to_train, to_holdout = nearest(fakes_MF, self.train_PF), nearest(fakes_MF, self.distinct_PF)
        hits_M, owners_M = nearer(to_train, to_holdout), owners(to_train, to_holdout, rows)
        found = closest_share(hits_M, owners_M, 2 * rows)
        weights_BP = np.zeros((self.replicates, 2 * rows))
        for r in range(self.replicates):
            chosen = random_half(2 * rows, numpy_stream(self.seed, "closest-half", r))
            weights_BP[r, chosen] = 1.0
        again_B = np.nan_to_num(resampled_shares(hits_M, owners_M, weights_BP), nan=found.share)
        spread = 0.5 / np.sqrt(found.effective)
        draws = normal_draws(0.5, float(spread))
        n = min(rows, len(fakes_MF))
        ceiling = summarise(draws, value=0.5).ceiling
        metric = Metric(
            name="dcr_share",
            scope="all",
            value=found.share,
            low=found.low,
            high=found.high,
            n=n,
            ceiling=ceiling if n >= LEAST_CLOSEST else None,
            direction="lower",
        )
        return Measured(metric=metric, reals=tuple(draws), replicates=tuple(again_B.tolist()))

    def _copies(self, candidate: pa.Table, fakes_MF: Array) -> Iterator[Measured]:
        """Yield near copies; rows that equal one of train are judged as exact copies.

        Nothing where so few unseen rows differ from train's that none is the nominal share.
        """
        exact = _known(self.identity.digests(candidate), self.train_digests)
        nominal = nominal_share(self.holdout_rows)
        if exact.all() or len(self.unseen_N) * nominal < 1:
            return
        calibration = Calibration(
            unseen_N=self.unseen_N,
            nominal=nominal,
            replicates=self.replicates,
            seed=self.seed,
        )
        distances_M = nearest_distances(fakes_MF[~exact], self.copied_NF)
        yield measure_copies(distances_M, calibration, "all")


def build_closeness(context: EvaluationContext, identity: RowIdentity) -> Closeness:
    """Place the real rows and measure what unseen ones reach."""
    splits, seed = context.splits, context.seed
    space = fit_space(splits.train, context.columns)
    n = min(context.n, NEIGHBOUR_ROWS)
    sides = (context.holdout, context.validation)
    near, other = (space.points(some(part, n, seed, "neighbours")) for part in sides)
    train_PF, distinct_PF = _distinct(context, identity, space)
    copied_NF = space.points(some(splits.train, COPY_ROWS, seed, "copies"))
    digests = frozenset(identity.digests(splits.train))
    return Closeness(
        space=space,
        identity=identity,
        train_digests=digests,
        holdout_NF=near,
        coverage=_coverage_ceiling(np.concatenate([near, other]), context),
        train_PF=train_PF,
        distinct_PF=distinct_PF,
        copied_NF=copied_NF,
        unseen_N=_unseen_distances(context, identity, digests, space, copied_NF)
        if len(train_PF) < LEAST_CLOSEST
        else np.zeros(0),
        holdout_rows=splits.holdout.num_rows,
        replicates=context.replicates,
        seed=seed,
    )


def normal_draws(mean: float, spread: float) -> list[float]:
    """Return evenly spaced quantiles of a normal distribution, as draws of real data."""
    normal = NormalDist(mean, max(spread, 1e-12))
    return [normal.inv_cdf((i + 0.5) / DRAWS) for i in range(DRAWS)]


def _coverage_ceiling(points_PF: Array, context: EvaluationContext) -> Real:
    pool = make_pool(points_PF)
    n = len(points_PF) // 2
    rng = numpy_stream(context.seed, "ceiling-neighbours")
    draws = []
    for _ in range(context.halves):
        order = rng.permutation(2 * n)
        draws.append(measure_neighbours(pool, order[:n], order[n:])["coverage"])
    return summarise(draws)


def _distinct(
    context: EvaluationContext, identity: RowIdentity, space: Space
) -> tuple[Array, Array]:
    """Return equally many distinct rows of train and of the holdout.

    A row that repeats lies on one side with all its copies: counted once, every content has the
    same chance to be on either side.
    """
    found = []
    for name in ("train", "holdout"):
        records = getattr(context.splits, name)
        first = first_of_each(identity.digests(records))
        order = numpy_stream(context.seed, f"closest-{name}").permutation(first)
        found.append((records, order))
    rows = min(CLOSEST_ROWS, *(len(order) for _, order in found))
    train, holdout = (
        space.points(records.take(pa.array(np.sort(order[:rows])))) for records, order in found
    )
    return train, holdout


def _unseen_distances(
    context: EvaluationContext,
    identity: RowIdentity,
    train_digests: frozenset[bytes],
    space: Space,
    train_NF: Array,
) -> Array:
    parts = []
    for records in (context.splits.holdout, context.splits.validation):
        rows = some(records, context.options.cap, context.seed, "unseen")
        fresh = ~_known(identity.digests(rows), train_digests)
        parts.append(nearest_distances(space.points(rows)[fresh], train_NF))
    return np.concatenate(parts)


def _known(digests: Sequence[bytes], known: frozenset[bytes]) -> Array:
    return np.array([digest in known for digest in digests], dtype=bool)
