"""Differences of moments: a column of numbers that says how long it is from one to another."""

from collections.abc import Collection, Iterator
from itertools import permutations
from typing import Any, Final

import numpy as np

from storage.records.constraint import Constraint
from storage.records.moment_parts import DAY_S, UNIT_SECONDS, WHOLE_UNITS, Unit, days, whole_months
from storage.sources.tables.structure.columns import (
    Floats,
    Ints,
    Quantity,
    TableColumns,
    seconds_of,
)
from storage.sources.tables.structure.evidence import formula_support
from storage.sources.tables.structure.moment_parts import plain_column
from storage.sources.tables.structure.rule import FoundRule

MOST_COLUMNS: Final = 24
"""Of more moments, the first are looked at."""

_PROBED: Final = 200


def find_differences(columns: TableColumns, skipped: Collection[str]) -> tuple[FoundRule, ...]:
    """Return numbers that are a difference of two moments of one kind.

    The later moment is made from the earlier one and the number where this is exact. Where it is
    rounded, or says whole units that have passed, the number is made from both moments.
    """
    found = []
    sample = columns.sample_S[:: max(len(columns.sample_S) // _PROBED, 1)]
    for end, start in permutations(list(columns.moments)[:MOST_COLUMNS], 2):
        seconds_N = columns.moments[end] - columns.moments[start]
        if np.nanmean(np.where(np.isnan(seconds_N), 0, seconds_N)) <= 0:
            continue
        alike = columns.kinds[end] == columns.kinds[start]
        whole = list(_whole(columns, (end, start)))
        for name, quantity in columns.quantities.items():
            if name in skipped:
                continue
            rules = _differences(name, quantity, (end, start), seconds_N, sample) if alike else []
            found += rules or _whole_differences(name, quantity, (end, start), whole, sample)
    return tuple(found)


def _differences(
    name: str, quantity: Quantity, moments: tuple[str, str], seconds_N: Floats, sample: Ints
) -> list[FoundRule]:
    for unit, length in UNIT_SECONDS.items():
        if unit.startswith("years") and quantity.decimals == 0:
            continue  # whole ones go by the calendar
        computed_N = seconds_N / length
        if not quantity.is_rounded_from(computed_N[sample], sample):
            continue
        support = formula_support(quantity, computed_N)
        if support is not None:
            constraint = Constraint(kind="difference", columns=(name, *moments), unit=unit)
            inexact = bool((np.abs(quantity.values_N - computed_N) > 1e-6).any())
            said = f"{name} is the {unit} from {moments[1]} to {moments[0]}"
            why = f"{said}, rounded, in all rows" if inexact else f"{said} in all rows"
            return [FoundRule(constraint=constraint, why=why, support=support, inexact=inexact)]
    return []


def _whole(columns: TableColumns, moments: tuple[str, str]) -> Iterator[tuple[Unit, Floats]]:
    """Yield what counts whole days, months and years from one moment to another."""
    end, start = (plain_column(columns.column(name)) for name in moments)
    if "timestamp" in {columns.kinds[name] for name in moments}:
        yield "days", (seconds_of(days(end)) - seconds_of(days(start))) / DAY_S
    months_N: Any = whole_months(end, start)
    for unit, many in WHOLE_UNITS.items():
        yield ("years" if unit == "years" else "months"), np.floor(months_N / many)


def _whole_differences(
    name: str,
    quantity: Quantity,
    moments: tuple[str, str],
    whole: list[tuple[Unit, Floats]],
    sample: Ints,
) -> list[FoundRule]:
    """Return a number of whole days by the calendar, of months or of years."""
    if quantity.decimals != 0:
        return []
    for unit, computed_N in whole:
        if quantity.differs(computed_N[sample], sample).any():
            continue
        support = formula_support(quantity, computed_N)
        if support is not None:
            constraint = Constraint(
                kind="difference", columns=(name, *moments), unit=unit, whole_days=unit == "days"
            )
            what = "days by the calendar" if unit == "days" else f"whole {unit}"
            why = f"{name} is the {what} from {moments[1]} to {moments[0]} in all rows"
            return [FoundRule(constraint=constraint, why=why, support=support, inexact=True)]
    return []
