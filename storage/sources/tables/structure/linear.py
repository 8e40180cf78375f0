"""Linear formulas between columns: sums, constant sums, weights and an offset.

Exact ones, such as a total of any number of columns, are the null space of the centred sample: its
reduced echelon forms under several orders of the columns are short relations (each a circuit: no
column of it can be left out). Rounded ones, such as a tax of 19 %, are regressions whose residuals
are no larger than half a step of the column; what a regression does not need is left out, and its
weights must be numbers that people write. All are then verified on all rows.

N rows, S of the sample, P columns, K relations.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from storage.records.constraint import Constraint
from storage.sources.tables.structure.columns import Floats, Ints, Quantity, TableColumns
from storage.sources.tables.structure.evidence import formula_support
from storage.sources.tables.structure.rule import FoundRule, listed_names
from storage.sources.tables.structure.simple_numbers import number_text, simple_number

_MOST_PATTERNS: Final = 8
_LEAST_SAMPLE: Final = 100
_ROWS_PER_COLUMN: Final = 3
_EXACT: Final = 1e-9
_SINGLE: Final = 2.0**-23
"""Relative error of a sum in single precision."""

_ZERO: Final = 1e-6
_ORDERS: Final = 40
_MOST_TERMS: Final = 40
_MOST_ROUNDED: Final = 8
_STEPS: Final = 5.0
"""A rounded column varies by so many of its steps, or any formula fits it."""

_SURE: Final = 4.0
"""A weight so many standard errors from zero is one."""


@dataclass(frozen=True, kw_only=True)
class Complete:
    """Columns, and rows of the sample in which all of them have values."""

    names: tuple[str, ...]
    values_SP: Floats


class Regression(NamedTuple):
    """A regression on K columns; U different rows, the result first."""

    rows_UP: Floats
    weights_K: Floats
    errors_K: Floats
    """What a weight may be off."""


def find_linear(
    columns: TableColumns, skipped: Collection[str], never: Collection[str] = ()
) -> tuple[FoundRule, ...]:
    """Return linear formulas, the simplest first.

    Args:
        columns: of the table.
        skipped: columns that are not looked at, as other rules tell them.
        never: columns that no formula gives.
    """
    found: dict[Constraint, FoundRule] = {}
    for complete in _complete_blocks(columns, skipped):
        for constraint in (*_exact(columns, complete, never), *_rounded(columns, complete, never)):
            if constraint not in found and (rule := verify_linear(columns, constraint)):
                found[constraint] = rule
    return _likeliest(columns, found.values())


def _likeliest(columns: TableColumns, rules: Iterable[FoundRule]) -> tuple[FoundRule, ...]:
    """Return of the rules on the same columns the one that was computed; the simplest come first.

    That is a sum, or the one whose result has the most decimals, such as a mean; of equal ones that
    which gives no number twice, such as pounds of kilograms; then that of the simplest numbers, or
    the one whose result is the column that comes last.
    """

    def rank(rule: FoundRule) -> tuple[bool, int, bool, int, int]:
        name = rule.constraint.columns[0]
        plain, _, digits = _simplicity(rule)
        decimals = columns.quantities[name].decimals or 0
        return plain, -decimals, _joins(columns, rule), digits, -columns.names.index(name)

    best: dict[frozenset[str], FoundRule] = {}
    for rule in sorted(rules, key=rank):
        best.setdefault(frozenset(rule.constraint.columns), rule)
    return tuple(
        sorted(
            best.values(),
            key=lambda rule: (*_simplicity(rule), columns.names.index(rule.constraint.columns[0])),
        )
    )


def _joins(columns: TableColumns, rule: FoundRule) -> bool:
    """Whether a multiple of a column is the same for neighbouring values of it, once rounded."""
    if len(rule.constraint.weights) != 1:
        return False
    result, part = (columns.quantities[name] for name in rule.constraint.columns)
    return abs(rule.constraint.weights[0]) * part.step < result.step


def _simplicity(rule: FoundRule) -> tuple[bool, int, int]:
    constraint = rule.constraint
    numbers = (*constraint.weights, constraint.offset)
    digits = sum(len(f"{abs(number):.10g}") for number in numbers)
    return constraint.kind != "sum", len(constraint.columns), digits


def verify_linear(columns: TableColumns, constraint: Constraint) -> FoundRule | None:
    """Return a sum or a linear formula as a rule where it holds in all rows and they tell it."""
    total, *parts = (columns.quantities[name] for name in constraint.columns)
    if constraint.kind == "sum" and any(total.step > part.step for part in parts):
        ones = (1.0,) * len(parts)  # a sum is exact; a linear formula is rounded as its column is
        constraint = Constraint(kind="linear", columns=constraint.columns, weights=ones)
    weights = constraint.weights or (1.0,) * len(parts)
    terms = [w * part.values_N for w, part in zip(weights, parts, strict=True)]
    computed_N = constraint.offset + np.sum(terms, axis=0)
    gaps = not np.isnan(total.values_N[np.isnan(computed_N)]).all()
    if gaps and constraint.kind == "sum":
        computed_N = _without_gaps(total, terms)
    support = formula_support(total, computed_N, terms)
    if support is None or not _has_points(columns, constraint, total, computed_N):
        return None
    coarse = any(total.step > part.step for part in parts)
    why = f"{_sentence(constraint)}, rounded" if coarse else _sentence(constraint)
    return FoundRule(constraint=constraint, why=why, support=support)


def _has_points(
    columns: TableColumns, constraint: Constraint, total: Quantity, computed_N: Floats
) -> bool:
    """Whether the inputs have points enough: any formula runs through few, or near a few more."""
    if all(abs(weight) == 1 for weight in constraint.weights):
        return True
    rows = columns.sample_S
    inputs = [columns.quantities[name].values_N[rows] for name in constraint.columns[1:]]
    points = len(np.unique(np.stack(inputs, axis=1), axis=0))
    off_S = np.abs(total.values_N - computed_N)[rows]
    exact = not (off_S > 10 * total.noise * np.abs(computed_N[rows]) + 1e-12).any()
    return points >= (len(inputs) + 3 if exact else 10 * (len(inputs) + 1))


def _without_gaps(total: Quantity, terms: Sequence[Floats]) -> Floats:
    """Return a sum that counts a missing part as 0, where most rows that lack a part have one."""
    missing_N = np.isnan(terms).any(axis=0)
    computed_N: Floats = np.nansum(terms, axis=0)
    if np.isnan(total.values_N[missing_N]).mean() >= 1 / 2:
        computed_N[missing_N] = np.nan
    return computed_N


def _sentence(constraint: Constraint) -> str:
    total, *parts = constraint.columns
    if constraint.kind == "sum":
        if len(parts) == 1:
            return f"{total} equals {parts[0]} in all rows"
        if len(parts) == 2:
            return f"{total} is {parts[0]} plus {parts[1]} in all rows"
        return f"{total} is {listed_names(parts)} together in all rows"
    if set(constraint.weights) == {-1.0} and constraint.offset:
        names = listed_names([total, *parts])
        return f"{names} together are {constraint.offset:.10g} in all rows"
    terms = [_term(weight, part) for weight, part in zip(constraint.weights, parts, strict=True)]
    offset = [f"+ {constraint.offset:.10g}"] if constraint.offset else []
    text = " ".join([*terms, *offset]).removeprefix("+ ").replace("+ -", "- ")
    return f"{total} is {text} in all rows"


def _term(weight: float, name: str) -> str:
    size = "" if abs(weight) == 1 else f"{number_text(abs(weight))} times "
    return f"{'-' if weight < 0 else '+'} {size}{name}"


def _complete_blocks(columns: TableColumns, skipped: Collection[str]) -> Iterator[Complete]:
    """Return columns that have values together: once for each pattern of missing values.

    The columns with the same gaps come first, then those that leave rows enough.
    """
    names = [name for name in columns.quantities if name not in skipped]
    sampled = {name: columns.quantities[name].values_N[columns.sample_S] for name in names}
    known = {name: ~np.isnan(values_S) for name, values_S in sampled.items()}
    seen: set[tuple[str, ...]] = set()
    patterns = dict.fromkeys(mask.tobytes() for mask in known.values())
    for pattern in list(patterns)[:_MOST_PATTERNS]:
        rows_S = np.frombuffer(pattern, dtype=bool).copy()
        order = sorted(names, key=lambda name: -int((known[name] & rows_S).sum()))
        kept: list[str] = []
        for name in order:
            left_S = rows_S & known[name]
            if left_S.sum() >= max(_LEAST_SAMPLE, rows_S.sum() / 2):
                rows_S = left_S
                kept.append(name)
        ordered = tuple(name for name in names if name in kept)
        if len(ordered) < 2 or ordered in seen:
            continue
        seen.add(ordered)
        values_SP = np.stack([sampled[name][rows_S] for name in ordered], axis=1)
        varies_P = values_SP.std(axis=0) > 0
        chosen = tuple(name for name, varies in zip(ordered, varies_P, strict=True) if varies)
        if len(values_SP) >= _ROWS_PER_COLUMN * len(chosen) and len(chosen) >= 2:
            yield Complete(names=chosen, values_SP=values_SP[:, varies_P])


def _exact(columns: TableColumns, complete: Complete, never: Collection[str]) -> list[Constraint]:
    """Return the exact relations of the sample, each solved for one of its columns."""
    centre_P, scale_P = complete.values_SP.mean(axis=0), complete.values_SP.std(axis=0)
    scaled_SP = (complete.values_SP - centre_P) / scale_P
    _, singular_P, right_PP = np.linalg.svd(np.linalg.qr(scaled_SP, mode="r"))
    noise = _float_noise(columns, complete)
    bounds = [_EXACT] if noise <= _EXACT else [_EXACT, noise]
    relations = [
        relation_P
        for bound in bounds
        for relation_P in _circuits(right_PP[singular_P <= bound * singular_P[0]])
    ]
    found: dict[tuple[int, ...], Constraint] = {}
    for relation_P in relations:
        places = np.flatnonzero(relation_P)
        key = tuple(places.tolist())
        if key not in found and len(places) <= _MOST_TERMS:
            weights = relation_P[places] / scale_P[places]
            names = [complete.names[place] for place in places]
            solved = _solve(columns, names, weights, centre_P[places], never)
            if solved is not None:
                found[key] = solved
    return list(found.values())


def _float_noise(columns: TableColumns, complete: Complete) -> float:
    """Return how exact a relation can be where single precision holds numbers without a step."""
    single = [columns.quantities[n].noise > _EXACT for n in complete.names]
    single_P = np.array(single) & [not columns.quantities[n].step for n in complete.names]
    if not single_P.any():
        return 0.0
    values_SP = complete.values_SP[:, single_P]
    widths_P = np.abs(values_SP).max(axis=0) / values_SP.std(axis=0)
    return float(min(_SINGLE * widths_P.max(), _ZERO))


def _circuits(null_KP: Floats) -> Iterator[Floats]:
    """Return the rows of the null space's reduced echelon forms, under several orders."""
    if not len(null_KP):
        return
    involved = np.flatnonzero(np.abs(null_KP).max(axis=0) > _ZERO)
    random = np.random.default_rng(0)
    orders: list[Ints] = [involved, involved[::-1]]
    orders += [random.permutation(involved) for _ in range(_ORDERS if len(null_KP) > 1 else 0)]
    for order in orders:
        yield from _reduced(null_KP.copy(), order)


