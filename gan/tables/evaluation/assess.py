"""The assessment while training: likelihood of validation rows, and the gate's own measures.

The holdout stays unseen. With many rows, a generator that knows likelihoods is ranked by theirs:
the mean over validation rows hardly swings. With few rows its first minimum comes long before
samples are good (codes of 30 columns are known too surely), so there, and without likelihoods, the
gate's own measures rank: each is 0 where real data is and 1 at its pass bound, `rank` is their sum.
Either way, what models that learn from samples miss of the label counts besides (`label_score`).

Shapes: N validation rows, M samples, F coordinates.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from gan.device import one_thread_everywhere
from gan.metrics.copies import copies_share, nominal_share, threshold
from gan.metrics.distances import nearer
from gan.metrics.intervals import random_half
from gan.metrics.neighbours import nearest, nearest_distances
from gan.metrics.pool import make_pool, measure_coverage
from gan.modalities import check_rows
from gan.protocols import Assessment, SampleFn
from gan.randomness import numpy_stream
from gan.tables.columns.values import require_metadata
from gan.tables.evaluation.closeness import Space
from gan.tables.evaluation.columns import conform, judged_columns
from gan.tables.evaluation.errors import PAIR_COLUMNS, Coded, ErrorCodes
from gan.tables.evaluation.label_score import LabelScore
from gan.tables.evaluation.rows import some

Array = np.ndarray[Any, Any]

SAMPLES, SETS = 2000, 4
"""About how many rows a tick takes, and at most how many times the validation's rows."""
FEW_ROWS = 500
"""Validation rows below which the gate's measures rank even where there are likelihoods."""
LIKELIHOOD_ROWS = 3000
"""Most validation rows whose likelihood is asked for."""
NEAR_ROWS = 500
"""Most validation rows of coverage."""
TRAIN_ROWS = 2000
"""Most training rows among which copies are sought."""
HALVES = 20
LABEL_NATS = 10.0
"""Nats of likelihood that a whole AUC or R² is worth: .01 of it .1 nats."""


