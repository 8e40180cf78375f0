"""Which number of a table lies beside which other one; see `relative`.

A pair is found if far more rows are beside each other than after shuffling one of the two. Each
column has one neighbour at most, and none is followed in a circle.

Shapes: N rows.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from gan.tables.columns.habits import day_units
from gan.tables.columns.numeric import Numeric
from gan.tables.columns.relative import Beside, RelativeNumeric
from gan.tables.columns.trend import EXACT_SHARE, Trend, learn_trend, on_trend
from gan.tables.columns.values import Modelled, plain, to_units

Array = np.ndarray[Any, Any]

REACH = 3
"""Bins' widths that a value may differ from its neighbour's."""
NEAR_SHARE, NEAR_TIMES, NEAR_ROWS = 0.15, 2.0, 200
"""Both move as one if so many rows are beside each other, so many times as many as by chance."""
TREND_SHARE, TREND_GAIN = 0.5, 0.1
"""So many must be beside a trend, and so many more than without it."""
FEW_PAIRS = 2_000
"""A trend is looked for in so many rows first."""
EQUAL_SHARE, EQUAL_TIMES = 0.01, 3.0
"""The same where only equal values count; of these there are 3 g rows at least."""
LARGE_SHARE = 0.05
"""A value that so many rows hold stays a code of its own."""
SAMPLE = 8_000
"""Pairs are looked for in so many rows."""
LEAST_LOST = 0.05
"""A habit of rounding that so much of the rows would lose keeps a column from a neighbour."""
MOST_COLUMNS = 60
"""Pairs are looked for among so many columns, the first ones."""


class Pair(NamedTuple):
    """A column and a neighbour that it could be beside."""

    score: float
    """Share of the rows, less that after shuffling."""
    column: int
    neighbour: int
    reach: int
    trend: bool = False
    """Whether it is the trend that the column is beside."""


def find_neighbours(
    columns: Sequence[Modelled],
    records: pa.Table,
    group: int,
    fixed: Sequence[str],
    calendars: Mapping[str, Modelled],
) -> tuple[Modelled, ...]:
    """Return the columns, those that often lie beside another with codes for that.

    Args:
        columns: as fitted.
        records: the training records.
        group: a difference that fewer rows have is not shown.
        fixed: names of columns that stay as they are.
        calendars: what some columns are, by name, unless they lie beside a neighbour's value.
    """
    offered = {
        index: column
        for index, column in enumerate(columns)
        if isinstance(column, Numeric) and column.codes < column.cells
    }
    offered = dict(list(offered.items())[:MOST_COLUMNS])
    step = max(records.num_rows // SAMPLE, 1)
    some = records.take(pa.array(np.arange(0, records.num_rows, step)))
    seen = {index: _Sampled.of(column, some) for index, column in offered.items()}
    pairs = [
        Pair(found[0], index, neighbour, *found[1:])
        for index, one in seen.items()
        if one.column.name not in fixed
        for neighbour, other in seen.items()
        if neighbour != index and (found := _beside(one, other, group)) is not None
        if not (found[2] and one.column.name in calendars)
    ]
    chosen: dict[int, Pair] = {}
    for pair in sorted(pairs, reverse=True):
        if pair.column not in chosen and not _leads_to(chosen, pair.neighbour, pair.column):
            chosen[pair.column] = pair
    fitted = {
        index: _fit(offered[index], offered[pair.neighbour], pair, records, group)
        for index, pair in chosen.items()
    }
    return tuple(
        fitted.get(index) or calendars.get(column.name, column)
        for index, column in enumerate(columns)
    )


def _leads_to(chosen: Mapping[int, Pair], start: int, end: int) -> bool:
    """Say whether a column's neighbours lead to another column."""
    while start in chosen:
        start = chosen[start].neighbour
        if start == end:
            return True
    return start == end


class _Sampled(NamedTuple):
    """A column in the rows that are looked at."""

    column: Numeric
    values: Any
    units_N: Array
    valid_N: Array
    shown_N: Array
    """Units, those outside of what the column shows as its ends."""
    kept: tuple[int, ...]
    open_N: Array
    """Which values may lie beside another."""
    widths_N: Array
    """Of the bin of each value."""

    @classmethod
    def of(cls, column: Numeric, records: pa.Table) -> "_Sampled":
        """Look at a column of these rows."""
        values = plain(records[column.name])
        units_N, valid_N = to_units(values, column.decimals)
        codes_N, kept = column.codes_of(column.encode(records)), _large(column, records)
        known, _ = to_units(column.vocabularies[0].drop_null(), column.decimals)
        shown_N = np.clip(units_N, known.min(), known.max())
        open_N = valid_N & ~np.isin(codes_N, kept)
        widths_N = column.widths[codes_N]
        return cls(column, values, units_N, valid_N, shown_N, kept, open_N, widths_N)

    def near(self, apart_N: Array, known_N: Array, reach: int) -> float:
        """Return the share of rows that differ by no more than a reach."""
        rows = len(apart_N)
        near_N = np.abs(apart_N) <= reach * self.widths_N[:rows]
        return float(np.mean(known_N & self.open_N[:rows] & near_N))


def _large(own: Numeric, records: pa.Table) -> tuple[int, ...]:
    """Return the atoms of a column that a large share of the rows hold, and its null."""
    codes_N = own.codes_of(own.encode(records))
    shares = np.bincount(codes_N, minlength=own.codes) / len(codes_N)
    single = np.diff(own.first_cells) == 1
    return tuple(np.flatnonzero(single & (shares >= LARGE_SHARE)).tolist())


