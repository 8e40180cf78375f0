"""Columns computed by a formula: products, ratios, sums with weights, extremes, time that passed.

A formula is computed as the source computes it, rounded as the real rows are (`rounding`), in the
column's own type. It is null where an input is, unless the real rows show that a null counts as
nothing, and where the column has nulls of its own. Where a ratio divides by zero it is what the
real rows have there. A row whose number the type is too narrow for is drawn again, and so is one
whose number lies beyond what the column would show were it learnt.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gan.errors import DataError
from gan.tables.columns.arithmetic import compute, learn_rounding
from gan.tables.columns.derived import RuleColumn, read_shown
from gan.tables.columns.moments import (
    by_day,
    finest,
    from_instants,
    instants,
    resolution,
)
from gan.tables.columns.rounding import Rounding, as_floats
from gan.tables.columns.rules import describe
from gan.tables.columns.values import parse_type
from storage.records.constraint import Constraint
from storage.records.moment_parts import UNIT_SECONDS, WHOLE_UNITS, days

Array = np.ndarray[Any, Any]
Mask = np.ndarray[Any, np.dtype[np.bool_]]

DOUBLE_BITS = 64


@dataclass(frozen=True, kw_only=True, eq=False)
class Formula(RuleColumn):
    """A column that a formula gives."""

    type_name: ClassVar[str] = "formula"

    rounding: Rounding
    skips_null: bool
    """Whether a null among the inputs counts as nothing; else it gives null."""
    at_zero: float | None
    """What stands where the formula has no value though no input is null."""

    @classmethod
    def fit(cls, name: str, rule: Constraint, records: Mapping[str, Any], g: int) -> Self:
        """Learn rounding and nulls.

        Args:
            name: of the column.
            rule: that decides it.
            records: plain Arrow columns by name.
            g: a value is shown where a division by zero has it in so many rows.

        Raises:
            DataError: no way of rounding meets all rows.
        """
        column = records[name]
        rounding = learn_rounding(rule, records, name)
        found = compute(rule, records)
        missed = int(rounding.missed(found.numbers_N, column, found.size_N).sum())
        if missed:
            msg = (
                f"{describe(rule)} does not hold in {missed} of {len(column)} real rows, however "
                "it is rounded: correct the rows, or remove the constraint"
            )
            raise DataError(msg)
        return cls(
            name=name,
            kind_name=str(column.type),
            rule=rule,
            rounding=rounding,
            skips_null=_skips_null(rule, records, name, rounding),
            at_zero=_at_zero(column.filter(pa.array(_valueless(found))), column, g),
        )

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns that it is computed from."""
        return tuple(dict.fromkeys(each for each in self.rule.columns if each != self.name))

    def make(self, rows: int, first_row: int, decoded: Mapping[str, Any]) -> Any:
        """Return the formula's values; null where its presence was decoded as null."""
        del rows, first_row
        kind = parse_type(self.kind_name)
        found = compute(self.rule, decoded, skips_null=self.skips_null)
        numbers_N = found.numbers_N
        if self.at_zero is not None:
            numbers_N = np.where(_valueless(found), self.at_zero, numbers_N)
        valid_N = np.isfinite(numbers_N) & self.present(decoded, len(numbers_N))
        valid_N &= self.rounding.fits(numbers_N, kind)
        values = self.rounding.typed(np.where(valid_N, numbers_N, 0.0), kind)
        return pc.if_else(pa.array(valid_N), values, pa.scalar(None, kind))

    @property
    def refuses(self) -> bool:
        """Whether its type is so narrow that numbers may not fit, or what it shows is bounded."""
        kind = parse_type(self.kind_name)
        return (
            super().refuses or bool(pa.types.is_decimal(kind)) or int(kind.bit_width) < DOUBLE_BITS
        )

    def strays(self, decoded: Mapping[str, Any], *, all_kinds: bool = False) -> Mask:
        """Return the rows beyond what is shown, and those whose number the type is too narrow for.

        The latter would be null.
        """
        numbers_N = compute(self.rule, decoded, skips_null=self.skips_null).numbers_N
        narrow_N = ~self.rounding.fits(numbers_N, parse_type(self.kind_name))
        narrow_N &= np.isfinite(numbers_N) & self.present(decoded, len(numbers_N))
        return narrow_N | super().strays(decoded, all_kinds=all_kinds)

    def to_json(self) -> dict[str, Any]:
        """Return the column as JSON."""
        own = {
            "rounding": self.rounding.to_json(),
            "skips_null": self.skips_null,
            "at_zero": self.at_zero,
        }
        return {**super().to_json(), **own}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild the column."""
        return cls(
            name=data["name"],
            kind_name=data["type"],
            rule=Constraint(**data["rule"]),
            rounding=Rounding.from_json(data["rounding"]),
            skips_null=data["skips_null"],
            at_zero=data["at_zero"],
            shown=read_shown(data),
        )


def _valueless(found: Any) -> Array:
    """Return where a formula has no value though no input is null: a division by zero."""
    where_N: Array = found.known_N & ~np.isfinite(found.numbers_N)
    return where_N


def _skips_null(
    rule: Constraint, records: Mapping[str, Any], name: str, rounding: Rounding
) -> bool:
    """Return whether most rows with a null input have the value that the others alone give."""
    known_N = compute(rule, records).known_N
    if rule.kind in ("difference", "rates") or known_N.all():
        return False
    column = records[name]
    without = compute(rule, records, skips_null=True)
    met_N = rounding.met(without.numbers_N, column, without.size_N)
    met_N &= np.isfinite(without.numbers_N) & ~np.isnan(as_floats(column))
    return bool(met_N[~known_N].mean() > 1 / 2)


def _at_zero(values: Any, column: Any, g: int) -> float | None:
    """Return the commonest value of rows that divide by zero, if so many rows hold it.

    Else null where the column has nulls, and 0 where it has none.
    """
    counts = sorted(
        values.value_counts().to_pylist(), key=lambda one: (-one["counts"], str(one["values"]))
    )
    if counts and counts[0]["counts"] >= g:
        common = counts[0]["values"]
        return None if common is None else float(common)
    return None if column.null_count else 0.0


@dataclass(frozen=True, kw_only=True, eq=False)
class LaterMoment(RuleColumn):
    """The later of two moments: the earlier one and the time between them."""

    type_name: ClassVar[str] = "later"
    """Its rule names the number, the later moment, the earlier one."""

    @classmethod
    def fit(cls, rule: Constraint, records: Mapping[str, Any]) -> Self | None:
        """Return the column; None where the number does not say the moment to its last digit."""
        number, later, earlier = (records[name] for name in rule.columns)
        if rule.whole_days or rule.unit in WHOLE_UNITS:
            return None
        if by_day(later.type, earlier.type) and pa.types.is_timestamp(later.type):
            return None
        rounding = learn_rounding(rule, records, rule.columns[0])
        step = UNIT_SECONDS[rule.unit or "seconds"] * 10.0**-rounding.decimals
        steps = step / resolution(later.type)
        if rounding.way == "none" or steps < 1 or abs(steps - round(steps)) > 1e-9 * steps:
            return None
        column = cls(name=rule.columns[1], kind_name=str(later.type), rule=rule)
        made = column.make(len(later), 0, records)
        both = pc.and_(made.is_valid(), later.is_valid())
        equal = pc.fill_null(pc.equal(made, later), fill_value=True)
        alone = pc.sum(pc.and_(later.is_valid(), pc.invert(made.is_valid()))).as_py() or 0
        nulls = pc.sum(pc.and_(number.is_valid(), pc.invert(both))).as_py() or 0
        return column if pc.all(equal).as_py() is not False and alone <= nulls else None

    @property
    def inputs(self) -> tuple[str, ...]:
        """The number and the earlier moment."""
        return (self.rule.columns[0], self.rule.columns[2])

    def make(self, rows: int, first_row: int, decoded: Mapping[str, Any]) -> Any:
        """Return the moments; null where an input is, or where presence was decoded as null."""
        del first_row
        kind = parse_type(self.kind_name)
        number, earlier = (decoded[name] for name in self.inputs)
        if by_day(kind, earlier.type):
            earlier = days(earlier)
        per_second = finest(kind, earlier.type)
        starts_N, valid_N = instants(earlier, per_second)
        units_N = as_floats(number)
        valid_N = valid_N & np.isfinite(units_N) & self.present(decoded, rows)
        parts = (
            np.where(valid_N, units_N, 0.0) * UNIT_SECONDS[self.rule.unit or "seconds"] * per_second
        )
        ends_N = starts_N + np.rint(parts).astype(np.int64)
        return pc.if_else(
            pa.array(valid_N), from_instants(ends_N, per_second, kind), pa.scalar(None, kind)
        )

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild the column."""
        rule = Constraint(**data["rule"])
        shown = read_shown(data)
        return cls(name=data["name"], kind_name=data["type"], rule=rule, shown=shown)
