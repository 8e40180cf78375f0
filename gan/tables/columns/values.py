"""Columns of Arrow values: which types a table may have, their numbers as exact units, their cells.

The table of types is closed: what is not in it is refused, so nothing of a snapshot is executed.
Vocabularies become JSON that is exact to the last bit.

Numbers of every kind become one array of units, and back: integers, dates, times and timestamps are
themselves; a decimal is its unscaled integer; floats that are all multiples of 10^-k (k up to 9)
are integers in that unit, so that their rounding stays; other floats stay floats. Whole numbers
that are all months, such as 202401, are counted in months.

A modelled column is a vocabulary of cells, each of which belongs to one code.

Shapes: N rows, K_j codes of column j.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Any, ClassVar, Literal, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa

from gan.errors import DataError, SnapshotError
from storage.records.table_metadata import TableMetadata, read_table_metadata

Array = np.ndarray[Any, Any]
Described = TypeVar("Described")
"""What says what columns mean: of tables, of series."""

PLAIN: dict[str, Any] = {
    str(kind): kind
    for kind in (
        pa.bool_(),
        *(pa.int8(), pa.int16(), pa.int32(), pa.int64()),
        *(pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
        *(pa.float16(), pa.float32(), pa.float64()),
        *(pa.string(), pa.large_string()),
        *(pa.date32(), pa.date64()),
        *(pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns")),
        *(pa.timestamp(unit) for unit in ("s", "ms", "us", "ns")),
        *(pa.duration(unit) for unit in ("s", "ms", "us", "ns")),
    )
}
"""Text → type, of those without parameters that are free."""

DECIMAL = re.compile(r"decimal(128|256)\((\d+), (-?\d+)\)")
TIMESTAMP = re.compile(r"timestamp\[(s|ms|us|ns), tz=(.+)\]")
DICTIONARY = re.compile(r"dictionary<values=(.+), indices=(u?int\d+), ordered=([01])>")
STORED = {8: pa.int8(), 16: pa.int16(), 32: pa.int32(), 64: pa.int64()}
"""Width in bits → the integers behind a date, time, timestamp or duration."""


def parse_type(text: str) -> Any:
    """Return the Arrow type that `str` wrote.

    Raises:
        SnapshotError: it is none of those that a table may have.
    """
    if text in PLAIN:
        return PLAIN[text]
    if found := DECIMAL.fullmatch(text):
        make = {"128": pa.decimal128, "256": pa.decimal256}[found[1]]
        return make(int(found[2]), int(found[3]))
    if found := TIMESTAMP.fullmatch(text):
        return pa.timestamp(found[1], tz=found[2])
    if found := DICTIONARY.fullmatch(text):
        return pa.dictionary(PLAIN[found[2]], parse_type(found[1]), ordered=found[3] == "1")
    msg = f"{text!r} is no type of a table's column: train the generator again"
    raise SnapshotError(msg)


def check_type(name: str, kind: Any) -> None:
    """Refuse a column of a type that no codec supports.

    Raises:
        DataError: the type is none of those above.
    """
    try:
        supported = parse_type(str(kind)) == kind
    except SnapshotError:
        supported = False
    if not supported:
        msg = (
            f"column {name!r} is {kind}, which is not supported: booleans, numbers, decimals, "
            "strings, dates, times and timestamps are; convert it or leave it out"
        )
        raise DataError(msg)


def plain(column: Any) -> Any:
    """Return a column in one piece and without dictionary; NaN as null."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if not pa.types.is_floating(column.type):
        return column
    values = column.to_numpy(zero_copy_only=False)
    return pa.array(values, type=column.type, mask=np.isnan(values))


def require_metadata(schema: Any) -> TableMetadata:
    """Return the description of the columns in a schema's metadata; see `require_described`."""
    return require_described(read_table_metadata, schema)


def require_described(read: Callable[[Any], Described | None], schema: Any) -> Described:
    """Return what a schema's metadata says of its columns, as `read` reads it.

    Raises:
        DataError: there is none, or not of exactly these columns.
    """
    try:
        found = read(schema)
    except ValueError as error:
        raise DataError(str(error)) from error
    if found is None:
        msg = "the records do not say what their columns mean: prepare them with ganmill first"
        raise DataError(msg)
    return found


def to_plain(values: Any) -> list[Any]:
    """Return a vocabulary as JSON: integers behind dates and times, decimals as strings."""
    kind = values.type
    if pa.types.is_temporal(kind):
        return values.view(STORED[kind.bit_width]).to_pylist()  # type: ignore[no-any-return]
    if pa.types.is_decimal(kind):
        return [None if value is None else str(value) for value in values.to_pylist()]
    if pa.types.is_float16(kind):
        return values.cast(pa.float32()).to_pylist()  # type: ignore[no-any-return]
    return values.to_pylist()  # type: ignore[no-any-return]


