"""What must hold in every row: which records break it.

A null satisfies a range, an inequality and every formula (sum, product, ratio, linear, difference),
a band, a lookup and exactly one of; so does a formula without a value, such as a division by zero.
For a condition null is a value like others. Rows with a null in the columns of `unique` are not
compared, as in SQL. Formulas are met up to the rounding of the column (`columns.rounding`).
"""

from collections.abc import Callable, Sequence
from functools import reduce
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gan.errors import DataError
from gan.tables.columns.arithmetic import compute, learn_rounding
from gan.tables.columns.discrete_rules import banded
from gan.tables.columns.moment_part import off_part
from gan.tables.columns.moments import by_day
from gan.tables.columns.rules import NUMERIC, describe
from gan.tables.columns.texts import equals, read_values
from gan.tables.columns.values import plain
from storage.records.constraint import Constraint
from storage.records.moment_parts import days
from storage.records.table_metadata import read_table_metadata

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
        real: the records whose combinations, lookups and rounding count; without them
            `combinations` is not judged, and lookups and rounding as the records agree among
            themselves. Of rows that agree in `unique` columns, all but the first break it.
    """
    return tuple(
        CHECKS[each.kind](records, each)
        if each.kind in CHECKS
        else AGAINST_REAL[each.kind](records, each, real)
        for each in constraints
    )


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


def _outside(records: pa.Table, constraint: Constraint) -> Mask:
    """Return where a range is left."""
    values = _floats(records, constraint.columns[0])
    low = -np.inf if constraint.low is None else constraint.low
    high = np.inf if constraint.high is None else constraint.high
    mask: Mask = (values < low) | (values > high)
    return mask


def _out_of_order(records: pa.Table, constraint: Constraint) -> Mask:
    """Return where one column of an inequality is above the next."""
    compare = pc.less if constraint.strict else pc.less_equal
    holds = [
        pc.fill_null(compare(*comparable(*pair, whole_days=constraint.whole_days)), fill_value=True)
        for pair in pairwise([plain(records[name]) for name in constraint.columns])
    ]
    mask: Mask = ~np.asarray(reduce(pc.and_, holds).to_numpy(zero_copy_only=False), dtype=bool)
    return mask


def comparable(low: Any, high: Any, *, whole_days: bool) -> tuple[Any, Any]:
    """Return two Arrow arrays such that Arrow compares them.

    Floats are compared with floats; moments by whole days when one column holds dates, or on
    demand; else timestamps of one zone.
    """
    kinds = low.type, high.type
    if any(map(pa.types.is_floating, kinds)):
        return low.cast(pa.float64(), safe=False), high.cast(pa.float64(), safe=False)
    if whole_days or by_day(*kinds):
        return days(low), days(high)
    return _without_zone(low), _without_zone(high)


def _without_zone(column: Any) -> Any:
    zoned = pa.types.is_timestamp(column.type) and column.type.tz
    return column.cast(pa.timestamp(column.type.unit)) if zoned else column


def _unsummed(records: pa.Table, constraint: Constraint) -> Mask:
    """Return where the first column is not the sum of the others."""
    total, *parts = [_floats(records, name) for name in constraint.columns]
    size = np.maximum(1.0, np.sum(np.abs(parts), axis=0))
    mask: Mask = np.abs(total - np.sum(parts, axis=0)) > TOLERANCE * size
    return mask


def _repeated(records: pa.Table, constraint: Constraint) -> Mask:
    """Return the rows that agree with an earlier one."""
    columns = [plain(records[name]) for name in constraint.columns]
    ids = combination_ids(columns)
    mask = np.ones(records.num_rows, dtype=bool)
    mask[np.unique(ids, return_index=True)[1]] = False
    for column in columns:
        mask &= column.is_valid().to_numpy(zero_copy_only=False)
    return mask


def _not_one(records: pa.Table, constraint: Constraint) -> Mask:
    """Return where other than one column is 1 or true."""
    ones_N = np.zeros(records.num_rows, dtype=np.int64)
    null_N = np.zeros(records.num_rows, dtype=bool)
    for name in constraint.columns:
        column = plain(records[name])
        texts = ("true",) if pa.types.is_boolean(column.type) else ("1", "true")
        ones_N += np.any([equals(column, text) for text in texts], axis=0)
        null_N |= column.is_null().to_numpy(zero_copy_only=False)
    mask: Mask = (ones_N != 1) & ~null_N
    return mask


def _off_condition(records: pa.Table, constraint: Constraint) -> Mask:
    """Return where a condition holds without its value, or, if exact, the value without it."""
    target, decides = (plain(records[name]) for name in constraint.columns)
    has_N = equals(target, str(constraint.value))
    when_N = np.any([equals(decides, text) for text in constraint.when], axis=0)
    mask: Mask = (when_N & ~has_N) | (~when_N & has_N & constraint.exactly)
    return mask


def _off_band(records: pa.Table, constraint: Constraint) -> Mask:
    """Return where the level is not that of the interval."""
    column = plain(records[constraint.columns[0]])
    named = {name: records[name] for name in constraint.columns[1:]}
    numbers_N = banded(constraint, named)
    levels = read_values(constraint.levels, column.type)
    expected = levels.take(
        pa.array(np.searchsorted(constraint.cuts, numbers_N, side="right") * ~np.isnan(numbers_N))
    )
    equal = pc.fill_null(pc.equal(column, expected), fill_value=False)
    wrong_N = ~np.asarray(equal.to_numpy(zero_copy_only=False), dtype=bool)
    mask: Mask = wrong_N & ~np.isnan(numbers_N) & _valid(column)
    return mask


def _off_part(records: pa.Table, constraint: Constraint) -> Mask:
    return off_part(constraint, *(records[name] for name in constraint.columns))


CHECKS: dict[str, Callable[[pa.Table, Constraint], Mask]] = {
    "range": _outside,
    "inequality": _out_of_order,
    "sum": _unsummed,
    "unique": _repeated,
    "one_of": _not_one,
    "conditional": _off_condition,
    "band": _off_band,
    "part": _off_part,
}
"""Kind of constraint → which records break it, whatever the real ones are."""


def _new(records: pa.Table, constraint: Constraint, real: pa.Table | None) -> Mask:
    """Return which combinations the real records do not have."""
    if real is None:
        return np.zeros(records.num_rows, dtype=bool)
    names = list(constraint.columns)
    both = pa.concat_tables([real.select(names), records.select(names)])
    ids = combination_ids([both[name] for name in names])
    return ~np.isin(ids[real.num_rows :], ids[: real.num_rows])


def _miscomputed(records: pa.Table, constraint: Constraint, real: pa.Table | None) -> Mask:
    """Return where the first column is not what the others give, up to its rounding."""
    name, names = constraint.columns[0], dict.fromkeys(constraint.columns)
    known = {each: plain((records if real is None else real)[each]) for each in names}
    rounding = learn_rounding(constraint, known, name)
    columns = {each: plain(records[each]) for each in names}
    computed = compute(constraint, columns)
    return rounding.missed(computed.numbers_N, columns[name], computed.size_N)


def _another_answer(records: pa.Table, constraint: Constraint, real: pa.Table | None) -> Mask:
    """Return which rows have another answer than the rows of their combination.

    That is the answer of the real rows where as many have it as must hold a value that is shown,
    else the commonest.
    """
    names, shown = list(dict.fromkeys(constraint.columns)), records.num_rows
    parts = [records.select(names)]
    if real is not None:
        described = read_table_metadata(real.schema)
        parts.append(real.select(names))
        least = 1 if described is None else described.min_group
    both = pa.concat_tables([part.replace_schema_metadata(None) for part in parts])
    keys = combination_ids([both[name] for name in names[1:]])
    answers = combination_ids([both[names[0]]])
    valid = np.all([_valid(plain(both[name])) for name in names], axis=0)
    right = np.full(int(keys.max(initial=-1)) + 1, -1, dtype=np.int64)
    own, others = np.arange(len(keys)) < shown, np.arange(len(keys)) >= shown
    for rows, enough in [(own & valid, 1)] + ([] if real is None else [(others & valid, least)]):
        pairs, counts = np.unique(
            np.stack([keys[rows], answers[rows]], axis=1), axis=0, return_counts=True
        )
        order = np.argsort(counts, kind="stable")
        order = order[counts[order] >= enough]
        right[pairs[order, 0]] = pairs[order, 1]
    mask: Mask = (valid & (answers != right[keys]))[:shown]
    return mask


AGAINST_REAL: dict[str, Callable[[pa.Table, Constraint, pa.Table | None], Mask]] = {
    "combinations": _new,
    "lookup": _another_answer,
    **dict.fromkeys(NUMERIC, _miscomputed),
}
"""Kind of constraint → which records break it, held against the real ones."""


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


def _valid(column: Any) -> Mask:
    """Return where a column has a value."""
    return np.asarray(column.is_valid().to_numpy(zero_copy_only=False), dtype=bool)
