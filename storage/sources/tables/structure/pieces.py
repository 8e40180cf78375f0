"""Numbers that follow another one in straight pieces: what is capped, above a threshold, absolute.

The argument is a column, or how much more one column is than another. In the order of the argument
a value lies between its neighbours as a straight line has it, but at a few bends; that leaves few
candidates. The pieces are the longest runs that a line fits, from the lowest on; the bends are
where their lines meet.

S rows of the sample, P columns, U different arguments.
"""

from collections.abc import Collection, Iterator, Sequence
from itertools import combinations, pairwise
from typing import Final, NamedTuple

import numpy as np

from storage.records.constraint import Constraint
from storage.records.piecewise import piecewise
from storage.sources.tables.structure.columns import (
    LEAST_ROWS,
    Floats,
    Mask,
    Quantity,
    TableColumns,
)
from storage.sources.tables.structure.evidence import formula_support
from storage.sources.tables.structure.rule import FoundRule
from storage.sources.tables.structure.simple_numbers import simple_number

MOST_COLUMNS: Final = 60
"""Of more columns, they are looked for among the first."""

MOST_OF_TWO: Final = 25
"""The same, for functions of a difference."""

_HEAD: Final = 120
_MOST_CUTS: Final = 4
_FEWEST_POINTS: Final = 9
_FEWEST_OF_PIECE: Final = 3
_STEPS: Final = 5.0
"""A rounded result varies by so many of its steps, or pieces fit any."""

_BENT: Final = 2
"""Points beside a bend that no line through their neighbours meets."""

_EXACT: Final = 1e-6
_SURE: Final = 4.0
_ROWS_OF_PIECE: Final = 30
_LEAST_SHARE: Final = 0.01
"""So many rows lie in each piece."""


class Argument(NamedTuple):
    """What a function is of."""

    names: tuple[str, ...]
    values_N: Floats


class PiecewiseFunction(NamedTuple):
    """A function in straight pieces."""

    cuts: tuple[float, ...]
    slopes: tuple[float, ...]
    value: float

    def at(self, numbers: Floats) -> Floats:
        """Return its values."""
        return piecewise(numbers, self.cuts, self.slopes, self.value)


class Piece(NamedTuple):
    """A straight piece."""

    slope: float
    height: float
    """At zero."""
    error: float
    """Of the height."""


def find_pieces(columns: TableColumns, skipped: Collection[str]) -> tuple[FoundRule, ...]:
    """Return functions of one column, then those of how much more one is than another.

    Args:
        columns: of the table.
        skipped: columns that are not looked at, as other rules tell them.
    """
    names = columns.numbers(skipped, MOST_COLUMNS)
    results = [name for name in names if _varies(columns, name)]
    found: dict[frozenset[str], FoundRule] = {}
    if len(names) < 2 or not results:
        return ()
    head = columns.spread(_HEAD)
    head_SP = np.stack([columns.quantities[name].values_N[head] for name in results], axis=1)
    near_P = np.array([_tolerance(columns, columns.quantities[name]) for name in results])
    for argument in _arguments(columns, names):
        fits_P = _fits(argument.values_N[head], head_SP, near_P)
        for place in np.flatnonzero(fits_P).tolist():
            if results[place] in argument.names:
                continue
            rule = _rule(columns, results[place], argument, float(near_P[place]))
            if rule is not None:
                known = found.setdefault(frozenset(rule.constraint.columns), rule)
                later = columns.names.index(rule.constraint.columns[0])
                if later > columns.names.index(known.constraint.columns[0]):
                    found[frozenset(rule.constraint.columns)] = rule
    return tuple(found.values())


def _varies(columns: TableColumns, name: str) -> bool:
    values_S = columns.quantities[name].values_N[columns.sample_S]
    return len(np.unique(values_S[~np.isnan(values_S)])) >= _FEWEST_OF_PIECE


def _arguments(columns: TableColumns, names: Sequence[str]) -> Iterator[Argument]:
    quantities = columns.quantities
    yield from (Argument((name,), quantities[name].values_N) for name in names)
    for one, other in combinations(names[:MOST_OF_TWO], 2):
        apart_N = quantities[one].values_N - quantities[other].values_N
        both = [quantities[each].decimals for each in (one, other)]
        if None not in both:
            apart_N = np.round(apart_N, max(each for each in both if each is not None))
        yield Argument((one, other), apart_N)


