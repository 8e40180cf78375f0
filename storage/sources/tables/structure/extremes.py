"""The largest or the smallest of other columns: a chargeable weight, the best of four quarters.

A column that no row exceeds may be one of them where some rows equal it. Those are taken of which
all rows together equal one, and that none can be left out of.

N rows, S of the sample.
"""

from collections.abc import Collection, Iterator
from typing import Final, Literal

import numpy as np

from storage.records.constraint import Constraint
from storage.sources.tables.structure.columns import Floats, Mask, Quantity, TableColumns
from storage.sources.tables.structure.evidence import formula_support
from storage.sources.tables.structure.rule import FoundRule, listed_names

MOST_COLUMNS: Final = 120
"""Of more columns, they are looked for among the first."""

_MOST_INPUTS: Final = 8
_FEWEST_VALUES: Final = 3
_LEAST_SHARE: Final = 0.02
"""In so large a share of the rows each of the columns alone is the largest."""

Extreme = Literal["largest", "smallest"]


def find_extremes(columns: TableColumns, skipped: Collection[str]) -> tuple[FoundRule, ...]:
    """Return columns that are the largest, or the smallest, of others.

    Args:
        columns: of the table.
        skipped: columns that are not looked at, as other rules tell them.
    """
    names = columns.numbers(skipped, MOST_COLUMNS)
    rows, found = columns.sample_S, list[FoundRule]()
    sampled = {name: columns.quantities[name].values_N[rows] for name in names}
    ways: tuple[tuple[Extreme, float], ...] = (("largest", 1.0), ("smallest", -1.0))
    for name in names:
        if len(np.unique(sampled[name])) < _FEWEST_VALUES:
            continue
        for kind, sign in ways:
            inputs = _inputs(columns.quantities[name], name, sampled, sign)
            rule = _rule(columns, kind, (name, *inputs)) if len(inputs) > 1 else None
            found += [] if rule is None else [rule]
    return tuple(found)


def _inputs(
    result: Quantity, name: str, sampled: dict[str, Floats], sign: float
) -> tuple[str, ...]:
    """Return the fewest columns of which one equals the result in every row, and none is beyond."""
    values_S = sampled[name]
    slack_S = result.noise * np.abs(values_S) + result.step / 2 + 1e-12
    equal: dict[str, Mask] = {}
    for other, others_S in sampled.items():
        if other == name or (sign * (others_S - values_S) > slack_S).any():
            continue
        meets_S = np.abs(others_S - values_S) <= slack_S
        if meets_S.mean() >= _LEAST_SHARE:
            equal[other] = meets_S
    known_S = ~np.isnan(values_S)
    for other in sorted(equal, key=lambda each: int(equal[each].sum())):
        rest = [mask_S for each, mask_S in equal.items() if each != other]
        if (np.any([~known_S, *rest], axis=0)).all():
            del equal[other]
    covered = bool(equal) and bool((np.any(list(equal.values()), axis=0) | ~known_S).all())
    needed = covered and 1 < len(equal) <= _MOST_INPUTS and all(_alone(equal, known_S))
    return tuple(equal) if needed else ()


def _alone(equal: dict[str, Mask], known_S: Mask) -> Iterator[bool]:
    """Yield whether each column alone is the largest in many rows."""
    for other, mask_S in equal.items():
        rest = [each_S for name, each_S in equal.items() if name != other]
        alone_S = mask_S & ~np.any(rest, axis=0)
        yield bool(alone_S.sum() >= _LEAST_SHARE * known_S.sum())


def _rule(columns: TableColumns, kind: Extreme, used: tuple[str, ...]) -> FoundRule | None:
    """Return the rule if all rows keep it and enough of them tell it."""
    result, *inputs = (columns.quantities[name] for name in used)
    stacked = np.stack([one.values_N for one in inputs])
    computed_N = stacked.max(axis=0) if kind == "largest" else stacked.min(axis=0)
    support = formula_support(result, computed_N)
    if support is None:
        return None
    why = f"{used[0]} is the {kind} of {listed_names(used[1:])} in all rows"
    return FoundRule(constraint=Constraint(kind=kind, columns=used), why=why, support=support)
