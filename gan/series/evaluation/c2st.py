"""Whether a classifier tells a candidate's entities from real ones (C2ST), and by what.

Lopez-Paz & Oquab 2017 (arXiv:1610.06545), as the area under the ROC curve of out-of-fold scores.
Two classifiers look: a linear one on random convolutional kernels (`gan.metrics.kernels`), which
sees shapes, and trees on plain statistics of every entity, which can say what gives a candidate
away. The worse decides.

Real data as the candidate reaches one half, with the spread of the area between two samples of one
distribution (`gan.metrics.auc.null_spread`) times `TRAINING_NOISE`, which was measured: classifiers
of several folds have their own errors.

Shapes: N reals, M fakes, F features.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from gan.evaluation.clues import told_by
from gan.evaluation.resampling import Real, summarise
from gan.metrics.auc import auc, delong, null_spread
from gan.metrics.intervals import Z_95, normal_draws, random_half
from gan.metrics.ridge import ridge_scores
from gan.metrics.trees import FOLDS, Scores, small_tree_scores
from gan.randomness import numpy_stream
from gan.report import Measured, Metric
from gan.series.evaluation.context import SeriesContext, Side
from gan.series.evaluation.features import KernelSpace
from gan.series.evaluation.statistics import VAGUE, Statistics

Array = np.ndarray[Any, Any]

C2ST_ENTITIES = 2000
"""Most entities of each side that each classifier sees."""
TRAINING_NOISE = 1.4
"""Spread of the area over real halves, as a multiple of that of fixed scores."""


class TwoSampleTests:
    """Both classifiers' view of the holdout, and what they make of a candidate."""

    def __init__(self, context: SeriesContext, space: KernelSpace) -> None:
        """Keep the holdout's features."""
        self.context, self.space = context, space
        self.statistics = Statistics(context)
        self.n = min(context.n, C2ST_ENTITIES)
        rows = np.arange(self.n)
        self.kernels_NF = space.raw(context.holdout, rows)
        self.statistics_NF = self.statistics.of(context.holdout)[: self.n]

    def measure(self, candidate: Side, sets: Sequence[Array]) -> Iterator[Measured]:
        """Yield `c2st` of the kernels and of the statistics, of as many fakes as reals."""
        rows = sets[0][: self.n]
        seed = self.context.seed
        kernels_MF = self.space.raw(candidate, rows)
        rng = numpy_stream(seed, "c2st-folds")
        yield self._measured("kernels", ridge_scores(self.kernels_NF, kernels_MF, rng), "")
        statistics_MF = self.statistics.of(candidate)[rows]
        scores = small_tree_scores(
            self.statistics_NF,
            statistics_MF,
            numpy_stream(seed, "c2st-folds"),
            FOLDS,
            self.statistics.is_levels,
        )
        plain = np.flatnonzero(~self.statistics.is_levels)
        names = [self.statistics.all_names[place] for place in plain.tolist()]
        because = told_by(
            names,
            np.nan_to_num(self.statistics_NF[:, plain]),
            np.nan_to_num(statistics_MF[:, plain]),
            meanings={},
            vague=VAGUE,
        )
        yield self._measured("statistics", scores, because)

    def _measured(self, scope: str, scores: Scores, because: str) -> Measured:
        """Return the area of some scores beside what real entities reach."""
        found = delong(scores.fakes_M, scores.reals_N)
        n, m, seed = len(scores.reals_N), len(scores.fakes_M), self.context.seed
        real = c2st_of_reals(min(n, m))
        metric = Metric(
            name="c2st",
            scope=scope,
            value=found.value,
            low=found.low,
            high=found.high,
            n=min(n, m),
            ceiling=real.ceiling,
            direction="lower",
        )
        again = []
        for r in range(self.context.replicates):
            reals_N = random_half(n, numpy_stream(seed, "holdout-half", r))
            fakes_M = random_half(m, numpy_stream(seed, "candidate-half", r))
            again.append(auc(scores.fakes_M[fakes_M], scores.reals_N[reals_N]))
        return Measured(metric=metric, reals=real.draws, replicates=tuple(again), because=because)


def c2st_of_reals(n: int) -> Real:
    """Return the ceiling of n entities a side, and the upper ends that real ones reach."""
    spread = null_spread(n, n) * TRAINING_NOISE
    draws = normal_draws(0.5, spread)
    upper = Z_95 * null_spread(n, n)
    return Real(summarise(draws, value=0.5).ceiling, tuple(draw + upper for draw in draws))
