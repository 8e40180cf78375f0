"""Figures of columns together: how far every pair of columns is off, and all rows in a plane.

The error of a pair is divided by that of unseen real rows. The plane is that of the two main
components of train: numbers enter by their rank in train, levels as indicators divided by the root
of their share, as in the factor analysis of mixed data (J. Pagès, Analyse factorielle de données
mixtes, Revue de Statistique Appliquée 52, 2004).

Shapes: N rows, D columns, K codes of all columns side by side, F features.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from gan.metrics.marginals import one_hot, pair_counts, pair_errors, starts
from gan.randomness import numpy_stream
from gan.report import Figure
from gan.tables.evaluation.columns import JudgedColumn
from gan.tables.evaluation.errors import Codes, bins_of_pairs
from gan.tables.evaluation.rows import some
from gan.tables.figures.columns import (
    DrawnColumn,
    as_levels,
    as_numbers,
    common_levels,
    count_levels,
)

Array = np.ndarray[Any, Any]

Area = tuple[tuple[float, float], tuple[float, float]]
"""Lower and upper limit of the first and of the second axis."""

Box = tuple[float, float, float, float]
"""Left, bottom, right, top."""

MOST_COLUMNS = 60
PAIR_ROWS = 5000
"""Rows compared on each side."""
SHOWN = 4.0
"""The deepest colour: so many times what real rows reach."""
_SMALLEST = 1e-3
"""A real error below this counts as this, so that no ratio divides by about zero."""
_NAMED = 3
MOST_POINTS = 1000
PLANE_ROWS = 50_000
"""Training rows behind the components and the shares."""
PLANE_COLUMNS = 60
LEVELS = 10
DEPTH = 10
"""How often the area is halved at most: 32 by 32 cells."""
_NEGLIGIBLE = 0.05
_UNIT = 12.0**0.5
"""Makes a uniform rank's variance one."""
_MARGIN = 0.08


