"""Series: nested records of entities ↔ one array, a row per entity.

A row holds, side by side: the number of steps; where the first one lies, counted from `base`; the
cells of the columns of the whole entity; the units of all variables, step after step, zeros behind
the last one. What is known of a whole entity (statics, its number of steps, its first moment) is a
row of a table and has the codes of one (`gan.tables`): conditions and classes are on these. What is
observed at every step has units, which networks turn into codes (`columns.variables`).

The longest series are cut where fewer than min_group entities are so long. Rows are padded to one
width: memory is entities · longest · variables · 4 bytes, 8 where a unit needs more than 24 bits.

Shapes: N entities, L steps of the longest, D variables, E columns of the whole entity, V = 2 + E +
L·D values of a row, T steps of all entities, K codes of the columns of the whole entity.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from gan.errors import ConfigError, DataError, SnapshotError
from gan.protocols import CodeStrata, Encoded, Repaired, Resample, ShardRequest
from gan.series.columns.clock import Clock
from gan.series.columns.evidence import find_relations, with_uses
from gan.series.columns.fit import FittedVariables, as_gap, fit_variables
from gan.series.columns.order import in_order
from gan.series.columns.variables import MISSING, Variable
from gan.tables.codec import DERIVED, KEPT_METADATA, TableCodec
from gan.tables.columns.derived import Constant, DerivedColumn
from gan.tables.columns.fit import fit_columns, label_classes
from gan.tables.columns.levels import Presence
from gan.tables.columns.partners import closest_columns
from gan.tables.columns.values import parse_type, plain
from storage.records.schema import (
    Column,
    Condition,
    Label,
    TableMetadata,
    with_table_metadata,
)
from storage.records.series import (
    SeriesMetadata,
    lengths_of,
    read_series_metadata,
    steps_of,
    to_nested,
)

Array = np.ndarray[Any, Any]

VERSION: Final = "ganmill-series-codec/1"
SPAN: Final = 2
"""Values of a row before its cells: how many steps, and where the first one lies."""
PART: Final = 4_000_000
"""Values that are encoded at once."""
MOST_FITTED: Final = 10_000_000
"""Values that variables are fitted on; of more, those of every second, third … entity."""
MOST_EXACT: Final = 2.0**24
"""Below it float32 holds every whole number."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SeriesCodec:
    """What is known of a whole entity, of moments and of every variable."""

    schema: pa.Schema
    """Of the nested records, with the metadata that is ganmill's."""
    whole: TableCodec
    """Of the key, the statics, the number of steps and the first moment."""
    clock: Clock
    variables: tuple[Variable, ...]
    """Those that are learnt, in the order in which networks draw them."""
    derived: tuple[DerivedColumn, ...]
    """The other columns of every step."""
    names: tuple[str, str, str]
    """What number of steps, first moment and gap are called: no column has these names."""
    width: int
    """Most steps, L."""
    base: int
    """Where the first step of an entity may lie at the earliest."""
    exact: bool
    """Whether values are float64."""

    @property
    def modality(self) -> str:
        """Name in `storage.records.modalities.MODALITIES`."""
        return "series"

    @property
    def label(self) -> str | None:
        """Name of the label, a static column."""
        return self.whole.label

    @property
    def classes(self) -> tuple[Label, ...]:
        """Values of the label, sorted."""
        return self.whole.classes

    @property
    def draws_classes(self) -> bool:
        """A class that is asked for is given: the columns of the whole entity are drawn under it."""
        return False

    @cached_property
    def metadata(self) -> SeriesMetadata:
        """What the columns mean."""
        return _metadata(self.schema)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was changed for privacy, in sentences that name no rare value."""
        inside = (note for each in self.variables for note in each.own.notes)
        return (*self.whole.notes, *inside)

    def __eq__(self, other: object) -> bool:
        """Compare what both write as JSON."""
        return isinstance(other, SeriesCodec) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        """Return the hash of what is written as JSON."""
        return hash(json.dumps(self.to_json(), sort_keys=True))

    @classmethod
    def fit(cls, records: pa.Table, label: str | None) -> Self:
        """Learn the codes; kinds, step and min_group come with the schema.

        Raises:
            DataError: no entities, or a column or a label that cannot be learnt; the sentence says
                what to do.
        """
        metadata = _metadata(records.schema)
        if records.num_rows == 0:
            msg = "there are no entities to fit the codec on: give it at least one"
            raise DataError(msg)
        _check_label(metadata, label)
        names = _free_names(metadata)
        lengths_N, moments_T = lengths_of(records, metadata), _moments_of(records, metadata)
        first_N = np.cumsum(lengths_N) - lengths_N
        clock = Clock.fit(moments_T, first_N, metadata)
        ticks_N = clock.ticks_of(moments_T.take(pa.array(first_N)))
        whole = _fit_whole(records, metadata, names, clock, lengths_N, ticks_N, label)
        size = int(lengths_N.sum()) * max(len(metadata.variables), 1)
        every = pa.array(np.arange(0, len(records), -(-size // MOST_FITTED)))
        some = records.take(every)
        found = _fit_variables(some, metadata, names, clock)
        if not found.variables:
            msg = (
                "series need a variable that is not constant, a key or replaced text, and there is "
                f"none among {', '.join(each.name for each in metadata.variables) or 'no columns'}"
            )
            raise DataError(msg)
        arrow = records.schema.metadata or {}
        kept = {key: text for key, text in arrow.items() if key.startswith(KEPT_METADATA)}
        fields = [pa.field(f.name, f.type, f.nullable) for f in records.schema]
        ends = _ends(whole, names, clock)
        codec = cls(
            schema=pa.schema(fields, metadata=kept),
            whole=whole,
            clock=clock,
            variables=found.variables,
            derived=found.derived,
            names=names,
            width=ends[0],
            base=ends[1],
            exact=_is_exact(found.variables, ends[2] - ends[1]),
        )
        units_NLD = codec.units_of(some)
        related = find_relations(found.variables, units_NLD, found.groups)
        variables, order = in_order(related, first=names[2])
        variables = with_uses(variables, units_NLD[..., order])
        return replace(codec, variables=variables)

    def units_of(self, records: pa.Table) -> Array:
        """Return the units of all variables, float64 (N, L, D); `MISSING` where there is no step."""
        metadata = self.metadata
        lengths_N, steps = lengths_of(records, metadata), steps_of(records, metadata)
        place_T, entity_T = _places(lengths_N)
        inside_T = place_T < self.width
        at = entity_T[inside_T], place_T[inside_T]
        units_NLD = np.full((len(lengths_N), self.width, len(self.variables)), MISSING)
        for index, variable in enumerate(self.variables):
            units_T = variable.units_of(self._column(variable.name, steps, lengths_N))
            units_NLD[*at, index] = units_T[inside_T]
        return units_NLD

    def _column(self, name: str, steps: pa.Table, lengths_N: Array) -> Any:
        """Return what a variable is in all steps."""
        if name != self.names[2]:
            return steps[name]
        ticks_T = self.clock.ticks_of(_plain_moments(steps, self.metadata))
        return _gaps(ticks_T, np.cumsum(lengths_N) - lengths_N)

    def encode(self, records: pa.Table) -> Encoded:
        """Return rows as the module says, and class indexes.

        Raises:
            DataError: columns are missing or of other types.
        """
        self._check_types(records)
        width = self.cells.stop + self.width * len(self.variables)
        dtype = np.float64 if self.exact else np.float32
        values_NV = np.empty((records.num_rows, width), dtype=dtype)
        labels_N = np.empty(records.num_rows, dtype=np.int64)
        for start in range(0, records.num_rows, self._part):
            rows = slice(start, start + self._part)
            values_NV[rows], labels_N[rows] = self._encode(records.slice(start, self._part))
        return Encoded(values_NV, labels_N)

    @property
    def _part(self) -> int:
        """How many entities are encoded at once."""
        return max(PART // (self.width * len(self.variables)), 1)

    def _encode(self, records: pa.Table) -> Encoded:
        metadata = self.metadata
        lengths_N = lengths_of(records, metadata)
        moments_T = _moments_of(records, metadata)
        ticks_N = self.clock.ticks_of(moments_T.take(pa.array(np.cumsum(lengths_N) - lengths_N)))
        table = _whole_table(records, metadata, self.names, self.clock, lengths_N, ticks_N)
        cells_NE, labels_N = self.whole.encode(table)
        units_NLD = self.units_of(records)
        within_NL = np.arange(self.width) < lengths_N[:, None]
        units_NLD[~within_NL] = 0.0
        span = [np.minimum(lengths_N, self.width), self.clock.index_of(ticks_N) - self.base]
        parts = [np.stack(span, axis=1), cells_NE, units_NLD.reshape(len(lengths_N), -1)]
        return Encoded(np.concatenate(parts, axis=1), labels_N)

    def _check_types(self, records: pa.Table) -> None:
        for field in self.schema:
            index = records.schema.get_field_index(field.name)
            if index < 0 or records.schema.field(index).type != field.type:
                found = "missing" if index < 0 else str(records.schema.field(index).type)
                msg = (
                    f"column {field.name!r} is {found}, the codec was fitted on {field.type}: "
                    "prepare the records as the training records were"
                )
                raise DataError(msg)

    @cached_property
    def latest(self) -> int:
        """Where the first step of an entity may lie at the latest, counted from `base`."""
        return _ends(self.whole, self.names, self.clock)[2] - self.base

    @property
    def cells(self) -> slice:
        """Where in a row the cells of the whole entity are."""
        return slice(SPAN, SPAN + len(self.whole.columns))

    def to_samples(self, values: Tensor) -> Tensor:
        """Return rows with codes plus a half in place of the cells, float64."""
        samples_NV = values.double()
        codes_NE = self.whole.to_samples(values[:, self.cells].long())
        samples_NV[:, self.cells] = codes_NE.double() + 0.5
        return samples_NV

    def to_values(self, samples: Tensor) -> Array:
        """Return rows with cells in place of codes plus positions."""
        values_NV = samples.detach().cpu().double().numpy().copy()
        values_NV[:, self.cells] = self.whole.to_values(samples[:, self.cells])
        return values_NV if self.exact else values_NV.astype(np.float32)

    def spans(self, cells_NE: Array) -> tuple[Array, Array]:
        """Return how many steps entities have, and where their first lies, of cells."""
        lengths, starts = _spans(self.whole, cells_NE, self.names, self.clock)
        index_N = self.clock.aligned(self.clock.index_of(starts))
        return np.clip(lengths, 1, self.width), index_N - self.base

    def decode(
        self,
        values: Array,
        labels_N: np.ndarray[Any, np.dtype[np.int64]],
        first_row: int = 0,
    ) -> pa.Table:
        """Return rows as nested records.

        Args:
            values: as `encode` returns them.
            labels_N: ignored: the label is a column of the whole entity.
            first_row: number of the first entity in the whole data set, for keys.

        Raises:
            DataError: a key's form has fewer values than entities.
        """
        metadata, N = self.metadata, len(values)
        lengths_N = values[:, 0].astype(np.int64)
        cells_NE = values[:, self.cells].astype(np.int32)
        units_NLD = values[:, self.cells.stop :].reshape(N, self.width, len(self.variables))
        place_T, entity_T = _places(lengths_N)
        found: dict[str, Any] = {
            each.name: each.values_of(units_NLD[entity_T, place_T, index].astype(np.float64))
            for index, each in enumerate(self.variables)
        }
        for maker in self.derived:
            found[maker.name] = maker.make(len(place_T), first_row * self.width, found)
        index_N = values[:, 1].astype(np.int64) + self.base
        found[metadata.time.name] = self._moments(index_N, lengths_N, found)
        table = self.whole.decode(cells_NE, labels_N, first_row)
        entities = table.select([metadata.entity.name, *(s.name for s in metadata.statics)])
        names = [metadata.time.name, *(each.name for each in metadata.variables)]
        types = {f.name: f.type.value_type for f in self.schema if pa.types.is_list(f.type)}
        steps = pa.table({name: _typed(found[name], types[name]) for name in names})
        nested = to_nested(entities, steps, lengths_N, metadata)
        return pa.Table.from_arrays(
            [nested[f.name].cast(f.type) for f in self.schema], schema=self.schema
        )

    def _moments(self, index_N: Array, lengths_N: Array, found: Mapping[str, Any]) -> Any:
        """Return the moments of all steps."""
        place_T, entity_T = _places(lengths_N)
        if self.clock.step is not None:
            return self.clock.moments_of(self.clock.ticks_at(index_N[entity_T] + place_T))
        gaps_T = found[self.names[2]].to_numpy(zero_copy_only=False).copy()
        gaps_T[place_T == 0] = 0
        total_T = np.cumsum(np.maximum(gaps_T, place_T > 0))
        start_N = total_T[np.cumsum(lengths_N) - lengths_N]
        return self.clock.moments_of(index_N[entity_T] + total_T - start_N[entity_T])

    def allowed(self, given: Sequence[Condition], *, per_class: bool) -> Array | None:
        """Return which codes of the whole entity are allowed; see `ConditionalCodec`.

        Raises:
            ConfigError: a column that is observed at every step, or that there is not.
        """
        self._check_given(given)
        return self.whole.allowed(given, per_class=per_class)

    def strata(self, given: Sequence[Condition], *, per_class: bool) -> CodeStrata:
        """Return the ways in which entities meet conditions; see `ConditionalCodec`."""
        self._check_given(given)
        found = self.whole.strata(given, per_class=per_class)
        return CodeStrata(found.allowed, lambda values: found.of(self._cells_of(values)))

    def classes_of(self, values: Array, given: Sequence[Condition], *, per_class: bool) -> Array:
        """Return the class index of rows, -1 where they do not meet the conditions."""
        return self.whole.classes_of(self._cells_of(values), given, per_class=per_class)

    def _cells_of(self, values: Array) -> Array:
        return values[:, self.cells].astype(np.int32)

    def repair(
        self,
        values: Array,
        request: ShardRequest,
        resample: Resample,  # noqa: ARG002 - conditions are met by the nearest cell
    ) -> Repaired | None:
        """Move cells that a range cuts out of their code to the nearest that it leaves."""
        if not request.given:
            return None
        cells_NE, changed_N = self._cells_of(values), np.zeros(len(values), dtype=bool)
        for index, mask in enumerate(self.whole.cell_masks(request.given)):
            wrong = np.flatnonzero(~mask[cells_NE[:, index]])
            if len(wrong):
                meets = np.flatnonzero(mask)
                cells_NE[wrong, index] = _nearest(meets, cells_NE[wrong, index])
                changed_N[wrong] = True
        repaired = values.copy()
        repaired[:, self.cells] = cells_NE
        lengths_N, start_N = self.spans(cells_NE)
        repaired[:, 0] = np.minimum(lengths_N, values[:, 0])
        repaired[:, 1] = start_N
        return Repaired(repaired, 0, int(changed_N.sum()))

    def check(self, given: Sequence[Condition], rows: int) -> None:
        """Check that so many entities can be made under these conditions.

        Raises:
            ConfigError: a condition is not known, or a key's form has too few values.
        """
        self._check_given(given)
        self.whole.check(given, rows)

    def _check_given(self, given: Sequence[Condition]) -> None:
        metadata = self.metadata
        steps = {metadata.time.name, *(each.name for each in metadata.variables)}
        for each in given:
            if each.column in steps:
                known = ", ".join(one.name for one in metadata.statics) or "none here"
                msg = (
                    f"synthesis.given names column {each.column!r}, which is observed at every "
                    f"step: conditions are on static columns ({known})"
                )
                raise ConfigError(msg)

    def to_json(self) -> dict[str, Any]:
        """Return the codec as JSON; no value that fewer than min_group entities of train hold."""
        arrow = self.schema.metadata or {}
        return {
            "modality": self.modality,
            "version": VERSION,
            "schema": [_field_json(f) for f in self.schema],
            "metadata": {key.decode(): text.decode() for key, text in arrow.items()},
            "whole": self.whole.to_json(),
            "clock": self.clock.to_json(),
            "variables": [each.to_json() for each in self.variables],
            "made": [each.to_json() for each in self.derived],
            "names": list(self.names),
            "width": self.width,
            "base": self.base,
            "exact": self.exact,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild a codec.

        Raises:
            SnapshotError: the data is not a codec of series.
        """
        if data.get("modality") != "series" or data.get("version") != VERSION:
            msg = (
                f"this is no series codec of this version: it says {data.get('modality')!r}, "
                f"{data.get('version')!r}; train the generator again"
            )
            raise SnapshotError(msg)
        try:
            return cls(
                schema=pa.schema(map(_read_field, data["schema"]), metadata=data["metadata"]),
                whole=TableCodec.from_json(data["whole"]),
                clock=Clock.from_json(data["clock"]),
                variables=tuple(Variable.from_json(each) for each in data["variables"]),
                derived=tuple(DERIVED[item["column"]].from_json(item) for item in data["made"]),
                names=tuple(data["names"]),
                width=data["width"],
                base=data["base"],
                exact=data["exact"],
            )
        except (TypeError, KeyError, ValueError, pa.ArrowException) as error:
            msg = f"this is no series codec of this version: {error}; train the generator again"
            raise SnapshotError(msg) from error


