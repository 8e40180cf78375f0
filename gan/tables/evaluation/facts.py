"""Hard facts about a candidate's rows, and the shares of nulls.

A hard fact holds or does not. What real rows do themselves cannot be held against a generator:
where unseen real rows have levels or numbers that train has not, or repeat one another, a candidate
may as often, up to chance; rows that equal one of train are held against those that equal unseen
ones (`gan.evaluation.exact_copies`).

Shapes: N rows, D columns with nulls, B draws.
"""

from collections.abc import Iterator, Mapping, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gan.evaluation.exact_copies import Chance, exact_copies, find_chance
from gan.evaluation.resampling import summarise
from gan.metrics.copies import repeated
from gan.metrics.equality import count_equals
from gan.metrics.intervals import difference_half_width, more_often
from gan.randomness import numpy_stream
from gan.report import Fact, Measured, Metric
from gan.tables.columns.rules import describe
from gan.tables.columns.values import plain
from gan.tables.constraints import violations
from gan.tables.evaluation.classes import NamedClasses
from gan.tables.evaluation.closeness import RowIdentity
from gan.tables.evaluation.columns import (
    EvaluationContext,
    as_levels,
    as_numbers,
    is_null,
    levels_by_count,
)
from gan.tables.evaluation.rows import RowContext
from gan.tables.keys import form_pattern
from storage.records.constraint import Constraint
from storage.records.schema import Column

Array = np.ndarray[Any, Any]

DRAWS = 400
LEVEL = 0.01
"""Probability that any interval of the shares of nulls misses its difference."""
MOST_BROKEN = 3
"""As many broken constraints are named."""


class NullRates:
    """How far the shares of nulls lie from train's; the worst column is the metric.

    Because the worst is picked, its interval holds all columns together: each is at the level
    1 - .01 / D (Bonferroni).
    """

    def __init__(self, context: EvaluationContext) -> None:
        """Count train's nulls in the judged columns."""
        train = context.splits.train
        shares = {each.name: float(is_null(train[each.name]).mean()) for each in context.columns}
        self.names = tuple(name for name, share in shares.items() if share > 0)
        self.shares_D = np.array([shares[name] for name in self.names])
        self.train_rows, self.seed = train.num_rows, context.seed

    def measure(self, candidate: pa.Table) -> Iterator[Measured]:
        """Yield `null_rate` of the worst column; nothing where train has no null.

        Real rows as the candidate: the largest difference that chance alone makes.
        """
        if not self.names:
            return
        rows = candidate.num_rows
        fakes_D = np.array([is_null(candidate[name]).mean() for name in self.names])
        differences_D = np.abs(fakes_D - self.shares_D)
        worst = int(np.argmax(differences_D))
        value, share = float(differences_D[worst]), float(self.shares_D[worst])
        z = NormalDist().inv_cdf(1 - LEVEL / (2 * len(self.names)))
        half = difference_half_width(float(fakes_D[worst]), rows, share, self.train_rows, z)
        rng = numpy_stream(self.seed, "null-rate")
        size = (DRAWS, len(self.names))
        ours_BD = rng.binomial(rows, self.shares_D, size) / rows
        trains_BD = rng.binomial(self.train_rows, self.shares_D, size) / self.train_rows
        real = summarise(np.abs(ours_BD - trains_BD).max(axis=1).tolist())
        metric = Metric(
            name="null_rate",
            scope=f"all/{self.names[worst]}",
            value=value,
            low=max(0.0, value - half),
            high=min(1.0, value + half),
            n=rows,
            ceiling=real.ceiling,
            direction="lower",
        )
        yield Measured(metric=metric, reals=real.draws)


