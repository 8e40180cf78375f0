"""What decides of a column's values what it is: counted whole, or block by block.

Shape legend: N rows.
"""

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from storage.sources.streams.distinct import DistinctCounter, ValueRepeats

_WORD: Final = r"\S+"


@dataclass(frozen=True, kw_only=True)
class ColumnFacts:
    """Counts of the values of one column of N rows."""

    rows: int
    """N."""
    nulls: int
    distinct: int
    """Different values. Of columns that are neither text nor whole numbers a block-wise count says
    only whether there are several."""
    repeated: int = 0
    """Of texts: rows whose value another row has, too."""
    words: float = 0.0
    """Of texts: words of a value on average."""
    least: int = 0
    """Of whole numbers: the smallest."""
    counts_up: bool = False
    """Of whole numbers: whether every row has one more than the row before."""

    @property
    def present(self) -> int:
        """Rows that have a value."""
        return self.rows - self.nulls


def facts_of(column: pa.ChunkedArray) -> ColumnFacts:
    """Count a whole column."""
    rows, nulls = len(column), column.null_count
    distinct = pc.count_distinct(column, mode="only_valid").as_py()
    if pa.types.is_integer(column.type) and rows > nulls:
        unique = distinct == rows
        steps = unique and bool((np.diff(column.to_numpy().astype(np.int64)) == 1).all())
        least = pc.min(column).as_py()
        return ColumnFacts(rows=rows, nulls=nulls, distinct=distinct, least=least, counts_up=steps)
    if pa.types.is_string(column.type) and rows > nulls:
        present = column.drop_null()
        counts = pc.value_counts(present).field("counts").to_numpy()
        return ColumnFacts(
            rows=rows,
            nulls=nulls,
            distinct=distinct,
            repeated=int(counts[counts > 1].sum()),
            words=pc.mean(pc.count_substring_regex(present, pattern=_WORD)).as_py(),
        )
    return ColumnFacts(rows=rows, nulls=nulls, distinct=distinct)


class ColumnCounter:
    """Counts one column block by block in bounded memory. A context manager."""

    def __init__(self, folder: Path, name: str) -> None:
        """Prepare to count.

        Args:
            folder: for what does not fit into memory.
            name: unlike that of any other counter in the folder.
        """
        self._distinct = DistinctCounter(folder, name)
        self._rows = self._nulls = self._words = 0
        self._kind: pa.DataType = pa.null()
        self._ends: tuple[object, object] | None = None
        self._last: int | None = None
        self._counts_up = True

    def __enter__(self) -> Self:
        self._distinct.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._distinct.__exit__(kind, error, trace)

    def add(self, column: pa.ChunkedArray) -> None:
        """Count some more rows, in the order of the source."""
        self._rows += len(column)
        self._nulls += column.null_count
        self._kind = column.type
        if column.null_count == len(column):
            return
        if pa.types.is_string(column.type):
            self._words += pc.sum(pc.count_substring_regex(column, pattern=_WORD)).as_py()
            self._distinct.add(column)
        elif pa.types.is_integer(column.type):
            self._add_whole(column)
        else:
            self._add_ends(column)

    def _add_whole(self, column: pa.ChunkedArray) -> None:
        self._add_ends(column)
        self._distinct.add(column)
        if self._counts_up and not column.null_count:
            values_N = column.to_numpy().astype(np.int64)
            joins = self._last is None or values_N[0] == self._last + 1
            self._counts_up = joins and bool((np.diff(values_N) == 1).all())
            self._last = int(values_N[-1])

    def _add_ends(self, column: pa.ChunkedArray) -> None:
        ends = pc.min_max(column).as_py()
        low, high = ends["min"], ends["max"]
        if self._ends is not None:
            low, high = min(low, self._ends[0]), max(high, self._ends[1])
        self._ends = (low, high)

    def facts(self) -> ColumnFacts:
        """Return the counts of all rows so far."""
        texts, whole = pa.types.is_string(self._kind), pa.types.is_integer(self._kind)
        several = 0 if self._ends is None else 1 + (self._ends[0] != self._ends[1])
        found = ValueRepeats(distinct=several, repeated=0)
        if texts or whole:
            found = self._distinct.result()
        least = self._ends[0] if whole and self._ends is not None else 0
        present = self._rows - self._nulls
        return ColumnFacts(
            rows=self._rows,
            nulls=self._nulls,
            distinct=found.distinct,
            repeated=found.repeated if texts else 0,
            words=self._words / present if texts and present else 0.0,
            least=least if isinstance(least, int) else 0,
            counts_up=whole and self._counts_up and not self._nulls,
        )