def _beside(one: _Sampled, other: _Sampled, group: int) -> tuple[float, int, bool] | None:
    """Return score, reach and whether it is a trend that a column lies beside; None: it does not.

    Args:
        one: the column.
        other: its neighbour.
        group: rows of the smallest group.
    """
    score, reach = _plain_gain(one, other, group)
    gain = _trend_gain(one, other, group)
    if gain > score + TREND_GAIN:
        return gain, REACH, True
    return (score, reach, False) if score else None


def _plain_gain(one: _Sampled, other: _Sampled, group: int) -> tuple[float, int]:
    """Return how many more rows are beside the neighbour's value than by chance, and the reach."""
    own, rows = one.column, len(one.units_N)
    comparable = own.decimals is not None and other.column.decimals == own.decimals
    if not comparable or not _comparable(one.values.type, other.values.type):
        return 0.0, 0
    (near, by_chance), (equal, equal_by_chance) = (
        [
            one.near(one.units_N - other.units_N[order], other.valid_N[order], reach)
            for order in (slice(None), _mixed(rows))
        ]
        for reach in (REACH, 0)
    )
    if near >= max(NEAR_SHARE, NEAR_TIMES * by_chance, NEAR_ROWS / rows):
        beside = Beside(other.column.name, REACH, one.kept)
        if not _breaks_habits(own, beside, other.values, one.values):
            return near - by_chance, REACH
    if equal >= max(EQUAL_SHARE, EQUAL_TIMES * equal_by_chance, 3 * group / rows):
        return equal - equal_by_chance, 0
    return 0.0, 0


def _trend_gain(one: _Sampled, other: _Sampled, group: int) -> float:
    """Return how many more rows are beside the trend than by chance; 0 where too few are."""
    gain, trend = 0.0, Trend(np.zeros(0), np.zeros(0), None)
    for rows in (FEW_PAIRS, len(one.units_N)):
        both_N = (one.valid_N & other.valid_N)[:rows]
        if not both_N.any():
            return 0.0
        there_N, here_N = (each.shown_N[:rows][both_N] for each in (other, one))
        trend = learn_trend(there_N, here_N, other.column.decimals, group)
        mixed = _mixed(len(both_N))
        expected_N = trend.of_units(other.units_N[:rows])
        near, by_chance = (
            one.near(one.units_N[:rows] - expected_N[order], other.valid_N[:rows][order], REACH)
            for order in (slice(None), mixed)
        )
        if near < max(TREND_SHARE, NEAR_TIMES * by_chance, NEAR_ROWS / len(one.units_N)):
            return 0.0
        gain = near - by_chance
    beside = Beside(other.column.name, REACH, one.kept, trend)
    return 0.0 if _breaks_habits(one.column, beside, other.values, one.values) else gain


def _mixed(rows: int) -> Array:
    return np.random.default_rng(0).permutation(rows)


def _breaks_habits(own: Numeric, beside: Beside, there: Any, here: Any) -> bool:
    """Say whether the neighbour's value plus a difference is seldom as round as the values are."""
    if own.decimals is None:
        return False
    apart_N, near_N = beside.apart(own, there, here)
    here_M, apart_M = to_units(here, own.decimals)[0][near_N], apart_N[near_N]
    again_M = here_M - apart_M + np.random.default_rng(0).permutation(apart_M)
    day = day_units(here.type)
    habits = {habit[:2]: habit for each in own.curve.ranges for habit in each.habits}.values()
    return any(
        habit.holds(here_M, day).mean() - habit.holds(again_M, day).mean() > LEAST_LOST
        for habit in habits
    )


def _comparable(one: Any, other: Any) -> bool:
    """Say whether the units of two types are the same."""
    return bool(one == other or (pa.types.is_integer(one) and pa.types.is_integer(other)))


def _fit(
    own: Numeric, other: Numeric, pair: Pair, records: pa.Table, group: int
) -> Modelled | None:
    """Return the column of a pair with codes for differences; None where hardly a row has one."""
    one, neighbour = _Sampled.of(own, records), _Sampled.of(other, records)
    trend = _trend(one, neighbour, group) if pair.trend else None
    beside = Beside(other.name, pair.reach, one.kept, trend)
    apart_N, beside_N = beside.apart(own, neighbour.values, one.values)
    if np.count_nonzero(beside_N) < max(group, 2):
        return None
    name = f"{own.name} less {other.name}"
    found = pa.array(apart_N[beside_N])
    offsets = Numeric.fit(name, found, group, limits=(None, None), whole=False)
    return RelativeNumeric.of(own, offsets, beside)


def _trend(one: _Sampled, other: _Sampled, group: int) -> Trend:
    """Return the trend of all rows, and whether nearly all that lie beside it lie on it."""
    both_N = one.valid_N & other.valid_N
    there_N, here_N = other.shown_N[both_N], one.shown_N[both_N]
    trend = learn_trend(there_N, here_N, other.column.decimals, group)
    beside = Beside(other.column.name, REACH, one.kept, trend)
    apart_N, beside_N = beside.apart(one.column, other.values, one.values)
    close_M = on_trend(apart_N, one.widths_N)[beside_N]
    return trend._replace(exact=bool(close_M.sum() >= max(EXACT_SHARE * len(close_M), 1)))
