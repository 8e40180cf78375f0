"""What is wrong with a CSV file, and in which line: it is read again, record by record."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from storage.errors import SourceError
from storage.sources.tables.csv_layout import Layout

_END: Final = "unexpected end of data"
_LARGE: Final = "field larger than"


@dataclass(frozen=True, kw_only=True)
class _Record:
    first_line: int
    last_line: int
    fields: list[str]


def ragged(data: bytes, layout: Layout, name: str, reason: str) -> SourceError:
    """Make the error for a file that does not parse: a quote left open, or too many fields.

    Args:
        data: the text.
        layout: how its records are set apart.
        name: of the file.
        reason: what the parser said, where nothing better is found.
    """
    open_quote = unclosed(data, layout, name)
    if open_quote is not None:
        return open_quote
    wanted = len(layout.header)
    for record in _records(data, layout):
        if len(record.fields) != wanted:
            return SourceError(
                f"Line {record.first_line} of {name} has {_fields(len(record.fields))}, and the "
                f"header has {wanted}; correct that line, or quote fields that hold the delimiter."
            )
    return SourceError(f"The file {name} is no readable CSV ({reason}); write it again.")


def unclosed(data: bytes, layout: Layout, name: str) -> SourceError | None:
    """Return the error for a quote that is opened and never closed, or None."""
    line = 1
    try:
        for record in _records(data, layout, strict=True):
            line = record.last_line + 1
    except csv.Error as error:
        end = _open_record(data, layout, line)
        if _END in str(error) or end > line:
            return SourceError(
                f"Line {line} of {name} opens a quote ({layout.quote}) that is not closed; close "
                "it, or double the quotes inside the field."
            )
    return None


def line_of(data: bytes, layout: Layout, row: int) -> int:
    """Return the line where a row (from 0, the header not counted) begins."""
    for number, record in enumerate(_records(data, layout)):
        if number == row + 1:
            return record.first_line
    return data.count(b"\n") + 1


def rewritten(data: bytes, layout: Layout) -> bytes:
    """Return the rows with no space after delimiters, for quotes that follow a space."""
    sink = io.StringIO(newline="")
    writer = csv.writer(sink, delimiter=layout.delimiter, quotechar=layout.quote)
    writer.writerows(record.fields for record in _records(data, layout))
    return sink.getvalue().encode()


def _records(data: bytes, layout: Layout, *, strict: bool = False) -> Iterator[_Record]:
    """Yield header and rows that are not blank, up to a field that Python's limit forbids."""
    text = io.TextIOWrapper(io.BytesIO(data), "utf-8", newline="")
    reader = csv.reader(
        text,
        delimiter=layout.delimiter,
        quotechar=layout.quote,
        skipinitialspace=layout.space,
        strict=strict,
    )
    if layout.sep_line:
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
            yield _Record(first_line=last + 1, last_line=reader.line_num, fields=fields)
        last = reader.line_num


def _fields(count: int) -> str:
    return f"{count} field{'s' if count != 1 else ''}"


def _open_record(data: bytes, layout: Layout, line: int) -> int:
    """Return the last line of the record that begins in a line, read without being strict."""
    records = (record for record in _records(data, layout) if record.first_line >= line)
    return next((record.last_line for record in records), line)
