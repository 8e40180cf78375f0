"""A sheet of an Excel workbook as the CSV that it would be, and is then read as.

Formulas are not computed: what Excel stored as their result is read.
"""

import csv
import datetime as dt
import io
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from storage.errors import SourceError

PLAIN_CSV: Final = {"delimiter": ",", "encoding": "utf-8", "decimal": "."}
"""Settings of `source.csv` by which the result of `read_sheet` is read."""

_ERRORS: Final = frozenset(
    {"#DIV/0!", "#N/A", "#NAME?", "#NULL!", "#NUM!", "#REF!", "#VALUE!", "#SPILL!", "#CALC!"}
)
_BROKEN: Final = (
    *(zipfile.BadZipFile, zlib.error, SyntaxError, OSError, EOFError),
    *(ValueError, LookupError, TypeError, AttributeError),
)
"""What parts of a broken workbook raise; a SyntaxError is one of XML."""

_MIDNIGHT: Final = dt.time(0)


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """One sheet as CSV by RFC 4180, in UTF-8."""

    data: bytes
    notes: tuple[str, ...]


def read_sheet(data: bytes, name: str | None, file: str) -> Sheet:
    """Return a sheet.

    Args:
        data: of the workbook.
        name: of the sheet; None = the first.
        file: the name of the file, quoted.

    Raises:
        SourceError: openpyxl is not installed, the workbook is broken, or it has no such sheet.
    """
    try:
        import openpyxl
        from openpyxl.utils.exceptions import InvalidFileException
    except ImportError as error:
        msg = (
            f"The workbook {file} needs openpyxl, which is not installed; run pip install "
            "'ganmill[excel]', or save the sheet as CSV."
        )
        raise SourceError(msg) from error
    try:
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
        names = [sheet.title for sheet in book.worksheets]
        if not names or (name is not None and name not in names):
            there = ", ".join(map(repr, names)) or "none"
            msg = f"The workbook {file} has no sheet {name!r}, only {there}; correct source.sheet."
            raise SourceError(msg)
        wanted = names[0] if name is None else name
        rows = [list(row) for row in book[wanted].iter_rows(values_only=True)]
        book.close()
    except (*_BROKEN, InvalidFileException) as error:
        msg = f"The file {file} is no readable workbook ({error}); save it again, or as CSV."
        raise SourceError(msg) from error
    others = f", and {len(names) - 1} others are not; source.sheet names one" if names[1:] else ""
    note = f"the sheet {wanted!r} of {file} is read{others}"
    return Sheet(data=_as_csv(rows), notes=(note,))


def _as_csv(rows: Sequence[Sequence[Any]]) -> bytes:
    """Return the cells as text; columns and rows that are empty at the end are left out."""
    width = max((_filled(row) for row in rows), default=0)
    days = [_are_days([row[place] for row in rows if place < len(row)]) for place in range(width)]
    sink = io.StringIO(newline="")
    writer = csv.writer(sink)
    for row in rows:
        cells = [*row[:width], *([None] * (width - len(row)))]
        writer.writerow(
            [_text(value, day=day) for value, day in zip(cells, days, strict=True)]
            if _filled(row)
            else []
        )
    return sink.getvalue().encode()


def _filled(row: Sequence[Any]) -> int:
    """Return how many cells are left without the empty ones at the end."""
    return next((n for n in range(len(row), 0, -1) if row[n - 1] not in (None, "")), 0)


def _are_days(values: Sequence[Any]) -> bool:
    moments = [value for value in values if isinstance(value, dt.datetime)]
    return all(moment.time() == _MIDNIGHT for moment in moments)


def _text(value: Any, *, day: bool) -> str:
    """Return a cell as text; `day`: moments of its column are dates."""
    if value is None or value in _ERRORS:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, dt.datetime):
        return f"{value:%Y-%m-%d}" if day else value.isoformat(" ", "auto")
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    return repr(value) if isinstance(value, float) else str(value)
