"""Evaluate a candidate: its records against the holdout, beside what real data reaches.

1. `build_reference(splits, options)`, once a night: the real side, ceilings;
2. `evaluate(records, reference)`, once for the candidate and once for the champion;
3. `judge` (gate.py), `compare` (promotion.py), `build_report` (reporting.py).

How it is measured is the modality's: see judges.py.
"""

import pyarrow as pa

from gan.evaluation.reference import build_reference
from gan.modalities import Likelihood, Options, Reference, Splits, load_judge
from gan.report import Evaluation

__all__ = ["Options", "Reference", "Splits", "build_reference", "evaluate"]


def evaluate(
    candidate: pa.Table, reference: Reference, *, log_likelihood: Likelihood | None = None
) -> Evaluation:
    """Measure a candidate's records against the holdout.

    Args:
        candidate: at least `reference.n` records, best `reference.wanted` of the generator.
        reference: the real side, from `build_reference`.
        log_likelihood: of the candidate's generator, where it knows one.

    Raises:
        DataError: too few records, or of another shape or type than the training records.
    """
    judge = load_judge(reference.options.modality)
    return judge.evaluate(candidate, reference, log_likelihood=log_likelihood)
