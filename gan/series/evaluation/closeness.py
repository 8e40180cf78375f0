"""Closeness of entities: coverage and density among random convolutional kernels, and copies.

Copies are sought step by step, under shifts: of an entity a stretch of steps near its beginning and
one near its end are held against every stretch of equal length of every real entity, as mean
squared difference of ranks. Long series are first taken together, some steps to a mean, so that
stretches stay short. The nearest real entity is one of train or an unseen one: how near counts by
what unseen real entities show (`gan.metrics.copies`).

Shapes: N real entities, M fakes, F features, S signals, W steps of a stretch, R stretches.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from gan.evaluation.neighbourhoods import coverage_ceiling, measure_coverage
from gan.evaluation.resampling import (
    Calibration,
    measure_copies,
)
from gan.metrics.copies import Hit, nominal_share
from gan.metrics.neighbours import smallest
from gan.randomness import numpy_stream
from gan.report import Measured
from gan.series.evaluation.aggregates import spread_over
from gan.series.evaluation.context import SeriesContext, Side
from gan.series.evaluation.features import KernelSpace

Array = np.ndarray[Any, Any]

NEIGHBOUR_ENTITIES = 2500
"""Most entities on each side of coverage."""
COPY_FAKES = 3000
"""Most synthetic entities that are looked at for copies."""
COPY_SIGNALS = 12
"""Most signals that are held against one another; of more, evenly spread ones."""
MOST_STRETCHES = 150_000
"""About so many stretches of real entities at most."""
CELLS = 64
"""A long entity is about so many means of neighbouring steps."""
STRETCH = 24
"""Most steps (or means of steps) of a stretch."""
RANK_SCALE = np.sqrt(6.0)
"""Two random ranks lie one apart, squared."""


class KernelCloseness:
    """Coverage and density of a candidate's entities, and what unseen real ones reach."""

    def __init__(self, context: SeriesContext, space: KernelSpace) -> None:
        """Place the real entities and measure what halves of them cover of each other."""
        self.context, self.space = context, space
        rows = np.arange(min(context.n, NEIGHBOUR_ENTITIES))
        self.holdout_NF = space.points(context.holdout, rows)
        validation_NF = space.points(context.validation, rows)
        points_PF = np.concatenate([self.holdout_NF, validation_NF])
        self.coverage = coverage_ceiling(points_PF, context.halves, context.seed)

    def measure(self, candidate: Side, sets: Sequence[Array]) -> Iterator[Measured]:
        """Yield `coverage` and `density`."""
        n, context = len(self.holdout_NF), self.context
        parts = [self.space.points(candidate, rows[:n]) for rows in sets]
        yield from measure_coverage(
            self.holdout_NF, parts, self.coverage, context.replicates, context.seed
        )


class Stretches(NamedTuple):
    """Stretches of some entities, and whose each is."""

    points_RF: Array
    owner_R: Array


