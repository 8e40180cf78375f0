"""Figures of columns: distributions of each, and how far every pair is off.

They are those of tables, on one random step of every entity with its static columns and its number
of steps: so every row of the real side is another entity, and what is shown of rows holds of
entities.
"""

from collections.abc import Mapping, Sequence

import pyarrow as pa

from gan.randomness import numpy_stream
from gan.report import Evaluation, Figure, Metric
from gan.series.evaluation.context import SeriesContext, Side
from gan.tables.figures.columns import DrawnColumn, overlays
from gan.tables.figures.pairs import pair_map
from storage.records.schema import Column

STEPS = "steps per entity"


def column_figures(
    context: SeriesContext, fakes: Side, evaluation: Evaluation, *, confidential: bool
) -> tuple[Figure | None, ...]:
    """Return distributions of columns, and the errors of their pairs."""
    columns = drawn_series_columns(context, confidential=confidential)
    train, holdout, validation = (
        one_step_of_each(side, columns, context.seed)
        for side in (context.train, context.holdout, context.validation)
    )
    made = one_step_of_each(fakes, columns, context.seed)
    errors = column_errors(evaluation)
    return (
        overlays(columns, train, made, errors),
        pair_map(columns, train, (holdout, validation), made, context.seed),
    )


def column_errors(evaluation: Evaluation) -> Mapping[str, Metric]:
    """Return the marginal error of every column that was measured."""
    found = {
        metric.scope.partition("/")[2]: metric
        for metric in evaluation.metrics
        if metric.name == "one_way" and "/" in metric.scope
    }
    length = evaluation.find("length", "all")
    return found if length is None else {**found, STEPS: length.metric}


def drawn_series_columns(context: SeriesContext, *, confidential: bool) -> tuple[DrawnColumn, ...]:
    """Return the columns that figures show: static ones, the number of steps, variables."""
    metadata, judged = context.metadata, context.judged
    described = {one.name: one for one in (*metadata.statics, *metadata.variables)}

    def drawn(column: Column, form: str) -> DrawnColumn:
        hidden = confidential and column.vocabulary != "public"
        return DrawnColumn(
            name=column.name,
            kind=column.kind,
            form="levels" if form == "levels" else "number",
            group=max(metadata.min_group, 1) if hidden else 1,
        )

    steps = drawn(Column(name=STEPS, kind="integer"), "number")
    statics = [drawn(described[one.name], one.form) for one in judged.statics]
    return (
        *statics,
        steps,
        *(drawn(described[one.name], one.form) for one in judged.variables),
    )


def one_step_of_each(side: Side, columns: Sequence[DrawnColumn], seed: int) -> pa.Table:
    """Return one random step of every entity with its static columns and its number of steps."""
    lengths_N = side.observed.lengths_N
    places_N = (numpy_stream(seed, "figure-steps").random(len(lengths_N)) * lengths_N).astype(int)
    rows = pa.array(side.observed.first + places_N)
    statics = set(side.statics.column_names)
    found = {}
    for one in columns:
        if one.name == STEPS and one.name not in statics:
            found[one.name] = pa.chunked_array([pa.array(lengths_N)])
        elif one.name in statics:
            found[one.name] = side.statics[one.name]
        else:
            found[one.name] = side.steps[one.name].take(rows)
    return pa.table(found)
