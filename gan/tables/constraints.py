"""What must hold in every row: which records break it, and which constraints cannot hold together.

A null satisfies a range, an inequality and a sum, and rows with a null in the columns of `unique`
are not compared, as in SQL. Contradictions are found before anything is trained.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from graphlib import CycleError, TopologicalSorter
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gan.errors import ConfigError, DataError
from gan.tables.columns.values import plain
from storage.records.schema import Constraint, TableMetadata

Mask = np.ndarray[Any, np.dtype[np.bool_]]

Array = np.ndarray[Any, Any]

TOLERANCE = 1e-6
"""Relative difference up to which a sum of floats is met."""


def describe(constraint: Constraint) -> str:
    """Return the constraint in a few words that name its columns, such as for an error."""
    names = [repr(name) for name in constraint.columns]
    sign = " < " if constraint.strict else " <= "
    texts = {
        "range": f"range of {names[0]} from {_bound(constraint.low)} to {_bound(constraint.high)}",
        "inequality": f"inequality {sign.join(names)}{' by day' if constraint.whole_days else ''}",
        "combinations": f"combinations of {', '.join(names)}",
        "sum": f"sum {names[0]} = {' + '.join(names[1:])}",
        "unique": f"unique {', '.join(names)}",
    }
    return f"the constraint {texts[constraint.kind]}"


def _bound(value: float | None) -> str:
    """Return a bound as a person writes it."""
    return str(value) if value is None else f"{value:.15g}"


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
    return tuple(
        CHECKS[each.kind](records, each) if each.kind in CHECKS else _new(records, each, real)
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


def by_day(low: Any, high: Any) -> bool:
    """Say whether columns of two types are compared by whole days: one of dates, one of moments."""
    types = low, high
    return any(map(pa.types.is_date, types)) and any(map(pa.types.is_timestamp, types))


def days(column: Any) -> Any:
    """Return dates and timestamps as dates, in the column's own zone."""
    if pa.types.is_timestamp(column.type) and column.type.tz:
        column = pc.local_timestamp(column)
    if pa.types.is_timestamp(column.type):
        column = pc.floor_temporal(column, unit="day")
    return column.cast(pa.date32())


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


