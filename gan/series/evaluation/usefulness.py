"""What forecasts lose that learn from synthetic instead of real entities (TSTR against TRTR).

Train on synthetic, test on real: Esteban et al. 2017 (arXiv:1706.02633), section 4.2. Trees
forecast the next step (see `forecasting`); their mean absolute error is given in that of the
seasonal naive forecast on the same steps. Both learn from equally many entities and are tested on
the same holdout; the interval is a paired bootstrap of its entities.

Shapes: N entities of the holdout, B resamples.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from gan.evaluation.resampling import summarise
from gan.metrics.intervals import LEVELS
from gan.randomness import numpy_stream
from gan.report import Ceiling, Measured, Metric
from gan.series.evaluation.context import SeriesContext, Side
from gan.series.evaluation.forecasting import (
    Forecasting,
    absolute_errors,
    entity_means,
    learn_forecast,
)
from gan.tables.evaluation.rows import some
from gan.tables.evaluation.usefulness import Features, fit_features

Array = np.ndarray[Any, Any]

TARGETS = 3
"""Most variables that are forecast."""
LEARNED_ENTITIES = 2000
"""Most entities that a forecast learns from."""
BOOTSTRAPS = 200
FEWEST_STEPS = 40
"""Fewer steps to learn from or to score are no forecast."""
LEAST_NAIVE = 1e-9


class ForecastScore(NamedTuple):
    """A mean absolute error over that of the naive forecast, and the same of resamples."""

    point: float
    again_B: Array


class ForecastTask:
    """One variable to forecast, with what real entities teach about it."""

    def __init__(self, context: SeriesContext, forecasting: Forecasting, reals: Side) -> None:
        """Learn from real entities and from their halves.

        Args:
            context: the real entities.
            forecasting: of one variable.
            reals: those to learn from.
        """
        self.forecasting, self.seed = forecasting, context.seed
        self.test = forecasting.rows(context.holdout, context.seed)
        n = context.n
        naive_R = np.abs(self.test.naive_R - self.test.next_R)
        rng = numpy_stream(context.seed, "tstr-bootstrap")
        again = [np.bincount(rng.integers(n, size=n), minlength=n) for _ in range(BOOTSTRAPS)]
        self.weights_BN = np.stack([np.ones(n), *again])
        """The first row is the holdout itself, the others are its resamples."""
        self.present_N = np.bincount(self.test.entity_R, minlength=n) > 0
        self.naive_B = self.weights_BN @ entity_means(naive_R, self.test.entity_R, n)
        self.is_known = len(self.test.next_R) >= FEWEST_STEPS and self.naive_B[0] > LEAST_NAIVE
        if not self.is_known:
            return
        order = numpy_stream(context.seed, "tstr-halves").permutation(reals.entities)
        half = reals.entities // 2
        one, two = (
            self.learn(context.side(reals.records.take(np.sort(part))))
            for part in (order[:half], order[half : 2 * half])
        )
        self.real = self.learn(reals)
        self.is_known = self.real is not None and one is not None and two is not None
        if one is not None and two is not None:
            differences_B = one.again_B / two.again_B - 1.0
            self.noise_B = differences_B - differences_B.mean()
            """Loss between models that learned from the two halves of these entities, about its
            mean: what the holdout and its size make of models that are equally good."""

    def learn(self, side: Side) -> ForecastScore | None:
        """Return the error of a forecast that learned from these; None from too few steps."""
        rows = self.forecasting.rows(side, self.seed)
        if len(rows.next_R) < FEWEST_STEPS:
            return None
        errors_R = absolute_errors(learn_forecast(rows), self.test)
        means_N = entity_means(errors_R, self.test.entity_R, self.weights_BN.shape[1])
        found_B = (self.weights_BN @ means_N) / np.maximum(self.naive_B, LEAST_NAIVE)
        return ForecastScore(float(found_B[0]), found_B[1:])


class ForecastLoss:
    """What forecasts lose when they learn from a candidate's entities."""

    def __init__(self, context: SeriesContext) -> None:
        """Learn from real entities what synthetic ones will be measured by."""
        self.context = context
        self.entities = entities_to_learn(context)
        self.reals = context.side(
            some(context.splits.train, self.entities, context.seed, "tstr-train")
        )
        statics: Features | None = None
        if context.judged.statics:
            statics = fit_features(context.train.statics, context.judged.statics)
        tasks = [
            ForecastTask(
                context,
                Forecasting(
                    signals=context.signals,
                    calendar=context.calendar,
                    statics=statics,
                    target=target,
                ),
                self.reals,
            )
            for target in forecast_targets(context)
        ]
        self.tasks = tuple(task for task in tasks if task.is_known)
        self.names = tuple(task.forecasting.name for task in self.tasks)

    def measure(self, candidate: Side) -> Iterator[Measured]:
        """Yield `trtr`, `tstr` and `tstr_gap`; nothing where no number can be forecast."""
        if not self.tasks:
            return
        order = numpy_stream(self.context.seed, "tstr-entities").permutation(candidate.entities)
        rows = np.sort(order[: self.entities])
        side = self.context.side(candidate.records.take(rows))
        learned = [task.learn(side) or _useless() for task in self.tasks]
        reals = [self._real(task, len(rows)) or _useless() for task in self.tasks]
        scope, real, fake = "+".join(self.names), _mean(reals), _mean(learned)
        yield self._quality("trtr", scope, real)
        yield self._quality("tstr", scope, fake)
        gap = fake.point / real.point - 1.0
        gaps_B = fake.again_B / real.again_B - 1.0
        noise_B = np.mean([task.noise_B for task in self.tasks], axis=0)
        low, high = _around(gap, gaps_B)
        ceiling = summarise(noise_B.tolist(), value=0.0).ceiling
        upper = float(np.quantile(noise_B, LEVELS[1]))
        metric = Metric(
            name="tstr_gap",
            scope=scope,
            value=gap,
            low=low,
            high=high,
            n=self.context.n,
            ceiling=Ceiling(value=0.0, low=ceiling.low, high=ceiling.high),
            direction="lower",
        )
        yield Measured(
            metric=metric,
            reals=tuple((noise_B + upper).tolist()),
            replicates=tuple(gaps_B.tolist()),
        )

    def _real(self, task: ForecastTask, entities: int) -> ForecastScore | None:
        """Return what as many real entities teach, where a candidate has fewer than train."""
        if entities >= self.reals.entities:
            return task.real
        fewer = some(self.reals.records, entities, self.context.seed, "tstr-fewer")
        return task.learn(self.context.side(fewer))

    def _quality(self, name: str, scope: str, score: ForecastScore) -> Measured:
        low, high = _around(score.point, score.again_B)
        metric = Metric(
            name=name,
            scope=scope,
            value=score.point,
            low=low,
            high=high,
            n=self.context.n,
            direction="lower",
        )
        return Measured(metric=metric)


def forecast_targets(context: SeriesContext) -> tuple[int, ...]:
    """Return the places of the variables that are forecast: numbers, the first ones."""
    numbers = [
        place
        for place, one in enumerate(context.variables)
        if one.ranks is not None and not one.is_gap
    ]
    return tuple(numbers[:TARGETS])


def entities_to_learn(context: SeriesContext) -> int:
    """Return how many entities a forecast learns from at most."""
    return min(LEARNED_ENTITIES, context.train.entities, int(context.splits.train.num_rows))


def _useless() -> ForecastScore:
    """Return the error of a forecast that learned nothing: twice the naive one."""
    return ForecastScore(2.0, np.full(BOOTSTRAPS, 2.0))


def _mean(parts: list[ForecastScore]) -> ForecastScore:
    """Return the mean over variables."""
    return ForecastScore(
        float(np.mean([part.point for part in parts])),
        np.mean([part.again_B for part in parts], axis=0),
    )


def _around(point: float, again_B: Array) -> tuple[float, float]:
    """Return the point plus the spread of its resamples."""
    low, high = np.quantile(again_B - again_B.mean(), LEVELS)
    return min(point, point + float(low)), max(point, point + float(high))
