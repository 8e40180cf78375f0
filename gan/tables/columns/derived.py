"""Derived columns, which no network sees: the codec adds them when it decodes.

A constant has one value; a key names the row and is fresh; a pattern replaces free text by letters
and digits of the same form; a sum is the sum of other columns, exactly, in its own type. What other
formulas and rules give is in `formulas` and `discrete_rules`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gan.errors import DataError
from gan.randomness import derive
from gan.tables.columns.rounding import as_floats
from gan.tables.columns.values import from_plain, from_units, parse_type, to_plain, to_units
from gan.tables.keys import Integers, Texts, read_form
from gan.tables.spread_keys import SpreadIntegers
from storage.records.constraint import Constraint

Array = np.ndarray[Any, Any]
Mask = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True, kw_only=True, eq=False)
class DerivedColumn:
    """One column that is not learnt."""

    type_name: ClassVar[str] = ""
    """Its kind in JSON and in sentences."""

    name: str
    kind_name: str
    """Arrow type of the column, without dictionary."""
    shown: tuple[float, float] | None = None
    """Of a computed number or moment the least and the largest that it would show were it learnt,
    in its own units; rows beyond are drawn again. None: any."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns that it is computed from."""
        return ()

    def present(self, decoded: Mapping[str, Any], rows: int) -> Array:
        """Return where the column has a value, if its presence was decoded; else everywhere."""
        if self.name not in decoded:
            return np.ones(rows, dtype=bool)
        present_N: Array = decoded[self.name].is_valid().to_numpy(zero_copy_only=False)
        return present_N

    @property
    def refuses(self) -> bool:
        """Whether there are rows that it refuses: they must be drawn again."""
        return self.shown is not None

    def strays(self, decoded: Mapping[str, Any], *, all_kinds: bool = False) -> Mask:
        """Return the rows that must be drawn again; bool (N,).

        Args:
            decoded: the columns by name, this one as it was drawn, if it was.
            all_kinds: also those that would be overwritten.
        """
        del all_kinds
        return self.beyond(self.make(len(next(iter(decoded.values()))), 0, decoded))

    def beyond(self, values: Any) -> Mask:
        """Return which values lie outside what is shown; bool (N,)."""
        numbers_N = as_numbers(values)
        low, high = self.shown or (-np.inf, np.inf)
        with np.errstate(invalid="ignore"):
            outside_N: Mask = (numbers_N < low) | (numbers_N > high)
        return outside_N

    def make(self, rows: int, first_row: int, decoded: Mapping[str, Any]) -> Any:
        """Return the column's values.

        Args:
            rows: how many.
            first_row: number of the first of them in the whole data set.
            decoded: the columns so far, by name.
        """
        raise NotImplementedError

    def to_json(self) -> dict[str, Any]:
        """Return the column as JSON."""
        shown = {} if self.shown is None else {"shown": list(self.shown)}
        return {"column": self.type_name, "name": self.name, "type": self.kind_name, **shown}


@dataclass(frozen=True, kw_only=True, eq=False)
class RuleColumn(DerivedColumn):
    """A column that a constraint decides."""

    rule: Constraint

    def to_json(self) -> dict[str, Any]:
        """Return the column as JSON."""
        return {**super().to_json(), "rule": self.rule.to_json()}