def _metadata(schema: pa.Schema) -> SeriesMetadata:
    """Return the description of the columns.

    Raises:
        DataError: there is none, or not of exactly these columns.
    """
    try:
        found = read_series_metadata(schema)
    except ValueError as error:
        raise DataError(str(error)) from error
    if found is None:
        msg = "the records do not say what their columns mean: prepare them with ganmill first"
        raise DataError(msg)
    return found


def _plain_moments(steps: pa.Table, metadata: SeriesMetadata) -> Any:
    """Return the moments of steps in one piece."""
    return plain(steps[metadata.time.name])


def _moments_of(records: pa.Table, metadata: SeriesMetadata) -> Any:
    """Return the moments of all steps."""
    return plain(pc.list_flatten(records.column(metadata.time.name)))


def _fit_variables(
    records: pa.Table, metadata: SeriesMetadata, names: tuple[str, str, str], clock: Clock
) -> FittedVariables:
    """Return the variables of these records, without relations."""
    lengths_N, steps = lengths_of(records, metadata), steps_of(records, metadata)
    entity_T = np.repeat(np.arange(len(lengths_N)), lengths_N)
    columns = {each: steps[each.name] for each in metadata.variables}
    if clock.step is None:
        ticks_T = clock.ticks_of(_plain_moments(steps, metadata))
        gaps_T = _gaps(ticks_T, np.cumsum(lengths_N) - lengths_N)
        columns = {as_gap(names[2]): gaps_T, **columns}
    return fit_variables(columns, entity_T, metadata.min_group)


