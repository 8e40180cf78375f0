"""Global utility: does what the columns say of one another survive?

Every column is predicted from all others, once by trees that learned from synthetic rows and once
by trees that learned from as many real ones, both on the same holdout rows (TabStruct, Jiang et al.
2026, "global utility": a proxy of structural fidelity that needs no causal graph, because each
variable's conditional distribution given the others is tried). Where `tstr_gap` asks about one
target, this asks about all of them.

Of a column, what is explained is 1 - Σ(y - ŷ)² / Σ(y - ȳ)²: of a number its rank in train, of
levels one indicator for each of the commonest (the Brier skill score, Brier 1950). The metric is
the mean over the columns, synthetic ÷ real: 1 is as good as real rows.

Shapes: N holdout rows, M rows to learn from, F features, D target columns, K indicators of one
column, B resamples with the whole first.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from gan.evaluation.resampling import summarise
from gan.metrics.intervals import LEVELS
from gan.metrics.trees import SMALL_TREES
from gan.randomness import numpy_stream
from gan.report import Ceiling, Measured, Metric
from gan.tables.evaluation.columns import EvaluationContext
from gan.tables.evaluation.rows import some
from gan.tables.evaluation.usefulness import Features

Array = np.ndarray[Any, Any]

NAME: Final = "global_utility"
ROWS: Final = 2000
"""Most rows to learn from, and most holdout rows to predict."""
FEWEST_ROWS: Final = 50
"""Holdout rows below which nothing is tried."""
TARGETS: Final = 20
"""Most columns that are predicted, drawn at random of more; all others are features."""
INDICATORS: Final = 4
"""Commonest levels of a column that are told apart."""
LEAST_EXPLAINED: Final = 0.05
"""Where real rows explain less than this of one another, there is no structure to lose."""
LEAST_SHARE: Final = 0.25
"""Of what the whole has, what a resample is divided by at least: one alone decides no interval."""
RESAMPLES: Final = 200
ROUNDS: Final = 40
TREES: Final[Mapping[str, Any]] = {
    **SMALL_TREES,
    "objective": "regression",
    "learning_rate": 0.1,
    "min_data_in_leaf": 20,
    "max_bin": 63,
}


@dataclass(frozen=True, kw_only=True, eq=False)
class PredictedColumn:
    """One column as a target."""

    feature: int
    """Its place among the features."""
    name: str
    levels: int
    """Indicators; 0 for a number."""
    sorted_M: Array
    """Values of train in order, of a number."""

    def of(self, values_N: Array) -> tuple[Array, Array]:
        """Return the rows where the value is known, and the targets there; float64 (N, K)."""
        known_N = np.flatnonzero(~np.isnan(values_N))
        found_N = values_N[known_N]
        if not self.levels:
            low_N = np.searchsorted(self.sorted_M, found_N, side="left")
            high_N = np.searchsorted(self.sorted_M, found_N, side="right")
            ranks_N = (low_N + high_N) / (2 * len(self.sorted_M))
            return known_N, ranks_N[:, None]
        return known_N, (found_N[:, None] == np.arange(self.levels)).astype(np.float64)


class GlobalUtility:
    """What rows teach of every column, against what real rows teach."""

    def __init__(self, context: EvaluationContext, features: Features) -> None:
        """Learn every column from real rows, and from their halves."""
        self.context, self.features = context, features
        train = some(context.splits.train, ROWS, context.seed, "structure-train")
        self.train_MF = features.of(train)
        self.test_NF = features.of(some(context.holdout, ROWS, context.seed, "structure-test"))
        self.targets = self._targets()
        self.rows_BN, self.columns_BD = self._resamples()
        self.real_BD = self.learn(self.train_MF)
        self.draws_B = self._draws()

    @property
    def is_measurable(self) -> bool:
        """Whether real rows explain anything of one another."""
        return bool(self.targets) and float(self.real_BD[0].mean()) >= LEAST_EXPLAINED

    def measure(self, candidate: pa.Table) -> Iterator[Measured]:
        """Yield `global_utility` of the whole, and of the columns that the others explain."""
        if not self.is_measurable:
            return
        rows = some(candidate, len(self.train_MF), self.context.seed, "structure-candidate")
        fakes_MF = self.features.of(rows)
        real_BD = self.real_BD
        if len(fakes_MF) < len(self.train_MF):
            order_M = self._order("structure-fewer")[: len(fakes_MF)]
            real_BD = self.learn(self.train_MF[order_M])
        found_BD = self.learn(fakes_MF)
        yield self._whole(found_BD, real_BD)
        for place, target in enumerate(self.targets):
            if real_BD[0, place] >= LEAST_EXPLAINED:
                yield self._of_column(target.name, found_BD[:, place], real_BD[:, place])

    def _whole(self, found_BD: Array, real_BD: Array) -> Measured:
        ratios_B = self._ratios(found_BD, real_BD)
        real = summarise(self.draws_B.tolist(), value=1.0)
        lost_D = real_BD[0] - found_BD[0]
        worst = int(np.argmax(lost_D))
        because = (
            f"of column {self.targets[worst].name!r} the others explain {found_BD[0, worst]:.0%} "
            f"when learned from synthetic rows and {real_BD[0, worst]:.0%} from real ones"
        )
        return Measured(
            metric=self._metric("all", ratios_B, real.ceiling),
            reals=real.draws,
            replicates=tuple(ratios_B[1:].tolist()),
            because=because if lost_D[worst] > 0 else "",
        )

    def _of_column(self, name: str, found_B: Array, real_B: Array) -> Measured:
        value = float(real_B[0])
        ceiling = summarise((value + real_B[1:] - real_B[1:].mean()).tolist(), value=value).ceiling
        return Measured(metric=self._metric(f"all/{name}", found_B, ceiling))

    def _metric(self, scope: str, values_B: Array, ceiling: Ceiling) -> Metric:
        value = float(values_B[0])
        low, high = np.quantile(values_B[1:] - values_B[1:].mean(), LEVELS)
        return Metric(
            name=NAME,
            scope=scope,
            value=value,
            low=min(value, value + float(low)),
            high=max(value, value + float(high)),
            n=len(self.test_NF),
            ceiling=ceiling,
            direction="higher",
        )

    def learn(self, train_MF: Array) -> Array:
        """Return what is explained of every column by what these rows teach; float64 (B, D)."""
        if not self.targets:
            return np.zeros((len(self.rows_BN), 0))
        return np.stack([self._explained(one, train_MF) for one in self.targets], axis=1)

    def _explained(self, target: PredictedColumn, train_MF: Array) -> Array:
        """Return what is explained of one column under each resample of the holdout; (B,)."""
        known_M, wanted_MK = target.of(train_MF[:, target.feature])
        known_N, truth_NK = target.of(self.test_NF[:, target.feature])
        weights_BN = self.rows_BN[:, known_N]
        if len(known_M) < 2 or not len(known_N):
            return np.zeros(len(weights_BN))
        others = [f for f in range(train_MF.shape[1]) if f != target.feature]
        levels = np.flatnonzero(self.features.is_levels[others]).tolist()
        predicted_NK = _predictions(
            train_MF[known_M][:, others], wanted_MK, self.test_NF[known_N][:, others], levels
        )
        total_B = np.maximum(weights_BN.sum(axis=1), 1.0)
        means_BK = weights_BN @ truth_NK / total_B[:, None]
        spread_B = (weights_BN @ truth_NK**2 - total_B[:, None] * means_BK**2).sum(axis=1)
        missed_B = weights_BN @ ((truth_NK - predicted_NK) ** 2).sum(axis=1)
        found_B: Array = 1.0 - missed_B / np.maximum(spread_B, 1e-12)
        return np.clip(found_B, 0.0, 1.0)

    def _targets(self) -> tuple[PredictedColumn, ...]:
        """Return the columns that differ among the rows, at most `TARGETS`."""
        if len(self.test_NF) < FEWEST_ROWS or len(self.features.columns) < 2:
            return ()
        order = numpy_stream(self.context.seed, "structure-targets").permutation(
            len(self.features.columns)
        )
        found = []
        for place in order.tolist():
            column, values_M = self.features.columns[place], self.train_MF[:, place]
            known_M = np.sort(values_M[~np.isnan(values_M)])
            if not len(known_M) or known_M[0] == known_M[-1]:
                continue
            count = len(np.unique(known_M)) if column.form == "levels" else 0
            found.append(
                PredictedColumn(
                    feature=place,
                    name=column.name,
                    levels=1 if count == 2 else min(count, INDICATORS),
                    sorted_M=known_M,
                )
            )
        return tuple(sorted(found[:TARGETS], key=lambda one: one.feature))

    def _resamples(self) -> tuple[Array, Array]:
        """Return weights of holdout rows and of columns; the first of each is the whole."""
        rng = numpy_stream(self.context.seed, "structure-bootstrap")
        n, d = len(self.test_NF), len(self.targets)
        rows = [np.ones(n)]
        columns = [np.ones(d)]
        for _ in range(RESAMPLES):
            rows.append(np.bincount(rng.integers(n, size=n), minlength=n).astype(np.float64))
            drawn = rng.integers(d, size=d) if d else np.zeros(0, dtype=np.int64)
            columns.append(np.bincount(drawn, minlength=d).astype(np.float64))
        return np.stack(rows), np.stack(columns)

    def _ratios(self, found_BD: Array, real_BD: Array) -> Array:
        """Return the mean over the columns, the first ÷ the second; float64 (B,).

        Resamples of rows are ratios of their own. Resamples of columns enter to first order, by
        what each column adds to the ratio: a few columns alone may have no structure to divide by.
        Nor has every resample of rows: `LEAST_SHARE` of the whole's is divided by at least.
        """
        total = max(float(real_BD[0].sum()), 1e-9)
        ratio = float(found_BD[0].sum()) / total
        rows_B = found_BD.sum(axis=1) / np.maximum(real_BD.sum(axis=1), LEAST_SHARE * total)
        residual_D = found_BD[0] - ratio * real_BD[0]
        ratios_B: Array = rows_B + (self.columns_BD - 1.0) @ residual_D / total
        return ratios_B

    def _draws(self) -> Array:
        """Return the metric of one half of the real rows against the other, about 1; (B - 1,)."""
        if not self.is_measurable:
            return np.ones(RESAMPLES)
        order_M = self._order("structure-halves")
        middle = len(order_M) // 2
        one, two = (
            self.learn(self.train_MF[half]) for half in (order_M[:middle], order_M[middle:])
        )
        ratios_B = self._ratios(one, two)[1:]
        draws_B: Array = ratios_B - ratios_B.mean() + 1.0
        return draws_B

    def _order(self, purpose: str) -> Array:
        order: Array = numpy_stream(self.context.seed, purpose).permutation(len(self.train_MF))
        return order


def _predictions(train_MF: Array, wanted_MK: Array, test_NF: Array, levels: list[int]) -> Array:
    """Return the trees' predictions of every target; float64 (N, K)."""
    import lightgbm

    params = dict(TREES)
    data = lightgbm.Dataset(
        train_MF, wanted_MK[:, 0], categorical_feature=levels, params=params, free_raw_data=False
    )
    found = []
    for k in range(wanted_MK.shape[1]):
        data.set_label(wanted_MK[:, k])
        trees = lightgbm.train(params, data, ROUNDS)
        found.append(trees.predict(test_NF, num_threads=1))
    return np.stack(found, axis=1)
