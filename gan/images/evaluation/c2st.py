"""Whether a classifier tells a candidate's images from real ones (C2ST), and by what.

Lopez-Paz & Oquab 2017 (arXiv:1610.06545), as the area under the ROC curve of out-of-fold scores.
Two classifiers look: gradient-boosted trees on the plain statistics of every image, which can say
what gives a candidate away, and a small convolutional net on the pixels.

Real data as the candidate reaches one half, with the spread of the area between two samples of one
distribution (`gan.metrics.auc.null_spread`) times `TRAINING_NOISE`, which was measured: classifiers
of several folds have their own errors.

Shapes: N reals, M fakes, P images of both, C channels, H height, W width, S statistics.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from gan.evaluation.clues import told_by
from gan.evaluation.resampling import Real, summarise
from gan.images.evaluation.learner import LearnerInputs, learn, logits
from gan.images.evaluation.plain_statistics import MEANINGS, VAGUE, plain_statistics
from gan.images.pixels import floats
from gan.metrics.auc import auc, delong, null_spread
from gan.metrics.intervals import Z_95, normal_draws, random_half
from gan.metrics.trees import Scores, small_tree_scores
from gan.randomness import numpy_stream
from gan.report import Measured, Metric

Array = np.ndarray[Any, Any]

ROWS = {"statistics": 2000, "network": 1500}
"""Most images of each side that each classifier sees."""
TRAINING_NOISE = 1.4
"""Spread of the area over real halves, as a multiple of that of fixed scores: measured 1.2 to 1.4
for trees, 1.0 to 1.4 for the net."""


@dataclass(frozen=True, kw_only=True, eq=False)
class RealSide:
    """The holdout's images as both classifiers take them."""

    images_NHWC: Array
    statistics_NS: Array
    names: tuple[str, ...]
    """What each statistic is about."""
    replicates: int
    seed: int


def real_side(images_NHWC: Array, replicates: int, seed: int) -> RealSide:
    """Return the holdout's images, their statistics computed once for every candidate."""
    names, statistics_NS = plain_statistics(_some(images_NHWC, "statistics", "holdout", seed))
    return RealSide(
        images_NHWC=_some(images_NHWC, "network", "holdout", seed),
        statistics_NS=statistics_NS,
        names=names,
        replicates=replicates,
        seed=seed,
    )


def c2st(fakes_MHWC: Array, side: RealSide) -> Iterator[Measured]:
    """Yield `c2st` of the trees and of the net; as many fakes as reals are compared.

    Args:
        fakes_MHWC: uint8, one set of the holdout's size and class shares.
        side: the real side.
    """
    seed = side.seed
    _, fakes_MS = plain_statistics(_some(fakes_MHWC, "statistics", "candidate", seed))
    scores = tree_scores(side.statistics_NS, fakes_MS, seed)
    because = by_what(side.names, side.statistics_NS, fakes_MS)
    yield _measured("statistics", scores, side, because)
    fakes = _some(fakes_MHWC, "network", "candidate", seed)
    yield _measured("network", network_scores(side.images_NHWC, fakes, seed), side, "")


def _some(images_NHWC: Array, scope: str, side: str, seed: int) -> Array:
    """Return the images that one classifier sees, in their order."""
    most = ROWS[scope]
    if len(images_NHWC) <= most:
        return images_NHWC
    rows = numpy_stream(seed, f"c2st-{scope}-{side}").permutation(len(images_NHWC))[:most]
    return images_NHWC[np.sort(rows)]


def c2st_of_reals(n: int) -> Real:
    """Return the ceiling of n images a side, and the upper ends that real images reach."""
    spread = null_spread(n, n) * TRAINING_NOISE
    draws = normal_draws(0.5, spread)
    upper = Z_95 * null_spread(n, n)
    return Real(summarise(draws, value=0.5).ceiling, tuple(draw + upper for draw in draws))


def _measured(scope: str, scores: Scores, side: RealSide, because: str) -> Measured:
    """Return the area of some scores beside what real images reach."""
    found = delong(scores.fakes_M, scores.reals_N)
    n, m = len(scores.reals_N), len(scores.fakes_M)
    real = c2st_of_reals(min(n, m))
    metric = Metric(
        name="c2st",
        scope=scope,
        value=found.value,
        low=found.low,
        high=found.high,
        n=min(n, m),
        ceiling=real.ceiling,
        direction="lower",
    )
    replicates = []
    for r in range(side.replicates):
        reals_N = random_half(n, numpy_stream(side.seed, "holdout-half", r))
        fakes_M = random_half(m, numpy_stream(side.seed, "candidate-half", r))
        replicates.append(auc(scores.fakes_M[fakes_M], scores.reals_N[reals_N]))
    return Measured(metric=metric, reals=real.draws, replicates=tuple(replicates), because=because)


def by_what(names: tuple[str, ...], reals_NS: Array, fakes_MS: Array) -> str:
    """Return which statistics alone tell the two sides apart best, half a sentence; "" if none."""
    return told_by(
        names, reals_NS, fakes_MS, meanings=MEANINGS, vague=VAGUE, sideless=frozenset({"colour"})
    )


FOLDS = 3


def tree_scores(reals_NS: Array, fakes_MS: Array, seed: int) -> Scores:
    """Return how synthetic each image looks to trees that were not grown on it."""
    return small_tree_scores(reals_NS, fakes_MS, numpy_stream(seed, "c2st-folds"), FOLDS)


def _folds(n: int, m: int, folds: int, rng: np.random.Generator) -> Array:
    """Return the fold of every image; each holds its share of both sides."""
    return np.concatenate([rng.permutation(side) % folds for side in (n, m)])


HALVES = 2


def network_scores(reals_NHWC: Array, fakes_MHWC: Array, seed: int) -> Scores:
    """Return how synthetic each image looks to a net that was not trained on it."""
    n, m = len(reals_NHWC), len(fakes_MHWC)
    pixels_PCHW = floats(np.concatenate([reals_NHWC, fakes_MHWC]))
    fake_P = torch.from_numpy((np.arange(n + m) >= n).astype(np.int64))
    fold_P = _folds(n, m, HALVES, numpy_stream(seed, "c2st-network-folds"))
    scores_P = np.zeros(n + m)
    for fold in range(HALVES):
        held, rest = (torch.from_numpy(np.flatnonzero((fold_P == fold) == side)) for side in (1, 0))
        inputs = LearnerInputs(
            pixels_PCHW=pixels_PCHW[rest],
            targets_P=fake_P[rest],
            classes=2,
            seed=seed,
            purpose=f"c2st-network-{fold}",
            stops_early=True,
        )
        found_HK = logits(learn(inputs), pixels_PCHW[held])
        scores_P[held.numpy()] = (found_HK[:, 1] - found_HK[:, 0]).numpy()
    return Scores(scores_P[:n], scores_P[n:])
