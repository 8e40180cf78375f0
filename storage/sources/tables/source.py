"""Sources of rows: what each offers, and the checks of their columns.

A table must have the columns that the recipe names, and values that can be learned from.
"""

from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from storage.errors import SourceError
from storage.records.proposal import Proposal, left_out
from storage.sources.builder import Source
from storage.sources.checks import listed, missing_column
from storage.sources.config import SourceConfig


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
        SourceError: there is one column only, a column without a value, or an infinite value.
    """
    if table.num_columns < 2:
        msg = (
            f"The source {config.uri!r} has one column only, {listed(table.column_names)}, and a "
            "table needs at least two; name another source, or for CSV set source.csv.delimiter."
        )
        raise SourceError(msg)
    columns = dict(zip(table.column_names, table.columns, strict=True))
    empty = [name for name, column in columns.items() if column.null_count == len(column)]
    infinite = infinite_values(table)
    sentences = []
    if empty:
        entries = ", ".join(f"{{name: {name}, kind: text, text: drop}}" for name in empty)
        sentences.append(
            f"The source {config.uri!r} has no value in {listed(empty)}, where all rows are "
            f"null; leave it out with source.columns: [{entries}]."
        )
    sentences += _infinite_sentences(config.uri, infinite)
    if sentences:
        proposals = [left_out(name, "no value in any row") for name in empty]
        raise SourceError(" ".join(sentences), proposals=[*proposals, *_without(infinite)])


def check_finite(uri: str, infinite: Mapping[str, int]) -> None:
    """Check that no column holds infinite values.

    Args:
        uri: of the source.
        infinite: column → how many.

    Raises:
        SourceError: one does.
    """
    if infinite:
        sentences = _infinite_sentences(uri, infinite)
        raise SourceError(" ".join(sentences), proposals=_without(infinite))


def _infinite_sentences(uri: str, infinite: Mapping[str, int]) -> list[str]:
    return [
        f"The column {name!r} of the source {uri!r} has {count} infinite values; "
        "replace them by numbers, leave them empty, or leave it out with text: drop."
        for name, count in infinite.items()
    ]


def _without(infinite: Mapping[str, int]) -> list[Proposal]:
    return [left_out(name, f"{count} infinite values") for name, count in infinite.items()]


def infinite_values(table: pa.Table) -> dict[str, int]:
    """Return the columns of floats that hold infinite values, and how many."""
    counts = {
        name: pc.sum(pc.is_inf(column)).as_py() or 0
        for name, column in zip(table.column_names, table.columns, strict=True)
        if pa.types.is_floating(column.type)
    }
    return {name: count for name, count in counts.items() if count}


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
