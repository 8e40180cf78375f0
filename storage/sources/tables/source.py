"""Sources of rows: what each offers, and the checks of their columns.

A table must have the columns that the recipe names, and values that can be learned from.
"""

from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from storage.errors import SourceError
from storage.records.proposal import Proposal, left_out
from storage.sources.builder import Source
from storage.sources.checks import listed, missing_column
from storage.sources.config import SourceConfig

Unusable = Mapping[tuple[str, str], int]
"""Column and what its values are → how many of them nothing can be made of."""

_INFINITE: Final = "infinite values"
_NAMELESS: Final = "moments that no calendar of the years 1 to 9999 has"
_UNITS: Final = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_FIRST_DAY, _END_DAY = -719_162, 2_932_897
"""Days from 1970-01-01 to 0001-01-01 and to the one after 9999-12-31."""


@dataclass(frozen=True, kw_only=True)
class TableRead:
    """The rows of a source."""

    table: pa.Table
    """In the order of the files, without `unread_columns`."""
    notes: tuple[str, ...] = ()
    """Sentences about what was decided."""
    metadata: Mapping[bytes, bytes] = field(default_factory=dict)
    """What goes along in the schema of the records, such as the dialect of CSV."""
    path_parts: frozenset[str] = frozenset()
    """Columns that are parts of paths and divide the rows, nothing more."""
    stored: Mapping[str, str] = field(default_factory=dict)
    """Columns whose type in the source is another than in the table → that type."""
    evidence: int = 0
    """How many rows at the end are there for their types alone, and are no records."""


class TableSource(Source):
    """Rows that fit into memory."""

    modality = "tables"

    def path_parts(self) -> frozenset[str]:
        """Return the columns that are parts of paths and divide the rows, and are not kept."""
        return frozenset()

    @abstractmethod
    def schema(self) -> pa.Schema:
        """Return names and types as the source holds them; CSV files are read for it."""

    def names(self) -> list[str]:
        """Return what a recipe may call a column of the source."""
        return list(self.schema().names)

    @abstractmethod
    def read(self) -> TableRead:
        """Return every row."""

    def check(self, config: SourceConfig) -> None:
        """Check that the label is there; everything else is checked when the rows are read."""
        if config.label is not None:
            self.column_type(config.label)

    def column_type(self, name: str) -> pa.DataType:
        """Return the type as the source holds it."""
        schema = self.schema()
        if name not in schema.names:
            raise missing_column(self.uri, name, schema.names)
        return schema.types[schema.names.index(name)]


def dropped_columns(config: SourceConfig) -> frozenset[str]:
    """Return the columns that the recipe leaves out whatever they hold."""
    return frozenset(column.name for column in config.columns if column.text == "drop")


def unread_columns(config: SourceConfig) -> frozenset[str]:
    """Return the dropped columns that do not decide the split either: they need not be read."""
    return dropped_columns(config) - {config.split.column, config.split.group_by}


def check_distinct_names(uri: str, names: Sequence[str]) -> None:
    """Check that no two columns have one name.

    Raises:
        SourceError: two have.
    """
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        msg = (
            f"The source {uri!r} has more than one column of the name {listed(twice)}; give "
            "every column a name of its own."
        )
        raise SourceError(msg)


def check_named(config: SourceConfig, names: Sequence[str]) -> None:
    """Check that every column is there that the recipe names.

    Raises:
        SourceError: one is not; the message says where the recipe names it and lists the columns.
    """
    if config.label is not None and config.label not in names:
        raise missing_column(config.uri, config.label, names)
    wanted = [
        ("source.split.column", config.split.column),
        ("source.split.group_by", config.split.group_by),
        *(("source.columns", column.name) for column in config.columns),
        *(("source.constraints", name) for one in config.constraints for name in one.columns),
    ]
    for place, name in wanted:
        if name is not None and name not in names:
            raise missing_column(config.uri, name, names, place=place)


def check_kept(config: SourceConfig, names: Sequence[str]) -> None:
    """Check that what the recipe drops is needed nowhere.

    Args:
        config: the recipe's `source`.
        names: the columns that stay.

    Raises:
        SourceError: the label or a constraint needs a column that is left out.
    """
    needed = [
        ("source.label", config.label),
        *(("source.constraints", name) for one in config.constraints for name in one.columns),
    ]
    for place, name in needed:
        if name is not None and name not in names:
            msg = (
                f"The column {name!r} of the source {config.uri!r} is needed by {place} and left "
                "out by source.columns or source.split.column; keep it, or take it out of "
                f"{place}."
            )
            raise SourceError(msg)


