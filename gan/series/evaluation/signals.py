"""Series as the judge sees them: every variable as one or more signals, step after step.

A number is one signal: its rank among train's values from 0 to 1, equal values in the middle of
theirs, and, for kernels and statistics, the inverse hyperbolic sine of its distance from train's
median in train's robust spread (Burbidge et al. 1988, Journal of the American Statistical
Association 83, 123): the same for small distances, logarithmic for large ones. A variable of levels
is one signal for each of its commonest levels: 1 where it is, else 0. Where train has nulls, one
more signal says where. Of irregular series the gap to the step before is a number, too.

Shapes: N entities, T steps of all of them, S signals, V variables, C channels, L steps of the
longest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from gan.metrics.kernels import Sequences
from gan.randomness import numpy_stream
from gan.series.evaluation.calendar import StepMoments, moments_of
from gan.tables.evaluation.columns import JudgedColumn, as_levels, as_numbers, levels_by_count
from storage.records.series import SeriesMetadata, lengths_of, steps_of

Array = np.ndarray[Any, Any]

OWN_SIGNALS = 3
"""Most levels of a variable that are a signal."""
MOST_KNOWN = 100_000
"""Values of train from which ranks are taken."""
IQR_OF_NORMAL = 1.349
"""Interquartile range of a normal distribution in standard deviations."""
FLAT = 1e-12


@dataclass(frozen=True, kw_only=True, eq=False)
class Ranks:
    """The map from a number to its rank and to its scaled distance from the middle."""

    sorted_values: Array
    middle: float
    spread: float

    def ranks(self, values_T: Array) -> Array:
        """Return the share of train below, equal values counted half; NaN stays."""
        below = np.searchsorted(self.sorted_values, values_T, side="left")
        upto = np.searchsorted(self.sorted_values, values_T, side="right")
        found = (below + upto) / (2 * max(len(self.sorted_values), 1))
        return np.where(np.isnan(values_T), np.nan, found)

    def scaled(self, values_T: Array) -> Array:
        """Return the scaled distance from train's median; NaN stays."""
        found: Array = np.arcsinh((values_T - self.middle) / self.spread)
        return found


def fit_ranks(values_T: Array) -> Ranks:
    """Return the map of a variable of train."""
    known = np.sort(values_T[np.isfinite(values_T)])
    if not len(known):
        return Ranks(sorted_values=known, middle=0.0, spread=1.0)
    if len(known) > MOST_KNOWN:
        known = known[np.linspace(0, len(known) - 1, MOST_KNOWN).astype(np.int64)]
    low, middle, high = np.quantile(known, (0.25, 0.5, 0.75))
    spread = (high - low) / IQR_OF_NORMAL
    if spread <= FLAT * max(1.0, abs(middle)):
        spread = float(known.std())
    if spread <= FLAT * max(1.0, abs(middle)):
        spread = 1.0
    return Ranks(sorted_values=known, middle=float(middle), spread=float(spread))


@dataclass(frozen=True, kw_only=True, eq=False)
class SignalVariable:
    """One variable, and how its signals are made."""

    column: JudgedColumn
    ranks: Ranks | None
    """Of a number; None for levels."""
    levels: Any
    """Arrow array of the commonest levels that are signals; empty for a number."""
    has_nulls: bool
    titles: tuple[str, ...] = ()
    """What the signal of each level is called; no level that few entities hold is named."""
    is_gap: bool = False

    @property
    def name(self) -> str:
        """The column's name; that of the time for the gap between steps."""
        return self.column.name

    @property
    def signals(self) -> tuple[str, ...]:
        """What each signal is, for people."""
        own: tuple[str, ...] = (f"gap of {self.name}" if self.is_gap else self.name,)
        own = own if self.ranks is not None else self.titles
        return (*own, *((f"null of {self.name}",) * self.has_nulls))


