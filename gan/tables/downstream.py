"""What users train on tables: boosted trees, a linear model, a small network, or one of their own.

All of them see the same columns (`usefulness.Features`): numbers as they are, levels by number,
null as NaN. Trees take these; the others take numbers scaled to unit spread, with null at the mean
and a column that says so, and one column per level. A soft label makes one weighted row per class.

Every fit takes equally many trees or steps, whatever the size of its training set; a linear model
has one solution, which it is brought to.

Shapes: N rows to learn from, E rows to score, F columns of the features, D columns of the design,
C classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from gan.errors import DataError
from gan.lift.installed import installed_models
from gan.lift.task import Array, DownstreamTask, Goal, Split, TrainingSet
from gan.modalities import Splits
from gan.tables.columns.values import require_metadata
from gan.tables.downstream_models import FITS, Learning, design_of, fit_of_package, own_cost_s
from gan.tables.downstream_remedies import remedied, remedies_of, remedy_cost_s
from gan.tables.evaluation.columns import (
    as_levels,
    as_numbers,
    is_null,
    judged_columns,
    levels_by_count,
)
from gan.tables.evaluation.rows import some
from gan.tables.evaluation.usefulness import MOST_CLASSES, Features, fit_features
from gan.tables.figures.groups import members, named_values

MOST_SCORED = 20_000
"""Most rows of validation and of the holdout that are scored."""
LEAST_SOFT = 0.01
"""A class that is less probable makes no row of its own."""
RECORD_S = 0.00003
"""Processor seconds that one synthetic row takes."""
OTHERS = "(all others)"
"""The class of values that are rare or beyond the commonest ones."""

MODELS: Mapping[str, str] = {
    "lightgbm": "Boosted trees (LightGBM), a fixed number of them.",
    "linear": "Logistic regression, or ridge regression for numbers, on scaled columns.",
    "mlp": "A network with one hidden layer of 32 units, a fixed number of steps.",
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Answers:
    """The map from the label column to what is predicted."""

    name: str
    goal: Goal
    levels: Any
    """Arrow array of the classes that have a name of their own; empty for numbers."""
    has_others: bool

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; empty for numbers."""
        return (*(str(one) for one in self.levels.to_pylist()), *((OTHERS,) * self.has_others))

    def of(self, records: pa.Table) -> tuple[Array, Array]:
        """Return the rows whose answer is known, and the answers."""
        values = records[self.name]
        if self.goal == "numbers":
            numbers = as_numbers(values)
            known_N = np.flatnonzero(np.isfinite(numbers))
            return known_N, numbers[known_N]
        found = as_levels(values, self.levels)
        known = ~is_null(values)
        if self.has_others:
            found = np.where(found < 0, len(self.levels), found)
        known_N = np.flatnonzero(known & (found >= 0))
        return known_N, found[known_N]


def fit_answers(train: pa.Table, label: str, goal: Goal, min_group: int) -> Answers:
    """Return what is predicted: numbers, or the commonest classes and one for all others."""
    if goal == "numbers":
        return Answers(name=label, goal=goal, levels=pa.array([], pa.string()), has_others=False)
    levels, counts = levels_by_count(train[label])
    own = min(MOST_CLASSES, int((counts >= min_group).sum()))
    return Answers(name=label, goal=goal, levels=levels.slice(0, own), has_others=own < len(levels))