def from_plain(values: list[Any], kind: Any) -> Any:
    """Return a vocabulary again; `kind` is a type without dictionary."""
    if pa.types.is_temporal(kind):
        return pa.array(values, type=STORED[kind.bit_width]).view(kind)
    if pa.types.is_decimal(kind):
        texts = [None if value is None else Decimal(value) for value in values]
        return pa.array(texts, type=kind)
    if pa.types.is_float16(kind):
        return pa.array(values, type=pa.float32()).cast(kind)
    return pa.array(values, type=kind)


def per_second(kind: Any) -> int:
    """Return how many units of a type of moments or times make a second."""
    return {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[str(kind.unit)]


MOST_SHORT = 2**16 - 1
"""So many codes fit 16 bits, and one more than each of them, too."""
MOST_DECIMALS = 9
LARGEST = 2**61
"""Largest unit: differences of two fit 64 bits."""
EXACT = {2: 2.0**11, 4: 2.0**24, 8: 2.0**53}
"""Bytes of a float → bound below which it holds every integer."""


MONTHS = -1
"""Stands for decimals where a unit is a month, of whole numbers such as 202401."""
MONTH_ENDS = (190_001, 210_012)
FEWEST_MONTHS = 24
"""Different numbers; of six digits one in eight is a month, so that so many are none by chance."""


class NumberError(DataError):
    """Numbers that cannot be modelled; the message completes a sentence that names the column."""


def is_number(kind: Any) -> bool:
    """Say whether columns of this type can be modelled as numbers."""
    types = pa.types
    tests = (types.is_integer, types.is_floating, types.is_decimal, types.is_temporal)
    return any(test(kind) for test in tests)


def find_decimals(column: Any) -> int | None:
    """Return the fewest decimals that write every float of the column; None when none do.

    Columns of other types have 0: their integers are the unit.
    """
    if not pa.types.is_floating(column.type):
        return 0
    values = _floats(column)
    kind = column.type.to_pandas_dtype()
    for decimals in range(MOST_DECIMALS + 1):
        scaled = np.rint(values * 10.0**decimals)
        if not np.all(np.abs(scaled) < EXACT[np.dtype(kind).itemsize]):
            return None
        if np.array_equal((scaled / 10.0**decimals).astype(kind).astype(np.float64), values):
            return decimals
    return None


def are_months(column: Any) -> bool:
    """Say whether all whole numbers of a column are months, and different enough to know it."""
    if not pa.types.is_integer(column.type) or column.type.bit_width < 32:
        return False
    distinct = column.drop_null().unique().to_numpy()
    within = (distinct >= MONTH_ENDS[0]) & (distinct <= MONTH_ENDS[1])
    month = distinct % 100
    return len(distinct) >= FEWEST_MONTHS and bool(np.all(within & (month >= 1) & (month <= 12)))


def to_units(column: Any, decimals: int | None) -> tuple[Array, Array]:
    """Return `units_N` (int64, or floats when decimals is None) and `valid_N`; 0 where null.

    Raises:
        NumberError: infinite values, or integers beyond 2^61.
    """
    column = plain(column)
    valid_N = np.ones(len(column), dtype=bool)
    if column.null_count:
        valid_N = column.is_valid().to_numpy(zero_copy_only=False)
        column = column.fill_null(_zero(column.type))
    if pa.types.is_floating(column.type):
        values = _float_units(_floats(column), decimals)
        return values.astype(column.type.to_pandas_dtype()) if decimals is None else values, valid_N
    units_N = _integer_units(column)
    if decimals == MONTHS:
        units_N = units_N // 100 * 12 + np.clip(units_N % 100, 1, 12) - 1
    return units_N, valid_N


def from_units(units: Array, decimals: int | None, kind: Any) -> Any:
    """Return units as an Arrow array of a column's type without dictionary."""
    if pa.types.is_floating(kind):
        values = units if decimals is None else units / 10.0**decimals
        return pa.array(values.astype(kind.to_pandas_dtype()), type=kind)
    if pa.types.is_decimal(kind):
        words = np.stack([units, units >> 63], axis=1).astype(np.int64)
        wide = pa.decimal128(38, kind.scale)
        buffers = [None, pa.py_buffer(words.tobytes())]
        return pa.Array.from_buffers(wide, len(units), buffers).cast(kind)
    if pa.types.is_temporal(kind):
        return pa.array(units).cast(STORED[kind.bit_width]).view(kind)
    if decimals == MONTHS:
        units = units // 12 * 100 + units % 12 + 1
    return pa.array(units).cast(kind)


def _floats(column: Any) -> Array:
    """Return float64 values; refuses infinite ones."""
    values: Array = column.drop_null().to_numpy(zero_copy_only=False).astype(np.float64)
    infinite = int(np.isinf(values).sum())
    if infinite:
        msg = f"holds {infinite} infinite values: replace them by nulls or leave those rows out"
        raise NumberError(msg)
    return values


def _float_units(values: Array, decimals: int | None) -> Array:
    """Return floats in units of 10^-decimals."""
    if decimals is None:
        return values
    scaled = np.rint(values * 10.0**decimals)
    return np.clip(scaled, -float(LARGEST), float(LARGEST)).astype(np.int64)


def _integer_units(column: Any) -> Array:
    """Return the integers behind a column without nulls."""
    kind = column.type
    if pa.types.is_decimal(kind):
        wide = column.cast(pa.decimal128(38, kind.scale))
        words = np.frombuffer(wide.buffers()[1], dtype=np.int64).reshape(-1, 2)
        words = words[wide.offset : wide.offset + len(wide)]
        fits = bool(np.all(words[:, 1] == words[:, 0] >> 63))
        units = words[:, 0].copy()
    elif pa.types.is_temporal(kind):
        units, fits = column.view(STORED[kind.bit_width]).to_numpy().astype(np.int64), True
    else:
        values = column.to_numpy()
        fits = not len(values) or int(values.max()) <= LARGEST
        units = values.astype(np.int64)
    if not fits or (len(units) and max(int(units.max()), -int(units.min())) > LARGEST):
        msg = "holds numbers beyond 2^61: declare it as a key or a category, or rescale it"
        raise NumberError(msg)
    return units


def _zero(kind: Any) -> Any:
    """Return the value that stands in for null."""
    return from_plain(["0" if pa.types.is_decimal(kind) else 0], kind)[0]


class CodePlaces(NamedTuple):
    """Which codes of a column are alike; shared by networks."""

    along: tuple[int, ...]
    """Place of each code in the order of the values; several may share one."""
    phases: tuple[int, ...]
    """Codes of one phase are alike wherever they lie; -1 is none."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Modelled:
    """One column that networks learn: one column of the table, or several jointly."""

    type_name: ClassVar[str] = ""
    """Its kind in JSON."""

    name: str
    """The column's name; of several the names, joined by ` + `."""
    kind: Literal["category", "numeric"]
    """Numeric codes are in the order of their values, those of parts of a bin side by side, the
    null's last."""
    fields: tuple[str, ...]
    """The columns of the table."""
    vocabularies: tuple[Any, ...]
    """Of each of `fields` the value of every cell: Arrow arrays of one length."""
    first_cells: Array
    """int32 (K_j + 1,): the cells of code k are `first_cells[k]` up to `first_cells[k + 1]`."""
    notes: tuple[str, ...] = field(default=())
    """What was changed for privacy, in sentences that name no rare value."""

    @property
    def codes(self) -> int:
        """Number of codes, K_j."""
        return len(self.first_cells) - 1

    @property
    def cells(self) -> int:
        """Number of cells."""
        return int(self.first_cells[-1])

    @cached_property
    def code_of_cell(self) -> Array:
        """The code of every cell, in as few bytes as hold it: large columns have a million cells.

        To compute with codes, take those of `codes_of`.
        """
        kind = np.uint16 if self.codes < MOST_SHORT else np.int32
        return np.repeat(np.arange(self.codes, dtype=kind), np.diff(self.first_cells))

    def codes_of(self, cells_N: Array) -> Array:
        """Return the codes of cells, int64."""
        codes_N: Array = self.code_of_cell[cells_N].astype(np.int64)
        return codes_N

    @property
    def is_smooth(self) -> bool:
        """Whether neighbouring codes are alike, so that networks let them share strength."""
        return self.kind == "numeric"

    @property
    def places(self) -> CodePlaces:
        """Where every code lies, for networks that let alike ones share strength."""
        return CodePlaces(tuple(range(self.codes)), (-1,) * self.codes)

    def encode_with_label(self, records: pa.Table, groups_N: Array) -> Array:  # noqa: ARG002
        """Return `cells_N` of records whose label's groups are known; most columns do without."""
        return self.encode(records)

    def positions(self, cells_N: Array) -> Array:
        """Return the position of cells inside their code, in (0, 1)."""
        codes_N = self.codes_of(cells_N)
        start_N, end_N = self.first_cells[codes_N], self.first_cells[codes_N + 1]
        positions_N: Array = (cells_N - start_N + 0.5) / (end_N - start_N)
        return positions_N

    @property
    def has_null(self) -> bool:
        """Whether some cell is null."""
        return any(vocabulary.null_count for vocabulary in self.vocabularies)

    @property
    def parents(self) -> tuple[str, ...]:
        """Columns that must be decoded before."""
        return ()

    @cached_property
    def relative(self) -> Array:
        """Which cells have no value of their own, bool: it follows from another column's."""
        return np.broadcast_to(np.zeros(1, dtype=bool), self.cells)

    def decode(self, cells_N: Array, found: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return the values of cells in each of `fields`.

        Args:
            cells_N: contiguous.
            found: the values of `parents`, by name.
        """
        del found
        indices = pa.array(cells_N)
        return tuple(vocabulary.take(indices) for vocabulary in self.vocabularies)

    def vocabulary(self, column: str) -> Any:
        """Return the values of the cells in one column of the table."""
        return self.vocabularies[self.fields.index(column)]

    def encode(self, records: pa.Table) -> Array:
        """Return `cells_N` int32 of records."""
        raise NotImplementedError

    def to_json(self) -> dict[str, Any]:
        """Return the column as JSON; no value that few rows hold."""
        raise NotImplementedError