def _reduced(null_KP: Floats, order: Ints) -> Floats:
    """Return the reduced echelon form whose pivots come first in the order of the columns."""
    row = 0
    for place in order:
        best = row + int(np.abs(null_KP[row:, place]).argmax())
        if abs(null_KP[best, place]) <= _ZERO:
            continue
        null_KP[[row, best]] = null_KP[[best, row]]
        null_KP[row] /= null_KP[row, place]
        others = np.arange(len(null_KP)) != row
        null_KP[others] -= np.outer(null_KP[others, place], null_KP[row])
        row += 1
        if row == len(null_KP):
            break
    null_KP[np.abs(null_KP) <= _ZERO] = 0
    return null_KP


def _solve(
    columns: TableColumns,
    names: Sequence[str],
    weights: Floats,
    centre: Floats,
    never: Collection[str],
) -> Constraint | None:
    """Return a relation, solved for the column that others sum up to, or the last that fits."""
    signs = np.sign(weights)
    alike = np.allclose(np.abs(weights), abs(weights[0]), rtol=1e-6)
    lone = [p for p in range(len(names)) if (signs == signs[p]).sum() == 1]
    steps = np.array([columns.quantities[name].step for name in names])
    offset_free = abs(float(weights @ centre)) <= 1e-6 * float(np.abs(weights) @ np.abs(centre))
    signed = {p for p, name in enumerate(names) if np.nanmin(columns.quantities[name].values_N) < 0}
    plain = [p for p in lone if not signed - {p}]
    if alike and len(lone) and (len(names) > 2 or offset_free) and (plain or not signed):
        place = (plain or lone)[-1]
    elif alike and len(signed) == 1 and offset_free and names[min(signed)] not in never:
        place = min(signed)  # a difference, such as a profit: no part of it leaves its range
    else:
        free = [p for p in range(len(names)) if names[p] not in never]
        fits = [p for p in free if _on_grid(weights / weights[p], steps, p)]
        place = (fits or free)[-1]
    return _linear(names, -weights / weights[place], place, centre)


