"""Uniform numbers of entities: each has a seed, and no memory is kept however long a series is.

The mixing function is that of splitmix64 (Steele et al., "Fast splittable pseudorandom number
generators", 2014, section 5), applied to counter and seed; this scrambles, it does not encrypt.

Shapes: N entities.
"""

from typing import Final

from torch import Tensor

GOLDEN: Final = -7_046_029_254_386_353_131
"""0x9E3779B97F4A7C15 as a signed number."""
SPREAD: Final = 0x9E3779B9
FIRST: Final = -4_658_895_280_553_007_687
"""0xBF58476D1CE4E5B9."""
SECOND: Final = -7_723_592_293_110_705_685
"""0x94D049BB133111EB."""
BITS: Final = 24
"""Of a number in [0, 1): as many as float32 holds."""


def uniform_numbers(seeds_N: Tensor, step: int | Tensor, variable: int | Tensor) -> Tensor:
    """Return one number in [0, 1) for every entity, float32.

    Args:
        seeds_N: int64; with more axes for more steps or variables, to which these broadcast.
        step: place in the series.
        variable: place in the step.
    """
    mixed_N = _mix(seeds_N * GOLDEN + step)
    mixed_N = _mix(mixed_N + variable * SPREAD)
    return _shift(mixed_N, 64 - BITS).float() * 2.0**-BITS


def _mix(numbers_N: Tensor) -> Tensor:
    numbers_N = (numbers_N ^ _shift(numbers_N, 30)) * FIRST
    numbers_N = (numbers_N ^ _shift(numbers_N, 27)) * SECOND
    return numbers_N ^ _shift(numbers_N, 31)


def _shift(numbers_N: Tensor, bits: int) -> Tensor:
    """Return numbers without sign shifted to the right."""
    return (numbers_N >> bits) & ((1 << (64 - bits)) - 1)
