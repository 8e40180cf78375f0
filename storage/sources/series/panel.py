"""Steps brought together by entity and in order, and which of their columns are static. Pure.

Shape legend: N entities, T steps of all entities together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from storage.errors import SourceError
from storage.records.moments import counted, unit_of

TIMES: Final = (
    pa.types.is_date,
    pa.types.is_timestamp,
    pa.types.is_time,
    pa.types.is_integer,
)
"""Types that moments can have."""


@dataclass(frozen=True, kw_only=True)
class Panel:
    """T steps of N entities: entity after entity as the source first names them, each by time."""

    steps: pa.Table
    """Every column of the source, T rows."""
    lengths_N: NDArray[np.int64]
    """Steps of every entity, at least one."""
    row_T: NDArray[np.int64]
    """Which row of the source a step was; -1 where it has none."""
    notes: tuple[str, ...] = ()
    """Sentences on what was decided."""

    @property
    def entity_T(self) -> NDArray[np.int64]:  # noqa: N802 - an array
        """The number of the entity of every step."""
        return np.repeat(np.arange(len(self.lengths_N)), self.lengths_N)

    @property
    def starts_N(self) -> NDArray[np.int64]:  # noqa: N802 - an array
        """The first step of every entity."""
        return np.cumsum(self.lengths_N) - self.lengths_N

    def firsts(self, names: Sequence[str]) -> pa.Table:
        """Return columns of the first steps, N rows."""
        return self.steps.select(list(names)).take(pa.array(self.starts_N))


def as_panel(
    table: pa.Table, held_out_T: NDArray[np.bool_], *, entity: str | None, time: str, uri: str
) -> Panel:
    """Bring the rows of a source in order.

    Args:
        table: the rows.
        held_out_T: whether a row is of a separate holdout: an entity there is another one.
        entity: the column of its name; None where all rows are of one.
        time: the column of the moments.
        uri: for messages.

    Raises:
        SourceError: an entity or a moment is missing, a moment is of no fit type, an entity has a
            moment twice, or no entity has two steps.
    """
    code_T = np.zeros(len(table), np.int64)
    if entity is not None:
        check_filled(table, entity, "source.entity", uri)
        encoded = table.column(entity).combine_chunks().dictionary_encode()
        code_T = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    code_T = code_T * 2 + held_out_T
    check_filled(table, time, "source.time", uri)
    moments = table.column(time).combine_chunks()
    _check_type(moments.type, time, uri)
    moment_T = counted(moments, unit_of(moments.type))
    order = np.lexsort((moment_T, code_T))
    code_T, moment_T = code_T[order], moment_T[order]
    begins = np.append(True, code_T[1:] != code_T[:-1])
    _check_distinct(begins, moment_T, order, entity, time, uri)
    lengths_N = np.diff(np.append(np.flatnonzero(begins), len(order))).astype(np.int64)
    if lengths_N.max() < 2:
        name = "the entities" if entity is None else f"{entity!r}"
        msg = (
            f"Each of the {len(lengths_N):,} values of {name} in the source {uri!r} has one row "
            "only, so there is no series; name in source.entity a column whose values come with "
            "several moments, or set source.modality to tables."
        )
        raise SourceError(msg)
    notes = []
    sorted_already = bool((np.diff(order) > 0).all())
    if not sorted_already:
        table = table.take(pa.array(order))
        notes.append(f"The rows are brought in order by entity and {time!r}.")
    return Panel(steps=table.combine_chunks(), lengths_N=lengths_N, row_T=order, notes=tuple(notes))


def constant_columns(panel: Panel) -> frozenset[str]:
    """Return the columns that have one value, or none, in all steps of each entity."""
    within_T = np.ones(len(panel.steps), np.bool_)
    within_T[panel.starts_N] = False
    found = set()
    for name, column in zip(panel.steps.column_names, panel.steps.columns, strict=True):
        codes_T = value_codes(column)
        if (codes_T[1:] == codes_T[:-1])[within_T[1:]].all():
            found.add(name)
    return frozenset(found)


def value_codes(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """Return a number for every value, equal for equal values; -1 where it is missing."""
    encoded = column.combine_chunks().dictionary_encode()
    codes = pc.fill_null(encoded.indices.cast(pa.int64()), -1)
    return np.asarray(codes.to_numpy(zero_copy_only=False), dtype=np.int64)


def check_filled(table: pa.Table, name: str, place: str, uri: str) -> None:
    """Check that a column has a value in every row.

    Raises:
        SourceError: it has not.
    """
    missing = table.column(name).null_count
    if missing:
        msg = (
            f"The column {name!r} of {place} is empty in {missing:,} of {len(table):,} rows of the "
            f"source {uri!r}, so nobody knows whose or when these steps are; fill it, or leave "
            "these rows out."
        )
        raise SourceError(msg)


def _check_type(kind: pa.DataType, name: str, uri: str) -> None:
    if any(test(kind) for test in TIMES):
        return
    remedy = "store whole numbers, such as milliseconds, or timestamps"
    if pa.types.is_string(kind):
        remedy = (
            "store dates, timestamps or whole numbers, say how dates are written in "
            "source.csv.date_format, or name another column"
        )
    msg = (
        f"The column {name!r} of source.time in the source {uri!r} is {kind} and says no moment "
        f"that can be read; {remedy}."
    )
    raise SourceError(msg)


def _check_distinct(
    begins: NDArray[np.bool_],
    moment_T: NDArray[np.int64],
    order: NDArray[np.int64],
    entity: str | None,
    time: str,
    uri: str,
) -> None:
    """Check that no entity has a moment twice.

    Raises:
        SourceError: one has.
    """
    again = np.flatnonzero(~begins[1:] & (moment_T[1:] == moment_T[:-1])) + 1
    if not len(again):
        return
    one, other = sorted((int(order[again[0] - 1]), int(order[again[0]])))
    of = "the series" if entity is None else f"one {entity!r}"
    remedy = (
        "merge such rows into one, or name the column that tells them apart in source.entity too, "
        "after a comma"
    )
    if entity is None:
        remedy = "name in source.entity the column that tells the series apart, or merge such rows"
    msg = (
        f"In {len(again):,} rows of the source {uri!r} {time!r} says a moment that {of} has "
        f"already, such as rows {one} and {other}; {remedy} (where clocks go back in autumn, store "
        "timestamps with their time zone)."
    )
    raise SourceError(msg)
