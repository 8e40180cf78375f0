"""Numbers that carry signs or units: `$1,234.50`, `12.5%`, `3.20 EUR`, `(1,234.00)`, `12 kg`.

A column is read as numbers with a format when one format writes every text of it again, exactly;
else it stays text. Codes such as `C536379` or `Town 716` are no numbers: only a currency stands
before the digits, and only a currency, a percent sign or a unit behind them.

Shape legend: U distinct texts, V of them values.
"""

import itertools
import re
from dataclasses import dataclass, replace
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from storage.sources.tables.csv_numbers import (
    DIGITS,
    Distinct,
    Marks,
    fixed_decimals,
    float_pattern,
    integer_pattern,
    matches,
    plain_texts,
    read_floats,
)
from storage.sources.tables.csv_write import quote_regex, texts_of
from storage.sources.tables.dialect import Dialect, Style

_PARTS: Final = (
    rf"^(?P<before>[^0-9.,\x00]{{0,12}})(?P<digits>{DIGITS})(?P<after>[^0-9\x00]{{0,16}}[23]?)$"
)
_MINUS: Final = re.compile(r"[-\u2212\u2013]")
_CURRENCY: Final = (
    r"(?:[A-Z]{0,3}[$€£¥₹₽₩₺₪₫฿₴₦₱¢]|US\$|kr\.?|Kr\.?|Fr\.?|Ft|zł|Kč|lei|R|Rs\.?|"
    r"AED|ARS|AUD|BGN|BRL|CAD|CHF|CLP|CNY|COP|CZK|DKK|EUR|GBP|HKD|HUF|IDR|ILS|INR|ISK|JPY|KRW|MXN|"
    r"MYR|NGN|NOK|NZD|PEN|PHP|PLN|QAR|RON|RUB|SAR|SEK|SGD|THB|TRY|TWD|UAH|USD|VND|ZAR)"
)
_GLUED: Final = (
    r"(?:[%‰°℃℉]|°[CF]|[kKMGTP]?i?B|[kMGT]?bps|[kKMB]|bn|mn|[kcmµμn]?m[²³23]?|mi|ft|in|yd|[kmµμ]?g|mg|"
    r"lbs?|oz|t|[mcd]?[lL]|ha|h|hrs?|hours?|mins?|m?s|secs?|days?|d|w|weeks?|months?|y|yrs?|years?|"
    r"[kMGT]?Wh?|[mk]?V|m?A|m?Ah|[kMG]?Hz|[kM]?J|kcal|cal|hp|PS|cc|ccm|bpm|rpm|mmHg|[kM]?Pa|bar|"
    r"psi|px|pt|dpi|dB|x|pcs?|Mbit/s|km/h|mph|kmh|m/s|°|ppm|ppb)"
)
_PER: Final = r"(?:\s?/\s?[A-Za-z0-9²³.%]{1,8})?"
_BEFORE: Final = re.compile(rf"(?:{_CURRENCY}\s?)?")
_AFTER: Final = re.compile(
    rf"(?:\s?{_CURRENCY}{_PER}|\s?{_GLUED}{_PER}|"
    r"\s[A-Za-z°µμ][\w°²³./%-]{0,11}(?: [A-Za-z]{1,8})?)?"
)
_FIRST: Final = 100
_GROUPING: Final = ("\u00a0", "\u202f", "'", "\u2019", " ")
_OTHER: Final = {".": ",", ",": "."}
_FILE: Final = Dialect()


@dataclass(frozen=True, kw_only=True)
class SignedNumbers:
    """A column of numbers with a format. V texts."""

    values_V: pa.Array
    style: Style
    """How they are written, with the column's own marks."""


@dataclass(frozen=True, kw_only=True)
class Doubt:
    """Numbers that can be read in two ways."""

    mark: str
    """Which may be before thousands or before decimals."""


def digits_of(column: Distinct) -> Distinct | None:
    """Return the column with the digits alone of its texts; None when they are no such numbers."""
    words = column.words()
    if not matches(words.slice(0, _FIRST), "[^-0-9., ']").any() or _parts(words) is None:
        return None
    found = pc.struct_field(pc.extract_regex(column.trimmed, _PARTS), "digits")
    return replace(column, texts_U=pc.fill_null(found, ""))


