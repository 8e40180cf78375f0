"""Rows as CSV in a given dialect, and exactly these rows again.

The bytes depend on rows and dialect alone.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from storage.sources.tables.csv_dates import DAY_US, SECOND_US, has_time, parse, write
from storage.sources.tables.csv_file import first_record, read_fields, rewritten
from storage.sources.tables.csv_numbers import DIGITS, Marks, plain_texts
from storage.sources.tables.dialect import Dialect, Style

_BATCH_ROWS: Final = 65_536
_BOOLEANS: Final = ("true", "false")
_SAFE_DATES: Final = "%Y-%m-%d"
_SAFE_SECONDS: Final = "%H:%M:%S"
_SAFE_MICROS: Final = "%H:%M:%S.%f"


def write_rows(table: pa.Table, dialect: Dialect) -> bytes:
    """Return header and rows.

    Raises:
        UnicodeEncodeError: a text cannot be written in the dialect's encoding.
    """
    between = dialect.delimiter + (" " if dialect.space else "")
    end = between * dialect.trailing + dialect.line_end
    header = [_quoted_title(title, dialect) for title in _titles(table.column_names, dialect)]
    first = f"sep={dialect.delimiter}{dialect.line_end}" if dialect.sep_line else ""
    lines = [(first + between.join(header) + end).encode()]
    for batch in table.to_batches(max_chunksize=_BATCH_ROWS):
        columns = [
            _fields(column, dialect, dialect.style(name))
            for name, column in zip(table.column_names, batch.columns, strict=True)
        ]
        rows = pc.binary_join_element_wise(*columns, between)
        lines.append(_joined(pc.binary_join_element_wise(rows, "", end)))
    data = b"".join(lines)
    if dialect.bom or dialect.encoding != "utf-8":
        mark = "\ufeff" if dialect.bom else ""
        return (mark + data.decode()).encode(dialect.encoding)
    return data


FORMULA: Final = r"^'*[=+\-@\t\r\n]"
"""What spreadsheets compute; after apostrophes too, so that each can be taken off again."""


def _titles(names: Sequence[str], dialect: Dialect) -> list[str]:
    """Return the header as it is written."""
    found = [dialect.style(name).header for name in names]
    titles = [name if title is None else title for name, title in zip(names, found, strict=True)]
    if not dialect.escape_formulas:
        return titles
    return [f"'{title}" if re.match(FORMULA, title) else title for title in titles]


def _escaped(texts: pa.Array) -> pa.Array:
    """Put an apostrophe before every formula."""
    return pc.replace_substring_regex(texts, rf"({FORMULA})", r"'\1")


def _unescaped(texts: pa.Array) -> pa.Array:
    """Take it off again."""
    return pc.replace_substring_regex(texts, r"^'('*[=+\-@\t\r\n])", r"\1")


def _joined(texts: pa.Array) -> bytes:
    """Return N texts, not null, as one."""
    starts = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset :]
    values: bytes = texts.buffers()[2][int(starts[0]) : int(starts[len(texts)])].to_pybytes()
    return values


def _quoted_title(title: str, dialect: Dialect) -> str:
    quote = dialect.quote
    if any(sign in title for sign in (dialect.delimiter, quote, "\n", "\r")):
        return f"{quote}{title.replace(quote, quote * 2)}{quote}"
    return title


def _fields(column: pa.Array, dialect: Dialect, style: Style) -> pa.Array:
    """Return the texts of a column, quoted where they need it, and its null word."""
    if pa.types.is_null(column.type):
        return pa.array([style.null] * len(column), pa.string())
    return pc.fill_null(_quoted(texts_of(column, dialect, style), dialect, style), style.null)


def texts_of(column: pa.Array, dialect: Dialect, style: Style) -> pa.Array:
    """Return N values as texts in the column's style, nulls as nulls."""
    kind = column.type
    if pa.types.is_temporal(kind):
        return _moments(column, style)
    if pa.types.is_boolean(kind):
        return pc.if_else(column, *(style.booleans or _BOOLEANS))
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _numbers(column, dialect, style)
    texts = column.cast(pa.string())
    return _escaped(texts) if dialect.escape_formulas else texts


def _quoted(texts: pa.Array, dialect: Dialect, style: Style) -> pa.Array:
    """Quote what would be read otherwise: delimiters, quotes, line ends, edges, null words."""
    quote = dialect.quote
    signs = "".join(f"\\x{{{ord(sign):x}}}" for sign in dialect.delimiter + quote)
    needed = pc.match_substring_regex(texts, rf"[{signs}\r\n]|^\s|\s$|^$")
    needed = pc.or_(needed, pc.is_in(texts, value_set=pa.array([style.null, *style.nulls])))
    if not pc.any(needed).as_py():
        return texts
    doubled = pc.replace_substring(texts, quote, quote * 2)
    return pc.if_else(needed, pc.binary_join_element_wise(quote, doubled, quote, ""), texts)


