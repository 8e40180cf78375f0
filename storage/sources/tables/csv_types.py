"""From texts to exact types, for all columns of CSV files together.

Every column becomes numbers, booleans, dates or text, as the recipe says or as all its values
prove; one that is mixed or ambiguous is refused with the line of the fault. Which words stand for a
missing value is decided per column.

Shape legend: N rows, U distinct texts, V of them values.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from storage.errors import SourceError
from storage.records.proposal import Proposal
from storage.records.schema import Kind
from storage.sources.config import CsvConfig, SourceConfig
from storage.sources.tables.csv_dates import (
    Parsed,
    find_format,
    has_date,
    has_time,
    has_zone,
    zone_text,
)
from storage.sources.tables.csv_numbers import (
    ALL_NULLS,
    Distinct,
    Marks,
    decide_marks,
    fixed_decimals,
    float_pattern,
    integer_pattern,
    matches,
    read_decimals,
    read_floats,
    read_integers,
)
from storage.sources.tables.csv_words import (
    ColumnWords,
    Typed,
    all_match,
    as_text,
    money_note,
    text_nulls,
    words_of,
)
from storage.sources.tables.dialect import Style, in_words
from storage.sources.tables.number_formats import Doubt, digits_of, find_signed
from storage.sources.tables.text_patterns import shown_shape
from storage.sources.tables.types import LARGEST_WHOLE
from storage.sources.tables.whole_dates import FEWEST, FORMAT, are_dates, read_days

BOOLEANS: Final = (
    ("true", "false"), ("yes", "no"), ("wahr", "falsch"), ("vrai", "faux"),
)  # fmt: skip
GIVEN_BOOLEANS: Final = (*BOOLEANS, ("t", "f"), ("y", "n"), ("1", "0"), ("ja", "nein"))

READ_KINDS: Final = frozenset(
    {"integer", "float", "decimal", "boolean", "date", "time", "timestamp"}
)
"""Kinds that texts are read as when the recipe says so."""

TEXT_KINDS: Final = frozenset({"category", "key", "text"})
"""Kinds of columns that stay as they are written; whole numbers become numbers, except in text."""

_MOST: Final = 0.9
_HALF: Final = 0.5
_MANY: Final = 20
_MANY_CODES: Final = 10

MOST_CLASSES: Final = 50
"""A label of texts with at most so many values has classes, which stay as they are written."""

_FEW_WORDS: Final = 5
_SHOWN_GROUP: Final = 10
"""A word that so many rows hold is shown in a message; rarer ones only by their shape."""


class AmbiguousDatesError(SourceError):
    """Dates that read equally well in two ways; the recipe has to say which."""


class MixedColumnError(SourceError):
    """A column that is mostly numbers or dates, and not all of it."""

    def __init__(self, message: str, *, words: Sequence[str], proposal: Proposal) -> None:
        super().__init__(message, proposals=[proposal])
        self.words = tuple(words)
        """What may stand for a missing value; empty where a rare value is among it."""


@dataclass(frozen=True, kw_only=True)
class CsvRules:
    """What is decided for all columns of a file."""

    marks: Marks
    csv: CsvConfig
    """The recipe's."""
    locate: Callable[[int], str]
    """Names line and file of a row."""
    label: str | None = None
    """The column whose few values are classes."""


def type_columns(
    columns: Sequence[Distinct],
    config: SourceConfig,
    delimiter: str,
    locate: Callable[[int], str],
) -> tuple[Marks, dict[str, Typed]]:
    """Return the marks of numbers and every column with its type, in order.

    Raises:
        SourceError: a column is mixed or ambiguous, or not of the kind that the recipe says.
    """
    given = {column.name: column for column in config.columns}
    dropped = {name for name, one in given.items() if one.text == "drop"}
    kinds: dict[str, Kind] = {
        name: one.asked_kind for name, one in given.items() if one.asked_kind != "auto"
    }
    closed = {*dropped, *(name for name, kind in kinds.items() if kind in ("text", "key"))}
    open_columns = [one for one in columns if one.name not in closed]
    signed = [one for one in map(digits_of, open_columns) if one is not None]
    marks = decide_marks(open_columns, delimiter, config.csv.decimal, signed)
    rules = CsvRules(marks=marks, csv=config.csv, locate=locate, label=config.label)
    results: dict[str, Typed | None] = {}
    errors: list[SourceError] = []
    for one in columns:
        try:
            found = None if one.name in dropped else typed(one, rules, kinds.get(one.name))
        except SourceError as error:
            errors.append(error)
        else:
            results[one.name] = found
    if errors:
        raise _joined(errors, columns)
    proven = frozenset(word for r in results.values() if r is not None for word in r.style.nulls)
    return marks, {one.name: results[one.name] or _text(one, rules, proven) for one in columns}


