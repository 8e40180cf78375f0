"""What a model loses that learns from synthetic instead of real rows (TSTR against TRTR).

Train on synthetic, test on real: Esteban et al. 2017 (arXiv:1706.02633), section 4.2. Both models
learn from equally many rows and are tested on the same holdout rows; the interval is a paired
bootstrap of these.

With a label, the label is predicted: classes by the area under the ROC curve (one class against the
rest, the mean over classes), numbers by R². Without one, five columns are chosen: those whose codes
depend most on the other columns' in train (mean over the others of Cramér's V with Bergsma's
correction, 2013, Journal of the Korean Statistical Society 42, 323); a number then is above its
median or not.

Models are trees; they take numbers as they are, levels by number, null as NaN.

Shapes: N rows, F columns of the trees, C classes, D columns, B resamples.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa

from gan.evaluation.resampling import summarise
from gan.metrics.auc import weighted_auc
from gan.metrics.intervals import LEVELS
from gan.metrics.prediction import r_squared
from gan.metrics.trees import MOST_LEVELS, class_probabilities, predictions
from gan.randomness import numpy_stream
from gan.report import Ceiling, Measured, Metric, TooFew
from gan.tables.evaluation.columns import (
    EvaluationContext,
    JudgedColumn,
    as_levels,
    as_numbers,
    is_null,
    levels_by_count,
)
from gan.tables.evaluation.errors import Codes
from gan.tables.evaluation.rows import some
from storage.records.modalities import MODALITIES

Array = np.ndarray[Any, Any]

CHOSEN = 5
"""Targets where there is no label."""
MOST_CLASSES = 20
"""Classes of a target; the rest is one more."""
LEAST_OF_A_CLASS = MODALITIES["tables"].judged_class.holdout
"""Holdout rows inside and outside a class below which it is not scored."""
CHOICE_ROWS, CHOICE_BINS = 5000, 10
"""Rows of train and bins that the choice of targets looks at."""
BOOTSTRAPS = 200
MOST_ROWS, MOST_ROWS_CHOSEN = 20_000, 5000
"""Most rows a model learns from: for a label, and for each of several chosen targets."""
FEWEST_ROWS = 20


@dataclass(frozen=True, kw_only=True, eq=False)
class Features:
    """The map from records to the trees' columns."""

    columns: tuple[JudgedColumn, ...]
    levels: tuple[Any, ...]
    """Arrow array of each column's levels, the commonest first; empty for numbers."""

    @property
    def is_levels(self) -> Array:
        """Which columns are levels; bool (F,)."""
        return np.array([column.form == "levels" for column in self.columns], dtype=bool)

    def without(self, name: str) -> "Features":
        """Return the same without one column, such as the target."""
        kept = [i for i, column in enumerate(self.columns) if column.name != name]
        return Features(
            columns=tuple(self.columns[i] for i in kept),
            levels=tuple(self.levels[i] for i in kept),
        )

    def of(self, records: pa.Table) -> Array:
        """Return `features_NF`, float64."""
        parts = [
            self._one(records[column.name], column, levels)
            for column, levels in zip(self.columns, self.levels, strict=True)
        ]
        return np.stack(parts, axis=1)

    def _one(self, values: Any, column: JudgedColumn, levels: Any) -> Array:
        if column.form == "number":
            return as_numbers(values)
        found = as_levels(values, levels).astype(np.float64)
        found[found < 0] = len(levels)
        found[is_null(values)] = np.nan
        return found


def fit_features(train: pa.Table, columns: Sequence[JudgedColumn]) -> Features:
    """Return the features; levels are train's, the rarest of very many share a number."""
    return Features(
        columns=tuple(columns),
        levels=tuple(
            levels_by_count(train[column.name])[0].slice(0, MOST_LEVELS - 1)
            if column.form == "levels"
            else pa.array([], pa.string())
            for column in columns
        ),
    )


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
        if self.task == "above":
            return known_N, (numbers > self.middle).astype(np.int64)
        return known_N, numbers

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