class TableTask:
    """The label of a table, predicted from its other columns."""

    def __init__(self, splits: Splits, features: Features, answers: Answers, seed: int) -> None:
        self._features, self._answers = features, answers
        self._targets: dict[Split, Array] = {}
        self._rows: dict[Split, Array] = {}
        parts: dict[Split, pa.Table] = {"validation": splits.validation, "holdout": splits.holdout}
        for split, records in parts.items():
            scored = some(records, MOST_SCORED, seed, f"lift-{split}")
            known_E, self._targets[split] = answers.of(scored)
            self._rows[split] = features.of(scored)[known_E]
            self._holdout = scored.take(pa.array(known_E))
        self._train = splits.train
        self._design = design_of(features, features.of(splits.train))
        self._last: tuple[pa.Table, Array, Array] | None = None
        """The real rows that were encoded last: the same for most fits."""

    @property
    def goal(self) -> Goal:
        """Whether classes or numbers are predicted."""
        return self._answers.goal

    @property
    def what(self) -> str:
        """What is predicted, for people."""
        return f"{'class' if self.goal == 'classes' else 'value'} of {self._answers.name}"

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, the commonest first."""
        return self._answers.classes

    @property
    def models(self) -> Mapping[str, str]:
        """Name of each downstream model, those of installed packages last."""
        return {
            **MODELS,
            **{name: why for name, why in installed_models().items() if name not in MODELS},
        }

    @property
    def record_s(self) -> float:
        """Processor seconds that making one synthetic row takes, roughly."""
        return RECORD_S

    def cost_s(self, model: str, rows: int, remedy: str = "") -> float:
        """Return the processor seconds of one fit, by constants measured on one machine."""
        scored = sum(len(targets) for targets in self._targets.values())
        width = self._design.width
        columns, outputs = len(self._features.columns), max(1, len(self.classes))
        own_s = own_cost_s(model, rows, scored, columns, width, outputs)
        return own_s + remedy_cost_s(remedy, rows)

    def remedies(self, model: str) -> Mapping[str, str]:
        """Return the free remedies; none where numbers are predicted."""
        del model
        return {} if self.goal == "numbers" else remedies_of(self._features.is_levels)

    def targets(self, split: Split) -> Array:
        """Return class indexes, int64 (E,), or numbers, float64 (E,)."""
        return self._targets[split]

    def groups(self, column: str) -> Mapping[str, Array]:
        """Return the groups that may be named: which scored rows of the holdout are in each."""
        if column == self._answers.name or column not in self._train.column_names:
            return {}
        return members(self._holdout, column, named_values(self._train, column))

    def scores(self, model: str, data: TrainingSet, seed: int) -> Mapping[Split, Array]:
        """Train once and return the scores of both splits.

        Raises:
            DataError: too few rows, one class alone, a remedy that cannot be had, or a model of an
                installed package that fails.
        """
        learning = self._learning(data, seed)
        fit = FITS.get(model) or fit_of_package(model)
        return fit(learning, self._rows, seed)

    def _learning(self, data: TrainingSet, seed: int) -> Learning:
        """Return rows, answers and weights, with the remedy done."""
        rows_NF, targets_N, weights_N = self._real(data)
        rows_NF, targets_N = np.tile(rows_NF, (data.copies, 1)), np.tile(targets_N, data.copies)
        weights_N = np.tile(weights_N, data.copies)
        if data.synthetic is not None:
            more = self._synthetic(data)
            rows_NF = np.concatenate([rows_NF, more[0]])
            targets_N = np.concatenate([targets_N, more[1]])
            weights_N = np.concatenate([weights_N, more[2]])
        if len(np.unique(targets_N)) < 2:
            msg = f"{self._answers.name!r} has one value in {len(targets_N)} rows to learn from"
            raise DataError(msg)
        learning = Learning(
            rows_NF=rows_NF,
            targets_N=targets_N,
            weights_N=weights_N,
            classes=len(self.classes),
            is_levels_F=self._features.is_levels,
            design=self._design,
        )
        return remedied(learning, data.remedy, seed)

    def _known(self, records: pa.Table) -> tuple[Array, Array]:
        if self._last is not None and self._last[0] is records:
            return self._last[1], self._last[2]
        known_N, targets_N = self._answers.of(records)
        rows_NF = self._features.of(records)[known_N]
        self._last = (records, rows_NF, targets_N)
        return rows_NF, targets_N

    def _real(self, data: TrainingSet) -> tuple[Array, Array, Array]:
        """Return rows, targets and weights of the real rows."""
        if data.real_probabilities_NC is not None and self.goal == "classes":
            return self._soft(data.real, data.real_probabilities_NC)
        rows_NF, targets_N = self._known(data.real)
        return rows_NF, targets_N, np.ones(len(rows_NF))

    def _synthetic(self, data: TrainingSet) -> tuple[Array, Array, Array]:
        """Return rows, targets and weights of the synthetic rows."""
        records, soft_NC = data.synthetic, data.probabilities_NC
        if soft_NC is None or self.goal == "numbers":
            known_N, targets_N = self._answers.of(records)
            rows_NF = self._features.of(records)[known_N]
            return rows_NF, targets_N, np.full(len(targets_N), data.synthetic_weight)
        rows_NF, classes_N, weights_N = self._soft(records, soft_NC)
        return rows_NF, classes_N, weights_N * data.synthetic_weight

    def _soft(self, records: pa.Table, soft_NC: Array) -> tuple[Array, Array, Array]:
        """Return a row for every class of a record that is not next to impossible."""
        rows_N, classes_N = np.nonzero(soft_NC > LEAST_SOFT)
        return self._features.of(records)[rows_N], classes_N, soft_NC[rows_N, classes_N]


def build_task(splits: Splits, *, seed: int) -> DownstreamTask | None:
    """Return the learning task of a table; None where no column is predicted.

    Raises:
        DataError: no column can be compared.
    """
    if splits.label is None:
        return None
    metadata = require_metadata(splits.train.schema)
    columns = judged_columns(metadata, splits.train, splits.label)
    own = next((column for column in columns if column.name == splits.label), None)
    if own is None or len(columns) < 2:
        return None
    features = fit_features(splits.train, columns).without(splits.label)
    goal: Goal = "classes" if own.form == "levels" else "numbers"
    answers = fit_answers(splits.train, splits.label, goal, metadata.min_group)
    return TableTask(splits, features, answers, seed)
