"""Which rows are equal in all judged columns.

Shapes: N rows, D columns.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gan.metrics.copies import record_digests
from gan.tables.columns.types import plain
from gan.tables.evaluation.columns import JudgedColumn

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class Identity:
    """Tells equal rows by digests."""

    values: Mapping[str, Any]
    """Column → its distinct real values, null among them."""

    def digests(self, records: pa.Table) -> list[bytes]:
        """Return a digest of every row; a value that no real row has makes it equal to none."""
        columns = [
            pc.fill_null(
                pc.index_in(plain(records[name]), value_set=known, skip_nulls=False), -1
            ).to_numpy(zero_copy_only=False)
            for name, known in self.values.items()
        ]
        return record_digests(np.stack(columns, axis=1).astype(np.int32))


def fit_identity(splits: Sequence[pa.Table], columns: Sequence[JudgedColumn]) -> Identity:
    """Return what tells equal rows of all splits."""
    return Identity(
        values={
            column.name: pc.unique(pa.concat_arrays([plain(part[column.name]) for part in splits]))
            for column in columns
        }
    )


def repeated(digests: Sequence[bytes]) -> int:
    """Return how many rows have an equal one among them."""
    return sum(count for count in Counter(digests).values() if count > 1)


def first_of_each(digests: Sequence[bytes]) -> Array:
    """Return the index of the first row of every content, in order."""
    seen: dict[bytes, int] = {}
    for index, digest in enumerate(digests):
        seen.setdefault(digest, index)
    return np.array(list(seen.values()), dtype=np.int64)
