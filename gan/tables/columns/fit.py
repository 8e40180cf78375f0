"""Which columns of a table are modelled, which are derived, and how each is fitted."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gan.errors import DataError
from gan.tables.columns.derived import Constant, DerivedColumn, Key, Sum, as_numbers
from gan.tables.columns.discrete_rules import Band, Conditional, Lookup
from gan.tables.columns.formulas import Formula, LaterMoment
from gan.tables.columns.groups import GroupRules, Limits, read_rules
from gan.tables.columns.label_order import label_groups
from gan.tables.columns.levels import Joint, Levels, Presence
from gan.tables.columns.moment_part import MomentPart
from gan.tables.columns.numeric import LABEL_CLASSES, Numeric
from gan.tables.columns.rules import Decided, describe, find_decided, in_turn
from gan.tables.columns.values import (
    Modelled,
    NumberError,
    check_type,
    find_decimals,
    is_number,
    plain,
    require_metadata,
)
from gan.tables.spread_keys import learn_knots
from storage.records.constraint import Constraint
from storage.records.proposal import Proposal, left_out
from storage.records.schema import Column
from storage.records.table_metadata import TableMetadata

Fitted = tuple[tuple[Modelled, ...], tuple[DerivedColumn, ...]]


def fit_columns(records: pa.Table, label: str | None, *, fewest: int = 2) -> Fitted:
    """Return the modelled columns and the derived ones.

    Args:
        records: with the description of their columns.
        label: name of the label column; None without one.
        fewest: modelled columns that there must be.

    Raises:
        DataError: see `TableCodec.fit`.
    """
    metadata = require_metadata(records.schema)
    if records.num_rows == 0:
        msg = "there are no rows to fit the codec on: give it at least one record"
        raise DataError(msg)
    fit = _Fit(_plain_columns(records), metadata, read_rules(metadata, label), label)
    _check_label(fit, label)
    fit.group_label(records)
    refused: list[tuple[Column, DataError]] = []
    for column in metadata.columns:
        try:
            fit.add(column)
        except DataError as error:
            refused.append((column, error))
    if refused:
        raise _joined(fit, refused)
    fit.add_decided()
    if len(fit.modelled) < fewest:
        left = ", ".join(column.name for column in fit.modelled) or "none"
        msg = (
            "a table needs two columns or more that are not constant, keys, replaced text or "
            f"computed from others, and there are {len(fit.modelled)} ({left}) of "
            f"{records.num_columns}: add columns"
        )
        raise DataError(msg)
    if label is not None and not any(label in column.fields for column in fit.modelled):
        msg = (
            f"label column {label!r} has one class that privacy.min_group {metadata.min_group} "
            "rows of train hold: two or more are needed, choose another label or set it to null"
        )
        raise DataError(msg)
    return tuple(fit.modelled), tuple(fit.derived)


def _joined(fit: "_Fit", refused: Sequence[tuple[Column, DataError]]) -> DataError:
    """Return one error on all columns that cannot be learnt, with what would remedy each."""
    proposals = []
    for column, error in refused:
        if column.name == fit.label:
            why = f"{column.name} cannot be learnt: {error}"
            proposals.append(Proposal(setting="source.label", value=None, why=why))
        elif isinstance(error.__cause__, NumberError):
            proposals.append(_as_names(column, fit.columns[column.name]))
        elif column.name not in fit.rules.joint:
            proposals.append(left_out(column.name, str(error).partition(": ")[0]))
    return DataError("; ".join(str(error) for _, error in refused), proposals=proposals)


def _as_names(column: Column, values: Any) -> Proposal:
    """Return what numbers too large to be learnt may be: keys, levels, or nothing of use."""
    why = "numbers beyond 2^61, which are names rather than quantities"
    distinct = len(values.drop_null().unique())
    integers = pa.types.is_integer(values.type) and (pc.min(values).as_py() or 0) >= 0
    if integers and distinct == len(values):
        return Proposal(setting="source.columns", value=_entry(column.name, "key"), why=why)
    if distinct <= len(values) / 2:
        return Proposal(setting="source.columns", value=_entry(column.name, "category"), why=why)
    return left_out(column.name, why)


def _entry(name: str, kind: str) -> dict[str, str]:
    return {"name": name, "kind": kind}


def label_classes(columns: Sequence[Modelled], label: str | None) -> tuple[Any, ...]:
    """Return the sorted classes of the label; none when it is a number or there is no label."""
    for column in columns:
        if label in column.fields:
            values = column.vocabulary(str(label)).unique()
            kind = values.type
            words = (pa.types.is_string, pa.types.is_large_string, pa.types.is_boolean)
            few = pa.types.is_integer(kind) and len(values) <= LABEL_CLASSES
            if column.kind == "numeric":
                few = few and column.codes == column.cells
            listed = few or any(test(kind) for test in words)
            return tuple(sorted(values.to_pylist())) if listed else ()
    return ()


def _plain_columns(records: pa.Table) -> dict[str, Any]:
    """Return every column in one piece, checked."""
    columns = {}
    empty = []
    for field in records.schema:
        check_type(field.name, field.type)
        column = columns[field.name] = plain(records[field.name])
        if column.null_count == len(column):
            empty.append(field.name)
        if pa.types.is_floating(column.type):
            infinite = pc.sum(pc.is_inf(column)).as_py()
            if infinite:
                msg = (
                    f"column {field.name!r} holds {infinite} infinite values: replace them by "
                    "nulls, or leave those rows out"
                )
                raise DataError(msg)
    if empty:
        named = ", ".join(f"column {name!r}" for name in empty)
        msg = f"{named} is all null in train: leave it out"
        proposals = [left_out(name, "no row of train has a value") for name in empty]
        raise DataError(msg, proposals=proposals)
    return columns


def _check_label(fit: "_Fit", label: str | None) -> None:
    """Refuse a label that is missing, is no learnt column, or has nulls."""
    if label is None:
        return
    if label not in fit.columns:
        msg = f"the records have no label column {label!r}, only {', '.join(fit.columns)}"
        raise DataError(msg)
    kind = fit.metadata.column(label).kind
    if kind in ("key", "text"):
        msg = (
            f"label column {label!r} is a column of kind {kind}: choose one with classes or numbers"
        )
        raise DataError(msg)
    for name, rule in fit.decided:
        if name == label:
            msg = (
                f"{describe(rule)} decides the label column {label!r}, which then cannot be "
                "learnt: remove the constraint, or choose another label"
            )
            raise DataError(msg)
    nulls = fit.columns[label].null_count
    if nulls:
        msg = f"label column {label!r} has {nulls} nulls: label every record, or leave them out"
        raise DataError(msg)


@dataclass
class _Fit:
    """The columns found so far."""

    columns: Mapping[str, Any]
    metadata: TableMetadata
    rules: GroupRules
    label: str | None

    def __post_init__(self) -> None:
        self.modelled: list[Modelled] = []
        self.derived: list[DerivedColumn] = []
        self.groups_N: np.ndarray[Any, Any] | None = None
        constraints = self.metadata.constraints
        found = [self._by_data(*each) for each in find_decided(constraints, self.label)]
        self.decided: list[Decided] = in_turn(found, constraints)
        """Columns that a rule decides, in the order in which they are computed."""
        self.computed = {name for name, rule in self.decided if rule.kind != "conditional"}

    def group_label(self, records: pa.Table) -> None:
        """Keep the group of every row's label; what is wrong with the label is told in its turn."""
        column = None if self.label is None else self.metadata.column(self.label)
        if column is None or column.name in self.rules.joint or column.name in self.computed:
            return
        with suppress(DataError, NumberError):
            fitted = self._single(column)
            codes_N = fitted.codes_of(fitted.encode(records))
            self.groups_N = label_groups(codes_N, fitted.codes, ordered=fitted.kind == "numeric")

    def _by_data(self, name: str, rule: Constraint) -> Decided:
        """Return which column of a difference is computed: the number where it is no exact one."""
        exact = rule.kind != "difference" or LaterMoment.fit(rule, self.columns) is not None
        return (name if exact else rule.columns[0]), rule

    def group(self, column: Column) -> int:
        """Return how many rows must hold a value of the column that is shown."""
        return 1 if column.vocabulary == "public" else self.metadata.min_group

    def add(self, column: Column) -> None:
        """Fit one column, or the joint column that it is the first of."""
        if column.name in self.computed:
            return
        if column.kind in ("key", "text"):
            self._add_key(column)
        elif column.kind == "constant":
            self._append(self._constant(column))
        elif column.name in self.rules.joint:
            self._add_joint(column)
        else:
            try:
                self._append(self._single(column))
            except NumberError as error:
                msg = f"column {column.name!r} {error}"
                raise DataError(msg) from error

    def add_decided(self) -> None:
        """Add the columns that a rule decides, each after those it is computed from."""
        for name, rule in self.decided:
            maker = self._bounded(self._maker(name, rule))
            if rule.kind != "conditional":
                others = {one: each for one, each in self.columns.items() if one != name}
                again = maker.make(len(self.columns[name]), 0, others)
                gaps = pc.and_(self.columns[name].is_null(), again.is_valid())
                if pc.sum(gaps).as_py() >= self.metadata.min_group:
                    self.modelled.append(Presence.of(name))
            self.derived.append(maker)

    def _maker(self, name: str, rule: Constraint) -> DerivedColumn:
        """Return what computes a column by its rule."""
        columns, group = self.columns, max(map(self._group_of, dict.fromkeys(rule.columns)))
        if rule.kind == "sum":
            return Sum.fit(columns, rule.columns, find_decimals(columns[name]))
        if rule.kind == "band":
            return Band.fit(rule, columns, group)
        if rule.kind == "lookup":
            return Lookup.fit(rule, columns, group)
        if rule.kind == "part":
            return MomentPart.fit(rule, columns)
        if rule.kind == "conditional":
            taken = [str(r.value) for n, r in self.decided if n == name and r.exactly]
            return Conditional.fit(rule, columns, self._shown(name), taken)
        later = LaterMoment.fit(rule, columns) if rule.kind == "difference" else None
        if later is not None and later.name == name:
            return later
        return Formula.fit(name, rule, columns, group)

    def _bounded(self, maker: DerivedColumn) -> DerivedColumn:
        """Return what computes a number or a moment with what it would show were it learnt."""
        if not isinstance(maker, Sum | Formula | LaterMoment):
            return maker
        limits = self.rules.limits.get(maker.name, (None, None))
        try:
            learnt = Numeric.fit(
                maker.name,
                self.columns[maker.name],
                self._group_of(maker.name),
                limits=limits,
                whole=False,
            )
        except NumberError:
            return maker
        ends_2 = as_numbers(learnt.vocabularies[0].drop_null())
        return replace(maker, shown=(float(ends_2.min()), float(ends_2.max())))

    def _group_of(self, name: str) -> int:
        return self.group(self.metadata.column(name))

    def _shown(self, name: str) -> Any:
        """Return the values that a learnt column may show."""
        for column in self.modelled:
            if name in column.fields:
                return column.vocabulary(name)
        return next(m.value for m in self.derived if isinstance(m, Constant) and m.name == name)

    def _append(self, fitted: Modelled) -> None:
        """Keep a fitted column; as constants when it has one value only."""
        if fitted.cells > 1:
            self.modelled.append(fitted)
            return
        for name, values in zip(fitted.fields, fitted.vocabularies, strict=True):
            one = values.slice(0, 1)
            self.derived.append(Constant(name=name, kind_name=str(one.type), value=one))

    def _single(self, column: Column) -> Modelled:
        """Return one column as numbers or as levels."""
        values, g = self.columns[column.name], self.group(column)
        limits = self.rules.limits.get(column.name, (None, None))
        if column.kind in ("category", "boolean") or not is_number(values.type):
            kept = values.filter(pa.array(in_range(values, limits)))
            if kept.null_count == len(kept):
                msg = (
                    f"no value of column {column.name!r} in train lies in the range {limits[0]} to "
                    f"{limits[1]} of its constraint: correct the constraint"
                )
                raise DataError(msg)
            whole = len(kept) == len(values) and column.name != self.label
            groups_N = self.groups_N if whole else None
            return Levels.fit(
                column.name, kept, g, pool=column.name != self.label, groups_N=groups_N
            )
        whole = (
            column.name == self.label
            and pa.types.is_integer(values.type)
            and len(values.unique()) <= LABEL_CLASSES
        )
        return Numeric.fit(column.name, values, g, limits=limits, whole=whole, months=True)

    def _add_joint(self, column: Column) -> None:
        names = self.rules.joint[column.name]
        if names[0] != column.name:
            return
        members = [self.metadata.column(name) for name in names]
        keep = np.ones(len(self.columns[names[0]]), dtype=bool)
        for name in names:
            keep &= in_range(self.columns[name], self.rules.limits.get(name, (None, None)))
        if not keep.any():
            msg = f"no row of train has all of {', '.join(names)} in range: correct the constraints"
            raise DataError(msg)
        mask = pa.array(keep)
        values = {name: self.columns[name].filter(mask) for name in names}
        self._append(Joint.fit(values, max(self.group(member) for member in members)))

    def _constant(self, column: Column) -> Modelled:
        """Return the levels of a constant column: one value, and null where there are nulls."""
        values = self.columns[column.name]
        different = len(values.drop_null().unique())
        if different > 1:
            msg = (
                f"column {column.name!r} is declared constant and has {different} different "
                "values in train: declare it as something else"
            )
            raise DataError(msg)
        return Levels.fit(column.name, values, self.group(column))

    def _add_key(self, column: Column) -> None:
        """Add a key or a pattern, and where it is null."""
        values = self.columns[column.name]
        if values.null_count >= self.metadata.min_group:
            self.modelled.append(Presence.of(column.name))
        key = fit_key(column, values.type)
        if key.unique and pa.types.is_integer(values.type):
            key = replace(key, knots=learn_knots(values, self.group(column)))
        self.derived.append(key)


def fit_key(column: Column, kind: Any) -> Key:
    """Return a key or a pattern.

    Raises:
        DataError: it has no form, or one that cannot be read.
    """
    strings = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    unique = column.kind == "key"
    if column.form is None or not (strings or (unique and pa.types.is_integer(kind))):
        msg = (
            f"column {column.name!r} is a {column.kind} of type {kind} with the form "
            f"{column.form!r}: keys are strings or integers, patterns strings, both with a form"
        )
        raise DataError(msg)
    key = Key(name=column.name, kind_name=str(kind), form=column.form, unique=unique)
    key.make(0, 0, {})  # a form that cannot be read is refused here
    return key


def in_range(values: Any, limits: Limits) -> np.ndarray[Any, Any]:
    """Return which values lie within the limits; nulls do."""
    low, high = limits
    keep = np.ones(len(values), dtype=bool)
    if low is None and high is None:
        return keep
    floats = values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    if low is not None:
        keep &= ~(floats < float(low))
    if high is not None:
        keep &= ~(floats > float(high))
    return keep
