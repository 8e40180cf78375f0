"""How numbers, instants and other facts are written on the page."""

import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

NOTHING = "—"
_SUFFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def number(value: float | int | None, digits: int = 3) -> str:
    """Return a number a person reads: about three significant digits, thousands separated."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if not math.isfinite(value):
        return "not finite"
    size = abs(value)
    if size >= 10 ** (digits + 4) or 0 < size < 10**-digits / 10:
        return f"{value:.{digits - 1}e}"
    return f"{value:,.{decimals(value, digits)}f}"


def decimals(value: float, digits: int = 3) -> int:
    """Return how many decimals show `digits` significant digits of the value."""
    if value == 0 or not math.isfinite(value):
        return digits - 1
    return min(max(digits - 1 - math.floor(math.log10(abs(value))), 0), digits + 1)


def interval(low: float, high: float) -> str:
    """Return an interval, both ends with the decimals of the larger one."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return NOTHING
    places = decimals(max(abs(low), abs(high)))
    return f"{low:,.{places}f} to {high:,.{places}f}"


def compact(value: float) -> str:
    """Return a short number for an axis: 1200 is `1.2k`, 0.05 is `0.05`."""
    for factor, suffix in _SUFFIXES:
        if abs(value) >= factor:
            return f"{value / factor:.5g}{suffix}"
    return f"{value:.5g}"


def instant(text: str) -> str:
    """Return an ISO 8601 instant as `20 November 2026, 02:00 UTC`; other text as it is."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    if moment.tzinfo is None:
        return text
    moment = moment.astimezone(UTC)
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"


def fact(value: Any) -> str:
    """Return any fact as text: numbers as above, mappings as `key value`, the rest as JSON."""
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, int | float):
        return number(value)
    if isinstance(value, Mapping):
        return " · ".join(f"{key} {_inner(value[key])}" for key in sorted(value)) or NOTHING
    if isinstance(value, Sequence):
        return " · ".join(_inner(item) for item in value) or NOTHING
    return str(value)


def words(name: str) -> str:
    """Return a name as words: `label_accuracy` is `label accuracy`."""
    return name.replace("_", " ")


def _inner(item: Any) -> str:
    if isinstance(item, Mapping):
        return json.dumps(item, ensure_ascii=False, default=str)
    if isinstance(item, Sequence) and not isinstance(item, str):
        return " ".join(_inner(part) for part in item)
    return fact(item)
