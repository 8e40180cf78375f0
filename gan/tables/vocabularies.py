"""A table as cells and codes: what a fitted codec knows, and which cells meet a condition.

Every modelled column is a vocabulary of cells, and a code owns a range of them (`columns`).
Decoding is one `take` per column. Derived columns (constants, keys, replaced text, what rules
compute) are added when decoding. A condition on one that a single modelled column decides, such as
a band, is one on that column's cells.

A condition says what a synthesized record must have in one column. Its values are text, read as the
column's type: `3`, `2.50`, `true`, `>50K`, `2026-01-31`, `2026-01-31T12:00:00`, `12:30:00`; a time
stamp without an offset is of the column's zone. `null` is the missing value, unless the column has
a level of that name. A range keeps low <= value <= high and excludes null.

Shapes: N rows, D modelled columns, K_j codes of column j, K their sum, C classes.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from gan.codecs import CodeStrata, Encoded
from gan.errors import ConfigError, DataError
from gan.tables.columns.derived import DerivedColumn, Key
from gan.tables.columns.discrete_rules import Conditional
from gan.tables.columns.label_order import label_groups
from gan.tables.columns.texts import NULL, read_value
from gan.tables.columns.values import Modelled, require_metadata
from gan.tables.strata import ConditionStrata
from storage.records.schema import Condition, Label
from storage.records.table_metadata import TableMetadata

Array = np.ndarray[Any, Any]

MOST_NAMED = 12
"""Most levels that a message names."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Vocabularies:
    """The columns of a table, and the map between their cells, codes and records."""

    schema: pa.Schema
    """Of the records, with the metadata that is ganmill's."""
    columns: tuple[Modelled, ...]
    """The modelled columns, in codec order."""
    derived: tuple[DerivedColumn, ...] = ()
    """The other columns, in the order in which they can be derived."""
    label: str | None = None
    """Name of the label column."""
    closest: tuple[tuple[int, ...], ...] = ()
    """For each modelled column the indexes of those that say most of it, the closest first."""
    classes: tuple[Label, ...] = ()
    """Sorted values of a label of categories; empty for numbers."""

    @property
    def code_counts(self) -> tuple[int, ...]:
        """Codes of each modelled column, K_j."""
        return tuple(column.codes for column in self.columns)

    @property
    def label_column(self) -> int | None:
        """Index of the modelled column that holds the label."""
        for index, column in enumerate(self.columns):
            if self.label in column.fields:
                return index
        return None

    @property
    def draws_classes(self) -> bool:
        """The label is a column like the others."""
        return True

    @property
    def notes(self) -> tuple[str, ...]:
        """What was changed for privacy, in sentences that name no rare value."""
        return tuple(note for column in self.columns for note in column.notes)

    @property
    def capacities(self) -> dict[str, int]:
        """How many rows each key column can name."""
        return {
            column.name: column.capacity
            for column in self.derived
            if isinstance(column, Key) and column.capacity is not None
        }

    @property
    def metadata(self) -> TableMetadata:
        """What the columns mean, constraints included."""
        return require_metadata(self.schema)

    def encode(self, records: pa.Table) -> Encoded:
        """Return `cells_ND` int32 and class indexes; what train never had becomes the nearest.

        Raises:
            DataError: columns are missing or of other types.
        """
        self.check_types(records)
        cells_ND = np.empty((records.num_rows, len(self.columns)), dtype=np.int32)
        groups_N = self._label_groups(records)
        for index, column in enumerate(self.columns):
            cells_ND[:, index] = column.encode_with_label(records, groups_N)
        return Encoded(cells_ND, self._labels(cells_ND))

    def _label_groups(self, records: pa.Table) -> Array:
        """Return the group of every row's label; zeros without one."""
        index = self.label_column
        if index is None:
            return np.zeros(records.num_rows, dtype=np.int64)
        column = self.columns[index]
        codes_N = column.codes_of(column.encode(records))
        return label_groups(codes_N, column.codes, ordered=column.kind == "numeric")

    def to_samples(self, values: Tensor) -> Tensor:
        """Return cells as `codes_ND` int64."""
        cells_ND = values.cpu().numpy()
        codes_ND = np.empty(cells_ND.shape, dtype=np.int64)
        for index, column in enumerate(self.columns):
            codes_ND[:, index] = column.code_of_cell[cells_ND[:, index]]
        return torch.from_numpy(codes_ND).to(values.device)

    def to_values(self, samples: Tensor) -> Array:
        """Return `cells_ND` int32 of codes plus positions.

        Args:
            samples: (N, D) floats, code + position in [0, 1) inside the code; of integers the
                position is a half.
        """
        packed_ND = samples.detach().cpu().double().numpy()
        if not samples.is_floating_point():
            packed_ND = packed_ND + 0.5
        cells_DN = np.empty(packed_ND.T.shape, dtype=np.int32)
        for cells_N, packed_N, column in zip(cells_DN, packed_ND.T, self.columns, strict=True):
            codes_N = np.clip(packed_N.astype(np.int32), 0, column.codes - 1)
            if column.codes == column.cells:
                cells_N[:] = codes_N
                continue
            sizes_N = np.diff(column.first_cells)[codes_N]
            inside_N = ((packed_N - codes_N) * sizes_N).astype(np.int32)
            cells_N[:] = column.first_cells[codes_N] + np.clip(inside_N, 0, sizes_N - 1)
        return cells_DN.T

    def decode(
        self,
        values: Array,
        labels_N: np.ndarray[Any, np.dtype[np.int64]],  # noqa: ARG002 - the label is a column
        first_row: int = 0,
    ) -> pa.Table:
        """Return cells as records.

        Args:
            values: `cells_ND` int32.
            labels_N: ignored: the label is one of the modelled columns.
            first_row: number of the first row in the whole data set, for keys.

        Raises:
            DataError: a key's form has fewer values than rows.
        """
        found = self.modelled_values(values)
        for maker in self.derived:
            found[maker.name] = maker.make(len(values), first_row, found)
        arrays = [_as_field(found[field.name], field) for field in self.schema]
        return pa.Table.from_arrays(arrays, schema=self.schema)

    def modelled_values(
        self, cells_ND: Array, names: AbstractSet[str] | None = None
    ) -> dict[str, Any]:
        """Return the values of cells by column of the table.

        Args:
            cells_ND: int32.
            names: the columns that are needed; None for all.
        """
        if names is not None:
            names = self._with_parents(names)
        found: dict[str, Any] = {}
        for index in self.decoding_order:
            column = self.columns[index]
            if names is None or names & set(column.fields):
                cells_N = np.ascontiguousarray(cells_ND[:, index])
                found |= zip(column.fields, column.decode(cells_N, found), strict=True)
        return found

    @cached_property
    def decoding_order(self) -> tuple[int, ...]:
        """Indexes of the modelled columns, each after those that its values follow from."""
        names = {name: index for index, each in enumerate(self.columns) for name in each.fields}
        order: dict[int, None] = {}
        for index in range(len(self.columns)):
            chain = [index]
            while parents := self.columns[chain[-1]].parents:
                chain.append(names[parents[0]])
            order |= dict.fromkeys(reversed(chain))
        return tuple(order)

    def _with_parents(self, names: AbstractSet[str]) -> set[str]:
        """Return columns and those that their values follow from."""
        found = set(names)
        for index in reversed(self.decoding_order):
            if found & set(self.columns[index].fields):
                found |= set(self.columns[index].parents)
        return found

    def allowed(self, given: Sequence[Condition], *, per_class: bool) -> Array | None:
        """Return which codes a record may have: bool (C or 1, K); None when all.

        With `per_class` row c fixes the label to class c, and codes of the label are all forbidden
        in the rows of classes that the conditions exclude; else there is one row. A code is
        allowed when at least one of its cells meets the conditions.

        Raises:
            ConfigError: a column that cannot be given, a value that it does not know, or an empty
                range.
        """
        index = self.label_column
        if not given and (not per_class or not self.classes or index is None):
            return None
        return self._allowed(self.cell_masks(given), per_class=per_class)

    def strata(self, given: Sequence[Condition], *, per_class: bool) -> CodeStrata:
        """Return the ways in which records meet conditions; the arguments are those of `allowed`.

        The first is by values of the columns' own, which is `allowed` itself.

        Raises:
            ConfigError: as `allowed`.
        """
        asked = {self.decided_by(each.column)[0].name for each in given}
        found = ConditionStrata.of(self.columns, self.cell_masks(given), asked)
        allowed = tuple(self._allowed(each, per_class=per_class) for each in found.masks)
        return CodeStrata(allowed, found.of_rows)

    def _allowed(self, masks: Sequence[Array], *, per_class: bool) -> Array:
        """Return which codes have a cell that is allowed: bool (C or 1, K)."""
        index, mask = self.label_column, np.concatenate(masks)
        if not per_class or not self.classes or index is None:
            return self._codes(mask)[None]
        start = sum(column.cells for column in self.columns[:index])
        own = slice(start, start + self.columns[index].cells)
        rows = []
        for number in range(len(self.classes)):
            of_class = mask.copy()
            of_class[own] &= self._class_of_cell == number
            rows.append(self._codes(of_class))
        return np.stack(rows)

    def cell_masks(self, given: Sequence[Condition]) -> list[Array]:
        """Return which cells of each column meet all conditions, bool.

        Raises:
            ConfigError: as `allowed`.
        """
        masks = {column.name: np.ones(column.cells, dtype=bool) for column in self.columns}
        for condition in given:
            column, values = self.decided_by(condition.column)
            own = pa.array(~column.relative)
            masks[column.name][~column.relative] &= _meets(condition, values.filter(own))
            masks[column.name] &= ~column.relative
            if not masks[column.name].any():
                msg = (
                    f"synthesis.given leaves no value of column {condition.column!r}: the "
                    "conditions on it, or on columns that belong together with it, contradict each "
                    "other"
                )
                raise ConfigError(msg)
        return list(masks.values())

    def decided_by(self, name: str) -> tuple[Modelled, Any]:
        """Return the modelled column that decides a column of the table, and its cells' values.

        Raises:
            ConfigError: there is none, or several decide it together.
        """
        known = {field: column for column in self.columns for field in column.fields}
        makers = {maker.name: maker for maker in self.derived}
        drawn = not makers.keys() & {name} or isinstance(makers[name], Conditional)
        if name in known and drawn:
            return known[name], known[name].vocabulary(name)
        if name not in makers:
            msg = (
                f"synthesis.given names column {name!r}, which the table does not have: it has "
                f"{', '.join(known)}"
            )
            raise ConfigError(msg)
        needed = {name}
        for maker in reversed(self.derived):
            needed |= set(maker.inputs) if maker.name in needed else set()
        sources = {known[each].name: known[each] for each in needed if each in known}
        if len(sources) != 1 or not makers[name].inputs:
            kind = makers[name].type_name
            msg = (
                f"synthesis.given names column {name!r}, which is a {kind} and not learnt: remove "
                "the condition"
            )
            raise ConfigError(msg)
        (column,) = sources.values()
        found = dict(zip(column.fields, column.vocabularies, strict=True))
        for maker in self.derived:
            if maker.name in needed:
                found[maker.name] = maker.make(column.cells, 0, found)
        return column, found[name]

    def classes_of(self, values: Array, given: Sequence[Condition], *, per_class: bool) -> Array:
        """Return the class index of `cells_ND`, -1 where they do not meet the conditions.

        Raises:
            ConfigError: as `allowed`.
        """
        labels_N = self._labels(values) if per_class else np.zeros(len(values), dtype=np.int64)
        for index, mask in enumerate(self.cell_masks(given)):
            if not mask.all():
                meets_N = mask[values[:, index]] | self._relative_meets(index, values, given)
                labels_N = np.where(meets_N, labels_N, -1)
        return labels_N

    def _relative_meets(self, index: int, cells_ND: Array, given: Sequence[Condition]) -> Array:
        """Return the rows whose value in a column follows from another's and meets conditions."""
        column = self.columns[index]
        meets_N: Array = column.relative[cells_ND[:, index]].copy()
        rows_M = np.flatnonzero(meets_N)
        if len(rows_M):
            found = self.modelled_values(cells_ND[rows_M], set(column.fields))
            for maker in self.derived:
                if maker.name not in found and maker.inputs and found.keys() >= set(maker.inputs):
                    found[maker.name] = maker.make(len(rows_M), 0, found)
            for condition in given:
                if self.decided_by(condition.column)[0] is column:
                    meets_N[rows_M] &= _holds(condition, found[condition.column])
        return meets_N

    def _codes(self, mask: Array) -> Array:
        """Return which codes have a cell of the mask."""
        counts = np.concatenate([np.diff(column.first_cells) for column in self.columns])
        allowed_K: Array = np.logical_or.reduceat(mask, np.cumsum(counts) - counts)
        return allowed_K

    def check_types(self, records: pa.Table) -> None:
        """Check that records have the columns, of the types, that the codec was fitted on.

        Raises:
            DataError: they do not.
        """
        for field in self.schema:
            index = records.schema.get_field_index(field.name)
            if index < 0 or records.schema.field(index).type != field.type:
                found = "missing" if index < 0 else str(records.schema.field(index).type)
                msg = (
                    f"column {field.name!r} is {found}, the codec was fitted on {field.type}: "
                    "prepare the records as the training records were"
                )
                raise DataError(msg)

    def _labels(self, cells_ND: Array) -> Array:
        """Return the class index of every row; zeros without classes."""
        index = self.label_column
        if index is None or not self.classes:
            return np.zeros(len(cells_ND), dtype=np.int64)
        labels_N: Array = self._class_of_cell[cells_ND[:, index]]
        return labels_N

    @cached_property
    def _class_of_cell(self) -> Array:
        """Return the class of every cell of the label's column; there is one."""
        column = next(column for column in self.columns if self.label in column.fields)
        vocabulary = column.vocabulary(str(self.label))
        numbers = {label: number for number, label in enumerate(self.classes)}
        return np.array([numbers[label] for label in vocabulary.to_pylist()], dtype=np.int64)