def _joined(errors: Sequence[SourceError], columns: Sequence[Distinct]) -> SourceError:
    """Return one error on all columns; words that may stand for missing values are one list."""
    if len(errors) == 1 and not isinstance(errors[0], MixedColumnError):
        return errors[0]
    words = {word for error in errors for word in getattr(error, "words", ())}
    proposals = [
        proposal
        for error in errors
        if not getattr(error, "words", ())
        for proposal in error.proposals
    ]
    if words:
        known = {
            text
            for one in columns
            for text in one.trimmed.filter(pa.array(one.among(ALL_NULLS))).to_pylist()
        }
        why = f"{', '.join(sorted(words))} would be missing values among numbers or dates"
        nulls = sorted(words | known)
        proposals.append(Proposal(setting="source.csv.nulls", value=nulls, why=why))
    return SourceError(" ".join(map(str, errors)), proposals=proposals)


def _text(column: Distinct, rules: CsvRules, proven: frozenset[str]) -> Typed:
    nulls, note = rules.csv.nulls, None
    if nulls is None:
        nulls, note = text_nulls(column, proven)
    notes = tuple(text for text in (note, money_note(column)) if text)
    return replace(as_text(column, nulls), notes=notes)


def _example(words: ColumnWords, misfits_U: NDArray[np.bool_], rules: CsvRules) -> str:
    """Return where the first text that does not fit is, and how it looks."""
    column = words.column
    row = column.first_row(misfits_U)
    code = int(column.codes_N[row].as_py())
    text = column.trimmed[code].as_py()
    often = column.counts[code] >= _SHOWN_GROUP
    shape = f"{text!r}" if often else f"a value of the form {shown_shape(text)}"
    return f"{rules.locate(row)} holds {shape}"


def typed(column: Distinct, rules: CsvRules, kind: Kind | None = None) -> Typed | None:
    """Return the column with a type, inferred where `kind` does not say it; None when it is text.

    Raises:
        SourceError: it is mixed or ambiguous, or not of that kind.
    """
    words = words_of(column, rules.csv.nulls)
    if not words.value.any():
        return words.typed(pa.array([], pa.string()), Style())
    if kind in READ_KINDS:
        return as_given(words, rules, kind)
    whole = None if kind == "text" else integers(words, rules)
    if kind in TEXT_KINDS:
        return whole
    found = find_format(words.texts, words.counts, rules.csv.date_format)
    if found is not None and found.ok_N.all():
        return dates(words, found)
    if whole is not None and column.name != rules.label:
        whole = whole_dates(whole)
    result = whole or booleans(words, BOOLEANS) or floats(words, rules)
    if result is None and not (column.name == rules.label and len(words.texts) <= MOST_CLASSES):
        result = signed_numbers(words, rules)
    if result is None:
        _check_not_mixed(words, found, rules)
    return result


def as_given(words: ColumnWords, rules: CsvRules, kind: Kind | None) -> Typed:
    """Return the column as the kind that the recipe says.

    Raises:
        SourceError: it cannot be.
    """
    if kind in ("date", "time", "timestamp"):
        found = find_format(words.texts, words.counts, rules.csv.date_format)
        if found is not None and found.ok_N.all():
            return dates(words, found)
        whole = integers(words, rules) if kind == "date" else None
        if whole is not None and whole_dates(whole, fewest=1) is not whole:
            return whole_dates(whole, fewest=1)
        misfits = words.value if found is None else words.spread(found.ok_N)
        known = "" if found is None else f" as {in_words(found.format)} ({found.format})"
        remedy = "set source.csv.date_format, or another kind in source.columns"
        raise _refusal(words, f"{kind}{known}", _example(words, misfits, rules), remedy)
    result = {
        "integer": lambda: (
            loose_integers(words, rules)
            or signed_numbers(words, rules, pa.int64())
            or whole_floats(words, rules)
        ),
        "float": lambda: floats(words, rules) or signed_numbers(words, rules, pa.float64()),
        "decimal": lambda: decimals(words, rules),
        "boolean": lambda: booleans(words, GIVEN_BOOLEANS),
    }[str(kind)]()
    if result is not None:
        return result
    fits = matches(words.texts, _expected(str(kind), rules.marks))
    misfits = words.value if fits.all() else words.spread(fits)
    remedy = "correct it, or set another kind in source.columns"
    raise _refusal(words, str(kind), _example(words, misfits, rules), remedy)


