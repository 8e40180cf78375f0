"""What is predicted to see whether synthetic rows teach what real ones do.

With a label, the label: classes by the area under the ROC curve (one class against the rest, the
mean over classes), numbers by R². Without one, five columns are chosen: those whose codes depend
most on the other columns' in train (mean over the others of Cramér's V with Bergsma's correction,
2013, Journal of the Korean Statistical Society 42, 323); a number then is above its median or not.

Shapes: N rows, C classes, D columns, B resamples.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from gan.metrics.auc import weighted_auc
from gan.metrics.trees import class_probabilities, predictions
from gan.tables.evaluation.codes import Codes, fit_codes
from gan.tables.evaluation.columns import (
    JudgedColumn,
    as_levels,
    as_numbers,
    is_null,
    levels_by_count,
)
from gan.tables.evaluation.features import Features
from gan.tables.evaluation.ground import Ground, some

Array = np.ndarray[Any, Any]

CHOSEN = 5
MOST_CLASSES = 20
"""Classes of a target; the rest is one more."""
LEAST_OF_A_CLASS = 10
"""Holdout rows inside and outside a class below which it is not scored."""
CHOICE_ROWS, CHOICE_BINS = 5000, 10
"""Rows of train and bins that the choice of targets looks at."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Target:
    """One column to predict."""

    column: JudgedColumn
    task: Literal["classes", "above", "number"]
    levels: Any
    """Arrow array of the classes; empty for numbers."""
    middle: float = 0.0
    """Median of train, for `above`."""

    @property
    def classes(self) -> int:
        """Number of classes, the rest among them."""
        return 2 if self.task == "above" else len(self.levels) + 1

    def of(self, records: pa.Table) -> tuple[Array, Array]:
        """Return the rows where the target is known, and its values there."""
        values = records[self.column.name]
        known_N = np.flatnonzero(~is_null(values))
        if self.task == "classes":
            found = as_levels(values, self.levels)
            return known_N, np.where(found < 0, len(self.levels), found)[known_N]
        numbers = as_numbers(values)[known_N]
        return known_N, (numbers > self.middle).astype(
            np.int64
        ) if self.task == "above" else numbers

    def scores(
        self,
        train: tuple[Array, Array],
        test: tuple[Array, Array],
        mask_F: Array,
        weights_BN: Array,
    ) -> Array:
        """Return the quality on the test rows under each set of weights; float64 (B,).

        Args:
            train: features and values to learn from.
            test: features and values of the holdout.
            mask_F: which features are levels.
            weights_BN: of the test rows.
        """
        if self.task == "number":
            return r_squared(test[1], predictions(*train, test[0], mask_F), weights_BN)
        found = class_probabilities(*train, test[0], mask_F, self.classes)
        return mean_auc(test[1], found, weights_BN)


def mean_auc(classes_N: Array, probabilities_NC: Array, weights_BN: Array) -> Array:
    """Return the mean over classes of the area, one class against the rest; float64 (B,).

    Two classes are one question. NaN where no class has enough rows.
    """
    counts = np.bincount(classes_N, minlength=probabilities_NC.shape[1])
    enough = (counts >= LEAST_OF_A_CLASS) & (len(classes_N) - counts >= LEAST_OF_A_CLASS)
    scored = np.flatnonzero(enough)
    if np.count_nonzero(counts) == 2:
        scored = scored[:1]
    if not len(scored):
        return np.full(len(weights_BN), np.nan)
    areas_CB = [
        weighted_auc(probabilities_NC[:, c], classes_N == c, weights_BN) for c in scored.tolist()
    ]
    mean_B: Array = np.mean(areas_CB, axis=0)
    return mean_B


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


def find_targets(ground: Ground) -> tuple[Target, ...]:
    """Return the label as a target, or without one the five columns of the module's rule."""
    label = ground.splits.label
    column = None if label is None else ground.column(label)
    if column is not None:
        return (_target(ground, column, "classes" if column.form == "levels" else "number"),)
    if len(ground.columns) < 2:
        return ()
    rows = some(ground.splits.train, CHOICE_ROWS, ground.seed, "targets")
    codes = fit_codes(rows, ground.columns, CHOICE_BINS, rows.num_rows)
    order = np.argsort(-dependence(codes, rows), kind="stable")[:CHOSEN]
    chosen = [ground.columns[index] for index in sorted(order.tolist())]
    return tuple(
        _target(ground, one, "classes" if one.form == "levels" else "above") for one in chosen
    )


def dependence(codes: Codes, records: pa.Table) -> Array:
    """Return how much every column depends on the others: mean corrected Cramér's V; (D,)."""
    codes_ND, sizes = codes.of(records), codes.sizes
    count = len(sizes)
    found_DD = np.zeros((count, count))
    for a in range(count):
        for b in range(a):
            flat = codes_ND[:, a] * sizes[b] + codes_ND[:, b]
            table = np.bincount(flat, minlength=sizes[a] * sizes[b]).reshape(sizes[a], sizes[b])
            found_DD[a, b] = found_DD[b, a] = cramers_v(table)
    means_D: Array = found_DD.sum(axis=1) / max(count - 1, 1)
    return means_D


def cramers_v(table: Array) -> float:
    """Return Cramér's V of a table of counts, corrected for chance (Bergsma 2013, section 2)."""
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0].astype(np.float64)
    n, (r, k) = table.sum(), table.shape
    if min(r, k) < 2:
        return 0.0
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / n
    square = float((np.square(table - expected) / expected).sum()) / n
    square = max(0.0, square - (r - 1) * (k - 1) / (n - 1))
    smaller = min(r - (r - 1) ** 2 / (n - 1), k - (k - 1) ** 2 / (n - 1)) - 1
    return float(np.sqrt(square / smaller)) if smaller > 0 else 0.0


def _target(
    ground: Ground, column: JudgedColumn, task: Literal["classes", "above", "number"]
) -> Target:
    values = ground.splits.train[column.name]
    if task == "classes":
        levels = levels_by_count(values)[0].slice(0, MOST_CLASSES)
        return Target(column=column, task=task, levels=levels)
    numbers = as_numbers(values)
    known = numbers[~np.isnan(numbers)]
    middle = float(np.median(known)) if len(known) else 0.0
    return Target(column=column, task=task, levels=pa.array([], pa.string()), middle=middle)


def target_features(features: Features, target: Target) -> Features:
    """Return the features that predict a target: all but itself."""
    return features.without(target.column.name)
