"""How far every pair of columns is off: its error divided by that of unseen real rows.

Shapes: N rows, D columns, K codes of all columns side by side.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from gan.metrics.marginals import starts
from gan.metrics.pairs import one_hot, pair_counts, pair_errors
from gan.report import Figure
from gan.tables.evaluation.codes import fit_codes
from gan.tables.evaluation.columns import JudgedColumn
from gan.tables.evaluation.error_codes import bins_of_pairs
from gan.tables.evaluation.ground import some
from gan.tables.figures.columns import Drawn

Array = np.ndarray[Any, Any]

MOST_COLUMNS = 60
MOST_ROWS = 5000
"""Rows compared on each side."""
SHOWN = 4.0
"""The deepest colour: so many times what real rows reach."""
_SMALLEST = 1e-3
"""A real error below this is taken as this, so that no ratio is out of nothing."""
_NAMED = 3


def pair_map(
    columns: Sequence[Drawn],
    train: pa.Table,
    unseen: tuple[pa.Table, pa.Table],
    fakes: pa.Table,
    seed: int,
) -> Figure | None:
    """Return the error of every pair of columns as a triangle; None with a single column.

    Args:
        columns: in the order of the table; beyond 60 the first ones.
        train: where the codes come from.
        unseen: holdout and validation.
        fakes: the synthetic rows.
        seed: which rows are compared where there are more than are needed.
    """
    shown = columns[:MOST_COLUMNS]
    if len(shown) < 2:
        return None
    ratios_DD = error_ratios(shown, train, (*unseen, fakes), seed)
    names = [column.name for column in shown]
    more = (
        f" The first {len(shown)} of {len(columns)} columns." if len(columns) > len(shown) else ""
    )
    told = _told(names, ratios_DD)
    return Figure(
        id="pair-errors",
        section="columns",
        caption="Error of every pair of columns, and of single columns at the end of each row, "
        "divided by that of unseen real rows: 1 is as good as real data. "
        f"Largest: {told}.{more}",
        alt=f"Triangle of the errors of all pairs of {len(shown)} columns. Largest: {told}",
        kind="heatmap",
        data={
            "names": names,
            "values": [
                [round(float(ratio), 3) for ratio in ratios_DD[row, : row + 1]]
                for row in range(len(names))
            ],
            "low": 1.0,
            "high": SHOWN,
            "unit": "error ÷ real rows'",
        },
    )


def error_ratios(
    columns: Sequence[Drawn],
    train: pa.Table,
    sides: tuple[pa.Table, pa.Table, pa.Table],
    seed: int,
) -> Array:
    """Return the error of every pair ÷ that of real rows, (D, D); `sides` end with the fakes.

    Real rows' error is the measured one of validation, or what chance alone makes where that is
    more: a lucky draw of so few rows must not make a pair look bad.
    """
    rows = min(*(side.num_rows for side in sides), MOST_ROWS)
    judged = [JudgedColumn(name=column.name, form=column.form) for column in columns]
    codes = fit_codes(train, judged, bins_of_pairs(rows), rows)
    holdout_KK, validation_KK, fakes_KK = (
        pair_counts(one_hot(codes.of(some(side, rows, seed, f"pairs-{name}")), codes.sizes)) / rows
        for side, name in zip(sides, ("holdout", "validation", "fakes"), strict=True)
    )
    real_DD = pair_errors(holdout_KK, validation_KK, codes.sizes)
    chance_DD = chance_errors((holdout_KK + validation_KK) / 2, codes.sizes, rows)
    found_DD: Array = pair_errors(holdout_KK, fakes_KK, codes.sizes)
    return found_DD / np.maximum(np.maximum(real_DD, chance_DD), _SMALLEST)


def chance_errors(shares_KK: Array, sizes: Sequence[int], rows: int) -> Array:
    """Return the expected error of every pair between two samples of one distribution, (D, D).

    Each share by the normal approximation: E|p - q| = sqrt(4 s (1 - s) / (pi N)).
    """
    spread_KK = np.sqrt(4 * shares_KK * (1 - shares_KK) / (np.pi * rows))
    first = starts(sizes)
    by_row_DK = np.add.reduceat(spread_KK, first, axis=0, dtype=np.float64)
    errors_DD: Array = 0.5 * np.add.reduceat(by_row_DK, first, axis=1)
    return errors_DD


def _told(names: Sequence[str], ratios_DD: Array) -> str:
    """Return the pairs that are furthest off, in words."""
    rows, columns = np.tril_indices(len(names), -1)
    order = np.argsort(-ratios_DD[rows, columns], kind="stable")[:_NAMED]
    return "; ".join(
        f"{names[columns[i]]} and {names[rows[i]]} {ratios_DD[rows[i], columns[i]]:.1f}"
        for i in order
    )