def _check_label(metadata: SeriesMetadata, label: str | None) -> None:
    """Refuse a label that is no static column."""
    statics = [each.name for each in metadata.statics]
    if label is not None and label not in statics:
        msg = (
            f"the records have no static column {label!r} that could be the label, only "
            f"{', '.join(statics) or 'none'}"
        )
        raise DataError(msg)


def _free_names(metadata: SeriesMetadata) -> tuple[str, str, str]:
    """Return what number of steps, first moment and gap are called."""
    found = []
    for wanted in ("steps", "start", "gap"):
        name = wanted
        while name in metadata.nested_names:
            name += "_"
        found.append(name)
    return found[0], found[1], found[2]


def _places(lengths_N: Array) -> tuple[Array, Array]:
    """Return of every step its place in its entity, and the number of the entity, (T,)."""
    entity_T = np.repeat(np.arange(len(lengths_N)), lengths_N)
    first_N = np.cumsum(lengths_N) - lengths_N
    return np.arange(len(entity_T)) - first_N[entity_T], entity_T


def _gaps(ticks_T: Array, first_N: Array) -> Any:
    """Return the ticks since the step before; those of a first step are of no meaning: 1."""
    gaps_T = np.diff(ticks_T, prepend=ticks_T[:1])
    later = np.setdiff1d(np.arange(len(gaps_T)), first_N)
    gaps_T[first_N] = int(np.median(gaps_T[later])) if len(later) else 1
    return pa.array(gaps_T)