def _refusal(words: ColumnWords, kind: str, example: str, remedy: str) -> SourceError:
    return SourceError(
        f"The column {words.column.name!r} cannot be read as {kind}: {example}; {remedy}."
    )


def _expected(kind: str, marks: Marks) -> str:
    if kind == "boolean":
        return "(?i)^(" + "|".join(word for pair in GIVEN_BOOLEANS for word in pair) + ")$"
    if kind == "integer":
        return f"{integer_pattern(marks.thousands)}|^-?[0-9]{{1,18}}$"
    return float_pattern(marks.decimal, marks.thousands)


def _check_not_mixed(words: ColumnWords, found: Parsed | None, rules: CsvRules) -> None:
    """Refuse a column that is mostly numbers or dates and is neither; mere text passes."""
    name, rows = words.column.name, words.counts
    if found is not None:
        example = _example(words, words.spread(found.ok_N), rules)
        msg = (
            f"The column {name!r} holds dates as {in_words(found.format)} ({found.format}), but "
            f"{example}, which is no such date; correct it, set source.csv.date_format, "
            "add it to source.csv.nulls if it stands for a missing one, or give the column a kind "
            "such as category in source.columns."
        )
        raise _mixed(msg, words, found.ok_N)
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
        return
    whole = matches(words.texts.filter(pa.array(fits)), integer_pattern(marks.thousands)).all()
    msg = (
        f"The column {name!r} is of mixed types, {'whole ' if whole else ''}numbers and words: "
        f"{_example(words, words.spread(fits), rules)}; correct it, add the word to "
        "source.csv.nulls if it stands for a missing value, or give the column a kind such as "
        "category in source.columns."
    )
    raise _mixed(msg, words, fits)


def _mixed(msg: str, words: ColumnWords, fits: NDArray[np.bool_]) -> MixedColumnError:
    """Return the error, with the odd words where every one of them may be shown."""
    odd = words.texts.filter(pa.array(~fits)).to_pylist()
    shown = len(odd) <= _FEW_WORDS and bool((words.counts[~fits] >= _SHOWN_GROUP).all())
    value = {"name": words.column.name, "kind": "category"}
    why = "mixed: some values are no numbers or dates as the others are"
    proposal = Proposal(setting="source.columns", value=value, why=why)
    return MixedColumnError(msg, words=odd if shown else (), proposal=proposal)


def _are_codes(others: pa.Array, rows: int) -> bool:
    """Whether texts beside whole numbers are codes, such as C536379 or 85123A, and not slips."""
    zeros = matches(others, "^-?0[0-9]+$").any()
    lettered = matches(others, "^([A-Za-z]{1,3}-?[0-9]+|[0-9]+-?[A-Za-z]{1,2})$").mean() >= _MOST
    return bool(zeros or (lettered and rows >= _MANY_CODES))


def integers(words: ColumnWords, rules: CsvRules) -> Typed | None:
    """Return whole numbers without leading zeros."""
    if not all_match(words, integer_pattern(rules.marks.thousands)):
        return None
    texts, mark = words.texts, rules.marks.thousands
    values, note = read_integers(texts, rules.marks)
    grouped = bool(mark and pc.any(pc.match_substring(texts, mark)).as_py())
    notes = () if note is None else (f"{words.column.name!r}: {note}",)
    return words.typed(values, Style(grouped=grouped), *notes)


def floats(words: ColumnWords, rules: CsvRules) -> Typed | None:
    """Return 64-bit floats."""
    texts, marks = words.texts, rules.marks
    if not all_match(words, float_pattern(marks.decimal, marks.thousands)):
        return None
    grouped = bool(marks.thousands and pc.any(pc.match_substring(texts, marks.thousands)).as_py())
    style = Style(decimals=fixed_decimals(texts, marks), grouped=grouped)
    return words.typed(read_floats(texts, marks), style)


def decimals(words: ColumnWords, rules: CsvRules) -> Typed | None:
    """Return decimals of the scale that is written."""
    marks = rules.marks
    if not all_match(words, float_pattern(marks.decimal, marks.thousands)):
        return None
    values = read_decimals(words.texts, marks)
    return None if values is None else words.typed(values, Style())


