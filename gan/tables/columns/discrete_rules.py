"""Columns that a rule gives: bands of a number, lookups by other columns, values under a condition.

A lookup is learnt: a combination and its answer are kept where `g` rows of train hold both. Another
combination has the answer of the one most like it, a single number that of the nearest: always the
same, so that the dependence holds among synthetic rows, too. Where answers are numbers that follow
the number smoothly, such as a rate of a day, one that is not kept has what lies on their trend.

A condition's column is learnt like others and overwritten where the condition holds. Where a rule
is exact and the column drew the value although the condition does not hold, the row is drawn again
(`gan.tables.rejection`); what is left takes the commonest other value of such rows.

Shapes: N rows, G kept combinations.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gan.errors import DataError
from gan.tables.columns.derived import DerivedColumn, RuleColumn
from gan.tables.columns.levels import Joint
from gan.tables.columns.moments import seconds_between
from gan.tables.columns.rounding import as_floats
from gan.tables.columns.rules import describe
from gan.tables.columns.texts import NULL, equals, is_readable, read_values
from gan.tables.columns.trend import Trend, is_smooth, trend_between
from gan.tables.columns.values import (
    find_decimals,
    from_plain,
    from_units,
    is_number,
    parse_type,
    plain,
    to_plain,
    to_units,
)
from storage.records.constraint import Constraint

Array = np.ndarray[Any, Any]
Mask = np.ndarray[Any, np.dtype[np.bool_]]


def check_texts(rule: Constraint, schema: Any) -> None:
    """Check that the values that a rule names are values of their columns.

    Args:
        rule: of any kind.
        schema: Arrow's, of the records.

    Raises:
        DataError: one is none.
    """
    said: list[tuple[str, Sequence[str]]] = []
    if rule.kind in ("band", "part"):
        said = [(rule.columns[0], rule.levels)]
    elif rule.kind == "rates":
        said = [(rule.columns[1], rule.levels)]
    elif rule.kind == "conditional":
        said = [(rule.columns[0], [str(rule.value)]), (rule.columns[1], rule.when)]
    for name, texts in said:
        kind = schema.field(name).type
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        for text in texts:
            if not is_readable(text, kind):
                msg = (
                    f"{describe(rule)} says {text!r} of column {name!r}, which is of type {kind}: "
                    "write it as the column does"
                )
                raise DataError(msg)


@dataclass(frozen=True, kw_only=True, eq=False)
class Band(RuleColumn):
    """The level of the interval that a number, or how much more one is than another, lies in."""

    type_name: ClassVar[str] = "band"

    at_null: Any
    """Where the number is null: an Arrow array of one value or null."""

    @classmethod
    def fit(cls, rule: Constraint, records: Mapping[str, Any], g: int) -> Self:
        """Learn what stands where the number is null: the commonest value that g rows hold."""
        column = records[rule.columns[0]]
        missing = pa.array(np.isnan(banded(rule, records)))
        return cls(
            name=rule.columns[0],
            kind_name=str(column.type),
            rule=rule,
            at_null=_commonest(column.filter(missing), g),
        )

    @property
    def inputs(self) -> tuple[str, ...]:
        """The number, or both."""
        return self.rule.columns[1:]

    def make(self, rows: int, first_row: int, decoded: Mapping[str, Any]) -> Any:
        """Return the levels; null where its presence was decoded as null."""
        del first_row
        kind = parse_type(self.kind_name)
        numbers_N = banded(self.rule, decoded)
        place_N = np.searchsorted(self.rule.cuts, numbers_N, side="right")
        place_N = np.where(np.isnan(numbers_N), len(self.rule.levels), place_N)
        levels = pa.concat_arrays([read_values(self.rule.levels, kind), self.at_null])
        found = levels.take(pa.array(place_N))
        return pc.if_else(pa.array(self.present(decoded, rows)), found, pa.scalar(None, kind))

    def to_json(self) -> dict[str, Any]:
        """Return the column as JSON."""
        return {**super().to_json(), "at_null": to_plain(self.at_null)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild the column."""
        return cls(
            name=data["name"],
            kind_name=data["type"],
            rule=Constraint(**data["rule"]),
            at_null=from_plain(data["at_null"], parse_type(data["type"])),
        )


def banded(rule: Constraint, columns: Mapping[str, Any]) -> Array:
    """Return the numbers whose intervals bands are, NaN where there is none; moments in seconds."""
    first, *others = (plain(columns[name]) for name in rule.columns[1:])
    if not others:
        return as_floats(first)
    if not pa.types.is_temporal(first.type):
        return as_floats(first) - as_floats(others[0])
    seconds_N, known_N = seconds_between(first, others[0])
    return np.where(known_N, seconds_N, np.nan)