def _on_grid(weights: Floats, steps: Floats, place: int) -> bool:
    """Whether the other columns' values always give a value on the grid of the one at a place."""
    if not steps.all():
        return True
    jumps = np.delete(weights * steps, place) / steps[place]
    return bool(np.allclose(jumps, np.round(jumps), atol=1e-6))


def _linear(names: Sequence[str], weights: Floats, place: int, centre: Floats) -> Constraint | None:
    """Return the constraint; None when the weights are no numbers that people write."""
    others = [p for p in range(len(names)) if p != place]
    plain = [simple_number(weights[p], 1e-6 * abs(weights[p])) for p in others]
    if any(weight is None for weight in plain):
        return None
    known = [weight for weight in plain if weight is not None]
    offset = float(centre[place] - np.dot(known, centre[others]))
    size = float(np.abs(centre[place]) + np.dot(np.abs(known), np.abs(centre[others])))
    rounded = simple_number(offset, 1e-7 * size)
    if rounded is None:
        return None
    ordered = (names[place], *(names[p] for p in others))
    return _constraint(ordered, known, rounded)


def _constraint(names: Sequence[str], weights: Sequence[float], offset: float) -> Constraint:
    if set(weights) == {1.0} and offset == 0:
        return Constraint(kind="sum", columns=tuple(names))
    return Constraint(kind="linear", columns=tuple(names), weights=tuple(weights), offset=offset)


