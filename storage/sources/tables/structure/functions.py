"""Logarithms, exponentials and roots: of a column, of a product of two, of a sum of squares.

Each result is compared in some rows of the sample with what all candidates give there; what is left
is verified on all rows. A root may have a factor, such as the 1/3600 of a body's surface: each row
allows the factors that give its value once rounded, and the simplest number is taken.

P columns, S rows of the sample, C candidates.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Final, NamedTuple

import numpy as np

from storage.records.constraint import Constraint
from storage.records.functions import KNOWN, Function, function_values
from storage.sources.tables.structure.columns import Floats, Ints, Quantity, TableColumns
from storage.sources.tables.structure.evidence import formula_support
from storage.sources.tables.structure.products import at_zero, rounding_words
from storage.sources.tables.structure.rule import FoundRule, listed_names
from storage.sources.tables.structure.simple_numbers import number_text, simple_number

MOST_COLUMNS: Final = 60
"""Of more columns, they are looked for among the first."""

_MOST_OF_THREE: Final = 20
_FEWEST_VALUES: Final = 20
_STEPS: Final = 5.0
"""A result varies by so many of its steps, or many functions give it."""

_PROBES: Final = 40
_FEWEST_PROBES: Final = 8
"""Rows in which a candidate and the result are numbers."""

_SUMMED: Final = (2, 3)

Names = tuple[str, ...]


class Ways(NamedTuple):
    """C functions of columns, and what they give in the probed rows."""

    kinds: Sequence[tuple[Function, Names]]
    given_CS: Floats


def find_functions(
    columns: TableColumns, skipped: Collection[str], derived: Collection[str] = ()
) -> tuple[FoundRule, ...]:
    """Return functions of one column, then roots of products and of sums of squares.

    Of several on the same columns the first is the result that comes last.

    Args:
        columns: of the table.
        skipped: columns that are not looked at, as other rules tell them.
        derived: columns that other rules make.
    """
    names = columns.numbers(skipped, MOST_COLUMNS)
    if len(names) < 2:
        return ()
    rows = columns.spread(_PROBES)
    values = {name: columns.quantities[name].values_N[rows] for name in names}
    plain, roots = _plain_ways(values), _root_ways(values)
    found: dict[frozenset[str], FoundRule] = {}
    for name in reversed(names):
        result = columns.quantities[name]
        values_S = result.values_N[columns.sample_S]
        known_S = values_S[~np.isnan(values_S)]
        few = len(np.unique(known_S)) < _FEWEST_VALUES
        if name in derived or few or known_S.std() < _STEPS * result.step:
            continue
        for constraint in (*_plain(result, name, rows, plain), *_roots(columns, name, rows, roots)):
            rule = _rule(columns, constraint)
            if rule is not None:
                found.setdefault(frozenset(rule.constraint.columns), rule)
    return tuple(found.values())


def _plain_ways(values: Mapping[str, Floats]) -> Ways:
    """Return functions of one column, and lengths of two and three."""
    kinds: list[tuple[Function, Names]] = [
        (function, (name,)) for function in KNOWN if function != "root" for name in values
    ]
    some = list(values)[:_MOST_OF_THREE]
    kinds += [("length", used) for count in _SUMMED for used in combinations(some, count)]
    given = [function_values(function, [values[n] for n in used]) for function, used in kinds]
    return Ways(kinds, np.array(given).reshape(len(kinds), -1))


def _root_ways(values: Mapping[str, Floats]) -> Ways:
    """Return the columns, and products of two, that a root may be of."""
    used = [*((name,) for name in values), *combinations(values, 2)]
    given = [np.prod([values[name] for name in each], axis=0) for each in used]
    kinds: list[tuple[Function, Names]] = [("root", each) for each in used]
    return Ways(kinds, np.array(given).reshape(len(kinds), -1))


def _plain(result: Quantity, name: str, rows: Ints, ways: Ways) -> Iterator[Constraint]:
    """Yield what gives the result in all probed rows where it gives any number."""
    values_S = result.values_N[rows]
    slack_S = result.step * (1 + 1e-6) + 4 * result.noise * np.abs(values_S) + 1e-12
    given_CS = np.where(np.isfinite(ways.given_CS), ways.given_CS, np.nan)
    off_CS = np.abs(given_CS - values_S) > slack_S
    told_C = (~np.isnan(given_CS + values_S)).sum(axis=1) >= _FEWEST_PROBES
    for at in np.flatnonzero(told_C & ~off_CS.any(axis=1)).tolist():
        function, used = ways.kinds[at]
        if name not in used:
            yield Constraint(kind="function", columns=(name, *used), function=function)


def _roots(columns: TableColumns, name: str, rows: Ints, ways: Ways) -> Iterator[Constraint]:
    """Yield roots of what one factor turns into the result."""
    result = columns.quantities[name]
    values_S = result.values_N[rows]
    if np.nanmin(result.values_N) < 0:
        return
    slack_S = result.step / 2 + 4 * result.noise * values_S + 1e-12
    positive_CS = np.where(ways.given_CS > 0, ways.given_CS, np.nan)
    low_CS = np.maximum(values_S - slack_S, 0) ** 2 / positive_CS
    high_CS = (values_S + slack_S) ** 2 / positive_CS
    told_C = (~np.isnan(low_CS)).sum(axis=1) >= _FEWEST_PROBES
    low_C = np.max(low_CS, axis=1, initial=0, where=~np.isnan(low_CS))
    high_C = np.min(high_CS, axis=1, initial=np.inf, where=~np.isnan(high_CS))
    sample = columns.sample_S
    for at in np.flatnonzero(told_C & (low_C <= high_C)).tolist():
        _, used = ways.kinds[at]
        if name in used:
            continue
        inputs = [columns.quantities[other].values_N[sample] for other in used]
        scale = _scale(result, np.prod(inputs, axis=0), result.values_N[sample])
        if scale:
            yield Constraint(kind="function", columns=(name, *used), function="root", scale=scale)


def _scale(result: Quantity, given_S: Floats, values_S: Floats) -> float | None:
    """Return the simplest factor whose root all rows of the sample allow."""
    told_S = ~np.isnan(given_S * values_S) & (given_S > 0)
    if not told_S.any():
        return None
    given_S, values_S = given_S[told_S], values_S[told_S]
    slack_S = result.step / 2 + result.noise * values_S + 1e-12
    low = float((np.maximum(values_S - slack_S, 0) ** 2 / given_S).max())
    high = float(((values_S + slack_S) ** 2 / given_S).min())
    return simple_number((low + high) / 2, (high - low) / 2) if low < high else None


def _rule(columns: TableColumns, constraint: Constraint) -> FoundRule | None:
    """Return the rule if all rows keep it and enough of them tell it."""
    name, *used = constraint.columns
    result, *inputs = (columns.quantities[each] for each in constraint.columns)
    function = constraint.function or "log"
    given_N = function_values(function, [one.values_N for one in inputs], constraint.scale)
    given_N = at_zero(columns, result, np.where(np.isfinite(given_N), given_N, np.nan), inputs)
    support = formula_support(result, given_N)
    if support is None:
        return None
    factor = "" if constraint.scale == 1 else f"{number_text(constraint.scale)} times "
    what = (
        f"the square root of the sum of the squares of {listed_names(used)}"
        if function == "length"
        else f"{KNOWN[function].words} {factor}{' times '.join(used)}"
    )
    why = f"{name} is {what}{rounding_words(result.decimals)}, in all rows"
    return FoundRule(constraint=constraint, why=why, support=support)
