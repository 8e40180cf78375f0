"""What stands above the header of a CSV file and below its rows: titles, comments, totals, sources.

It is taken away before the file is read. Lines above the header and comments become empty lines, so
that the lines of all others keep their numbers.
"""

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from storage.errors import SourceError
from storage.sources.config import CsvConfig

DELIMITERS: Final = (",", ";", "\t", "|")
"""Between the fields of CSV files, where the recipe says no other."""

_HEAD_BYTES: Final = 1 << 16
_TAIL_BYTES: Final = 1 << 13
_HEAD_LINES: Final = 120
_MOST_TITLES: Final = 30
_MOST_FOOTERS: Final = 20
_FEWEST_ROWS: Final = 3
_LINE: Final = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|$)")
_NUMBER: Final = re.compile(r"[-+(]?[$€£]?\s?[0-9][0-9.,:/%-]*\)?")
_YEAR: Final = re.compile(r"(19|20)[0-9]{2}")
_TOTAL: Final = re.compile(
    r"(?i)(grand |sub)?(totals?|sum|summe|gesamt|gesamtsumme|somme|totale|average|mean|mittelwert|"
    r"durchschnitt|moyenne)\W*"
)


@dataclass(frozen=True, kw_only=True)
class Trimmed:
    """A file without its margins."""

    data: bytes
    notes: tuple[str, ...] = ()


def without_margins(
    data: bytes, config: CsvConfig, delimiters: Sequence[str], name: str
) -> Trimmed:
    """Take away what the recipe says, or what is found above the header and below the rows.

    Args:
        data: UTF-8.
        config: of the recipe.
        delimiters: that are tried.
        name: of the file, quoted.

    Raises:
        SourceError: the delimiter of the recipe makes titles of a header that another one parts.
    """
    notes = []
    head = data[:_HEAD_BYTES].decode("utf-8", errors="ignore")
    titles = config.skip_rows
    if titles is None:
        titles = _count_titles(head, delimiters, whole=len(data) <= _HEAD_BYTES)
        if titles:
            _check_delimiter(head, config.delimiter, name)
            notes.append(
                f"{_lines(titles)} above the header of {name} left out; source.csv.skip_rows says "
                "how many if that is wrong"
            )
    if titles:
        data = _blanked(data, titles)
    width = _width(data[:_HEAD_BYTES].decode("utf-8", errors="ignore"), delimiters)
    footers = config.skip_footer
    if footers is None:
        footers = 0 if width is None else _count_footers(data, *width)
        if footers:
            notes.append(
                f"{_lines(footers)} below the rows of {name} left out, as no row or a total; "
                "source.csv.skip_footer says how many if that is wrong"
            )
    for _ in range(footers):
        data = _without_last_line(data)
    return Trimmed(data=data, notes=tuple(notes))


def _check_delimiter(head: str, given: str | None, name: str) -> None:
    """Check that no other delimiter than the asked one parts the first line as most lines."""
    found = _width(head, DELIMITERS)
    first = next((line for line in head.splitlines() if line.strip()), "")
    if given is None or found is None or found[0] == given or given in first:
        return
    delimiter, width = found
    if len(_fields(first, delimiter)) == width:
        msg = (
            f"source.csv.delimiter is {given!r}, which the first line of {name} does not hold, and "
            f"{delimiter!r} parts it and most lines into {width} fields; set it to {delimiter!r}, "
            "or source.csv.skip_rows if that line is a title."
        )
        raise SourceError(msg)


def without_comments(data: bytes) -> bytes:
    """Return the file with empty lines in place of those that begin with `#`."""
    return re.sub(rb"(?m)^#[^\r\n]*", b"", data)


def _lines(count: int) -> str:
    return "1 line" if count == 1 else f"{count} lines"


def _blanked(data: bytes, lines: int) -> bytes:
    """Return the file with its first lines empty."""
    ends = re.compile(rb"[^\r\n]*(\r\n|\r|\n)")
    at, blank = 0, b""
    for _ in range(lines):
        found = ends.match(data, at)
        if found is None:
            break
        at, blank = found.end(), blank + found.group(1)
    return blank + data[at:]


def _without_last_line(data: bytes) -> bytes:
    """Return the file without its last line that is not blank."""
    body = data.rstrip()
    return body[: max(body.rfind(b"\n"), body.rfind(b"\r")) + 1]


def _fields(line: str, delimiter: str) -> list[str]:
    try:
        return [text.strip() for text in next(csv.reader([line], delimiter=delimiter), [])]
    except csv.Error:
        return [line]


def _width(head: str, delimiters: Sequence[str]) -> tuple[str, int] | None:
    """Return the delimiter and how many fields most lines have by it; None below two."""
    lines = [line for line in head.splitlines()[:_HEAD_LINES] if line.strip()]
    best: tuple[int, int, str] | None = None
    for delimiter in delimiters:
        sizes = Counter(len(_fields(line, delimiter)) for line in lines)
        for size, count in sizes.items():
            if size >= 2 and (best is None or (count, size) > best[:2]):
                best = count, size, delimiter
    if best is None or best[0] < max(_FEWEST_ROWS, len(lines) / 2):
        return None
    return best[2], best[1]


def _count_titles(head: str, delimiters: Sequence[str], *, whole: bool) -> int:
    """Return how many lines stand above the header; 0 unless it is plain to see."""
    if re.match(r'"?sep=', head, re.IGNORECASE):
        return 0
    found = _width(head, delimiters)
    if found is None:
        return 0
    delimiter, width = found
    lines = [match.group() for match in _LINE.finditer(head) if match.group()]
    titles = 0
    for number, line in enumerate(lines[: _MOST_TITLES if whole else len(lines) - 1]):
        fields = _fields(line, delimiter)
        filled = [text for text in fields if text]
        if not filled:
            continue
        may_be_names = len(fields) == width - 1 > 1 and not titles and not line.startswith("#")
        lone = len(fields) == width > 2 and len(filled) == 1
        if lone or (len(fields) < width and not may_be_names) or (len(fields) > width and titles):
            titles += 1
            continue
        is_header = len(fields) == width and len(filled) >= width - 1 and _are_names(filled)
        return number if titles and is_header else 0
    return 0


def _are_names(texts: Sequence[str]) -> bool:
    """Whether texts are names of columns: words, or years beside words."""
    values = [text for text in texts if _NUMBER.fullmatch(text)]
    return len(values) < len(texts) and all(_YEAR.fullmatch(text) for text in values)


def _count_footers(data: bytes, delimiter: str, width: int) -> int:
    """Return how many lines below the rows are none: too short, or the totals of the rows."""
    tail = data[-_TAIL_BYTES:].decode("utf-8", errors="ignore")
    lines = [line for line in tail.splitlines()[1:] if line.strip()]
    count = 0
    for number, line in enumerate(reversed(lines[-_MOST_FOOTERS:]), 1):
        fields = _fields(line, delimiter)
        filled = [text for text in fields if text]
        if line.count('"') % 2:
            break
        short = len(fields) < width and len(filled) <= max(width // 2, 1)
        first = filled[0] if filled else ""
        total = bool(_TOTAL.fullmatch(first)) and data.count(f"{first}{delimiter}".encode()) == 1
        if filled and not (short or total):
            break
        count = number if filled else count
    return 0 if count >= len(lines) else count