def _as_field(values: Any, field: pa.Field) -> Any:
    """Return values as the type of the schema's field."""
    if pa.types.is_dictionary(field.type):
        return values.dictionary_encode().cast(field.type)
    return values


def _meets(condition: Condition, values: Any) -> Array:
    """Return which cells meet one condition, of which this is the value of each."""
    meets = np.ones(len(values), dtype=bool)
    if condition.values:
        meets &= np.any([_equals(values, text, condition) for text in condition.values], axis=0)
    if condition.low is None and condition.high is None:
        return meets
    if _is_text(values.type):
        msg = (
            f"synthesis.given has a range on column {condition.column!r} of type {values.type}: "
            "give values, ranges are for numbers, dates and times"
        )
        raise ConfigError(msg)
    for text, compare in ((condition.low, pc.greater_equal), (condition.high, pc.less_equal)):
        if text is not None:
            meets &= _bounded(values, text, compare, condition.column)
    if not meets.any():
        found = pc.min_max(values)
        wanted = f"from {condition.low or 'any'} to {condition.high or 'any'}"
        msg = (
            f"synthesis.given asks for values {wanted} in column {condition.column!r}: the "
            f"generator knows {found['min']} to {found['max']}"
        )
        raise ConfigError(msg)
    return meets


def _holds(condition: Condition, values: Any) -> Array:
    """Return which values meet a condition that is known to be one on this column."""
    meets: Array = values.is_valid().to_numpy(zero_copy_only=False).copy()
    if condition.values:
        scalars = [read_value(text, values.type) for text in condition.values]
        equal = [_array(pc.equal(values, each)) for each in scalars if each is not None]
        meets &= np.any([np.zeros(len(values), dtype=bool), *equal], axis=0)
    for text, compare in ((condition.low, pc.greater_equal), (condition.high, pc.less_equal)):
        if text is not None:
            meets &= _bounded(values, text, compare, condition.column)
    return meets


