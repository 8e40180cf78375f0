"""What evaluating a table's rows and a panel's entities, which are rows as well, has in common."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from gan.metrics.auc import delong
from gan.modalities import Likelihood, Options, Splits
from gan.randomness import numpy_stream
from gan.report import Measured, Metric

Array = np.ndarray[Any, Any]


def some(records: pa.Table, rows: int, seed: int, purpose: str) -> pa.Table:
    """Return so many rows, drawn at random where there are more, in their order."""
    if records.num_rows <= rows:
        return records
    chosen = numpy_stream(seed, f"subset-{purpose}").permutation(records.num_rows)[:rows]
    return records.take(pa.array(np.sort(chosen)))


@dataclass(frozen=True, kw_only=True, eq=False)
class RowContext:
    """The real rows and settings that all measurements share."""

    splits: Splits
    options: Options
    n: int
    """Rows on each side of a comparison."""

    @property
    def halves(self) -> int:
        """Random halves of validation and holdout behind every ceiling."""
        return self.options.halves_for(self.n)

    @property
    def replicates(self) -> int:
        """Resamples behind every interval and every paired comparison."""
        return self.options.replicates_for(self.n)

    @property
    def seed(self) -> int:
        """Root of all randoms of the evaluation."""
        return self.options.seed

    def sets(self, rows: int) -> tuple[Array, ...]:
        """Cut so many fakes, shuffled, into sets of n, at most as many as the options say."""
        order = numpy_stream(self.seed, "candidate-sets").permutation(rows)
        count = max(1, min(self.options.sets, rows // self.n))
        return tuple(order[start * self.n : (start + 1) * self.n] for start in range(count))


@dataclass(frozen=True, kw_only=True, eq=False)
class RowReference:
    """The real side of an evaluation of rows; what is measured is each modality's own."""

    context: RowContext

    @property
    def options(self) -> Options:
        """How the evaluation is carried out."""
        return self.context.options

    @property
    def splits(self) -> Splits:
        """The real rows."""
        return self.context.splits

    @property
    def n(self) -> int:
        """Rows on each side of a comparison."""
        return self.context.n

    @property
    def holdout_rows(self) -> int:
        """All rows of the holdout."""
        rows: int = self.context.splits.holdout.num_rows
        return rows


def membership(
    context: RowContext, holdout: pa.Table, log_likelihood: Likelihood | None
) -> Measured | None:
    """Return how well the generator's likelihood tells training rows from unseen ones.

    The loss attack of Yeom et al. 2018 (arXiv:1709.01604, section 3.2) at every threshold: the area
    under its ROC curve. None for a generator that has no likelihood.

    Args:
        context: of the evaluation.
        holdout: the n unseen rows.
        log_likelihood: of rows, None where the generator knows none.
    """
    if log_likelihood is None:
        return None
    train = some(context.splits.train, context.n, context.seed, "membership")
    inside, outside = log_likelihood(train), log_likelihood(holdout)
    if inside is None or outside is None:
        return None
    found = delong(inside, outside)
    metric = Metric(
        name="membership",
        scope="all",
        value=found.value,
        low=found.low,
        high=found.high,
        n=len(outside),
        direction="lower",
    )
    return Measured(metric=metric)
