"""One-step forecasts of a variable: what is known at a step, and what comes next.

At a step of an entity a model sees, of every signal, the last values, the value a season before the
next step and means over the last season and over all steps so far; the phases of the next step in
the calendar; and the static columns. It predicts how far the next value lies from the last one, in
the scale of `gan.series.evaluation.signals`: the inverse hyperbolic sine of the distance from
train's median in its robust spread.

The seasonal naive forecast is the value a season before (Hyndman & Athanasopoulos 2021,
Forecasting: Principles and Practice, section 5.2), the last one where there is no season.

Shapes: N entities, T steps of all of them, S signals, R steps that are forecast from, F features.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from gan.randomness import numpy_stream
from gan.series.evaluation.aggregates import ratio, spread_over
from gan.series.evaluation.calendar import Calendar
from gan.series.evaluation.context import Side
from gan.series.evaluation.signals import Observed, SignalMap
from gan.tables.evaluation.usefulness import Features

Array = np.ndarray[Any, Any]

SIGNALS = 12
"""Most signals that a forecast is made from, the target among them."""
LAST = 3
"""Last values of every signal."""
ORIGINS = 8
"""Most steps of an entity that are forecast from, at random."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ForecastRows:
    """Steps that are forecast from."""

    features_RF: Array
    last_R: Array
    """The target's last value, scaled."""
    naive_R: Array
    """The seasonal naive forecast, scaled."""
    next_R: Array
    """What comes, scaled."""
    entity_R: Array

    def of(self, chosen: Array) -> "ForecastRows":
        """Return some of them."""
        return ForecastRows(
            features_RF=self.features_RF[chosen],
            last_R=self.last_R[chosen],
            naive_R=self.naive_R[chosen],
            next_R=self.next_R[chosen],
            entity_R=self.entity_R[chosen],
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Forecasting:
    """The map from entities to what is known of their next steps."""

    signals: SignalMap
    calendar: Calendar
    statics: Features | None
    target: int
    """The place of the variable among the signals' variables."""

    @property
    def name(self) -> str:
        """The variable that is forecast."""
        return self.signals.variables[self.target].name

    @property
    def target_signal(self) -> int:
        """The first signal of the target."""
        return int(np.flatnonzero(self.signals.owner == self.target)[0])

    def rows(self, side: Side, seed: int, *, last_only: bool = False) -> ForecastRows:
        """Return steps of entities to forecast from, in order.

        Args:
            side: the entities.
            seed: which of their steps.
            last_only: of each the last step that another one follows, for one row per entity.
        """
        observed, s = side.observed, self.target_signal
        known_T = ~np.isnan(observed.scaled_TS[:, s])
        follows_T = np.zeros(len(known_T), dtype=bool)
        follows_T[:-1] = (observed.entity[1:] == observed.entity[:-1]) & known_T[1:]
        chosen_R = _origins(
            observed, follows_T, seed, 1 if last_only else ORIGINS, last_only=last_only
        )
        values_TS = observed.filled.astype(np.float64)
        season, target_T = self.calendar.season, values_TS[:, s]
        before_R = chosen_R + 1 - season
        inside_R = observed.place[chosen_R] + 1 >= season
        return ForecastRows(
            features_RF=self._features(side, values_TS, chosen_R),
            last_R=target_T[chosen_R],
            naive_R=np.where(inside_R, target_T[np.maximum(before_R, 0)], target_T[chosen_R]),
            next_R=target_T[chosen_R + 1],
            entity_R=observed.entity[chosen_R],
        )

    def _features(self, side: Side, values_TS: Array, chosen_R: Array) -> Array:
        observed, count = side.observed, values_TS.shape[1]
        others = spread_over(count, SIGNALS)
        others = np.unique(np.concatenate([[self.target_signal], others]))
        values_TS = values_TS[:, others]
        place_R = observed.place[chosen_R]
        sums_TS = np.concatenate([np.zeros((1, len(others))), np.cumsum(values_TS, axis=0)])
        parts = [_at(values_TS, chosen_R, place_R, back) for back in range(LAST)]
        season = self.calendar.season
        if season > LAST:
            parts.append(_at(values_TS, chosen_R, place_R, season - 1))
        width = season if season > 1 else LAST + 1
        for steps_R in (np.minimum(place_R + 1, width), place_R + 1):
            means_RS = (sums_TS[chosen_R + 1] - sums_TS[chosen_R + 1 - steps_R]) / steps_R[:, None]
            parts.append(means_RS)
        parts.append(place_R[:, None].astype(np.float64))
        next_R = chosen_R + 1
        parts += [
            observed.moments.phases(name)[next_R][:, None].astype(np.float64)
            for name in self.calendar.periods
        ]
        if self.statics is not None:
            parts.append(self.statics.of(side.statics)[observed.entity[chosen_R]])
        return np.concatenate(parts, axis=1)


def _at(values_TS: Array, chosen_R: Array, place_R: Array, back: int) -> Array:
    """Return the values so many steps before, NaN before the first."""
    found: Array = values_TS[np.maximum(chosen_R - back, 0)]
    found[place_R < back] = np.nan
    return found


def _origins(
    observed: Observed, follows_T: Array, seed: int, most: int, *, last_only: bool
) -> Array:
    """Return at most so many of the steps that another one follows, of every entity, in order."""
    steps_R = np.flatnonzero(follows_T)
    entity_R = observed.entity[steps_R]
    if last_only:
        order_R = -steps_R
    else:
        order_R = numpy_stream(seed, "forecast-origins").permutation(len(steps_R))
    sorted_R = np.lexsort((order_R, entity_R))
    first_of = np.searchsorted(entity_R[sorted_R], entity_R[sorted_R], side="left")
    kept = sorted_R[np.arange(len(sorted_R)) - first_of < most]
    return np.sort(steps_R[kept])


ROUNDS = 60
TREES = {
    "objective": "regression_l1",
    "num_leaves": 15,
    "learning_rate": 0.1,
    "min_data_in_leaf": 20,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbose": -1,
    "seed": 0,
}
"""LightGBM's, Ke et al. 2017 (NeurIPS 30); absolute errors, as forecasts are scored by."""


def learn_forecast(rows: ForecastRows) -> Any:
    """Return trees that learned how far the next value lies from the last one."""
    import lightgbm

    data = lightgbm.Dataset(rows.features_RF, rows.next_R - rows.last_R)
    return lightgbm.train(dict(TREES), data, ROUNDS)


def absolute_errors(model: Any, rows: ForecastRows) -> Array:
    """Return how far forecasts of these rows are off; float64 (R,)."""
    found = rows.last_R + np.asarray(model.predict(rows.features_RF, num_threads=1))
    errors_R: Array = np.abs(found - rows.next_R)
    return errors_R


def entity_means(errors_R: Array, entity_R: Array, entities: int) -> Array:
    """Return the mean of every entity, 0 where it has no row; float64 (N,)."""
    counts_N = np.bincount(entity_R, minlength=entities).astype(np.float64)
    return ratio(np.bincount(entity_R, weights=errors_R, minlength=entities), counts_N)