def _equals(values: Any, text: str, condition: Condition) -> Array:
    """Return which values a text means."""
    scalar = read_value(text, values.type)
    if scalar is not None:
        equal = _array(pc.equal(values, scalar))
        if equal.any():
            return equal
    if text == NULL and values.null_count:
        return _array(values.is_null())
    msg = (
        f"synthesis.given asks for {text!r} in column {condition.column!r}, which the generator "
        f"does not know: {_known(values)}"
    )
    raise ConfigError(msg)


def _known(values: Any) -> str:
    """Return what may be given instead."""
    levels = values.drop_null().unique()
    if not _is_text(values.type) and len(levels) > MOST_NAMED:
        found = pc.min_max(levels)
        return f"give a range (low, high) within {found['min']} to {found['max']}"
    if pa.types.is_boolean(levels.type):
        return "it knows true and false"
    names = [str(level) for level in levels.slice(0, MOST_NAMED)]
    more = f" and {len(levels) - MOST_NAMED} more" if len(levels) > MOST_NAMED else ""
    return f"it knows {', '.join(names)}{more}"


def _bounded(values: Any, text: str, compare: Any, name: str) -> Array:
    """Return which values lie on the right side of a bound."""
    scalar = read_value(text, values.type)
    if scalar is None and not pa.types.is_temporal(values.type):
        values, scalar = values.cast(pa.float64()), read_value(text, pa.float64())
    if scalar is None:
        msg = (
            f"synthesis.given has the bound {text!r} on column {name!r}, which cannot be read as "
            f"{values.type}: write it as {values.drop_null()[0]}"
        )
        raise ConfigError(msg)
    return _array(compare(values, scalar))


def _is_text(kind: Any) -> bool:
    types = pa.types
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_boolean(kind))


def _array(mask: Any) -> Array:
    """Return an Arrow mask as numpy; null is False."""
    found: Array = mask.fill_null(False).to_numpy(zero_copy_only=False)
    return found
