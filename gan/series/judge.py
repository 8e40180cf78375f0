"""The judge of series: errors in time and across variables, neighbours, kernels, forecasts."""

from pathlib import Path

import pyarrow as pa

from gan.bounds import Alarm, Limit, MetricEntry, pass_bounds
from gan.device import one_thread_everywhere
from gan.evaluation.foresight import Foreseen
from gan.evaluation.published_copies import Hashes
from gan.modalities import Likelihood, Options, Splits
from gan.report import CEILING_UNIT, BarGroup, CurveGroup, Evaluation, Figure, ReportInputs
from gan.series.columns.fit import require_series
from gan.series.evaluation import assess, foresight
from gan.series.evaluation.context import judged_series
from gan.series.evaluation.evaluate import (
    SeriesReference,
    build_series_reference,
    evaluate_series,
)
from gan.series.evaluation.identity import EntityHashes

RATIO = Limit(side="high", passes=3.0, blocks=5.0)
"""Of errors that are a mean of absolute differences: a single difference exceeds three times the
mean in 2 % of cases where both sides are of one distribution."""
FAR = Limit(side="high", passes=0.10, blocks=0.20, relation="above")
"""Of distances and correlations, from 0 to 1, of one column or one number per entity."""
TELLING = Limit(side="high", passes=0.75, blocks=0.90, relation="fixed")