def pair_map(
    columns: Sequence[DrawnColumn],
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
    largest = _largest_text(names, ratios_DD)
    return Figure(
        id="pair-errors",
        section="columns",
        caption="Error of every pair of columns, and of single columns at the end of each row, "
        "divided by that of unseen real rows: 1 is as good as real data. "
        f"Largest: {largest}.{more}",
        alt=f"Triangle of the errors of all pairs of {len(shown)} columns. Largest: {largest}",
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
    columns: Sequence[DrawnColumn],
    train: pa.Table,
    sides: tuple[pa.Table, pa.Table, pa.Table],
    seed: int,
) -> Array:
    """Return the error of every pair ÷ that of real rows, (D, D); `sides` end with the fakes.

    Real rows' error is the measured one of validation, or what chance alone makes where that is
    more: a lucky draw of so few rows must not make a pair look bad.
    """
    rows = min(*(side.num_rows for side in sides), PAIR_ROWS)
    judged = [JudgedColumn(name=column.name, form=column.form) for column in columns]
    codes = Codes(train, judged, bins_of_pairs(rows), rows)
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


def _largest_text(names: Sequence[str], ratios_DD: Array) -> str:
    """Return the pairs that are furthest off, in words."""
    rows, columns = np.tril_indices(len(names), -1)
    order = np.argsort(-ratios_DD[rows, columns], kind="stable")[:_NAMED]
    return "; ".join(
        f"{names[columns[i]]} and {names[rows[i]]} {ratios_DD[rows[i], columns[i]]:.1f}"
        for i in order
    )


def plane(
    columns: Sequence[DrawnColumn], train: pa.Table, fakes: pa.Table, group: int, seed: int
) -> Figure | None:
    """Return synthetic rows as points over the real ones; None with fewer than two features.

    Real rows are the density of cells with at least `group` rows; with a group of 1 they are points
    too. The area is laid out by the synthetic rows alone.
    """
    train = _subset(train, PLANE_ROWS, seed, "train")
    maps = [_features(column, train) for column in columns[:PLANE_COLUMNS]]
    real_NF = np.concatenate([map_rows(train) for map_rows in maps] or [np.zeros((0, 0))], axis=1)
    if real_NF.shape[1] < 2:
        return None
    fakes = _subset(fakes, MOST_POINTS, seed, "fakes")
    mean_F = real_NF.mean(axis=0)
    axes_F2, shares = main_axes(real_NF - mean_F)
    points = (np.concatenate([map_rows(fakes) for map_rows in maps], axis=1) - mean_F) @ axes_F2
    (x_low, x_high), (y_low, y_high) = (_area(points[:, axis]) for axis in (0, 1))
    real_N2 = (real_NF - mean_F) @ axes_F2
    groups = [{"name": "synthetic rows", **_dots(points)}]
    data: dict[str, Any] = {
        "x_label": f"first component, {shares[0]:.0%} of the variance",
        "y_label": f"second component, {shares[1]:.0%} of the variance",
        "x_low": x_low,
        "x_high": x_high,
        "y_low": y_low,
        "y_high": y_high,
        "groups": groups,
    }
    if group > 1:
        area = ((x_low, x_high), (y_low, y_high))
        name = f"real rows (train), in cells with {group} or more"
        data["density"] = {"name": name, "cells": density_cells(real_N2, area, group)}
    else:
        chosen = numpy_stream(seed, "plane-real").permutation(len(real_N2))[:MOST_POINTS]
        groups.append({"name": "real rows (train)", **_dots(real_N2[np.sort(chosen)])})
    return Figure(
        id="plane",
        section="columns",
        caption="Rows in the plane of the two main components of train.",
        alt=f"{len(points)} synthetic rows as points over the area where real rows lie",
        kind="scatter",
        data=data,
    )


def main_axes(centred_NF: Array) -> tuple[Array, tuple[float, float]]:
    """Return the two directions of most variance (F, 2), signs fixed, and their shares."""
    values_F, vectors_FF = np.linalg.eigh(centred_NF.T @ centred_NF)
    axes_F2 = vectors_FF[:, [-1, -2]]
    largest = np.abs(axes_F2).argmax(axis=0)
    axes_F2 = axes_F2 * np.sign(axes_F2[largest, [0, 1]])
    total = float(values_F.sum()) or 1.0
    return axes_F2, (float(values_F[-1]) / total, float(values_F[-2]) / total)


def density_cells(real_N2: Array, area: Area, group: int) -> list[list[float]]:
    """Return where real rows lie: cells [left, bottom, right, top, density], from 0 to 1.

    The area is halved along its longer side again and again, as long as both halves have no row or
    at least `group`. A half with fewer, and with less than a twentieth of its cell, is left empty
    rather than end this. Density is the share of the shown rows ÷ the share of the surface; nothing
    is returned when the whole area has fewer rows than a group.
    """
    low, high = np.array(area).T
    scaled_N2 = (real_N2 - low) / (high - low)
    inside_N2 = scaled_N2[((scaled_N2 >= 0) & (scaled_N2 < 1)).all(axis=1)]
    if len(inside_N2) < group:
        return []
    found: list[tuple[Box, int]] = []
    waiting: list[tuple[Array, Box, int]] = [(inside_N2, (0.0, 0.0, 1.0, 1.0), 0)]
    while waiting:
        rows_N2, box, depth = waiting.pop()
        halves = [half for half in _halves(rows_N2, box, depth) if _shown(half[0], rows_N2, group)]
        if depth < DEPTH and halves and all(len(rows) >= group for rows, _ in halves):
            waiting += [(rows, half, depth + 1) for rows, half in halves]
        else:
            found.append((box, len(rows_N2)))
    shown = sum(count for _, count in found)
    cells = [[*box, round(count / shown / _surface(box), 3)] for box, count in found]
    return sorted(cells)


def _shown(half_N2: Array, whole_N2: Array, group: int) -> bool:
    """Return whether a half counts: it is not empty, and not both rare and negligible."""
    return len(half_N2) >= min(group, _NEGLIGIBLE * len(whole_N2)) and len(half_N2) > 0


def _surface(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _halves(rows_N2: Array, box: Box, depth: int) -> list[tuple[Array, Box]]:
    """Return both halves of a cell: left and right, at odd depths lower and upper."""
    left, bottom, right, top = box
    if depth % 2:
        middle = (bottom + top) / 2
        boxes: list[Box] = [(left, bottom, right, middle), (left, middle, right, top)]
    else:
        middle = (left + right) / 2
        boxes = [(left, bottom, middle, top), (middle, bottom, right, top)]
    lower_N = rows_N2[:, depth % 2] < middle
    return [(rows_N2[lower_N], boxes[0]), (rows_N2[~lower_N], boxes[1])]


def _features(column: DrawnColumn, train: pa.Table) -> Callable[[pa.Table], Array]:
    """Return what makes the features (N, ...) of a column."""
    name = column.name
    if column.form == "number":
        known = np.sort(as_numbers(train[name]))
        known = known[~np.isnan(known)]

        def ranks(table: pa.Table) -> Array:
            values = as_numbers(table[name])
            below = np.searchsorted(known, values, side="left")
            upto = np.searchsorted(known, values, side="right")
            rank = (below + upto) / (2 * max(len(known), 1))
            found: Array = np.where(np.isnan(values), 0.0, (rank - 0.5) * _UNIT)[:, None]
            return found

        return ranks
    counts = count_levels(train[name])
    common = common_levels(counts, column.group, LEVELS)
    weights = np.array([(counts[level] / train.num_rows) ** -0.5 for level in common])

    def indicators(table: pa.Table) -> Array:
        columns = {level: index for index, level in enumerate(common)}
        found = np.zeros((table.num_rows, len(common)))
        for row, level in enumerate(as_levels(table[name])):
            if level in columns:
                found[row, columns[level]] = 1.0
        weighted: Array = found * weights
        return weighted

    return indicators


def _area(values: Array) -> tuple[float, float]:
    low, high = np.quantile(values, (0.005, 0.995))
    margin = _MARGIN * max(high - low, 1e-6)
    return round(float(low - margin), 4), round(float(high + margin), 4)


def _dots(points_N2: Array) -> dict[str, list[float]]:
    return {
        name: [round(float(value), 3) for value in points_N2[:, axis]]
        for axis, name in enumerate(("x", "y"))
    }


def _subset(table: pa.Table, rows: int, seed: int, name: str) -> pa.Table:
    if table.num_rows <= rows:
        return table
    return table.take(
        np.sort(numpy_stream(seed, f"plane-{name}").permutation(table.num_rows)[:rows])
    )
