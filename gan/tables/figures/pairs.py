"""How far every pair of columns is off: total variation distance ÷ that of unseen real rows.

Total variation distance of two columns' joint distribution: half the sum over all pairs of codes of
the absolute difference of shares (D. Levin, Y. Peres, Markov Chains and Mixing Times, prop. 4.2).
Codes are quantile bins of train for numbers and the commonest levels for the rest.

Shapes: N rows, D columns.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from gan.randomness import numpy_stream
from gan.report import Figure
from gan.tables.figures.columns import Drawn, as_levels, as_numbers, count_levels
from gan.tables.figures.overlays import common_levels

Array = np.ndarray[Any, Any]

MOST_COLUMNS = 60
MOST_ROWS = 5000
"""Rows compared on each side."""
BINS = 10
LEVELS = 12
SHOWN = 4.0
"""The deepest colour: so many times what real rows reach."""
_SMALLEST = 1e-3
"""A real distance below this is taken as this, so that no ratio is out of nothing."""
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
    rows = min(*(part.num_rows for part in unseen), fakes.num_rows, MOST_ROWS)
    tables = [
        _subset(table, rows, seed, name)
        for table, name in zip((*unseen, fakes), ("holdout", "validation", "fakes"), strict=True)
    ]
    coded = [code(column, train, tables) for column in shown]
    sizes = [size for _, size in coded]
    holdout, validation, synthetic = (
        np.stack([parts[index] for parts, _ in coded], axis=1) for index in range(len(tables))
    )
    real, chance = pair_distances(validation, holdout, sizes)
    fake, _ = pair_distances(synthetic, holdout, sizes)
    ratios = fake / np.maximum(np.maximum(real, chance), _SMALLEST)
    values = [[round(float(x), 3) for x in ratios[row, : row + 1]] for row in range(len(shown))]
    names = [column.name for column in shown]
    more = (
        f" The first {len(shown)} of {len(columns)} columns." if len(columns) > len(shown) else ""
    )
    told = _told(names, ratios)
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
            "values": values,
            "low": 1.0,
            "high": SHOWN,
            "unit": "error ÷ real rows'",
        },
    )


def code(column: Drawn, train: pa.Table, tables: Sequence[pa.Table]) -> tuple[list[Array], int]:
    """Return the codes of a column in every table, and how many codes there are."""
    if column.form == "number":
        known = as_numbers(train[column.name])
        known = known[~np.isnan(known)]
        steps = np.linspace(0, 1, BINS + 1)[1:-1]
        edges = np.unique(np.quantile(known, steps)) if len(known) else np.zeros(0)
        size = len(edges) + 2
        return [_bin(as_numbers(table[column.name]), edges) for table in tables], size
    counts = count_levels(train[column.name])
    codes = {name: index for index, name in enumerate(common_levels(counts, 1, LEVELS))}
    others = len(codes)
    coded = [
        np.array([codes.get(name, others) for name in as_levels(table[column.name])], dtype=np.intp)
        for table in tables
    ]
    return coded, others + 1


def pair_distances(a_ND: Array, b_ND: Array, sizes: Sequence[int]) -> tuple[Array, Array]:
    """Return the distances of all pairs, and what chance alone makes of them.

    Both are symmetric (D, D) arrays; on the diagonal are single columns. Chance is the expected
    distance of two samples of N rows that come from one distribution, by the normal approximation
    of every share, E|p - q| = sqrt(4 s (1 - s) / (pi N)), with s the shares of both together.
    """
    D = len(sizes)
    found, chance = np.zeros((D, D)), np.zeros((D, D))
    for row in range(D):
        for column in range(row + 1):
            size = sizes[row] * sizes[column]
            p, q = (
                np.bincount(x_ND[:, row] * sizes[column] + x_ND[:, column], minlength=size)
                / len(x_ND)
                for x_ND in (a_ND, b_ND)
            )
            both = (p + q) / 2
            spread = np.sqrt(4 * both * (1 - both) / (np.pi * len(a_ND)))
            found[row, column] = found[column, row] = 0.5 * np.abs(p - q).sum()
            chance[row, column] = chance[column, row] = 0.5 * spread.sum()
    return found, chance


def _bin(values: Array, edges: Array) -> Array:
    places: Array = np.searchsorted(edges, values, side="left")
    return np.where(np.isnan(values), len(edges) + 1, places).astype(np.intp)


def _subset(table: pa.Table, rows: int, seed: int, name: str) -> pa.Table:
    if table.num_rows == rows:
        return table
    return table.take(
        np.sort(numpy_stream(seed, f"pairs-{name}").permutation(table.num_rows)[:rows])
    )


def _told(names: Sequence[str], ratios: Array) -> str:
    """Return the pairs that are furthest off, in words."""
    rows, columns = np.tril_indices(len(names), -1)
    order = np.argsort(-ratios[rows, columns], kind="stable")[:_NAMED]
    return "; ".join(
        f"{names[columns[i]]} and {names[rows[i]]} {ratios[rows[i], columns[i]]:.1f}" for i in order
    )
