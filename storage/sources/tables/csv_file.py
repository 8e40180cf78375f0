"""One CSV file to columns of text: its layout, its records, and what is wrong in which line.

The layout (delimiter, quotes, line ends, header) is found in the first part of the file. Arrow
reads the records; only where it fails, or a quote may be left open, the file is read again, record
by record, for the line of the fault.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from storage.errors import SourceError
from storage.sources.config import CsvConfig
from storage.sources.tables.csv_encoding import to_utf8, unpack
from storage.sources.tables.csv_margins import DELIMITERS, without_comments, without_margins
from storage.sources.tables.dialect import Dialect

_SAMPLE_BYTES: Final = 1 << 20
_SAMPLE_ROWS: Final = 500
_PARSE_BLOCK_BYTES: Final = 16 << 20
_STREAM_BLOCK_BYTES: Final = 4 << 20
_SEP_LINE: Final = re.compile(rb'"?sep=(.)"?\r?\n', re.IGNORECASE)
_ENCLOSED: Final = re.compile(r"(?:^|[,;\t|])'[^'\r\n]*'(?=[,;\t|\r\n])", re.MULTILINE)
_VALUE: Final = re.compile(r"[-+]?[0-9][0-9.,:/-]*([eE][-+]?[0-9]+)?|[0-9-]+[T ][0-9:.]+Z?")
_NUMBER: Final = re.compile(r"[-+]?[0-9]+([.,][0-9]{3})*([.,][0-9]*)?([eE][-+]?[0-9]+)?")
_TEXTS: Final = pa.dictionary(pa.int32(), pa.string())
_END: Final = "unexpected end of data"
_LARGE: Final = "field larger than"


@dataclass(frozen=True, kw_only=True)
class ParsedFile:
    """The texts of one file, column by column. Shape legend: N rows."""

    name: str
    """Quoted, for messages."""
    dialect: Dialect
    """Without its marks and styles, which the columns of all files prove."""
    header: tuple[str, ...]
    """As written, one per field of a record."""
    notes: tuple[str, ...]
    columns: tuple[pa.ChunkedArray, ...]
    """N texts each, as a dictionary."""

    @property
    def rows(self) -> int:
        """N."""
        return len(self.columns[0])


def parse_file(raw: bytes, config: CsvConfig, key: str) -> ParsedFile:
    """Read one file as text.

    Raises:
        SourceError: it is empty, broken, or in another encoding.
    """
    name = repr(key)
    text = to_utf8(unpack(raw, name), config.encoding, name)
    delimiters = DELIMITERS if config.delimiter is None else (config.delimiter,)
    trimmed = without_margins(text.data, config, delimiters, name)
    data, notes = trimmed.data, list(trimmed.notes)
    dialect, header, start = _layout(data, config.delimiter, name)
    try:
        columns = _columns(data, dialect, len(header), start, name)
    except SourceError:
        plain = data[:start] + without_comments(data[start:])
        if plain == data:
            raise
        columns = _columns(plain, dialect, len(header), start, name)
        notes.append(f"lines of {name} that begin with # are left out as comments")
    return ParsedFile(
        name=name,
        dialect=replace(dialect, encoding=text.encoding, bom=text.bom),
        header=header,
        notes=(*([text.note] if text.note else []), *notes),
        columns=columns,
    )


@dataclass(frozen=True, kw_only=True)
class CsvHead:
    """The beginning of a file: its layout, and the rows in it."""

    dialect: Dialect
    """As of a `ParsedFile`."""
    header: tuple[str, ...]
    notes: tuple[str, ...]
    rows: bytes
    """What comes after the header, as UTF-8."""


def read_head(raw: bytes, config: CsvConfig, key: str) -> CsvHead:
    """Read the beginning of a file, unpacked and up to the end of a line.

    Raises:
        SourceError: it is empty, in another encoding, or written as only a whole file can be read.
    """
    name = repr(key)
    text = to_utf8(raw, config.encoding, name)
    delimiters = DELIMITERS if config.delimiter is None else (config.delimiter,)
    trimmed = without_margins(
        text.data, config.model_copy(update={"skip_footer": 0}), delimiters, name
    )
    dialect, header, start = _layout(trimmed.data, config.delimiter, name)
    if dialect.space and f"{dialect.delimiter} {dialect.quote}".encode() in trimmed.data:
        msg = (
            f"The file {name} has a space before quotes, so it is read as a whole or not at all, "
            "and it is too large for that; write it without, or raise source.max_rows."
        )
        raise SourceError(msg)
    return CsvHead(
        dialect=replace(dialect, encoding=text.encoding, bom=text.bom),
        header=header,
        notes=(*([text.note] if text.note else []), *trimmed.notes),
        rows=trimmed.data[start:],
    )


def stream_fields(rows: io.RawIOBase, dialect: Dialect, fields: int) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a file in blocks, as columns of texts called by their number.

    Args:
        rows: UTF-8, without the header.
        dialect: its delimiter and quote.
        fields: of a record.

    Raises:
        pyarrow.ArrowInvalid: a record has more or fewer fields, or is no UTF-8.
    """
    names = [str(number) for number in range(fields)]
    reader = pa_csv.open_csv(
        rows,
        pa_csv.ReadOptions(column_names=names, block_size=_STREAM_BLOCK_BYTES, use_threads=False),
        pa_csv.ParseOptions(
            delimiter=dialect.delimiter, quote_char=dialect.quote, newlines_in_values=True
        ),
        pa_csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
        ),
    )
    with reader:
        yield from reader


