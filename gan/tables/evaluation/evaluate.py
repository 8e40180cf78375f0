"""Measure a candidate's rows against the real ones, which are measured once for all candidates."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from gan.modalities import Likelihood, Options, Splits, check_candidate
from gan.report import AS_MADE, Evaluation, Measured, Metric
from gan.tables.evaluation.closeness import (
    COPY_ROWS,
    NOTABLE_MEMBERSHIP,
    Attacks,
    Closeness,
    RowIdentity,
)
from gan.tables.evaluation.columns import EvaluationContext, build_context, conform
from gan.tables.evaluation.errors import DistributionErrors, error_notes
from gan.tables.evaluation.exposure import Exposure
from gan.tables.evaluation.facts import HardFacts, NullRates
from gan.tables.evaluation.global_utility import GlobalUtility
from gan.tables.evaluation.row_repeats import RowRepeats
from gan.tables.evaluation.rows import RowReference, membership
from gan.tables.evaluation.usefulness import (
    Usefulness,
    fit_features,
    rows_to_learn,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class TableReference(RowReference):
    """Everything about the real rows that evaluating a candidate needs."""

    context: EvaluationContext
    errors: DistributionErrors
    closeness: Closeness
    attacks: Attacks
    exposure: Exposure
    usefulness: Usefulness
    utility: GlobalUtility
    facts: HardFacts
    nulls: NullRates
    repeats: RowRepeats

    @property
    def wanted(self) -> int:
        """What to synthesize for a candidate: rows as they come, so classes are measured, too."""
        return max(self.options.sets * self.n, rows_to_learn(self.context))

    @property
    def notes(self) -> tuple[str, ...]:
        """Plain sentences on how it is measured, for the report."""
        return (*_row_notes(self.context), *error_notes(self.context), *self.usefulness.notes)


def build_reference(splits: Splits, options: Options) -> TableReference:
    """Measure what real rows reach.

    Raises:
        DataError: a split is too small, or the records do not say what their columns mean.
    """
    context = build_context(splits, options)
    identity = RowIdentity((splits.train, splits.validation, splits.holdout), context.columns)
    features = fit_features(splits.train, context.columns)
    return TableReference(
        context=context,
        errors=DistributionErrors(context),
        closeness=Closeness(context, identity),
        attacks=Attacks(context, features),
        exposure=Exposure(context),
        usefulness=Usefulness(context, features),
        utility=GlobalUtility(context, features),
        facts=HardFacts(context, identity),
        nulls=NullRates(context),
        repeats=RowRepeats(context, identity),
    )


def _row_notes(context: EvaluationContext) -> tuple[str, ...]:
    splits, found = context.splits, []
    if max(splits.holdout.num_rows, splits.validation.num_rows) > context.n:
        found.append(
            f"compared {context.n:,} rows on each side; holdout has {splits.holdout.num_rows:,}, "
            f"validation {splits.validation.num_rows:,}"
        )
    if splits.train.num_rows > COPY_ROWS:
        found.append(
            f"near copies were looked for among {COPY_ROWS:,} of {splits.train.num_rows:,} "
            "training rows at most, exact copies among all"
        )
    return tuple(found)


CHANGED = b"ganmill-changed"
"""Key in the metadata of synthesized records: `{"rows", "redrawn", "changed"}`."""


def evaluate_table(
    candidate: pa.Table, reference: TableReference, log_likelihood: Likelihood | None
) -> Evaluation:
    """Return everything that is measured on one candidate.

    Raises:
        DataError: too few rows, or other columns or types than train's.
    """
    started = time.perf_counter()
    check_candidate(candidate.num_rows, reference.n)
    records = conform(candidate, reference.splits.train.schema)
    sets = reference.context.sets(records.num_rows)
    measured = [
        *reference.errors.measure(records, sets),
        *reference.closeness.measure(records, sets),
        *reference.attacks.measure(records, sets),
        *reference.exposure.measure(records),
        *reference.usefulness.measure(records),
        *reference.utility.measure(records),
        *reference.nulls.measure(records),
        reference.repeats.measure(records, sets),
        *_changed(records),
    ]
    notes = [*reference.notes]
    attack = membership(reference.context, reference.context.holdout, log_likelihood)
    if attack is not None:
        measured.append(attack)
        if attack.metric.value > NOTABLE_MEMBERSHIP:
            notes.append(
                f"its likelihood tells training rows from unseen ones with an AUC of "
                f"{attack.metric.value:.3f}: whoever has the generator can guess who was in train"
            )
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
        notes=tuple(notes),
        seconds=time.perf_counter() - started,
    )


def _changed(records: pa.Table) -> Iterator[Measured]:
    """Yield the shares of rows that constraints had drawn again and altered, where they say so."""
    text = (records.schema.metadata or {}).get(CHANGED)
    if text is None:
        return
    counts = json.loads(text)
    for name in ("changed", "redrawn"):
        share = counts[name] / max(counts["rows"], 1)
        metric = Metric(
            name=name,
            scope="all",
            value=share,
            low=share,
            high=share,
            n=counts["rows"],
            direction="lower",
        )
        yield Measured(metric=metric)