def _rounded(
    columns: TableColumns, complete: Complete, never: Collection[str]
) -> Iterator[Constraint]:
    """Return formulas of which the column is the rounded result, by regressions."""
    names, values_SP = complete.names, complete.values_SP
    spread_P = values_SP.std(axis=0)
    steps_P = np.array([columns.quantities[name].step for name in names])
    noise_P = np.where(steps_P > 0, (steps_P / spread_P) ** 2 / 12, 0)
    scaled_SP = (values_SP - values_SP.mean(axis=0)) / spread_P
    corr_PP = scaled_SP.T @ scaled_SP / len(scaled_SP)
    fine_P = (steps_P > 0) & (spread_P >= _STEPS * steps_P)
    left_PP = 1 - corr_PP**2
    independent = _independent(scaled_SP)
    rest_P = np.ones(len(names))
    inverse = np.linalg.inv(
        corr_PP[np.ix_(independent, independent)] + 1e-13 * np.eye(len(independent))
    )
    rest_P[independent] = 1 / np.maximum(np.diag(inverse), 1e-12)
    for place in np.flatnonzero(fine_P).tolist():
        if names[place] in never:
            continue
        bound = 4 * noise_P[place] + 1e-12
        single = np.flatnonzero(left_PP[place] <= bound)
        for other in single[single != place].tolist():
            yield from _proportional(columns, names[place], names[other])
            yield from _regressed(complete, place, [other], steps_P[place])
        if not (single != place).any() and rest_P[place] <= bound:
            others = [p for p in independent if p != place]
            yield from _regressed(complete, place, others, steps_P[place])


