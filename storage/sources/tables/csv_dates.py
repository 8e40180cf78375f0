"""Dates, times and timestamps written as text: finding their format, reading and writing them.

A format is written in the directives of `strftime`. Some are ours: `%-d` (also `%-m`, `%-H`, `%-I`)
is a number of one or two digits, `%3f` milliseconds, `%:z` a zone as +01:00, `%-z` as +01; `Z` and
`%Z` are UTC.
"""

import re
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

MONTHS: Final = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december",
)  # fmt: skip
SECOND_US: Final = 1_000_000
DAY_US: Final = 86_400 * SECOND_US
_PATTERNS: Final = {
    "%Y": r"(?P<Y>[0-9]{4})",
    "%y": r"(?P<y>[0-9]{2})",
    "%m": r"(?P<m>[0-9]{2})",
    "%-m": r"(?P<m>[0-9]{1,2})",
    "%d": r"(?P<d>[0-9]{2})",
    "%-d": r"(?P<d>[0-9]{1,2})",
    "%b": r"(?P<b>[A-Za-z]{3})",
    "%B": r"(?P<b>[A-Za-z]{3,9})",
    "%H": r"(?P<H>[0-9]{2})",
    "%-H": r"(?P<H>[0-9]{1,2})",
    "%I": r"(?P<I>[0-9]{2})",
    "%-I": r"(?P<I>[0-9]{1,2})",
    "%M": r"(?P<M>[0-9]{2})",
    "%S": r"(?P<S>[0-9]{2})",
    "%3f": r"(?P<f>[0-9]{3})",
    "%p": r"(?P<p>[AaPp][Mm])",
    "%z": r"(?P<z>Z|[+-][0-9]{2}:?[0-9]{2})",
    "%:z": r"(?P<z>[+-][0-9]{2}:[0-9]{2})",
    "%-z": r"(?P<z>[+-][0-9]{2})",
    "%Z": r"(?P<z>UTC|GMT)",
    "Z": r"(?P<z>Z)",
}
_DIRECTIVE: Final = re.compile(r"%(?:[-:3]?[A-Za-z])|.", re.DOTALL)
_LARGEST: Final = {"H": 23, "I": 12, "M": 59, "S": 59}
_LOOSE: Final = {"%m": "%-m", "%d": "%-d", "%H": "%-H", "%I": "%-I"}
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
class Parsed:
    """Texts read by one format. N texts."""

    format: str
    ok_N: NDArray[np.bool_]
    """Which of them the format fits; the others are 0 below."""
    micros_N: NDArray[np.int64]
    """Since 1970 in UTC, or since midnight when the format has no date."""
    offsets_N: NDArray[np.int64] | None
    """Of the zone in seconds; None when the format has none."""
    others: tuple[str, ...] = ()
    """Formats of another order of day and month that fit all texts as well."""


def find_format(
    texts_U: pa.Array, counts_U: NDArray[np.int64], given: str | None = None
) -> Parsed | None:
    """Read U distinct texts by the format that fits most; None when none fits 90 % of rows.

    Args:
        texts_U: distinct texts, without those for a missing value.
        counts_U: rows that hold each of them.
        given: the format that the recipe gives; its order of day and month holds in every column
            of dates that have these parts.
    """
    sample = texts_U.slice(0, _SAMPLE)
    formats = _candidates(sample.to_pylist(), given)
    tried: list[Parsed] = []
    done: set[str] = set()
    for format_ in formats:
        if _order(format_) not in done and parse(sample, format_).ok_N.mean() >= _MOST / 2:
            tried.append(parse(texts_U, format_))
            if tried[-1].ok_N.all():
                done.add(_order(format_))

    def share(parsed: Parsed) -> float:
        return float(counts_U[parsed.ok_N].sum() / counts_U.sum())

    best = max(tried, key=share, default=None)
    if best is None or share(best) < _MOST:
        return None
    if given is not None and sorted(_order(best.format)) == sorted(_order(given)):
        tried = [one for one in tried if _order(one.format) == _order(given)] or tried
        best = max(tried, key=share)
    order, most = _order(best.format), share(best)
    equal = [one.format for one in tried if share(one) == most]
    others = {_order(name): name for name in equal if _order(name) != order}
    return replace(best, others=tuple(others.values()))


def _candidates(sample: list[str], given: str | None) -> list[str]:
    """Return formats that fit one of the first texts, the recipe's own before all others."""
    found: list[str] = []
    for text in sample[:_FIRST]:
        if len(text) <= _LONGEST and _SHAPE.match(text):
            found += [name for name in _of_text(text) if name not in found]
    if given is None:
        return found
    order = _order(given)
    found.sort(key=lambda name: not _order(name).startswith(order))
    return list(dict.fromkeys([given, loosened(given), *found]))