def _tolerance(columns: TableColumns, one: Quantity) -> float:
    """Return how far a value may lie from a line: a step where it varies by many, else nothing."""
    values_S = one.values_N[columns.sample_S]
    noise = float(one.noise * np.nanmax(np.abs(values_S))) + 1e-12
    many = np.nanstd(values_S) >= _STEPS * one.step
    return one.step * (1.0 if many else _EXACT) + noise


def _fits(arguments_S: Floats, values_SP: Floats, near_P: Floats) -> Mask:
    """Return which columns lie between their neighbours as lines have it, but at few places."""
    known_S = ~np.isnan(arguments_S)
    order = np.argsort(arguments_S[known_S], kind="stable")
    sorted_S = arguments_S[known_S][order]
    starts = np.flatnonzero(np.append(True, sorted_S[1:] != sorted_S[:-1]))
    none_P = np.zeros(len(near_P), dtype=bool)
    if len(starts) < _FEWEST_POINTS:
        return none_P
    ordered_SP = values_SP[known_S][order]
    low_UP = np.minimum.reduceat(ordered_SP, starts, axis=0)
    high_UP = np.maximum.reduceat(ordered_SP, starts, axis=0)
    single_P = ~((high_UP - low_UP) > near_P).any(axis=0) & ~np.isnan(low_UP).any(axis=0)
    if not single_P.any():
        return none_P
    points_U, middle_UP = sorted_S[starts], (low_UP + high_UP) / 2
    along_U = (points_U[1:-1] - points_U[:-2]) / (points_U[2:] - points_U[:-2])
    lines_UP = middle_UP[:-2] + (middle_UP[2:] - middle_UP[:-2]) * along_U[:, None]
    bent_UP = np.abs(middle_UP[1:-1] - lines_UP) > 2 * near_P
    rising_UP = (np.abs(middle_UP[2:] - middle_UP[:-2]) > near_P) & ~bent_UP
    few_P = bent_UP.sum(axis=0) <= min(_BENT * _MOST_CUTS, len(points_U) // 3)
    fits_P: Mask = single_P & few_P & (rising_UP.sum(axis=0) >= _FEWEST_OF_PIECE)
    return fits_P


def _rule(columns: TableColumns, name: str, argument: Argument, near: float) -> FoundRule | None:
    """Return the rule if all rows keep it and enough of them tell it."""
    result, rows = columns.quantities[name], columns.sample_S
    arguments_S, values_S = argument.values_N[rows], result.values_N[rows]
    known_S = ~np.isnan(arguments_S + values_S)
    for curve in _curves(arguments_S[known_S], values_S[known_S], result.step, near):
        computed_N = curve.at(argument.values_N)
        support = formula_support(result, computed_N)
        told = int((result.values_N != argument.values_N)[~np.isnan(result.values_N)].sum())
        if support is not None and told >= LEAST_ROWS and _has_rows(curve, argument.values_N):
            support = min(support, told)
            constraint = Constraint(
                kind="piecewise",
                columns=(name, *argument.names),
                cuts=curve.cuts,
                weights=curve.slopes,
                offset=curve.value,
            )
            why = f"{name} is {_formula(curve, argument.names)} in all rows"
            return FoundRule(constraint=constraint, why=why, support=support)
    return None


def _has_rows(curve: PiecewiseFunction, arguments_N: Floats) -> bool:
    """Whether many rows lie in each piece, and at different arguments."""
    known_N = arguments_N[~np.isnan(arguments_N)]
    ends = [-np.inf, *curve.cuts, np.inf]
    for low, high in pairwise(ends):
        inside = known_N[(known_N >= low) & (known_N <= high)]
        enough = len(inside) >= max(_ROWS_OF_PIECE, _LEAST_SHARE * len(known_N))
        if not enough or len(np.unique(inside)) < _FEWEST_OF_PIECE:
            return False
    return True


def _curves(
    arguments_S: Floats, values_S: Floats, step: float, near: float
) -> Iterator[PiecewiseFunction]:
    """Yield the functions that fit, rounded to the nearest, down and up; none of one piece."""
    points_U, inverse = np.unique(arguments_S, return_inverse=True)
    if len(points_U) < _FEWEST_POINTS:
        return
    values_U = np.bincount(inverse, values_S) / np.bincount(inverse)
    rounded = step > 0 and near >= step
    ends = _runs(points_U, values_U, 0.75 * step if rounded else near)
    if ends is None or len(ends) < 3:
        return
    error = step / np.sqrt(12) if rounded else near / _SURE
    lines = [_line(points_U[a:b], values_U[a:b], error) for a, b in pairwise(ends)]
    for cuts in (_bends(lines), _meetings(lines)):
        if cuts is None or any(high <= low for low, high in pairwise(cuts)):
            continue
        shape = PiecewiseFunction(cuts, tuple(line.slope for line in lines), 0.0)
        off = values_U - shape.at(points_U)
        for shift in (0.0, step / 2, -step / 2) if rounded else (0.0,):
            value = simple_number(float(off.mean()) + shift, step / 8 if rounded else 4 * near)
            if value is not None:
                yield shape._replace(value=value)


def _bends(lines: Sequence[Piece]) -> tuple[float, ...] | None:
    """Return where lines meet, as people write it; None where one has no such slope."""
    cuts = list[float]()
    for one, other in pairwise(lines):
        turn = other.slope - one.slope
        if not np.isfinite(turn) or turn == 0:
            return None
        cut = (one.height - other.height) / turn
        found = simple_number(cut, (one.error + other.error) / abs(turn) + 1e-9 * abs(cut))
        if found is None:
            return None
        cuts.append(found)
    return tuple(cuts)


def _meetings(lines: Sequence[Piece]) -> tuple[float, ...] | None:
    """Return where lines of heights that people write meet, such as 9.3 % of pay, at most 700."""
    heights = [simple_number(line.height, line.error) for line in lines]
    found = [height for height in heights if height is not None]
    turns = [other.slope - one.slope for one, other in pairwise(lines)]
    if len(found) < len(lines) or not all(np.isfinite(turn) and turn for turn in turns):
        return None
    pairs = zip(pairwise(found), turns, strict=True)
    return tuple((one - other) / turn for (one, other), turn in pairs)


def _runs(points_U: Floats, values_U: Floats, near: float) -> list[int] | None:
    """Return where runs that a line fits begin, and the end; None where there are many."""
    ends = [0]
    while ends[-1] < len(points_U):
        start = ends[-1]
        low, high = min(start + _FEWEST_OF_PIECE, len(points_U)), len(points_U)
        if len(ends) > _MOST_CUTS + 1 or high - start < _FEWEST_OF_PIECE:
            return None
        if not _is_line(points_U[start:low], values_U[start:low], near):
            return None
        while low < high:
            middle = (low + high + 1) // 2
            if _is_line(points_U[start:middle], values_U[start:middle], near):
                low = middle
            else:
                high = middle - 1
        ends.append(low)
    return ends


def _is_line(points_U: Floats, values_U: Floats, near: float) -> bool:
    slope, middle = _slope(points_U, values_U)
    off_U = values_U - values_U.mean() - slope * (points_U - middle)
    return bool(np.abs(off_U).max() <= near)


def _slope(points_U: Floats, values_U: Floats) -> tuple[float, float]:
    middle = float(points_U.mean())
    from_U = points_U - middle
    return float(from_U @ values_U / (from_U @ from_U)), middle


def _line(points_U: Floats, values_U: Floats, error: float) -> Piece:
    """Return the line of a run without its ends; its slope is as people write it, or NaN."""
    trimmed = len(points_U) // 20
    inner = slice(trimmed, len(points_U) - trimmed)
    points_U, values_U = points_U[inner], values_U[inner]
    raw, middle = _slope(points_U, values_U)
    from_U = points_U - middle
    slope_error = _SURE * error / float(np.sqrt(from_U @ from_U))
    found = simple_number(raw, slope_error + 1e-9 * abs(raw))
    slope = float("nan") if found is None else found
    height = float((values_U - slope * points_U).mean())
    return Piece(slope, height, float(_SURE * error / np.sqrt(len(points_U)) + 1e-12))


def _formula(curve: PiecewiseFunction, names: Sequence[str]) -> str:
    """Return the function in words."""
    argument = " minus ".join(names)
    if len(names) > 1 and curve == PiecewiseFunction((0.0,), (-1.0, 1.0), 0.0):
        return f"how far apart {names[0]} and {names[1]} are"
    if len(curve.cuts) == 1 and 0.0 in curve.slopes:
        before, after = curve.slopes
        slope, (cut,) = before or after, curve.cuts
        times = {1.0: "", -1.0: "minus "}.get(slope, f"{slope:.10g} times ")
        said = f"{times}{argument if len(names) == 1 or not times else f'({argument})'}"
        height = curve.value - slope * cut
        plus = "" if abs(height) < 1e-12 else f" {'-' if height < 0 else '+'} {abs(height):.10g}"
        limit = "at most" if (slope > 0) == (before != 0) else "at least"
        return f"{said}{plus}, but {limit} {curve.value:.10g},"
    cuts = ", ".join(f"{cut:.10g}" for cut in curve.cuts)
    return f"a function of {argument} in straight pieces that bends at {cuts}"
