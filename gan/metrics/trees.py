"""Gradient-boosted trees on mixed columns: a classifier, a regression, the two-sample test.

Histogram trees as in LightGBM (Ke et al. 2017, NeurIPS), scikit-learn's, with its defaults but no
early stop: nothing is drawn at random, and one thread adds in one order. The classifier two-sample
test (C2ST, Lopez-Paz & Oquab 2017, arXiv:1610.06545) is the area under the ROC curve of out-of-fold
scores, in place of accuracy: .5 when nothing tells synthetic rows from real ones.

Shapes: N rows or reals, M fakes, F columns, C classes.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]

MOST_LEVELS = 254
"""Levels of a column that a tree can tell apart, 0 … 253; the last is for all others."""
ITERATIONS = 100
TREES = 300
"""About so many trees are grown in all where each class needs one per iteration."""
FEWEST_ITERATIONS = 20


def class_probabilities(
    train_NF: Array, classes_N: Array, test_MF: Array, categorical_F: Array, count: int
) -> Array:
    """Return the probability of each class for the test rows; float64 (M, count).

    Args:
        train_NF: float64, NaN for null, levels as numbers.
        classes_N: integers below `count`; classes that do not occur get probability 0.
        test_MF: the rows to score.
        categorical_F: bool, which columns are levels.
        count: number of classes.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier

    probabilities = np.zeros((len(test_MF), count))
    known = np.unique(classes_N)
    if len(known) < 2:
        probabilities[:, known] = 1.0
        return probabilities
    rounds = ITERATIONS if len(known) == 2 else max(FEWEST_ITERATIONS, TREES // len(known))
    trees = HistGradientBoostingClassifier(
        max_iter=min(rounds, ITERATIONS),
        categorical_features=categorical_F,
        early_stopping=False,
        random_state=0,
    )
    trees.fit(train_NF, classes_N)
    probabilities[:, known] = trees.predict_proba(test_MF)
    return probabilities


def predictions(train_NF: Array, values_N: Array, test_MF: Array, categorical_F: Array) -> Array:
    """Return the predicted number of every test row; float64 (M,). Arguments as above."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    trees = HistGradientBoostingRegressor(
        max_iter=ITERATIONS,
        categorical_features=categorical_F,
        early_stopping=False,
        random_state=0,
    )
    predicted_M: Array = trees.fit(train_NF, values_N).predict(test_MF)
    return predicted_M


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


SMALL_TREES: Mapping[str, Any] = {
    "objective": "binary",
    "num_leaves": 8,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbose": -1,
    "seed": 0,
}
"""LightGBM's: small ones, which on a thousand rows of sixty numbers tell as well as larger ones."""
SMALL_ROUNDS = 60


def small_tree_scores(
    reals_NF: Array,
    fakes_MF: Array,
    rng: np.random.Generator,
    folds: int,
    categorical_F: Array | None = None,
) -> Scores:
    """Return the scores of all rows by small trees that were not grown on them.

    Args:
        reals_NF: float, NaN for null.
        fakes_MF: the other side.
        rng: of the folds, each with its share of both sides.
        folds: how many.
        categorical_F: bool, which columns are levels.
    """
    import lightgbm

    n, m = len(reals_NF), len(fakes_MF)
    rows_PF, fake_P = np.concatenate([reals_NF, fakes_MF]), np.arange(n + m) >= n
    levels = [] if categorical_F is None else np.flatnonzero(categorical_F).tolist()
    fold_P = np.concatenate([rng.permutation(side) % folds for side in (n, m)])
    scores_P = np.zeros(n + m)
    for fold in range(folds):
        held = fold_P == fold
        data = lightgbm.Dataset(
            rows_PF[~held],
            fake_P[~held].astype(np.float64),
            categorical_feature=levels,
            params=dict(SMALL_TREES),
        )
        trees = lightgbm.train(dict(SMALL_TREES), data, SMALL_ROUNDS)
        scores_P[held] = trees.predict(rows_PF[held], num_threads=1)
    return Scores(scores_P[:n], scores_P[n:])
