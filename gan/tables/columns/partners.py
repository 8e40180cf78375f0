"""Which columns say most of each other: mutual information of ranks, in a few classes.

Trees of such pairs are the best approximation of a distribution by pairs alone (Chow and Liu 1968,
IEEE Transactions on Information Theory 14:462-467, eq. 12).

Shapes: N rows, D modelled columns.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np

from gan.tables.columns.values import Modelled

Array = np.ndarray[Any, Any]

CLASSES = 16
"""Ranks of codes are compared in so many classes of about equal numbers of rows."""
SAMPLE = 20_000
"""So many rows are looked at."""
MOST = 4
"""Columns that are named for each."""


def closest_columns(columns: Sequence[Modelled], cells_ND: Array) -> tuple[tuple[int, ...], ...]:
    """Return for each column the others that say most of it, the closest first.

    Args:
        columns: modelled.
        cells_ND: of the training rows.
    """
    step = max(len(cells_ND) // SAMPLE, 1)
    classes_DN = [
        rank_classes(column.codes_of(cells_N), column.codes)
        for column, cells_N in zip(columns, cells_ND[::step].T, strict=True)
    ]
    information_DD = np.zeros((len(columns), len(columns)))
    for one, other in combinations(range(len(columns)), 2):
        found = information(classes_DN[one], classes_DN[other])
        information_DD[one, other] = information_DD[other, one] = found
    orders = (np.argsort(-each, kind="stable") for each in information_DD)
    return tuple(
        tuple(int(other) for other in order if other != index)[:MOST]
        for index, order in enumerate(orders)
    )


def rank_classes(codes_N: Array, codes: int) -> Array:
    """Return the class of each row's code."""
    counts = np.bincount(codes_N, minlength=codes)
    middle = (np.cumsum(counts) - counts / 2) / len(codes_N)
    found: Array = np.minimum((middle * CLASSES).astype(np.int64), CLASSES - 1)[codes_N]
    return found


def information(one_N: Array, other_N: Array, many: int = CLASSES) -> float:
    """Return the mutual information in nats of `many` classes and CLASSES others."""
    counts = np.bincount(one_N * CLASSES + other_N, minlength=many * CLASSES)
    shares = counts.reshape(many, CLASSES) / len(one_N)
    independent = shares.sum(1, keepdims=True) * shares.sum(0, keepdims=True)
    some = shares > 0
    return float(np.sum(shares[some] * np.log(shares[some] / independent[some])))
