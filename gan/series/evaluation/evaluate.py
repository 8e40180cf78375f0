"""Measure a candidate's entities against the real ones, which are measured once for all."""

import time
from dataclasses import dataclass

import pyarrow as pa

from gan.modalities import Likelihood, Options, Splits, check_candidate
from gan.report import AS_MADE, Evaluation
from gan.series.evaluation.c2st import TwoSampleTests
from gan.series.evaluation.closeness import KernelCloseness, SeriesCopies
from gan.series.evaluation.context import SeriesContext, build_series_context, conform_series
from gan.series.evaluation.errors import PairErrors, SeriesErrors
from gan.series.evaluation.facts import SeriesFacts, check_lists
from gan.series.evaluation.features import KernelSpace
from gan.series.evaluation.identity import EntityIdentity, EntityRepeats
from gan.series.evaluation.paper_scores import PaperScores
from gan.series.evaluation.usefulness import ForecastLoss, entities_to_learn
from gan.tables.evaluation.rows import RowReference, membership


@dataclass(frozen=True, kw_only=True, eq=False)
class SeriesReference(RowReference):
    """Everything about the real entities that evaluating a candidate needs."""

    context: SeriesContext
    errors: SeriesErrors
    pairs: PairErrors
    closeness: KernelCloseness
    copies: SeriesCopies
    tests: TwoSampleTests
    forecasts: ForecastLoss
    papers: PaperScores
    facts: SeriesFacts
    repeats: EntityRepeats

    @property
    def wanted(self) -> int:
        """What to synthesize for a candidate: entities as they come."""
        return max(self.options.sets * self.n, entities_to_learn(self.context))

    @property
    def notes(self) -> tuple[str, ...]:
        """Plain sentences on how it is measured, for the report."""
        context, found = self.context, []
        splits = context.splits
        if max(splits.holdout.num_rows, splits.validation.num_rows) > context.n:
            found.append(
                f"compared {context.n:,} entities on each side; holdout has "
                f"{splits.holdout.num_rows:,}, validation {splits.validation.num_rows:,}"
            )
        looked = len(self.copies.trained)
        if splits.train.num_rows > looked:
            found.append(
                f"near copies were looked for among {looked:,} of {splits.train.num_rows:,} "
                "training entities, exact copies among all"
            )
        if self.forecasts.names:
            names = ", ".join(repr(name) for name in self.forecasts.names)
            season = context.calendar.season
            naive = f"the value {season} steps before" if season > 1 else "the last value"
            found.append(f"forecasts are of {names}; the naive one is {naive}")
        return tuple(found)


def build_series_reference(splits: Splits, options: Options) -> SeriesReference:
    """Measure what real entities reach.

    Raises:
        DataError: a split is too small, or the records do not say what their columns mean.
    """
    context = build_series_context(splits, options)
    parts = (splits.train, splits.validation, splits.holdout)
    identity = EntityIdentity(parts, context.metadata, context.judged)
    space = KernelSpace(context)
    return SeriesReference(
        context=context,
        errors=SeriesErrors(context),
        pairs=PairErrors(context),
        closeness=KernelCloseness(context, space),
        copies=SeriesCopies(context),
        tests=TwoSampleTests(context, space),
        forecasts=ForecastLoss(context),
        papers=PaperScores(context),
        facts=SeriesFacts(context, identity),
        repeats=EntityRepeats(context, identity),
    )


def evaluate_series(
    candidate: pa.Table, reference: SeriesReference, log_likelihood: Likelihood | None
) -> Evaluation:
    """Return everything that is measured on one candidate.

    Raises:
        DataError: too few entities, lists that do not fit together, or other columns or types than
            train's.
    """
    started = time.perf_counter()
    check_candidate(candidate.num_rows, reference.n)
    context = reference.context
    records = conform_series(candidate, context.splits.train.schema)
    check_lists(records, context.metadata)
    side, sets = context.side(records), context.sets(records.num_rows)
    measured = [
        *reference.errors.measure(side, sets),
        *reference.pairs.measure(side, sets),
        *reference.closeness.measure(side, sets),
        *reference.copies.measure(side),
        *reference.tests.measure(side, sets),
        *reference.forecasts.measure(side),
        *reference.papers.measure(side),
        reference.repeats.measure(records, sets),
    ]
    attack = membership(context, context.holdout.records, log_likelihood)
    if attack is not None:
        measured.append(attack)
    return Evaluation(
        measured=tuple(measured),
        facts=reference.facts.find(records),
        too_few=(),
        n=reference.n,
        holdout_rows=reference.holdout_rows,
        candidate_rows=records.num_rows,
        candidate_class_counts=reference.facts.classes.counts(records),
        seed=reference.options.seed,
        made=AS_MADE,
        notes=reference.notes,
        seconds=time.perf_counter() - started,
    )
