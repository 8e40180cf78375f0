"""Evaluate a candidate: its records against the holdout, beside what real data reaches.

reference = build_reference(splits, options)      # once per night: nets, features, ceilings
evaluation = evaluate(records, reference)         # once per candidate, champion included
judgement = judge(evaluation, gate_config)        # gan.gate
report = build_report(subject, evaluation, judgement, ...)   # gan.reporting
"""

import pyarrow as pa

from gan.measured import Evaluation
from gan.reference import Options, Reference, Splits, build_reference

__all__ = ["Options", "Reference", "Splits", "build_reference", "evaluate"]


def evaluate(candidate: pa.Table, reference: Reference) -> Evaluation:
    """Measure a candidate's records against the holdout.

    Args:
        candidate: at least `reference.n` records, best `reference.wanted` of the generator.
        reference: the real side, from `build_reference`.

    Raises:
        DataError: too few records, or of another shape or type than the training records.
    """
    raise NotImplementedError
