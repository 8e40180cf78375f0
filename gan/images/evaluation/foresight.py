"""What the judge of images will not know, from the numbers of images alone.

Shapes: N images.
"""

from typing import Any

import numpy as np

from gan.evaluation.foresight import Foreseen, real_as_candidate
from gan.evaluation.resampling import copies_ceiling
from gan.images.codec import ImageCodec
from gan.images.evaluation.c2st import ROWS, c2st_of_reals
from gan.images.evaluation.compared import (
    candidate_sets,
    compared_rows,
    subset_rows,
    too_few_classes,
    wanted_rows,
)
from gan.metrics.copies import nominal_share
from gan.modalities import Options, Splits
from gan.report import Measured

Array = np.ndarray[Any, Any]


def foresee(splits: Splits, options: Options) -> Foreseen:
    """Return what is known before there is a candidate.

    How far the share of copies swings depends on numbers alone: distances to train enter it by
    their order.

    Raises:
        DataError: validation or holdout is too small to compare anything.
    """
    n = compared_rows(splits, options)
    codec = ImageCodec.fit(splits.train, splits.label)
    holdout_N = _classes(splits, codec)
    compared_N = holdout_N[subset_rows(holdout_N, n, options.seed, "holdout")]
    wanted = wanted_rows(codec.classes, compared_N, n, candidate_sets(options, n))
    rows = wanted if isinstance(wanted, int) else sum(count for _, count in wanted)
    holdout_rows = int(splits.holdout.num_rows)
    unseen_N = np.arange(2 * n, dtype=np.float64)
    copies = copies_ceiling(unseen_N, rows, nominal_share(holdout_rows), options.seed)
    return Foreseen(
        holdout_rows=holdout_rows,
        too_few=too_few_classes(codec.classes, compared_N),
        reals=tuple(_c2st(scope, min(n, most)) for scope, most in ROWS.items()),
        sampled=(real_as_candidate("copies", rows, copies.ceiling, copies.draws),),
    )


def _c2st(scope: str, n: int) -> Measured:
    """Return the area of real images as the candidate, known from their number alone."""
    real = c2st_of_reals(n)
    return real_as_candidate("c2st", n, real.ceiling, real.draws, scope=scope)


def _classes(splits: Splits, codec: ImageCodec) -> Array:
    """Return the class index of every holdout image, 0 without classes."""
    if splits.label is None or not codec.classes:
        return np.zeros(splits.holdout.num_rows, np.int64)
    labels = splits.holdout[splits.label]
    places = {value: index for index, value in enumerate(codec.classes)}
    return np.array([places.get(value, -1) for value in labels.to_pylist()], np.int64)