def find_targets(context: EvaluationContext) -> tuple[Target, ...]:
    """Return the label as a target; without one the five columns that depend most on the others."""
    label = context.splits.label
    column = None if label is None else context.column(label)
    if column is not None:
        return (
            make_target(
                context.splits.train, column, "classes" if column.form == "levels" else "number"
            ),
        )
    if len(context.columns) < 2:
        return ()
    rows = some(context.splits.train, CHOICE_ROWS, context.seed, "targets")
    codes = Codes(rows, context.columns, CHOICE_BINS, rows.num_rows)
    order = np.argsort(-dependence(codes, rows), kind="stable")[:CHOSEN]
    chosen = [context.columns[index] for index in sorted(order.tolist())]
    return tuple(
        make_target(context.splits.train, one, "classes" if one.form == "levels" else "above")
        for one in chosen
    )


def unscored_classes(context: EvaluationContext) -> tuple[TooFew, ...]:
    """Return the classes of the label that have too few holdout rows to be scored."""
    label = context.splits.label
    column = None if label is None else context.column(label)
    if column is None or column.form != "levels":
        return ()
    target = make_target(context.splits.train, column, "classes")
    _, values = target.of(context.holdout)
    counts = np.bincount(values, minlength=target.classes)
    return tuple(
        TooFew(label=str(level), n=int(count), needed=LEAST_OF_A_CLASS, metric="tstr_gap")
        for level, count in zip(target.levels.to_pylist(), counts, strict=False)
        if count < LEAST_OF_A_CLASS
    )


def make_target(
    train: pa.Table, column: JudgedColumn, task: Literal["classes", "above", "number"]
) -> Target:
    """Return a column as a target: train's classes, or its median."""
    values = train[column.name]
    if task == "classes":
        levels = levels_by_count(values)[0].slice(0, MOST_CLASSES)
        return Target(column=column, task=task, levels=levels)
    numbers = as_numbers(values)
    known = numbers[~np.isnan(numbers)]
    middle = float(np.median(known)) if len(known) else 0.0
    return Target(column=column, task=task, levels=pa.array([], pa.string()), middle=middle)


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


class BootstrapScore(NamedTuple):
    """A quality on the holdout, and on resamples of it."""

    point: float
    again_B: Array


