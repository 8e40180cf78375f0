"""Columns that are a part of a moment: its year, the name of its weekday, or the moment itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gan.errors import DataError
from gan.tables.columns.derived import RuleColumn, read_shown
from gan.tables.columns.rules import describe
from gan.tables.columns.texts import read_values
from gan.tables.columns.values import parse_type, plain
from storage.records.constraint import Constraint
from storage.records.moment_parts import part_values

Mask = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True, kw_only=True, eq=False)
class MomentPart(RuleColumn):
    """A part of a moment; null where that is."""

    type_name: ClassVar[str] = "part"

    @classmethod
    def fit(cls, rule: Constraint, records: Mapping[str, Any]) -> Self:
        """Check that all rows keep it.

        Raises:
            DataError: some do not.
        """
        name, moment = rule.columns
        wrong = int(off_part(rule, records[name], records[moment]).sum())
        if wrong:
            msg = (
                f"{describe(rule)} does not hold in {wrong} of {len(records[name])} real rows: "
                "correct the rows, or remove the constraint"
            )
            raise DataError(msg)
        return cls(name=name, kind_name=str(records[name].type), rule=rule)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The moment."""
        return (self.rule.columns[1],)

    def make(self, rows: int, first_row: int, decoded: Mapping[str, Any]) -> Any:
        """Return the parts; null where the moment is, or where presence was decoded as null."""
        del first_row
        kind = parse_type(self.kind_name)
        found = _given(self.rule, decoded[self.rule.columns[1]], kind)
        return pc.if_else(pa.array(self.present(decoded, rows)), found, pa.scalar(None, kind))

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild the column."""
        rule = Constraint(**data["rule"])
        shown = read_shown(data)
        return cls(name=data["name"], kind_name=data["type"], rule=rule, shown=shown)


def off_part(rule: Constraint, values: Any, moments: Any) -> Mask:
    """Return where a column is not the part that a rule says; nulls are not compared."""
    values, moments = plain(values), plain(moments)
    try:
        equal = pc.equal(values, _given(rule, moments, values.type))
    except pa.ArrowException:  # the column's type cannot hold it
        equal = pc.and_(values.is_null(), moments.is_null())
    equal = pc.fill_null(equal, fill_value=True)
    return ~np.asarray(equal.to_numpy(zero_copy_only=False), dtype=bool)


def _given(rule: Constraint, moments: Any, kind: Any) -> Any:
    """Return what a rule gives of moments, of the column's type."""
    levels = read_values(rule.levels, kind) if rule.levels else None
    part = rule.part or "moment"
    return part_values(
        moments,
        part,
        kind,
        offset=rule.offset,
        levels=levels,
        detail=rule.detail,
    )