class Validity:
    """Whether values are such as the columns of the real table have.

    `broken` is what no real row can be: null where no real row is, an infinite number, a key of
    another form or a repeated one, another value of a constant. `unseen` is what train has not and
    other real rows may have: levels, and numbers outside train's range.
    """

    def __init__(self, context: EvaluationContext) -> None:
        """Read from the real rows what their columns are like."""
        splits, judged = context.splits, context.columns
        parts = (splits.train, splits.validation, splits.holdout)
        self.derived = tuple(
            each for each in context.metadata.columns if context.column(each.name) is None
        )
        """Keys, constants and replaced text."""
        self.constants = {
            each.name: levels_by_count(splits.train[each.name])[0]
            for each in self.derived
            if each.kind == "constant"
        }
        """Column → its one value, an Arrow array with at most one entry."""
        self.full = tuple(
            name
            for name in splits.train.column_names
            if not any(is_null(part[name]).any() for part in parts)
        )
        """Columns without a null in any real row."""
        self.levels = {
            each.name: levels_by_count(splits.train[each.name])
            for each in judged
            if each.form == "levels"
        }
        self.ranges = {
            each.name: _range(as_numbers(splits.train[each.name]))
            for each in judged
            if each.form == "number"
        }
        """Column → smallest and largest number of train."""

    def broken(self, records: pa.Table) -> dict[str, Array]:
        """Return, for what is wrong, in which rows; bool (N,) each."""
        found = {f"{name} is null": is_null(records[name]) for name in self.full}
        for name in self.ranges:
            numbers = as_numbers(records[name])
            found[f"{name} is infinite"] = np.isinf(numbers)
        for column in self.derived:
            found |= self._derived(column, records[column.name])
        return {text: mask for text, mask in found.items() if mask.any()}

    def unseen(self, records: pa.Table) -> dict[str, Array]:
        """Return, for what train has not, in which rows; bool (N,) each."""
        found = {}
        for name, known in self.levels.items():
            positions = as_levels(records[name], known.values)
            found[f"{name} has a new level"] = (positions < 0) & ~is_null(records[name])
        for name, (low, high) in self.ranges.items():
            numbers = as_numbers(records[name])
            found[f"{name} is out of range"] = (numbers < low) | (numbers > high)
        return {text: mask for text, mask in found.items() if mask.any()}

    def _derived(self, column: Column, values: Any) -> dict[str, Array]:
        """Return what is wrong with a derived column, and in which rows."""
        name, found = column.name, {}
        if name in self.constants:
            known = self.constants[name]
            found[f"{name} is not constant"] = (as_levels(values, known) < 0) & ~is_null(values)
        if column.form is not None:
            texts = pc.cast(plain(values), pa.string())
            pattern = form_pattern(column.form)
            if pa.types.is_integer(plain(values).type) and column.form.strip("9") == "":
                pattern = rf"^[0-9]{{1,{len(column.form)}}}$"
            matched = pc.fill_null(pc.match_substring_regex(texts, pattern), True)
            found[f"{name} is of another form"] = ~matched.to_numpy(zero_copy_only=False)
        if column.kind == "key":
            found[f"{name} is a repeated key"] = _repeats(plain(values))
        return found


def _range(numbers: Array) -> tuple[float, float]:
    """Return the smallest and the largest number; everything where there is none."""
    known = numbers[~np.isnan(numbers)]
    return (float(known.min()), float(known.max())) if len(known) else (-np.inf, np.inf)


def _repeats(values: Any) -> Array:
    """Return where a value was there before; nulls are none."""
    coded = values.dictionary_encode().indices
    codes_N = pc.fill_null(coded, -1).to_numpy(zero_copy_only=False)
    first = np.unique(codes_N, return_index=True)[1]
    again_N = np.ones(len(codes_N), dtype=bool)
    again_N[first] = False
    again_N[codes_N < 0] = False
    return again_N