def _whole_table(
    records: pa.Table,
    metadata: SeriesMetadata,
    names: tuple[str, str, str],
    clock: Clock,
    lengths_N: Array,
    ticks_N: Array,
) -> pa.Table:
    """Return what is known of whole entities, described as a table."""
    start = clock.moments_of(ticks_N) if clock.step is None else pa.array(clock.index_of(ticks_N))
    kind = metadata.time.kind if clock.step is None else "integer"
    columns = (
        metadata.entity,
        *metadata.statics,
        Column(name=names[0], kind="integer", why="number of steps"),
        Column(name=names[1], kind=kind, why="first moment"),
    )
    arrays = {each.name: records[each.name] for each in columns[:-SPAN]}
    table = pa.table({**arrays, names[0]: pa.array(lengths_N), names[1]: start})
    described = TableMetadata(columns=columns, min_group=metadata.min_group)
    return table.replace_schema_metadata(
        with_table_metadata(table.schema.remove_metadata(), described).metadata
    )


def _fit_whole(
    records: pa.Table,
    metadata: SeriesMetadata,
    names: tuple[str, str, str],
    clock: Clock,
    lengths_N: Array,
    ticks_N: Array,
    label: str | None,
) -> TableCodec:
    """Return the codec of what is known of whole entities."""
    table = _whole_table(records, metadata, names, clock, lengths_N, ticks_N)
    columns, derived = fit_columns(table, label, fewest=0)
    columns = columns or (Presence.of(names[0]),)
    cells_NE = np.stack([column.encode(table) for column in columns], axis=1)
    return TableCodec(
        schema=table.schema,
        columns=columns,
        derived=derived,
        closest=closest_columns(columns, cells_NE),
        label=label,
        classes=label_classes(columns, label),
    )


