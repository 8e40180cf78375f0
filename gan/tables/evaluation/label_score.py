"""What models that learned from a tick's samples know of the label: TSTR on validation rows.

For the likelihood the label is one column of many, though models will predict this one, and it is
often learnt last: where the other columns are independent of each other, the likelihood is best
before anything of the label is known.

Shapes: N validation rows, F columns of the trees.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pyarrow as pa

from gan.tables.evaluation.columns import JudgedColumn
from gan.tables.evaluation.rows import some
from gan.tables.evaluation.usefulness import (
    FEWEST_ROWS,
    Features,
    Target,
    fit_features,
    make_target,
)

Array = np.ndarray[Any, Any]

MOST_ROWS = 3000
"""Most samples that trees learn from, and most rows that score them."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelScore:
    """How well the label of validation rows is predicted by trees that saw samples only."""

    features: Features
    target: Target
    test_NF: Array
    values_N: Array
    rows: int
    """Trees learn from so many."""
    real: float = 0.0
    """AUC or R² of trees that learned from as many training rows."""

    @classmethod
    def build(
        cls,
        train: pa.Table,
        validation: pa.Table,
        columns: Sequence[JudgedColumn],
        label: str,
        *,
        rows: int,
        seed: int,
    ) -> Self | None:
        """Keep the validation rows; None where their label cannot be scored.

        Args:
            train: the training rows.
            validation: rows that score what trees know of the label.
            columns: that trees see.
            label: what they predict.
            rows: trees learn from so many samples, and from as many real ones.
            seed: chooses these.
        """
        column = next((each for each in columns if each.name == label), None)
        if column is None or len(columns) < 2:
            return None
        features = fit_features(train, columns).without(label)
        target = make_target(train, column, "classes" if column.form == "levels" else "number")
        validation = validation.slice(0, MOST_ROWS)
        known_N, values_N = target.of(validation)
        found = cls(
            features=features,
            target=target,
            test_NF=features.of(validation)[known_N],
            values_N=values_N,
            rows=min(rows, train.num_rows, MOST_ROWS),
        )
        reals = some(train, found.rows, seed, "assess-label")
        real = found.learn(reals) if len(known_N) else None
        return None if real is None else replace(found, real=real)

    def gap(self, samples: pa.Table) -> float:
        """Return what is lost with samples instead of training rows, at least 0."""
        known = self.learn(samples)
        return 0.0 if known is None else max(0.0, self.real - known)

    def learn(self, samples: pa.Table) -> float | None:
        """Return AUC or R² of trees that learn from samples; None where it cannot be scored."""
        samples = samples.slice(0, self.rows)
        known_N, values_N = self.target.of(samples)
        if len(known_N) < FEWEST_ROWS:
            return 0.0
        learned = self.features.of(samples)[known_N], values_N
        weights_BN = np.ones((1, len(self.values_N)))
        test = self.test_NF, self.values_N
        (score,) = self.target.scores(learned, test, self.features.is_levels, weights_BN)
        return float(score) if np.isfinite(score) else None