def signed_numbers(
    words: ColumnWords, rules: CsvRules, kind: pa.DataType | None = None
) -> Typed | None:
    """Return numbers that carry signs or units, written again with them; None where that fails.

    Args:
        words: of the column.
        rules: of the file.
        kind: the type that the recipe asks for; None = whole numbers where all are.
    """
    found = find_signed(words.texts, rules.marks)
    if isinstance(found, Doubt):
        return None
    if found is None or (kind == pa.int64() and found.values_V.type != kind):
        return None
    marks, style, values = rules.marks, found.style, found.values_V
    style = replace(
        style,
        decimal=None if style.decimal == marks.decimal else style.decimal,
        thousands=None if style.thousands == marks.thousands else style.thousands,
    )
    if kind is not None and values.type != kind:
        try:
            values, style = values.cast(kind), replace(style, short=True)
        except pa.ArrowInvalid:
            return None
    return words.typed(values, style)


def whole_dates(found: Typed, fewest: int = FEWEST) -> Typed:
    """Return whole numbers such as 20240131 as the dates that they all are, else as they are."""
    numbers = pa.chunked_array([found.values_U])
    if (
        found.style.grouped
        or not pa.types.is_integer(numbers.type)
        or not are_dates(numbers, fewest)
    ):
        return found
    style = replace(found.style, format=FORMAT, stored=str(numbers.type))
    return replace(found, values_U=read_days(numbers).combine_chunks(), style=style)


def loose_integers(words: ColumnWords, rules: CsvRules) -> Typed | None:
    """Return whole numbers, leading zeros or not, where the recipe says the kind."""
    if not all_match(words, r"^-?[0-9]{1,18}$"):
        return integers(words, rules)
    return words.typed(pc.cast(words.texts, pa.int64()), Style())


def whole_floats(words: ColumnWords, rules: CsvRules) -> Typed | None:
    """Return floats such as 1.0 as the whole numbers that they are; None where one has a rest."""
    found = floats(words, rules)
    if found is None:
        return None
    numbers = found.values_U
    if not pc.all(pc.equal(pc.floor(numbers), numbers), min_count=0).as_py():
        return None
    if (pc.max(pc.abs(numbers)).as_py() or 0) > LARGEST_WHOLE:
        return None
    style = replace(found.style, decimals=found.style.decimals or 1, stored=str(numbers.type))
    return replace(found, values_U=numbers.cast(pa.int64()), style=style)


def booleans(words: ColumnWords, pairs: Sequence[tuple[str, str]]) -> Typed | None:
    """Return true and false when the words are one pair of them, written one way."""
    texts = words.texts.to_pylist() if len(words.texts) <= 2 else []
    for true, false in pairs:
        for style in (str.lower, str.capitalize, str.upper):
            pair = (style(true), style(false))
            alone = true == "true" and len(texts) == 1
            if texts and set(texts) <= set(pair) and (len(texts) == 2 or alone):
                return words.typed(pc.equal(words.texts, pair[0]), Style(booleans=pair))
    return None


def dates(words: ColumnWords, found: Parsed) -> Typed:
    """Return dates, times or timestamps by a format that fits all of them.

    Raises:
        SourceError: another one fits as well.
    """
    if found.others:
        formats = (found.format, *found.others)
        readings = " and as ".join(f"{in_words(one)} ({one})" for one in formats)
        msg = (
            f"The dates of the column {words.column.name!r} read equally well as {readings}; set "
            f"source.csv.date_format, for example to {found.format!r}, or give the column the "
            "kind category in source.columns if these are no dates."
        )
        why = f"a guess: the dates of {words.column.name} read equally well as {readings}"
        first = Proposal(setting="source.csv.date_format", value=found.format, why=why)
        raise AmbiguousDatesError(msg, proposals=[first])
    micros, format_ = pa.array(found.micros_N), found.format
    style = Style(format=format_)
    if not has_date(format_):
        return words.typed(micros.cast(pa.time64("us")), style)
    if not has_time(format_):
        return words.typed(micros.cast(pa.timestamp("us")).cast(pa.date32()), style)
    if not has_zone(format_):
        return words.typed(micros.cast(pa.timestamp("us")), style)
    offsets = np.unique(found.offsets_N) if found.offsets_N is not None else [0]
    zone = zone_text(int(offsets[0])) if len(offsets) == 1 and offsets[0] else "UTC"
    values = micros.cast(pa.timestamp("us", zone))
    if len(offsets) == 1:
        return words.typed(values, style)
    note = f"the zones of {words.column.name!r} differ; its timestamps are kept in UTC"
    return words.typed(values, style, note)
