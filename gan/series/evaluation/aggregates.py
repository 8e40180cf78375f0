"""What is told of many entities by sums over each: shares, correlations, profiles.

Every measure here is a function of sums over entities, so that it costs one product to have it of
any resample of entities, and entities stay whole. The error between two sides is a mean absolute
difference, part by part.

Autocorrelation (Box & Jenkins 1970, Time Series Analysis, section 2.1.5) is that of ranks about the
mean of their entity, pooled over entities: the mean product of values k steps apart over the mean
square. Cross-correlation is the same of two signals, in one step and one step apart either way.

Shapes: N entities, T steps of all of them, S signals, V variables, K sums, D parts, C phases or
codes, G lags, P pairs.
"""

from collections.abc import Sequence
from typing import Any, Literal, Protocol

import numpy as np

from gan.metrics.marginals import starts
from gan.series.evaluation.calendar import PeriodName
from gan.series.evaluation.context import SeriesContext, Side
from gan.series.evaluation.signals import Observed
from gan.tables.evaluation.columns import JudgedColumn
from gan.tables.evaluation.errors import ColumnCodes, bins_of_columns

Array = np.ndarray[Any, Any]

MOST_LAG = 7
"""Lags 1 … are compared, at most so many, and those of the seasons."""
MOST_SIGNALS = 40
"""Most signals whose correlations are compared; of more, evenly spread ones."""
SMALL = 1e-12


class Aggregate(Protocol):
    """One measure, as a function of sums over entities."""

    name: str
    """Of the metric."""
    parts: tuple[str, ...]
    """What each error is of; D."""
    by_part: bool
    """Whether every part is a metric of its own besides."""
    worst: bool
    """Whether the largest error counts, not the mean."""

    def sums(self, side: Side) -> Array:
        """Return the sums of every entity; (N, K)."""

    def errors(self, real_K: Array, fake_K: Array) -> Array:
        """Return the error of every part, from the sums of two sides; (D,)."""


def ratio(over: Array, under: Array) -> Array:
    """Return a ratio, 0 where there is nothing below."""
    out = np.zeros(over.shape)
    found: Array = np.divide(over, under, out=out, where=np.abs(under) > SMALL)
    return found


class Distributions:
    """Codes of every static column, and of every variable over all steps."""

    name = "one_way"
    by_part, worst = True, False

    def __init__(self, context: SeriesContext) -> None:
        """Learn bins and levels of train."""
        bins, train = bins_of_columns(context.n), context.train
        self.statics = tuple(
            ColumnCodes(train.statics, one, bins, context.n) for one in context.judged.statics
        )
        self.variables = tuple(
            ColumnCodes(train.steps, one.column, bins, context.n) for one in context.variables
        )
        columns = (*self.statics, *self.variables)
        self.sizes = tuple(one.size for one in columns)
        self.parts = tuple(one.column.name for one in columns)

    def sums(self, side: Side) -> Array:
        """Return how many steps of every entity have each code, of a static column 1."""
        rows_N, found = np.arange(side.entities), []
        for one in self.statics:
            counts_NC = np.zeros((side.entities, one.size))
            counts_NC[rows_N, one.of(side.statics)] = 1.0
            found.append(counts_NC)
        entity_T = side.observed.entity
        for one in self.variables:
            flat_T = entity_T * one.size + one.of(side.steps)
            counts = np.bincount(flat_T, minlength=side.entities * one.size)
            found.append(counts.reshape(side.entities, one.size).astype(np.float64))
        return np.concatenate(found, axis=1)

    def errors(self, real_K: Array, fake_K: Array) -> Array:
        """Return the total variation distance of every column; see `gan.metrics.marginals`."""
        first = starts(self.sizes)
        shares = []
        for sums_K in (real_K, fake_K):
            totals = np.repeat(np.add.reduceat(sums_K, first), self.sizes)
            shares.append(ratio(sums_K, totals))
        errors_D: Array = 0.5 * np.add.reduceat(np.abs(shares[0] - shares[1]), first)
        return errors_D


