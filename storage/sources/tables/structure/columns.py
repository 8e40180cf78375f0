"""The columns of a table as the search for structure sees them: numbers, moments, levels.

A number is compared on its column's own grid: `decimals` is the fewest that write all values. What
a rule computes agrees with a column when it differs by half a step at most, that is, when it is
equal once rounded as the column is.

N rows of the table, S of them in the sample.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from storage.records.schema import Column

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

SAMPLE_ROWS: Final = 2000
LEAST_ROWS: Final = 100
"""So many rows must tell a rule: in them it holds though no smaller one explains it."""

LEAST_SHARE: Final = 0.05
"""So large a share of the rows must tell a rule, and would break it were they shuffled."""

_MOST_DECIMALS: Final = 8
_TRAIN_SHARE: Final = 0.6
_MOST_TIES: Final = 0.6
_LEAST_STEP: Final = 1e-3
"""Noise is never taken for more than this share of a column's step."""

_FLOAT_NOISE: Final = 1e-9
_FLOAT32_NOISE: Final = 1e-6
NUMBERS: Final = frozenset({"integer", "float", "decimal"})


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """A column of numbers."""

    values_N: Floats
    """NaN where there is none."""
    decimals: int | None
    """The fewest that write all values; None where eight do not."""
    noise: float
    """Relative error of the values as they are stored."""

    @property
    def step(self) -> float:
        """The distance of two neighbouring values on the column's grid; 0 without decimals."""
        return 0.0 if self.decimals is None else 10.0**-self.decimals

    def differs(
        self, computed_N: Floats, rows: Any = slice(None), size_N: Floats | None = None
    ) -> Mask:
        """Whether what a rule computes is another number than the column's, once rounded as it is.

        A missing number differs from none.

        Args:
            computed_N: what the rule computes.
            rows: the rows of the column that it is for.
            size_N: of the terms of a sum, whose noise it has; None = its own.
        """
        values_N = self.values_N[rows]
        size_N = np.abs(computed_N) if size_N is None else size_N
        slack_N = self.noise * np.fmax(np.abs(values_N), size_N) + 1e-12
        if self.step:
            slack_N = np.minimum(slack_N, _LEAST_STEP * self.step)
        differs: Mask = np.abs(values_N - computed_N) > self.step * (0.5 + 1e-6) + slack_N
        return differs

    def is_rounded_from(
        self, computed_N: Floats, rows: Any = slice(None), size_N: Floats | None = None
    ) -> bool:
        """Whether all values are computed ones, rounded to the nearest, or all down, or all up."""
        differs_N = self.differs(computed_N, rows, size_N)
        if not self.step:
            return not differs_N.any()
        steps_N = computed_N / self.step
        if not differs_N.any():
            return _ties_agree(self.values_N[rows] / self.step, steps_N)
        room_N = np.minimum(1e-6 + self.noise * np.abs(steps_N), _LEAST_STEP)
        down_N, up_N = np.floor(steps_N + room_N), np.ceil(steps_N - room_N)
        ways = (down_N * self.step, up_N * self.step)
        return any(
            not (np.abs(self.values_N[rows] - one_N) > self.step / 4).any() for one_N in ways
        )


@dataclass(frozen=True, kw_only=True)
class LevelCodes:
    """A column as numbers of its different values, 0, 1, …; what is missing is a value, too."""

    codes_N: NDArray[np.int32]
    values: pa.Array
    """Of L levels: the value of each."""
    counts_L: Ints
    """In all rows."""
    shown_L: Ints
    """In the rows that count for privacy."""

    @cached_property
    def null(self) -> int | None:
        """The code of what is missing."""
        place = pc.index(self.values.is_null(), True).as_py()
        return None if place < 0 else int(place)


