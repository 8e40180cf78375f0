"""The judge of tables: errors of columns and pairs, neighbours, trees, hard facts."""

import pyarrow as pa

from gan.device import one_thread_everywhere
from gan.evaluation.judges import Likelihood, Options, Splits
from gan.evaluation.measured import Evaluation
from gan.tables.evaluation import assess, reference
from gan.tables.evaluation.evaluate import evaluate_table
from gan.tables.evaluation.reference import TableReference
from gan.tables.pictures import pictures

__all__ = ["build_assess", "build_reference", "evaluate", "pictures"]


@one_thread_everywhere()
def build_reference(splits: Splits, options: Options) -> TableReference:
    """Measure what real rows reach; see `gan.tables.evaluation.reference`."""
    return reference.build_reference(splits, options)


@one_thread_everywhere()
def evaluate(
    candidate: pa.Table, reference: TableReference, *, log_likelihood: Likelihood | None = None
) -> Evaluation:
    """Measure a candidate's rows against the holdout."""
    return evaluate_table(candidate, reference, log_likelihood)


@one_thread_everywhere()
def build_assess(
    train: pa.Table, validation: pa.Table, *, label: str | None, seed: int
) -> assess.TableAssess:
    """Code the validation rows, for the choice of the snapshot."""
    return assess.build_assess(train, validation, label=label, seed=seed)