@dataclass(frozen=True, kw_only=True, eq=False)
class RealTicks:
    """What real rows reach, from halves of validation against each other."""

    one_way: float
    two_way: float
    coverage: float
    limit: float
    """Distance to train under which a sample counts as a copy."""
    nominal: float
    """Share of validation rows under it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TableAssess:
    """An `Assess` of tables; see `build_assess`."""

    schema: pa.Schema
    likelihood_rows: pa.Table
    """Validation rows whose likelihood is asked for."""
    codes: ErrorCodes
    coded: Coded
    """The validation rows that samples are compared with."""
    space: Space
    train_NF: Array
    equal_NF: Array
    """As many rows of train as of validation."""
    validation_NF: Array
    real: RealTicks
    label: LabelScore | None
    by_likelihood: bool
    """Whether likelihoods rank, where there are any."""
    passes: Mapping[str, float]
    """Name → default pass bound of the gate."""

    @property
    def wanted(self) -> int:
        """How many rows a tick takes."""
        return ticked_rows(len(self.coded.columns_ND))

    @one_thread_everywhere()
    def __call__(self, sample: SampleFn, samples_seen: int) -> Assessment:  # noqa: ARG002
        """Return the assessment of the generator behind `sample`; the same at any time."""
        fakes = conform(sample(self.wanted), self.schema)
        likelihood_N = sample.log_likelihood(self.likelihood_rows)
        by_likelihood = self.by_likelihood and likelihood_N is not None
        sets = 1 if by_likelihood else SETS
        found = {**self._errors(fakes), **self._closeness(fakes, sets)}
        score = by_measures = rank(found, self.real, self.passes)
        if likelihood_N is not None:
            found["validation_nll"] = -float(np.mean(likelihood_N))
            score = found["validation_nll"] if by_likelihood else score
        if self.label is not None:
            found["tstr_gap"] = self.label.gap(fakes)
            by_measures += found["tstr_gap"] / self.label_pass
            score = score + found["tstr_gap"] * LABEL_NATS if by_likelihood else by_measures
        usable = math.isfinite(score)
        return Assessment(
            metrics=found,
            rank=score if usable else math.inf,
            copies=max(found["copies_share"], self.real.nominal),
            full_coverage=False,
            gate_rank=by_measures if usable else math.inf,
        )

    @property
    def label_pass(self) -> float:
        """What the gate lets models lose of the label, in the unit of its score."""
        number = self.label is not None and self.label.target.task == "number"
        return self.passes["tstr_gap_r2" if number else "tstr_gap"]

    def _errors(self, fakes: pa.Table) -> dict[str, float]:
        coded, n = self.codes.code(fakes), len(self.coded.columns_ND)
        parts = [np.arange(start, start + n) for start in range(0, fakes.num_rows - n + 1, n)]
        errors = [self.codes.compare(self.coded, coded.take(rows)) for rows in parts]
        found = {"one_way": float(np.mean([one.columns_D.mean() for one in errors]))}
        if len(self.codes.pairs.sizes) > 1:
            found["two_way"] = float(np.mean([one.pairs for one in errors]))
        return found

    def _closeness(self, fakes: pa.Table, sets: int) -> dict[str, float]:
        """Return coverage ÷ ceiling, copies, and the share nearer to train than to validation.

        Of so many sets of fakes; where likelihoods rank, one will do to be shown.
        """
        n = len(self.validation_NF)
        fakes_MF = self.space.points(fakes.slice(0, sets * n))
        parts = [fakes_MF[start : start + n] for start in range(0, len(fakes_MF) - n + 1, n)]
        covered = [_coverage(self.validation_NF, part) for part in parts]
        return {
            "coverage_ratio": float(np.mean(covered)) / self.real.coverage,
            "copies_share": copies_share(
                nearest_distances(fakes_MF, self.train_NF), self.real.limit
            ),
            "dcr_share": float(
                nearer(
                    nearest(fakes_MF, self.equal_NF), nearest(fakes_MF, self.validation_NF)
                ).mean()
            ),
        }


def ticked_rows(validation_rows: int) -> int:
    """Return how many rows a tick takes, of so many to compare them with."""
    return validation_rows * max(1, min(SETS, SAMPLES // validation_rows))


def rank(found: Mapping[str, float], real: RealTicks, passes: Mapping[str, float]) -> float:
    """Return how far samples are from real rows: the sum over the measures, lower is better."""
    parts = [
        (1.0 - found["coverage_ratio"]) / (1.0 - passes["coverage"]),
        (found["one_way"] / real.one_way - 1.0) / (passes["one_way/all"] - 1.0),
        (found["copies_share"] / real.nominal - 1.0) / (passes["copies"] - 1.0),
    ]
    if "two_way" in found:
        parts.append((found["two_way"] / real.two_way - 1.0) / (passes["two_way"] - 1.0))
    return sum(max(0.0, part) for part in parts)


def build_assess(
    train: pa.Table,
    validation: pa.Table,
    *,
    label: str | None,
    seed: int,
    passes: Mapping[str, float],
) -> TableAssess:
    """Code and place the validation rows.

    Raises:
        DataError: validation is too small to compare anything, or the records do not say what
            their columns mean.
    """
    check_rows("validation", validation)
    columns = judged_columns(require_metadata(train.schema), train, label)
    compared = some(validation, SAMPLES, seed, "assess-validation")
    chosen = np.sort(numpy_stream(seed, "assess-pairs").permutation(len(columns))[:PAIR_COLUMNS])
    paired = [columns[index] for index in chosen.tolist()]
    codes = ErrorCodes(train, columns, paired, compared.num_rows)
    coded, space = codes.code(compared), Space(train, columns)
    train_NF = space.points(some(train, TRAIN_ROWS, seed, "assess-train"))
    near = some(compared, min(NEAR_ROWS, train.num_rows), seed, "assess-near")
    validation_NF = space.points(near)
    return TableAssess(
        schema=train.schema,
        likelihood_rows=some(validation, LIKELIHOOD_ROWS, seed, "assess-likelihood"),
        codes=codes,
        coded=coded,
        space=space,
        train_NF=train_NF,
        equal_NF=space.points(some(train, near.num_rows, seed, "assess-equal")),
        validation_NF=validation_NF,
        label=None
        if label is None
        else LabelScore.build(
            train,
            compared,
            columns,
            label,
            rows=ticked_rows(compared.num_rows),
            seed=seed,
        ),
        real=_real_ticks(codes, coded, validation_NF, train_NF, seed),
        by_likelihood=validation.num_rows >= FEW_ROWS,
        passes=passes,
    )


def _real_ticks(
    codes: ErrorCodes, coded: Coded, validation_NF: Array, train_NF: Array, seed: int
) -> RealTicks:
    """Measure what validation alone can tell of real rows.

    Coverage does not depend on n (Naeem et al. 2020, section 3.3); the errors of two samples of one
    distribution fall as 1 / √n, so those of halves are divided by √2.
    """
    rows, near = len(coded.columns_ND), len(validation_NF)
    errors, covered = [], []
    for index in range(HALVES):
        rng = numpy_stream(seed, "assess-halves", index)
        half = random_half(rows, rng)
        rest = np.setdiff1d(np.arange(rows), half)[: len(half)]
        errors.append(codes.compare(coded.take(half), coded.take(rest)))
        half = random_half(near, rng)
        rest = np.setdiff1d(np.arange(near), half)[: len(half)]
        covered.append(_coverage(validation_NF[half], validation_NF[rest]))
    unseen_N = nearest_distances(validation_NF, train_NF)
    limit = threshold(unseen_N, nominal_share(near))
    shrink = math.sqrt(2.0)
    return RealTicks(
        one_way=max(float(np.mean([one.columns_D.mean() for one in errors])) / shrink, 1e-9),
        two_way=max(float(np.mean([one.pairs for one in errors])) / shrink, 1e-9),
        coverage=max(float(np.mean(covered)), 1e-9),
        limit=limit,
        nominal=copies_share(unseen_N, limit),
    )


def _coverage(reals_NF: Array, fakes_MF: Array) -> float:
    """Return the share of reals that fakes come near."""
    n = len(reals_NF)
    pool = make_pool(np.concatenate([reals_NF, fakes_MF]))
    rows = np.arange(n + len(fakes_MF))
    return measure_coverage(pool, rows[:n], rows[n:])["coverage"]
