"""Ridge classification of two sides, as the kernels of MiniRocket are read.

Ridge regression on -1 and 1, Hoerl & Kennard 1970 (Technometrics 12, 55); the penalty is the one of
smallest generalised cross-validation error, Golub et al. 1979 (Technometrics 21, 215), equation
1.4. As Dempster et al. 2021 (arXiv:2012.08791, section 3.3) do on as many features.

Shapes: N reals, M fakes, P rows to learn from, F features, A penalties.
"""

from typing import Any

import numpy as np

from gan.metrics.trees import FOLDS, Scores

Array = np.ndarray[Any, Any]

PENALTIES_A = 10.0 ** np.arange(-1, 6)
"""Of features with unit spread, per row."""


class Ridge:
    """A linear score of standardised features."""

    def __init__(self, rows_PF: Array, targets_P: Array) -> None:
        """Learn the targets."""
        rows_PF = np.asarray(rows_PF, dtype=np.float64)
        self.mean_F, spread_F = rows_PF.mean(axis=0), rows_PF.std(axis=0)
        self.scale_F = np.where(spread_F > 1e-9, 1.0 / np.maximum(spread_F, 1e-9), 0.0)
        self.middle = float(targets_P.mean())
        scaled_PF = (rows_PF - self.mean_F) * self.scale_F
        away_P, rows = targets_P - self.middle, len(targets_P)
        if scaled_PF.shape[1] <= rows:
            values_E, vectors_FE = np.linalg.eigh(scaled_PF.T @ scaled_PF)
            values_E = np.maximum(values_E, 0.0)
            known_E = vectors_FE.T @ (scaled_PF.T @ away_P)
            inverse_E = np.where(values_E > 1e-9, 1.0 / np.maximum(values_E, 1e-9), 0.0)
            explained_E = known_E * known_E * inverse_E
        else:
            values_E, vectors_PE = np.linalg.eigh(scaled_PF @ scaled_PF.T)
            values_E = np.maximum(values_E, 0.0)
            turned_E = vectors_PE.T @ away_P
            explained_E = turned_E * turned_E
        total = float(away_P @ away_P)
        errors_A = []
        for penalty in PENALTIES_A * 1.0:
            shrink_E = values_E / (values_E + penalty)
            residual = total - float((explained_E * (1 - (1 - shrink_E) ** 2)).sum())
            freedom = rows - float(shrink_E.sum()) - 1
            errors_A.append(residual / max(freedom, 1.0) ** 2)
        penalty = float(PENALTIES_A[int(np.argmin(errors_A))])
        if scaled_PF.shape[1] <= rows:
            self.weights_F = vectors_FE @ (known_E / (values_E + penalty))
        else:
            self.weights_F = scaled_PF.T @ (vectors_PE @ (turned_E / (values_E + penalty)))

    def predict(self, rows_NF: Array) -> Array:
        """Return the score of every row; float64 (N,)."""
        found: Array = (rows_NF - self.mean_F) * self.scale_F @ self.weights_F + self.middle
        return found


def ridge_scores(reals_NF: Array, fakes_MF: Array, rng: np.random.Generator) -> Scores:
    """Return out-of-fold scores of all rows, every fold with its share of both sides."""
    n, m = len(reals_NF), len(fakes_MF)
    rows_PF = np.concatenate([reals_NF, fakes_MF]).astype(np.float64)
    targets_P = np.where(np.arange(n + m) >= n, 1.0, -1.0)
    fold_P = np.concatenate([rng.permutation(side) % FOLDS for side in (n, m)])
    scores_P = np.zeros(n + m)
    for fold in range(FOLDS):
        held = fold_P == fold
        scores_P[held] = Ridge(rows_PF[~held], targets_P[~held]).predict(rows_PF[held])
    return Scores(scores_P[:n], scores_P[n:])
