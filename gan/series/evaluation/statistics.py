"""Plain statistics of single entities: what gives a series away before anyone looks at its shape.

Level, spread, steps, autocorrelation, repeats, zeros, rises, drift, how it goes with the calendar
and with other variables, length, start, static columns; no kernel, no network. Each has a name for
people, under which a report says what gave a candidate away.

Shapes: N entities, T steps of all of them, S signals, F statistics.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from gan.series.evaluation.aggregates import (
    Profiles,
    chosen_signals,
    lags_of,
    ratio,
    spread_over,
)
from gan.series.evaluation.calendar import DAY_US
from gan.series.evaluation.context import SeriesContext, Side
from gan.series.evaluation.signals import Observed
from gan.tables.evaluation.usefulness import Features, fit_features

Array = np.ndarray[Any, Any]
Named = tuple[str, Array]

MOST_STATISTICS = 30
"""Most signals that have all statistics; of more, evenly spread ones."""
MOST_PAIRS = 15
"""Pairs of signals whose correlation is a statistic."""
LENGTH, START = "length", "start"
VAGUE = frozenset({LENGTH, START})
"""What another metric says better."""


class Statistics:
    """The statistics of entities, with names fixed on train."""

    def __init__(self, context: SeriesContext) -> None:
        """Choose signals, pairs and profiles.

        Args:
            context: the real entities.
        """
        self.context, signals = context, chosen_signals(context)
        self.signals = signals[spread_over(len(signals), MOST_STATISTICS)]
        owners = context.signals.owner[self.signals]
        first, second = np.triu_indices(len(self.signals), 1)
        apart = np.flatnonzero(owners[first] != owners[second])
        kept = apart[spread_over(len(apart), MOST_PAIRS)]
        self.pairs = list(zip(first[kept].tolist(), second[kept].tolist(), strict=True))
        self.lags = lags_of(context)
        self.profiles = Profiles(context)
        train_K = self.profiles.sums(context.train).sum(axis=0) if self.profiles.periods else None
        self.shapes = (
            []
            if train_K is None
            else [profile_SC for profile_SC, _ in self.profiles.profiles(train_K)]
        )
        self.statics: Features | None = None
        if context.judged.statics:
            self.statics = fit_features(context.train.statics, context.judged.statics)
        self.names = tuple(name for name, _ in self._of(context.train.observed))
        """Of all but the static columns."""

    @property
    def all_names(self) -> tuple[str, ...]:
        """What every statistic is about, for people."""
        return (*self.names, *(one.name for one in self.context.judged.statics))

    @property
    def is_levels(self) -> Array:
        """Which statistics are levels; bool (F,)."""
        own = np.zeros(len(self.names), dtype=bool)
        return own if self.statics is None else np.concatenate([own, self.statics.is_levels])

    def of(self, side: Side) -> Array:
        """Return `statistics_NF`, float64; NaN for a static column's null."""
        parts = [values_N for _, values_N in self._of(side.observed)]
        own_NF = np.stack(parts, axis=1)
        if self.statics is None:
            return own_NF
        return np.concatenate([own_NF, self.statics.of(side.statics)], axis=1)

    def _of(self, observed: Observed) -> Iterator[Named]:
        """Yield every statistic that is not a static column."""
        names = [self.context.signals.names[s] for s in self.signals]
        lengths_N1 = observed.lengths_N[:, None].astype(np.float64)
        values_TS = observed.filled[:, self.signals].astype(np.float64)
        mean_NS = observed.sums(values_TS) / lengths_N1
        away_TS = values_TS - mean_NS[observed.entity]
        square_NS = observed.sums(away_TS * away_TS) / lengths_N1
        for kind, found_NS in (
            ("level", mean_NS),
            ("spread", np.sqrt(square_NS)),
            ("skew", ratio(observed.sums(away_TS**3) / lengths_N1, square_NS**1.5 + 1e-3)),
            *self._in_time(observed, values_TS, away_TS, square_NS),
            *self._by_calendar(observed, away_TS, square_NS),
        ):
            for s, name in enumerate(names):
                yield f"{kind} of {name}", found_NS[:, s]
        yield from self._of_variables(observed)
        for a, b in self.pairs:
            product_N = observed.sums((away_TS[:, a] * away_TS[:, b])[:, None])[:, 0]
            norm_N = np.sqrt(square_NS[:, a] * square_NS[:, b]) * observed.lengths_N
            yield f"correlation of {names[a]} and {names[b]}", ratio(product_N, norm_N)
        yield LENGTH, observed.lengths_N.astype(np.float64)
        first_N = observed.moments.wall_T[observed.first].astype(np.float64)
        yield START, first_N / (DAY_US if observed.moments.is_calendar else 1.0)

    def _in_time(
        self, observed: Observed, values_TS: Array, away_TS: Array, square_NS: Array
    ) -> Iterator[Named]:
        """Yield what depends on the order of the steps."""
        for lag in self.lags:
            product_TS = np.zeros(away_TS.shape)
            if lag < len(away_TS):
                inside_T1 = (observed.place[lag:] >= lag)[:, None]
                product_TS[lag:] = away_TS[lag:] * away_TS[:-lag] * inside_T1
            pairs_N1 = np.maximum(observed.lengths_N - lag, 1)[:, None]
            yield "autocorrelation", ratio(observed.sums(product_TS) / pairs_N1, square_NS)
        steps_TS = np.zeros(values_TS.shape)
        steps_TS[1:] = np.diff(values_TS, axis=0) * (observed.place[1:] > 0)[:, None]
        chances_N1 = np.maximum(observed.lengths_N - 1, 1)[:, None]
        yield "steps", observed.sums(np.abs(steps_TS)) / chances_N1
        changes_NS = observed.sums((steps_TS != 0).astype(np.float64))
        rises_NS = observed.sums((steps_TS > 0).astype(np.float64))
        yield "share of rises", (rises_NS + 1) / (changes_NS + 2)
        largest_NS = np.maximum.reduceat(steps_TS, observed.first, axis=0)
        smallest_NS = np.minimum.reduceat(steps_TS, observed.first, axis=0)
        yield "largest rise", largest_NS
        yield "largest fall", smallest_NS
        last = observed.first + observed.lengths_N - 1
        yield "drift", values_TS[last] - values_TS[observed.first]
        late_T1 = (2 * observed.place >= observed.lengths_N[observed.entity])[:, None]
        count_N1 = np.maximum(observed.sums(late_T1.astype(np.float64)), 1.0)
        yield "drift", observed.sums(away_TS * late_T1) / count_N1
        late_square_NS = observed.sums(away_TS * away_TS * late_T1) / count_N1
        yield "spread in the second half", np.sqrt(late_square_NS) - np.sqrt(square_NS)

    def _by_calendar(self, observed: Observed, away_TS: Array, square_NS: Array) -> Iterator[Named]:
        """Yield how much every entity goes with train's profile over each period."""
        places = np.searchsorted(self.profiles.signals, self.signals)
        for name, shape_SC in zip(self.profiles.periods, self.shapes, strict=True):
            own_SC = shape_SC[places]
            phases_T = np.minimum(observed.moments.phases(name), own_SC.shape[1] - 1)
            along_NS = observed.sums(away_TS * own_SC[:, phases_T].T)
            norm_NS = np.sqrt(square_NS) * observed.lengths_N[:, None]
            norm_NS = norm_NS * np.sqrt((own_SC * own_SC).mean(axis=1))
            yield name, ratio(along_NS, norm_NS)

    def _of_variables(self, observed: Observed) -> Iterator[Named]:
        """Yield shares of steps that stay, that are 0, and how many values differ."""
        lengths_N, values_TV = observed.lengths_N, observed.values_TV
        for v, variable in enumerate(self.context.variables):
            values_T = values_TV[:, v]
            stays_T = np.zeros(len(values_T))
            stays_T[1:] = (values_T[1:] == values_T[:-1]) & (observed.place[1:] > 0)
            stays_N = observed.sums(stays_T[:, None])[:, 0]
            yield f"repeats of {variable.name}", stays_N / np.maximum(lengths_N - 1, 1)
            if variable.has_nulls:
                null_T1 = np.isnan(values_T)[:, None].astype(np.float64)
                yield f"nulls of {variable.name}", observed.sums(null_T1)[:, 0] / lengths_N
            if variable.ranks is None:
                continue
            zero_T1 = (values_T == 0)[:, None].astype(np.float64)
            yield f"zeros of {variable.name}", observed.sums(zero_T1)[:, 0] / lengths_N
            yield f"different values of {variable.name}", _distinct(observed, values_T) / lengths_N


def _distinct(observed: Observed, values_T: Array) -> Array:
    """Return how many different values every entity has; (N,)."""
    order = np.lexsort((values_T, observed.entity))
    ordered, owner = values_T[order], observed.entity[order]
    new_T = np.ones(len(ordered), dtype=bool)
    new_T[1:] = (ordered[1:] != ordered[:-1]) | (owner[1:] != owner[:-1])
    return np.bincount(owner[new_T], minlength=len(observed.lengths_N)).astype(np.float64)