def _of_text(text: str) -> list[str]:
    """Return the formats that fit one text, padded ones and those without a fraction first."""
    found = [name for name in (*_clocks(), *_WHOLE) if re.fullmatch(expression(name), text)]
    for date in _with_loose(_DATES):
        match = re.match(expression(date).removesuffix("$"), text)
        rest = text[match.end() :] if match else None
        if rest is None:
            continue
        if not rest:
            found.append(date)
        for between in _BETWEEN:
            if rest and rest.startswith(between):
                clock = rest.removeprefix(between)
                clocks = [name for name in _clocks() if re.fullmatch(expression(name), clock)]
                found += [date + between + name for name in clocks]
    return found


@cache
def _clocks() -> tuple[str, ...]:
    return tuple(time + zone for time in _with_loose(_TIMES) for zone in _ZONES)


def _with_loose(formats: tuple[str, ...]) -> list[str]:
    return list(dict.fromkeys(f for name in formats for f in (name, loosened(name))))


def _order(format_: str) -> str:
    """Return the order of year, month and day; nothing else makes two readings of one text."""
    return "".join(part[-1].replace("B", "b") for part in parts(format_) if part[-1] in "YymdbB")


def check_format(format_: str) -> str | None:
    """Return what is wrong with a format that a person wrote, or None."""
    known = {*_PATTERNS, "%f"}
    unknown = [part for part in parts(format_) if part[0] == "%" and part not in known]
    if unknown:
        return f"{unknown[0]!r} is not among {', '.join(sorted(known))}"
    if len([part for part in parts(format_) if part[0] == "%"]) > len(_groups(format_)):
        return "a part of it occurs twice"
    whole = {"d", "m", "Y"}, {"d", "m", "y"}, {"d", "b", "Y"}, {"d", "b", "y"}
    if not (has_time(format_) or any(parts <= _groups(format_) for parts in whole)):
        return "it has no whole date and no time"
    return None


def has_date(format_: str) -> bool:
    """Return whether the format has a day."""
    return "d" in _groups(format_)


def has_time(format_: str) -> bool:
    """Return whether the format has a time of day."""
    return bool({"H", "I"} & _groups(format_))


def has_zone(format_: str) -> bool:
    """Return whether the format has a zone."""
    return "z" in _groups(format_)


def loosened(format_: str) -> str:
    """Return the format with numbers of one or two digits where it asks for two."""
    return "".join(_LOOSE.get(part, part) for part in parts(format_))


def parts(format_: str) -> list[str]:
    """Return directives and single characters, in order."""
    return _DIRECTIVE.findall(format_)


@cache
def expression(format_: str) -> str:
    """Return the regular expression; a fraction may be missing, as writers leave out zeros."""
    text = ""
    for part in parts(format_):
        if part == "%f":
            dot = text.endswith(r"\.")
            text = text[:-2] if dot else text
            text += r"(?:\.(?P<f>[0-9]{1,9}))?" if dot else "(?P<f>[0-9]{1,9})"
        else:
            text += _PATTERNS.get(part, re.escape(part))
    return f"^{text}$"


@cache
def _groups(format_: str) -> frozenset[str]:
    return frozenset(re.findall(r"\(\?P<(\w)>", expression(format_)))


def parse(texts: pa.Array, format_: str) -> Parsed:
    """Read N texts; null where the format does not fit or there is no such day."""
    found = pc.extract_regex(texts, pattern=expression(format_))
    ok = pc.is_valid(found).to_numpy(zero_copy_only=False).copy()
    fields = {name: pc.struct_field(found, name) for name in _groups(format_)}
    micros = np.zeros(len(texts), np.int64)
    if "d" in fields:
        micros += _days(fields, ok) * DAY_US
    micros += _of_day(fields, ok)
    offsets = _offsets(fields["z"]) if "z" in fields else None
    if offsets is not None:
        micros -= offsets * SECOND_US
    return Parsed(format=format_, ok_N=ok, micros_N=np.where(ok, micros, 0), offsets_N=offsets)


def write(micros_N: NDArray[np.int64], format_: str, offset_s: int = 0) -> pa.Array:
    """Return N texts of microseconds since 1970 in UTC, or since midnight.

    `offset_s` is that of the zone that the texts are in.
    """
    local = micros_N + offset_s * SECOND_US
    days = np.floor_divide(local, DAY_US)
    values = {**_calendar(days), **_clock(local - days * DAY_US)}
    columns = [_written(part, values, offset_s) for part in parts(format_)]
    if not len(micros_N):
        return pa.array([], pa.string())
    return pc.binary_join_element_wise(*columns, "")


def _number(texts: pa.Array) -> NDArray[np.int64]:
    filled = pc.if_else(pc.equal(pc.fill_null(texts, "0"), ""), "0", pc.fill_null(texts, "0"))
    numbers: NDArray[np.int64] = pc.cast(filled, pa.int64()).to_numpy(zero_copy_only=False)
    return numbers


