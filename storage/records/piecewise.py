"""Functions of one number that are straight between a few bends.

A share up to a limit, what is above a threshold, an absolute difference, a tax by brackets.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray


def piecewise(
    numbers_N: NDArray[np.float64],
    cuts: Sequence[float],
    slopes: Sequence[float],
    value: float,
) -> NDArray[np.float64]:
    """Return the function at some numbers; NaN where there is none.

    Args:
        numbers_N: where.
        cuts: ascending, where it bends.
        slopes: of its pieces, one more than cuts.
        value: at the first cut.
    """
    found_N = value + slopes[0] * np.minimum(numbers_N - cuts[0], 0)
    for (low, high), slope in zip(pairwise([*cuts, np.inf]), slopes[1:], strict=True):
        found_N = found_N + slope * np.clip(numbers_N - low, 0, high - low)
    return np.asarray(found_N, dtype=np.float64)