class TstrTask:
    """One target to predict, with what real rows teach about it."""

    def __init__(
        self, context: EvaluationContext, features: Features, target: Target, most: int
    ) -> None:
        """Resample the holdout, and learn from at most so many real rows and from their halves."""
        self.target, self.features = target, features.without(target.column.name)
        known_N, values = target.of(context.holdout)
        self.test = self.features.of(context.holdout)[known_N], values
        rng, n = numpy_stream(context.seed, "tstr-bootstrap"), context.n
        resamples = (np.bincount(rng.integers(n, size=n), minlength=n) for _ in range(BOOTSTRAPS))
        self.weights_BN = np.stack([np.ones(n), *resamples])[:, known_N]
        """The first row is the holdout itself, the others are its resamples."""
        self.train = some(context.splits.train, most, context.seed, "tstr-train")
        """Real rows to learn from."""
        rows = self.train.num_rows
        order = numpy_stream(context.seed, "tstr-halves").permutation(rows)
        one, two = (
            self.learn(self.train.take(pa.array(half)))
            for half in (order[: rows // 2], order[rows // 2 :])
        )
        differences_B = one.again_B - two.again_B
        self.noise_B = differences_B - differences_B.mean()
        """Difference between two models that learned from the two halves of these real rows, about
        its mean: what the holdout and its size make of models that are equally good."""
        self.real = self.learn(self.train)

    def learn(self, records: pa.Table) -> BootstrapScore:
        """Return the quality of a model that learned from these records."""
        known_N, values = self.target.of(records)
        train = self.features.of(records)[known_N], values
        if len(known_N) < FEWEST_ROWS:
            return BootstrapScore(0.0, np.zeros(len(self.weights_BN) - 1))
        scores = self.target.scores(train, self.test, self.features.is_levels, self.weights_BN)
        return BootstrapScore(float(scores[0]), np.nan_to_num(scores[1:]))

    def real_of(self, rows: int, seed: int) -> BootstrapScore:
        """Return what as many real rows teach, where a candidate has fewer than train."""
        if rows >= self.train.num_rows:
            return self.real
        return self.learn(some(self.train, rows, seed, "tstr-fewer"))


class Usefulness:
    """What models lose on each downstream task when they learn from a candidate's rows."""

    def __init__(self, context: EvaluationContext, features: Features) -> None:
        """Learn from real rows what synthetic ones will be measured by."""
        self.context, targets = context, find_targets(context)
        most = MOST_ROWS if len(targets) == 1 else MOST_ROWS_CHOSEN
        tasks = [TstrTask(context, features, target, most) for target in targets]
        self.tasks = tuple(task for task in tasks if np.isfinite(task.real.point))
        self.names = tuple(task.target.column.name for task in self.tasks)

    @property
    def notes(self) -> tuple[str, ...]:
        """Which targets were chosen, where no label says it."""
        if self.context.splits.label is not None or not self.tasks:
            return ()
        return (
            "without a label, models predict the columns that depend most on the others: "
            + ", ".join(repr(name) for name in self.names),
        )

    def measure(self, candidate: pa.Table) -> Iterator[Measured]:
        """Yield `tstr_gap` (of R²: `tstr_gap_r2`), and both qualities behind it."""
        if not self.tasks:
            return
        context, scope = self.context, "+".join(self.names)
        order = numpy_stream(context.seed, "tstr-rows").permutation(candidate.num_rows)
        learned = [
            task.learn(candidate.take(pa.array(order[: task.train.num_rows])))
            for task in self.tasks
        ]
        reals = [task.real_of(candidate.num_rows, context.seed) for task in self.tasks]
        yield _quality("trtr", scope, reals, context.n)
        yield _quality("tstr", scope, learned, context.n)
        gap = _mean(reals).point - _mean(learned).point
        gaps_B = _mean(reals).again_B - _mean(learned).again_B
        noise_B = np.mean([task.noise_B for task in self.tasks], axis=0)
        low, high = _paired_interval(gap, gaps_B)
        real = summarise(noise_B.tolist(), value=0.0)
        upper = float(np.quantile(noise_B, LEVELS[1]))
        metric = Metric(
            name="tstr_gap_r2" if self.tasks[0].target.task == "number" else "tstr_gap",
            scope=scope,
            value=gap,
            low=low,
            high=high,
            n=context.n,
            ceiling=Ceiling(value=0.0, low=real.ceiling.low, high=real.ceiling.high),
            direction="lower",
        )
        upper_ends = tuple((noise_B + upper).tolist())
        yield Measured(metric=metric, reals=upper_ends, replicates=tuple(gaps_B.tolist()))


def rows_to_learn(context: EvaluationContext) -> int:
    """Return how many fakes a model learns from at most."""
    most = MOST_ROWS if context.splits.label is not None else MOST_ROWS_CHOSEN
    return min(most, int(context.splits.train.num_rows))


def _mean(parts: Sequence[BootstrapScore]) -> BootstrapScore:
    """Return the mean over tasks."""
    point = float(np.mean([part.point for part in parts]))
    return BootstrapScore(point, np.mean([part.again_B for part in parts], axis=0))


def _paired_interval(point: float, again_B: Array) -> tuple[float, float]:
    """Return the point plus the spread of its resamples."""
    low, high = np.quantile(again_B - again_B.mean(), LEVELS)
    return min(point, point + float(low)), max(point, point + float(high))


def _quality(name: str, scope: str, parts: Sequence[BootstrapScore], n: int) -> Measured:
    """Return the mean quality over tasks as a metric."""
    mean = _mean(parts)
    low, high = _paired_interval(mean.point, mean.again_B)
    metric = Metric(name=name, scope=scope, value=mean.point, low=low, high=high, n=n)
    return Measured(metric=metric)
