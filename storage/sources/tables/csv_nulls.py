"""Which words of a text column stand for a missing value."""

import pyarrow as pa

from storage.sources.tables.csv_distinct import (
    ALL_NULLS,
    SURE_NULLS,
    SYMBOL_NULLS,
    Distinct,
    matches,
)

_MOST_CODES = 0.5


def text_nulls(column: Distinct, proven: frozenset[str]) -> tuple[tuple[str, ...], str | None]:
    """Return the null words of a column of text, and what to say of words that were kept.

    Signs such as `?` are nulls where every other value has a letter or a digit; `NA` is one unless
    the others are codes of two capitals, as countries are; `None` only where another column of the
    file proves it.

    Args:
        column: distinct texts.
        proven: words that stand for missing numbers or dates elsewhere in the file.
    """
    words = column.words()
    nulls = set(SURE_NULLS) | proven
    if len(words) and matches(words, r"[\pL\pN]").all():
        nulls |= set(SYMBOL_NULLS)
    codes = len(words) and matches(words, r"^[A-Z]{2}$").mean() >= _MOST_CODES
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
