"""Categories: one code per level, those of the rarest of very many levels shared, null's last.

A level that fewer than `g` rows hold does not leave the codec, nor does one that train never had:
it becomes a kept level, chosen by a hash of the value in proportion to the rows of the kept levels.
So every kept level keeps its share among the others, no null is added, equal values become equal
levels, and nothing of the rare value is stored.

Beyond `MOST_LEVELS` levels the rarer ones share codes, each with levels of about equal numbers of
rows: their shares stay, what they have to do with other columns does not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gan.errors import DataError
from gan.tables.columns.modelled import Modelled
from gan.tables.columns.types import from_plain, parse_type, plain, to_plain

Array = np.ndarray[Any, Any]

MOST_LEVELS = 1000
"""So many levels have a code of their own."""
POOL = 16
"""So many of the other levels share one."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Levels(Modelled):
    """A column of categories or booleans."""

    type_name: ClassVar[str] = "levels"

    rows: tuple[int, ...]
    """Rows of train that hold each level, null too."""
    pooled: int
    """How many of the levels share codes, the last ones before null."""

    @classmethod
    def fit(cls, name: str, column: Any, g: int, *, pool: bool = True) -> Self:
        """Learn the levels.

        Args:
            name: of the column.
            column: Arrow, without dictionary, some of it not null.
            g: a level that fewer rows hold is not kept.
            pool: whether levels may share a code.

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
        rare = np.argsort(-counts[kept], kind="stable")[MOST_LEVELS if pool else len(kept) :]
        kept = np.concatenate([np.delete(kept, rare), kept[rare]])
        levels = encoded.dictionary.take(pa.array(kept))
        rows = counts[kept].tolist()
        if column.null_count:
            levels = pa.concat_arrays([levels, pa.nulls(1, levels.type)])
            rows.append(column.null_count)
        return cls._build(name, levels, rows, len(rare), _notes(name, counts, g))

    @classmethod
    def _build(
        cls, name: str, levels: Any, rows: list[int], pooled: int, notes: tuple[str, ...]
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

    def find(self, values: Any) -> Array:
        """Return the cell of each distinct value (no null among them)."""
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
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild the column."""
        levels = from_plain(data["levels"], parse_type(data["type"]))
        rows, pooled = list(data["rows"]), data["pooled"]
        return cls._build(data["name"], levels, rows, pooled, tuple(data["notes"]))


def _fraction(value: Any) -> float:
    """Return a number in [0, 1) that depends on the value alone."""
    digest = blake2b(repr(value).encode(), digest_size=6).digest()
    return int.from_bytes(digest, "big") / 2**48


def _notes(name: str, counts: Array, g: int) -> tuple[str, ...]:
    """Say how many levels were too rare."""
    rare = counts[(counts < g) & (counts > 0)]
    if not len(rare):
        return ()
    share = 100 * rare.sum() / max(counts.sum(), 1)
    levels = "level" if len(rare) == 1 else "levels"
    return (
        f"{name}: {len(rare)} {levels} that fewer than {g} rows hold ({share:.2g} % of the rows) "
        "became other levels, in proportion to their rows",
    )
