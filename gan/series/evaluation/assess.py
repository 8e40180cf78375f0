"""The assessment while training: likelihood of validation entities, and the gate's own measures.

The holdout stays unseen. A generator that knows likelihoods is ranked by theirs where there are
enough validation entities: their mean hardly swings from tick to tick. With few, and without
likelihoods, the gate's own measures rank: each is 0 where real data is and 1 at its pass bound,
`rank` is their sum. Both classifiers are linear here, which is quick.

Shapes: N validation entities, M samples, F features.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from gan.device import one_thread_everywhere
from gan.metrics.auc import auc
from gan.metrics.copies import copies_share, nominal_share, threshold
from gan.metrics.intervals import random_half
from gan.metrics.pool import make_pool, measure_coverage
from gan.metrics.ridge import ridge_scores
from gan.modalities import Options, Splits, check_rows
from gan.protocols import Assessment, SampleFn
from gan.randomness import numpy_stream
from gan.series.evaluation.aggregates import Aggregate, aggregates_of
from gan.series.evaluation.closeness import SeriesCopies
from gan.series.evaluation.context import (
    SeriesContext,
    Side,
    build_series_context,
    conform_series,
)
from gan.series.evaluation.facts import check_lists
from gan.series.evaluation.features import KernelSpace
from gan.series.evaluation.statistics import Statistics
from gan.tables.evaluation.rows import some

Array = np.ndarray[Any, Any]

ENTITIES, SETS = 500, 2
"""Most validation entities of a tick, and how many times as many samples it takes."""
FEW_ENTITIES = 100
"""Validation entities below which the gate's measures rank even where there are likelihoods."""
LIKELIHOOD_ENTITIES = 1000
"""Most validation entities whose likelihood is asked for."""
MOST_VALUES = 1_000_000
"""Values of all sets beyond which one set will do."""
STRETCHES = 30_000
"""Stretches of training entities among which copies are sought."""
LEAST_ERROR = 0.002
"""A real error below this counts as this, so that no rank is divided by about zero."""
HALVES = 20
RANKED = ("one_way", "autocorrelation", "cross_correlation", "seasonality")
"""Errors whose pass bound is a multiple of the ceiling."""
SHIFTED = ("unchanged", "length", "start")
"""Errors whose pass bound lies so far above the ceiling."""


