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


def find_differences(columns: TableColumns, skipped: Collection[str]) -> tuple[FoundRule, ...]:
    """Return numbers that are a difference of two moments of one kind.

    The later moment is made from the earlier one and the number where this is exact. Where it is
    rounded, or says whole units that have passed, the number is made from both moments.
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
