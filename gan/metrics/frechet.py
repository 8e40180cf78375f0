"""Fréchet distance between two normal distributions fitted to features.

Heusel et al. 2017 (arXiv:1706.08500), equation 6, after Dowson & Landau 1982:

    d² = ‖m₁ - m₂‖² + tr(C₁ + C₂ - 2 (C₁ C₂)^½)

With C = L Lᵀ the trace of the root is the sum of the singular values of L₁ᵀ L₂: no root of a
matrix is taken, no imaginary part appears, and singular covariances need no offset.
"""

from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]


class Moments(NamedTuple):
    """The statistics of one side."""

    mean_F: Array
    factor_FF: Array
    """L with covariance = L Lᵀ."""
    trace: float
    """Trace of the covariance."""


def moments(features_NF: Array) -> Moments:
    """Return mean and a factor of the unbiased covariance; needs two records.

    Raises:
        ValueError: fewer than two records.
    """
    if len(features_NF) < 2:
        msg = f"a covariance needs two records, got {len(features_NF)}: bring more"
        raise ValueError(msg)
    features = np.asarray(features_NF, dtype=np.float64)
    mean_F = features.mean(axis=0)
    centred = features - mean_F
    covariance_FF = centred.T @ centred / (len(features) - 1)
    values_F, vectors_FF = np.linalg.eigh(covariance_FF)
    factor_FF = vectors_FF * np.sqrt(np.maximum(values_F, 0.0))
    return Moments(mean_F, factor_FF, float(np.trace(covariance_FF)))


def frechet_distance(reals: Moments, fakes: Moments) -> float:
    """Return d² of the module's formula, at least 0."""
    shift = float(np.square(reals.mean_F - fakes.mean_F).sum())
    root = float(np.linalg.svd(reals.factor_FF.T @ fakes.factor_FF, compute_uv=False).sum())
    return max(0.0, shift + reals.trace + fakes.trace - 2.0 * root)
