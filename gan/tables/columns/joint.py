"""Columns whose combinations are fixed, as one: a code per combination, so it holds in every row.

A combination that fewer than `g` rows hold, or that train never had, becomes the kept combination
that agrees with it in most columns; of several the commonest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gan.errors import DataError
from gan.tables.columns.modelled import Modelled
from gan.tables.columns.types import from_plain, parse_type, plain, to_plain

Array = np.ndarray[Any, Any]

MOST_COMPARED = 10_000_000
"""Combinations are compared in blocks of so many pairs."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Joint(Modelled):
    """Several columns as one."""

    type_name: ClassVar[str] = "joint"

    rows: tuple[int, ...]
    """Rows of train that hold each combination."""

    @classmethod
    def fit(cls, columns: Mapping[str, Any], g: int) -> Self:
        """Learn the combinations.

        Args:
            columns: plain Arrow columns by name.
            g: a combination that fewer rows hold is not kept.

        Raises:
            DataError: no combination is held by so many rows.
        """
        ids_N, first = _group([_ranks(column) for column in columns.values()])
        counts = np.bincount(ids_N, minlength=len(first))
        kept = counts >= g
        name = " + ".join(columns)
        if not kept.any():
            msg = (
                f"no combination of {name} is held by {g} rows of train (privacy.min_group), there "
                f"are {len(first)}: remove the constraint, or set their vocabularies to public"
            )
            raise DataError(msg)
        places = pa.array(first[kept])
        vocabularies = tuple(column.take(places) for column in columns.values())
        notes = _notes(name, counts, g)
        return cls._build(tuple(columns), vocabularies, counts[kept].tolist(), notes)

    @classmethod
    def _build(
        cls,
        fields: tuple[str, ...],
        vocabularies: tuple[Any, ...],
        rows: list[int],
        notes: tuple[str, ...],
    ) -> Self:
        return cls(
            name=" + ".join(fields),
            kind="category",
            fields=fields,
            vocabularies=vocabularies,
            first_cells=np.arange(len(rows) + 1, dtype=np.int32),
            notes=notes,
            rows=tuple(rows),
        )

    def encode(self, records: pa.Table) -> Array:
        """Return `cells_N`; unknown combinations as the module says."""
        known, found = zip(
            *(
                _members(vocabulary, plain(records[name]))
                for name, vocabulary in zip(self.fields, self.vocabularies, strict=True)
            ),
            strict=True,
        )
        both = [np.concatenate(pair) for pair in zip(known, found, strict=True)]
        ids_N, first = _group(both)
        cells = np.full(len(first), -1, dtype=np.int32)
        cells[ids_N[: self.cells]] = np.arange(self.cells, dtype=np.int32)
        unknown = np.flatnonzero(cells < 0)
        wanted = [ids[first[unknown]] for ids in both]
        cells[unknown] = self._nearest(known, wanted)
        cells_N: Array = cells[ids_N[self.cells :]]
        return cells_N

    def _nearest(self, known: Sequence[Array], wanted: Sequence[Array]) -> Array:
        """Return the cell that agrees most with each combination, the commonest of several."""
        order = np.argsort(-np.array(self.rows), kind="stable")
        count = len(wanted[0])
        best = np.empty(count, dtype=np.int64)
        block = max(MOST_COMPARED // self.cells, 1)
        for start in range(0, count, block):
            agreed = np.zeros((min(block, count - start), self.cells), dtype=np.int16)
            for kept, ids in zip(known, wanted, strict=True):
                agreed += ids[start : start + block, None] == kept[order][None, :]
            best[start : start + block] = agreed.argmax(axis=1)
        nearest: Array = order[best].astype(np.int32)
        return nearest

    def to_json(self) -> dict[str, Any]:
        """Return the column as JSON."""
        return {
            "column": self.type_name,
            "fields": list(self.fields),
            "types": [str(vocabulary.type) for vocabulary in self.vocabularies],
            "levels": [to_plain(vocabulary) for vocabulary in self.vocabularies],
            "rows": list(self.rows),
            "notes": list(self.notes),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild the column."""
        vocabularies = tuple(
            from_plain(levels, parse_type(kind))
            for levels, kind in zip(data["levels"], data["types"], strict=True)
        )
        return cls._build(
            tuple(data["fields"]), vocabularies, list(data["rows"]), tuple(data["notes"])
        )


def _ranks(column: Any) -> Array:
    """Return the rank of each value among the column's distinct ones, nulls last."""
    encoded = column.dictionary_encode()
    order = pc.sort_indices(encoded.dictionary).to_numpy()
    ranks = np.empty(len(order) + 1, dtype=np.int64)
    ranks[order] = np.arange(len(order))
    ranks[-1] = len(order)
    found: Array = ranks[encoded.indices.fill_null(len(order)).to_numpy()]
    return found


def _members(vocabulary: Any, column: Any) -> tuple[Array, Array]:
    """Return numbers of the vocabulary's values and of a column's: equal for equal values."""
    known = vocabulary.unique()
    numbers = []
    for values in (vocabulary, column):
        index = pc.index_in(values, value_set=known, skip_nulls=False)
        numbers.append(index.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64))
    return numbers[0], numbers[1]


def _group(columns: Sequence[Array]) -> tuple[Array, Array]:
    """Return the number of each row's combination, and the first row of each combination."""
    ids_N = np.zeros(len(columns[0]), dtype=np.int64)
    for values_N in columns:
        low = int(values_N.min(initial=0))
        width = int(values_N.max(initial=0)) - low + 1
        _, ids_N = np.unique(ids_N * width + values_N - low, return_inverse=True)
    _, first = np.unique(ids_N, return_index=True)
    return ids_N, first


def _notes(name: str, counts: Array, g: int) -> tuple[str, ...]:
    """Say how many combinations were too rare."""
    rare = counts[counts < g]
    if not len(rare):
        return ()
    share = 100 * rare.sum() / counts.sum()
    return (
        f"{name}: {len(rare)} combinations that fewer than {g} rows hold ({share:.2g} % of the "
        "rows) became the most similar of the others",
    )
