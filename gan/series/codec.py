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
from torch import Tensor

from gan.codecs import Encoded
from gan.errors import DataError, SnapshotError
from gan.series.columns.clock import Clock
from gan.series.columns.evidence import find_relations, with_uses
from gan.series.columns.fit import FittedVariables, as_gap, fit_variables, require_series
from gan.series.columns.order import in_order
from gan.series.columns.predictions import with_predictions
from gan.series.columns.scales import EntityScale, find_scales, grid_columns
from gan.series.columns.variables import MISSING, Variable
from gan.series.columns.whole import (
    SPAN,
    FirstSteps,
    SpanNames,
    ends_of,
    fit_whole,
    free_names,
    spans_of,
    whole_table,
)
from gan.series.conditions import ConditionsOnEntities
from gan.tables.codec import DERIVED, KEPT_METADATA, TableCodec
from gan.tables.columns.derived import DerivedColumn
from gan.tables.columns.values import parse_type, plain
from storage.records.schema import (
    Label,
)
from storage.records.series import (
    SeriesMetadata,
    lengths_of,
    steps_of,
    to_nested,
)

Array = np.ndarray[Any, Any]

VERSION: Final = "ganmill-series-codec/3"
PART: Final = 4_000_000
"""Values that are encoded at once."""
MOST_FITTED: Final = 10_000_000
"""Values that variables are fitted on; of more, those of every second, third … entity."""
MOST_EXACT: Final = 2.0**24
"""Below it float32 holds every whole number."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SeriesCodec(ConditionsOnEntities):
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
    names: SpanNames
    """What number of steps, first moment and gap are called: no column has these names."""
    scales: tuple[EntityScale, ...]
    """Of the variables that are scaled in each entity by itself."""
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
        """A class that is asked for is given: what is known of the whole entity follows it."""
        return False

    @cached_property
    def metadata(self) -> SeriesMetadata:
        """What the columns mean."""
        return require_series(self.schema)

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
        metadata = require_series(records.schema)
        if records.num_rows == 0:
            msg = "there are no entities to fit the codec on: give it at least one"
            raise DataError(msg)
        _check_label(metadata, label)
        names = free_names(metadata)
        lengths_N, moments_T = lengths_of(records, metadata), _moments_of(records, metadata)
        first_N = np.cumsum(lengths_N) - lengths_N
        clock = Clock.fit(moments_T, first_N, metadata)
        ticks_N = clock.ticks_of(moments_T.take(pa.array(first_N)))
        first = FirstSteps(lengths_N, ticks_N)
        scales = find_scales(_numbers(records, metadata), lengths_N, metadata.nested_names)
        grids = grid_columns(scales, _numbers(records, metadata), lengths_N)
        whole = fit_whole(whole_table(records, metadata, names, clock, first, grids), label, names)
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
        ends = ends_of(whole, names, clock)
        codec = cls(
            schema=pa.schema(fields, metadata=kept),
            whole=whole,
            clock=clock,
            variables=found.variables,
            derived=found.derived,
            names=names,
            scales=scales,
            width=ends[0],
            base=ends[1],
            exact=_is_exact(found.variables, ends[2] - ends[1]),
        )
        units_NLD = codec.units_of(some)
        on_grids = {scale.name for scale in scales if scale.width is not None}
        related = [
            replace(each, relations=()) if each.name in on_grids else each
            for each in find_relations(found.variables, units_NLD, found.groups)
        ]
        variables, order = in_order(related, first=names.gap)
        units_NLD = units_NLD[..., order]
        variables = with_predictions(variables, units_NLD, [found.groups[i] for i in order])
        variables = with_uses(variables, units_NLD)
        return replace(codec, variables=variables)

    def units_of(self, records: pa.Table) -> Array:
        """Return the units of all variables, float64 (N, L, D); `MISSING` beyond the last step."""
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
        if name != self.names.gap:
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
        first = FirstSteps(lengths_N, ticks_N)
        grids = grid_columns(self.scales, _numbers(records, metadata), lengths_N)
        table = whole_table(records, metadata, self.names, self.clock, first, grids)
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
        return ends_of(self.whole, self.names, self.clock)[2] - self.base

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
        lengths, starts = spans_of(self.whole, cells_NE, self.names, self.clock)
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
        table = self.whole.decode(cells_NE, labels_N, first_row)
        self._scale(found, table, lengths_N)
        for maker in self.derived:
            found[maker.name] = maker.make(len(place_T), first_row * self.width, found)
        index_N = values[:, 1].astype(np.int64) + self.base
        found[metadata.time.name] = self._moments(index_N, lengths_N, found)
        entities = table.select([metadata.entity.name, *(s.name for s in metadata.statics)])
        names = [metadata.time.name, *(each.name for each in metadata.variables)]
        types = {f.name: f.type.value_type for f in self.schema if pa.types.is_list(f.type)}
        steps = pa.table({name: _typed(found[name], types[name]) for name in names})
        nested = to_nested(entities, steps, lengths_N, metadata)
        return pa.Table.from_arrays(
            [nested[f.name].cast(f.type) for f in self.schema], schema=self.schema
        )

    def _scale(self, found: dict[str, Any], entities: pa.Table, lengths_N: Array) -> None:
        """Scale the values of variables, entity by entity, where train has them so."""
        decimals = {each.name: getattr(each.own, "decimals", None) for each in self.variables}
        for scale in self.scales:
            if scale.name in found:
                widths = None if scale.width is None else plain(entities[scale.width])
                values, digits = found[scale.name], decimals[scale.name]
                found[scale.name] = scale.scaled(values, lengths_N, widths, digits)

    def _moments(self, index_N: Array, lengths_N: Array, found: Mapping[str, Any]) -> Any:
        """Return the moments of all steps."""
        place_T, entity_T = _places(lengths_N)
        if self.clock.step is not None:
            return self.clock.moments_of(self.clock.ticks_at(index_N[entity_T] + place_T))
        gaps_T = found[self.names.gap].to_numpy(zero_copy_only=False).copy()
        gaps_T[place_T == 0] = 0
        total_T = np.cumsum(np.maximum(gaps_T, place_T > 0))
        start_N = total_T[np.cumsum(lengths_N) - lengths_N]
        return self.clock.moments_of(index_N[entity_T] + total_T - start_N[entity_T])

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
            "scales": [each.to_json() for each in self.scales],
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
                names=SpanNames(*data["names"]),
                scales=tuple(EntityScale.from_json(each) for each in data["scales"]),
                width=data["width"],
                base=data["base"],
                exact=data["exact"],
            )
        except (TypeError, KeyError, ValueError, pa.ArrowException) as error:
            msg = f"this is no series codec of this version: {error}; train the generator again"
            raise SnapshotError(msg) from error


def _plain_moments(steps: pa.Table, metadata: SeriesMetadata) -> Any:
    """Return the moments of steps in one piece."""
    return plain(steps[metadata.time.name])


def _moments_of(records: pa.Table, metadata: SeriesMetadata) -> Any:
    """Return the moments of all steps."""
    return plain(pc.list_flatten(records.column(metadata.time.name)))


def _fit_variables(
    records: pa.Table, metadata: SeriesMetadata, names: SpanNames, clock: Clock
) -> FittedVariables:
    """Return the variables of these records, without relations."""
    lengths_N, steps = lengths_of(records, metadata), steps_of(records, metadata)
    entity_T = np.repeat(np.arange(len(lengths_N)), lengths_N)
    columns = {each: steps[each.name] for each in metadata.variables}
    if clock.step is None:
        ticks_T = clock.ticks_of(_plain_moments(steps, metadata))
        gaps_T = _gaps(ticks_T, np.cumsum(lengths_N) - lengths_N)
        columns = {as_gap(names.gap): gaps_T, **columns}
    return fit_variables(columns, entity_T, metadata.min_group)


def _numbers(records: pa.Table, metadata: SeriesMetadata) -> dict[str, Any]:
    """Return the floats of all steps."""
    steps = steps_of(records, metadata)
    names = [each.name for each in metadata.variables if each.kind == "float"]
    return {name: plain(steps[name]) for name in names}


def _check_label(metadata: SeriesMetadata, label: str | None) -> None:
    """Refuse a label that is no static column."""
    statics = [each.name for each in metadata.statics]
    if label is not None and label not in statics:
        msg = (
            f"the records have no static column {label!r} that could be the label, only "
            f"{', '.join(statics) or 'none'}"
        )
        raise DataError(msg)


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
