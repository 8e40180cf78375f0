"""From texts to exact types, column by column. Shape legend: N rows, U distinct texts."""

from collections.abc import Sequence
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from storage.sources.table_config import Kind
from storage.sources.tables.csv_asked import ASKED, asked
from storage.sources.tables.csv_column import (
    Ambiguous,
    Fault,
    Rules,
    Typed,
    Words,
    with_nulls,
    words_of,
)
from storage.sources.tables.csv_date_formats import Found, find_format
from storage.sources.tables.csv_distinct import Distinct, matches
from storage.sources.tables.csv_numbers import float_pattern, integer_pattern
from storage.sources.tables.csv_values import BOOLEANS, booleans, dates, floats, integers
from storage.sources.tables.dialect import Style, in_words

TEXT_KINDS: Final = frozenset({"category", "key", "text"})
"""Kinds of columns that stay as they are written; whole numbers become numbers all the same."""

_MOST: Final = 0.9
_HALF: Final = 0.5
_MANY: Final = 20
_MANY_CODES: Final = 10
_SIGN: Final = r"\s?(%|€|\$|£|¥|USD|EUR|GBP|CHF)?\s?"
_MONEY: Final = rf"^[-+(]?{_SIGN}[-+]?[0-9][0-9.,']*{_SIGN}\)?$"


def typed(
    column: Distinct, rules: Rules, kind: Kind | None = None
) -> Typed | Fault | Ambiguous | None:
    """Return the column with a type; None when it is text.

    Args:
        column: distinct texts.
        rules: what is known of the file.
        kind: what the recipe says it is; None = inferred.
    """
    words = words_of(column, rules)
    if not words.value.any():
        return words.typed(pa.array([], pa.string()), Style())
    if kind in ASKED:
        return asked(words, rules, kind)
    whole = integers(words, rules)
    if kind in TEXT_KINDS:
        return whole
    found = find_format(words.texts, words.counts, rules.date_format)
    if found is not None and found.parsed.ok_N.all():
        return dates(words, found)
    return whole or booleans(words, BOOLEANS) or floats(words, rules) or _odd(words, found, rules)


def as_text(column: Distinct, nulls: Sequence[str], note: str | None = None) -> Typed:
    """Return a column of text with nulls for the words that mean so."""
    null = column.empty | column.among(tuple(nulls))
    words = Words(column=column, value=~null, null=null)
    texts = pc.if_else(pa.array(null), pa.scalar(None, pa.string()), column.texts_U)
    style = with_nulls(words, Style())
    return Typed(values_U=texts, style=style, notes=() if note is None else (note,))


def money_note(column: Distinct) -> str | None:
    """Return what to say of numbers with a percent or currency sign, which stay text."""
    words, rows = column.words(), column.word_counts()
    if not len(words):
        return None
    signed = matches(words, _MONEY) & matches(words, r"[%€$£¥A-Z]")
    if rows[signed].sum() < _MOST * rows.sum():
        return None
    return (
        f"the numbers of {column.name!r} carry a percent or currency sign and are kept as text; "
        "take the sign out of the file to have them as numbers"
    )


def _are_codes(others: pa.Array, rows: int) -> bool:
    """Whether texts beside whole numbers are codes, such as C536379 or 85123A, and not slips."""
    zeros = matches(others, "^-?0[0-9]+$").any()
    lettered = matches(others, "^([A-Za-z]{1,3}-?[0-9]+|[0-9]+-?[A-Za-z]{1,2})$").mean() >= _MOST
    return bool(zeros or (lettered and rows >= _MANY_CODES))


def _odd(words: Words, found: Found | None, rules: Rules) -> Fault | None:
    """Return why a column that is mostly numbers or dates is neither; None for mere text."""
    name, rows = words.column.name, words.counts
    if found is not None:
        sentence = (
            f"The column {name!r} holds dates as {in_words(found.format)} ({found.format}), but "
            "{place} holds {shape}, which is no such date; correct it, set source.csv.date_format, "
            "add it to source.csv.nulls if it stands for a missing one, or give the column a kind "
            "such as category in source.columns."
        )
        return Fault(odd_U=words.spread(found.parsed.ok_N), sentence=sentence)
    marks = rules.marks
    fits = matches(words.texts, float_pattern(marks.decimal, marks.thousands))
    share = rows[fits].sum() / rows.sum()
    others = words.texts.filter(pa.array(~fits))
    wordy = not matches(others, "[0-9]").any()
    if (
        _are_codes(others, int(rows[~fits].sum()))
        or share < _HALF
        or (share < _MOST and not (wordy and fits.sum() >= _MANY))
    ):
        return None
    whole = matches(words.texts.filter(pa.array(fits)), integer_pattern(marks.thousands)).all()
    sentence = (
        f"The column {name!r} is of mixed types, {'whole ' if whole else ''}numbers and words: "
        "{place} holds {shape}; correct it, add the word to source.csv.nulls if it stands for a "
        "missing value, or give the column a kind such as category in source.columns."
    )
    return Fault(odd_U=words.spread(fits), sentence=sentence)
