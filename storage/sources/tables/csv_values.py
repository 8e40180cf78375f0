"""Reading the texts of one column as numbers, booleans or dates: a typed column, or None."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from storage.sources.tables.csv_column import Ambiguous, Rules, Typed, Words, all_match
from storage.sources.tables.csv_date_formats import Found
from storage.sources.tables.csv_dates import has_date, has_time, has_zone
from storage.sources.tables.csv_numbers import (
    fixed_decimals,
    float_pattern,
    integer_pattern,
    read_decimals,
    read_floats,
    read_integers,
)
from storage.sources.tables.dialect import Style

BOOLEANS: Final = (
    ("true", "false"), ("yes", "no"), ("wahr", "falsch"), ("vrai", "faux"),
)  # fmt: skip
ASKED_BOOLEANS: Final = (*BOOLEANS, ("t", "f"), ("y", "n"), ("1", "0"), ("ja", "nein"))


def integers(words: Words, rules: Rules) -> Typed | None:
    """Return whole numbers without leading zeros."""
    if not all_match(words, integer_pattern(rules.marks.thousands)):
        return None
    texts, mark = words.texts, rules.marks.thousands
    values, note = read_integers(texts, rules.marks)
    grouped = bool(mark and pc.any(pc.match_substring(texts, mark)).as_py())
    notes = () if note is None else (f"{words.column.name!r}: {note}",)
    return words.typed(values, Style(grouped=grouped), *notes)


def floats(words: Words, rules: Rules) -> Typed | None:
    """Return 64-bit floats."""
    texts, marks = words.texts, rules.marks
    if not all_match(words, float_pattern(marks.decimal, marks.thousands)):
        return None
    grouped = bool(marks.thousands and pc.any(pc.match_substring(texts, marks.thousands)).as_py())
    style = Style(decimals=fixed_decimals(texts, marks), grouped=grouped)
    return words.typed(read_floats(texts, marks), style)


def decimals(words: Words, rules: Rules) -> Typed | None:
    """Return decimals of the scale that is written."""
    marks = rules.marks
    if not all_match(words, float_pattern(marks.decimal, marks.thousands)):
        return None
    values = read_decimals(words.texts, marks)
    return None if values is None else words.typed(values, Style())


def loose_integers(words: Words, rules: Rules) -> Typed | None:
    """Whole numbers that the recipe asks for, leading zeros or not."""
    if not all_match(words, r"^-?[0-9]{1,18}$"):
        return integers(words, rules)
    return words.typed(pc.cast(words.texts, pa.int64()), Style())


def booleans(words: Words, pairs: Sequence[tuple[str, str]]) -> Typed | None:
    """Return true and false when the words are one pair of them, written one way."""
    texts = words.texts.to_pylist() if len(words.texts) <= 2 else []
    for true, false in pairs:
        for style in (str.lower, str.capitalize, str.upper):
            pair = (style(true), style(false))
            alone = true == "true" and len(texts) == 1
            if texts and set(texts) <= set(pair) and (len(texts) == 2 or alone):
                return words.typed(pc.equal(words.texts, pair[0]), Style(booleans=pair))
    return None


def dates(words: Words, found: Found) -> Typed | Ambiguous:
    """Return dates, times or timestamps by a format that fits all of them."""
    if found.others:
        return Ambiguous(formats=(found.format, *found.others))
    micros, format_ = pa.array(found.parsed.micros_N), found.format
    style = Style(format=format_)
    if not has_date(format_):
        return words.typed(micros.cast(pa.time64("us")), style)
    if not has_time(format_):
        return words.typed(micros.cast(pa.timestamp("us")).cast(pa.date32()), style)
    if not has_zone(format_):
        return words.typed(micros.cast(pa.timestamp("us")), style)
    offsets = np.unique(found.parsed.offsets_N) if found.parsed.offsets_N is not None else [0]
    zone = _zone(int(offsets[0])) if len(offsets) == 1 else "UTC"
    values = micros.cast(pa.timestamp("us", zone))
    if len(offsets) == 1:
        return words.typed(values, style)
    note = f"the zones of {words.column.name!r} differ; its timestamps are kept in UTC"
    return words.typed(values, style, note)


def _zone(offset_s: int) -> str:
    size = abs(offset_s)
    sign = "-" if offset_s < 0 else "+"
    return f"{sign}{size // 3600:02}:{size % 3600 // 60:02}" if offset_s else "UTC"
