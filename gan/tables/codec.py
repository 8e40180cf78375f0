"""Tables: records of typed columns ↔ integer codes, learnt from the training records.

See `vocabularies` for codes and cells, `columns` for how a column becomes some, and
`columns.groups` for what is never shown.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa

from gan.codecs import Repaired, Resample, ShardRequest
from gan.errors import ConfigError, SnapshotError
from gan.tables.chains import Chains
from gan.tables.columns.calendar import CalendarNumeric, find_calendars
from gan.tables.columns.derived import Constant, Key, Sum
from gan.tables.columns.discrete_rules import Band, Conditional, Lookup, check_texts
from gan.tables.columns.fit import fit_columns, label_classes
from gan.tables.columns.formulas import Formula, LaterMoment
from gan.tables.columns.levels import Joint, Levels, Presence
from gan.tables.columns.moment_part import MomentPart
from gan.tables.columns.neighbours import find_neighbours
from gan.tables.columns.numeric import Numeric
from gan.tables.columns.partners import closest_columns
from gan.tables.columns.relative import RelativeNumeric
from gan.tables.columns.rounded import RoundedNumeric
from gan.tables.columns.roundness import find_rounded
from gan.tables.columns.values import parse_type, require_metadata
from gan.tables.constraints import check_real
from gan.tables.contradictions import check_constraints
from gan.tables.losses import Loss, table_losses
from gan.tables.rejection import check_given, repair, row_rules, unique_rules
from gan.tables.unique import allowed_cells
from gan.tables.vocabularies import Vocabularies
from storage.records.schema import Condition

Array = np.ndarray[Any, Any]

VERSION = "ganmill-table-codec/2"
KEPT_METADATA = b"ganmill-"
"""Metadata of the schema whose key starts so is given back with the records."""

MODELLED: Mapping[str, type[Any]] = {
    kind.type_name: kind
    for kind in (
        *(RelativeNumeric, CalendarNumeric, RoundedNumeric),
        *(Joint, Levels, Numeric, Presence),
    )
}
"""Name in JSON → class."""
DERIVED: Mapping[str, type[Any]] = {
    kind.type_name: kind
    for kind in (Constant, Key, Sum, Formula, LaterMoment, Band, Lookup, Conditional, MomentPart)
}
"""Name in JSON → class."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TableCodec(Vocabularies):
    """Vocabularies of a table's columns, and how they are learnt, kept and enforced."""

    shares: tuple[tuple[float, ...], ...] = ()
    """Share of every code of every column, counted with noise; none of a codec that was not fitted
    privately."""

    @property
    def modality(self) -> str:
        """Name in `storage.records.modalities.MODALITIES`."""
        return "tables"

    def __eq__(self, other: object) -> bool:
        """Compare what both write as JSON."""
        return isinstance(other, TableCodec) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        """Return the hash of what is written as JSON."""
        return hash(json.dumps(self.to_json(), sort_keys=True))

    @classmethod
    def fit(cls, records: pa.Table, label: str | None) -> Self:
        """Learn the vocabularies; kinds, constraints and min_group come with the schema.

        Raises:
            DataError: no rows, a column or a label that cannot be learnt, or constraints that
                these rows do not keep; the sentence says what to do.
            ConfigError: constraints that contradict each other.
        """
        metadata = require_metadata(records.schema)
        check_constraints(metadata)
        for each in metadata.constraints:
            check_texts(each, records.schema)
        check_real(records, [each for each in metadata.constraints if each.kind != "range"])
        columns, derived = fit_columns(records, label)
        uniques = [each for each in metadata.constraints if each.kind == "unique"]
        fixed = [str(label), *(name for each in uniques for name in each.columns)]
        calendars = find_calendars(columns, records, metadata.min_group, fixed)
        columns = find_neighbours(columns, records, metadata.min_group, fixed, calendars)
        columns = find_rounded(columns, records, metadata.min_group, fixed)
        cells_ND = np.stack([column.encode(records) for column in columns], axis=1)
        arrow = records.schema.metadata or {}
        kept = {key: text for key, text in arrow.items() if key.startswith(KEPT_METADATA)}
        fields = [pa.field(f.name, f.type, f.nullable) for f in records.schema]
        return cls(
            schema=pa.schema(fields, metadata=kept),
            columns=columns,
            derived=derived,
            closest=closest_columns(columns, cells_ND),
            label=label,
            classes=label_classes(columns, label),
        )

    def repair(self, values: Array, request: ShardRequest, resample: Resample) -> Repaired | None:
        """Make cells meet conditions and constraints; see `gan.tables.rejection`.

        Raises:
            ConfigError: no valid row was found, or there are fewer combinations than rows.
        """
        return repair(self, values, request, resample)

    def check(self, given: Sequence[Condition], rows: int) -> None:
        """Check that so many rows can be made under these conditions and the constraints.

        Raises:
            ConfigError: a condition is not known or contradicts a constraint, a key's form has
                too few values, or there are too few combinations of columns that must be unique.
        """
        request = ShardRequest(given=tuple(given))
        check_constraints(self.metadata)
        masks = allowed_cells(self, request)
        Chains(self, row_rules(self)).allowed_values(masks)
        check_given(self, masks, given)
        for unique in unique_rules(self, self.metadata, request):
            unique.check(rows)
        for name, room in self.capacities.items():
            if rows > room:
                msg = (
                    f"{rows} rows need as many keys in column {name!r} and its form has {room}: "
                    "synthesize fewer rows, or declare the column as category or text"
                )
                raise ConfigError(msg)

    def losses(self, records: pa.Table) -> tuple[Loss, ...]:
        """Return what privacy takes from the columns of the training records."""
        return table_losses(self, records)

    def to_json(self) -> dict[str, Any]:
        """Return the codec as JSON; no value that fewer than min_group rows of train hold."""
        arrow = self.schema.metadata or {}
        return {
            "modality": self.modality,
            "version": VERSION,
            "label": self.label,
            "classes": list(self.classes),
            "schema": [[f.name, str(f.type), f.nullable] for f in self.schema],
            "metadata": {key.decode(): text.decode() for key, text in arrow.items()},
            "columns": [column.to_json() for column in self.columns],
            "made": [column.to_json() for column in self.derived],
            "closest": [list(each) for each in self.closest],
            **({"shares": [list(each) for each in self.shares]} if self.shares else {}),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild a codec.

        Raises:
            SnapshotError: the data is not a table codec.
        """
        if data.get("modality") != "tables" or data.get("version") != VERSION:
            msg = (
                f"this is no table codec of this version: it says {data.get('modality')!r}, "
                f"{data.get('version')!r}; train the generator again"
            )
            raise SnapshotError(msg)
        try:
            fields = [pa.field(name, parse_type(kind), null) for name, kind, null in data["schema"]]
            return cls(
                schema=pa.schema(fields, metadata=data["metadata"]),
                columns=tuple(MODELLED[item["column"]].from_json(item) for item in data["columns"]),
                derived=tuple(DERIVED[item["column"]].from_json(item) for item in data["made"]),
                closest=tuple(tuple(each) for each in data["closest"]),
                label=data["label"],
                classes=tuple(data["classes"]),
                shares=tuple(tuple(each) for each in data.get("shares", ())),
            )
        except (TypeError, KeyError, ValueError, pa.ArrowException) as error:
            msg = f"this is no table codec of this version: {error}; train the generator again"
            raise SnapshotError(msg) from error