class StretchSpace:
    """The map from entities to stretches of equal length, fixed on train."""

    def __init__(self, context: SeriesContext) -> None:
        """Choose signals, how many steps are taken together, and how long a stretch is."""
        self.signals = spread_over(len(context.signals.names), COPY_SIGNALS)
        lengths_N = context.train.observed.lengths_N
        self.together = max(1, int(np.median(lengths_N)) // CELLS)
        short = float(np.quantile(lengths_N, 0.1)) / self.together
        self.steps = int(np.clip(round(short / 2), 2, STRETCH))

    def every(self, side: Side, rows: Array) -> Stretches:
        """Return every stretch of some entities; one shorter than it, filled up."""
        found, owner = [], []
        for row in rows.tolist():
            cells_LS = self._cells(side, row)
            windows = np.lib.stride_tricks.sliding_window_view(cells_LS, self.steps, axis=0)
            found.append(windows.reshape(len(windows), -1))
            owner.append(np.full(len(windows), row))
        if not found:
            width = self.steps * len(self.signals)
            return Stretches(np.zeros((0, width)), np.zeros(0, dtype=np.int64))
        return Stretches(np.concatenate(found), np.concatenate(owner))

    def two(self, side: Side, rows: Array) -> Stretches:
        """Return a stretch near the beginning and one near the end of some entities."""
        found, owner = [], []
        for row in rows.tolist():
            cells_LS = self._cells(side, row)
            room = len(cells_LS) - self.steps
            for start in {room // 4, room - room // 4}:
                found.append(cells_LS[start : start + self.steps].T.ravel())
                owner.append(row)
        return Stretches(np.stack(found), np.array(owner))

    def _cells(self, side: Side, row: int) -> Array:
        """Return the ranks of an entity, some steps to a mean; float32 (L, S)."""
        observed = side.observed
        first, length = int(observed.first[row]), int(observed.lengths_N[row])
        ranks_LS = observed.ranks_TS[first : first + length][:, self.signals]
        ranks_LS = np.where(np.isnan(ranks_LS), 0.5, ranks_LS)
        whole = max(1, length // self.together)
        if self.together > 1 and length >= self.together:
            cut = ranks_LS[: whole * self.together]
            ranks_LS = cut.reshape(whole, self.together, -1).mean(axis=1)
        if len(ranks_LS) < self.steps:
            ranks_LS = np.pad(ranks_LS, ((0, self.steps - len(ranks_LS)), (0, 0)), mode="edge")
        scale = RANK_SCALE / np.sqrt(self.steps * len(self.signals))
        cells_LS: Array = (ranks_LS * scale).astype(np.float32)
        return cells_LS


class SeriesCopies:
    """Copies of training entities, under shifts, calibrated by unseen real ones."""

    def __init__(self, context: SeriesContext, stretches: int = MOST_STRETCHES) -> None:
        """Cut the real entities into stretches; see how near unseen ones come to train's.

        Args:
            context: the real entities.
            stretches: of train, about so many at most.
        """
        self.context, seed = context, context.seed
        self.space = StretchSpace(context)
        lengths_N = context.train.observed.lengths_N
        of_each = max(1.0, float(lengths_N.mean()) / self.space.together - self.space.steps + 1)
        most = max(100, int(stretches / of_each))
        self.trained = _some(context.train.entities, most, seed, "copies-train")
        self.train = self.space.every(context.train, self.trained)
        points, owners, distances = [self.train.points_RF], [self.train.owner_R], []
        start, share = context.train.entities, max(1, most // 2)
        for part, name in ((context.holdout, "holdout"), (context.validation, "validation")):
            rows = _some(part.entities, share, seed, f"copies-{name}")
            every = self.space.every(part, rows)
            points.append(every.points_RF)
            owners.append(every.owner_R + start)
            distances.append(self._distances(self.space.two(part, rows), part.entities))
            start += part.entities
        self.unseen_N = np.concatenate(distances)
        """Distance to train of unseen real entities."""
        self.reals_RF, self.owner_R = np.concatenate(points), np.concatenate(owners)
        present = np.bincount(self.owner_R, minlength=start) > 0
        self.number_P = np.cumsum(present) - 1
        self.trained_P = np.flatnonzero(present) < context.train.entities
        order = numpy_stream(seed, "copies-order").permutation(len(self.reals_RF))
        self.reals_RF, self.owner_R = self.reals_RF[order], self.owner_R[order]

    def measure(self, candidate: Side) -> Iterator[Measured]:
        """Yield `copies`; nothing where so few are unseen that none is the nominal share."""
        nominal = nominal_share(self.context.splits.holdout.num_rows)
        if len(self.unseen_N) * nominal < 1:
            return
        stretches = self._looked_at(candidate)
        distances_M = self._distances(stretches, candidate.entities)
        calibration = Calibration(
            unseen_N=self.unseen_N,
            nominal=nominal,
            replicates=self.context.replicates,
            seed=self.context.seed,
        )
        hits = self._hits(stretches)
        yield measure_copies(distances_M, hits, calibration, "all")

    def distances(self, side: Side) -> Array:
        """Return the distance to train of the entities that are looked at."""
        return self._distances(self._looked_at(side), side.entities)

    def _looked_at(self, side: Side) -> Stretches:
        rows = _some(side.entities, COPY_FAKES, self.context.seed, "copies-fakes")
        return self.space.two(side, rows)

    def _distances(self, stretches: Stretches, entities: int) -> Array:
        """Return the distance to train of every entity that has stretches."""
        found = smallest(stretches.points_RF, self.train.points_RF, 1).squared_NK[:, 0]
        best = np.full(entities, np.inf)
        np.minimum.at(best, stretches.owner_R, found)
        distances_N: Array = np.sqrt(best[np.isfinite(best)])
        return distances_N

    def _hits(self, stretches: Stretches) -> Hit:
        """Return the nearest real entity of every fake that has stretches."""
        found = smallest(stretches.points_RF, self.reals_RF, 1)
        squared_R, owner_R = found.squared_NK[:, 0], self.owner_R[found.index_NK[:, 0]]
        order = np.lexsort((squared_R, stretches.owner_R))
        first = np.unique(stretches.owner_R[order], return_index=True)[1]
        chosen = order[first]
        return Hit(np.sqrt(squared_R[chosen]), self.number_P[owner_R[chosen]], self.trained_P)


def _some(entities: int, most: int, seed: int, purpose: str) -> Array:
    """Return so many places, drawn at random where there are more, in their order."""
    if entities <= most:
        return np.arange(entities)
    return np.sort(numpy_stream(seed, purpose).permutation(entities)[:most])
