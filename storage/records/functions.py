"""Functions of one number that columns hold: logarithms, roots and the length of a vector.

Shapes: N rows.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

Function = Literal["log", "log2", "log10", "log1p", "exp", "root", "length"]
"""`log1p` is the logarithm of 1 plus the number, `length` the root of the sum of squares."""


class Known(NamedTuple):
    """A function, its inverse, and what a sentence says."""

    of: Callable[[Floats], Floats]
    back: Callable[[Floats], Floats]
    words: str


KNOWN: Final[Mapping[Function, Known]] = {
    "log": Known(np.log, np.exp, "the natural logarithm of"),
    "log10": Known(np.log10, lambda x_N: 10.0**x_N, "the logarithm to base 10 of"),
    "log2": Known(np.log2, np.exp2, "the logarithm to base 2 of"),
    "log1p": Known(np.log1p, np.expm1, "the natural logarithm of 1 plus"),
    "exp": Known(np.exp, np.log, "the exponential of"),
    "root": Known(np.sqrt, np.square, "the square root of"),
}
"""Functions of the product of columns."""


def function_values(function: Function, inputs: Sequence[Floats], scale: float = 1.0) -> Floats:
    """Return a function of the product of some columns, times a factor; not finite without value.

    Args:
        function: of the product, or of the sum of squares.
        inputs: float64 (N,) each.
        scale: the factor of what the function is of.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if function == "length":
            return np.sqrt(scale * reduce(np.add, [each_N**2 for each_N in inputs]))
        return np.asarray(KNOWN[function].of(scale * reduce(np.multiply, inputs)))


def solved_function(
    function: Function, result_N: Floats, others: Sequence[Floats], scale: float = 1.0
) -> Floats:
    """Return the input that gives a result beside the others; NaN or infinite without one.

    Of a length it is the one that is not negative.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if function == "length":
            rest_N = result_N**2 / scale
            return np.asarray(np.sqrt(rest_N - np.sum([each_N**2 for each_N in others], axis=0)))
        found_N = np.asarray(KNOWN[function].back(result_N) / scale, dtype=np.float64)
        return np.asarray(reduce(np.divide, others, found_N))
