"""Nearest neighbours of any number of records, in flat memory and exact to float64.

Distances are screened in single precision, block by block, as one matrix product:
`‖a - b‖² = [-2a, ‖a‖², 1] · [b, 1, ‖b‖²]`. Its error is at most
`ERROR · (F + 8) · (‖a‖² + ‖b‖²)` (Higham 2002, Accuracy and Stability of Numerical Algorithms,
section 3.1), and whatever lies in a ball of radius r around a has `‖b‖ ≤ ‖a‖ + r`. So only pairs
within that error of the radius are looked at again, in double precision by the sum of squared
differences. Rows for which the screen cannot tell which neighbours are nearest, as where many are
equally far, are computed in double precision as a whole.

Shapes: N and M records, R rows and C columns of a block, F features, K neighbours.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch

from gan.metrics.distances import SAME, Nearest, squared_block
from gan.metrics.pool import K_COVERAGE, K_PRECISION

Array = np.ndarray[Any, Any]

ROWS, COLUMNS = 256, 4096
"""Of a block; they change memory and speed, not results."""
FOLDS = 5
"""Times that the columns of the first block are halved, for a first bound of what is near."""
SPARE = 4
"""Neighbours that the screen keeps beyond those asked for."""
ERROR = 2.0**-23
EXACT_ROWS = 256
"""Rows at once that are computed in double precision."""


class Screen(NamedTuple):
    """Records in single precision, as both factors of the product, and their squared norms."""

    left: torch.Tensor
    right: torch.Tensor
    norms_N: Array
    error: float
    """Of a squared distance, per sum of both squared norms."""

    def rows(self, rows: slice) -> torch.Tensor:
        """Return some rows of the left factor."""
        return self.left[rows]

    def slack(self, rows: Any, squared_radii: Array) -> Array:
        """Return by how much a squared distance may be off, around so large a ball."""
        norms = self.norms_N[rows]
        reach = np.sqrt(norms) + np.sqrt(np.maximum(squared_radii, 0.0))
        slack: Array = self.error * (norms + reach * reach)
        return slack


def screen(features_NF: Array, centre_F: Array) -> Screen:
    """Return the factors of the records around a centre, which keeps norms and errors small."""
    centred = np.asarray(features_NF, dtype=np.float64) - centre_F
    n, width = centred.shape
    norms_N = np.square(centred).sum(axis=1)
    left, right = (np.ones((n, width + 2), dtype=np.float32) for _ in range(2))
    left[:, :width], left[:, width] = -2.0 * centred, norms_N
    right[:, :width], right[:, width + 1] = centred, norms_N
    return Screen(torch.from_numpy(left), torch.from_numpy(right), norms_N, ERROR * (width + 8))


class Scratch:
    """Memory of one block, taken once: fresh pages for every block cost as much as a comparison."""

    def __init__(self, rows: int, columns: int, masks: int) -> None:
        """Take it for so many records on both sides, with so many masks."""
        size = min(rows, ROWS) * min(columns, COLUMNS)
        self.squared = torch.empty(size)
        self._masks = np.empty((masks, size), dtype=bool)

    def masks(self, squared_RC: Array) -> list[Array]:
        """Return the masks in the shape of a block."""
        return [mask[: squared_RC.size].reshape(squared_RC.shape) for mask in self._masks]


class Block(NamedTuple):
    """Squared distances in single precision, and where they stand."""

    rows: slice
    columns: slice
    squared_RC: Array


def blocks(a: Screen, b: Screen, rows: slice, scratch: Scratch) -> Iterator[Block]:
    """Yield the distances of some rows to all records of the other side; each overwrites the last.

    On one thread, as everything is judged.
    """
    left, buffer = a.rows(rows), scratch.squared
    for start in range(0, len(b.right), COLUMNS):
        right = b.right[start : start + COLUMNS]
        out = buffer[: len(left) * len(right)].view(len(left), len(right))
        torch.mm(left, right.T, out=out)
        yield Block(rows, slice(start, start + len(right)), out.numpy())


def row_blocks(n: int) -> Iterator[slice]:
    """Yield the rows, cut into blocks."""
    for start in range(0, n, ROWS):
        yield slice(start, min(n, start + ROWS))


def where(mask_RC: Array) -> Array:
    """Return the flat places that are true; eight at a time, since hardly any is."""
    flat = mask_RC.reshape(-1)
    whole = len(flat) // 8 * 8
    words = np.flatnonzero(flat[:whole].view(np.uint64))
    places, offsets = np.nonzero(flat[:whole].reshape(-1, 8)[words])
    rest = whole + np.flatnonzero(flat[whole:])
    return np.concatenate([words[places] * 8 + offsets, rest])


def exact_squared(a_PF: Array, b_PF: Array) -> Array:
    """Return `‖a_p - b_p‖²` pair by pair in float64."""
    difference = np.asarray(a_PF, dtype=np.float64) - b_PF
    squared_P: Array = np.einsum("...f,...f->...", difference, difference)
    return squared_P


class Smallest(NamedTuple):
    """The nearest records of the other side, nearest first."""

    squared_NK: Array
    index_NK: Array


def smallest(a_NF: Array, b_MF: Array, k: int, *, within: bool = False) -> Smallest:
    """Return the k nearest of `b` for every record of `a`; of equally near ones the first.

    Args:
        a_NF: records whose neighbours are sought.
        b_MF: where they are sought.
        k: how many, at most as many as there are.
        within: both are the same records, and none is its own neighbour.
    """
    centre_F = np.asarray(b_MF, dtype=np.float64).mean(axis=0)
    b = screen(b_MF, centre_F)
    a = b if within else screen(a_NF, centre_F)
    others, scratch = len(b_MF) - within, Scratch(len(a_NF), len(b_MF), masks=1)
    squared_NK, index_NK = np.empty((len(a_NF), k)), np.empty((len(a_NF), k), dtype=np.int64)
    for rows in row_blocks(len(a_NF)):
        kept = min(others, k + SPARE)
        screened_RK, index_RK = _screened(a, b, rows, kept, scratch, within=within)
        exact_RK = exact_squared(a_NF[rows][:, None, :], b_MF[index_RK])
        order = np.lexsort((index_RK, exact_RK), axis=1)[:, :k]
        squared_NK[rows] = np.take_along_axis(exact_RK, order, axis=1)
        index_NK[rows] = np.take_along_axis(index_RK, order, axis=1)
        if kept < others:
            farthest_R = squared_NK[rows, -1]
            sure_R = screened_RK.max(axis=1) - a.slack(rows, farthest_R) > farthest_R + SAME
            unsure = rows.start + np.flatnonzero(~sure_R)
            for start in range(0, len(unsure), EXACT_ROWS):
                again = unsure[start : start + EXACT_ROWS]
                found = _exactly(a_NF, b_MF, again, k, within=within)
                squared_NK[again], index_NK[again] = found.squared_NK, found.index_NK
    return Smallest(squared_NK, index_NK)


def _screened(
    a: Screen, b: Screen, rows: slice, kept: int, scratch: Scratch, *, within: bool
) -> tuple[Array, Array]:
    """Return distances and places of the nearest by the screen; (R, K)."""
    shape = (rows.stop - rows.start, kept)
    best_RK, index_RK = np.full(shape, np.inf, dtype=np.float32), np.zeros(shape, dtype=np.int64)
    for block in blocks(a, b, rows, scratch):
        squared_RC, start = block.squared_RC, block.columns.start
        if within:
            own = np.arange(max(rows.start, start), min(rows.stop, block.columns.stop))
            squared_RC[own - rows.start, own - start] = np.inf
        limit_R = best_RK[:, -1] if start else _first_limits(squared_RC, kept)
        (near_RC,) = scratch.masks(squared_RC)
        places = where(np.less(squared_RC, limit_R[:, None], out=near_RC))
        if len(places):
            at_R, column = np.divmod(places, squared_RC.shape[1])
            _merge(best_RK, index_RK, at_R, squared_RC.reshape(-1)[places], column + start)
    return best_RK, index_RK


def _first_limits(squared_RC: Array, kept: int) -> Array:
    """Return for every row what at least `kept` of its distances lie below.

    The columns are folded, the smaller one kept: the smallest of what is left are distances, too.
    """
    left = torch.from_numpy(squared_RC)
    for _ in range(FOLDS):
        half = left.shape[1] // 2
        if half < kept:
            break
        left = torch.minimum(left[:, :half], left[:, half : 2 * half])
    if left.shape[1] <= kept:
        return np.full(len(squared_RC), np.inf, dtype=np.float32)
    limit_R = np.partition(left.numpy(), kept - 1, axis=1)[:, kept - 1]
    above_R: Array = np.nextafter(limit_R, np.float32(np.inf))
    return above_R


def _merge(best_RK: Array, index_RK: Array, at_P: Array, values_P: Array, index_P: Array) -> None:
    """Put what was found into the sorted rows, in place."""
    touched = np.unique(at_P)
    width = best_RK.shape[1]
    rows = np.concatenate([np.repeat(touched, width), at_P])
    values = np.concatenate([best_RK[touched].ravel(), values_P])
    index = np.concatenate([index_RK[touched].ravel(), index_P])
    # Floats that are not negative are in the order of their bits.
    bits = np.maximum(values, np.float32(0)).view(np.int32)
    keys = rows << 32 | bits
    order = np.argsort(keys)
    starts = np.searchsorted(keys[order], touched << 32)
    chosen = order[starts[:, None] + np.arange(width)]
    best_RK[touched], index_RK[touched] = values[chosen], index[chosen]


def _exactly(a_NF: Array, b_MF: Array, rows: Array, k: int, *, within: bool) -> Smallest:
    """Return the k nearest in double precision throughout; (R, k)."""
    squared_RM = squared_block(a_NF[rows], b_MF)
    if within:
        squared_RM[np.arange(len(rows)), rows] = np.inf
    if k == 1:
        close_RM = squared_RM <= squared_RM.min(axis=1, keepdims=True) + SAME
        first = close_RM.argmax(axis=1)[:, None]
        return Smallest(exact_squared(a_NF[rows], b_MF[first[:, 0]])[:, None], first)
    farthest_R = np.partition(squared_RM, k - 1, axis=1)[:, k - 1]
    index = np.empty((len(rows), k), dtype=np.int64)
    for place, limit in enumerate(farthest_R):
        close = np.flatnonzero(squared_RM[place] <= limit + SAME)
        exact = exact_squared(a_NF[rows[place]], b_MF[close])
        order = np.lexsort((close, np.round(exact / SAME)))[:k]
        index[place], squared_RM[place, :k] = close[order], exact[order]
    return Smallest(squared_RM[:, :k], index)


def nearest(a_NF: Array, b_MF: Array) -> Nearest:
    """Return squared distance and index of the nearest row of `b` for every row of `a`."""
    found = smallest(a_NF, b_MF, 1)
    return Nearest(found.squared_NK[:, 0], found.index_NK[:, 0])


def nearest_distances(a_NF: Array, b_MF: Array) -> Array:
    """Return the distance of every row of `a` to its nearest row of `b`, float64."""
    distances_N: Array = np.sqrt(nearest(a_NF, b_MF).squared_N)
    return distances_N


def all_radii(features_NF: Array, *ks: int) -> tuple[Array, ...]:
    """Return for every k, for every record, the squared distance to its k-th nearest other record.

    With fewer than k others, the farthest of them.

    Raises:
        ValueError: there is no other record.
    """
    n = len(features_NF)
    if n < 2:
        msg = f"neighbours need at least two records, got {n}: bring more"
        raise ValueError(msg)
    found = smallest(features_NF, features_NF, min(max(ks), n - 1), within=True)
    return tuple(found.squared_NK[:, min(k, n - 1) - 1] for k in ks)


def measure_all(reals_NF: Array, fakes_MF: Array) -> dict[str, float]:
    """Return precision, recall, density and coverage, as `gan.metrics.pool.measure` does."""
    near_N, wide_N = all_radii(reals_NF, K_PRECISION, K_COVERAGE)
    (fake_M,) = all_radii(fakes_MF, K_PRECISION)
    return _across(Sides(reals_NF, near_N, wide_N), fakes_MF, fake_M)


class Sides(NamedTuple):
    """The reals and their balls."""

    features_NF: Array
    near_N: Array
    """Squared radius of precision."""
    wide_N: Array
    """Of density and coverage."""


def _across(reals: Sides, fakes_MF: Array, fake_M: Array) -> dict[str, float]:
    """Return all four from the balls of both sides."""
    features_NF, near_N, wide_N = reals
    n, m = len(features_NF), len(fakes_MF)
    centre_F = np.asarray(features_NF, dtype=np.float64).mean(axis=0)
    a, b = screen(features_NF, centre_F), screen(fakes_MF, centre_F)
    slack_N, slack_M = a.slack(slice(None), wide_N) + SAME, b.slack(slice(None), fake_M) + SAME
    inside, covered_N, recalled_N = 0, np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
    precise_M = np.zeros(m, dtype=bool)
    rows_N = (wide_N + slack_N).astype(np.float32)[:, None]
    columns_M = (fake_M + slack_M).astype(np.float32)[None, :]
    scratch = Scratch(n, m, masks=2)
    for rows in row_blocks(n):
        for block in blocks(a, b, rows, scratch):
            squared_RC = block.squared_RC
            in_row_RC, in_column_RC = scratch.masks(squared_RC)
            np.less_equal(squared_RC, rows_N[rows], out=in_row_RC)
            np.less_equal(squared_RC, columns_M[:, block.columns], out=in_column_RC)
            at = where(np.logical_or(in_row_RC, in_column_RC, out=in_row_RC))
            row_P, column_P = np.divmod(at, squared_RC.shape[1])
            row_P, column_P = row_P + rows.start, column_P + block.columns.start
            squared_P = squared_RC.reshape(-1)[at].astype(np.float64)
            wide_P, near_P, fake_P = wide_N[row_P], near_N[row_P], fake_M[column_P]
            doubtful = np.abs(squared_P - wide_P) <= slack_N[row_P]
            doubtful |= np.abs(squared_P - near_P) <= slack_N[row_P]
            doubtful |= np.abs(squared_P - fake_P) <= slack_M[column_P]
            pairs = features_NF[row_P[doubtful]], fakes_MF[column_P[doubtful]]
            squared_P[doubtful] = exact_squared(*pairs)
            in_wide = squared_P <= wide_P + SAME
            inside += int(in_wide.sum())
            covered_N[row_P[in_wide]] = True
            precise_M[column_P[squared_P <= near_P + SAME]] = True
            recalled_N[row_P[squared_P <= fake_P + SAME]] = True
    return {
        "precision": float(precise_M.mean()),
        "recall": float(recalled_N.mean()),
        "density": inside / (K_COVERAGE * m),
        "coverage": float(covered_N.mean()),
    }