METRICS = (
    MetricEntry(
        name="coverage",
        meaning="Share of real entities that synthetic ones come near, by convolutional kernels.",
        unit="share",
        title="coverage of real entities",
        direction="higher",
        limits=(Limit(side="low", passes=0.8, blocks=0.65),),
        is_primary=True,
        must_be_known=True,
        figures=("error-ratios",),
        ticks=("coverage_ratio",),
        curve="quality",
    ),
    MetricEntry(
        name="c2st",
        scope="kernels",
        meaning="How well a linear classifier on convolutional kernels tells synthetic entities "
        "from real ones by their shape; at one half it cannot.",
        unit="AUC",
        title="telling synthetic from real entities",
        limits=(TELLING,),
        upper_end=True,
        is_primary=True,
        figures=("attacks",),
        ticks=("c2st_kernels",),
        curve="telling",
    ),
    MetricEntry(
        name="c2st",
        scope="statistics",
        meaning="How well trees tell synthetic entities from real ones by plain statistics of "
        "each: level, spread, repeats, rises, drift, length; at one half they cannot.",
        unit="AUC",
        title="telling synthetic from real entities",
        limits=(TELLING,),
        upper_end=True,
        is_primary=True,
        figures=("attacks",),
        ticks=("c2st_statistics",),
        curve="telling",
    ),
    MetricEntry(
        name="copies",
        meaning="Share of synthetic entities of which a stretch is nearer to a training entity, "
        "shifted in time or not, than unseen real ones are.",
        unit="share",
        title="near copies of training entities",
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
        name="one_way",
        scope="all",
        meaning="Mean error of single columns: how far the distributions of static columns, and "
        "of variables over all steps, differ.",
        unit="distance",
        title="errors of single columns",
        limits=(RATIO,),
        figures=("error-ratios",),
        ticks=("one_way",),
        curve="errors",
    ),
    MetricEntry(
        name="one_way",
        meaning="Error of any one column: how far its distribution differs.",
        unit="distance",
        title="errors of single columns",
        limits=(FAR,),
    ),
    MetricEntry(
        name="two_way",
        meaning="Mean error of pairs of columns in one step, static ones among them: how far "
        "their joint distributions differ.",
        unit="distance",
        title="errors of pairs of columns",
        limits=(Limit(side="high", passes=2.0, blocks=3.0),),
        figures=("error-ratios",),
    ),
    MetricEntry(
        name="autocorrelation",
        scope="all",
        meaning="Mean error of autocorrelations, at the first lags and at those of the seasons.",
        unit="correlation",
        title="autocorrelation over the steps",
        limits=(RATIO,),
        figures=("error-ratios",),
        ticks=("autocorrelation",),
        curve="errors",
    ),
    MetricEntry(
        name="autocorrelation",
        meaning="Error of the autocorrelations of any one variable.",
        unit="correlation",
        title="autocorrelation over the steps",
        limits=(FAR,),
    ),
    MetricEntry(
        name="cross_correlation",
        meaning="Mean error of correlations between variables, in one step and one step apart.",
        unit="correlation",
        title="correlation between variables",
        limits=(RATIO,),
        figures=("error-ratios",),
        ticks=("cross_correlation",),
        curve="errors",
    ),
    MetricEntry(
        name="unchanged",
        scope="all",
        meaning="Mean error of the share of steps in which a variable keeps its value.",
        unit="share",
        title="share of steps without a change",
        limits=(Limit(side="high", passes=0.04, blocks=0.08, relation="above"),),
        ticks=("unchanged",),
        curve="errors",
    ),
    MetricEntry(
        name="unchanged",
        meaning="Error of the share of steps in which any one variable keeps its value.",
        unit="share",
        title="share of steps without a change",
        limits=(Limit(side="high", passes=0.06, blocks=0.12, relation="above"),),
    ),
    MetricEntry(
        name="seasonality",
        scope="all",
        meaning="Mean error of how variables go with the calendar: by hour, weekday and month.",
        unit="rank",
        title="profile over the calendar",
        limits=(RATIO,),
        figures=("error-ratios",),
        ticks=("seasonality",),
        curve="errors",
    ),
    MetricEntry(
        name="seasonality",
        meaning="Error of how any one variable goes with the calendar.",
        unit="rank",
        title="profile over the calendar",
        limits=(Limit(side="high", passes=0.015, blocks=0.03, relation="above"),),
    ),
    MetricEntry(
        name="length",
        meaning="How far the distribution of the numbers of steps differs.",
        unit="distance",
        title="numbers of steps",
        limits=(FAR,),
        ticks=("length",),
        curve="errors",
    ),
    MetricEntry(
        name="start",
        meaning="How far the distribution of the first moments differs.",
        unit="distance",
        title="first moments",
        limits=(FAR,),
        ticks=("start",),
        curve="errors",
    ),
    MetricEntry(
        name="tstr_gap",
        meaning="Share of its error that a forecast adds when it learns from synthetic instead of "
        "real entities.",
        unit="share of the error",
        title="error added when forecasting from synthetic entities",
        aspect="usefulness",
        limits=(Limit(side="high", passes=0.10, blocks=0.25, relation="fixed"),),
        upper_end=True,
        figures=("usefulness",),
    ),
    MetricEntry(
        name="null_rate",
        meaning="How far the share of nulls lies from real entities' in the worst column.",
        unit="share",
        title="shares of missing values",
        aspect="validity",
        limits=(Limit(side="high", passes=0.05, blocks=0.10, relation="above"),),
    ),
    MetricEntry(
        name="repeats",
        meaning="Share of synthetic entities that equal another synthetic one step by step, beside "
        "the same share among as many real ones.",
        unit="share",
        title="entities that repeat one another",
        limits=(Limit(side="high", passes=0.10, blocks=0.25, relation="above"),),
    ),
    MetricEntry(
        name="validation_nll",
        meaning="Negative log-likelihood of validation entities, while training only.",
        unit="nats per entity",
        not_judged="it depends on variables and lengths, no bound fits all of them",
        ticks=("validation_nll",),
        curve="likelihood",
    ),
    MetricEntry(
        name="density",
        meaning="Mean number of neighbourhoods of real entities that a synthetic one lies in, over "
        "the expected number.",
        unit="ratio",
        direction="target",
        not_judged="coverage and c2st judge what it would",
        alarms=(
            Alarm(
                side="low", bound=0.5, meaning="most synthetic entities lie where no real ones are"
            ),
            Alarm(
                side="high", bound=2.0, meaning="synthetic entities crowd where few real ones are"
            ),
        ),
    ),
    MetricEntry(
        name="membership",
        meaning="How well the generator's likelihood tells training entities from unseen ones.",
        unit="AUC",
        title="membership in training by likelihood",
        aspect="privacy",
        not_judged="entities are published, the generator is not",
        alarms=(
            Alarm(
                side="high",
                bound=0.55,
                meaning="whoever has the generator can tell which entities it was trained on: do "
                "not hand it out",
            ),
        ),
        figures=("attacks",),
    ),
    MetricEntry(
        name="trtr",
        meaning="Error of forecasts that learned from real entities, in that of the seasonal naive "
        "one.",
        unit="share of the naive error",
        title="forecasts of a model that learned from real entities",
        aspect="usefulness",
        not_judged="it is of real entities alone, what tstr is held against",
    ),
    MetricEntry(
        name="tstr",
        meaning="Error of forecasts that learned from synthetic entities, in that of the seasonal "
        "naive one.",
        unit="share of the naive error",
        title="forecasts of a model that learned from synthetic entities",
        aspect="usefulness",
        not_judged="the gap to trtr is judged in its place",
    ),
    MetricEntry(
        name="discriminative_score",
        meaning="How far the accuracy of a small recurrent network that tells real from synthetic "
        "windows lies from one half, as papers since TimeGAN report it.",
        unit="share",
        title="discriminative score of TimeGAN",
        not_judged="it is for comparison with papers; c2st tells more with less noise",
    ),
    MetricEntry(
        name="predictive_score",
        meaning="Mean absolute error, from 0 to 1, of a small recurrent network that learned from "
        "synthetic windows, on real ones, as papers since TimeGAN report it.",
        unit="share of the range",
        title="predictive score of TimeGAN",
        aspect="usefulness",
        not_judged="it is for comparison with papers; tstr_gap is judged in its place",
    ),
)
"""Scope `all` is the whole, `all/<column>` a column of it; errors of entities, each one record."""

