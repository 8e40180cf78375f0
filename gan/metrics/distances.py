"""Euclidean distances between feature vectors, in chunks of rows.

Shapes: N and M records, F features.
"""

from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]

CHUNK_ROWS = 2048
"""Rows per matrix product; changes memory, not results."""


def squared_distances(a_NF: Array, b_MF: Array, chunk_rows: int = CHUNK_ROWS) -> Array:
    """Return `d_NM = ‖a_n - b_m‖²` as float32, computed in float64."""
    distances_NM = np.empty((len(a_NF), len(b_MF)), dtype=np.float32)
    for start in range(0, len(a_NF), chunk_rows):
        rows = slice(start, start + chunk_rows)
        distances_NM[rows] = squared_block(a_NF[rows], b_MF)
    return distances_NM


class Nearest(NamedTuple):
    """The nearest row of the other side."""

    squared_N: Array
    index_N: Array


def nearest(a_NF: Array, b_MF: Array, chunk_rows: int = CHUNK_ROWS) -> Nearest:
    """Return squared distance and index of the nearest row of `b` for every row of `a`."""
    squared_N = np.full(len(a_NF), np.inf)
    index_N = np.zeros(len(a_NF), dtype=np.int64)
    for start in range(0, len(a_NF), chunk_rows):
        rows = slice(start, start + chunk_rows)
        for column in range(0, len(b_MF), chunk_rows):
            block = squared_block(a_NF[rows], b_MF[column : column + chunk_rows])
            found = block.argmin(axis=1)
            distance = block[np.arange(len(block)), found]
            better = distance < squared_N[rows]
            squared_N[rows] = np.where(better, distance, squared_N[rows])
            index_N[rows] = np.where(better, found + column, index_N[rows])
    return Nearest(squared_N, index_N)


def nearest_distances(a_NF: Array, b_MF: Array, chunk_rows: int = CHUNK_ROWS) -> Array:
    """Return the distance of every row of `a` to its nearest row of `b`, float64."""
    distances_N: Array = np.sqrt(nearest(a_NF, b_MF, chunk_rows).squared_N)
    return distances_N


def squared_block(a_NF: Array, b_MF: Array) -> Array:
    """Return `‖a_n - b_m‖²` as float64 by ‖a‖² + ‖b‖² - 2ab, clipped at zero."""
    a = np.asarray(a_NF, dtype=np.float64)
    b = np.asarray(b_MF, dtype=np.float64)
    square_NM: Array = a @ b.T
    square_NM *= -2.0
    square_NM += (a * a).sum(axis=1)[:, None]
    square_NM += (b * b).sum(axis=1)[None, :]
    np.maximum(square_NM, 0.0, out=square_NM)
    return square_NM