@dataclass(frozen=True, kw_only=True, eq=False)
class Observed:
    """The steps of some entities as signals."""

    lengths_N: Array
    moments: StepMoments
    values_TV: Array
    """float64: numbers as they are, levels by number, NaN for null."""
    ranks_TS: Array
    """float32, 0 to 1; NaN for null."""
    scaled_TS: Array
    """float32; NaN for null."""

    @cached_property
    def first(self) -> Array:
        """Where the steps of each entity begin."""
        return np.concatenate([[0], np.cumsum(self.lengths_N)[:-1]]).astype(np.int64)

    @cached_property
    def entity(self) -> Array:
        """The entity of every step."""
        return np.repeat(np.arange(len(self.lengths_N)), self.lengths_N)

    @cached_property
    def place(self) -> Array:
        """The place of every step in its entity, from 0."""
        place: Array = np.arange(len(self.entity)) - self.first[self.entity]
        return place

    @cached_property
    def filled(self) -> Array:
        """Scaled signals; a null is the value before it, 0 where there is none."""
        return fill_forward(self.scaled_TS, self.first)

    def sums(self, values_TK: Array) -> Array:
        """Return the sum over the steps of every entity; float64 (N, K)."""
        if not len(values_TK):
            return np.zeros((len(self.lengths_N), values_TK.shape[1]))
        found: Array = np.add.reduceat(values_TK, self.first, axis=0, dtype=np.float64)
        return found

    def sequences(self, rows: Array, most: int) -> Sequences:
        """Return the signals of some entities, padded.

        Args:
            rows: the entities.
            most: steps; of a longer entity so many from a random one on, the same in every call.
        """
        lengths_N = np.minimum(self.lengths_N[rows], most)
        longest = int(lengths_N.max()) if len(rows) else 0
        inside_NL = np.arange(longest) < lengths_N[:, None]
        places = (self.first + self._window_starts(most))[rows][:, None] + np.arange(longest)
        padded = np.zeros((len(rows), longest, self.filled.shape[1]), dtype=np.float32)
        padded[inside_NL] = self.filled[places[inside_NL]]
        return Sequences(np.ascontiguousarray(padded.transpose(0, 2, 1)), lengths_N)

    def _window_starts(self, most: int) -> Array:
        """Return where the steps that are seen of every entity begin."""
        room_N = np.maximum(self.lengths_N - most, 0)
        shares_N = numpy_stream(0, "windows").random(len(room_N))
        starts_N: Array = (shares_N * (room_N + 1)).astype(np.int64)
        return starts_N


def fill_forward(values_TS: Array, first_N: Array) -> Array:
    """Return values with NaN replaced by the one before it in its entity, by 0 where none is."""
    missing_TS = np.isnan(values_TS)
    if not missing_TS.any():
        return values_TS
    rows_T1 = np.arange(len(values_TS))[:, None]
    start_T1 = np.zeros((len(values_TS), 1), dtype=np.int64)
    start_T1[first_N] = first_N[:, None]
    start_T1 = np.maximum.accumulate(start_T1, axis=0)
    last_TS = np.maximum.accumulate(np.where(missing_TS, -1, rows_T1), axis=0)
    found = np.take_along_axis(values_TS, np.maximum(last_TS, 0), axis=0)
    filled: Array = np.where(last_TS < start_T1, 0.0, found).astype(values_TS.dtype)
    return filled


@dataclass(frozen=True, kw_only=True, eq=False)
class SignalMap:
    """The map from nested records to signals, fixed on train."""

    metadata: SeriesMetadata
    variables: tuple[SignalVariable, ...]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """What every signal is, for people."""
        return tuple(name for one in self.variables for name in one.signals)

    @cached_property
    def owner(self) -> Array:
        """The variable of every signal."""
        counts = [len(one.signals) for one in self.variables]
        return np.repeat(np.arange(len(counts)), counts)

    def of(self, records: pa.Table) -> Observed:
        """Return the signals of records."""
        lengths_N, steps = lengths_of(records, self.metadata), steps_of(records, self.metadata)
        moments = moments_of(steps, self.metadata)
        values, ranks, scaled = [], [], []
        for one in self.variables:
            if one.ranks is None:
                codes_T = _codes(steps[one.name], one)
                values.append(codes_T)
                signals = [_indicator(codes_T, level) for level in range(len(one.levels))]
                ranks += signals
                scaled += signals
            else:
                own_T = _numbers(one, steps, moments, lengths_N)
                values.append(own_T)
                ranks.append(one.ranks.ranks(own_T).astype(np.float32))
                scaled.append(one.ranks.scaled(own_T).astype(np.float32))
            if one.has_nulls:
                null_T = np.isnan(values[-1]).astype(np.float32)
                ranks.append(null_T)
                scaled.append(null_T)
        return Observed(
            lengths_N=lengths_N,
            moments=moments,
            values_TV=np.stack(values, axis=1),
            ranks_TS=np.stack(ranks, axis=1),
            scaled_TS=np.stack(scaled, axis=1),
        )


