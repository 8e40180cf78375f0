"""What every measurement of series starts from: splits, judged columns, equal numbers of entities.

Keys, constants and replaced text are derived by the codec: only their form is judged.

Shapes: N entities.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from gan.errors import DataError
from gan.modalities import MIN_ROWS, Options, Splits, comparable_rows
from gan.series.columns.fit import require_series
from gan.series.evaluation.calendar import Calendar, fit_calendar
from gan.series.evaluation.signals import (
    Observed,
    SignalMap,
    SignalVariable,
    fit_signals,
    gaps_of,
)
from gan.tables.evaluation.columns import DERIVED, LEVELS, JudgedColumn, is_class
from gan.tables.evaluation.rows import RowContext, some
from storage.records.series import SeriesMetadata, lengths_of, steps_of

Array = np.ndarray[Any, Any]

TRAIN_ENTITIES = 5000
"""Most training entities that ranks, kernels and copies are made from."""
MOST_CELLS = 4_000_000
"""About so many values are compared on each side, from `FEWEST` entities on."""
FEWEST = 100


@dataclass(frozen=True, kw_only=True)
class JudgedSeries:
    """The columns whose distributions are compared."""

    variables: tuple[JudgedColumn, ...]
    statics: tuple[JudgedColumn, ...]


def judged_series(metadata: SeriesMetadata, train: pa.Table, label: str | None) -> JudgedSeries:
    """Return the variables and static columns that are compared, in their order.

    Raises:
        DataError: no variable is.
    """
    variables = tuple(
        JudgedColumn(name=one.name, form="levels" if one.kind in LEVELS else "number")
        for one in metadata.variables
        if one.kind not in DERIVED
    )
    if not variables:
        msg = (
            f"none of the {len(metadata.variables)} variables can be compared, because all are "
            "keys, constants or text: bring variables with values that differ"
        )
        raise DataError(msg)
    statics = tuple(
        JudgedColumn(
            name=one.name,
            form="levels"
            if one.kind in LEVELS or (one.name == label and is_class(train[one.name]))
            else "number",
        )
        for one in metadata.statics
        if one.kind not in DERIVED
    )
    return JudgedSeries(variables=variables, statics=statics)


def conform_series(records: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return a candidate's records with the columns, types and description of train's.

    Raises:
        DataError: a column is missing or of another type.
    """
    columns = []
    for field in schema:
        if field.name not in records.column_names:
            msg = (
                f"the candidate has no column {field.name!r}, only "
                f"{', '.join(records.column_names)}: synthesize with a generator of these records"
            )
            raise DataError(msg)
        found = records[field.name]
        if _plain_type(found.type) != _plain_type(field.type):
            msg = (
                f"column {field.name!r} of the candidate is {found.type} and of train "
                f"{field.type}: synthesize with a generator of these records"
            )
            raise DataError(msg)
        columns.append(found)
    found = pa.table(columns, names=schema.names)
    metadata = {**(records.schema.metadata or {}), **(schema.metadata or {})}
    return found.replace_schema_metadata(metadata)


def _plain_type(kind: Any) -> str:
    """Return a type as text, without what does not matter of a list or a dictionary."""
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return f"list of {_plain_type(kind.value_type)}"
    return str(kind.value_type if pa.types.is_dictionary(kind) else kind)


@dataclass(frozen=True, kw_only=True, eq=False)
class Side:
    """Some entities, as records and as signals."""

    records: pa.Table
    observed: Observed
    metadata: SeriesMetadata

    @property
    def entities(self) -> int:
        """How many there are."""
        return len(self.observed.lengths_N)

    @cached_property
    def steps(self) -> pa.Table:
        """The variables of all steps; the gap to the step before in place of the time."""
        found = steps_of(self.records, self.metadata)
        name = self.metadata.time.name
        gaps_T = gaps_of(self.observed.moments, self.observed.lengths_N)
        place = found.column_names.index(name)
        return found.set_column(place, name, pa.array(gaps_T, mask=np.isnan(gaps_T)))

    @cached_property
    def statics(self) -> pa.Table:
        """The static columns."""
        return self.records.select([one.name for one in self.metadata.statics])


@dataclass(frozen=True, kw_only=True, eq=False)
class SeriesContext(RowContext):
    """The real entities and settings that all measurements of series share."""

    metadata: SeriesMetadata
    judged: JudgedSeries
    signals: SignalMap
    calendar: Calendar
    train: Side
    """At most `TRAIN_ENTITIES` of it."""
    holdout: Side
    """n of it."""
    validation: Side
    """n of it."""

    @property
    def variables(self) -> tuple[SignalVariable, ...]:
        """What is compared step by step, the gap of irregular series last."""
        return self.signals.variables

    def side(self, records: pa.Table) -> Side:
        """Return records with their signals."""
        return Side(records=records, observed=self.signals.of(records), metadata=self.metadata)


def build_series_context(splits: Splits, options: Options) -> SeriesContext:
    """Read what the columns mean and take equal numbers of unseen entities.

    Raises:
        DataError: a split is too small, or the records do not say what their columns mean.
    """
    metadata = require_series(splits.train.schema)
    n = min(comparable_rows(splits, options.cap), comparable_entities(splits.train, metadata))
    judged = judged_series(metadata, splits.train, splits.label)
    cells = _cells(splits.train, metadata)
    most = max(FEWEST, min(TRAIN_ENTITIES, int(3 * MOST_CELLS / cells)))
    train = some(splits.train, most, options.seed, "train")
    signals = fit_signals(train, metadata, judged.variables)
    sides = {}
    for name, records in (
        ("train", train),
        ("holdout", some(splits.holdout, n, options.seed, "holdout")),
        ("validation", some(splits.validation, n, options.seed, "validation")),
    ):
        sides[name] = Side(records=records, observed=signals.of(records), metadata=metadata)
    observed = sides["train"].observed
    return SeriesContext(
        splits=splits,
        metadata=metadata,
        judged=judged,
        signals=signals,
        calendar=fit_calendar(observed.moments, observed.lengths_N, metadata),
        options=options,
        n=n,
        **sides,
    )


def comparable_entities(train: pa.Table, metadata: SeriesMetadata) -> int:
    """Return how many entities of this size are compared at most on each side."""
    return max(FEWEST, MIN_ROWS, int(MOST_CELLS / _cells(train, metadata)))


def _cells(train: pa.Table, metadata: SeriesMetadata) -> float:
    """Return the mean number of values of an entity."""
    lengths_N = lengths_of(train, metadata)
    return max(1.0, float(lengths_N.mean()) * max(1, len(metadata.variables)))