class OneNumber:
    """The distribution of one number per entity, in bins of train; what is outside apart."""

    by_part, worst = False, False
    parts: tuple[str, ...] = ("all",)

    def __init__(self, name: Literal["length", "start"], context: SeriesContext) -> None:
        """Learn the bins of train."""
        self.name: str = name
        values_N = self._values(context.train.observed)
        inner = np.linspace(0, 1, bins_of_columns(context.n) + 1)
        edges = np.quantile(values_N, inner, method="inverted_cdf")
        self.edges = np.unique(edges)
        """The smallest, upper ends of all bins, the largest."""

    def _values(self, observed: Observed) -> Array:
        if self.name == "length":
            return observed.lengths_N
        first: Array = observed.moments.wall_T[observed.first]
        return first

    def sums(self, side: Side) -> Array:
        """Return a 1 at the bin of every entity."""
        values_N = self._values(side.observed)
        codes_N = np.searchsorted(self.edges, values_N, side="left")
        codes_N[values_N < self.edges[0]] = len(self.edges) + 1
        found: Array = np.eye(len(self.edges) + 2)[codes_N]
        return found

    def errors(self, real_K: Array, fake_K: Array) -> Array:
        """Return the total variation distance."""
        shares = [sums_K / max(sums_K.sum(), 1.0) for sums_K in (real_K, fake_K)]
        return np.array([0.5 * np.abs(shares[0] - shares[1]).sum()])


class Nulls:
    """The share of nulls of every variable and static column that has some in train."""

    name = "null_rate"
    by_part, worst = False, True

    def __init__(self, context: SeriesContext) -> None:
        """Look for nulls in train."""
        self.variables = tuple(
            one.name for one in context.variables if one.has_nulls and not one.is_gap
        )
        self.statics = tuple(
            one.name
            for one in context.judged.statics
            if context.train.statics[one.name].null_count > 0
        )
        self.parts = (*self.statics, *self.variables)

    def sums(self, side: Side) -> Array:
        """Return nulls of every part, and places for one."""
        found = []
        for name in self.statics:
            null_N = side.statics[name].is_null().to_numpy().astype(np.float64)
            found.append(np.stack([null_N, np.ones(side.entities)], axis=1))
        for name in self.variables:
            null_T = side.steps[name].is_null(nan_is_null=True).to_numpy().astype(np.float64)
            nulls_N = side.observed.sums(null_T[:, None])[:, 0]
            found.append(np.stack([nulls_N, side.observed.lengths_N], axis=1))
        return np.concatenate(found, axis=1)

    def errors(self, real_K: Array, fake_K: Array) -> Array:
        """Return the difference of the shares."""
        shares = [ratio(sums_K[0::2], sums_K[1::2]) for sums_K in (real_K, fake_K)]
        errors_D: Array = np.abs(shares[0] - shares[1])
        return errors_D


class Unchanged:
    """The share of steps in which a variable has the value of the step before."""

    name = "unchanged"
    by_part, worst = True, False

    def __init__(self, context: SeriesContext) -> None:
        """Name the variables."""
        self.parts = tuple(one.name for one in context.variables)

    def sums(self, side: Side) -> Array:
        """Return how often each variable stays, and how often it could have changed."""
        values_TV = side.observed.values_TV
        stays_TV = np.zeros(values_TV.shape)
        same = (values_TV[1:] == values_TV[:-1]) | (
            np.isnan(values_TV[1:]) & np.isnan(values_TV[:-1])
        )
        stays_TV[1:] = same & (side.observed.place[1:] > 0)[:, None]
        chances_N1 = (side.observed.lengths_N - 1.0)[:, None]
        return np.concatenate([side.observed.sums(stays_TV), chances_N1], axis=1)

    def errors(self, real_K: Array, fake_K: Array) -> Array:
        """Return the difference of the shares."""
        shares = [sums_K[:-1] / max(sums_K[-1], 1.0) for sums_K in (real_K, fake_K)]
        errors_D: Array = np.abs(shares[0] - shares[1])
        return errors_D


def deviations(observed: Observed, signals: Array) -> tuple[Array, Array]:
    """Return ranks about the mean of their entity, 0 where null, and where they are known."""
    ranks_TS = observed.ranks_TS[:, signals].astype(np.float64)
    known_TS = ~np.isnan(ranks_TS)
    ranks_TS[~known_TS] = 0.0
    means_NS = ratio(observed.sums(ranks_TS), observed.sums(known_TS.astype(np.float64)))
    return (ranks_TS - means_NS[observed.entity]) * known_TS, known_TS


