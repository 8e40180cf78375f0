"""What the judge of series will not know, from the numbers of entities alone."""

from collections.abc import Iterator

import numpy as np

from gan.evaluation.foresight import Foreseen, real_as_candidate
from gan.evaluation.resampling import copies_ceiling
from gan.metrics.copies import nominal_share
from gan.modalities import Options, Splits, comparable_rows
from gan.report import Measured
from gan.series.columns.fit import require_series
from gan.series.evaluation.c2st import C2ST_ENTITIES, c2st_of_reals
from gan.series.evaluation.closeness import COPY_FAKES
from gan.series.evaluation.context import comparable_entities, judged_series


def foresee(splits: Splits, options: Options) -> Foreseen:
    """Return what is known before there is a candidate.

    Raises:
        DataError: a split is too small, or the records do not say what their columns mean.
    """
    metadata = require_series(splits.train.schema)
    judged_series(metadata, splits.train, splits.label)
    n = min(comparable_rows(splits, options.cap), comparable_entities(splits.train, metadata))
    return Foreseen(
        holdout_rows=int(splits.holdout.num_rows),
        reals=tuple(_tests(min(n, C2ST_ENTITIES))),
        sampled=tuple(_copies(splits, options, n)),
    )


def _tests(n: int) -> Iterator[Measured]:
    real = c2st_of_reals(n)
    for scope in ("kernels", "statistics"):
        yield real_as_candidate("c2st", n, real.ceiling, real.draws, scope=scope)


def _copies(splits: Splits, options: Options, n: int) -> Iterator[Measured]:
    """Yield `copies` where they are judged: distances to train enter by their order alone."""
    unseen, nominal = 2 * n, nominal_share(splits.holdout.num_rows)
    if unseen * nominal < 1:
        return
    rows = min(options.sets * n, COPY_FAKES)
    found = copies_ceiling(np.arange(unseen, dtype=np.float64), rows, nominal, options.seed)
    yield real_as_candidate("copies", rows, found.ceiling, found.draws)
