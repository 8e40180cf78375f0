"""Which format dates, times and timestamps are written in, found from their texts."""

import re
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from storage.sources.tables.csv_dates import Parsed, expression, loosened, parse, parts

_DATES: Final = (
    "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%d.%m.%Y", "%d.%m.%y",
    "%d/%m/%Y", "%m/%d/%Y", "%d/%m/%y", "%m/%d/%y", "%d-%m-%Y", "%m-%d-%Y", "%d-%m-%y", "%m-%d-%y",
    "%d-%b-%Y", "%d-%b-%y", "%d %b %Y", "%d/%b/%Y", "%d. %b %Y", "%b %d, %Y", "%d %B %Y",
    "%B %d, %Y",
)  # fmt: skip
_TIMES: Final = (
    "%H:%M:%S", "%H:%M", "%H:%M:%S.%3f", "%H:%M:%S.%f", "%I:%M %p", "%I:%M:%S %p", "%I:%M:%S%p",
    "%I:%M%p",
)  # fmt: skip
_ZONES: Final = ("", "Z", "%:z", "%-z", "%z", " %:z", " %z", " %Z")
_WHOLE: Final = ("%Y%m%dT%H%M%S", "%Y%m%dT%H%M%SZ")
_BETWEEN: Final = (" ", "T", ", ")
_SHAPE: Final = re.compile(
    r"[0-9]{1,4}[-/. ]|[A-Za-z]{3,9} [0-9]{1,2}, [0-9]{4}|[0-9]{1,2}:[0-9]{2}|[0-9]{8}T[0-9]{6}"
)
_LONGEST: Final = 45
_SAMPLE: Final = 100
_FIRST: Final = 5
_MOST: Final = 0.9
"""A format that fits this share of the rows is the column's; the others do not parse."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """The format of a column, and what its texts are by it."""

    format: str
    others: tuple[str, ...]
    """Formats of another order of day and month that fit all texts as well."""
    parsed: Parsed


def find_format(
    texts_U: pa.Array, counts_U: NDArray[np.int64], wanted: str | None = None
) -> Found | None:
    """Return the format that fits most of U distinct texts, or None when none fits 90 % of rows.

    Args:
        texts_U: distinct texts, without those for a missing value.
        counts_U: rows that hold each of them.
        wanted: the format that the recipe gives; its order of day and month holds in every column
            of dates that have these parts.
    """
    sample = texts_U.slice(0, _SAMPLE)
    formats = _candidates(sample.to_pylist(), wanted)
    tried: list[tuple[str, Parsed]] = []
    done: set[str] = set()
    for format_ in formats:
        if _order(format_) not in done and _fits(sample, format_):
            tried.append((format_, parse(texts_U, format_)))
            if tried[-1][1].ok_N.all():
                done.add(_order(format_))
    if not tried:
        return None
    shares = [counts_U[parsed.ok_N].sum() / counts_U.sum() for _, parsed in tried]
    best = int(np.argmax(shares))
    if shares[best] < _MOST:
        return None
    if wanted is not None and _is_swap(tried[best][0], wanted):
        tried = [one for one in tried if _order(one[0]) == _order(wanted)] or tried
        shares = [counts_U[parsed.ok_N].sum() / counts_U.sum() for _, parsed in tried]
        best = int(np.argmax(shares))
    format_, parsed = tried[best]
    order = _order(format_)
    equal = [name for (name, _), share in zip(tried, shares, strict=True) if share == shares[best]]
    others = {_order(name): name for name in equal if _order(name) != order}
    return Found(format=format_, others=tuple(others.values()), parsed=parsed)


def _is_swap(format_: str, wanted: str) -> bool:
    """Whether a format has day and month in another order than the recipe's, or in the same."""
    return sorted(_order(format_)) == sorted(_order(wanted))


def _fits(sample: pa.Array, format_: str) -> bool:
    return bool(parse(sample, format_).ok_N.mean() >= _MOST / 2)


def _candidates(sample: list[str], wanted: str | None) -> list[str]:
    """Return formats that fit one of the first texts, the recipe's own before all others."""
    found: list[str] = []
    for text in sample[:_FIRST]:
        if len(text) <= _LONGEST and _SHAPE.match(text):
            found += [name for name in _of_text(text) if name not in found]
    if wanted is None:
        return found
    order = _order(wanted)
    found.sort(key=lambda name: not _order(name).startswith(order))
    return list(dict.fromkeys([wanted, loosened(wanted), *found]))


def _of_text(text: str) -> list[str]:
    """Return the formats that fit one text, padded ones and those without a fraction first."""
    found = [form for form in (*_clocks(), *_WHOLE) if _regex(form).fullmatch(text)]
    for date in _with_loose(_DATES):
        match = _start(date).match(text)
        rest = text[match.end() :] if match else None
        if rest is None:
            continue
        if not rest:
            found.append(date)
        for between in _BETWEEN:
            if rest and rest.startswith(between):
                clock = rest.removeprefix(between)
                found += [date + between + t for t in _clocks() if _regex(t).fullmatch(clock)]
    return found


@cache
def _clocks() -> tuple[str, ...]:
    return tuple(time + zone for time in _with_loose(_TIMES) for zone in _ZONES)


def _with_loose(formats: tuple[str, ...]) -> list[str]:
    return list(dict.fromkeys(f for name in formats for f in (name, loosened(name))))


@cache
def _regex(format_: str) -> re.Pattern[str]:
    return re.compile(expression(format_))


@cache
def _start(format_: str) -> re.Pattern[str]:
    return re.compile(expression(format_).removesuffix("$"))


def _order(format_: str) -> str:
    """Return the order of year, month and day; nothing else makes two readings of one text."""
    return "".join(part[-1].replace("B", "b") for part in parts(format_) if part[-1] in "YymdbB")
