"""The metrics of tables against independent implementations: scikit-learn, scipy, loops."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from scipy.stats import chi2_contingency, fisher_exact, mannwhitneyu
from sklearn.metrics import r2_score, roc_auc_score

from gan.metrics.auc import auc, delong, null_spread, weighted_auc
from gan.metrics.distances import closest_share, nearer, owners, resampled_shares
from gan.metrics.intervals import difference_half_width, more_often
from gan.metrics.marginals import (
    code_shares,
    column_errors,
    mean_pair_error,
    one_hot,
    pair_counts,
    pair_errors,
)
from gan.metrics.neighbours import nearest
from gan.metrics.prediction import r_squared
from gan.tables.evaluation.usefulness import cramers_v, mean_auc

SIZES = (3, 5, 2)


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    draw = [rng.integers(size, size=(2, 200)) for size in SIZES]
    return tuple(np.stack([column[side] for column in draw], axis=1) for side in range(2))


def slow_distance(a, b):
    """Total variation from the counts of whatever is hashable."""
    shares = [Counter(map(tuple, side)) for side in (a, b)]
    values = set(shares[0]) | set(shares[1])
    return sum(abs(shares[0][v] / len(a) - shares[1][v] / len(b)) for v in values) / 2


def test_column_errors_equal_counting(rows):
    reals, fakes = rows[0], rows[1][:120]
    found = column_errors(reals, fakes, SIZES)
    slow = [slow_distance(reals[:, [d]], fakes[:, [d]]) for d in range(3)]
    assert found == pytest.approx(slow)
    assert code_shares(reals, SIZES).sum() == pytest.approx(3)


def test_pair_errors_equal_counting(rows):
    reals, fakes = rows[0], rows[1][:120]
    shares = [pair_counts(one_hot(side, SIZES)) / len(side) for side in (reals, fakes)]
    found = pair_errors(*shares, SIZES)
    for a, b in itertools.product(range(3), repeat=2):
        columns = [a] if a == b else [a, b]
        slow = slow_distance(reals[:, columns], fakes[:, columns])
        assert found[a, b] == pytest.approx(slow, abs=1e-6), (a, b)
    pairs = [found[0, 1], found[0, 2], found[1, 2]]
    assert mean_pair_error(found) == pytest.approx(np.mean(pairs))


def test_a_single_column_has_no_pairs():
    with pytest.raises(ValueError, match="at least two columns, got 1"):
        mean_pair_error(np.zeros((1, 1)))


@pytest.fixture
def scores():
    """With many ties."""
    rng = np.random.default_rng(1)
    return np.round(rng.normal(0.4, 1, 70), 1), np.round(rng.normal(0, 1, 90), 1)


def test_auc_equals_scikit_learns(scores):
    positives, negatives = scores
    truth = np.r_[np.ones(70), np.zeros(90)]
    assert auc(positives, negatives) == pytest.approx(roc_auc_score(truth, np.r_[scores]))


def test_weighted_auc_equals_scikit_learns(scores):
    truth = np.r_[np.ones(70), np.zeros(90)].astype(bool)
    weights = np.random.default_rng(2).integers(0, 4, (5, 160)).astype(float)
    found = weighted_auc(np.r_[scores], truth, weights)
    slow = [roc_auc_score(truth, np.r_[scores], sample_weight=w) for w in weights]
    assert found == pytest.approx(slow)
    assert math.isnan(weighted_auc(np.r_[scores], truth, np.zeros((1, 160)))[0])


def test_delong_equals_its_definition(scores):
    """Structural components by comparing every positive with every negative."""
    positives, negatives = scores
    above = (positives[:, None] > negatives) + 0.5 * (positives[:, None] == negatives)
    variance = above.mean(1).var(ddof=1) / 70 + above.mean(0).var(ddof=1) / 90
    found = delong(positives, negatives)
    assert found.value == pytest.approx(above.mean())
    assert found.high - found.low == pytest.approx(2 * 1.959964 * math.sqrt(variance))


def test_null_spread_is_that_of_the_mann_whitney_test():
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=40), rng.normal(size=25)
    test = mannwhitneyu(a, b, method="asymptotic", use_continuity=False)
    z = (test.statistic / (40 * 25) - 0.5) / null_spread(40, 25)
    assert 2 * (1 - 0.5 * (1 + math.erf(abs(z) / math.sqrt(2)))) == pytest.approx(test.pvalue)


def test_nearest_equals_loops():
    rng = np.random.default_rng(4)
    a, b = rng.normal(size=(50, 4)), rng.normal(size=(70, 4))
    slow = ((a[:, None] - b) ** 2).sum(-1)
    found = nearest(a, b)
    assert found.squared_N == pytest.approx(slow.min(1))
    assert found.index_N.tolist() == slow.argmin(1).tolist()


def test_who_is_nearer_to_train_and_whose_row_that_is():
    train, holdout = np.array([[0.0], [10.0]]), np.array([[1.0], [10.0]])
    fakes = np.array([[0.1], [0.9], [10.0], [0.2]])
    to_train, to_holdout = nearest(fakes, train), nearest(fakes, holdout)
    hits = nearer(to_train, to_holdout)
    assert hits.tolist() == [1.0, 0.0, 0.5, 1.0]
    owner = owners(to_train, to_holdout, 2)
    assert owner.tolist() == [0, 2, 1, 0]
    found = closest_share(hits, owner, 4)
    assert found.share == pytest.approx(2.5 / 4)
    assert found.effective == 4
    alone = closest_share(np.ones(12), np.zeros(12, dtype=int), 4)
    assert alone.effective == pytest.approx(144 * 3 / 4 / (9**2 + 3 * 3**2))
    weights = np.array([[1.0, 1.0, 1.0, 1.0], [1.0, 0.0, 1.0, 0.0]])
    assert resampled_shares(hits, owner, weights) == pytest.approx([2.5 / 4, 2 / 3])


def test_the_interval_of_the_share_holds_the_chance_of_the_split():
    """The real rows, not only the fakes, are a sample: 95 % of splits are inside."""
    inside = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        reals, fakes = rng.normal(size=(200, 3)), rng.normal(size=(1500, 3))
        sides = nearest(fakes, reals[:100]), nearest(fakes, reals[100:])
        found = closest_share(nearer(*sides), owners(*sides, 100), 200)
        inside += found.low <= 0.5 <= found.high
    assert 0.9 <= inside / 200 <= 0.99


def test_cramers_v_against_scipy():
    rng = np.random.default_rng(5)
    table = rng.integers(5, 60, (4, 3))
    n, (r, k) = table.sum(), table.shape
    square = chi2_contingency(table, correction=False).statistic / n
    square = max(0.0, square - (r - 1) * (k - 1) / (n - 1))
    smaller = min(r - (r - 1) ** 2 / (n - 1), k - (k - 1) ** 2 / (n - 1)) - 1
    assert cramers_v(table) == pytest.approx(math.sqrt(square / smaller))
    assert cramers_v(np.diag([30, 20, 50])) == pytest.approx(1.0, abs=1e-6)
    assert cramers_v(np.array([[10, 20], [20, 40]])) == 0.0
    assert cramers_v(np.array([[10, 20], [0, 0]])) == 0.0


def test_r_squared_and_mean_auc_equal_scikit_learns():
    rng = np.random.default_rng(6)
    values, guess = rng.normal(size=80), rng.normal(size=80)
    weights = rng.integers(0, 3, (3, 80)).astype(float)
    slow = [r2_score(values, guess, sample_weight=w) for w in weights]
    assert r_squared(values, guess, weights) == pytest.approx(slow)
    classes, odds = rng.integers(3, size=80), rng.dirichlet([1, 1, 1], 80)
    slow = roc_auc_score(classes, odds, multi_class="ovr", average="macro")
    assert mean_auc(classes, odds, np.ones((1, 80)))[0] == pytest.approx(slow)
    pair = (classes > 0).astype(int)
    odds = np.column_stack([odds[:, 0], 1 - odds[:, 0], np.zeros(80)])
    assert mean_auc(pair, odds, np.ones((1, 80)))[0] == pytest.approx(
        roc_auc_score(pair, odds[:, 1])
    )


def test_more_often_is_fishers_exact_test():
    for hits, own in ((0, 0), (3, 0), (9, 1), (30, 5), (12, 11)):
        table = [[hits, 400 - hits], [own, 300 - own]]
        wanted = fisher_exact(table, alternative="greater").pvalue < 0.001
        assert more_often(hits, 400, own, 300) == wanted
    rng = np.random.default_rng(7)
    called = [
        more_often(rng.binomial(400, 0.2), 400, rng.binomial(300, 0.2), 300) for _ in range(500)
    ]
    assert np.mean(called) <= 0.004
    assert more_often(130, 400, 60, 300)


def test_the_interval_of_a_difference_of_shares_holds_it():
    rng = np.random.default_rng(8)
    hits = 0
    for _ in range(1000):
        a, b = rng.binomial(500, 0.02) / 500, rng.binomial(300, 0.02) / 300
        hits += abs(a - b) <= difference_half_width(a, 500, b, 300, z=1.96)
    assert hits >= 930