def _spans(
    whole: TableCodec, cells_NE: Array, names: tuple[str, str, str], clock: Clock
) -> tuple[Array, Array]:
    """Return numbers of steps and the ticks of first moments, of cells."""
    found = whole.modelled_values(cells_NE, set(names[:SPAN]))
    for maker in whole.derived:
        if maker.name in names[:SPAN]:
            found[maker.name] = maker.make(len(cells_NE), 0, found)
    return found[names[0]].to_numpy(), _ticks(found[names[1]], clock)


def _ticks(starts: Any, clock: Clock) -> Array:
    """Return the ticks of first moments as the table of whole entities holds them."""
    if clock.step is None:
        return clock.ticks_of(starts)
    return clock.ticks_at(starts.to_numpy())


def _ends(whole: TableCodec, names: tuple[str, str, str], clock: Clock) -> tuple[int, int, int]:
    """Return the most steps, and the earliest and latest index of a first one, that are shown."""
    found = {field: c.vocabulary(field) for c in whole.columns for field in c.fields}
    found |= {each.name: each.value for each in whole.derived if isinstance(each, Constant)}
    index = clock.aligned(clock.index_of(_ticks(found[names[1]].drop_null(), clock)))
    return int(max(found[names[0]].to_numpy())), int(index.min()), int(index.max())


