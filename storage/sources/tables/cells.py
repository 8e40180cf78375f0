"""Blocks of a streamed table, every cell read as the sample has proven its column to be.

A cell that does not fit says that the sample has proven too little: it is a misfit, and its row is
evidence when the types are decided again. Nothing is read here that the types of all rows, decided
at once, would not have read so.

Shape legend: N rows of a block.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from storage.sources.tables.csv_numbers import ALL_NULLS, float_pattern, integer_pattern
from storage.sources.tables.csv_write import marks_of, values_of
from storage.sources.tables.dialect import Style, dialect_of
from storage.sources.tables.text_columns import TEXT, stored_column
from storage.sources.tables.whole_dates import is_whole_date, read_days

Mask = NDArray[np.bool_]

_LOOSE: Final = "^-?[0-9]{1,18}$"
_FEW: Final = 64
"""Cells among which no single misfit is looked for."""


@dataclass(frozen=True, kw_only=True)
class ReadCells:
    """A block with the types of the sample."""

    table: pa.Table
    """N rows; a misfit is null."""
    misfit_N: Mask
    """Rows in which a cell does not fit."""


class CellReader:
    """Reads blocks as the sample was read."""

    def __init__(
        self, schema: pa.Schema, sample: pa.Table, loose: frozenset[str], *, csv: bool
    ) -> None:
        """Prepare to read.

        Args:
            schema: of the records, with their dialect.
            sample: the rows that it was decided on, as blocks hold them.
            loose: columns whose whole numbers may begin with zeros, as the recipe says the kind.
            csv: whether blocks hold the texts of CSV.
        """
        self._schema, self._csv, self._loose = schema, csv, loose
        self._dialect = dialect_of(schema)
        self._known = {
            name: frozenset(_null_words(sample.column(name)))
            for name in schema.names
            if csv and name in sample.column_names and pa.types.is_string(sample[name].type)
        }

    def read(self, block: pa.Table) -> ReadCells:
        """Return a block with the types of the sample."""
        misfit_N = np.zeros(len(block), np.bool_)
        columns = []
        for field in self._schema:
            values, misfits = self._column(block.column(field.name).combine_chunks(), field)
            misfit_N |= misfits
            columns.append(values)
        return ReadCells(table=pa.table(columns, schema=self._schema), misfit_N=misfit_N)

    def _column(self, cells: pa.Array, field: pa.Field) -> tuple[pa.Array, Mask]:
        cells = cells.combine_chunks() if isinstance(cells, pa.ChunkedArray) else cells
        style, none = self._dialect.style(field.name), np.zeros(len(cells), np.bool_)
        if self._csv and field.name in self._known:
            return self._csv_texts(cells, field, style)
        if is_whole_date(style, field.type) and pa.types.is_integer(cells.type):
            return _salvaged(cells, field.type, _whole_days)
        if style.stored == TEXT:
            return _salvaged(cells, field.type, self._exactly(field.type, style))
        if cells.type == field.type:
            return cells, none
        return _salvaged(cells, field.type, lambda some: some.cast(field.type))

    def _csv_texts(self, cells: pa.Array, field: pa.Field, style: Style) -> tuple[pa.Array, Mask]:
        trimmed = pc.utf8_trim_whitespace(cells)
        words = pa.array(["", *style.nulls], pa.string())
        null = pc.is_in(trimmed, value_set=words)
        unknown = sorted({*ALL_NULLS} - {*style.nulls} - self._known[field.name])
        odd = pc.is_in(trimmed, value_set=pa.array(unknown, pa.string()))
        odd_N = odd.to_numpy(zero_copy_only=False)
        if pa.types.is_string(field.type):
            return pc.if_else(null, pa.scalar(None, pa.string()), cells), odd_N
        texts = pc.if_else(null, pa.scalar(None, pa.string()), trimmed)
        pattern = self._pattern(field, style)
        if pattern is not None:
            fits = pc.fill_null(pc.match_substring_regex(texts, pattern), fill_value=True)
            odd_N = odd_N | ~fits.to_numpy(zero_copy_only=False)
        texts = pc.if_else(pa.array(odd_N), pa.scalar(None, pa.string()), texts)
        plain = replace(style, null="")
        values, misfits = _salvaged(
            texts, field.type, lambda some: values_of(some, field.type, self._dialect, plain)
        )
        return values, misfits | odd_N

    def _pattern(self, field: pa.Field, style: Style) -> str | None:
        """Return the expression of the numbers of a column; None where reading is strict itself."""
        kind = field.type
        if style.affixes is not None or style.negative is not None:
            return None
        marks = marks_of(self._dialect, style)
        whole = pa.types.is_integer(kind) and not style.decimals and style.stored is None
        if whole:
            zeros = f"|{_LOOSE}" if field.name in self._loose else ""
            return integer_pattern(marks.thousands) + zeros
        numbers = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
        if any(test(kind) for test in numbers):
            return float_pattern(marks.decimal, marks.thousands)
        return None

    def _exactly(self, kind: pa.DataType, style: Style) -> Callable[[pa.Array], pa.Array]:
        """Return what reads texts of which every one must be written again as it is."""

        def read(some: pa.Array) -> pa.Array:
            texts = some
            if style.nulls:
                missing = pc.equal(some, style.null)
                texts = pc.if_else(missing, pa.scalar(None, pa.string()), some)
            values = values_of(texts, kind, self._dialect, replace(style, null=""))
            again = stored_column(pa.chunked_array([values]), self._dialect, style)
            if not again.equals(pa.chunked_array([some])):
                msg = "a text is not written again as it is"
                raise ValueError(msg)
            return values

        return read


def _whole_days(some: pa.Array) -> pa.Array:
    return read_days(pa.chunked_array([some])).combine_chunks()


def _salvaged(
    cells: pa.Array, kind: pa.DataType, read: Callable[[pa.Array], pa.Array]
) -> tuple[pa.Array, Mask]:
    """Return what can be read, and where the rest is: pieces that hold a misfit are null."""
    try:
        return read(cells).cast(kind), np.zeros(len(cells), np.bool_)
    except (ValueError, pa.ArrowInvalid, pa.ArrowNotImplementedError):
        if len(cells) <= _FEW:
            return pa.nulls(len(cells), kind), np.ones(len(cells), np.bool_)
    half = len(cells) // 2
    first, first_misfits = _salvaged(cells.slice(0, half), kind, read)
    second, second_misfits = _salvaged(cells.slice(half), kind, read)
    values = pa.concat_arrays([first, second])
    return values, np.concatenate([first_misfits, second_misfits])


def _null_words(column: pa.ChunkedArray) -> list[str]:
    """Return the words of a column that may stand for a missing value."""
    trimmed = pc.utf8_trim_whitespace(column)
    found = pc.is_in(trimmed, value_set=pa.array(ALL_NULLS, pa.string()))
    words: list[str] = pc.unique(trimmed.filter(found)).to_pylist()
    return words