def _days(fields: dict[str, pa.Array], ok: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return days since 1970 and mark days that do not exist in `ok`. Two-digit years: POSIX."""
    if "Y" in fields:
        year = _number(fields["Y"])
    else:
        short = _number(fields["y"])
        year = np.where(short < 69, 2000, 1900) + short
    month = _month_numbers(fields["b"]) if "b" in fields else _number(fields["m"])
    day = _number(fields["d"])
    ok &= (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1)
    month_start = np.where(ok, (year - 1970) * 12 + month - 1, 0).astype("datetime64[M]")
    date = month_start.astype("datetime64[D]") + np.where(ok, day - 1, 0)
    ok &= date.astype("datetime64[M]") == month_start
    days: NDArray[np.int64] = date.astype(np.int64)
    return days


def _month_numbers(names: pa.Array) -> NDArray[np.int64]:
    lower = pc.utf8_lower(pc.fill_null(names, ""))
    known = pa.array([*MONTHS, *(name[:3] for name in MONTHS), "sept"])
    place = pc.fill_null(pc.index_in(lower, value_set=known), -1).to_numpy(zero_copy_only=False)
    numbers: NDArray[np.int64] = np.where(place < 0, 0, np.where(place == 24, 9, place % 12 + 1))
    return numbers.astype(np.int64)


def _of_day(fields: dict[str, pa.Array], ok: NDArray[np.bool_]) -> NDArray[np.int64]:
    numbers = {name: _number(fields[name]) for name in _LARGEST if name in fields}
    for name, number in numbers.items():
        ok &= number <= _LARGEST[name]
    hours = numbers.get("H", numbers.get("I", np.zeros(len(ok), np.int64)))
    if "I" in numbers and "p" in fields:
        ok &= hours >= 1
        late = pc.equal(pc.utf8_lower(pc.fill_null(fields["p"], "")), "pm")
        hours = hours % 12 + 12 * late.to_numpy(zero_copy_only=False)
    seconds = hours * 3600 + numbers.get("M", 0) * 60 + numbers.get("S", 0)
    fraction = np.zeros(len(ok), np.int64)
    if "f" in fields:
        digits = pc.utf8_slice_codeunits(pc.fill_null(fields["f"], ""), 0, 6)
        fraction = _number(pc.utf8_rpad(digits, 6, "0"))
    return np.asarray(seconds * SECOND_US + fraction, np.int64)


def _offsets(zones: pa.Array) -> NDArray[np.int64]:
    texts = pc.replace_substring_regex(pc.fill_null(zones, "Z"), "^(Z|UTC|GMT)$", "+0000")
    texts = pc.utf8_rpad(pc.replace_substring(texts, ":", ""), 5, "0")
    hours = _number(pc.utf8_slice_codeunits(texts, 1, 3))
    minutes = _number(pc.utf8_slice_codeunits(texts, 3, 5))
    sign = np.where(pc.starts_with(texts, "-").to_numpy(zero_copy_only=False), -1, 1)
    return np.asarray(sign * (hours * 3600 + minutes * 60), np.int64)


def _calendar(days: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
    dates = days.astype("datetime64[D]")
    months = dates.astype("datetime64[M]")
    years = dates.astype("datetime64[Y]").astype(np.int64) + 1970
    return {
        "Y": years,
        "y": years % 100,
        "m": months.astype(np.int64) % 12 + 1,
        "d": (dates - months.astype("datetime64[D]")).astype(np.int64) + 1,
    }


def _clock(micros: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
    hours = micros // (3600 * SECOND_US)
    return {
        "H": hours,
        "I": (hours + 11) % 12 + 1,
        "p": hours // 12,
        "M": micros // (60 * SECOND_US) % 60,
        "S": micros // SECOND_US % 60,
        "f": micros % SECOND_US,
    }


def zone_text(offset_s: int) -> str:
    """Return an offset from UTC as +01:00."""
    sign, size = "-" if offset_s < 0 else "+", abs(offset_s)
    return f"{sign}{size // 3600:02}:{size % 3600 // 60:02}"


def _written(part: str, values: dict[str, NDArray[np.int64]], offset_s: int) -> pa.Array | str:
    if part[0] != "%":
        return part
    name = part[-1]
    if name in "bB":
        names = [month.capitalize()[: 3 if name == "b" else None] for month in MONTHS]
        return pa.array(names).take(pa.array(values["m"] - 1))
    if name == "p":
        return pa.array(["AM", "PM"]).take(pa.array(values["p"]))
    if name in "zZ":
        zone = zone_text(offset_s)
        if part in ("%-z", "%Z"):
            return "UTC" if part == "%Z" else zone[:3]
        return zone if part == "%:z" else zone.replace(":", "")
    number = values[name] // (1000 if part == "%3f" else 1)
    width = {"Y": 4, "f": 3 if part == "%3f" else 6}.get(name, 1 if part[1] == "-" else 2)
    return pc.utf8_lpad(pc.cast(pa.array(number), pa.string()), width, "0")