def find_line(raw: bytes, config: CsvConfig, file: ParsedFile, row: int) -> int:
    """Return the line of the file where a row (from 0, the header not counted) begins."""
    data = to_utf8(unpack(raw, file.name), config.encoding, file.name).data
    data = without_margins(data, config, (file.dialect.delimiter,), file.name).data
    for number, (line, _, _) in enumerate(_records(data, file.dialect)):
        if number == row + 1:
            return line
    return data.count(b"\n") + 1


def _columns(
    data: bytes, dialect: Dialect, fields: int, start: int, name: str
) -> tuple[pa.ChunkedArray, ...]:
    body = memoryview(data)[start:]
    if dialect.space and f"{dialect.delimiter} {dialect.quote}".encode() in data:
        body = memoryview(rewritten(data, dialect)).cast("B")
        head = bytes(body[: start * 2])
        body = body[_layout(head, dialect.delimiter, "")[2] :]
    if not bytes(body[:_PARSE_BLOCK_BYTES]).strip() and len(body) < _PARSE_BLOCK_BYTES:
        msg = f"The file {name} has a header and no row; fill it or leave it out."
        raise SourceError(msg)
    try:
        table = read_fields(pa.py_buffer(body), dialect, fields, _TEXTS, nulls=False)
    except pa.ArrowInvalid as error:
        raise _ragged(data, dialect, fields, name, str(error).splitlines()[0]) from error
    if _spans_lines(table):
        fault = _unclosed(data, dialect, name)
        if fault is not None:
            raise fault
    return tuple(_trimmed(column) if dialect.space else column for column in table.columns)


def read_fields(
    body: pa.Buffer, dialect: Dialect, fields: int, kind: pa.DataType, *, nulls: bool
) -> pa.Table:
    """Return records without their header as columns of texts, called by their number.

    Args:
        body: UTF-8.
        dialect: its delimiter and quote.
        fields: of a record.
        kind: of the texts, a string or a dictionary of strings.
        nulls: whether a bare empty field is null.

    Raises:
        pyarrow.ArrowInvalid: a record has more or fewer fields.
    """
    names = [str(number) for number in range(fields)]
    return pa_csv.read_csv(
        pa.BufferReader(body),
        pa_csv.ReadOptions(column_names=names, block_size=_PARSE_BLOCK_BYTES),
        pa_csv.ParseOptions(
            delimiter=dialect.delimiter, quote_char=dialect.quote, newlines_in_values=True
        ),
        pa_csv.ConvertOptions(
            column_types=dict.fromkeys(names, kind),
            strings_can_be_null=nulls,
            quoted_strings_can_be_null=False,
            null_values=[""] if nulls else [],
        ),
    )


def _spans_lines(table: pa.Table) -> bool:
    return any(
        pc.any(pc.match_substring_regex(chunk.dictionary, r"[\r\n]")).as_py()
        for column in table.columns
        for chunk in column.chunks
    )