def safe_format(kind: pa.DataType, *, micros: bool) -> str:
    """Return the ISO 8601 format in which every date, time or timestamp can be written."""
    if pa.types.is_date(kind):
        return _SAFE_DATES
    clock = _SAFE_MICROS if micros else _SAFE_SECONDS
    if pa.types.is_time(kind):
        return clock
    return f"{_SAFE_DATES} {clock}{'%:z' if kind.tz else ''}"


def offset_s(kind: pa.DataType) -> int:
    """Return the offset from UTC of a type with a fixed zone such as +01:00; 0 for all others."""
    zone = getattr(kind, "tz", None) or ""
    if zone[:1] not in ("+", "-"):
        return 0
    hours, minutes = int(zone[1:3]), int(zone[-2:])
    return (hours * 3600 + minutes * 60) * (-1 if zone[0] == "-" else 1)


def _numbers(column: pa.Array, dialect: Dialect, style: Style) -> pa.Array:
    """Return whole numbers, floats and decimals, with the marks and the affixes of the column."""
    texts = pc.cast(column, pa.string())
    if style.formatted:
        texts = _without_exponent(texts)
    if (pa.types.is_floating(column.type) and not style.short) or style.decimals:
        texts = _with_decimals(texts, style.decimals)
    marks = marks_of(dialect, style)
    texts = pc.replace_substring(texts, ".", marks.decimal)
    texts = _grouped(texts, marks.thousands) if style.grouped and marks.thousands else texts
    if style.affixes is None and style.negative is None:
        return texts
    (before, after), (minus, plus) = _affixes(style)
    bare = pc.replace_substring_regex(texts, "^-", "")
    below = pc.binary_join_element_wise(minus, bare, plus, "")
    above = pc.binary_join_element_wise(before, bare, after, "")
    return pc.if_else(pc.starts_with(texts, "-"), below, above)


def _without_exponent(texts: pa.Array) -> pa.Array:
    """Write large and small floats out: 12000000000 for 1.2e+10."""
    short = pc.match_substring(texts, "e")
    if not pc.any(short).as_py():
        return texts
    numbers = texts.filter(pc.fill_null(short, False)).to_pylist()
    full = [np.format_float_positional(float(number), trim="-") for number in numbers]
    return pc.replace_with_mask(texts, pc.fill_null(short, False), pa.array(full))


def marks_of(dialect: Dialect, style: Style) -> Marks:
    """Return the marks of a column's numbers: its own, else those of the file."""
    decimal = style.decimal or dialect.decimal
    of_file = None if dialect.thousands == decimal else dialect.thousands
    return Marks(decimal=decimal, thousands=style.thousands or of_file)


def _affixes(style: Style) -> tuple[tuple[str, str], tuple[str, str]]:
    """Return what stands around the digits of other and of negative numbers."""
    before, after = style.affixes or ("", "")
    return (before, after), style.negative or (f"-{before}", after)


def _without_affixes(texts: pa.Array, style: Style) -> pa.Array:
    """Return numbers with a plain minus sign and nothing else around their digits.

    Raises:
        ValueError: a text has not what stands around every number.
    """
    if style.affixes is None and style.negative is None:
        return texts
    bare = pa.nulls(len(texts), pa.string())
    for (before, after), sign in zip(_affixes(style), ("", "-"), strict=True):
        pattern = f"^{quote_regex(before)}(?P<digits>{DIGITS}){quote_regex(after)}$"
        digits = pc.struct_field(pc.extract_regex(texts, pattern), "digits")
        bare = pc.coalesce(bare, pc.binary_join_element_wise(sign, digits, ""))
    if bare.null_count != texts.null_count:
        msg = f"a field is no number as {style.affixes or style.negative}"
        raise ValueError(msg)
    return bare


def quote_regex(text: str) -> str:
    """Return the regular expression of RE2 that matches exactly this text."""
    return "".join(f"\\x{{{ord(character):x}}}" for character in text)


def _with_decimals(texts: pa.Array, decimals: int | None) -> pa.Array:
    """Give every float a mark, and as many decimals as the source always has, never fewer."""
    whole = pc.match_substring_regex(texts, r"^-?[0-9]+$")
    texts = pc.if_else(whole, pc.binary_join_element_wise(texts, "0", "."), texts)
    if decimals is None:
        return texts
    plain = pc.match_substring_regex(texts, r"^-?[0-9]+\.[0-9]*$")
    parts = pc.extract_regex(texts, r"^(?P<whole>-?[0-9]+)\.(?P<rest>[0-9]*)$")
    rest = pc.utf8_rpad(pc.struct_field(parts, "rest"), decimals, "0")
    padded = pc.binary_join_element_wise(pc.struct_field(parts, "whole"), rest, ".")
    return pc.if_else(plain, padded, texts)


def _grouped(texts: pa.Array, mark: str) -> pa.Array:
    """Put the thousands mark in, from the right, until there is no place for another."""
    while True:
        more = pc.replace_substring_regex(
            texts, r"^(-?[0-9]+)([0-9]{3})($|[^0-9].*)", rf"\1{mark}\2\3"
        )
        if more.equals(texts):
            return texts
        texts = more