def _independent(scaled_SP: Floats) -> list[int]:
    """Return columns of which none is a linear formula of those before it."""
    kept: list[int] = []
    basis_SK = np.empty((len(scaled_SP), 0))
    for place in range(scaled_SP.shape[1]):
        rest_S = scaled_SP[:, place]
        for _ in range(2):
            rest_S = rest_S - basis_SK @ (basis_SK.T @ rest_S)
        size = float(np.linalg.norm(rest_S))
        if size > 10 * _EXACT * np.sqrt(len(scaled_SP)):
            kept.append(place)
            basis_SK = np.column_stack([basis_SK, rest_S / size])
    return kept


def _proportional(columns: TableColumns, name: str, other: str) -> Iterator[Constraint]:
    """Return one column as a multiple of another, by a factor that fits in all rows.

    Each row allows the factors that give its value once rounded; the simplest number is taken that
    all rows allow, such as 0.621371 miles for a kilometre.
    """
    result, values_N = columns.quantities[name], columns.quantities[other].values_N
    rows = np.flatnonzero(~np.isnan(values_N * result.values_N) & (values_N != 0))
    ends = result.values_N[rows] + np.array([[-0.5], [0.5]]) * result.step
    limits = np.sort(ends / values_N[rows], axis=0)
    low, high = float(limits[0].max()), float(limits[1].min())
    factor = simple_number((low + high) / 2, (high - low) / 2) if low < high else None
    if factor:
        yield _constraint((name, other), (factor,), 0.0)


def _regressed(
    complete: Complete, place: int, others: Sequence[int], step: float
) -> Iterator[Constraint]:
    """Return the regression on the columns that it needs, where its residuals are roundings."""
    kept, found = list(others), None
    while kept:
        found = _fitted(complete.values_SP[:, [place, *kept]], step)
        if found is None:
            return
        needed_K = np.abs(found.weights_K) > found.errors_K
        if needed_K.all():
            break
        kept = [column for column, needed in zip(kept, needed_K, strict=True) if needed]
    if found is None or not kept or len(kept) > _MOST_ROUNDED:
        return
    plain = [simple_number(*pair) for pair in zip(found.weights_K, found.errors_K, strict=True)]
    known = [weight for weight in plain if weight]
    if len(known) < len(plain):
        return
    offset = float((found.rows_UP[:, 0] - found.rows_UP[:, 1:] @ known).mean())
    ordered = (complete.names[place], *(complete.names[column] for column in kept))
    for shift in (0, step / 2, -step / 2):  # rounded to the nearest, down, up
        rounded = simple_number(offset + shift, step / 8)
        if rounded is not None:
            yield _constraint(ordered, known, rounded)


def _fitted(rows_SP: Floats, step: float) -> Regression | None:
    """Return the regression of the first column on the others; None where one is off by a step.

    Equal rows count once: they are rounded alike, so that many make no weight surer.
    """
    rows_UP = np.unique(rows_SP, axis=0)
    centred_UP = rows_UP - rows_UP.mean(axis=0)
    scale_K = centred_UP[:, 1:].std(axis=0)
    if not scale_K.all():
        return None
    inputs_UK = centred_UP[:, 1:] / scale_K
    weights_K, *_ = np.linalg.lstsq(inputs_UK, centred_UP[:, 0], rcond=None)
    if np.abs(centred_UP[:, 0] - inputs_UK @ weights_K).max() > step:
        return None
    inverse_KK = np.linalg.pinv(inputs_UK.T @ inputs_UK)
    errors_K = _SURE * step / np.sqrt(12) * np.sqrt(np.abs(np.diag(inverse_KK)))
    return Regression(rows_UP, weights_K / scale_K, errors_K / scale_K)
