"""The judge of tables: errors of columns and pairs, neighbours, trees; its metrics and figures."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from gan.bounds import Alarm, Limit, MetricEntry, pass_bounds
from gan.device import one_thread_everywhere
from gan.evaluation.foresight import Foreseen
from gan.evaluation.published_copies import Hashes
from gan.modalities import Likelihood, Options, Splits
from gan.report import (
    CEILING_UNIT,
    BarGroup,
    CurveGroup,
    Evaluation,
    Figure,
    Metric,
    ReportInputs,
)
from gan.tables.columns.values import require_metadata
from gan.tables.evaluation import assess, foresight
from gan.tables.evaluation.closeness import (
    FEW_ROWS,
    LEAST_CLOSEST,
    NOTABLE_MEMBERSHIP,
)
from gan.tables.evaluation.columns import judged_columns
from gan.tables.evaluation.evaluate import TableReference, evaluate_table
from gan.tables.evaluation.evaluate import build_reference as measure_reals
from gan.tables.figures.columns import drawn_columns, overlays
from gan.tables.figures.groups import check_groups, groups_figures
from gan.tables.figures.pairs import pair_map, plane
from gan.tables.figures.rows import some_rows, worst_columns
from gan.tables.figures.structure import structure
from gan.tables.figures.tails import tails
from gan.tables.losses import losses_figure
from gan.tables.row_hashes import RowHashes

RISK: Mapping[str, Any] = {
    "limits": (Limit(side="high", passes=0.05, blocks=0.15, relation="fixed"),),
    "doubt": 0.0,
    "figures": ("exposure",),
}
"""Of the three ways in which rows may expose a person; what chance explains passes."""

METRICS = (
    MetricEntry(
        name="coverage",
        meaning="Share of real rows that synthetic ones come near.",
        unit="share",
        title="coverage of real rows",
        direction="higher",
        limits=(Limit(side="low", passes=0.9, blocks=0.8),),
        is_primary=True,
        must_be_known=True,
        figures=("error-ratios",),
        ticks=("coverage_ratio",),
        curve="quality",
    ),
    MetricEntry(
        name="one_way",
        scope="all",
        meaning="Mean error of single columns: how far their distributions differ.",
        unit="distance",
        title="errors of single columns",
        limits=(Limit(side="high", passes=2.0, blocks=4.0),),
        figures=("error-ratios",),
        ticks=("one_way",),
        curve="errors",
    ),
    MetricEntry(
        name="one_way",
        meaning="Error of any one column: how far its distribution differs.",
        unit="distance",
        title="errors of single columns",
        limits=(Limit(side="high", passes=0.05, blocks=0.10, relation="above"),),
    ),
    MetricEntry(
        name="two_way",
        meaning="Mean error of pairs of columns: how far their joint distributions differ.",
        unit="distance",
        title="errors of pairs of columns",
        limits=(Limit(side="high", passes=1.5, blocks=2.5),),
        figures=("error-ratios",),
        ticks=("two_way",),
        curve="errors",
    ),
    MetricEntry(
        name="c2st",
        meaning="How well trees tell synthetic rows from real ones; at one half they cannot.",
        unit="AUC",
        title="telling synthetic from real rows by trees",
        limits=(Limit(side="high", passes=0.65, blocks=0.80, relation="fixed"),),
        upper_end=True,
        is_primary=True,
        figures=("attacks",),
    ),
    MetricEntry(
        name="copies",
        meaning="Share of synthetic rows nearer to a training row than unseen real rows are.",
        unit="share",
        title="near copies of training rows",
        aspect="privacy",
        limits=(Limit(side="high", passes=1.5, blocks=1.0),),
        benefit_of_doubt=True,
        is_primary=True,
        must_be_known=True,
        real="nominal",
        figures=("copies-ratio",),
        ticks=("copies_share",),
        curve="copies",
    ),
    MetricEntry(
        name="dcr_share",
        meaning="Share of synthetic rows nearer to train than to the holdout; of real ones half.",
        unit="share",
        title="share of rows nearer to training rows than to unseen ones",
        aspect="privacy",
        limits=(Limit(side="high", passes=0.52, blocks=0.55, relation="fixed"),),
        upper_end=True,
        not_judged=f"{{n}} rows are compared, from {LEAST_CLOSEST:,} on it is judged; until then "
        "calibrated copies are",
        alarms=(
            Alarm(
                side="high",
                bound=0.52,
                meaning="more synthetic rows than chance explains lie nearer to a training row "
                "than to an unseen one, as copies do",
            ),
        ),
        is_primary=True,
        must_be_known=True,
        figures=("attacks",),
    ),
    MetricEntry(
        name="dcr_share",
        scope=FEW_ROWS,
        meaning="The same of few rows: only an interval that is past the bound as a whole blocks.",
        unit="share",
        title="share of rows nearer to training rows than to unseen ones",
        aspect="privacy",
        limits=(Limit(side="high", passes=0.55, blocks=0.55, relation="fixed"),),
        benefit_of_doubt=True,
        figures=("attacks",),
    ),
    MetricEntry(
        name="singling_out",
        meaning="How much oftener a predicate that one synthetic row meets alone is met by one "
        "training row alone than by one unseen row alone (Giomi et al. 2023).",
        unit="risk",
        title="singling out",
        aspect="privacy",
        **RISK,
    ),
    MetricEntry(
        name="linkability",
        meaning="How much oftener two halves of a training row lead to the same synthetic row than "
        "two halves of an unseen row do.",
        unit="risk",
        title="linking two sources",
        aspect="privacy",
        **RISK,
    ),
    MetricEntry(
        name="inference",
        meaning="The same of one column.",
        unit="risk",
        title="inference of a value",
        aspect="privacy",
        not_judged="of many columns one is beyond its bound by chance, all together are judged",
        alarms=(
            Alarm(
                side="high",
                bound=0.15,
                meaning="whoever knows the other columns of a person in train guesses this one "
                "from the synthetic rows",
            ),
        ),
    ),
    MetricEntry(
        name="inference",
        scope="all",
        meaning="How much oftener the nearest synthetic row tells a value of a training row than "
        "of an unseen row.",
        unit="risk",
        title="inference of a value",
        aspect="privacy",
        **RISK,
    ),
    MetricEntry(
        name="tstr_gap",
        meaning="AUC that a classifier loses when it learns from synthetic instead of real rows.",
        unit="loss of AUC",
        title="loss of AUC when learning from synthetic rows",
        aspect="usefulness",
        limits=(Limit(side="high", passes=0.02, blocks=0.05, relation="fixed"),),
        upper_end=True,
        figures=("usefulness",),
    ),
    MetricEntry(
        name="tstr_gap_r2",
        meaning="R² that a regression loses when it learns from synthetic instead of real rows.",
        unit="loss of R²",
        title="loss of R² when learning from synthetic rows",
        aspect="usefulness",
        limits=(Limit(side="high", passes=0.05, blocks=0.10, relation="fixed"),),
        upper_end=True,
        figures=("usefulness",),
    ),
    MetricEntry(
        name="global_utility",
        scope="all",
        meaning="What columns say of one another: how much of every column trees explain by the "
        "others, learned from synthetic rows ÷ from real ones (TabStruct's global utility).",
        unit="ratio",
        title="what columns say of one another",
        direction="higher",
        limits=(Limit(side="low", passes=0.85, blocks=0.65),),
        figures=("error-ratios",),
    ),
    MetricEntry(
        name="global_utility",
        meaning="How much of one column trees explain by the others, learned from synthetic rows; "
        "its ceiling is what they explain when they learned from real ones.",
        unit="share",
        title="what the other columns say of it",
        direction="higher",
        not_judged="all columns together are judged",
    ),
    MetricEntry(
        name="null_rate",
        meaning="How far the share of nulls lies from train's in the worst column.",
        unit="share",
        title="shares of missing values",
        aspect="validity",
        limits=(Limit(side="high", passes=0.005, blocks=0.01, relation="fixed"),),
    ),
    MetricEntry(
        name="repeats",
        meaning="Share of synthetic rows that equal another synthetic one, beside the same share "
        "among as many real rows.",
        unit="share",
        title="rows that repeat one another",
        limits=(Limit(side="high", passes=0.10, blocks=0.25, relation="above"),),
    ),
    MetricEntry(
        name="validation_nll",
        meaning="Negative log-likelihood of validation rows, while training only.",
        unit="nats per row",
        not_judged="it depends on the columns of the table, no bound fits all of them",
        ticks=("validation_nll",),
        curve="likelihood",
    ),
    MetricEntry(
        name="density",
        meaning="Mean number of neighbourhoods of real rows that a synthetic one lies in, over "
        "the expected number.",
        unit="ratio",
        direction="target",
        not_judged="coverage and c2st judge what it would",
        alarms=(
            Alarm(side="low", bound=0.5, meaning="most synthetic rows lie where no real ones are"),
            Alarm(side="high", bound=2.0, meaning="synthetic rows crowd where few real ones are"),
        ),
    ),
    MetricEntry(
        name="membership",
        meaning="How well the generator's likelihood tells training rows from unseen ones.",
        unit="AUC",
        title="membership in training by likelihood",
        aspect="privacy",
        not_judged="rows are published, the generator is not",
        alarms=(
            Alarm(
                side="high",
                bound=NOTABLE_MEMBERSHIP,
                meaning="whoever has the generator can tell which rows it was trained on: do not "
                "hand it out",
            ),
        ),
        figures=("attacks",),
    ),
    MetricEntry(
        name="trtr",
        meaning="Quality of a model that learned from real rows.",
        unit="AUC or R²",
        title="a model that learned from real rows",
        aspect="usefulness",
        direction="higher",
        not_judged="it is of real rows alone, what tstr is held against",
    ),
    MetricEntry(
        name="tstr",
        meaning="Quality of a model that learned from synthetic rows.",
        unit="AUC or R²",
        title="a model that learned from synthetic rows",
        aspect="usefulness",
        direction="higher",
        not_judged="the gap to trtr is judged in its place",
    ),
    MetricEntry(
        name="changed",
        meaning="Share of rows that were altered to meet the constraints.",
        unit="share",
        title="rows altered to meet constraints",
        aspect="validity",
        not_judged="rows are judged as they are published, altered ones with them",
        alarms=(
            Alarm(
                side="high",
                bound=0.1,
                meaning="many rows are as the constraints want them and not as they were learned",
            ),
        ),
    ),
    MetricEntry(
        name="redrawn",
        meaning="Share of rows that were drawn again to meet the constraints.",
        unit="share",
        title="rows drawn again to meet constraints",
        aspect="validity",
        not_judged="rows are judged as they are published, those drawn again with them",
        alarms=(
            Alarm(
                side="high",
                bound=0.5,
                meaning="most rows that were drawn break the constraints: they were not learned",
            ),
        ),
    ),
)
"""Scope `all` is the whole table, `all/<column>` a column of it."""

BARS = (
    BarGroup(
        id="error-ratios",
        caption="Errors of columns and of their pairs, and coverage, against what real rows reach.",
    ),
    BarGroup(
        id="attacks",
        caption="How well a classifier, a neighbour search and a membership attack tell synthetic "
        "rows from real ones or find training rows; at one half they cannot.",
        unit="share or AUC",
        reference=(0.5, "one half"),
    ),
    BarGroup(
        id="exposure",
        caption="What attacks with the synthetic rows gain on training rows over rows never "
        "trained on; at zero nothing.",
        unit="risk",
        reference=(0.0, "no risk"),
    ),
    BarGroup(
        id="copies-ratio",
        caption="Share of rows nearer to a training row than unseen real rows are, over nominal.",
    ),
    BarGroup(
        id="usefulness",
        caption="What a model loses when it learns from synthetic instead of real rows.",
        unit="loss (AUC or R²)",
        reference=(0.0, "no loss"),
    ),
)
"""Each group is drawn against its own bounds."""

CURVES = (
    CurveGroup(
        id="quality",
        caption="Coverage of validation rows while training.",
        unit=CEILING_UNIT,
    ),
    CurveGroup(
        id="copies",
        caption="Share of samples nearer to a training row than the calibrated threshold.",
        unit="share",
    ),
    CurveGroup(
        id="likelihood",
        caption="Negative log-likelihood of validation rows while training; lower is better.",
        unit="nats per row",
    ),
    CurveGroup(
        id="errors",
        caption="Error against validation rows while training: mean total variation distance of "
        "single columns and of pairs of columns.",
        unit="distance",
    ),
)


def figures(evaluation: Evaluation, inputs: ReportInputs) -> tuple[Figure, ...]:
    """Return the figures of the records of a candidate.

    `inputs.reference` offers the real rows as `splits`. No real row is in any figure while the
    inputs are confidential; see `gan.tables.figures`.

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
        some_rows(fakes),
        overlays(columns, train, fakes, errors),
        worst_columns(columns, train, fakes, errors),
        tails(columns, train, fakes),
        structure(metadata, train, splits.holdout, fakes, group),
        pair_map(columns, train, (splits.holdout, splits.validation), fakes, seed),
        plane(columns, train, fakes, group, seed),
        None if inputs.codec is None else losses_figure(inputs.codec, train, fakes),
        *groups_figures(inputs.reference.options.groups, inputs.reference.context, fakes),
    )
    return tuple(figure for figure in found if figure is not None)