def _moments(column: pa.Array, style: Style) -> pa.Array:
    """Return dates, times and timestamps in the column's format, ISO 8601 where that loses any."""
    micros = in_micros(column)
    format_ = style.format or ""
    if not format_ or not np.array_equal(_step(micros, format_), micros):
        format_ = safe_format(column.type, micros=bool((micros % SECOND_US).any()))
    texts = write(micros, format_, offset_s(column.type))
    missing = pc.is_null(column)
    return pc.if_else(missing, pa.scalar(None, pa.string()), texts)


def in_micros(column: pa.Array) -> NDArray[np.int64]:
    """Return microseconds since 1970 in UTC, or since midnight; 0 for nulls."""
    moments = column.cast(_micros_type(column.type)).cast(pa.int64())
    micros: NDArray[np.int64] = pc.fill_null(moments, 0).to_numpy(zero_copy_only=False)
    return micros


def _micros_type(kind: pa.DataType) -> pa.DataType:
    return (
        pa.time64("us") if pa.types.is_time(kind) else pa.timestamp("us", getattr(kind, "tz", None))
    )


def _step(micros: NDArray[np.int64], format_: str) -> NDArray[np.int64]:
    """Return the moments as a format can write them."""
    if "%f" in format_:
        step = 1
    elif "%3f" in format_:
        step = SECOND_US // 1000
    elif "%S" in format_:
        step = SECOND_US
    else:
        step = 60 * SECOND_US if has_time(format_) else DAY_US
    return micros // step * step


def read_rows(data: bytes, schema: pa.Schema, dialect: Dialect) -> pa.Table:
    """Return the rows that `write_rows` wrote.

    Raises:
        ValueError: the bytes are something else (also `UnicodeDecodeError` and `ArrowInvalid`).
    """
    texts = read_texts(data, dialect)
    wanted = _titles(schema.names, dialect)
    if texts.column_names != wanted:
        msg = f"the header is {', '.join(texts.column_names)}, not {', '.join(wanted)}"
        raise ValueError(msg)
    columns = [
        values_of(column.combine_chunks(), field.type, dialect, dialect.style(field.name))
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
        text = rewritten(text.encode(), replace(dialect, sep_line=False)).decode()
    titles, end = first_record(text, dialect.delimiter, dialect.quote)
    kept = len(titles) - dialect.trailing
    body = text[end:].encode()
    if not body:
        return pa.table([pa.array([], pa.string())] * kept, names=titles[:kept])
    table = read_fields(pa.py_buffer(body), dialect, len(titles), pa.string(), nulls=True)
    return table.select(range(kept)).rename_columns(titles[:kept])


def values_of(texts: pa.Array, kind: pa.DataType, dialect: Dialect, style: Style) -> pa.Array:
    """Return the values that `texts_of` wrote; the null word and nulls are nulls.

    Raises:
        ValueError: a text is something else (also `ArrowInvalid`).
    """
    if style.null:
        missing = pc.equal(texts, style.null)
        texts = pc.if_else(missing, pa.scalar(None, pa.string()), texts)
    if pa.types.is_string(kind):
        return _unescaped(texts) if dialect.escape_formulas else texts
    if pa.types.is_temporal(kind):
        return _read_moments(texts, kind, style)
    if pa.types.is_boolean(kind):
        return _read_booleans(texts, style)
    if pa.types.is_null(kind):
        return pa.nulls(len(texts)) if texts.null_count == len(texts) else texts.cast(kind)
    plain = plain_texts(_without_affixes(texts, style), marks_of(dialect, style))
    if pa.types.is_integer(kind) and style.decimals:
        plain = pc.replace_substring_regex(plain, r"\.0+$", "")
    return plain.cast(kind)


def _read_booleans(texts: pa.Array, style: Style) -> pa.Array:
    true, false = style.booleans or _BOOLEANS
    values = pc.equal(texts, true)
    if not pc.all(pc.or_(values, pc.equal(texts, false)), min_count=0).as_py():
        msg = f"a field is neither {true} nor {false}"
        raise ValueError(msg)
    return values


def _read_moments(texts: pa.Array, kind: pa.DataType, style: Style) -> pa.Array:
    """Read moments in the column's format, or in the one that loses nothing."""
    missing = pc.is_null(texts).to_numpy(zero_copy_only=False)
    present = texts.drop_null()
    formats = [safe_format(kind, micros=False), safe_format(kind, micros=True)]
    for format_ in [style.format, *formats] if style.format else formats:
        parsed = parse(present, format_)
        if parsed.ok_N.all():
            values = np.zeros(len(texts), np.int64)
            values[~missing] = parsed.micros_N
            return pa.array(values, mask=missing).cast(_micros_type(kind)).cast(kind)
    msg = f"a field is no {kind} as {' or '.join(formats)}"
    raise ValueError(msg)