def _codes(column: Any, variable: SignalVariable) -> Array:
    """Return the number of each level that is a signal, the next one for others, NaN for null."""
    found = as_levels(column, variable.levels).astype(np.float64)
    found[found < 0] = len(variable.levels)
    nulls: Array = column.is_null().to_numpy()
    found[nulls] = np.nan
    return found


def _indicator(codes_T: Array, level: int) -> Array:
    return np.where(np.isnan(codes_T), np.nan, codes_T == level).astype(np.float32)


def _numbers(
    variable: SignalVariable, steps: pa.Table, moments: StepMoments, lengths_N: Array
) -> Array:
    if variable.is_gap:
        return gaps_of(moments, lengths_N)
    values = as_numbers(steps[variable.name])
    return np.where(np.isfinite(values), values, np.nan)


def gaps_of(moments: StepMoments, lengths_N: Array) -> Array:
    """Return the gap to the step before, NaN at the first of an entity; float64 (T,)."""
    gaps_T = np.diff(moments.exact_T, prepend=0).astype(np.float64)
    gaps_T[np.concatenate([[0], np.cumsum(lengths_N)[:-1]]).astype(np.int64)] = np.nan
    return gaps_T


def fit_signals(
    train: pa.Table, metadata: SeriesMetadata, columns: Sequence[JudgedColumn]
) -> SignalMap:
    """Return the map of some training records.

    Args:
        train: nested records.
        metadata: of them.
        columns: variables that are compared.
    """
    steps = steps_of(train, metadata)
    lengths_N = lengths_of(train, metadata)
    entity_T = np.repeat(np.arange(len(lengths_N)), lengths_N)
    public = {one.name for one in metadata.variables if one.vocabulary == "public"}
    found = [
        _fit_variable(
            steps[one.name], one, entity_T, 1 if one.name in public else metadata.min_group
        )
        for one in columns
    ]
    if metadata.step is None:
        gaps_T = gaps_of(moments_of(steps, metadata), lengths_N)
        column = JudgedColumn(name=metadata.time.name, form="number")
        found.append(
            SignalVariable(
                column=column,
                ranks=fit_ranks(gaps_T),
                levels=pa.array([], pa.string()),
                has_nulls=False,
                is_gap=True,
            )
        )
    return SignalMap(metadata=metadata, variables=tuple(found))


def _fit_variable(values: Any, column: JudgedColumn, entity_T: Array, group: int) -> SignalVariable:
    if column.form == "levels":
        found = levels_by_count(values)[0]
        levels = found.slice(0, 1 if len(found) == 2 else OWN_SIGNALS)
        codes_T = as_levels(values, levels)
        titles = [
            f"{column.name} {level}"
            if len(np.unique(entity_T[codes_T == place])) >= group
            else f"{column.name}, level {place + 1}"
            for place, level in enumerate(levels.to_pylist())
        ]
        return SignalVariable(
            column=column,
            ranks=None,
            levels=levels,
            has_nulls=values.null_count > 0,
            titles=tuple(titles),
        )
    numbers = as_numbers(values)
    return SignalVariable(
        column=column,
        ranks=fit_ranks(numbers),
        levels=pa.array([], pa.string()),
        has_nulls=bool(np.isnan(numbers).any()),
    )