class TableColumns:
    """The columns of a table, each turned into numbers and levels when it is first looked at."""

    def __init__(
        self,
        table: pa.Table,
        columns: Sequence[Column],
        min_group: int,
        train_N: Mask | None = None,
    ) -> None:
        """Read the kinds.

        Args:
            table: N rows; columns that `columns` does not name are not looked at.
            columns: what they are.
            min_group: fewer rows than that show no value.
            train_N: the rows that count for it; without them, all do, and more must hold a value.
        """
        self.kinds = {c.name: c.kind for c in columns if c.name in table.column_names}
        self.rows = len(table)
        self.least_shown = min_group if train_N is not None else ceil(min_group / _TRAIN_SHARE)
        self._table, self._train_N = table, train_N
        self._levels: dict[str, LevelCodes] = {}
        self.sample_S = self.spread(SAMPLE_ROWS)

    @property
    def names(self) -> list[str]:
        """All columns that rules may be about, in their order."""
        return [n for n, kind in self.kinds.items() if kind not in ("key", "text", "constant")]

    @cached_property
    def quantities(self) -> Mapping[str, Quantity]:
        """The columns of numbers that have two values or more."""
        names = [name for name in self.names if self.kinds[name] in NUMBERS]
        found = {name: read_quantity(self._table.column(name)) for name in names}
        return {name: one for name, one in found.items() if np.nanstd(one.values_N) > 0}

    def numbers(self, skipped: Collection[str], most: int) -> list[str]:
        """Return the names of so many columns of numbers, at most, that are not skipped."""
        return [name for name in self.quantities if name not in skipped][:most]

    @cached_property
    def moments(self) -> Mapping[str, Floats]:
        """Dates and timestamps in seconds, NaN where there is none."""
        names = [name for name in self.names if self.kinds[name] in ("date", "timestamp")]
        return {name: seconds_of(self._table.column(name)) for name in names}

    def column(self, name: str) -> pa.ChunkedArray:
        """Return a column as it is."""
        return self._table.column(name)

    def spread(self, rows: int) -> Ints:
        """Return so many rows, or all of fewer, evenly spread."""
        places = np.linspace(0, max(self.rows - 1, 0), min(self.rows, rows))
        return np.unique(places.astype(np.int64))

    def levels(self, name: str) -> LevelCodes:
        """Return the levels of a column."""
        if name not in self._levels:
            self._levels[name] = self._read_levels(self._table.column(name))
        return self._levels[name]

    def may_show(self, name: str) -> Mask:
        """Return for each level of a column whether enough rows hold it."""
        shown: Mask = self.levels(name).shown_L >= self.least_shown
        return shown

    def _read_levels(self, column: pa.ChunkedArray) -> LevelCodes:
        coded = column.combine_chunks().dictionary_encode(null_encoding="encode")
        codes_N = coded.indices.to_numpy(zero_copy_only=False).astype(np.int32)
        count = len(coded.dictionary)
        counts_L = np.bincount(codes_N, minlength=count)
        train_N = self._train_N
        counted_N = codes_N if train_N is None else codes_N[train_N]
        return LevelCodes(
            codes_N=codes_N,
            values=coded.dictionary,
            counts_L=counts_L,
            shown_L=np.bincount(counted_N, minlength=count),
        )


def _ties_agree(values_N: Floats, computed_N: Floats) -> bool:
    """Whether halves are rounded in one way, where nearly all numbers are halves.

    Else programs round them as the noise of their floats has it.
    """
    off_N = values_N - computed_N
    tie_N = np.abs(np.abs(off_N) - 0.5) <= 1e-5
    if tie_N.mean() <= _MOST_TIES:
        return True
    up_N = (off_N > 0)[tie_N]
    away_N = up_N == (computed_N > 0)[tie_N]
    even_N = np.abs(np.remainder(values_N[tie_N] + 0.5, 2) - 0.5) < 0.5
    return any(bool(one_N.all()) for one_N in (up_N, ~up_N, away_N, ~away_N, even_N))


def read_quantity(column: pa.ChunkedArray) -> Quantity:
    """Return a column of numbers, its grid and its noise."""
    single = pa.types.is_float32(column.type) or pa.types.is_float16(column.type)
    noise = _FLOAT32_NOISE if single else _FLOAT_NOISE
    values_N = np.asarray(pc.cast(column, pa.float64(), safe=False).to_numpy(), dtype=np.float64)
    values_N = np.where(np.isfinite(values_N), values_N, np.nan)
    decimals = 0 if pa.types.is_integer(column.type) else _decimals(values_N, noise)
    if decimals is not None and decimals > 0:
        values_N = np.round(values_N, decimals)
    return Quantity(values_N=values_N, decimals=decimals, noise=noise)


def _decimals(values_N: Floats, noise: float) -> int | None:
    present = values_N[~np.isnan(values_N)]
    size = np.abs(present)
    for decimals in range(_MOST_DECIMALS + 1):
        off = np.abs(present - np.round(present, decimals))
        allowed = np.minimum(noise * size + 1e-12, 0.01 * 10.0**-decimals)
        if not (off > allowed).any():
            return decimals
    return None


def seconds_of(column: pa.Array | pa.ChunkedArray) -> Floats:
    """Return dates or timestamps in seconds since 1970, NaN where there is none."""
    if pa.types.is_date(column.type):
        counted = pc.cast(pc.cast(column, pa.date32()), pa.int32())
        return np.asarray(counted.to_numpy(zero_copy_only=False), dtype=np.float64) * 86_400
    units = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
    per_second = units[column.type.unit]
    counted = pc.cast(column, pa.int64()).to_numpy(zero_copy_only=False)
    return np.asarray(counted, dtype=np.float64) / per_second


def as_text(value: Any) -> str:
    """Return a value as constraints write it: `3`, `0.5`, `true`, `2026-01-31`, `null`."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)
