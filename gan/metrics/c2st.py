"""Classifier two-sample test: how well trees tell synthetic rows from real ones.

Lopez-Paz & Oquab 2017 (arXiv:1610.06545), with the area under the ROC curve of out-of-fold scores
in place of accuracy: .5 when nothing tells them apart.

Shapes: N reals, M fakes, F columns.
"""

from typing import Any, NamedTuple

import numpy as np

from gan.metrics.trees import class_probabilities

Array = np.ndarray[Any, Any]

FOLDS = 5


class Scores(NamedTuple):
    """How synthetic each row looks to trees that were not grown on it, from 0 to 1."""

    reals_N: Array
    fakes_M: Array


def out_of_fold_scores(
    reals_NF: Array, fakes_MF: Array, categorical_F: Array, rng: np.random.Generator
) -> Scores:
    """Return the scores of all rows, every fold with its share of both sides."""
    n, m = len(reals_NF), len(fakes_MF)
    rows_PF = np.concatenate([reals_NF, fakes_MF])
    fake_P = np.arange(n + m) >= n
    fold_P = np.concatenate([rng.permutation(side) % FOLDS for side in (n, m)])
    scores_P = np.zeros(n + m)
    for fold in range(FOLDS):
        held = fold_P == fold
        found = class_probabilities(
            rows_PF[~held], fake_P[~held].astype(np.int64), rows_PF[held], categorical_F, 2
        )
        scores_P[held] = found[:, 1]
    return Scores(scores_P[:n], scores_P[n:])