@dataclass(frozen=True, kw_only=True, eq=False)
class RealSeriesTicks:
    """What real entities reach, from halves of validation against each other."""

    errors: Mapping[str, float]
    coverage: float
    limit: float
    """Distance to train under which a sample counts as a copy."""
    nominal: float
    """Share of validation entities under it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SeriesAssess:
    """An `Assess` of series; see `build_series_assess`."""

    context: SeriesContext
    likelihood_rows: pa.Table
    """Validation entities whose likelihood is asked for."""
    aggregates: tuple[Aggregate, ...]
    totals: tuple[Array, ...]
    """Sums of each measure over validation."""
    space: KernelSpace
    statistics: Statistics
    copies: SeriesCopies
    kernels_NF: Array
    statistics_NF: Array
    real: RealSeriesTicks
    by_likelihood: bool
    """Whether likelihoods rank, where there are any."""
    passes: Mapping[str, float]
    """Name → default pass bound of the gate."""

    @property
    def wanted(self) -> int:
        """How many entities a tick takes; of long ones, one set."""
        steps = float(self.context.train.observed.lengths_N.mean())
        values = steps * len(self.context.signals.names) * SETS * self.context.n
        return self.context.n * (SETS if values <= MOST_VALUES else 1)

    @one_thread_everywhere()
    def __call__(self, sample: SampleFn, samples_seen: int) -> Assessment:  # noqa: ARG002
        """Return the assessment of the generator behind `sample`; the same at any time."""
        fakes = conform_series(sample(self.wanted), self.context.splits.train.schema)
        check_lists(fakes, self.context.metadata)
        side = self.context.side(fakes)
        found = {**self._errors(side), **self._closeness(side)}
        score = by_measures = rank(found, self.real, self.passes)
        likelihood_N = sample.log_likelihood(self.likelihood_rows)
        if likelihood_N is not None:
            found["validation_nll"] = -float(np.mean(likelihood_N))
            score = found["validation_nll"] if self.by_likelihood else score
        usable = math.isfinite(score)
        return Assessment(
            metrics=found,
            rank=score if usable else math.inf,
            copies=max(found["copies_share"], self.real.nominal),
            full_coverage=False,
            gate_rank=by_measures if usable else math.inf,
        )

    def _errors(self, side: Side) -> dict[str, float]:
        """Return every error against validation, as mean over the sets."""
        n, found = self.context.n, {}
        parts = [slice(start, start + n) for start in range(0, side.entities - n + 1, n)]
        for one, total_K in zip(self.aggregates, self.totals, strict=True):
            sums_MK = one.sums(side)
            errors = [one.errors(total_K, sums_MK[rows].sum(axis=0)) for rows in parts]
            found[one.name] = float(np.mean(errors))
        return found

    def _closeness(self, side: Side) -> dict[str, float]:
        """Return coverage ÷ ceiling, copies, and how well linear classifiers tell samples."""
        rows, seed = np.arange(self.context.n), self.context.seed
        kernels_MF = self.space.raw(side, rows)
        points = [
            (part - self.space.mean_F) * self.space.scale_F
            for part in (self.kernels_NF, kernels_MF)
        ]
        plain = ~self.statistics.is_levels
        statistics_MF = self.statistics.of(side)[: self.context.n][:, plain]
        pairs = {
            "c2st_kernels": (self.kernels_NF, kernels_MF),
            "c2st_statistics": (self.statistics_NF, np.nan_to_num(statistics_MF)),
        }
        found = {"coverage_ratio": _coverage(*points) / self.real.coverage}
        for name, (reals_NF, fakes_MF) in pairs.items():
            scores = ridge_scores(reals_NF, fakes_MF, numpy_stream(seed, "assess-folds"))
            found[name] = auc(scores.fakes_M, scores.reals_N)
        found["copies_share"] = copies_share(self.copies.distances(side), self.real.limit)
        return found


def rank(found: Mapping[str, float], real: RealSeriesTicks, passes: Mapping[str, float]) -> float:
    """Return how far samples are from real entities: the sum over measures, lower is better."""
    parts = [
        (1.0 - found["coverage_ratio"]) / (1.0 - passes["coverage"]),
        (found["copies_share"] / real.nominal - 1.0) / (passes["copies"] - 1.0),
    ]
    parts += [
        (found[f"c2st_{scope}"] - 0.5) / (passes[f"c2st/{scope}"] - 0.5)
        for scope in ("kernels", "statistics")
    ]
    for name, error in found.items():
        limit = passes.get(f"{name}/all", passes.get(name, math.nan))
        if name in RANKED:
            parts.append((error / real.errors[name] - 1.0) / (limit - 1.0))
        elif name in SHIFTED:
            parts.append((error - real.errors[name]) / limit)
    return sum(max(0.0, part) for part in parts)


def build_series_assess(
    train: pa.Table,
    validation: pa.Table,
    *,
    label: str | None,
    seed: int,
    passes: Mapping[str, float],
) -> SeriesAssess:
    """Measure the validation entities.

    Raises:
        DataError: validation is too small to compare anything, or the records do not say what
            their columns mean.
    """
    check_rows("validation", validation)
    compared = some(validation, ENTITIES, seed, "assess-validation")
    splits = Splits(train=train, validation=compared, holdout=compared, label=label)
    context = build_series_context(splits, Options(seed=seed, cap=ENTITIES))
    aggregates, space = aggregates_of(context), KernelSpace(context)
    copies = SeriesCopies(context, STRETCHES)
    statistics = Statistics(context)
    kernels_NF = space.raw(context.holdout, np.arange(context.n))
    plain = ~statistics.is_levels
    sums = [one.sums(context.holdout) for one in aggregates]
    return SeriesAssess(
        context=context,
        likelihood_rows=some(validation, LIKELIHOOD_ENTITIES, seed, "assess-likelihood"),
        aggregates=aggregates,
        totals=tuple(one.sum(axis=0) for one in sums),
        space=space,
        statistics=statistics,
        copies=copies,
        kernels_NF=kernels_NF,
        statistics_NF=np.nan_to_num(statistics.of(context.holdout)[:, plain]),
        real=_real_ticks(
            context, aggregates, sums, (kernels_NF - space.mean_F) * space.scale_F, copies
        ),
        by_likelihood=validation.num_rows >= FEW_ENTITIES,
        passes=passes,
    )


def _real_ticks(
    context: SeriesContext,
    aggregates: tuple[Aggregate, ...],
    sums: list[Array],
    points_NF: Array,
    copies: SeriesCopies,
) -> RealSeriesTicks:
    """Measure what validation alone can tell of real entities.

    Coverage does not depend on n (Naeem et al. 2020, section 3.3); errors of two samples of one
    distribution fall as 1 / √n, so those of halves are divided by √2.
    """
    n, covered = context.n, []
    errors: dict[str, list[float]] = {one.name: [] for one in aggregates}
    for index in range(HALVES):
        half = random_half(n, numpy_stream(context.seed, "assess-halves", index))
        rest = np.setdiff1d(np.arange(n), half)[: len(half)]
        for one, sums_NK in zip(aggregates, sums, strict=True):
            found_D = one.errors(sums_NK[half].sum(axis=0), sums_NK[rest].sum(axis=0))
            errors[one.name].append(float(found_D.mean()))
        covered.append(_coverage(points_NF[half], points_NF[rest]))
    unseen_N = copies.distances(context.holdout)
    limit = threshold(unseen_N, nominal_share(n))
    return RealSeriesTicks(
        errors={
            name: max(float(np.mean(parts)) / math.sqrt(2.0), LEAST_ERROR)
            for name, parts in errors.items()
        },
        coverage=max(float(np.mean(covered)), 1e-9),
        limit=limit,
        nominal=copies_share(unseen_N, limit),
    )


def _coverage(reals_NF: Array, fakes_MF: Array) -> float:
    """Return the share of reals that fakes come near."""
    n, pool = len(reals_NF), make_pool(np.concatenate([reals_NF, fakes_MF]))
    rows = np.arange(n + len(fakes_MF))
    return measure_coverage(pool, rows[:n], rows[n:])["coverage"]
