"""What holds between columns though no constraint can say it: found so that a person knows of it.

Parts of a date, such as its year; moments that are a constant time apart.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import combinations
from typing import Any, Final

import numpy as np
import pyarrow.compute as pc

from storage.records.schema import Constraint
from storage.sources.tables.structure.columns import LEAST_ROWS, Floats, Quantity, TableColumns
from storage.sources.tables.structure.evidence import formula_support
from storage.sources.tables.structure.rule import FoundRule

_PARTS: Final[dict[str, Callable[[Any], Any]]] = {
    "year": pc.year,
    "quarter": pc.quarter,
    "month": pc.month,
    "week": pc.iso_week,
    "day of the year": pc.day_of_year,
    "day": pc.day,
    "day of the week": pc.day_of_week,
    "hour": pc.hour,
    "minute": pc.minute,
}
_NO_PART: Final = "no constraint takes a part of a moment"
_NO_TIME: Final = "no constraint adds a constant time"


def find_unsaid(columns: TableColumns, skipped: Collection[str]) -> tuple[FoundRule, ...]:
    """Return what is only named.

    Args:
        columns: of the table.
        skipped: columns that are not looked at, as other rules tell them.
    """
    return (*_parts(columns, skipped), *_apart(columns))


def _parts(columns: TableColumns, skipped: Collection[str]) -> Iterator[FoundRule]:
    whole = {
        n: one for n, one in columns.quantities.items() if n not in skipped and not one.decimals
    }
    for moment in columns.moments:
        for part, take in _PARTS.items():
            if columns.kinds[moment] == "date" and part in ("hour", "minute"):
                continue
            values_N = np.asarray(pc.cast(take(columns.column(moment)), "float64").to_numpy())
            for shift in (0, 1) if part == "day of the week" else (0,):
                for name, support in _equal(columns, whole, values_N + shift):
                    rule = FoundRule(
                        constraint=Constraint(kind="lookup", columns=(name, moment)),
                        why=f"{name} is the {part} of {moment} in all rows",
                        support=support,
                    )
                    yield rule.unkept(_NO_PART)


def _equal(
    columns: TableColumns, quantities: Mapping[str, Quantity], values_N: Floats
) -> Iterator[tuple[str, int]]:
    """Return the columns that equal some values, and how many rows tell it."""
    rows = columns.sample_S
    for name, quantity in quantities.items():
        if not quantity.differs(values_N[rows], rows).any():
            support = formula_support(quantity, values_N)
            if support is not None:
                yield name, support


def _apart(columns: TableColumns) -> Iterator[FoundRule]:
    for one, other in combinations(columns.moments, 2):
        apart_N = columns.moments[other] - columns.moments[one]
        known_N = ~np.isnan(apart_N)
        if known_N.sum() >= LEAST_ROWS and np.ptp(apart_N[known_N]) == 0:
            same = "equals" if apart_N[known_N][0] == 0 else "is a constant time from"
            rule = FoundRule(
                constraint=Constraint(kind="lookup", columns=(other, one)),
                why=f"{other} {same} {one} in all rows",
                support=int(known_N.sum()),
            )
            yield rule.unkept(_NO_TIME)
