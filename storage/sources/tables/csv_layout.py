"""How one CSV file is laid out: delimiter, quotes, line ends, header; from its first part."""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from storage.errors import SourceError

DELIMITERS: Final = (",", ";", "\t", "|")
_SAMPLE_BYTES: Final = 1 << 20
_SAMPLE_ROWS: Final = 500
_SEP_LINE: Final = re.compile(rb'"?sep=(.)"?\r?\n', re.IGNORECASE)
_ENCLOSED: Final = re.compile(r"(?:^|[,;\t|])'[^'\r\n]*'(?=[,;\t|\r\n])", re.MULTILINE)
_VALUE: Final = re.compile(r"[-+]?[0-9][0-9.,:/-]*([eE][-+]?[0-9]+)?|[0-9-]+[T ][0-9:.]+Z?")


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How the records of a text are set apart."""

    delimiter: str
    quote: str
    line_end: str
    space: bool
    sep_line: bool
    header: tuple[str, ...]
    """As written, one per field of a record."""
    header_end: int
    """Bytes of the text up to the end of the header."""


def find_layout(data: bytes, given: str | None, name: str) -> Layout:
    """Return the layout of a text.

    Args:
        data: UTF-8.
        given: the recipe's delimiter.
        name: of the file, for messages.

    Raises:
        SourceError: there is no header.
    """
    said = _SEP_LINE.match(data)
    start = said.end() if said else 0
    sample = data[start : start + _SAMPLE_BYTES].decode("utf-8", errors="ignore")
    whole = len(data) - start <= _SAMPLE_BYTES
    quote = _quote(sample)
    known = given or (said.group(1).decode() if said else None)
    delimiter = known or _delimiter(sample, quote, whole=whole)
    rows = list(_records(sample, delimiter, quote, whole=whole))
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
    return Layout(
        delimiter=delimiter,
        quote=quote,
        line_end=_line_end(sample),
        space=space,
        sep_line=said is not None,
        header=tuple(header),
        header_end=start + len(sample[:end].encode()),
    )


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
        sizes = [len(row) for row, _ in _records(sample, delimiter, quote, whole=whole)]
        fields = sizes[0] if sizes else 0
        alike = sum(size in (fields, fields + 1) for size in sizes)
        scores[delimiter] = (alike / len(sizes), fields) if fields > 1 else (0.0, 0)
    return max(scores, key=lambda delimiter: scores[delimiter])


def _records(
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
    """The lines of a text, and how far they were read."""

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
    names = [text.strip() for text in header if text.strip()]
    twice = [text for text in dict.fromkeys(names) if names.count(text) > 1]
    if _looks_like_data(header, rows):
        msg = (
            f"The first line of {name} reads like data, not like names of columns; put a header "
            "line before it."
        )
        raise SourceError(msg)
    if twice:
        msg = (
            f"The file {name} has {names.count(twice[0])} columns of the name {twice[0]!r}; give "
            "every column a name of its own."
        )
        raise SourceError(msg)


def _looks_like_data(header: list[str], rows: list[list[str]]) -> bool:
    """Whether numbers or dates head columns of such, and no word does."""
    typed = 0
    for place, title in enumerate(header):
        below = [row[place].strip() for row in rows if place < len(row) and row[place].strip()]
        numeric = bool(below) and sum(map(_is_value, below)) >= 0.9 * len(below)
        if numeric and title.strip() and not _is_value(title.strip()):
            return False
        typed += numeric and _is_value(title.strip()) and not _is_year(title.strip())
    return typed > 0


def _is_value(text: str) -> bool:
    return _VALUE.fullmatch(text) is not None


def _is_year(text: str) -> bool:
    return re.fullmatch(r"(19|20)[0-9]{2}", text) is not None
