"""Categories: a code per level of a column, per combination of several columns, or per presence.

Levels. Beyond `MOST_LEVELS` the rarer levels share codes, each with levels of about equal numbers
of rows: their shares stay, their dependence on other columns does not. Null's code comes last. A
level that fewer than `g` rows hold does not leave the codec, nor does one that train never had: it
becomes a kept level, chosen by a hash of the value in proportion to the rows of the kept levels. So
every kept level keeps its share among the others, no null is added, equal values become equal
levels, and nothing of the rare value is stored. Where levels tell the label, they lie in the order
of what they say of it, so that networks let neighbours share strength, and a rare level becomes a
kept one in proportion to the rows with the same label (`gan.tables.columns.label_order`).

Joint. Columns whose combinations are fixed are one, so that the rule holds in every row. A
combination that fewer than `g` rows hold, or that train never had, becomes the kept combination
that agrees with it in most columns; of several the commonest.

Presence. Where a derived column is null, and where it is not.

Shapes: N rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gan.errors import DataError
from gan.tables.columns.label_order import LabelShares, label_order, label_shares, weights_of
from gan.tables.columns.values import Modelled, from_plain, parse_type, plain, to_plain

Array = np.ndarray[Any, Any]

MOST_LEVELS = 1000
"""So many levels have a code of their own."""
POOL = 16
"""So many of the other levels share one."""
MOST_COMPARED = 10_000_000
"""Combinations are compared in blocks of so many pairs."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Levels(Modelled):
    """A column of categories or booleans."""

    type_name: ClassVar[str] = "levels"

    rows: tuple[int, ...]
    """Rows of train that hold each level, null too."""
    pooled: int
    """How many of the levels share codes, the last ones before null."""
    by_label: LabelShares = ()
    """Of each group of the label its share in each level, in eighths; empty where levels do not
    tell the label."""

    @property
    def is_smooth(self) -> bool:
        """Whether neighbouring codes are alike: they say alike things of the label."""
        return bool(self.by_label)

    @classmethod
    def fit(
        cls,
        name: str,
        column: Any,
        g: int,
        *,
        pool: bool = True,
        groups_N: Array | None = None,
    ) -> Self:
        """Learn the levels.

        Args:
            name: of the column.
            column: Arrow, without dictionary, some of it not null.
            g: a level that fewer rows hold is not kept.
            pool: whether levels may share a code.
            groups_N: the group of each row's label; None without a label.

        Raises:
            DataError: no level is held by so many rows.
        """
        encoded = column.dictionary_encode()
        counts = np.bincount(encoded.indices.drop_null().to_numpy(), minlength=1)
        order = pc.sort_indices(encoded.dictionary).to_numpy()
        kept = order[counts[order] >= g]
        if not len(kept):
            msg = (
                f"no value of column {name!r} is held by {g} rows of train (privacy.min_group), it "
                f"has {len(order)} different ones: declare it as key or text, or set its "
                "vocabulary to public"
            )
            raise DataError(msg)
        found = None if groups_N is None else label_order(encoded, kept, groups_N)
        if found is not None:
            kept = kept[found]
        rare = np.argsort(-counts[kept], kind="stable")[MOST_LEVELS if pool else len(kept) :]
        rare = rare if found is None else np.sort(rare)
        kept = np.concatenate([np.delete(kept, rare), kept[rare]])
        by_label = (
            () if found is None or groups_N is None else label_shares(encoded, kept, groups_N)
        )
        levels = encoded.dictionary.take(pa.array(kept))
        rows = counts[kept].tolist()
        if column.null_count:
            levels = pa.concat_arrays([levels, pa.nulls(1, levels.type)])
            rows.append(column.null_count)
        became = "became other levels, in proportion to their rows"
        notes = _rare_notes(name, counts[counts > 0], g, "level", became)
        return cls._build(name, levels, rows, len(rare), notes, by_label)

    @classmethod
    def _build(
        cls,
        name: str,
        levels: Any,
        rows: list[int],
        pooled: int,
        notes: tuple[str, ...],
        by_label: LabelShares = (),
    ) -> Self:
        single = len(levels) - levels.null_count - pooled
        shared = [min(POOL, pooled - start) for start in range(0, pooled, POOL)]
        sizes = [*([1] * single), *shared, *([1] * levels.null_count)]
        return cls(
            name=name,
            kind="category",
            fields=(name,),
            vocabularies=(levels,),
            first_cells=np.cumsum([0, *sizes], dtype=np.int32),
            notes=notes,
            rows=tuple(rows),
            pooled=pooled,
            by_label=by_label,
        )

    def encode(self, records: pa.Table) -> Array:
        """Return `cells_N`; a null that train never had is the commonest level."""
        encoded = plain(records[self.name]).dictionary_encode()
        found = self.find(encoded.dictionary)
        null = self.cells - 1 if self.vocabularies[0].null_count else int(np.argmax(self.rows))
        cells = np.append(found, np.int32(null))
        indices = encoded.indices.fill_null(len(found))
        cells_N: Array = cells[indices.to_numpy()]
        return cells_N

    def encode_with_label(self, records: pa.Table, groups_N: Array) -> Array:
        """Return `cells_N` where the label's group of each row is known.

        A rare level becomes a kept one in proportion to the rows of train with that group: equal
        values of equal groups become equal levels.
        """
        cells_N = self.encode(records)
        values = plain(records[self.name])
        known = pc.is_in(values, value_set=self.vocabularies[0].drop_null())
        rare = np.flatnonzero(pc.and_not(values.is_valid(), known).to_numpy(zero_copy_only=False))
        if self.by_label and len(rare):
            rows = self.rows[: len(self.by_label[0])]
            shares = [np.cumsum(weights_of(rows, each)) for each in self.by_label]
            texts = values.take(pa.array(rare)).to_pylist()
            for row, text in zip(rare.tolist(), texts, strict=True):
                of_group = shares[min(int(groups_N[row]), len(shares) - 1)]
                drawn = _fraction((text, int(groups_N[row]))) * of_group[-1]
                cells_N[row] = np.searchsorted(of_group, drawn, side="right")
        return cells_N

    def find(self, values: Any) -> Array:
        """Return the cell of each distinct value, none of which is null."""
        levels = self.vocabularies[0].drop_null()
        index = pc.index_in(values, value_set=levels)
        cells: Array = index.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)
        missing = np.flatnonzero(cells < 0)
        if len(missing):
            shares = np.cumsum(np.array(self.rows[: len(levels)], dtype=np.float64))
            drawn = np.array([_fraction(value) for value in values.take(missing).to_pylist()])
            cells[missing] = np.searchsorted(shares, drawn * shares[-1], side="right")
        return cells

    def to_json(self) -> dict[str, Any]:
        """Return the column as JSON."""
        return {
            "column": self.type_name,
            "name": self.name,
            "type": str(self.vocabularies[0].type),
            "levels": to_plain(self.vocabularies[0]),
            "rows": list(self.rows),
            "pooled": self.pooled,
            "notes": list(self.notes),
            "by_label": [list(rows) for rows in self.by_label],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild the column."""
        levels = from_plain(data["levels"], parse_type(data["type"]))
        rows, pooled = list(data["rows"]), data["pooled"]
        by_label = tuple(tuple(rows) for rows in data["by_label"])
        return cls._build(data["name"], levels, rows, pooled, tuple(data["notes"]), by_label)


def _fraction(value: Any) -> float:
    """Return a number in [0, 1) that depends on the value alone."""
    digest = blake2b(repr(value).encode(), digest_size=6).digest()
    return int.from_bytes(digest, "big") / 2**48


def _rare_notes(name: str, counts: Array, g: int, what: str, became: str) -> tuple[str, ...]:
    """Return the note on values that fewer than g rows hold; none when there are none."""
    rare = counts[counts < g]
    if not len(rare):
        return ()
    share = 100 * rare.sum() / counts.sum()
    plural = what if len(rare) == 1 else f"{what}s"
    return (
        f"{name}: {len(rare)} {plural} that fewer than {g} rows hold ({share:.2g} % of the rows) "
        f"{became}",
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Joint(Modelled):
    """Several columns whose combinations are fixed, as one: a code per combination."""

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
        rows = pa.array(first[kept])
        vocabularies = tuple(column.take(rows) for column in columns.values())
        notes = _rare_notes(name, counts, g, "combination", "became the most similar of the others")
        return cls._build(tuple(columns), vocabularies, counts[kept].tolist(), notes)

    @classmethod
    def of(cls, columns: Mapping[str, Any], rows: Sequence[int]) -> Self:
        """Return given combinations: Arrow columns by name, and the rows that hold each."""
        return cls._build(tuple(columns), tuple(columns.values()), list(rows), ())

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
        """Return `cells_N`; an unknown combination becomes the most similar known one."""
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


@dataclass(frozen=True, kw_only=True, eq=False)
class Presence(Modelled):
    """Whether a derived column has a value: one code for a value, one for null."""

    type_name: ClassVar[str] = "presence"

    @classmethod
    def of(cls, name: str) -> Self:
        """Return the presence of a column."""
        return cls(
            name=name,
            kind="category",
            fields=(name,),
            vocabularies=(pa.array([True, None]),),
            first_cells=np.arange(3, dtype=np.int32),
        )

    def encode(self, records: pa.Table) -> Array:
        """Return 0 where there is a value, 1 where there is none."""
        null = plain(records[self.name]).is_null()
        cells_N: Array = null.to_numpy(zero_copy_only=False).astype(np.int32)
        return cells_N

    def to_json(self) -> dict[str, Any]:
        """Return the column as JSON."""
        return {"column": self.type_name, "name": self.name}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild the column."""
        return cls.of(data["name"])
