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

Shapes: N rows, C cells.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gan.errors import DataError
from gan.tables.columns.numeric import Numeric
from gan.tables.columns.trend import Trend, on_trend
from gan.tables.columns.values import Modelled, NumberError, from_units, plain, to_units

Array = np.ndarray[Any, Any]


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
        try:
            if self.trend is None:
                return to_units(there, own.decimals)
            there_N, known_N = self.trend.at(there)
        except NumberError as error:
            msg = f"column {self.neighbour!r} {error}"
            raise DataError(msg) from error
        return (there_N if own.decimals is None else np.rint(there_N).astype(np.int64)), known_N

    def apart(self, own: Numeric, there: Any, here: Any) -> tuple[Array, Array]:
        """Return how much more the values are than what is expected, and which are beside it."""
        codes_N = own.codes_of(own.encode(pa.table({own.name: here})))
        here_N, valid_N = to_units(here, own.decimals)
        there_N, known_N = self.expected(own, there)
        apart_N, widths_N = here_N - there_N, own.widths[codes_N]
        if self.trend is not None and self.trend.exact:
            apart_N = np.where(on_trend(apart_N, widths_N), 0, apart_N)
        near_N = np.abs(apart_N) <= self.reach * widths_N
        return apart_N, near_N & valid_N & known_N & ~np.isin(codes_N, self.kept)
