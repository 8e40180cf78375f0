"""Numbers as people write them in formulas: rates, units, thirds."""

from fractions import Fraction
from typing import Final

import numpy as np

_FRACTION_DIGITS: Final = 2
"""A fraction has about so many digits; below 1 a decimal with so many after the first has more."""

_LARGEST_DIVISOR: Final = 12
_LONG: Final = 8


def number_text(number: float) -> str:
    """Return a number as a sentence says it: 0.25, 2/3."""
    text = f"{number:.10g}"
    fraction = str(Fraction(number).limit_denominator(10_000))
    return fraction if len(text) > _LONG and float(Fraction(fraction)) == number else text


def simple_number(value: float, error: float) -> float | None:
    """Return the number of the fewest digits within the error; None without one.

    It is a decimal, a fraction or one divided by a decimal: two thirds have two digits, .667 has
    three, 3.6 as a divisor has two.
    """
    if abs(value) <= error:
        return 0.0
    power = int(np.floor(np.log10(abs(value))))
    for digits in range(9):
        if digits == (_FRACTION_DIGITS if power < 0 else _FRACTION_DIGITS + 1):
            fraction = Fraction(value).limit_denominator(_LARGEST_DIVISOR)
            if abs(float(fraction) - value) <= error:
                return float(fraction)
        if digits >= _FRACTION_DIGITS and power < 0:
            divisor = float(f"{1 / value:.{digits - 1}e}")
            if abs(1 / divisor - value) <= error:
                return 1 / divisor
        rounded = round(value, digits - min(power, 0)) if power < 6 else round(value, digits)
        if abs(rounded - value) <= error:
            return float(rounded)
    return None
