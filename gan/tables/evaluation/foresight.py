"""What the judge of tables will not know, from the numbers of rows alone."""

from collections.abc import Iterator

import numpy as np

from gan.evaluation.foresight import Foreseen, real_as_candidate
from gan.evaluation.resampling import copies_ceiling
from gan.metrics.copies import nominal_share
from gan.modalities import Options, Splits
from gan.report import Measured
from gan.tables.evaluation.closeness import LEAST_CLOSEST, c2st_of_reals
from gan.tables.evaluation.columns import EvaluationContext, build_context
from gan.tables.evaluation.usefulness import rows_to_learn, unscored_classes


def foresee(splits: Splits, options: Options) -> Foreseen:
    """Return what is known before there is a candidate.

    Raises:
        DataError: a split is too small, or the records do not say what their columns mean.
    """
    context = build_context(splits, options)
    return Foreseen(
        holdout_rows=int(splits.holdout.num_rows),
        too_few=unscored_classes(context),
        reals=(_c2st(context),),
        sampled=tuple(_copies(context)),
    )


def _c2st(context: EvaluationContext) -> Measured:
    real = c2st_of_reals(context.n)
    return real_as_candidate("c2st", context.n, real.ceiling, real.draws)


def _copies(context: EvaluationContext) -> Iterator[Measured]:
    """Yield `copies` where they are judged: distances to train enter by their order alone."""
    splits, cap = context.splits, context.options.cap
    if min(splits.train.num_rows, splits.holdout.num_rows) >= LEAST_CLOSEST:
        return
    unseen = sum(min(part.num_rows, cap) for part in (splits.holdout, splits.validation))
    nominal = nominal_share(splits.holdout.num_rows)
    if unseen * nominal < 1:
        return
    rows = max(context.options.sets * context.n, rows_to_learn(context))
    found = copies_ceiling(np.arange(unseen, dtype=np.float64), rows, nominal, context.seed)
    yield real_as_candidate("copies", rows, found.ceiling, found.draws)
