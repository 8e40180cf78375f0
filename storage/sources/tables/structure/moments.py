"""Differences of moments: a column of numbers that says how long it is from one to another."""

from collections.abc import Collection
from itertools import permutations
from typing import Final, Literal

import numpy as np

from storage.records.schema import Constraint
from storage.sources.tables.structure.columns import Quantity, TableColumns
from storage.sources.tables.structure.evidence import formula_support
from storage.sources.tables.structure.rule import FoundRule

Unit = Literal["days", "hours", "minutes", "seconds"]

MOST_COLUMNS: Final = 24
"""Of more moments, the first are looked at."""

_SECONDS: Final[dict[Unit, int]] = {"days": 86_400, "hours": 3600, "minutes": 60, "seconds": 1}
_PROBED: Final = 200
_INEXACT: Final = "the number is rounded, so that no moment can be made from it"


def find_differences(columns: TableColumns, skipped: Collection[str]) -> tuple[FoundRule, ...]:
    """Return numbers that are a difference of two moments of one kind, exactly.

    One that is rounded, or the whole units that have passed, is found and not kept, as the later
    moment does not follow from the earlier one and the number.
    """
    found = []
    for end, start in permutations(list(columns.moments)[:MOST_COLUMNS], 2):
        if columns.kinds[end] != columns.kinds[start]:
            continue
        seconds_N = columns.moments[end] - columns.moments[start]
        if np.nanmean(np.where(np.isnan(seconds_N), 0, seconds_N)) <= 0:
            continue
        for name, quantity in columns.quantities.items():
            if name not in skipped:
                found += _differences(columns, name, quantity, (end, start), seconds_N)
    return tuple(found)


def _differences(
    columns: TableColumns,
    name: str,
    quantity: Quantity,
    moments: tuple[str, str],
    seconds_N: np.ndarray[tuple[int], np.dtype[np.float64]],
) -> list[FoundRule]:
    sample = columns.sample_S[:: max(len(columns.sample_S) // _PROBED, 1)]
    for unit, length in _SECONDS.items():
        for computed_N in (seconds_N / length, np.floor(seconds_N / length)):
            if quantity.differs(computed_N[sample], sample).any():
                continue
            support = formula_support(quantity, computed_N, [])
            if support is None:
                continue
            constraint = Constraint(kind="difference", columns=(name, *moments), unit=unit)
            off_N = np.abs(quantity.values_N - seconds_N / length)
            exact = not (off_N > 1e-6).any()
            why = f"{name} is the {unit} from {moments[1]} to {moments[0]} in all rows"
            rule = FoundRule(constraint=constraint, why=why, support=support)
            return [rule if exact else rule.unkept(_INEXACT)]
    return []