def lags_of(context: SeriesContext) -> tuple[int, ...]:
    """Return the lags that are compared: the first ones, and those of the seasons."""
    middle = float(np.median(context.train.observed.lengths_N))
    few = range(1, 1 + int(min(MOST_LAG, max(1.0, middle // 4))))
    return tuple(sorted({*few, *context.calendar.seasons}))


def chosen_signals(context: SeriesContext) -> Array:
    """Return the signals whose correlations are compared."""
    return spread_over(len(context.signals.names), MOST_SIGNALS)


def owners_of(context: SeriesContext, signals: Array) -> tuple[tuple[str, ...], Array]:
    """Return the variables of some signals, and the weight of each signal in the mean of its own.

    Returns:
        Names, and weights (D, S) whose rows sum to 1.
    """
    owners = context.signals.owner[signals]
    kept = np.unique(owners)
    members_DS = (owners == kept[:, None]).astype(np.float64)
    names = tuple(context.variables[v].name for v in kept.tolist())
    return names, members_DS / members_DS.sum(axis=1, keepdims=True)


def spread_over(count: int, most: int) -> Array:
    """Return all places of so many, or evenly spread ones."""
    if count <= most:
        return np.arange(count)
    return np.unique(np.linspace(0, count - 1, most).astype(np.int64))


class Autocorrelations:
    """Correlations of every variable with itself some steps before."""

    name = "autocorrelation"
    by_part, worst = True, False

    def __init__(self, context: SeriesContext) -> None:
        """Choose signals and lags."""
        self.signals, self.lags = chosen_signals(context), lags_of(context)
        self.parts, self.members_DS = owners_of(context, self.signals)

    def sums(self, side: Side) -> Array:
        """Return, for every lag and every signal, products and how many there are."""
        observed = side.observed
        away_TS, known_TS = deviations(observed, self.signals)
        found = [observed.sums(away_TS * away_TS), observed.sums(known_TS.astype(np.float64))]
        for lag in self.lags:
            product_TS, pairs_TS = np.zeros(away_TS.shape), np.zeros(away_TS.shape)
            if lag < len(away_TS):
                inside_T1 = (observed.place[lag:] >= lag)[:, None]
                product_TS[lag:] = away_TS[lag:] * away_TS[:-lag] * inside_T1
                pairs_TS[lag:] = known_TS[lag:] & known_TS[:-lag] & inside_T1
            found += [observed.sums(product_TS), observed.sums(pairs_TS)]
        return np.concatenate(found, axis=1)

    def correlations(self, sums_K: Array) -> Array:
        """Return the correlations; (G, S)."""
        parts = sums_K.reshape(2 + 2 * len(self.lags), -1)
        squares_S = ratio(parts[0], parts[1])
        return ratio(ratio(parts[2::2], parts[3::2]), squares_S)

    def errors(self, real_K: Array, fake_K: Array) -> Array:
        """Return the mean difference over lags and the signals of each variable."""
        differences_GS = np.abs(self.correlations(real_K) - self.correlations(fake_K))
        errors_D: Array = self.members_DS @ differences_GS.mean(axis=0)
        return errors_D


class CrossCorrelations:
    """Correlations of two variables in one step, and one step apart either way."""

    name = "cross_correlation"
    by_part, worst = False, False
    parts: tuple[str, ...] = ("all",)

    def __init__(self, context: SeriesContext) -> None:
        """Choose the pairs of signals of different variables."""
        self.signals = chosen_signals(context)
        owners = context.signals.owner[self.signals]
        first, second = np.triu_indices(len(owners), 1)
        apart = owners[first] != owners[second]
        self.first_P, self.second_P = first[apart], second[apart]

    def sums(self, side: Side) -> Array:
        """Return squares, and for every pair the products in one step and one step apart."""
        observed = side.observed
        away_TS, _ = deviations(observed, self.signals)
        inside_T1 = (observed.place[1:] > 0)[:, None]
        later_TS = away_TS[1:] * inside_T1
        found = [observed.sums(away_TS * away_TS)]
        a_TP, b_TP = away_TS[:, self.first_P], away_TS[:, self.second_P]
        found.append(observed.sums(a_TP * b_TP))
        for now, then in ((self.first_P, self.second_P), (self.second_P, self.first_P)):
            product_TP = np.zeros(a_TP.shape)
            product_TP[1:] = later_TS[:, now] * away_TS[:-1, then]
            found.append(observed.sums(product_TP))
        return np.concatenate(found, axis=1)

    def errors(self, real_K: Array, fake_K: Array) -> Array:
        """Return the mean difference over pairs."""
        both = [self._correlations(sums_K) for sums_K in (real_K, fake_K)]
        return np.array([np.abs(both[0] - both[1]).mean()])

    def _correlations(self, sums_K: Array) -> Array:
        squares_S, products = np.split(sums_K, [len(self.signals)])
        norms_P = np.sqrt(squares_S[self.first_P] * squares_S[self.second_P])
        return ratio(products.reshape(3, -1), norms_P)


class Profiles:
    """How variables go with the calendar: mean ranks by hour, weekday and month."""

    name = "seasonality"
    by_part, worst = True, False

    def __init__(self, context: SeriesContext) -> None:
        """Take the periods that entities are long enough for."""
        self.signals = chosen_signals(context)
        self.parts, self.members_DS = owners_of(context, self.signals)
        self.periods: Sequence[PeriodName] = context.calendar.periods
        self.counts = [
            int(context.train.observed.moments.phases(name).max()) + 1 for name in self.periods
        ]

    def sums(self, side: Side) -> Array:
        """Return, for every period, sums of ranks by phase, and steps by phase."""
        observed = side.observed
        away_TS, known_TS = deviations(observed, self.signals)
        found = []
        for name, count in zip(self.periods, self.counts, strict=True):
            phases_T = np.minimum(observed.moments.phases(name), count - 1)
            flat_T, size = observed.entity * count + phases_T, side.entities * count
            for values_TS in (away_TS, known_TS):
                for s in range(len(self.signals)):
                    summed = np.bincount(flat_T, weights=values_TS[:, s], minlength=size)
                    found.append(summed.reshape(side.entities, count))
        return np.concatenate(found, axis=1)

    def profiles(self, sums_K: Array) -> list[tuple[Array, Array]]:
        """Return, for every period, mean ranks about those of their entity, and steps; (S, C)."""
        found, start = [], 0
        for count in self.counts:
            size = 2 * len(self.signals) * count
            away_SC, steps_SC = sums_K[start : start + size].reshape(2, len(self.signals), count)
            found.append((ratio(away_SC, steps_SC), steps_SC))
            start += size
        return found

    def errors(self, real_K: Array, fake_K: Array) -> Array:
        """Return the mean difference over phases, each by its real steps, of every variable."""
        errors = []
        for (real_SC, steps_SC), (fake_SC, _) in zip(
            self.profiles(real_K), self.profiles(fake_K), strict=True
        ):
            shares_SC = ratio(steps_SC, steps_SC.sum(axis=1, keepdims=True))
            errors.append((np.abs(real_SC - fake_SC) * shares_SC).sum(axis=1))
        errors_D: Array = self.members_DS @ np.mean(errors, axis=0)
        return errors_D


def aggregates_of(context: SeriesContext) -> tuple[Aggregate, ...]:
    """Return every measure that there is something to measure for."""
    found: list[Aggregate] = [
        Distributions(context),
        OneNumber("length", context),
        OneNumber("start", context),
        Unchanged(context),
        Autocorrelations(context),
    ]
    crossed, nulls, profiles = CrossCorrelations(context), Nulls(context), Profiles(context)
    found += [one for one, there in ((crossed, len(crossed.first_P)),) if there]
    found += [one for one, there in ((nulls, nulls.parts), (profiles, profiles.periods)) if there]
    return tuple(found)


def compared_columns(context: SeriesContext) -> tuple[JudgedColumn, ...]:
    """Return all columns that are compared one by one."""
    return (*context.judged.statics, *(one.column for one in context.variables))
