"""What holds between the columns of a table, found unasked.

Everything is looked for on a sample of rows, verified on all of them, and must be told by rows that
nothing simpler explains. N rows.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import pyarrow as pa

from storage.records.constraint import Constraint
from storage.records.schema import Column
from storage.sources.tables.structure import (
    functions,
    level_rates,
    lookups,
    moments,
    pieces,
    product_pairs,
    products,
)
from storage.sources.tables.structure.bands import find_bands
from storage.sources.tables.structure.changes import find_changes
from storage.sources.tables.structure.choose import Chosen, joined, told_by_lookups
from storage.sources.tables.structure.columns import Mask, TableColumns
from storage.sources.tables.structure.comparisons import find_comparisons
from storage.sources.tables.structure.conditions import find_conditions
from storage.sources.tables.structure.extremes import find_extremes
from storage.sources.tables.structure.functions import find_functions
from storage.sources.tables.structure.level_rates import find_level_rates
from storage.sources.tables.structure.linear import find_linear, verify_linear
from storage.sources.tables.structure.lookups import find_lookups
from storage.sources.tables.structure.moment_parts import find_parts
from storage.sources.tables.structure.moments import find_differences
from storage.sources.tables.structure.one_of import find_blocks
from storage.sources.tables.structure.pieces import find_pieces
from storage.sources.tables.structure.product_pairs import find_product_pairs
from storage.sources.tables.structure.product_sums import find_product_sums
from storage.sources.tables.structure.products import find_products, find_scaled
from storage.sources.tables.structure.rates import find_rated
from storage.sources.tables.structure.rule import FoundRule, derived_columns

FEWEST_LEARNT = 2
"""Columns that a generator needs beside what is computed."""
_LOSSY = "many numbers divided give the same whole one, so that other columns may decide it"


@dataclass(frozen=True, kw_only=True)
class Structure:
    """The rules of a table."""

    kept: tuple[FoundRule, ...] = ()
    """One for a derived column, none in a circle."""
    named: tuple[FoundRule, ...] = ()
    """What holds and is not kept; each says why."""
    unsearched: tuple[str, ...] = ()
    """Sentences about what was not looked for, as there are too many columns."""


def find_structure(
    table: pa.Table,
    columns: Sequence[Column],
    *,
    label: str | None,
    constraints: Sequence[Constraint] = (),
    min_group: int,
    train_N: Mask | None = None,
) -> Structure:
    """Return the rules that hold in all rows and that no chance explains.

    Args:
        table: N rows.
        columns: what its columns are.
        label: it is never derived.
        constraints: of the recipe; a rule on a column that they decide gives way.
        min_group: a value that fewer rows hold is not named.
        train_N: the rows that count for that; None = all, and more of them must hold it.
    """
    view = TableColumns(table, columns, min_group, train_N)
    decided = find_lookups(view)
    blocks = find_blocks(view)
    flags = {name for rule in blocks for name in rule.constraint.columns}
    never = {label} if label is not None else set[str]()
    formulas = find_linear(view, flags, never)
    multiplied = find_products(view, flags)
    bent = (*find_extremes(view, flags), *find_pieces(view, flags))
    chosen = Chosen(constraints, label)
    chosen.take(rule for rule in blocks if not told_by_lookups(rule, decided))
    chosen.take(bent)
    first = {name for rule in (*multiplied, *bent) for name in rule.constraint.columns[:1]}
    paired = find_product_pairs(view, flags, first)
    made = [r for r in (*multiplied, *bent, *paired) if r.constraint.kind != "ratio"]
    formulas = tuple(_turned(view, rule, made, never) for rule in formulas)
    chosen.take(rule for rule in formulas if rule.constraint.kind == "sum")
    chosen.take(rule for rule in multiplied if rule.constraint.kind == "product")
    chosen.take(find_rated(view, flags))
    chosen.take(rule for rule in formulas if rule.constraint.kind == "linear")
    chosen.take(_unless_lossy(view, r) for r in multiplied if r.constraint.kind == "ratio")
    chosen.take(_unless_lossy(view, rule) for rule in find_scaled(view, flags))
    derived = {name for rule in chosen.kept for name in derived_columns(rule.constraint)}
    chosen.take(find_product_sums(view, flags, derived))
    chosen.take(paired)
    derived = {name for rule in chosen.kept for name in derived_columns(rule.constraint)}
    chosen.take(find_functions(view, flags, derived))
    chosen.take(_unless_lossy(view, rule) for rule in find_changes(view, flags, derived))
    derived = {name for rule in chosen.kept for name in derived_columns(rule.constraint)}
    chosen.take(find_level_rates(view, flags, derived))
    chosen.take(find_differences(view, flags))
    chosen.take(find_parts(view, flags))
    banded = find_bands(view, flags)
    chosen.take(banded)
    chosen.take(find_comparisons(view, flags, {rule.constraint.columns[0] for rule in banded}))
    chosen.take(_composed(decided, {n for r in chosen.kept for n in derived_columns(r.constraint)}))
    chosen.take(find_conditions(view, flags, chosen.kept))
    kept, left = _enough_learnt(
        joined(chosen.kept, columns, {label, *(n for one in constraints for n in one.columns)}),
        columns,
    )
    told = {_columns(rule) for rule in kept}
    return Structure(
        kept=kept,
        named=(
            *(rule for rule in chosen.named if _columns(rule) not in told),
            *chosen.seconds(),
            *left,
        ),
        unsearched=_unsearched(view),
    )


def _turned(
    view: TableColumns, rule: FoundRule, made: Sequence[FoundRule], never: Collection[str]
) -> FoundRule:
    """Return a sum solved for its last part that nothing makes, where its total cannot be it.

    Another rule makes the total, or makes a part from it.
    """
    total, *parts = rule.constraint.columns
    results = {one.constraint.columns[0] for one in made}
    from_total = {one.constraint.columns[0] for one in made if total in one.constraint.columns[1:]}
    bound = total in results or not from_total.isdisjoint(parts)
    free = [name for name in parts if name not in results and name not in never]
    if rule.constraint.kind != "sum" or not bound or len(parts) < 2 or not free:
        return rule
    others = [name for name in parts if name != free[-1]]
    columns = (free[-1], total, *others)
    weights = (1.0, *(-1.0 for _ in others))
    return verify_linear(view, Constraint(kind="linear", columns=columns, weights=weights)) or rule


def _composed(rules: Sequence[FoundRule], made: Collection[str]) -> tuple[FoundRule, ...]:
    """Return lookups, those first of what is put together of columns one of which is made.

    Such as a code of a carrier and a zone, where the zone is a band: else the code, which says
    both, would be learnt beside the zone.
    """
    single = {rule.constraint.columns for rule in rules}

    def is_composed(rule: FoundRule) -> bool:
        name, *parts = rule.constraint.columns
        both = len(parts) > 1 and all((part, name) in single for part in parts)
        return both and not set(parts).isdisjoint(made)

    return tuple(sorted(rules, key=lambda rule: not is_composed(rule)))


def _unless_lossy(view: TableColumns, rule: FoundRule) -> FoundRule:
    """Return a ratio; not kept where it is whole and what is divided is not: many give the same."""
    if rule.constraint.kind != "ratio":
        return rule
    result, *parts = (view.quantities[name] for name in rule.constraint.columns)
    lossy = result.step >= 1 and any(part.step < 1 for part in parts)
    return rule.unkept(_LOSSY) if lossy else rule


def _enough_learnt(
    rules: Sequence[FoundRule], columns: Sequence[Column]
) -> tuple[tuple[FoundRule, ...], tuple[FoundRule, ...]]:
    """Return the rules that leave two columns or more to learn, and those that are given up."""
    kept, left = list(rules), list[FoundRule]()
    free = {one.name for one in columns if one.kind not in ("key", "text", "constant")}
    while kept and len(free) - _decided(kept) < FEWEST_LEARNT:
        left.append(kept.pop().unkept("too few columns would be left to learn"))
    return tuple(kept), tuple(left)


def _decided(rules: Sequence[FoundRule]) -> int:
    """Return how many columns fewer are learnt; of a block or combinations one is."""
    names = {
        name
        for rule in rules
        if rule.constraint.kind not in ("conditional", "one_of")
        for name in derived_columns(rule.constraint)
    }
    blocks = [rule.constraint.columns for rule in rules if rule.constraint.kind == "one_of"]
    return len(names) + sum(len(block) - 1 for block in blocks)


def _columns(rule: FoundRule) -> frozenset[str]:
    return frozenset(rule.constraint.columns)


def _unsearched(view: TableColumns) -> tuple[str, ...]:
    """Return sentences about what was not looked for."""
    found = []
    numbers, moments_ = len(view.quantities), len(view.moments)
    if numbers > products.MOST_COLUMNS:
        found.append(
            f"products and ratios were looked for among the first {products.MOST_COLUMNS} of "
            f"{numbers} columns of numbers"
        )
    if numbers > products.MOST_OF_THREE:
        found.append(
            f"products and ratios of three columns were looked for among the first "
            f"{products.MOST_OF_THREE} of {numbers} columns of numbers"
        )
    if numbers > pieces.MOST_OF_TWO:
        found.append(
            f"functions of how much more one column is than another were looked for among the "
            f"first {pieces.MOST_OF_TWO} of {numbers} columns of numbers, sums of two products "
            f"among {product_pairs.MOST_COLUMNS}"
        )
    if numbers > level_rates.MOST_COLUMNS:
        found.append(
            f"rates that a level says were looked for among the first {level_rates.MOST_COLUMNS} "
            f"of {numbers} columns of numbers, logarithms and roots among "
            f"{min(functions.MOST_COLUMNS, numbers)}"
        )
    if moments_ > moments.MOST_COLUMNS:
        found.append(
            f"differences were looked for among the first {moments.MOST_COLUMNS} of {moments_} "
            "moments"
        )
    if len(view.names) > lookups.MOST_COLUMNS:
        found.append(
            f"columns that two others decide together were looked for among "
            f"{lookups.MOST_COLUMNS} of {len(view.names)} columns, those of the fewest values"
        )
    return tuple(found)