def column_errors(evaluation: Evaluation) -> Mapping[str, Metric]:
    """Return the marginal error of every column that was measured."""
    return {
        metric.scope.partition("/")[2]: metric
        for metric in evaluation.metrics
        if metric.name == "one_way" and "/" in metric.scope
    }


def foresee(splits: Splits, options: Options) -> Foreseen:
    """Return what is known before there is a candidate; see `gan.tables.evaluation.foresight`."""
    return foresight.foresee(splits, options)


@one_thread_everywhere()
def build_reference(splits: Splits, options: Options) -> TableReference:
    """Measure what real rows reach; see `gan.tables.evaluation.evaluate`."""
    reference = measure_reals(splits, options)
    check_groups(options.groups, reference.context)
    return reference


def record_hashes(splits: Splits) -> Hashes:
    """Return what hashes rows by their values in all judged columns."""
    columns = judged_columns(require_metadata(splits.train.schema), splits.train, splits.label)
    return RowHashes(tuple(column.name for column in columns))


@one_thread_everywhere()
def evaluate(
    candidate: pa.Table, reference: TableReference, *, log_likelihood: Likelihood | None = None
) -> Evaluation:
    """Measure a candidate's rows against the holdout."""
    return evaluate_table(candidate, reference, log_likelihood)


@one_thread_everywhere()
def build_assess(
    train: pa.Table,
    validation: pa.Table,
    *,
    label: str | None,
    seed: int,
    cache: Path | None = None,  # noqa: ARG001 - nothing is learned that is worth keeping
) -> assess.TableAssess:
    """Code the validation rows, for the choice of the snapshot."""
    passes = pass_bounds(METRICS)
    return assess.build_assess(train, validation, label=label, seed=seed, passes=passes)