def find_signed(texts_V: pa.Array, marks: Marks) -> SignedNumbers | Doubt | None:
    """Return texts as numbers with the format that writes all of them again; None when none does.

    Args:
        texts_V: without those for a missing value.
        marks: of the other numbers of the file, tried first.
    """
    parts = _parts(texts_V)
    if parts is None:
        return None
    style, bare_V = parts
    fitting = [mark for mark in (marks.decimal, _OTHER[marks.decimal]) if _fits(bare_V, mark)]
    read = [_read(texts_V, bare_V, style, mark) for mark in fitting]
    if len(read) == 2 and not marks.proven and matches(bare_V, "[.,]").any():
        return Doubt(mark="," if matches(bare_V, ",").any() else ".")
    return read[0] if read else None


def _parts(texts_V: pa.Array) -> tuple[Style, pa.Array] | None:
    """Return what stands around the digits, and the digits with a plain minus."""
    if not len(texts_V) or not matches(texts_V.slice(0, 1), _PARTS).all():
        return None
    found = pc.extract_regex(texts_V, _PARTS)
    if found.null_count:
        return None
    around = pc.binary_join_element_wise(
        pc.struct_field(found, "before"), pc.struct_field(found, "after"), "\0"
    )
    pairs = [tuple(text.split("\0")) for text in pc.unique(around).to_pylist()]
    if len(pairs) > 2:
        return None
    signed = [pair for pair in pairs if _is_negative(pair)]
    plain = {_unsigned(pair) for pair in pairs}
    if len(signed) == 2 or len(plain) != 1:
        return None
    affixes = plain.pop()
    negative = signed[0] if signed else None
    if not _is_quantity(*affixes) or (affixes == ("", "") and negative in (None, ("-", ""))):
        return None
    usual = (f"-{affixes[0]}", affixes[1])
    style = Style(
        affixes=None if affixes == ("", "") else affixes,
        negative=None if negative in (None, usual) else negative,
    )
    below = pc.equal(around, "\0".join(negative)) if negative else pa.array([False] * len(texts_V))
    digits = pc.struct_field(found, "digits")
    return style, pc.if_else(below, pc.binary_join_element_wise("-", digits, ""), digits)


def _is_negative(pair: tuple[str, ...]) -> bool:
    before, after = pair
    return bool(_MINUS.search(before + after)) or ("(" in before and ")" in after)


def _unsigned(pair: tuple[str, ...]) -> tuple[str, str]:
    """Return what stands around the digits without one sign of negative numbers."""
    before, after = pair
    if "(" in before and ")" in after:
        return before.replace("(", "", 1), after.replace(")", "", 1)
    if _MINUS.search(before):
        return _MINUS.sub("", before, count=1), after
    return before, _MINUS.sub("", after, count=1)


def _is_quantity(before: str, after: str) -> bool:
    return bool(_BEFORE.fullmatch(before)) and bool(_AFTER.fullmatch(after))


def _thousands(bare_V: pa.Array, decimal: str) -> str | None:
    marks = (_OTHER[decimal], *_GROUPING)
    return next((mark for mark in marks if matches(bare_V, quote_regex(mark)).any()), None)


def _fits(bare_V: pa.Array, decimal: str) -> bool:
    """Whether all are numbers by a decimal mark."""
    return bool(matches(bare_V, float_pattern(decimal, _thousands(bare_V, decimal))).all())


def _read(texts_V: pa.Array, bare_V: pa.Array, style: Style, decimal: str) -> SignedNumbers | None:
    """Return the numbers by a decimal mark, when they are written again as the texts."""
    thousands = _thousands(bare_V, decimal)
    marks = Marks(decimal=decimal, thousands=thousands)
    whole = bool(matches(bare_V, integer_pattern(thousands)).all())
    try:
        plain = plain_texts(bare_V, marks)
        values = pc.cast(plain, pa.int64()) if whole else read_floats(bare_V, marks)
    except pa.ArrowInvalid:
        return None
    decimals = None if whole else fixed_decimals(bare_V, marks)
    shorts = (False,) if whole or decimals else (True, False)
    for grouped, short in itertools.product((True, False) if thousands else (False,), shorts):
        full = replace(
            style,
            decimal=decimal,
            thousands=thousands,
            grouped=grouped,
            decimals=decimals,
            short=short,
        )
        if texts_of(values, _FILE, full).equals(texts_V):
            return SignedNumbers(values_V=values, style=full)
    return None