@dataclass(frozen=True, kw_only=True, eq=False)
class Constant(DerivedColumn):
    """A column with one value."""

    type_name: ClassVar[str] = "constant"
    value: Any
    """An Arrow array of one value."""

    def make(self, rows: int, first_row: int, decoded: Mapping[str, Any]) -> Any:
        """Return the value, repeated."""
        del first_row, decoded
        return self.value.take(pa.array(np.zeros(rows, dtype=np.int32)))

    def to_json(self) -> dict[str, Any]:
        """Return the column as JSON."""
        return {**super().to_json(), "value": to_plain(self.value)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild the column."""
        value = from_plain(data["value"], parse_type(data["type"]))
        return cls(name=data["name"], kind_name=data["type"], value=value)


@dataclass(frozen=True, kw_only=True, eq=False)
class Key(DerivedColumn):
    """A column of fresh names of a form, or, when they need not be unique, of patterns."""

    type_name: ClassVar[str] = "key"
    form: str
    unique: bool
    knots: tuple[int, ...] = ()
    """Of whole numbers how densely they lie (`gan.tables.spread_keys`); none: any of the form."""

    @property
    def capacity(self) -> int | None:
        """How many rows it can name; None for patterns, which may repeat."""
        return self._values.capacity if self.unique else None

    @property
    def _values(self) -> Integers | Texts | SpreadIntegers:
        kind = parse_type(self.kind_name)
        if self.knots:
            return SpreadIntegers(self.knots, kind)
        return read_form(self.form, kind, unique=self.unique)

    def make(self, rows: int, first_row: int, decoded: Mapping[str, Any]) -> Any:
        """Return fresh values; they depend on the name, the form and the number of the row.

        They are null where the column's presence was decoded as null.
        """
        key, kind = derive(0, f"key/{self.name}/{self.form}"), parse_type(self.kind_name)
        fresh = self._values.make(first_row, rows, key).cast(kind)
        if self.name not in decoded:
            return fresh
        return pc.if_else(decoded[self.name].is_valid(), fresh, pa.scalar(None, kind))

    def to_json(self) -> dict[str, Any]:
        """Return the column as JSON."""
        own = {"form": self.form, "unique": self.unique}
        return {**super().to_json(), **own, **({"knots": list(self.knots)} if self.knots else {})}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild the column."""
        return cls(
            name=data["name"],
            kind_name=data["type"],
            form=data["form"],
            unique=data["unique"],
            knots=tuple(data.get("knots", ())),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Sum(DerivedColumn):
    """A column that is the sum of others."""

    type_name: ClassVar[str] = "sum"
    parts: tuple[str, ...]
    decimals: int | None
    """Of floats: the sum is rounded to them."""
    skips_null: bool
    """Whether a null part counts as 0; else the sum is null where a part is."""

    @classmethod
    def fit(cls, records: Mapping[str, Any], columns: Sequence[str], decimals: int | None) -> Self:
        """Learn how nulls are treated.

        Args:
            records: plain Arrow columns by name.
            columns: the total, then its parts.
            decimals: of the total.
        """
        total, *parts = columns
        with_null = np.zeros(len(records[total]), dtype=bool)
        for part in parts:
            with_null |= records[part].is_null().to_numpy(zero_copy_only=False)
        present = records[total].is_valid().to_numpy(zero_copy_only=False)
        return cls(
            name=total,
            kind_name=str(records[total].type),
            parts=tuple(parts),
            decimals=decimals,
            skips_null=bool(with_null.any() and present[with_null].mean() > 1 / 2),
        )

    @property
    def inputs(self) -> tuple[str, ...]:
        """Its parts."""
        return self.parts

    def make(self, rows: int, first_row: int, decoded: Mapping[str, Any]) -> Any:
        """Return the sums of the decoded parts; null where its presence was decoded as null."""
        del first_row
        kind = parse_type(self.kind_name)
        parts = [_addable(decoded[part], kind) for part in self.parts]
        valid_N = np.full(rows, not self.skips_null)
        for part in parts:
            valid = part.is_valid().to_numpy(zero_copy_only=False)
            valid_N = valid_N | valid if self.skips_null else valid_N & valid
        valid_N &= self.present(decoded, rows)
        total = parts[0].fill_null(0)
        for part in parts[1:]:
            total = pc.add(total, part.fill_null(0))
        total = self._typed(total, kind)
        return pc.if_else(pa.array(valid_N), total, pa.scalar(None, kind))

    def _typed(self, total: Any, kind: Any) -> Any:
        """Return the sum in the column's own type, rounded as the column is."""
        try:
            if not pa.types.is_floating(kind):
                whole = pc.round(total) if pa.types.is_floating(total.type) else total
                return whole.cast(kind)
            units, _ = to_units(total, self.decimals)
            return from_units(units, self.decimals, kind)
        except pa.ArrowInvalid as error:
            msg = (
                f"the sum of {', '.join(self.parts)} does not fit column {self.name!r} of type "
                f"{kind}: give the column a wider type"
            )
            raise DataError(msg) from error

    def to_json(self) -> dict[str, Any]:
        """Return the column as JSON."""
        own = {"parts": list(self.parts), "decimals": self.decimals, "skips_null": self.skips_null}
        return {**super().to_json(), **own}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild the column."""
        return cls(
            name=data["name"],
            kind_name=data["type"],
            parts=tuple(data["parts"]),
            decimals=data["decimals"],
            skips_null=data["skips_null"],
            shown=read_shown(data),
        )


def read_shown(data: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return what JSON says that a computed column shows."""
    if data.get("shown") is None:
        return None
    low, high = map(float, data["shown"])
    return low, high


def as_numbers(values: Any) -> Array:
    """Return an Arrow array of numbers or moments as floats in their units, NaN where null."""
    if not pa.types.is_temporal(values.type):
        return as_floats(values)
    units_N, valid_N = to_units(values, None)
    return np.where(valid_N, units_N.astype(np.float64), np.nan)


def _addable(values: Any, total: Any) -> Any:
    """Return a part in a type whose sums cannot overflow."""
    if pa.types.is_integer(values.type):
        wide = pa.decimal128(19, 0) if pa.types.is_decimal(total) else pa.int64()
        return values.cast(wide)
    return values.cast(pa.float64()) if pa.types.is_floating(values.type) else values
