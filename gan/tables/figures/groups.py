"""How like real rows the synthetic rows of each group are: one table for every column of groups.

Rows of a group are compared with unseen real rows of the same group alone, at equal numbers: errors
of single columns ÷ what other unseen rows of the group reach, and, of enough rows, how well trees
tell them apart. A group of fewer rows than that says so. No group is named that fewer than
`privacy.min_group` training rows are in; those are one line together.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gan.errors import ConfigError
from gan.metrics.auc import delong
from gan.metrics.intervals import LEVELS
from gan.metrics.marginals import column_errors
from gan.metrics.trees import small_tree_scores
from gan.randomness import numpy_stream
from gan.report import Figure
from gan.tables.columns.values import require_metadata
from gan.tables.evaluation.columns import (
    DERIVED,
    MOST_CLASSES,
    EvaluationContext,
    JudgedColumn,
    is_class,
)
from gan.tables.evaluation.errors import Codes, bins_of_columns
from gan.tables.evaluation.usefulness import fit_features
from gan.tables.figures.columns import NULL, as_text

Array = np.ndarray[Any, Any]

SECTION: Final = "groups"
LEAST_ROWS: Final = 20
"""Rows on each side below which nothing is said of a group."""
LEAST_TOLD: Final = 100
"""Rows on each side from which trees try to tell the two sides apart."""
DRAWS: Final = 20
"""Random halves behind every ratio."""
MOST_GROUPS: Final = 30
"""Groups of one column that are measured, the largest first."""
SHOWN: Final = 4
"""Groups in view, the largest; the others are behind a click."""
FOLDS: Final = 4
TOO_FEW: Final = "too few to say"
COLUMNS: Final = (
    "group",
    "real rows",
    "synthetic rows",
    "share of real",
    "share of synthetic",
    "error ÷ ceiling",
    "95 % interval",
    "told apart (AUC)",
    "95 % interval",
)


def check_groups(groups: Sequence[str], context: EvaluationContext) -> None:
    """Refuse columns that are no groups.

    Raises:
        ConfigError: the table has no such column, or too many different values are in it.
    """
    train = context.splits.train
    kinds = {column.name: column.kind for column in context.metadata.columns}
    for name in groups:
        if name not in train.column_names:
            msg = (
                f"report.groups names {name!r}, which the table does not have: it has "
                f"{', '.join(train.column_names)}"
            )
            raise ConfigError(msg)
        if kinds.get(name) in DERIVED or not _is_grouping(train[name]):
            msg = (
                f"report.groups names {name!r}, whose values make no groups ({kinds.get(name)}, "
                f"{len(train[name].unique()):,} values): name a column of at most {MOST_CLASSES} "
                "values, or of categories"
            )
            raise ConfigError(msg)


def groups_figures(
    groups: Sequence[str], context: EvaluationContext, fakes: pa.Table
) -> Iterator[Figure]:
    """Yield a table for every column of groups.

    Args:
        groups: columns whose values are groups.
        context: the real rows.
        fakes: the synthetic rows.
    """
    for name in groups:
        rows = list(_rows(name, context, fakes))
        known = [row for row in rows if isinstance(row[5], float)]
        worst = max(known, key=lambda row: row[5], default=None)
        said = "" if worst is None else f" Least alike: {worst[0]}, {worst[5]:.3g}."
        yield Figure(
            id=f"groups-{name}",
            section=SECTION,
            caption=f"Groups of {name}: rows of each against unseen real rows of the same group. "
            "The mean error of single columns is divided by what other unseen rows of the group "
            "reach, so that 1 is as good as real rows; trees tell the two sides apart with an AUC "
            f"of one half where they cannot.{said}",
            alt=f"Table of {len(rows)} groups of {name}",
            kind="table",
            data={"columns": list(COLUMNS), "rows": rows, "right": [6, 8], "shown": SHOWN},
        )


def named_values(train: pa.Table, name: str) -> list[Any]:
    """Return the values of a column that may be named, the commonest first; null among them."""
    least = max(require_metadata(train.schema).min_group, 1)
    return [value for value, n in _counts(train, name) if n >= least][:MOST_GROUPS]


def members(records: pa.Table, name: str, values: Sequence[Any]) -> dict[str, Array]:
    """Return which rows have each of these values, by its title; bool (N,)."""
    return {
        _title(value): np.asarray(_mask(records, name, value).to_numpy(), dtype=bool)
        for value in values
    }


def _title(value: Any) -> str:
    return NULL if value is None else as_text(value)


def _is_grouping(column: Any) -> bool:
    if is_class(column):
        return True
    return len(column.unique()) <= MOST_CLASSES


def _rows(name: str, context: EvaluationContext, fakes: pa.Table) -> Iterator[list[Any]]:
    """Yield a row for every group that may be named, the largest first, then all others."""
    splits, least = context.splits, max(context.metadata.min_group, 1)
    values = named_values(splits.train, name)
    unseen = (splits.holdout, splits.validation)
    columns = [one for one in context.columns if one.name != name]
    for value in values:
        parts = [_of(part, name, value) for part in (*unseen, fakes)]
        yield [
            _title(value),
            *_sizes(parts, (splits.holdout, splits.validation, fakes)),
            *_fidelity(parts, columns, context, f"{name}/{value}"),
        ]
    others = [_without(part, name, values) for part in (*unseen, fakes)]
    if any(part.num_rows for part in others):
        # so few rows that their number alone would say something of somebody
        counted = others[0].num_rows + others[1].num_rows >= least
        sizes = _sizes(others, (splits.holdout, splits.validation, fakes))
        shown = sizes if counted else [None, sizes[1], None, sizes[3]]
        yield ["all other values", *shown, TOO_FEW, None, None, None]


def _sizes(parts: Sequence[pa.Table], whole: Sequence[pa.Table]) -> list[Any]:
    """Return real and synthetic rows, and their shares."""
    real, synthetic = parts[0].num_rows + parts[1].num_rows, parts[2].num_rows
    total = whole[0].num_rows + whole[1].num_rows
    return [real, synthetic, real / max(total, 1), synthetic / max(whole[2].num_rows, 1)]


def _fidelity(
    parts: Sequence[pa.Table],
    columns: Sequence[JudgedColumn],
    context: EvaluationContext,
    purpose: str,
) -> list[Any]:
    """Return errors ÷ ceiling and the area of trees, each with its interval; or too few to say."""
    n = min(part.num_rows for part in parts)
    if n < max(LEAST_ROWS, context.metadata.min_group) or not columns:
        return [TOO_FEW, None, None, None]
    rng = numpy_stream(context.seed, f"groups-{purpose}")
    half = n // 2
    codes = Codes(context.splits.train, columns, bins_of_columns(half), half)
    coded = [codes.of(part) for part in parts]
    errors = []
    for _ in range(DRAWS):
        real, other, fake = (side_ND[rng.permutation(len(side_ND))[:half]] for side_ND in coded)
        errors.append(
            [float(column_errors(real, one, codes.sizes).mean()) for one in (fake, other)]
        )
    fakes_R, reals_R = np.array(errors).T
    ceiling = max(float(reals_R.mean()), 1e-9)
    ratios_R = fakes_R / ceiling
    low, high = (float(end) for end in np.quantile(ratios_R, LEVELS))
    told = _told_apart(parts, columns, n, rng) if n >= LEAST_TOLD else [None, None]
    return [float(ratios_R.mean()), f"{low:.3g} to {high:.3g}", *told]


def _told_apart(
    parts: Sequence[pa.Table], columns: Sequence[JudgedColumn], n: int, rng: np.random.Generator
) -> list[Any]:
    """Return the area under the ROC curve of small trees, and its interval."""
    features = fit_features(pa.concat_tables([parts[0], parts[1]]), columns)
    sides = [
        features.of(part.take(pa.array(rng.permutation(part.num_rows)[:n])))
        for part in (parts[0], parts[2])
    ]
    scores = small_tree_scores(sides[0], sides[1], rng, FOLDS, features.is_levels)
    found = delong(scores.fakes_M, scores.reals_N)
    return [found.value, f"{found.low:.3g} to {found.high:.3g}"]


def _counts(records: pa.Table, name: str) -> list[tuple[Any, int]]:
    """Return values and how many rows have each, the commonest first; null among them."""
    counted = pc.value_counts(records[name].combine_chunks()).to_pylist()
    pairs = [(one["values"], one["counts"]) for one in counted]
    return sorted(pairs, key=lambda pair: (-pair[1], str(pair[0])))


def _of(records: pa.Table, name: str, value: Any) -> pa.Table:
    return records.filter(_mask(records, name, value))


def _mask(records: pa.Table, name: str, value: Any) -> Any:
    """Return which rows have a value, as an Arrow array."""
    column = records[name]
    mask = pc.is_null(column) if value is None else pc.equal(column, pa.scalar(value, column.type))
    return pc.fill_null(mask, False)


def _without(records: pa.Table, name: str, values: Sequence[Any]) -> pa.Table:
    column = records[name]
    known = pa.array(values, type=column.type)
    return records.filter(pc.invert(pc.is_in(column, value_set=known)))
