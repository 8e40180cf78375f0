"""Ages and other times that have passed on one day, the same for all rows: when a table was made.

Each row allows the days on which so many years, months or days have passed. Of those that all rows
allow the roundest is taken: the first of a year or month, the last of a month, else the last one.
Years may have decimals, of days divided by 365.25 or 365.
"""

from collections.abc import Collection, Iterator
from datetime import date, timedelta
from typing import Final

import numpy as np
import pyarrow as pa

from storage.records.constraint import Constraint
from storage.records.moment_parts import (
    UNTIL,
    YEAR_DAYS,
    Part,
    days,
    months_and_days,
    passed,
)
from storage.sources.tables.structure.columns import Floats, TableColumns
from storage.sources.tables.structure.evidence import formula_support
from storage.sources.tables.structure.rule import FoundRule

_FEWEST_VALUES: Final = 5
_YEARS: Final = (1800, 2200)
_EPOCH: Final = date(1970, 1, 1)
_STEPS: Final = 5.0
"""Years with decimals vary by so many of their steps."""


def find_passed(
    columns: TableColumns, moment: str, skipped: Collection[str]
) -> Iterator[FoundRule]:
    """Yield whole numbers of years, months or days since a moment, until one day.

    Args:
        columns: of the table.
        moment: a date or timestamp.
        skipped: columns that are not looked at, as other rules tell them.
    """
    column = columns.column(moment).combine_chunks()
    column = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
    months_N = months_and_days(column)
    days_N = np.asarray(days(column).cast(pa.int32()).cast(pa.float64()).to_numpy(False), float)
    rows = columns.sample_S
    for name, quantity in columns.quantities.items():
        values_N = quantity.values_N
        few = len(np.unique(values_N[rows])) < _FEWEST_VALUES
        if name in skipped or few or quantity.decimals is None:
            continue
        if quantity.decimals:
            yield from _years(columns, name, moment, days_N)
            continue
        for part, months in UNTIL.items():
            until = (
                _day_by_months(months_N[rows], values_N[rows], 32 * months)
                if months
                else _day(days_N[rows] + values_N[rows])
            )
            if until is None:
                continue
            support = formula_support(quantity, passed(column, part, until))
            if support is not None:
                yield _rule((name, moment), part, until, support)
                break


def _years(columns: TableColumns, name: str, moment: str, days_N: Floats) -> Iterator[FoundRule]:
    """Yield a number of years with decimals, all of one length."""
    quantity = columns.quantities[name]
    values_N, rows = quantity.values_N, columns.sample_S
    if np.nanstd(values_N[rows]) < _STEPS * quantity.step:
        return
    for part, length in YEAR_DAYS.items():
        ends_S = days_N[rows] + values_N[rows] * length
        reach = quantity.step / 2 * length
        until = _roundest_day(ends_S - reach, ends_S + reach)
        if until is None:
            continue
        computed_N = (pa.scalar(until, pa.date32()).value - days_N) / length
        support = formula_support(quantity, np.round(computed_N, quantity.decimals or 0))
        if support is not None:
            yield _rule((name, moment), part, until, support, quantity.decimals or 0)
            return


def _roundest_day(low_S: Floats, high_S: Floats) -> date | None:
    """Return the roundest day that lies in the intervals of all rows."""
    known_S = ~np.isnan(low_S)
    if not known_S.any():
        return None
    first, last = int(np.ceil(low_S[known_S].max())), int(np.floor(high_S[known_S].min()))
    if last < first or not (first > -60_000 and last < 80_000):
        return None
    return max((_EPOCH + timedelta(days=day) for day in range(last, first - 1, -1)), key=_roundness)


def _rule(
    columns: tuple[str, str], part: Part, until: date, support: int, decimals: int = 0
) -> FoundRule:
    constraint = Constraint(kind="part", columns=columns, part=part, until=until, decimals=decimals)
    what = f"{part.removesuffix(' until')} from {columns[1]} to {until}"
    what = f"{what}, rounded," if part in YEAR_DAYS else f"whole {what}"
    why = f"{columns[0]} is the {what} in all rows"
    return FoundRule(constraint=constraint, why=why, support=support)


def _day(ends_S: Floats) -> date | None:
    """Return the day on which all rows end."""
    known_S = ends_S[~np.isnan(ends_S)]
    if not len(known_S) or np.ptp(known_S) > 0:
        return None
    day = date(1970, 1, 1) + timedelta(days=min(max(int(known_S[0]), -60_000), 80_000))
    return day if _YEARS[0] <= day.year <= _YEARS[1] else None


def _day_by_months(months_S: Floats, values_S: Floats, length: int) -> date | None:
    """Return the roundest day on which so many months or years have passed in all rows."""
    starts_S = months_S + length * values_S
    known_S = starts_S[~np.isnan(starts_S)]
    if not len(known_S) or known_S.max() >= known_S.min() + length:
        return None
    allowed = range(int(known_S.min()) + length - 1, int(known_S.max()) - 1, -1)
    found = [day for number in allowed if (day := _date(number)) is not None]
    return max(found, key=_roundness, default=None)


def _roundness(day: date) -> int:
    last = (day + timedelta(days=1)).day == 1
    return 3 if (day.month, day.day) == (1, 1) else 2 if day.day == 1 else 1 if last else 0


def _date(number: int) -> date | None:
    """Return the day of a number of which 32 are a month; None where it is none."""
    months, day = divmod(number, 32)
    year, month = divmod(months - 1, 12)
    if not (_YEARS[0] <= year <= _YEARS[1] and day):
        return None
    try:
        return date(year, month + 1, day)
    except ValueError:
        return None