BARS = (
    BarGroup(
        id="error-ratios",
        caption="Errors of columns, of their pairs, in time and by the calendar, and coverage, "
        "against what real entities reach.",
    ),
    BarGroup(
        id="attacks",
        caption="How well classifiers and a membership attack tell synthetic entities from real "
        "ones or find training entities; at one half they cannot.",
        unit="AUC",
        reference=(0.5, "one half"),
    ),
    BarGroup(
        id="copies-ratio",
        caption="Share of entities nearer to a training entity than unseen real ones are, over "
        "nominal.",
    ),
    BarGroup(
        id="usefulness",
        caption="What a forecast loses when it learns from synthetic instead of real entities.",
        unit="share of the error",
        reference=(0.0, "no loss"),
    ),
)
"""Each group is drawn against its own bounds."""

CURVES = (
    CurveGroup(
        id="quality",
        caption="Coverage of validation entities while training.",
        unit=CEILING_UNIT,
    ),
    CurveGroup(
        id="telling",
        caption="How well linear classifiers tell samples from validation entities while training, "
        "by kernels and by plain statistics; at one half they cannot.",
        unit="AUC",
    ),
    CurveGroup(
        id="copies",
        caption="Share of samples nearer to a training entity than the calibrated threshold.",
        unit="share",
    ),
    CurveGroup(
        id="likelihood",
        caption="Negative log-likelihood of validation entities while training; lower is better.",
        unit="nats per entity",
    ),
    CurveGroup(
        id="errors",
        caption="Errors against validation entities while training: of single columns and pairs, "
        "of correlations in time and between variables, of steps that keep their value.",
        unit="distance",
    ),
)


def figures(evaluation: Evaluation, inputs: ReportInputs) -> tuple[Figure, ...]:
    """Return the figures of the records of a candidate; see `gan.series.figures`.

    Raises:
        DataError: the real entities do not say what their columns mean.
    """
    from gan.series.figures.all import series_figures

    return series_figures(evaluation, inputs)


def foresee(splits: Splits, options: Options) -> Foreseen:
    """Return what is known before there is a candidate; see `gan.series.evaluation.foresight`."""
    return foresight.foresee(splits, options)


@one_thread_everywhere()
def build_reference(splits: Splits, options: Options) -> SeriesReference:
    """Measure what real entities reach; see `gan.series.evaluation.evaluate`."""
    return build_series_reference(splits, options)


def record_hashes(splits: Splits) -> Hashes:
    """Return what hashes entities by the judged variables of all their steps."""
    metadata = require_series(splits.train.schema)
    judged = judged_series(metadata, splits.train, splits.label)
    return EntityHashes(metadata, tuple(one.name for one in judged.variables))


@one_thread_everywhere()
def evaluate(
    candidate: pa.Table, reference: SeriesReference, *, log_likelihood: Likelihood | None = None
) -> Evaluation:
    """Measure a candidate's entities against the holdout."""
    return evaluate_series(candidate, reference, log_likelihood)


@one_thread_everywhere()
def build_assess(
    train: pa.Table,
    validation: pa.Table,
    *,
    label: str | None,
    seed: int,
    cache: Path | None = None,  # noqa: ARG001 - nothing is learned that is worth keeping
) -> assess.SeriesAssess:
    """Measure the validation entities, for the choice of the snapshot."""
    passes = pass_bounds(METRICS)
    return assess.build_series_assess(train, validation, label=label, seed=seed, passes=passes)
