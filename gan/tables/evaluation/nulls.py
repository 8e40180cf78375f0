"""How far the shares of nulls lie from train's; the worst column speaks for all.

Because the worst is picked, its interval holds all columns together: each is at the level
1 - .01 / D (Bonferroni).

Shapes: D columns with nulls, B draws.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import pyarrow as pa

from gan.evaluation.ceilings import summarise
from gan.evaluation.measured import Measured
from gan.metrics.proportions import difference_half_width
from gan.randomness import numpy_stream
from gan.report import Metric
from gan.tables.evaluation.columns import is_null
from gan.tables.evaluation.ground import Ground

Array = np.ndarray[Any, Any]

DRAWS = 400
LEVEL = 0.01
"""Probability that any of the intervals misses its difference."""


@dataclass(frozen=True, kw_only=True, eq=False)
class NullSide:
    """The real side: columns that have nulls in train, and how many."""

    names: tuple[str, ...]
    shares_D: Array
    train_rows: int
    seed: int

    def measure(self, candidate: pa.Table) -> Iterator[Measured]:
        """Yield `null_rate` of the worst column; nothing where train has no null.

        Real rows as the candidate: the largest difference that chance alone makes.
        """
        if not self.names:
            return
        rows = candidate.num_rows
        fakes_D = np.array([is_null(candidate[name]).mean() for name in self.names])
        differences_D = np.abs(fakes_D - self.shares_D)
        worst = int(np.argmax(differences_D))
        value, share = float(differences_D[worst]), float(self.shares_D[worst])
        z = NormalDist().inv_cdf(1 - LEVEL / (2 * len(self.names)))
        half = difference_half_width(float(fakes_D[worst]), rows, share, self.train_rows, z)
        rng = numpy_stream(self.seed, "null-rate")
        ours_BD = rng.binomial(rows, self.shares_D, (DRAWS, len(self.names))) / rows
        trains_BD = (
            rng.binomial(self.train_rows, self.shares_D, (DRAWS, len(self.names))) / self.train_rows
        )
        real = summarise(np.abs(ours_BD - trains_BD).max(axis=1).tolist())
        metric = Metric(
            name="null_rate",
            scope=f"all/{self.names[worst]}",
            value=value,
            low=max(0.0, value - half),
            high=min(1.0, value + half),
            n=rows,
            ceiling=real.ceiling,
            direction="lower",
        )
        yield Measured(metric=metric, reals=real.draws)


def build_nulls(ground: Ground) -> NullSide:
    """Count train's nulls in the judged columns."""
    train = ground.splits.train
    shares = {column.name: float(is_null(train[column.name]).mean()) for column in ground.columns}
    names = tuple(name for name, share in shares.items() if share > 0)
    return NullSide(
        names=names,
        shares_D=np.array([shares[name] for name in names]),
        train_rows=train.num_rows,
        seed=ground.seed,
    )
