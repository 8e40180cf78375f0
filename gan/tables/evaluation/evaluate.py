"""Measure a candidate's rows against the real ones."""

import json
import time
from collections.abc import Iterator

import pyarrow as pa

from gan.evaluation.judges import Likelihood, check_candidate
from gan.evaluation.measured import Evaluation, Measured
from gan.report import Metric
from gan.tables.evaluation.attacks import NOTABLE_MEMBERSHIP
from gan.tables.evaluation.columns import conform
from gan.tables.evaluation.reference import TableReference
from gan.tables.evaluation.sdmetrics_scores import sdmetrics_scores
from storage.records.schema import Label

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
    sets = reference.ground.sets(records.num_rows)
    measured = [
        *reference.errors.measure(records, sets),
        *reference.closeness.measure(records, sets),
        *reference.attacks.measure(records, sets),
        *reference.usefulness.measure(records),
        *reference.nulls.measure(records),
        *_changed(records),
    ]
    notes = [*reference.notes]
    attack = reference.attacks.membership(log_likelihood)
    if attack is not None:
        measured.append(attack)
        if attack.metric.value > NOTABLE_MEMBERSHIP:
            notes.append(
                f"its likelihood tells training rows from unseen ones with an AUC of "
                f"{attack.metric.value:.3f}: whoever has the generator can guess who was in train"
            )
    if reference.options.sdmetrics:
        measured += sdmetrics_scores(reference.ground, records)
    return Evaluation(
        measured=tuple(measured),
        facts=reference.facts.find(records),
        too_few=(),
        n=reference.n,
        holdout_rows=reference.holdout_rows,
        candidate_rows=records.num_rows,
        candidate_class_counts=_class_counts(records, reference),
        seed=reference.options.seed,
        notes=tuple(notes),
        seconds=time.perf_counter() - started,
    )


def _class_counts(records: pa.Table, reference: TableReference) -> tuple[tuple[Label, int], ...]:
    """Return rows per class, sorted; empty where the label is no class.

    Only classes that enough rows of train have may be named.
    """
    label = reference.splits.label
    levels = reference.facts.validity.levels.get(label or "")
    if label is None or levels is None:
        return ()
    counted = {item["values"]: item["counts"] for item in records[label].value_counts().to_pylist()}
    least = reference.ground.metadata.min_group
    named = [
        value
        for value, count in zip(levels.values.to_pylist(), levels.counts, strict=True)
        if count >= least
    ]
    return tuple((value, counted.get(value, 0)) for value in sorted(named))


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
