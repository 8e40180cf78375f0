"""What is known of one column of a CSV file: its values, the words for missing ones, its type.

Shape legend: N rows, U distinct texts, V of them values.
"""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from storage.sources.tables.csv_distinct import ALL_NULLS, Distinct, matches
from storage.sources.tables.csv_numbers import Marks
from storage.sources.tables.dialect import Style


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What is decided for all columns of a file."""

    marks: Marks
    nulls: tuple[str, ...] | None = None
    """The recipe's null words; None = found column by column."""
    date_format: str | None = None
    """The recipe's."""


@dataclass(frozen=True, kw_only=True)
class Typed:
    """A column whose type is known."""

    values_U: pa.Array
    style: Style
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Why a column has no type; `{place}` and `{shape}` of the sentence are for the first row."""

    odd_U: NDArray[np.bool_]
    """The texts that do not fit."""
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Ambiguous:
    """More than one format fits every date of a column."""

    formats: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Words:
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
        odd = np.zeros(len(self.value), np.bool_)
        odd[np.flatnonzero(self.value)[~fits]] = True
        return odd


def words_of(column: Distinct, rules: Rules) -> Words:
    """Return the texts of a column, divided into values and possible null words."""
    null = column.empty | column.among(ALL_NULLS if rules.nulls is None else rules.nulls)
    return Words(column=column, value=~null, null=null)


def with_nulls(words: Words, style: Style) -> Style:
    """Add the null words of the column, and the one that is written: the commonest."""
    counts = np.where(words.null, words.column.counts, 0)
    texts = words.column.trimmed.filter(pa.array(words.null & ~words.column.empty))
    nulls = tuple(dict.fromkeys(texts.to_pylist()))
    empty = counts[words.column.empty].sum()
    best = int(np.argmax(np.where(words.column.empty, 0, counts))) if nulls else 0
    null = words.column.trimmed[best].as_py() if nulls and counts[best] > empty else ""
    return replace(style, nulls=nulls, null=null)


def all_match(words: Words, pattern: str) -> bool:
    """Return whether every value fits an expression."""
    return bool(matches(words.texts, pattern).all())
