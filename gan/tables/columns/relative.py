"""A number beside another: equal to it, so much more or less, or by itself.

Amounts that move together, such as the bills of following months, agree to a fraction of a bin;
some payments equal a bill exactly. Codes of either column alone say neither. So such a column has
the codes of its own values, and codes of how much it differs from one other column, its neighbour:
an atom for equal, atoms of common differences, bins of the others. Decoded, it is the neighbour's
value plus the difference. Both are drawn as one code of the column, so nothing else changes: which
rows are beside their neighbour follows the other columns as every code does.

A row is beside its neighbour if the difference is no wider than `reach` times the bin that the
value itself lies in. Differences are numbers like others: what is shown of them are values and
means that `g` rows hold (`numeric`). A value with a large share, such as zero, stays a code of its
own: that two zeros are equal is no relation.

Columns of other units, or of none, move together too: a length and a weight, an amount and its
logarithm, a date and the season's price. There the difference is to what the column is on average
where the neighbour has its value (`trend`). What lies on that trend in nearly all rows is given by
it, so that a function of one other column is kept without being named.

A pair is found if far more rows are beside each other than after shuffling one of the two.

Shapes: N rows, C cells.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gan.tables.columns.habits import day_units
from gan.tables.columns.numeric import Numeric
from gan.tables.columns.trend import EXACT_PART, EXACT_SHARE, Trend, learn_trend
from gan.tables.columns.values import Modelled, from_units, plain, to_units

Array = np.ndarray[Any, Any]

REACH = 3
"""Bins' widths that a value may differ from its neighbour's."""
NEAR_SHARE, NEAR_TIMES, NEAR_ROWS = 0.15, 2.0, 200
"""Both move as one if so many rows are beside each other, so many times as many as by chance."""
TREND_SHARE, TREND_GAIN = 0.5, 0.1
"""The same where a trend is between them; it is taken if so many more are beside than without."""
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


@dataclass(frozen=True, kw_only=True, eq=False)
class RelativeNumeric(Modelled):
    """A column of numbers that often lies beside another."""

    type_name: ClassVar[str] = "relative"

    own: Numeric
    offsets: Numeric
    """Differences to the neighbour, in units."""
    neighbour: str
    """Name of the other column."""
    reach: int
    """0 = only equal values are beside each other."""
    kept: tuple[int, ...]
    """The codes of `own` that stay its own even where both are equal."""
    trend: Trend | None
    """What the column is on average beside its neighbour; None: what the neighbour is."""

    @classmethod
    def of(cls, own: Numeric, offsets: Numeric, pair: "Beside") -> Self:
        """Put the codes of differences behind the column's own, before null."""
        kind, null = own.vocabularies[0].type, own.has_null
        values = own.vocabularies[0].slice(0, own.cells - null)
        cells = [values, pa.nulls(offsets.cells + null, kind)]
        sizes = np.diff(own.first_cells)
        split = len(sizes) - null
        both = [sizes[:split], np.diff(offsets.first_cells), sizes[split:]]
        return cls(
            name=own.name,
            kind="numeric",
            fields=own.fields,
            vocabularies=(pa.concat_arrays(cells),),
            first_cells=np.cumsum([0, *np.concatenate(both)], dtype=np.int32),
            notes=own.notes,
            own=own,
            offsets=offsets,
            **pair._asdict(),
        )

    @property
    def decimals(self) -> int | None:
        """Of floats, see `Numeric`."""
        return self.own.decimals

    @property
    def has_null(self) -> bool:
        """Whether the last cell is null."""
        return self.own.has_null

    @property
    def beside(self) -> "Beside":
        """How it lies beside its neighbour."""
        return Beside(self.neighbour, self.reach, self.kept, self.trend)

    @property
    def parents(self) -> tuple[str, ...]:
        """The neighbour."""
        return (self.neighbour,)

    @cached_property
    def middle(self) -> Any:
        """The value beside a null, in units."""
        known, _ = to_units(self.own.vocabularies[0].drop_null(), self.decimals)
        return known[len(known) // 2]

    @cached_property
    def relative(self) -> Array:
        """Which cells are differences, bool (C,)."""
        cells = np.arange(self.cells)
        first = self.own.cells - self.has_null
        found: Array = (cells >= first) & (cells < first + self.offsets.cells)
        return found

    def encode(self, records: pa.Table) -> Array:
        """Return `cells_N`: beside the neighbour where it is, else by the value itself."""
        cells_N = self.own.encode(records)
        there, here = records[self.neighbour], records[self.name]
        apart_N, beside_N = self.beside.apart(self.own, there, here)
        first = self.own.cells - self.has_null
        null_N = plain(records[self.name]).is_null().to_numpy(zero_copy_only=False)
        if self.has_null:
            cells_N = np.where(null_N, self.cells - 1, cells_N)
        wanted = pa.table({self.offsets.name: pa.array(apart_N[beside_N])})
        if beside_N.any():
            cells_N[beside_N] = first + self.offsets.encode(wanted)
        return cells_N.astype(np.int32)

    def decode(self, cells_N: Array, found: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return the column's values.

        A value that no cell of its own would reach becomes the outermost; beside a null it is the
        one in the middle.
        """
        (values,) = super().decode(cells_N, found)
        rows_M = np.flatnonzero(self.relative[cells_N])
        if not len(rows_M):
            return (values,)
        units, _ = to_units(values, self.decimals)
        there_N, valid_N = self.beside.expected(self.own, found[self.neighbour])
        offsets, _ = to_units(self.offsets.vocabularies[0], None)
        known, _ = to_units(self.own.vocabularies[0].drop_null(), self.decimals)
        first = self.own.cells - self.has_null
        near_M = there_N[rows_M] + offsets[cells_N[rows_M] - first]
        near_M = np.clip(near_M, known.min(), known.max())
        units[rows_M] = np.where(valid_N[rows_M], near_M, self.middle)
        valid = values.is_valid().to_numpy(zero_copy_only=False).copy()
        valid[rows_M] = True
        made = from_units(units, self.decimals, values.type)
        if valid.all():
            return (made,)
        mask = pa.array(valid)
        return (pc.if_else(mask, made, pa.scalar(None, values.type)),)

    def to_json(self) -> dict[str, Any]:
        """Return the column as JSON."""
        return {
            "column": self.type_name,
            "own": self.own.to_json(),
            "offsets": self.offsets.to_json(),
            "neighbour": self.neighbour,
            "reach": self.reach,
            "kept": list(self.kept),
            "trend": None if self.trend is None else self.trend.to_json(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild the column."""
        own, offsets = (Numeric.from_json(data[part]) for part in ("own", "offsets"))
        trend = None if data.get("trend") is None else Trend.from_json(data["trend"])
        pair = Beside(data["neighbour"], data["reach"], tuple(data["kept"]), trend)
        return cls.of(own, offsets, pair)


class Beside(NamedTuple):
    """How a column lies beside its neighbour; see `RelativeNumeric`."""

    neighbour: str
    reach: int
    kept: tuple[int, ...]
    trend: Trend | None = None

    def expected(self, own: Numeric, there: Any) -> tuple[Array, Array]:
        """Return what the column would be without a difference, and where that is known.

        Args:
            own: the column's own codes.
            there: the neighbour's values.
        """
        if self.trend is None:
            return to_units(there, own.decimals)
        there_N, known_N = self.trend.at(there)
        return (there_N if own.decimals is None else np.rint(there_N).astype(np.int64)), known_N

    def apart(self, own: Numeric, there: Any, here: Any) -> tuple[Array, Array]:
        """Return how much more the values are than what is expected, and which are beside it."""
        here_N, valid_N = to_units(here, own.decimals)
        there_N, known_N = self.expected(own, there)
        codes_N = own.codes_of(own.encode(pa.table({own.name: here})))
        apart_N, widths_N = here_N - there_N, own.widths[codes_N]
        if self.trend is not None and self.trend.exact:
            apart_N = np.where(np.abs(apart_N) <= EXACT_PART * widths_N, 0, apart_N)
        near_N = np.abs(apart_N) <= self.reach * widths_N
        return apart_N, near_N & valid_N & known_N & ~np.isin(codes_N, self.kept)


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
    columns: Sequence[Modelled], records: pa.Table, group: int, fixed: Sequence[str]
) -> tuple[Modelled, ...]:
    """Return the columns, those that often lie beside another with codes for that.

    Args:
        columns: as fitted.
        records: the training records.
        group: a difference that fewer rows have is not shown.
        fixed: names of columns that stay as they are.
    """
    offered = [
        index
        for index, column in enumerate(columns)
        if isinstance(column, Numeric)
        and column.codes < column.cells
    ][:MOST_COLUMNS]
    step = max(records.num_rows // SAMPLE, 1)
    some = records.take(pa.array(np.arange(0, records.num_rows, step)))
    pairs = [
        found
        for index in offered
        if columns[index].name not in fixed
        for found in _pairs(columns, index, offered, some, group)
    ]
    chosen: dict[int, Pair] = {}
    for pair in sorted(pairs, reverse=True):
        if pair.column not in chosen and not _leads_to(chosen, pair.neighbour, pair.column):
            chosen[pair.column] = pair
    return tuple(
        _fit(columns, chosen[index], records, group) if index in chosen else column
        for index, column in enumerate(columns)
    )


def _leads_to(chosen: Mapping[int, Pair], start: int, end: int) -> bool:
    """Say whether a column's neighbours lead to another column."""
    while start in chosen:
        start = chosen[start].neighbour
        if start == end:
            return True
    return start == end


def _pairs(
    columns: Sequence[Modelled], index: int, offered: Sequence[int], some: pa.Table, group: int
) -> list[Pair]:
    """Return the neighbours that a column could have."""
    own = columns[index]
    if not isinstance(own, Numeric):
        return []
    here = plain(some[own.name])
    kept = _large(own, here)
    here_N, valid_N = to_units(here, own.decimals)
    codes_N = own.codes_of(own.encode(pa.table({own.name: here})))
    open_N, widths_N = valid_N & ~np.isin(codes_N, kept), own.widths[codes_N]
    every = np.arange(len(here))
    order = np.random.default_rng(0).permutation(len(here))
    found = []
    for neighbour in offered:
        other = columns[neighbour]
        if neighbour == index or not isinstance(other, Numeric):
            continue
        there = plain(some[other.name])
        best = Pair(0.0, index, neighbour, 0)
        if own.decimals is not None and other.decimals == own.decimals and (
            _comparable(here.type, there.type)
        ):
            there_N, known_N = to_units(there, own.decimals)
            shares = {
                reach: tuple(
                    _share(here_N - there_N[rows], reach * widths_N, known_N[rows] & open_N)
                    for rows in (every, order)
                )
                for reach in (REACH, 0)
            }
            (near, by_chance), (equal, equal_by_chance) = shares[REACH], shares[0]
            moves = near >= max(NEAR_SHARE, NEAR_TIMES * by_chance, NEAR_ROWS / len(here))
            if moves and not _breaks_habits(own, Beside(other.name, REACH, kept), there, here):
                best = best._replace(score=near - by_chance, reach=REACH)
            elif equal >= max(EQUAL_SHARE, EQUAL_TIMES * equal_by_chance, 3 * group / len(here)):
                best = best._replace(score=equal - equal_by_chance)
        gain = _trend_gain(own, other, (here, there), open_N, group)
        if gain > best.score + TREND_GAIN:
            best = Pair(gain, index, neighbour, REACH, trend=True)
        if best.score:
            found.append(best)
    return found


def _trend_gain(
    own: Numeric, other: Numeric, columns: tuple[Any, Any], open_N: Array, group: int
) -> float:
    """Return the share of rows beside the trend, less that after shuffling; 0 where too few are.

    Args:
        own: the column's own codes.
        other: the neighbour's.
        columns: values of both.
        open_N: which of the column's values may lie beside another.
        group: rows of a knot.
    """
    gain = 0.0
    for rows in (FEW_PAIRS, len(open_N)):
        here, there = (each.slice(0, rows) for each in columns)
        beside = Beside(other.name, REACH, (), _trend(own, other, there, here, group))
        mixed = np.random.default_rng(0).permutation(len(here))
        near, by_chance = (
            float(np.mean(beside.apart(own, values, here)[1] & open_N[:rows]))
            for values in (there, there.take(pa.array(mixed)))
        )
        if near < max(TREND_SHARE, NEAR_TIMES * by_chance, NEAR_ROWS / len(open_N)):
            return 0.0
        gain = near - by_chance
    here, there = columns
    return 0.0 if _breaks_habits(own, beside, there, here) else gain


def _trend(own: Numeric, other: Numeric, there: Any, here: Any, group: int) -> Trend:
    """Return the trend of a column in another, of what both show."""
    sides = []
    for column, values in ((other, there), (own, here)):
        shown, _ = to_units(column.vocabularies[0].drop_null(), column.decimals)
        units_N, valid_N = to_units(values, column.decimals)
        sides.append((np.clip(units_N, shown.min(), shown.max()), valid_N))
    (there_N, known_N), (here_N, valid_N) = sides
    both_N = known_N & valid_N
    if not both_N.any():
        return Trend(np.zeros(1), np.zeros(1), other.decimals)
    return learn_trend(there_N[both_N], here_N[both_N], other.decimals, group)


def _share(apart_N: Array, widths_N: Array, known_N: Array) -> float:
    """Return the share of rows that lie beside each other."""
    return float(np.mean(known_N & (np.abs(apart_N) <= widths_N)))


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


def _large(own: Numeric, here: Any) -> tuple[int, ...]:
    """Return the atoms of a column that a large share of the rows hold, and its null."""
    codes_N = own.codes_of(own.encode(pa.table({own.name: here})))
    shares = np.bincount(codes_N, minlength=own.codes) / len(codes_N)
    single = np.diff(own.first_cells) == 1
    return tuple(np.flatnonzero(single & (shares >= LARGE_SHARE)).tolist())


def _fit(columns: Sequence[Modelled], pair: Pair, records: pa.Table, group: int) -> Modelled:
    """Return the column of a pair with codes for differences."""
    own, other = columns[pair.column], columns[pair.neighbour]
    if not isinstance(own, Numeric):
        return own
    here, there = plain(records[own.name]), plain(records[other.name])
    beside = Beside(other.name, pair.reach, _large(own, here))
    if pair.trend and isinstance(other, Numeric):
        beside = beside._replace(trend=_exact(own, beside, (there, here), other, group))
    apart_N, beside_N = beside.apart(own, there, here)
    if np.count_nonzero(beside_N) < max(group, 2):
        return own
    name = f"{own.name} less {other.name}"
    found = pa.array(apart_N[beside_N])
    offsets = Numeric.fit(name, found, group, limits=(None, None), whole=False)
    return RelativeNumeric.of(own, offsets, beside)


def _exact(
    own: Numeric, beside: Beside, columns: tuple[Any, Any], other: Numeric, group: int
) -> Trend:
    """Return the trend, and whether nearly all rows beside it lie on it."""
    there, here = columns
    trend = _trend(own, other, there, here, group)
    close = beside._replace(trend=trend._replace(exact=True))
    apart_N, beside_N = close.apart(own, there, here)
    on_trend = np.mean(apart_N[beside_N] == 0) if beside_N.any() else 0.0
    return trend._replace(exact=bool(on_trend >= EXACT_SHARE))
