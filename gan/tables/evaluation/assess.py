"""The assessment while training: likelihood of validation rows, and cheap errors of a sample.

The holdout stays unseen. A generator that knows likelihoods is ranked by theirs; any other by its
errors of columns and pairs. Shapes: N validation rows, M samples.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from gan.device import one_thread_everywhere
from gan.evaluation.judges import check_rows
from gan.metrics.closest import nearer, nearest
from gan.metrics.marginals import column_errors
from gan.metrics.pairs import mean_pair_error, one_hot, pair_counts, pair_errors
from gan.hooks import Assessment, SampleFn
from gan.randomness import numpy_stream
from gan.tables.evaluation.codes import Codes, fit_codes
from gan.tables.evaluation.columns import conform, judged_columns
from gan.tables.evaluation.errors import PAIR_COLUMNS, bins_of_columns, bins_of_pairs
from gan.tables.evaluation.ground import some
from gan.tables.evaluation.space import Space, fit_space
from gan.tables.meaning import read_meaning

Array = np.ndarray[Any, Any]

SAMPLES = 2000
"""Most rows on each side of a tick's errors."""
LIKELIHOOD_ROWS = 5000
"""Most validation rows whose likelihood is asked for."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TableAssess:
    """An `Assess` of tables; see `build_assess`."""

    schema: pa.Schema
    likelihood_rows: pa.Table
    """Validation rows whose likelihood is asked for."""
    codes: Codes
    pair_codes: Codes
    codes_ND: Array
    """Of the validation rows that samples are compared with."""
    pairs_KK: Array
    """How often their codes meet, as shares."""
    space: Space
    train_NF: Array
    """As many rows of train as of validation."""
    validation_NF: Array

    @one_thread_everywhere()
    def __call__(self, sample: SampleFn, samples_seen: int) -> Assessment:  # noqa: ARG002
        """Return the assessment of the generator behind `sample`; the same at any time."""
        fakes = conform(sample(len(self.codes_ND)), self.schema)
        found = self._errors(fakes)
        found["dcr_share"] = self._dcr_share(fakes)
        likelihood_N = sample.log_likelihood(self.likelihood_rows)
        if likelihood_N is None:
            rank = found["one_way"] + found.get("two_way", 0.0)
        else:
            found["validation_nll"] = rank = -float(np.mean(likelihood_N))
        return Assessment(
            metrics=found,
            rank=rank if math.isfinite(rank) else math.inf,
            copies=found["dcr_share"],
            full_coverage=False,
        )

    def _errors(self, fakes: pa.Table) -> dict[str, float]:
        columns_D = column_errors(self.codes_ND, self.codes.of(fakes), self.codes.sizes)
        found = {"one_way": float(columns_D.mean())}
        sizes = self.pair_codes.sizes
        if len(sizes) > 1:
            pairs_KK = pair_counts(one_hot(self.pair_codes.of(fakes), sizes)) / fakes.num_rows
            found["two_way"] = mean_pair_error(pair_errors(self.pairs_KK, pairs_KK, sizes))
        return found

    def _dcr_share(self, fakes: pa.Table) -> float:
        """Return the share of samples nearer to train than to validation, equally many of both."""
        fakes_MF = self.space.points(fakes)
        return float(
            nearer(nearest(fakes_MF, self.train_NF), nearest(fakes_MF, self.validation_NF)).mean()
        )


def build_assess(
    train: pa.Table, validation: pa.Table, *, label: str | None, seed: int
) -> TableAssess:
    """Code the validation rows.

    Raises:
        DataError: validation is too small to compare anything, or the records do not say what
            their columns mean.
    """
    check_rows("validation", validation)
    columns = judged_columns(read_meaning(train.schema), train, label)
    compared = some(validation, SAMPLES, seed, "assess-validation")
    n = compared.num_rows
    codes = fit_codes(train, columns, bins_of_columns(n), n)
    chosen = np.sort(numpy_stream(seed, "assess-pairs").permutation(len(columns))[:PAIR_COLUMNS])
    paired = [columns[index] for index in chosen.tolist()]
    pair_codes = fit_codes(train, paired, bins_of_pairs(n), n)
    space = fit_space(train, columns)
    equal = min(n, train.num_rows)
    return TableAssess(
        schema=train.schema,
        likelihood_rows=some(validation, LIKELIHOOD_ROWS, seed, "assess-likelihood"),
        codes=codes,
        pair_codes=pair_codes,
        codes_ND=codes.of(compared),
        pairs_KK=pair_counts(one_hot(pair_codes.of(compared), pair_codes.sizes)) / n,
        space=space,
        train_NF=space.points(some(train, equal, seed, "assess-train")),
        validation_NF=space.points(some(compared, equal, seed, "assess-nearest")),
    )
