"""Parts of a date, such as its year or the name of its weekday; moments a constant time apart.

N rows.
"""

from collections.abc import Collection, Iterator
from itertools import permutations
from typing import Any, Final

import numpy as np
import pyarrow as pa

from storage.records.constraint import Constraint
from storage.records.moment_parts import LEVELS, NUMBERS, OF_TIMES, Part, part_numbers, part_values
from storage.sources.tables.structure.columns import LEAST_ROWS, Ints, Mask, TableColumns, as_text
from storage.sources.tables.structure.evidence import formula_support, levels_support
from storage.sources.tables.structure.moment_ages import find_passed
from storage.sources.tables.structure.moment_texts import find_texts
from storage.sources.tables.structure.rule import FoundRule

MOST_COLUMNS: Final = 24
"""Of more moments, the first are looked at."""


def find_parts(columns: TableColumns, skipped: Collection[str]) -> tuple[FoundRule, ...]:
    """Return what dates and timestamps decide of other columns.

    A text with the year comes before names of a part, which may be those of one year.

    Args:
        columns: of the table.
        skipped: columns that are not looked at, as other rules tell them.
    """
    moments = list(columns.moments)[:MOST_COLUMNS]
    numbers = [rule for name in moments for rule in _numbers(columns, name, skipped)]
    named = [rule for name in moments for rule in _names(columns, name, skipped)]
    texts = [rule for name in moments for rule in find_texts(columns, name, skipped)]
    passed = [rule for name in moments for rule in find_passed(columns, name, skipped)]
    dated = [rule for rule in texts if "year}" in (rule.constraint.pattern or "")]
    plain = [rule for rule in texts if rule not in dated]
    return (*_apart(columns, moments), *numbers, *dated, *named, *plain, *passed)


def off_part(rule: Constraint, values: Any, moments: Any) -> Mask:
    """Return where a column is not the part of a moment that a rule says; what is missing is."""
    values, moments = (plain_column(each) for each in (values, moments))
    levels = None
    if rule.levels:
        coded = values.dictionary_encode()
        texts = pa.array([as_text(each) for each in coded.dictionary.to_pylist()], pa.string())
        values, levels = texts.take(coded.indices), pa.array(rule.levels, pa.string())
    part = rule.part or "moment"
    found = part_values(
        moments,
        part,
        values.type,
        offset=rule.offset,
        levels=levels,
        detail=rule.detail,
    )
    equal = np.asarray(
        found.to_numpy(zero_copy_only=False) == values.to_numpy(zero_copy_only=False)
    )
    both = np.asarray(found.is_valid()) & np.asarray(values.is_valid())
    off_N: Mask = ~equal & both
    return off_N


def plain_column(column: Any) -> Any:
    """Return a column in one piece and without dictionary."""
    column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _numbers(columns: TableColumns, moment: str, skipped: Collection[str]) -> Iterator[FoundRule]:
    """Yield the columns of numbers that are a part of a moment."""
    whole = {
        n: one for n, one in columns.quantities.items() if n not in skipped and not one.decimals
    }
    rows = columns.sample_S
    for part in _parts_of(columns, moment):
        values_N = part_numbers(plain_column(columns.column(moment)), part)
        for shift in (0, 1) if part == "day of the week" else (0,):
            for name, quantity in whole.items():
                if quantity.differs(values_N[rows] + shift, rows).any():
                    continue
                support = formula_support(quantity, values_N + shift)
                if support is not None:
                    constraint = Constraint(
                        kind="part", columns=(name, moment), part=part, offset=float(shift)
                    )
                    why = f"{name} is the {part} of {moment} in all rows"
                    yield FoundRule(constraint=constraint, why=why, support=support)


def _parts_of(columns: TableColumns, moment: str) -> list[Part]:
    dated = columns.kinds[moment] == "date"
    return [part for part in NUMBERS if not (dated and part in OF_TIMES)]


def _names(columns: TableColumns, moment: str, skipped: Collection[str]) -> Iterator[FoundRule]:
    """Yield the columns of levels that name a part of a moment."""
    levels = [
        name
        for name in columns.names
        if columns.kinds[name] in ("category", "boolean") and name not in skipped
    ]
    dated = columns.kinds[moment] == "date"
    for part, (first, count) in LEVELS.items():
        if dated and part in OF_TIMES:
            continue
        numbers_N = part_numbers(plain_column(columns.column(moment)), part)
        if not levels or np.isnan(numbers_N).any():
            continue
        places_N = (numbers_N - first).astype(np.int64)
        for name in levels:
            texts = _texts_by_place(columns, name, places_N, count)
            if texts is None:
                continue
            codes = columns.levels(name)
            support = levels_support(codes.codes_N, places_N.astype(np.int32), codes.counts_L)
            if support is not None:
                constraint = Constraint(
                    kind="part", columns=(name, moment), part=part, levels=texts
                )
                why = f"{name} says the {part} of {moment} in all rows"
                yield FoundRule(constraint=constraint, why=why, support=support)


def _texts_by_place(
    columns: TableColumns, name: str, places_N: Ints, count: int
) -> tuple[str, ...] | None:
    """Return the level of every number of a part; None where there is not one that may be shown."""
    codes = columns.levels(name)
    if not 2 <= len(codes.values) <= count or codes.null is not None:
        return None
    if not columns.may_show(name).all():
        return None
    rows = columns.sample_S
    code_of = np.full(count, -1)
    for some in (rows, slice(None)):
        code_of[places_N[some]] = codes.codes_N[some]
        if (code_of[places_N[some]] != codes.codes_N[some]).any():
            return None
    if (code_of < 0).any():
        return None
    return tuple(as_text(codes.values[int(code)].as_py()) for code in code_of)


def _apart(columns: TableColumns, moments: list[str]) -> Iterator[FoundRule]:
    """Yield moments that are a constant time apart; the one that comes later is derived."""
    order = {name: place for place, name in enumerate(columns.names)}
    for one, other in permutations(moments, 2):
        dated = columns.kinds[other] == "date"
        same = dated == (columns.kinds[one] == "date")
        if not (dated or same) or (same and order[other] < order[one]):
            continue
        apart_N = _seconds(columns, other, days=dated) - _seconds(columns, one, days=dated)
        known_N = ~np.isnan(apart_N)
        if known_N.sum() < LEAST_ROWS or np.ptp(apart_N[known_N]) > 0:
            continue
        if (known_N != ~np.isnan(columns.moments[other])).any():
            continue
        seconds = float(apart_N[known_N][0])
        part: Part = "moment" if same else "day"
        what = "equals" if seconds == 0 else "is a constant time from"
        what = what if same or seconds else "is the day of"
        constraint = Constraint(kind="part", columns=(other, one), part=part, offset=seconds)
        why = f"{other} {what} {one} in all rows"
        yield FoundRule(constraint=constraint, why=why, support=int(known_N.sum()))


def _seconds(columns: TableColumns, name: str, *, days: bool) -> Any:
    """Return moments in seconds, as they are or of their days; NaN where there is none."""
    if not days or columns.kinds[name] == "date":
        return columns.moments[name]
    dates = part_values(plain_column(columns.column(name)), "day", pa.date32())
    whole_N = np.asarray(dates.cast(pa.int32()).cast(pa.float64()).to_numpy(zero_copy_only=False))
    return whole_N * 86_400