class HardFacts:
    """Facts that decide on the point, about a candidate and the splits it is measured on."""

    def __init__(self, context: EvaluationContext, identity: RowIdentity) -> None:
        """Look up what real rows do themselves."""
        self.context, self.identity, splits = context, identity, context.splits
        train, validation, holdout = (
            identity.digests(part) for part in (splits.train, splits.validation, splits.holdout)
        )
        seen, choosing = frozenset(train), frozenset(validation)
        self.validity, self.train_digests = Validity(context), seen
        self.classes = named_classes(self.validity, context, context.metadata.min_group)
        self.unseen_digests = choosing | frozenset(holdout)
        self.repeats = repeated(train)
        """Rows of train that another one equals."""
        self.overlaps = sum(digest in seen for digest in validation) + sum(
            digest in seen or digest in choosing for digest in holdout
        )
        """Rows of validation and holdout that are in another split, too."""
        unseen = self.validity.unseen(splits.holdout)
        self.holdout_invalid = int(_any_of(unseen, len(holdout)).sum())

    def find(self, candidate: pa.Table) -> tuple[Fact, ...]:
        """Return every hard fact about a candidate and the splits it is measured on."""
        return (
            self._validity(candidate),
            *self._constraints(candidate),
            *self.classes.judge(candidate, "row"),
            self._exact_copies(candidate),
            self._overlap(),
        )

    def _validity(self, candidate: pa.Table) -> Fact:
        rows, holdout_rows = candidate.num_rows, self.context.splits.holdout.num_rows
        broken, unseen = self.validity.broken(candidate), self.validity.unseen(candidate)
        broken_N, unseen_N = _any_of(broken, rows), _any_of(unseen, rows)
        holds = not broken_N.any() and not more_often(
            int(unseen_N.sum()), rows, self.holdout_invalid, holdout_rows
        )
        share = float((broken_N | unseen_N).mean())
        worst = _most_frequent(broken or unseen)
        text = "every value is of its column's type, form, levels and range"
        if share:
            text = f"{share:.2%} of {rows:,} rows hold a value that train's columns do not allow"
            text += f" (of the holdout {self.holdout_invalid / holdout_rows:.2%}): {worst}"
        return Fact(name="validity", holds=holds, value=share, text=text)

    def _constraints(self, candidate: pa.Table) -> Iterator[Fact]:
        constraints = self.context.metadata.constraints
        if not constraints:
            return
        splits, rows = self.context.splits, candidate.num_rows
        broken = violations(candidate, constraints, splits.train)
        named = len(self.context.metadata.named_constraints)
        unkept = [
            (each, int(mask.sum()), place < named)
            for place, (each, mask) in enumerate(zip(constraints, broken, strict=True))
            if self._breaks(each, int(mask.sum()), rows)
        ]
        failing = [(each, count) for each, count, is_named in unkept if is_named]
        found = [(each, count) for each, count, is_named in unkept if not is_named]
        share = float(np.logical_or.reduce(broken).mean())
        text = f"all {len(constraints)} constraints hold in every row"
        if failing:
            worst = sorted(failing, key=lambda item: -item[1])
            said = [
                f"{describe(each)} does not hold in {count:,} of {rows:,} rows"
                for each, count in worst[:MOST_BROKEN]
            ]
            more = len(worst) - len(said)
            said += [f"{more} more {'does' if more == 1 else 'do'} not either"] * (more > 0)
            text = "; ".join(said)
        elif found:
            worst_rule, most = max(found, key=lambda item: item[1])
            text = (
                f"{describe(worst_rule)}, which was found in the real rows, does not hold in "
                f"{most:,} of {rows:,} rows"
            )
            others = len(found) - 1
            text += f", and {others} more found {'rule' if others == 1 else 'rules'}" * (others > 0)
            text += "; only constraints that the recipe names can block"
        elif share:
            text = (
                f"combinations that train does not have are as rare as in the holdout ({share:.2%})"
            )
        yield Fact(name="constraints", holds=not failing, value=share, text=text)

    def _breaks(self, constraint: Constraint, count: int, rows: int) -> bool:
        """Return whether a constraint fails; new combinations may be as frequent as real ones."""
        if constraint.kind != "combinations" or not count:
            return count > 0
        splits = self.context.splits
        (own,) = violations(splits.holdout, [constraint], splits.train)
        return more_often(count, rows, int(own.sum()), splits.holdout.num_rows)

    def _exact_copies(self, candidate: pa.Table) -> Fact:
        identity, splits = self.identity, self.context.splits
        digests = identity.digests(candidate)
        equals = count_equals(digests, self.train_digests, self.unseen_digests)

        def chance() -> Chance:
            fakes, train, validation, holdout = (
                identity.codes(rows)
                for rows in (candidate, splits.train, splits.validation, splits.holdout)
            )
            unseen = np.concatenate([validation, holdout])
            return find_chance(fakes, train, unseen, self.repeats)

        return exact_copies(equals, chance, "rows equal a training row in all columns")

    def _overlap(self) -> Fact:
        splits, overlaps = self.context.splits, self.overlaps
        rows = splits.validation.num_rows + splits.holdout.num_rows
        natural = self.context.options.overlap_expected or (
            self.repeats > 0 and not more_often(overlaps, rows, self.repeats, splits.train.num_rows)
        )
        text = f"{overlaps:,} of {rows:,} rows of validation and holdout are in another split, too"
        if overlaps and natural:
            text += ", as it must be where rows of the source repeat"
        return Fact(
            name="overlap",
            holds=overlaps == 0 or natural,
            value=float(overlaps),
            text=text if overlaps else "no row is in two splits",
        )


def named_classes(validity: Validity, context: RowContext, least: int) -> NamedClasses:
    """Return the classes of the label, which is one of the columns whose levels are known."""
    label = context.splits.label
    known = validity.levels.get(label or "")
    return NamedClasses(label, known, context.splits.train.num_rows, least)


def _any_of(found: Mapping[str, Array], rows: int) -> Array:
    """Return the rows in which anything was found; bool (N,)."""
    rows_N: Array = np.logical_or.reduce([*found.values(), np.zeros(rows, dtype=bool)])
    return rows_N


def _most_frequent(broken: dict[str, Array], most: int = 3) -> str:
    """Return the columns with most of it, in words."""
    counts = {name: int(mask.sum()) for name, mask in broken.items() if mask.any()}
    worst: Sequence[str] = sorted(counts, key=lambda name: (-counts[name], name))[:most]
    more = f" and {len(counts) - most} more" if len(counts) > most else ""
    return ", ".join(f"{name} ({counts[name]:,})" for name in worst) + more
