"""The judge of images: two feature nets, the worse decides."""

import pyarrow as pa

from gan.evaluation.judges import Likelihood, Options, Splits
from gan.evaluation.measured import Evaluation
from gan.evaluation.perceptual import assess, reference
from gan.evaluation.perceptual.evaluate import evaluate as measure
from gan.evaluation.perceptual.reference import PerceptualReference
from gan.images.pictures import pictures

__all__ = ["build_assess", "build_reference", "evaluate", "pictures"]


def build_reference(splits: Splits, options: Options) -> PerceptualReference:
    """Train the feature nets on train and measure what real data reaches."""
    return reference.build_reference(splits, options)


def evaluate(
    candidate: pa.Table,
    reference: PerceptualReference,
    *,
    log_likelihood: Likelihood | None = None,  # noqa: ARG001 - generators of images know none
) -> Evaluation:
    """Measure a candidate's images against the holdout on every feature net."""
    return measure(candidate, reference)


def build_assess(
    train: pa.Table, validation: pa.Table, *, label: str | None, seed: int
) -> assess.ValidationAssess:
    """Train other feature nets than the final evaluation's, for the choice of the snapshot."""
    return assess.build_assess(train, validation, label=label, seed=seed)
