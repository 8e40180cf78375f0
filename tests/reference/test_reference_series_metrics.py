"""The formulas of series against independent implementations: loops, numpy, scikit-learn."""

from itertools import combinations

import numpy as np
import pytest
from sklearn.linear_model import Ridge as OtherRidge

from gan.metrics.kernels import (
    LEVELS,
    TRIPLES,
    WEIGHTS,
    Sequences,
    dilations_of,
    fit_kernels,
)
from gan.metrics.ridge import PENALTIES_A, Ridge, ridge_scores


@pytest.fixture
def sequences():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(6, 3, 30)).astype(np.float32)
    lengths = np.array([30, 12, 25, 5, 30, 18])
    values *= np.arange(30) < lengths[:, None, None]
    return Sequences(values, lengths)


def test_there_are_84_kernels_that_sum_to_zero():
    assert len(TRIPLES) == 84 == len(list(combinations(range(9), 3)))
    weights = np.full((84, WEIGHTS), -1.0)
    for row, triple in enumerate(TRIPLES):
        weights[row, list(triple)] = 2.0
    assert (weights.sum(axis=1) == 0).all()


def test_dilations_fit_into_the_sequence():
    assert dilations_of(4) == dilations_of(9) == (1,)
    assert dilations_of(57) == (1, 2, 4) or dilations_of(57)[0] == 1
    for length in (9, 20, 100, 5000):
        assert (WEIGHTS - 1) * max(dilations_of(length)) < length
        assert len(dilations_of(length)) <= 5


def convolved(own_CL, triple, mix, dilation):
    """Return what one kernel gives, step by step, 0 beyond the ends."""
    weights = np.full(WEIGHTS, -1.0)
    weights[list(triple)] = 2.0
    out = np.zeros(own_CL.shape[1])
    for channel, sign in zip(mix.channels, mix.signs, strict=True):
        padded = np.pad(own_CL[channel], 4 * dilation)
        for t in range(len(out)):
            out[t] += sign * weights @ padded[t : t + 8 * dilation + 1 : dilation]
    return out


def test_features_are_shares_of_positive_convolutions(sequences):
    kernels = fit_kernels(sequences, 2, np.random.default_rng(1))
    found = kernels.of(sequences)
    for n, length in enumerate(sequences.lengths_N):
        own = sequences.values_NCL[n, :, :length].astype(float)
        expected = [
            (convolved(own, triple, kernels.mixes[d][k], dilation) > bias).mean()
            for d, dilation in enumerate(kernels.dilations)
            for k, triple in enumerate(TRIPLES)
            for bias in kernels.biases_DKB[d, k]
        ]
        expected += [(own[c] > level).mean() for c in range(3) for level in kernels.levels_CB[c]]
        # A value that is a bias itself may fall to either side by rounding.
        off = np.abs(found[n] - expected) > 1e-6
        assert off.mean() < 0.02
    assert kernels.levels_CB.shape == (3, LEVELS)
    assert kernels.width == found.shape[1]


def test_features_do_not_depend_on_what_else_is_padded(sequences):
    kernels = fit_kernels(sequences, 1, np.random.default_rng(1))
    alone = Sequences(sequences.values_NCL[1:2, :, :12], sequences.lengths_N[1:2])
    assert np.array_equal(kernels.of(alone)[0], kernels.of(sequences)[1])


@pytest.mark.parametrize("features", [5, 60])
def test_ridge_is_the_one_of_smallest_generalised_error(features):
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(40, features)) * rng.uniform(0.1, 9, features)
    targets = np.where(rows[:, 0] + rng.normal(size=40) > 0, 1.0, -1.0)
    scaled = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    errors = []
    for penalty in PENALTIES_A:
        inverse = np.linalg.inv(scaled.T @ scaled + penalty * np.eye(features))
        hat = scaled @ inverse @ scaled.T
        away = targets - targets.mean()
        freedom = 40 - np.trace(hat) - 1
        errors.append(np.square(away - hat @ away).sum() / max(freedom, 1.0) ** 2)
    other = OtherRidge(alpha=PENALTIES_A[int(np.argmin(errors))]).fit(scaled, targets)
    test = rng.normal(size=(7, features))
    expected = other.predict((test - rows.mean(axis=0)) / rows.std(axis=0))
    assert Ridge(rows, targets).predict(test) == pytest.approx(expected, abs=1e-6)


def test_ridge_tells_two_sides_apart_out_of_fold_alone():
    rng = np.random.default_rng(5)
    reals, fakes = rng.normal(size=(100, 300)), rng.normal(size=(80, 300))
    same = ridge_scores(reals, fakes, np.random.default_rng(0))
    assert abs(same.fakes_M.mean() - same.reals_N.mean()) < 0.3
    other = ridge_scores(reals, fakes + 0.5, np.random.default_rng(0))
    assert other.fakes_M.min() > np.quantile(other.reals_N, 0.5)