def _commonest(values: Any, g: int) -> Any:
    """Return the commonest of some values as an Arrow array of one; null where fewer rows hold it.

    Of values that as many rows hold, the first in the order of their texts.
    """
    counted = sorted(
        values.drop_null().value_counts().to_pylist(),
        key=lambda one: (-one["counts"], str(one["values"])),
    )
    common = [one["values"] for one in counted[:1] if one["counts"] >= g]
    return pa.array(common or [None], type=values.type)


@dataclass(frozen=True, kw_only=True, eq=False)
class Lookup(DerivedColumn):
    """A column that others decide together, by a table that was learnt."""

    type_name: ClassVar[str] = "lookup"

    keys: Joint
    """The combinations; of one column its values."""
    answers: Any
    """Arrow array (G,): the answer of each."""
    between: Trend | None = None
    """What a number that is none of the keys gives; None: the answer of the nearest key."""
    decimals: int | None = None
    """Of the answers, for what is between."""

    @classmethod
    def fit(cls, rule: Constraint, records: Mapping[str, Any], g: int) -> Self:
        """Learn the table.

        Raises:
            DataError: no combination with its answer is held by so many rows.
        """
        name, *names = rule.columns
        pairs = Joint.fit({each: records[each] for each in (*names, name)}, g)
        answers = pairs.vocabularies[-1]
        keys = pa.table(dict(zip(names, pairs.vocabularies[:-1], strict=True)))
        order = np.lexsort([-np.array(pairs.rows), ~_valid(answers)])
        first = _first_of_each(keys, order)
        kept = pa.array(np.sort(order[first]))
        rows = [pairs.rows[place] for place in kept.to_pylist()]
        known = {each: plain(keys[each]).take(kept) for each in names}
        found = answers.take(kept)
        smooth = len(names) == 1 and is_smooth(known[names[0]], found)
        return cls(
            name=name,
            kind_name=str(records[name].type),
            keys=Joint.of(known, rows),
            answers=found,
            between=trend_between(records[names[0]], records[name], g) if smooth else None,
            decimals=find_decimals(records[name]),
        )

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns that decide it."""
        return self.keys.fields

    def make(self, rows: int, first_row: int, decoded: Mapping[str, Any]) -> Any:
        """Return the answers; null where its presence was decoded as null."""
        del first_row
        places_N = self._places(decoded)
        found = self.answers.take(pa.array(places_N))
        if self.between is not None:
            column = plain(decoded[self.inputs[0]])
            between_N, valid_N = self.between.at(column)
            if self.decimals is not None:
                between_N = np.rint(between_N).astype(np.int64)
            kept = pc.or_(pc.is_in(column, value_set=self.keys.vocabularies[0]), pa.array(~valid_N))
            found = pc.if_else(kept, found, from_units(between_N, self.decimals, found.type))
        nothing = pa.scalar(None, found.type)
        return pc.if_else(pa.array(self.present(decoded, rows)), found, nothing)

    def _places(self, decoded: Mapping[str, Any]) -> Array:
        """Return the entry of the table for every row."""
        column = decoded[self.inputs[0]]
        if len(self.inputs) > 1 or not is_number(column.type) or column.null_count == len(column):
            return self.keys.encode(pa.table({name: decoded[name] for name in self.inputs}))
        known = self.keys.vocabularies[0]
        values, order = _sorted_numbers(known)
        if not len(values):
            return self.keys.encode(pa.table({self.inputs[0]: column}))
        wanted_N, valid_N = to_units(column, None)
        above_N = np.minimum(np.searchsorted(values, wanted_N), len(values) - 1)
        below_N = np.maximum(above_N - 1, 0)
        nearer_N = np.abs(wanted_N - values[below_N]) <= np.abs(values[above_N] - wanted_N)
        places_N: Array = order[np.where(nearer_N, below_N, above_N)]
        like_null = ~_valid(known) if known.null_count else self.keys.rows
        return np.where(valid_N, places_N, int(np.argmax(like_null)))

    def to_json(self) -> dict[str, Any]:
        """Return the column as JSON; no combination that fewer than g rows of train hold."""
        data = {**super().to_json(), "keys": self.keys.to_json(), "answers": to_plain(self.answers)}
        if self.between is None:
            return data
        return {**data, "between": self.between.to_json(), "decimals": self.decimals}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild the column."""
        return cls(
            name=data["name"],
            kind_name=data["type"],
            keys=Joint.from_json(data["keys"]),
            answers=from_plain(data["answers"], parse_type(data["type"])),
            between=Trend.from_json(data["between"]) if "between" in data else None,
            decimals=data.get("decimals"),
        )