def _trimmed(column: pa.ChunkedArray) -> pa.ChunkedArray:
    chunks = [
        pc.utf8_ltrim_whitespace(chunk.dictionary).take(chunk.indices) for chunk in column.chunks
    ]
    return pa.chunked_array(chunks, pa.string()).dictionary_encode()


def _layout(data: bytes, given: str | None, name: str) -> tuple[Dialect, tuple[str, ...], int]:
    """Return how records are set apart, the header as written, and how many bytes end with it."""
    sep_line = _SEP_LINE.match(data)
    start = sep_line.end() if sep_line else 0
    sample = data[start : start + _SAMPLE_BYTES].decode("utf-8", errors="ignore")
    whole = len(data) - start <= _SAMPLE_BYTES
    quote = _quote(sample)
    known = given or (sep_line.group(1).decode() if sep_line else None)
    delimiter = known or _delimiter(sample, quote, whole=whole)
    rows = list(_sample_records(sample, delimiter, quote, whole=whole))
    if not rows:
        msg = f"The file {name} is empty; write a header and rows, or leave it out."
        raise SourceError(msg)
    (header, end), space = rows[0], _has_space(sample[rows[0][1] :], delimiter, quote, whole=whole)
    written, _ = first_record(sample, delimiter, quote)
    if not (space or any(quote in title for title in written)):
        header = written
    others = [fields for fields, _ in rows[1:]]
    if others and all(len(row) == len(header) + 1 and not row[-1] for row in others):
        header = [*header, ""]
    _check_header(header, others, name)
    dialect = Dialect(
        delimiter=delimiter,
        quote=quote,
        line_end=_line_end(sample),
        space=space,
        sep_line=sep_line is not None,
    )
    return dialect, tuple(header), start + len(sample[:end].encode())


def first_record(text: str, delimiter: str, quote: str) -> tuple[list[str], int]:
    """Return the fields of the first record and where it ends.

    Raises:
        ValueError: there is none.
    """
    lines = _Ends(text)
    for fields in csv.reader(lines, delimiter=delimiter, quotechar=quote):
        if fields:
            return fields, lines.at
    msg = "there is no header"
    raise ValueError(msg)


def _quote(sample: str) -> str:
    enclosed = len(_ENCLOSED.findall(sample))
    return "'" if '"' not in sample and enclosed >= max(sample.count("\n") - 1, 2) else '"'


def _delimiter(sample: str, quote: str, *, whole: bool) -> str:
    """Return the delimiter by which most records have as many fields as the header."""
    scores = {}
    for delimiter in DELIMITERS:
        sizes = [len(row) for row, _ in _sample_records(sample, delimiter, quote, whole=whole)]
        fields = sizes[0] if sizes else 0
        alike = sum(size in (fields, fields + 1) for size in sizes)
        scores[delimiter] = (alike / len(sizes), fields) if fields > 1 else (0.0, 0)
    return max(scores, key=lambda delimiter: scores[delimiter])


def _sample_records(
    sample: str, delimiter: str, quote: str, *, whole: bool
) -> Iterator[tuple[list[str], int]]:
    """Yield the first records that are not blank, and where each ends in the sample."""
    ends = _Ends(sample)
    reader = csv.reader(ends, delimiter=delimiter, quotechar=quote, skipinitialspace=True)
    try:
        for number, row in enumerate(reader):
            if number >= _SAMPLE_ROWS or (not whole and ends.at >= len(sample)):
                return
            if row:
                yield row, ends.at
    except csv.Error:
        return


class _Ends:
    """The lines of a text, and how many characters were read."""

    def __init__(self, text: str) -> None:
        self._lines = io.StringIO(text, newline="")
        self.at = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.at += len(line)
        return line


def _line_end(sample: str) -> str:
    if "\r\n" in sample:
        return "\r\n"
    return "\r" if "\r" in sample and "\n" not in sample else "\n"


