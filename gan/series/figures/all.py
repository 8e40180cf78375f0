"""All figures of a candidate of series, in the order of the report."""

from gan.report import Evaluation, Figure, ReportInputs
from gan.series.evaluation.context import SeriesContext, conform_series
from gan.series.figures.columns import column_figures
from gan.series.figures.in_time import autocorrelation_figure, calendar_maps, fans
from gan.series.figures.samples import ten_entities


def series_figures(evaluation: Evaluation, inputs: ReportInputs) -> tuple[Figure, ...]:
    """Return the figures of a candidate's entities.

    No real entity is in any figure while the inputs are confidential.

    Raises:
        DataError: the candidate has other columns than the real entities.
    """
    context: SeriesContext = inputs.reference.context
    records = conform_series(inputs.candidate, context.splits.train.schema)
    fakes = context.side(records)
    group = max(1, context.metadata.min_group) if inputs.confidential else 1
    found = (
        ten_entities(fakes, context.variables),
        *fans(context, fakes, group),
        autocorrelation_figure(context, fakes),
        *calendar_maps(context, fakes, group),
        *column_figures(context, fakes, evaluation, confidential=inputs.confidential),
    )
    return tuple(figure for figure in found if figure is not None)
