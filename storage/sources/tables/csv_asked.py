"""Reading one column of a CSV file as the kind that the recipe says."""

from typing import Final

from storage.sources.table_config import Kind
from storage.sources.tables.csv_column import Ambiguous, Fault, Rules, Typed, Words
from storage.sources.tables.csv_date_formats import find_format
from storage.sources.tables.csv_distinct import matches
from storage.sources.tables.csv_numbers import Marks, float_pattern, integer_pattern
from storage.sources.tables.csv_values import (
    ASKED_BOOLEANS,
    booleans,
    dates,
    decimals,
    floats,
    loose_integers,
)
from storage.sources.tables.dialect import in_words

ASKED: Final = frozenset({"integer", "float", "decimal", "boolean", "date", "time", "timestamp"})
"""Kinds that texts are read as when the recipe says so."""


def asked(words: Words, rules: Rules, kind: Kind | None) -> Typed | Fault | Ambiguous:
    """Return the column as the recipe wants it, or why it cannot be so."""
    if kind in ("date", "time", "timestamp"):
        found = find_format(words.texts, words.counts, rules.date_format)
        if found is not None and found.parsed.ok_N.all():
            return dates(words, found)
        odd = words.value if found is None else words.spread(found.parsed.ok_N)
        known = "" if found is None else f" as {in_words(found.format)} ({found.format})"
        remedy = "set source.csv.date_format, or another kind in source.columns"
        return Fault(odd_U=odd, sentence=_refusal(words, f"{kind}{known}", remedy))
    result = {
        "integer": lambda: loose_integers(words, rules),
        "float": lambda: floats(words, rules),
        "decimal": lambda: decimals(words, rules),
        "boolean": lambda: booleans(words, ASKED_BOOLEANS),
    }[str(kind)]()
    if result is not None:
        return result
    fits = matches(words.texts, _expected(str(kind), rules.marks))
    odd = words.value if fits.all() else words.spread(fits)
    remedy = "correct it, or set another kind in source.columns"
    return Fault(odd_U=odd, sentence=_refusal(words, str(kind), remedy))


def _refusal(words: Words, kind: str, remedy: str) -> str:
    return (
        f"The column {words.column.name!r} cannot be read as {kind}: {{place}} holds {{shape}}; "
        f"{remedy}."
    )


def _expected(kind: str, marks: Marks) -> str:
    if kind == "boolean":
        return "(?i)^(" + "|".join(word for pair in ASKED_BOOLEANS for word in pair) + ")$"
    if kind == "integer":
        return f"{integer_pattern(marks.thousands)}|^-?[0-9]{{1,18}}$"
    return float_pattern(marks.decimal, marks.thousands)