def _has_space(rows: str, delimiter: str, quote: str, *, whole: bool) -> bool:
    """Whether a space stands after every delimiter of the rows, quoted fields left aside."""
    if delimiter + " " not in rows:
        return False
    bare = re.sub(f"{quote}[^{quote}]*{quote}", "", rows)
    lines = bare.splitlines()[: _SAMPLE_ROWS if whole else -1]
    fields = [field for line in lines for field in line.split(delimiter)[1:]]
    return bool(fields) and all(field.startswith(" ") for field in fields)


def _check_header(header: list[str], rows: list[list[str]], name: str) -> None:
    if _looks_like_data(header, rows):
        msg = (
            f"The first line of {name} reads like data, not like names of columns; put a header "
            "line before it, or set source.csv.skip_rows if it stands above the header."
        )
        raise SourceError(msg)


def _looks_like_data(header: list[str], rows: list[list[str]]) -> bool:
    """Whether numbers head columns of numbers, or dates such of dates, and no word does."""
    typed: list[str] = []
    for place, title in enumerate(map(str.strip, header)):
        below = [row[place].strip() for row in rows if place < len(row) and row[place].strip()]
        if not below or sum(map(_is_value, below)) < 0.9 * len(below):
            continue
        if title and not _is_value(title):
            return False
        alike = 2 * sum(_is_number(text) == _is_number(title) for text in below) >= len(below)
        if title and alike and not re.fullmatch(r"(19|20)[0-9]{2}", title):
            typed.append(title)
    return bool(typed) and not _counts_up(typed)


def _counts_up(titles: Sequence[str]) -> bool:
    """Whether titles are the numbers of columns without a name, such as 0, 1, 2."""
    first = titles[0]
    counted = [str(int(first) + i) for i in range(len(titles))] if first in ("0", "1") else []
    return len(titles) > 2 and list(titles) == counted


def _is_value(text: str) -> bool:
    return _VALUE.fullmatch(text) is not None


def _is_number(text: str) -> bool:
    return _NUMBER.fullmatch(text) is not None


def _ragged(data: bytes, dialect: Dialect, fields: int, name: str, reason: str) -> SourceError:
    """Make the error for a file that does not parse: a quote left open, or too many fields."""
    open_quote = _unclosed(data, dialect, name)
    if open_quote is not None:
        return open_quote
    for line, _, found in _records(data, dialect):
        if len(found) != fields:
            return SourceError(
                f"Line {line} of {name} has {len(found)} field{'s' if len(found) != 1 else ''}, "
                f"and the header has {fields}; correct that line, or quote fields that hold the "
                "delimiter."
            )
    return SourceError(f"The file {name} is no readable CSV ({reason}); write it again.")


def _unclosed(data: bytes, dialect: Dialect, name: str) -> SourceError | None:
    """Return the error for a quote that is opened and never closed, or None."""
    line = 1
    try:
        for _, last, _ in _records(data, dialect, strict=True):
            line = last + 1
    except csv.Error as error:
        ends = (last for first, last, _ in _records(data, dialect) if first >= line)
        if _END in str(error) or next(ends, line) > line:
            return SourceError(
                f"Line {line} of {name} opens a quote ({dialect.quote}) that is not closed; close "
                "it, or double the quotes inside the field."
            )
    return None


def rewritten(data: bytes, dialect: Dialect) -> bytes:
    """Return the rows with no space after delimiters, for quotes that follow a space."""
    sink = io.StringIO(newline="")
    writer = csv.writer(sink, delimiter=dialect.delimiter, quotechar=dialect.quote)
    writer.writerows(fields for _, _, fields in _records(data, dialect))
    return sink.getvalue().encode()


def _records(
    data: bytes, dialect: Dialect, *, strict: bool = False
) -> Iterator[tuple[int, int, list[str]]]:
    """Yield first line, last line and fields of header and rows that are not blank.

    It ends at a field that Python's limit forbids.
    """
    text = io.TextIOWrapper(io.BytesIO(data), "utf-8", newline="")
    reader = csv.reader(
        text,
        delimiter=dialect.delimiter,
        quotechar=dialect.quote,
        skipinitialspace=dialect.space,
        strict=strict,
    )
    if dialect.sep_line:
        next(reader)
    last = reader.line_num
    while True:
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if strict and _LARGE not in str(error):
                raise
            return
        if fields:
            yield last + 1, reader.line_num, fields
        last = reader.line_num
