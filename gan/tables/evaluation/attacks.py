"""What an attacker can tell apart: synthetic and real rows, training rows and unseen ones."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from gan.evaluation.resampling import summarise
from gan.metrics.auc import auc, delong, null_spread
from gan.metrics.intervals import Z_95, random_half
from gan.metrics.trees import out_of_fold_scores
from gan.modalities import Likelihood
from gan.randomness import numpy_stream
from gan.report import Measured, Metric
from gan.tables.evaluation.closeness import normal_draws
from gan.tables.evaluation.columns import EvaluationContext, some
from gan.tables.evaluation.usefulness import Features

Array = np.ndarray[Any, Any]

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
        spread = null_spread(n, n)
        draws = normal_draws(0.5, spread)
        metric = Metric(
            name="c2st",
            scope="all",
            value=found.value,
            low=found.low,
            high=found.high,
            n=n,
            ceiling=summarise(draws, value=0.5).ceiling,
            direction="lower",
        )
        replicates = []
        for r in range(context.replicates):
            reals_N = random_half(n, numpy_stream(context.seed, "holdout-half", r))
            fakes_N = random_half(n, numpy_stream(context.seed, "candidate-half", r))
            replicates.append(auc(scores.fakes_M[fakes_N], scores.reals_N[reals_N]))
        upper_ends = tuple(draw + Z_95 * spread for draw in draws)
        yield Measured(metric=metric, reals=upper_ends, replicates=tuple(replicates))

    def membership(self, log_likelihood: Likelihood | None) -> Measured | None:
        """Return how well the generator's likelihood tells training rows from unseen ones.

        The loss attack of Yeom et al. 2018 (arXiv:1709.01604, section 3.2) at every threshold:
        the area under its ROC curve. None for a generator that has no likelihood.
        """
        if log_likelihood is None:
            return None
        train = some(self.context.splits.train, self.context.n, self.context.seed, "membership")
        inside, outside = log_likelihood(train), log_likelihood(self.context.holdout)
        if inside is None or outside is None:
            return None
        found = delong(inside, outside)
        metric = Metric(
            name="membership",
            scope="all",
            value=found.value,
            low=found.low,
            high=found.high,
            n=len(outside),
            direction="lower",
        )
        return Measured(metric=metric)
