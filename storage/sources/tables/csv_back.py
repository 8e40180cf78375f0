"""CSV of a known dialect to rows again, exactly as they were written."""

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from storage.sources.tables.csv_dates import parse
from storage.sources.tables.csv_faults import rewritten
from storage.sources.tables.csv_layout import Layout, first_record
from storage.sources.tables.csv_numbers import Marks, plain_texts
from storage.sources.tables.csv_writer import safe_format
from storage.sources.tables.dialect import Dialect, Style

_BLOCK_BYTES: Final = 16 << 20


def read_rows(data: bytes, schema: pa.Schema, dialect: Dialect) -> pa.Table:
    """Return the rows that `csv_writer.write_rows` wrote.

    Raises:
        ValueError: the bytes are something else (also `UnicodeDecodeError` and `ArrowInvalid`).
    """
    texts = read_texts(data, dialect)
    titles = [dialect.style(name).header for name in schema.names]
    wanted = [n if title is None else title for n, title in zip(schema.names, titles, strict=True)]
    if texts.column_names != wanted:
        msg = f"the header is {', '.join(texts.column_names)}, not {', '.join(wanted)}"
        raise ValueError(msg)
    columns = [
        _typed(column.combine_chunks(), field.type, dialect, dialect.style(field.name))
        for column, field in zip(texts.columns, schema, strict=True)
    ]
    return pa.table(columns, schema=schema.remove_metadata())


def read_texts(data: bytes, dialect: Dialect) -> pa.Table:
    """Return all fields as text under the titles of the header; bare empty fields are null.

    Raises:
        ValueError: it is no text of this encoding, has no header, or rows of different lengths.
    """
    text = data.decode(dialect.encoding).removeprefix("\ufeff")
    if dialect.sep_line:
        text = text.partition("\n")[2]
    if not text.endswith(dialect.line_end) or text.count(dialect.quote) % 2:
        msg = "it ends within a line or a quoted field"
        raise ValueError(msg)
    if dialect.space:
        text = _without_spaces(text, dialect)
    titles, end = first_record(text, dialect.delimiter, dialect.quote)
    names = [str(number) for number in range(len(titles))]
    kept = len(titles) - dialect.trailing
    body = text[end:].encode()
    if not body:
        return pa.table([pa.array([], pa.string())] * kept, names=titles[:kept])
    table = pa_csv.read_csv(
        pa.BufferReader(body),
        pa_csv.ReadOptions(column_names=names, block_size=_BLOCK_BYTES),
        pa_csv.ParseOptions(
            delimiter=dialect.delimiter, quote_char=dialect.quote, newlines_in_values=True
        ),
        pa_csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            null_values=[""],
        ),
    )
    return table.select(range(kept)).rename_columns(titles[:kept])


def _without_spaces(text: str, dialect: Dialect) -> str:
    layout = Layout(
        delimiter=dialect.delimiter,
        quote=dialect.quote,
        line_end=dialect.line_end,
        space=True,
        sep_line=False,
        header=(),
        header_end=0,
    )
    return rewritten(text.encode(), layout).decode()


def _typed(texts: pa.Array, kind: pa.DataType, dialect: Dialect, style: Style) -> pa.Array:
    if style.null:
        missing = pc.equal(texts, style.null)
        texts = pc.if_else(missing, pa.scalar(None, pa.string()), texts)
    if pa.types.is_string(kind):
        return texts
    if pa.types.is_temporal(kind):
        return _moments(texts, kind, style)
    if pa.types.is_boolean(kind):
        return _booleans(texts, style)
    if pa.types.is_null(kind):
        return pa.nulls(len(texts)) if texts.null_count == len(texts) else texts.cast(kind)
    return plain_texts(texts, Marks(decimal=dialect.decimal, thousands=dialect.thousands)).cast(
        kind
    )


def _booleans(texts: pa.Array, style: Style) -> pa.Array:
    true, false = style.booleans or ("true", "false")
    values = pc.equal(texts, true)
    if not pc.all(pc.or_(values, pc.equal(texts, false)), min_count=0).as_py():
        msg = f"a field is neither {true} nor {false}"
        raise ValueError(msg)
    return values


def _moments(texts: pa.Array, kind: pa.DataType, style: Style) -> pa.Array:
    """Read moments in the column's format, or in the one that loses nothing."""
    missing = pc.is_null(texts)
    present = texts.drop_null()
    forms = [safe_format(kind, micros=False), safe_format(kind, micros=True)]
    for form in [style.format, *forms] if style.format else forms:
        parsed = parse(present, form)
        if parsed.ok_N.all():
            values = np.zeros(len(texts), np.int64)
            values[~missing.to_numpy(zero_copy_only=False)] = parsed.micros_N
            return _as_kind(pa.array(values, mask=missing.to_numpy(zero_copy_only=False)), kind)
    msg = f"a field is no {kind} as {' or '.join(forms)}"
    raise ValueError(msg)


def _as_kind(micros: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_time(kind):
        return micros.cast(pa.time64("us")).cast(kind)
    zone = getattr(kind, "tz", None)
    return micros.cast(pa.timestamp("us", zone)).cast(kind)
