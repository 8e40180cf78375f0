"""The judge of tables: errors of columns and pairs, neighbours, trees, hard facts.

The figures of a table: ten rows, errors against their bounds, columns, pairs, the plane.
"""

from collections.abc import Mapping

import pyarrow as pa

from gan.device import one_thread_everywhere
from gan.evaluation.reporting import CEILING_UNIT, BarGroup, bars
from gan.gate import GateConfig
from gan.modalities import Likelihood, Options, Splits
from gan.report import Evaluation, Figure, Metric, ReportInputs
from gan.tables.columns.values import require_metadata
from gan.tables.evaluation import assess
from gan.tables.evaluation.evaluate import TableReference, evaluate_table
from gan.tables.evaluation.evaluate import build_reference as measure_reals
from gan.tables.figures.columns import drawn_columns, overlays
from gan.tables.figures.pairs import pair_map, plane
from gan.tables.figures.rows import ten_rows, worst_columns

BARS = (
    BarGroup(
        id="error-ratios",
        caption="Errors of columns and of their pairs, and coverage, against what real rows reach.",
        metrics=("one_way", "two_way", "coverage"),
        unit=CEILING_UNIT,
    ),
    BarGroup(
        id="attacks",
        caption="How well a classifier, a neighbour search and a membership attack tell synthetic "
        "rows from real ones or find those of train: at one half they cannot.",
        metrics=("c2st", "dcr_share", "membership"),
        unit="share or AUC",
        reference=(0.5, "cannot tell"),
    ),
    BarGroup(
        id="copies-ratio",
        caption="Rows nearer to one of train than unseen real rows are, against their own share.",
        metrics=("copies",),
    ),
    BarGroup(
        id="usefulness",
        caption="What a model loses when it learns from synthetic instead of real rows.",
        metrics=("tstr_gap", "tstr_gap_r2"),
        unit="loss (AUC or R²)",
        reference=(0.0, "no loss"),
    ),
)
"""Each group is drawn against its own bounds."""


def figures(evaluation: Evaluation, inputs: ReportInputs, gate: GateConfig) -> tuple[Figure, ...]:
    """Return the figures of one evaluated generator of tables.

    `inputs.reference` offers the real rows as `splits`. No real row is in any figure unless the
    inputs is not confidential; see `gan.tables.figures`.

    Raises:
        DataError: the real rows do not say what their columns mean.
    """
    splits, seed = inputs.reference.splits, evaluation.seed
    train, fakes = splits.train, inputs.candidate
    metadata = require_metadata(train.schema)
    columns = [
        column
        for column in drawn_columns(metadata, train, inputs.label, confidential=inputs.confidential)
        if column.name in fakes.column_names
    ]
    group = metadata.min_group if inputs.confidential else 1
    errors = column_errors(evaluation)
    found = (
        ten_rows(fakes),
        *(bars(evaluation.metrics, one, gate) for one in BARS),
        overlays(columns, train, fakes, errors),
        worst_columns(columns, train, fakes, errors),
        pair_map(columns, train, (splits.holdout, splits.validation), fakes, seed),
        plane(columns, train, fakes, group, seed),
    )
    return tuple(figure for figure in found if figure is not None)


def column_errors(evaluation: Evaluation) -> Mapping[str, Metric]:
    """Return the marginal error of every column that was measured."""
    return {
        metric.scope.partition("/")[2]: metric
        for metric in evaluation.metrics
        if metric.name == "one_way" and "/" in metric.scope
    }


@one_thread_everywhere()
def build_reference(splits: Splits, options: Options) -> TableReference:
    """Measure what real rows reach; see `gan.tables.evaluation.evaluate`."""
    return measure_reals(splits, options)


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
