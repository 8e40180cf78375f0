"""The texts of a CSV column that are values, and those that stand for a missing one.

Shape legend: N rows, U distinct texts, V of them values.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from storage.sources.tables.csv_numbers import (
    ALL_NULLS,
    SURE_NULLS,
    SYMBOL_NULLS,
    Distinct,
    matches,
)
from storage.sources.tables.dialect import Style

_MOST: Final = 0.9
_HALF: Final = 0.5
_SIGN: Final = r"\s?(%|€|\$|£|¥|USD|EUR|GBP|CHF)?\s?"
_MONEY: Final = rf"^[-+(]?{_SIGN}[-+]?[0-9][0-9.,']*{_SIGN}\)?$"


@dataclass(frozen=True, kw_only=True)
class Typed:
    """A column whose type is known."""

    values_U: pa.Array
    style: Style
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ColumnWords:
    """The texts of a column that are values, and those that may stand for a missing one."""

    column: Distinct
    value: NDArray[np.bool_]
    null: NDArray[np.bool_]

    @property
    def texts(self) -> pa.Array:
        """V texts without the blanks around them."""
        return self.column.trimmed.filter(pa.array(self.value))

    @property
    def counts(self) -> NDArray[np.int64]:
        """Rows of each of `texts`."""
        return self.column.counts[self.value]

    def typed(self, values: pa.Array, style: Style, *notes: str) -> Typed:
        """Return U values from V values; the others become null."""
        places = np.where(self.value, np.cumsum(self.value) - 1, 0)
        taken = values.take(pa.array(places, mask=~self.value))
        return Typed(values_U=taken, style=with_nulls(self, style), notes=notes)

    def spread(self, fits: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return which of U texts are values and do not fit."""
        misfits = np.zeros(len(self.value), np.bool_)
        misfits[np.flatnonzero(self.value)[~fits]] = True
        return misfits


def words_of(column: Distinct, nulls: Sequence[str] | None) -> ColumnWords:
    """Return the texts of a column, divided into values and possible null words."""
    null = column.empty | column.among(ALL_NULLS if nulls is None else tuple(nulls))
    return ColumnWords(column=column, value=~null, null=null)


def with_nulls(words: ColumnWords, style: Style) -> Style:
    """Add the null words of the column, and the one that is written: the commonest."""
    counts = np.where(words.null, words.column.counts, 0)
    texts = words.column.trimmed.filter(pa.array(words.null & ~words.column.empty))
    nulls = tuple(dict.fromkeys(texts.to_pylist()))
    empty = counts[words.column.empty].sum()
    best = int(np.argmax(np.where(words.column.empty, 0, counts))) if nulls else 0
    null = words.column.trimmed[best].as_py() if nulls and counts[best] > empty else ""
    return replace(style, nulls=nulls, null=null)


def all_match(words: ColumnWords, pattern: str) -> bool:
    """Return whether every value fits an expression."""
    return bool(matches(words.texts, pattern).all())


def as_text(column: Distinct, nulls: Sequence[str]) -> Typed:
    """Return a column of text with nulls for the words that mean so."""
    null = column.empty | column.among(tuple(nulls))
    words = ColumnWords(column=column, value=~null, null=null)
    texts = pc.if_else(pa.array(null), pa.scalar(None, pa.string()), column.texts_U)
    return Typed(values_U=texts, style=with_nulls(words, Style()))


def text_nulls(column: Distinct, proven: frozenset[str]) -> tuple[tuple[str, ...], str | None]:
    """Return the null words of a column of text, and what to say of words that were kept.

    Signs such as `?` are nulls where every other value has a letter or a digit; `NA` is one unless
    the others are codes of two capitals, as countries are; `None` only where another column of the
    file proves it, so that it is in `proven`.
    """
    words = column.words()
    nulls = set(SURE_NULLS) | proven
    if len(words) and matches(words, r"[\pL\pN]").all():
        nulls |= set(SYMBOL_NULLS)
    codes = len(words) and matches(words, r"^[A-Z]{2}$").mean() >= _HALF
    if codes:
        nulls -= {"NA"}
    else:
        nulls |= {"NA", "na"}
    there = column.trimmed.filter(pa.array(column.among((*ALL_NULLS, *proven)))).to_pylist()
    there = sorted(set(there))
    kept = [word for word in there if word not in nulls]
    note = None
    if kept and len(words):
        note = (
            f"{kept[0]!r} is kept as a value of {column.name!r}; list it in source.csv.nulls if it "
            "stands for a missing one"
        )
    return tuple(word for word in there if word in nulls), note


def money_note(column: Distinct) -> str | None:
    """Return what to say of numbers with a percent or currency sign, which stay text."""
    words, rows = column.words(), column.word_counts()
    if not len(words):
        return None
    signed = matches(words, _MONEY) & matches(words, r"[%€$£¥A-Z]")
    if rows[signed].sum() < _MOST * rows.sum():
        return None
    return (
        f"the numbers of {column.name!r} carry percent or currency signs, not all in one way, and "
        "are kept as text; write them alike, or set source.csv.decimal, to have them as numbers"
    )
