"""What a user of a table can do for rare classes without a generator."""

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from gan.errors import DataError
from gan.randomness import numpy_stream
from gan.tables.downstream_models import Learning

Array = np.ndarray[Any, Any]

NEIGHBOURS = 5
"""Of SMOTE, as its authors chose it: Chawla et al. 2002 (JAIR 16, 321)."""

CLASS_WEIGHTS = "class weights"
OVERSAMPLING = "oversampling"
SMOTE = "SMOTE"


def remedies_of(is_levels_F: Array) -> Mapping[str, str]:
    """Return name → one sentence; SMOTE interpolates, so it needs a column of numbers."""
    found = {
        CLASS_WEIGHTS: "Every class weighs as much as every other.",
        OVERSAMPLING: "Rows of rare classes are drawn again until all classes are as large.",
    }
    if not is_levels_F.all():
        found[SMOTE] = "Rare classes are filled with interpolations between their rows."
    return found


def remedied(learning: Learning, remedy: str, seed: int) -> Learning:
    """Return what is learned from after a remedy; the same without one.

    Raises:
        DataError: it cannot be had of these rows.
    """
    if not remedy:
        return learning
    return {CLASS_WEIGHTS: _weighted, OVERSAMPLING: _oversampled, SMOTE: _interpolated}[remedy](
        learning, seed
    )


def remedy_cost_s(remedy: str, rows: int) -> float:
    """Return the processor seconds of a remedy that leaves so many rows, by constants."""
    return rows * 1.2e-4 if remedy == SMOTE else 0.0


def _weighted(learning: Learning, seed: int) -> Learning:
    del seed
    mass_C = np.bincount(learning.targets_N, weights=learning.weights_N, minlength=learning.classes)
    factors_C = mass_C.sum() / np.maximum(mass_C, 1e-12) / np.count_nonzero(mass_C)
    return replace(learning, weights_N=learning.weights_N * factors_C[learning.targets_N])


def _oversampled(learning: Learning, seed: int) -> Learning:
    counts_C = np.bincount(learning.targets_N, minlength=learning.classes)
    numbers = numpy_stream(seed, "lift-oversampling")
    extra = [
        numbers.choice(np.flatnonzero(learning.targets_N == c), counts_C.max() - count)
        for c, count in enumerate(counts_C.tolist())
        if count
    ]
    chosen = np.concatenate([np.arange(len(learning.targets_N)), *extra])
    return learning.taking(chosen)


def _interpolated(learning: Learning, seed: int) -> Learning:
    """Return the rows with those of SMOTE behind them, or of SMOTENC where columns are mixed.

    Null becomes the median, or a level of its own, in the rows that are added alone.
    """
    from imblearn import over_sampling

    counts = np.bincount(learning.targets_N, minlength=learning.classes)
    fewest = int(counts[counts > 0].min())
    if fewest < 2:
        msg = f"SMOTE needs 2 rows of every class, and one has {fewest}"
        raise DataError(msg)
    levels_F = learning.is_levels_F
    filled_NF = _without_null(learning.rows_NF, levels_F)
    random_state, neighbours = seed % 2**31, min(NEIGHBOURS, fewest - 1)
    settings = {"random_state": random_state, "k_neighbors": neighbours}
    if levels_F.any():
        maker = over_sampling.SMOTENC(np.flatnonzero(levels_F).tolist(), **settings)
    else:
        maker = over_sampling.SMOTE(**settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rows, targets = maker.fit_resample(filled_NF, learning.targets_N)
    start = len(learning.targets_N)
    return replace(
        learning,
        rows_NF=np.concatenate([learning.rows_NF, rows[start:]]),
        targets_N=np.concatenate([learning.targets_N, targets[start:]]),
        weights_N=np.concatenate([learning.weights_N, np.ones(len(targets) - start)]),
    )


def _without_null(rows_NF: Array, is_levels_F: Array) -> Array:
    filled_NF = rows_NF.copy()
    for f in range(rows_NF.shape[1]):
        null_N = np.isnan(rows_NF[:, f])
        if null_N.all():
            filled_NF[:, f] = 0.0
        elif null_N.any():
            known = rows_NF[~null_N, f]
            filled_NF[null_N, f] = -1.0 if is_levels_F[f] else np.median(known)
    return filled_NF
