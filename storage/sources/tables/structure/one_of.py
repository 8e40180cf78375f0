"""Blocks of columns of which exactly one is 1 or true in every row.

An exact cover of the rows by columns: the first row that no chosen column covers must be covered by
one of those that are 1 in it and never together with a chosen one (Knuth 2000, Dancing links). The
rows are bits of one whole number for each column. Columns whose names begin alike are tried first.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Final

import numpy as np

from storage.records.constraint import Constraint
from storage.sources.tables.structure.columns import LEAST_SHARE, TableColumns
from storage.sources.tables.structure.rule import FoundRule, listed_names
from storage.sources.tables.text_patterns import words_of_name

FEWEST: Final = 3
_MOST_STEPS: Final = 5000
_LEAST_ROWS: Final = 100
_RARE: Final = "one of them is 1 in too few rows to be shown"


def find_blocks(columns: TableColumns) -> tuple[FoundRule, ...]:
    """Return blocks without common columns."""
    flags = {name: bits for name in columns.names if (bits := _bits(columns, name))}
    every = (1 << columns.rows) - 1
    found: list[list[str]] = []
    families = groupby(flags, key=lambda name: words_of_name(name)[:1])
    for _, family in [(key, list(names)) for key, names in families]:
        if len(family) >= FEWEST and _covers_once(flags, family, every):
            found.append(family)
    left = {n: bits for n, bits in flags.items() if not any(n in block for block in found)}
    while (block := _exact_cover(left, every)) is not None:
        found.append(block)
        left = {name: bits for name, bits in left.items() if name not in block}
    rules = [_rule(columns, block) for block in found]
    return tuple(rule for rule in rules if rule is not None)


def _bits(columns: TableColumns, name: str) -> int:
    """Return the rows in which a column is 1 as bits; 0 for columns that are no flags."""
    levels = columns.levels(name)
    if len(levels.values) != 2 or levels.values.null_count:
        return 0
    if columns.kinds[name] not in ("integer", "float", "decimal", "boolean"):
        return 0
    values = [float(value) for value in levels.values.to_pylist()]
    if sorted(values) != [0.0, 1.0]:
        return 0
    packed = np.packbits(levels.codes_N == values.index(1.0), bitorder="little")
    return int.from_bytes(packed.tobytes(), "little")


def _covers_once(flags: Mapping[str, int], names: Sequence[str], every: int) -> bool:
    covered = 0
    for name in names:
        if covered & flags[name]:
            return False
        covered |= flags[name]
    return covered == every


def _exact_cover(flags: Mapping[str, int], every: int) -> list[str] | None:
    """Return three columns or more that cover every row once, if few steps find them."""
    steps = 0

    def extend(chosen: list[str], covered: int) -> list[str] | None:
        nonlocal steps
        if covered == every:
            return chosen if len(chosen) >= FEWEST else None
        first = ~covered & (covered + 1)
        for name, bits in flags.items():
            steps += 1
            if steps > _MOST_STEPS:
                return None
            if bits & first and not bits & covered:
                block = extend([*chosen, name], covered | bits)
                if block is not None:
                    return block
        return None

    block = extend([], 0) if len(flags) >= FEWEST else None
    return None if block is None else [name for name in flags if name in block]


def _rule(columns: TableColumns, block: Sequence[str]) -> FoundRule | None:
    shares = [_ones(columns, name) / columns.rows for name in block]
    others = 1 - max(shares)
    if others < LEAST_SHARE or others * columns.rows < _LEAST_ROWS / 2:
        return None
    why = f"exactly one of {listed_names(block)} is 1 in all rows"
    rule = FoundRule(
        constraint=Constraint(kind="one_of", columns=tuple(block)), why=why, support=columns.rows
    )
    shown = all(columns.may_show(name).all() for name in block)
    return rule if shown else rule.unkept(_RARE)


def _ones(columns: TableColumns, name: str) -> int:
    levels = columns.levels(name)
    place = [float(value) for value in levels.values.to_pylist()].index(1.0)
    return int(levels.counts_L[place])
