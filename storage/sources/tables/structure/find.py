"""What holds between the columns of a table, found unasked.

Everything is looked for on a sample of rows, verified on all of them, and must be told by rows that
nothing simpler explains. N rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from storage.records.schema import Column, Constraint
from storage.sources.tables.structure import lookups, moments, products
from storage.sources.tables.structure.bands import find_bands
from storage.sources.tables.structure.choose import Chosen, joined, told_by_lookups
from storage.sources.tables.structure.columns import Mask, TableColumns
from storage.sources.tables.structure.conditions import find_conditions
from storage.sources.tables.structure.linear import find_linear
from storage.sources.tables.structure.lookups import find_lookups
from storage.sources.tables.structure.moments import find_differences
from storage.sources.tables.structure.one_of import find_blocks
from storage.sources.tables.structure.products import find_products
from storage.sources.tables.structure.rule import FoundRule
from storage.sources.tables.structure.unsaid import find_unsaid


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
    chosen = Chosen(constraints, label)
    chosen.take(rule for rule in blocks if not told_by_lookups(rule, decided))
    chosen.take(rule for rule in formulas if rule.constraint.kind == "sum")
    chosen.take(rule for rule in multiplied if rule.constraint.kind == "product")
    chosen.take(rule for rule in formulas if rule.constraint.kind == "linear")
    chosen.take(rule for rule in multiplied if rule.constraint.kind == "ratio")
    chosen.take(find_differences(view, flags))
    chosen.take(find_unsaid(view, flags))
    chosen.take(find_bands(view, flags))
    chosen.take(decided)
    chosen.take(find_conditions(view, flags))
    told = {_columns(rule) for rule in chosen.kept}
    return Structure(
        kept=joined(
            chosen.kept, columns, {label, *(n for one in constraints for n in one.columns)}
        ),
        named=tuple(rule for rule in chosen.named if _columns(rule) not in told),
        unsearched=_unsearched(view),
    )


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