def _first_of_each(keys: pa.Table, order: Array) -> Array:
    """Return the first place in an order of each row of a table, equal rows counting as one."""
    numbered = keys.take(pa.array(order)).append_column("place", pa.array(np.arange(len(order))))
    grouped = numbered.group_by(keys.column_names).aggregate([("place", "min")])
    first: Array = np.sort(grouped["place_min"].to_numpy())
    return first


def _sorted_numbers(known: Any) -> tuple[Array, Array]:
    """Return the numbers of an Arrow array, ascending, and where each stands."""
    valid = np.flatnonzero(_valid(known))
    units, _ = to_units(known.take(pa.array(valid)), None)
    order = np.argsort(units, kind="stable")
    return units[order], valid[order]


@dataclass(frozen=True, kw_only=True, eq=False)
class Conditional(RuleColumn):
    """A column that is learnt, and has one value where another column has one of some."""

    type_name: ClassVar[str] = "conditional"

    otherwise: Any
    """What else it is where an exact rule forbids the value: an Arrow array of one value."""

    @classmethod
    def fit(
        cls, rule: Constraint, records: Mapping[str, Any], shown: Any, taken: Sequence[str]
    ) -> Self:
        """Learn what stands where the value must not.

        Args:
            rule: of kind conditional.
            records: plain Arrow columns by name.
            shown: the values that the column may show, an Arrow array.
            taken: the values of all exact conditions on this column.

        Raises:
            DataError: an exact rule leaves the column no value.
        """
        column = records[rule.columns[0]]
        none_N = np.zeros(len(shown), dtype=bool)
        taken_N = np.any([none_N, *(equals(shown, text) for text in taken)], axis=0)
        others = shown.filter(pa.array(~taken_N))
        if rule.exactly and not len(others):
            msg = (
                f"{describe(rule)} leaves column {rule.columns[0]!r} no other value that may be "
                "shown (privacy.min_group): remove the constraint, or leave the column out"
            )
            raise DataError(msg)
        free = column.filter(pa.array(~_met(rule, records[rule.columns[1]])))
        return cls(
            name=rule.columns[0],
            kind_name=str(column.type),
            rule=rule,
            otherwise=_usual(others, free) if rule.exactly else pa.nulls(1, column.type),
        )

    @property
    def inputs(self) -> tuple[str, ...]:
        """The column whose values decide."""
        return (self.rule.columns[1],)

    @property
    def refuses(self) -> bool:
        """Whether the value is forbidden where the condition fails."""
        return self.rule.exactly

    def strays(self, decoded: Mapping[str, Any], *, all_kinds: bool = False) -> Mask:
        """Return the rows with the value though the condition fails."""
        has_N = equals(decoded[self.name], str(self.rule.value))
        when_N = _met(self.rule, decoded[self.rule.columns[1]])
        stray_N: Mask = ~when_N & has_N & self.rule.exactly
        return stray_N | (when_N & ~has_N & all_kinds)

    def make(self, rows: int, first_row: int, decoded: Mapping[str, Any]) -> Any:
        """Return the column as it was drawn, overwritten where the rule says so."""
        del rows, first_row
        drawn, kind = decoded[self.name], parse_type(self.kind_name)
        value = read_values([str(self.rule.value)], kind)[0]
        if self.rule.value == NULL:
            value = pa.scalar(None, kind)
        found = pc.if_else(pa.array(self.strays(decoded)), self.otherwise[0], drawn)
        return pc.if_else(pa.array(_met(self.rule, decoded[self.rule.columns[1]])), value, found)

    def to_json(self) -> dict[str, Any]:
        """Return the column as JSON."""
        return {**super().to_json(), "otherwise": to_plain(self.otherwise)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild the column."""
        return cls(
            name=data["name"],
            kind_name=data["type"],
            rule=Constraint(**data["rule"]),
            otherwise=from_plain(data["otherwise"], parse_type(data["type"])),
        )


def _met(rule: Constraint, column: Any) -> Mask:
    """Return where a column has one of the values of a condition."""
    met_N: Mask = np.any([equals(column, text) for text in rule.when], axis=0)
    return met_N


def _usual(shown: Any, real: Any) -> Any:
    """Return the usual one of the values shown, as an Arrow array.

    That is the middle number, or the level that is commonest among real values; null where there is
    nothing else.
    """
    shown = shown.drop_null() if shown.null_count < len(shown) else shown
    if is_number(shown.type):
        return shown.slice(len(shown) // 2, 1)
    levels = shown.unique()
    places = pc.index_in(real, value_set=levels).drop_null().to_numpy()
    return levels.slice(int(np.argmax(np.bincount(places, minlength=len(levels)))), 1)


def _valid(column: Any) -> Mask:
    return np.asarray(column.is_valid().to_numpy(zero_copy_only=False), dtype=bool)
