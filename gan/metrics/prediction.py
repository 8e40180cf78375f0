"""How good predictions are, under many sets of weights at once, such as the counts of a bootstrap.

Average precision: Davis & Goadrich 2006 (ICML) on the step function of precision over recall, equal
scores entering together, as scikit-learn computes it. Brier score: Brier 1950 (Monthly Weather
Review 78, 1). Expected calibration error: Naeini et al. 2015 (AAAI), on the probability of the
predicted class, in bins of equal width.

Shapes: N rows, C classes, B sets of weights.
"""

from typing import Any

import numpy as np

from gan.metrics.auc import sum_groups, weighted_auc

Array = np.ndarray[Any, Any]

CALIBRATION_BINS = 15
LEAST_PROBABILITY = 1e-6
"""A probability counts as at least so much in the log loss."""


def weighted_average_precision(scores_N: Array, positive_N: Array, weights_BN: Array) -> Array:
    """Return the mean precision over the positives, in falling order of scores; float64 (B,).

    NaN where no positive weighs anything.

    Args:
        scores_N: one score per row.
        positive_N: bool.
        weights_BN: at least 0.
    """
    order = np.argsort(-scores_N, kind="stable")
    ordered = scores_N[order]
    first = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    weights = weights_BN[:, order]
    up_BG = sum_groups(weights * positive_N[order].astype(np.float64), first)
    reached_BG = np.cumsum(sum_groups(weights, first), axis=1)
    found_BG = np.cumsum(up_BG, axis=1)
    precision_BG = np.divide(
        found_BG, reached_BG, out=np.zeros_like(found_BG), where=reached_BG > 0
    )
    total_B = found_BG[:, -1]
    mean_B: Array = np.divide(
        (up_BG * precision_BG).sum(axis=1),
        total_B,
        out=np.full(len(weights), np.nan),
        where=total_B > 0,
    )
    return mean_B


def weighted_recalls(right_N: Array, classes_N: Array, count: int, weights_BN: Array) -> Array:
    """Return the share of each class that is predicted right; float64 (B, C), NaN without rows."""
    of_NC = np.eye(count)[classes_N]
    total_BC = weights_BN @ of_NC
    right_BC = weights_BN @ (of_NC * right_N[:, None])
    found: Array = np.divide(
        right_BC, total_BC, out=np.full(total_BC.shape, np.nan), where=total_BC > 0
    )
    return found


def mean_present(values_BC: Array) -> Array:
    """Return the mean of what is known in every row; float64 (B,), NaN where nothing is."""
    known = ~np.isnan(values_BC)
    counts_B = known.sum(axis=1)
    mean_B: Array = np.divide(
        np.where(known, values_BC, 0.0).sum(axis=1),
        counts_B,
        out=np.full(len(values_BC), np.nan),
        where=counts_B > 0,
    )
    return mean_B


def one_against_rest(
    kind: str, probabilities_NC: Array, classes_N: Array, scored: Array, weights_BN: Array
) -> Array:
    """Return the mean over some classes of `auc` or `average_precision`; float64 (B,)."""
    metric = {"auc": weighted_auc, "average_precision": weighted_average_precision}[kind]
    found_BC = np.stack(
        [metric(probabilities_NC[:, c], classes_N == c, weights_BN) for c in scored.tolist()],
        axis=1,
    )
    return mean_present(found_BC)


def weighted_brier(probabilities_NC: Array, classes_N: Array, weights_BN: Array) -> Array:
    """Return the mean squared distance of probabilities from what was; float64 (B,)."""
    error_N = np.square(probabilities_NC - np.eye(probabilities_NC.shape[1])[classes_N]).sum(axis=1)
    return _weighted_mean(error_N, weights_BN)


def weighted_log_loss(probabilities_NC: Array, classes_N: Array, weights_BN: Array) -> Array:
    """Return the mean negative log-probability of what was, in nats; float64 (B,)."""
    own_N = probabilities_NC[np.arange(len(classes_N)), classes_N]
    return _weighted_mean(-np.log(np.maximum(own_N, LEAST_PROBABILITY)), weights_BN)


def weighted_calibration_error(
    probabilities_NC: Array, classes_N: Array, weights_BN: Array
) -> Array:
    """Return how far the predicted class's probability is from its accuracy; float64 (B,)."""
    sure_N = probabilities_NC.max(axis=1)
    right_N = probabilities_NC.argmax(axis=1) == classes_N
    bins_N = np.minimum((sure_N * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
    gap_NK = np.eye(CALIBRATION_BINS)[np.maximum(bins_N, 0)] * (right_N - sure_N)[:, None]
    error_B: Array = np.abs(weights_BN @ gap_NK).sum(axis=1) / weights_BN.sum(axis=1)
    return error_B


def r_squared(values_N: Array, predicted_N: Array, weights_BN: Array) -> Array:
    """Return the share of the variance that is explained, under each set of weights.

    0 where there is no variance.
    """
    total_B = weights_BN.sum(axis=1)
    mean_B = weights_BN @ values_N / total_B
    spread_B = weights_BN @ (values_N * values_N) / total_B - mean_B * mean_B
    error_B = weights_BN @ np.square(values_N - predicted_N) / total_B
    least = np.finfo(np.float64).eps * np.maximum(1.0, mean_B * mean_B)
    found_B: Array = np.where(spread_B > least, 1 - error_B / np.maximum(spread_B, least), 0.0)
    return found_B


def mean_absolute_error(values_N: Array, predicted_N: Array, weights_BN: Array) -> Array:
    """Return the mean absolute error; float64 (B,)."""
    return _weighted_mean(np.abs(values_N - predicted_N), weights_BN)


def _weighted_mean(values_N: Array, weights_BN: Array) -> Array:
    mean_B: Array = weights_BN @ values_N / weights_BN.sum(axis=1)
    return mean_B