def check_values(config: SourceConfig, table: pa.Table) -> None:
    """Check that there is something to learn from in every column.

    Raises:
        SourceError: there is one column only, a column without a value, or an unusable value.
    """
    if table.num_columns < 2:
        msg = (
            f"The source {config.uri!r} has one column only, {listed(table.column_names)}, and a "
            "table needs at least two; name another source, or for CSV set source.csv.delimiter."
        )
        raise SourceError(msg)
    columns = dict(zip(table.column_names, table.columns, strict=True))
    empty = [name for name, column in columns.items() if column.null_count == len(column)]
    unusable = unusable_values(table)
    sentences = []
    if empty:
        entries = ", ".join(f"{{name: {name}, kind: text, text: drop}}" for name in empty)
        sentences.append(
            f"The source {config.uri!r} has no value in {listed(empty)}, where all rows are "
            f"null; leave it out with source.columns: [{entries}]."
        )
    sentences += _unusable_sentences(config.uri, unusable)
    if sentences:
        proposals = [left_out(name, "no value in any row") for name in empty]
        raise SourceError(" ".join(sentences), proposals=[*proposals, *_without(unusable)])


def check_usable(uri: str, unusable: Unusable) -> None:
    """Check that every column holds finite numbers and moments of the calendar.

    Args:
        uri: of the source.
        unusable: what `unusable_values` has counted.

    Raises:
        SourceError: one does not.
    """
    if unusable:
        sentences = _unusable_sentences(uri, unusable)
        raise SourceError(" ".join(sentences), proposals=_without(unusable))


def _unusable_sentences(uri: str, unusable: Unusable) -> list[str]:
    return [
        f"The column {name!r} of the source {uri!r} has {count} {what}; replace them by "
        f"{'numbers' if what == _INFINITE else 'others'}, leave them empty, or leave it out with "
        "text: drop."
        for (name, what), count in unusable.items()
    ]


def _without(unusable: Unusable) -> list[Proposal]:
    return [left_out(name, why) for name, why in why_unusable(unusable).items()]


def why_unusable(unusable: Unusable) -> dict[str, str]:
    """Return why each of the columns is left out."""
    return {name: f"{count} {what}" for (name, what), count in unusable.items()}


def unusable_values(table: pa.Table) -> dict[tuple[str, str], int]:
    """Count, of every column, values that nothing can be learnt from or no calendar has.

    Returns:
        Column and what its values are → how many; floats that are infinite, and dates and
        timestamps whose year, on the clock of their zone, is not 1 to 9999.
    """
    counts: dict[tuple[str, str], int] = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        if pa.types.is_floating(column.type):
            counts[name, _INFINITE] = pc.sum(pc.is_inf(column)).as_py() or 0
        elif pa.types.is_date(column.type) or pa.types.is_timestamp(column.type):
            counts[name, _NAMELESS] = _nameless(column)
    return {key: count for key, count in counts.items() if count}


def _nameless(column: pa.ChunkedArray) -> int:
    """Count moments whose year is not 1 to 9999."""
    kind = column.type
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        column = pc.local_timestamp(column)
    size = pa.int32() if pa.types.is_date32(kind) else pa.int64()
    units = column.cast(size).cast(pa.int64())
    a_day = 1 if size == pa.int32() else 86_400 * _UNITS["ms" if kind == pa.date64() else kind.unit]
    if _END_DAY * a_day >= 2**63:
        return 0  # nanoseconds end in 2262
    beyond = pc.or_(pc.less(units, _FIRST_DAY * a_day), pc.greater_equal(units, _END_DAY * a_day))
    return pc.sum(beyond).as_py() or 0


def check_label(config: SourceConfig, table: pa.Table) -> None:
    """Check that the label is of a type that can be predicted, and has more than one value.

    Raises:
        SourceError: it is a date or a time, or the same in every row.
    """
    if config.label is None:
        return
    column = table.column(config.label)
    if pa.types.is_temporal(column.type):
        msg = (
            f"The label column {config.label!r} of the source {config.uri!r} is of type "
            f"{column.type}; store classes as text, whole numbers or booleans, quantities as "
            "numbers, or set source.label to null."
        )
        raise SourceError(msg, proposals=[no_label(f"{config.label} is {column.type}")])
    values = pc.unique(column.drop_null())
    if len(values) < 2:
        msg = (
            f"The label column {config.label!r} of the source {config.uri!r} has one value in all "
            "rows, so there is nothing to tell apart; name another column or set source.label to "
            "null."
        )
        raise SourceError(msg, proposals=[no_label(f"{config.label} has one value in all rows")])


def no_label(why: str) -> Proposal:
    """Return the proposal to do without a label."""
    return Proposal(setting="source.label", value=None, why=why)
