"""One metric: the share of real vectors with a synthetic one nearby."""

from types import SimpleNamespace

import numpy as np
import pyarrow.compute as pc

from gan.bounds import Limit, MetricEntry
from gan.evaluation.foresight import Foreseen
from gan.metrics.equality import part_hashes
from gan.metrics.pool import K_COVERAGE, coverage, radii
from gan.modalities import check_candidate, comparable_rows
from gan.protocols import Assessment
from gan.report import Ceiling, Evaluation, Figure, Measured, Metric
from storage.records.schema import count_classes

HIGHER = {"unit": "share", "direction": "higher", "is_primary": True}
LIMIT = Limit(side="low", passes=0.5, blocks=0.1)
METRICS = (MetricEntry(name="coverage", meaning="Near others.", limits=(LIMIT,), **HIGHER),)
BARS, CURVES = (), ()


def numbers(records):
    return pc.list_flatten(records["vector"]).to_numpy().reshape(records.num_rows, -1)


def near(real, other):
    within, across = (((real[:, None] - each) ** 2).sum(-1) for each in (real, other))
    np.fill_diagonal(within, np.inf)
    return coverage(radii(within, K_COVERAGE)[0], across)


def wanted_of(records, label):
    return records.num_rows if label is None else count_classes(records[label])


def foresee(splits, options):
    return Foreseen(holdout_rows=comparable_rows(splits, options.cap))


def build_reference(splits, options):
    n, holdout = comparable_rows(splits, options.cap), splits.holdout
    real = numbers(holdout)[:n]
    reached = near(real, numbers(splits.validation)[:n])
    known = {"ceiling": Ceiling(value=reached, low=reached, high=reached), "real": real, "n": n}
    known |= {"options": options, "holdout_rows": holdout.num_rows, "notes": ()}
    return SimpleNamespace(**known, wanted=wanted_of(holdout, splits.label))


def evaluate(candidate, reference, *, log_likelihood=None):
    n, wanted, fakes = reference.n, reference.wanted, numbers(candidate)
    check_candidate(len(fakes), n)
    found = dict.fromkeys(("value", "low", "high"), near(reference.real, fakes[:n]))
    return Evaluation(
        measured=(Measured(metric=Metric(
            name="coverage", scope="all", n=n, ceiling=reference.ceiling, **found)),), n=n,
        candidate_class_counts=wanted if isinstance(wanted, tuple) else (), too_few=(), facts=(),
        candidate_rows=len(fakes), holdout_rows=reference.holdout_rows, seed=reference.options.seed,
    )  # fmt: skip


def record_hashes(splits): return number_hashes  # fmt: skip


def number_hashes(records): return part_hashes(numbers(records))  # fmt: skip


def build_assess(train, validation, *, label, seed, cache=None):
    def assess(sample, samples_seen):
        found = near(numbers(validation), numbers(sample(wanted_of(validation, label))))
        return Assessment(metrics={"coverage": found}, rank=-found, copies=0.0, full_coverage=True)

    return assess


def figures(evaluation, inputs):
    rows = numbers(inputs.candidate)[:5].round(2).tolist()
    own = dict.fromkeys(("caption", "alt"), "Five vectors.") | {"id": "five", "kind": "table"}
    data = {"columns": [*map(str, range(len(rows[0])))], "rows": rows}
    return (Figure(section="samples", data=data, **own),)
