r"""One text per row that says its values and nothing of how they are stored. Pure.

Equal values give equal texts whatever their type, unit or scale: 1.50 as a decimal and 1.5 as a
float, 0.1 in single and in double precision, a time in seconds and in microseconds. A row is its
columns in the order of their names, joined by tabs; in text a backslash, a tab and a line end are
written `\\`, `\t` and `\n`, so that no text can pass for two, and a missing value is `\N`.

| type | text of a value |
|---|---|
| text | itself |
| whole number | its digits |
| float | the shortest digits that read back as it; -0.0 as 0; NaN is missing |
| decimal | its digits without zeros at the end |
| boolean | true, false |
| date | days since 1970-01-01 |
| timestamp | microseconds since 1970-01-01 00:00 (UTC where it has a zone) |
| time | microseconds since midnight |
"""

from collections.abc import Iterator, Sequence
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

_BLOCK_ROWS: Final = 1 << 15
_MISSING: Final = r"\N"


def row_texts(table: pa.Table, columns: Sequence[str]) -> Iterator[pa.Array]:
    """Yield the texts of the rows in blocks, as binary arrays.

    Args:
        table: columns of plain types (`storage.sources.tables.types`).
        columns: the names of those that count, in any order.
    """
    ordered = sorted(columns)
    for start in range(0, len(table), _BLOCK_ROWS):
        block = table.slice(start, _BLOCK_ROWS)
        texts = [_texts(block.column(name).combine_chunks()) for name in ordered]
        joined = pc.binary_join_element_wise(
            *texts, "\t", null_handling="replace", null_replacement=_MISSING
        )
        yield joined.cast(pa.binary())


def _texts(values: pa.Array) -> pa.Array:
    kind = values.type
    if pa.types.is_string(kind):
        return _escaped(values)
    if pa.types.is_floating(kind):
        return _float_texts(values)
    if pa.types.is_decimal(kind):
        return _decimal_texts(values)
    if pa.types.is_date(kind):
        return values.cast(pa.date32()).cast(pa.int32()).cast(pa.string())
    if pa.types.is_timestamp(kind):
        plain = values.cast(pa.timestamp("us", kind.tz), safe=False)
        return plain.cast(pa.int64()).cast(pa.string())
    if pa.types.is_time(kind):
        return values.cast(pa.time64("us"), safe=False).cast(pa.int64()).cast(pa.string())
    return values.cast(pa.string())


def _escaped(values: pa.Array) -> pa.Array:
    for plain, written in (("\\", r"\\"), ("\t", r"\t"), ("\n", r"\n")):
        values = pc.replace_substring(values, plain, written)
    return values


def _float_texts(values: pa.Array) -> pa.Array:
    numbers = pc.add(values, pa.scalar(0, values.type))  # -0.0 + 0 is 0
    nothing = pa.scalar(None, values.type)
    return pc.if_else(pc.is_nan(numbers), nothing, numbers).cast(pa.string())


def _decimal_texts(values: pa.Array) -> pa.Array:
    texts = pc.utf8_lower(values.cast(pa.string()))
    texts = pc.replace_substring_regex(texts, r"^(-?\d+)\.(\d*?)0*(e.*)?$", r"\1.\2\3")
    return pc.replace_substring_regex(texts, r"\.(e|$)", r"\1")
