"""What must hold in every row: which records break it, and whether the real ones do.

A null satisfies a range, an inequality and a sum, and rows with a null in the columns of `unique`
are not compared, as in SQL.
"""

from collections.abc import Callable, Sequence
from functools import reduce
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gan.errors import DataError
from gan.tables.columns.types import plain
from storage.records.schema import Constraint

Mask = np.ndarray[Any, np.dtype[np.bool_]]
Array = np.ndarray[Any, Any]

TOLERANCE = 1e-6
"""Relative difference up to which a sum of floats is met."""


def violations(
    records: pa.Table, constraints: Sequence[Constraint], real: pa.Table | None = None
) -> tuple[Mask, ...]:
    """Return, for each constraint, which records break it; bool (N,) each.

    Args:
        records: to be judged.
        constraints: on columns of theirs.
        real: the records whose combinations are allowed; without them `combinations` is not
            judged. Of rows that agree in `unique` columns, all but the first break it.
    """
    return tuple(CHECKS[each.kind](records, each, real) for each in constraints)


def check_real(records: pa.Table, constraints: Sequence[Constraint]) -> None:
    """Check that the real records keep every constraint: a generator cannot learn a false rule.

    Raises:
        DataError: some do not; the sentence has their number and the columns, no values.
    """
    for each, broken_N in zip(constraints, violations(records, constraints), strict=True):
        count = int(broken_N.sum())
        if count:
            msg = (
                f"{describe(each)} does not hold in {count} of {len(broken_N)} real rows: correct "
                "the rows, or remove the constraint"
            )
            raise DataError(msg)


def describe(constraint: Constraint) -> str:
    """Return the constraint in a few words that name its columns, such as for an error."""
    names = [repr(name) for name in constraint.columns]
    sign = " < " if constraint.strict else " <= "
    texts = {
        "range": f"range of {names[0]} from {constraint.low} to {constraint.high}",
        "inequality": f"inequality {sign.join(names)}",
        "combinations": f"combinations of {', '.join(names)}",
        "sum": f"sum {names[0]} = {' + '.join(names[1:])}",
        "unique": f"unique {', '.join(names)}",
    }
    return f"the constraint {texts[constraint.kind]}"


def _outside(records: pa.Table, constraint: Constraint, real: pa.Table | None) -> Mask:
    """Return where a range is left."""
    del real
    values = _floats(records, constraint.columns[0])
    low = -np.inf if constraint.low is None else constraint.low
    high = np.inf if constraint.high is None else constraint.high
    mask: Mask = (values < low) | (values > high)
    return mask


def _out_of_order(records: pa.Table, constraint: Constraint, real: pa.Table | None) -> Mask:
    """Return where one column of a chain is above the next."""
    del real
    columns = comparable([plain(records[name]) for name in constraint.columns])
    compare = pc.less if constraint.strict else pc.less_equal
    holds = [pc.fill_null(compare(*pair), fill_value=True) for pair in pairwise(columns)]
    mask: Mask = ~np.asarray(reduce(pc.and_, holds).to_numpy(zero_copy_only=False), dtype=bool)
    return mask


def comparable(columns: Sequence[Any]) -> list[Any]:
    """Return Arrow arrays such that Arrow compares them: of one zone, floats with floats."""
    if any(pa.types.is_floating(column.type) for column in columns):
        return [column.cast(pa.float64(), safe=False) for column in columns]
    return [
        column.cast(pa.timestamp(column.type.unit))
        if pa.types.is_timestamp(column.type) and column.type.tz
        else column
        for column in columns
    ]


def _unsummed(records: pa.Table, constraint: Constraint, real: pa.Table | None) -> Mask:
    """Return where the first column is not the sum of the others."""
    del real
    total, *parts = [_floats(records, name) for name in constraint.columns]
    size = np.maximum(1.0, np.sum(np.abs(parts), axis=0))
    mask: Mask = np.abs(total - np.sum(parts, axis=0)) > TOLERANCE * size
    return mask


def _new(records: pa.Table, constraint: Constraint, real: pa.Table | None) -> Mask:
    """Return which combinations the real records do not have."""
    if real is None:
        return np.zeros(records.num_rows, dtype=bool)
    names = list(constraint.columns)
    both = pa.concat_tables([real.select(names), records.select(names)])
    ids = combination_ids([both[name] for name in names])
    return ~np.isin(ids[real.num_rows :], ids[: real.num_rows])


def _repeated(records: pa.Table, constraint: Constraint, real: pa.Table | None) -> Mask:
    """Return the rows that agree with an earlier one."""
    del real
    columns = [plain(records[name]) for name in constraint.columns]
    ids = combination_ids(columns)
    mask = np.ones(records.num_rows, dtype=bool)
    mask[np.unique(ids, return_index=True)[1]] = False
    for column in columns:
        mask &= column.is_valid().to_numpy(zero_copy_only=False)
    return mask


def combination_ids(columns: Sequence[Any]) -> Array:
    """Return a number per row, equal for rows that agree in all these Arrow columns."""
    ids: Array = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        encoded = plain(column).dictionary_encode("encode")
        ids = ids * max(len(encoded.dictionary), 1) + encoded.indices.to_numpy()
        ids = np.unique(ids, return_inverse=True)[1].astype(np.int64)
    return ids


def _floats(records: pa.Table, name: str) -> Array:
    """Return a column as float64, NaN where null."""
    values: Array = (
        plain(records[name]).cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    )
    return values


CHECKS: dict[str, Callable[[pa.Table, Constraint, pa.Table | None], Mask]] = {
    "range": _outside,
    "inequality": _out_of_order,
    "combinations": _new,
    "sum": _unsummed,
    "unique": _repeated,
}
"""Kind of constraint → which records break it."""
