"""What every measurement of a table starts from: the splits, their columns, equal numbers of rows.

Shapes: M fakes.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from gan.evaluation.judges import Options, Splits, comparable_rows
from gan.randomness import numpy_stream
from gan.tables.columns.types import require_metadata
from gan.tables.evaluation.columns import JudgedColumn, judged_columns
from storage.records.schema import TableMetadata

Array = np.ndarray[Any, Any]

LARGE = 1000
"""From this n on, fewer halves and resamples are drawn."""
FEW = 20


@dataclass(frozen=True, kw_only=True, eq=False)
class Ground:
    """The real side as all measurements share it."""

    splits: Splits
    metadata: TableMetadata
    columns: tuple[JudgedColumn, ...]
    options: Options
    n: int
    """Rows on each side of a comparison."""
    holdout: pa.Table
    """n rows of it."""
    validation: pa.Table
    """n rows of it."""

    @property
    def halves(self) -> int:
        """Random halves of validation and holdout behind every ceiling."""
        return self.options.halves if self.n < LARGE else min(self.options.halves, FEW)

    @property
    def replicates(self) -> int:
        """Resamples behind every interval and every paired comparison."""
        return self.options.replicates if self.n < LARGE else min(self.options.replicates, FEW)

    @property
    def seed(self) -> int:
        """Root of all randoms of the evaluation."""
        return self.options.seed

    def column(self, name: str) -> JudgedColumn | None:
        """Return the judged column of that name, None where it is not judged."""
        return next((column for column in self.columns if column.name == name), None)

    def sets(self, rows: int) -> tuple[Array, ...]:
        """Cut so many fakes, shuffled, into sets of n, at most as many as the options say."""
        order = numpy_stream(self.seed, "candidate-sets").permutation(rows)
        count = max(1, min(self.options.sets, rows // self.n))
        return tuple(order[start * self.n : (start + 1) * self.n] for start in range(count))


def build_ground(splits: Splits, options: Options) -> Ground:
    """Read what the columns mean and take equal numbers of unseen rows.

    Raises:
        DataError: a split is too small, or the records do not say what their columns mean.
    """
    n = comparable_rows(splits, options.cap)
    metadata = require_metadata(splits.train.schema)
    return Ground(
        splits=splits,
        metadata=metadata,
        columns=judged_columns(metadata, splits.train, splits.label),
        options=options,
        n=n,
        holdout=some(splits.holdout, n, options.seed, "holdout"),
        validation=some(splits.validation, n, options.seed, "validation"),
    )


def some(records: pa.Table, rows: int, seed: int, purpose: str) -> pa.Table:
    """Return so many rows, drawn at random where there are more, in their order."""
    if records.num_rows <= rows:
        return records
    chosen = numpy_stream(seed, f"subset-{purpose}").permutation(records.num_rows)[:rows]
    return records.take(pa.array(np.sort(chosen)))