def _is_exact(variables: Sequence[Variable], span: int) -> bool:
    """Say whether some unit needs float64."""
    if span >= MOST_EXACT:
        return True
    for each in variables:
        units_C = each.unit_of_cell[each.unit_of_cell != MISSING]
        fraction = each.is_number and getattr(each.own, "decimals", 0) is None
        if fraction or np.abs(units_C).max() >= MOST_EXACT / 4:
            return True
    return False


def _nearest(meets: Array, cells: Array) -> Array:
    """Return for each cell the nearest of those that meet."""
    after = np.searchsorted(meets, cells).clip(0, len(meets) - 1)
    before = (after - 1).clip(0)
    nearer = np.abs(meets[before] - cells) <= np.abs(meets[after] - cells)
    return np.asarray(meets[np.where(nearer, before, after)])


def _typed(values: Any, kind: Any) -> Any:
    """Return values as a type, dictionary or not."""
    if pa.types.is_dictionary(kind):
        return values.dictionary_encode().cast(kind)
    return values


def _field_json(field: pa.Field) -> list[Any]:
    """Return a field as JSON; of a list the type and the name of its values."""
    if pa.types.is_list(field.type):
        return [field.name, str(field.type.value_type), field.nullable, field.type.value_field.name]
    return [field.name, str(field.type), field.nullable, None]


def _read_field(data: Sequence[Any]) -> pa.Field:
    name, kind_name, nullable, values = data
    kind = parse_type(kind_name)
    return pa.field(name, kind if values is None else pa.list_(pa.field(values, kind)), nullable)
