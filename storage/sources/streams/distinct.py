"""How many different values a column has, and how many rows repeat one, in bounded memory.

Up to a limit the values are counted in memory; beyond it their hashes and counts go to disk. Texts
are told apart by 64 bits of a digest: of 10^8 different ones two are mistaken for one with a
probability of 3 in 10,000.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from storage.sources.streams.spill import Spill, Words

MOST_COUNTED: Final = 1 << 16
"""So many different values are counted in memory."""


@dataclass(frozen=True, kw_only=True)
class ValueRepeats:
    """Of the rows that have a value."""

    distinct: int
    """Different values."""
    repeated: int
    """Rows whose value another row has, too."""


class DistinctCounter:
    """Counts the values of one column of texts or whole numbers. A context manager."""

    def __init__(self, folder: Path, name: str) -> None:
        """Prepare to count.

        Args:
            folder: for what does not fit into memory.
            name: unlike that of any other counter in the folder.
        """
        self._folder, self._name = folder, name
        self._hashes, self._counts = np.empty(0, np.uint64), np.empty(0, np.uint64)
        self._spill: Spill | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._spill is not None:
            self._spill.__exit__(kind, error, trace)

    def add(self, column: pa.ChunkedArray) -> None:
        """Count some more rows; nulls are no values."""
        counted = pc.value_counts(column.drop_null())
        counts = counted.field("counts").to_numpy().astype(np.uint64)
        hashes = value_hashes(counted.field("values"))
        if self._spill is not None:
            self._spill.add(np.column_stack([hashes, counts]), _spread(hashes))
            return
        self._hashes, self._counts = _added(
            np.concatenate([self._hashes, hashes]), np.concatenate([self._counts, counts])
        )
        if len(self._hashes) > MOST_COUNTED:
            self._spill = Spill(self._folder, self._name, 2).__enter__()
            self._spill.add(np.column_stack([self._hashes, self._counts]), _spread(self._hashes))
            self._hashes, self._counts = self._hashes[:0], self._counts[:0]

    def result(self) -> ValueRepeats:
        """Return the counts of all rows so far."""
        distinct = repeated = 0
        for counts in self._parts():
            distinct += len(counts)
            repeated += int(counts[counts > 1].sum())
        return ValueRepeats(distinct=distinct, repeated=repeated)

    def _parts(self) -> Iterator[Words]:
        """Yield the counts of all different values, a part of them at once."""
        if self._spill is None:
            yield self._counts
        else:
            for words in self._spill.parts():
                yield _added(words[:, 0], words[:, 1])[1]


def value_hashes(values: pa.Array) -> Words:
    """Return a number for each of some different values: itself, or 64 bits of a text's digest."""
    if pa.types.is_integer(values.type):
        wide = values.cast(pa.uint64() if values.type == pa.uint64() else pa.int64())
        return np.asarray(wide.to_numpy(zero_copy_only=False).view(np.uint64))
    joined = b"".join(blake2b(text.encode(), digest_size=8).digest() for text in values.to_pylist())
    return np.frombuffer(joined, np.uint64)


def _added(hashes: Words, counts: Words) -> tuple[Words, Words]:
    """Return every hash once, with the sum of its counts."""
    kept, places = np.unique(hashes, return_inverse=True)
    sums: NDArray[np.uint64] = np.zeros(len(kept), np.uint64)
    np.add.at(sums, places, counts)
    return kept, sums


def _spread(hashes: Words) -> Words:
    """Return numbers that are even where those of a column are not, such as multiples of ten."""
    return np.asarray((hashes * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40), np.uint64)