CHECKS: dict[str, Callable[[pa.Table, Constraint], Mask]] = {
    "range": _outside,
    "inequality": _out_of_order,
    "sum": _unsummed,
    "unique": _repeated,
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


NUMBERS = frozenset({"integer", "float", "decimal"})
MOMENTS = frozenset({"date", "timestamp"})
TIMES = frozenset({"time"})

FITTING = {
    "range": (NUMBERS,),
    "sum": (NUMBERS,),
    "inequality": (NUMBERS, MOMENTS, TIMES),
}
"""Kind of constraint → families of columns, of which all its columns must be of one."""

DERIVED = frozenset({"key", "text"})
"""Kinds of columns that are not learnt: they can only be constrained to be unique."""

Bound = tuple[float, Constraint | None]
"""A limit and the constraint that it comes from."""

Step = tuple[str, str, Constraint]
"""`below, above` and the inequality that puts one below the other."""


def check_constraints(metadata: TableMetadata) -> None:
    """Check that the constraints name columns of fitting kinds and do not contradict each other.

    Raises:
        ConfigError: they do; the sentence names both.
    """
    constraints = metadata.constraints
    for each in constraints:
        _check_columns(each, metadata)
    _check_ownership(constraints)
    bounds = ValueBounds()
    for each in constraints:
        if each.kind == "range":
            bounds.narrow(each)
    for step in ordered(constraints):
        bounds.follow(*step)
    for each in constraints:
        if each.kind == "sum":
            bounds.meet(each)


def _check_columns(constraint: Constraint, metadata: TableMetadata) -> None:
    """Check that columns exist, appear once, and are of kinds that the constraint is for."""
    names = constraint.columns
    known = {column.name: column.kind for column in metadata.columns}
    for position, name in enumerate(names):
        if name not in known:
            msg = (
                f"{describe(constraint)} names column {name!r}, which the table does not have; its "
                f"columns are {', '.join(known)}"
            )
            raise ConfigError(msg)
        if name in names[:position]:
            msg = f"{describe(constraint)} names column {name!r} twice: name it once"
            raise ConfigError(msg)
    families = FITTING.get(constraint.kind)
    if families and not any(all(known[name] in family for name in names) for family in families):
        kinds = ", ".join(f"{name!r} is of kind {known[name]}" for name in names)
        texts = [" or ".join(sorted(family)) for family in families]
        msg = (
            f"{describe(constraint)} is for columns of kind {'; '.join(texts)}, but {kinds}: "
            "remove it, or correct the kinds in source.columns"
        )
        raise ConfigError(msg)
    if constraint.whole_days and not all(known[name] in MOMENTS for name in names):
        other = next(name for name in names if known[name] not in MOMENTS)
        msg = (
            f"{describe(constraint)} says whole_days, and column {other!r} is of kind "
            f"{known[other]}: it is for dates and timestamps, leave it out"
        )
        raise ConfigError(msg)
    wrong = [name for name in names if known[name] in DERIVED]
    names_a_row = constraint.kind == "unique" and "key" in {known[name] for name in names}
    if wrong and not names_a_row:
        msg = (
            f"{describe(constraint)} constrains column {wrong[0]!r}, whose values are not learnt "
            f"because its kind is {known[wrong[0]]}: remove it, or declare another kind"
        )
        raise ConfigError(msg)


def _check_ownership(constraints: Sequence[Constraint]) -> None:
    """Check that a total is the sum of one constraint, and that no other one decides it."""
    totals = {each.columns[0]: each for each in constraints if each.kind == "sum"}
    for each in constraints:
        mine = totals.get(each.columns[0]) is each
        for name in each.columns[1 if mine else 0 :]:
            other = totals.get(name)
            if other is not None and each.kind in ("sum", "combinations", "unique"):
                msg = (
                    f"{describe(each)} and {describe(other)} both decide column {name!r}: keep "
                    "one of them"
                )
                raise ConfigError(msg)
    joined = [each for each in constraints if each.kind == "combinations"]
    for one, other in combinations(joined, 2):
        shared = sorted(set(one.columns) & set(other.columns))
        if shared:
            msg = (
                f"{describe(one)} and {describe(other)} share column {shared[0]!r}: name all "
                "their columns in one"
            )
            raise ConfigError(msg)


def ordered(constraints: Sequence[Constraint]) -> list[Step]:
    """Return every step of the inequalities, from the lowest columns upwards.

    Raises:
        ConfigError: following them leads in a circle.
    """
    steps = [
        (below, above, each)
        for each in constraints
        if each.kind == "inequality"
        for below, above in pairwise(each.columns)
    ]
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for below, above, _ in steps:
        sorter.add(above, below)
    try:
        rank = {name: number for number, name in enumerate(sorter.static_order())}
    except CycleError as error:
        raise ConfigError(_circle(steps, error.args[1])) from error
    return sorted(steps, key=lambda step: rank[step[1]])


def _circle(steps: Sequence[Step], names: Sequence[str]) -> str:
    """Return the sentence on inequalities that lead in a circle."""
    pairs = {frozenset(pair) for pair in pairwise(names)}
    involved = {describe(each): None for below, above, each in steps if {below, above} in pairs}
    return (
        f"{' and '.join(involved)} lead in a circle through {', '.join(map(repr, names[:-1]))}: "
        "turn one of them round or remove it"
    )


@dataclass(kw_only=True)
class ValueBounds:
    """The smallest and largest value that each column may have, and why."""

    lows: dict[str, Bound] = field(default_factory=dict)
    highs: dict[str, Bound] = field(default_factory=dict)

    def low(self, name: str) -> Bound:
        """Return the lower limit of a column."""
        return self.lows.get(name, (float("-inf"), None))

    def high(self, name: str) -> Bound:
        """Return the upper limit of a column."""
        return self.highs.get(name, (float("inf"), None))

    def narrow(self, constraint: Constraint) -> None:
        """Add a range.

        Raises:
            ConfigError: it is empty, or does not meet another range of the column.
        """
        name = constraint.columns[0]
        if constraint.low is not None and constraint.low > self.low(name)[0]:
            self.lows[name] = (constraint.low, constraint)
        if constraint.high is not None and constraint.high < self.high(name)[0]:
            self.highs[name] = (constraint.high, constraint)
        self._meets(self.low(name), self.high(name), constraint, strict=False)

    def follow(self, below: str, above: str, constraint: Constraint) -> None:
        """Add a step of an inequality: what is above is at least as large.

        Raises:
            ConfigError: ranges leave no room for it.
        """
        low, high = self.low(below), self.high(above)
        self._meets(low, high, constraint, strict=constraint.strict)
        if low[0] > self.low(above)[0]:
            self.lows[above] = low

    def meet(self, constraint: Constraint) -> None:
        """Check a sum against the ranges of total and parts.

        Raises:
            ConfigError: the ranges of the parts and of the total do not meet.
        """
        total, *parts = constraint.columns
        least = sum(self.low(part)[0] for part in parts)
        most = sum(self.high(part)[0] for part in parts)
        if least > self.high(total)[0]:
            self._refuse(constraint, self.high(total)[1], f"the parts are at least {_bound(least)}")
        if most < self.low(total)[0]:
            self._refuse(constraint, self.low(total)[1], f"the parts are at most {_bound(most)}")

    def _meets(self, low: Bound, high: Bound, constraint: Constraint, *, strict: bool) -> None:
        if low[0] < high[0] or (low[0] == high[0] and not strict):
            return
        others = [each for _, each in (low, high) if each is not None and each is not constraint]
        if not others:
            msg = f"{describe(constraint)} is empty: its low must be at most its high"
            raise ConfigError(msg)
        self._refuse(constraint, others[0], f"{_bound(low[0])} is not below {_bound(high[0])}")

    def _refuse(self, one: Constraint, other: Constraint | None, why: str) -> None:
        which = describe(one) if other is None else f"{describe(one)} and {describe(other)}"
        msg = f"{which} contradict each other ({why}): correct or remove one of them"
        raise ConfigError(msg)
