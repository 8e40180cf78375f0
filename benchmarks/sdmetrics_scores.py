"""Scores of the package `sdmetrics`, where it is installed: to compare with what others publish.

They judge nothing: a table that trees nearly always tell from real rows can score above .9 there.
"""

import contextlib
import importlib
import importlib.util
import io
import warnings
from collections.abc import Mapping
from typing import Any

import pandas as pd
import pyarrow as pa

from gan.tables.evaluation.columns import EvaluationContext, as_numbers
from gan.tables.evaluation.rows import some

ROWS = 2000
"""Most rows on each side; with more, its pairs take minutes."""
SCORES: Mapping[str, str] = {
    "Column Shapes": "sdmetrics_column_shapes",
    "Column Pair Trends": "sdmetrics_column_pair_trends",
}
"""Property of its quality report → name of the score here."""
SDTYPES = {"levels": "categorical", "number": "numerical"}


def sdmetrics_scores(context: EvaluationContext, candidate: pa.Table) -> dict[str, float]:
    """Return the scores of its quality report, 0 to 1; nothing where it is not installed."""
    if importlib.util.find_spec("sdmetrics") is None:
        return {}
    module: Any = importlib.import_module("sdmetrics.reports.single_table")
    report = module.QualityReport()
    real, fake = (
        _frame(some(part, ROWS, context.seed, "sdmetrics"), context)
        for part in (context.holdout, candidate)
    )
    metadata = {
        "columns": {column.name: {"sdtype": SDTYPES[column.form]} for column in context.columns}
    }
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        report.generate(real, fake, metadata, verbose=False)
    found = report.get_properties()
    scores = zip(found["Property"], found["Score"], strict=True)
    return {SCORES[name]: float(score) for name, score in scores if name in SCORES}


def _frame(records: pa.Table, context: EvaluationContext) -> pd.DataFrame:
    """Return the judged columns as the package takes them: numbers as floats."""
    return pd.DataFrame(
        {
            column.name: as_numbers(records[column.name])
            if column.form == "number"
            else records[column.name].to_pandas()
            for column in context.columns
        }
    )
