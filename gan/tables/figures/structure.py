"""The rules of a table, and how many real and synthetic rows keep each."""

import numpy as np
import pyarrow as pa

from gan.report import Figure
from gan.tables.columns.rules import in_words
from gan.tables.constraints import violations
from storage.records.table_metadata import TableMetadata

ALL = "all"
NEARLY_ALL = "nearly all"
"""Said of real rows where fewer break a rule than must hold a value that is shown."""


def structure(
    metadata: TableMetadata, train: pa.Table, unseen: pa.Table, fakes: pa.Table, group: int
) -> Figure | None:
    """Return a table of the rules; None where there are none that these columns have.

    Args:
        metadata: of the real rows.
        train: the real rows that combinations, lookups and rounding are held against.
        unseen: other real rows.
        fakes: synthetic rows.
        group: fewer real rows are not counted.
    """
    known = set(fakes.column_names)
    rules = [each for each in metadata.constraints if known.issuperset(each.columns)]
    if not rules:
        return None
    shown = []
    reals, made = (violations(rows, rules, train) for rows in (unseen, fakes))
    for rule, real_N, fake_M in zip(rules, reals, made, strict=True):
        few = 0 < int(real_N.sum()) < group
        real = NEARLY_ALL if few else _kept(real_N)
        shown.append([in_words(rule), real, _kept(fake_M)])
    shown.sort(key=lambda row: row[2] == ALL)
    broken = sum(row[2] != ALL for row in shown)
    return Figure(
        id="structure",
        section="structure",
        caption=f"{len(shown)} rules between columns, {broken} broken by synthetic rows: how many "
        "rows keep each, of real ones that training has not seen and of synthetic ones. Those that "
        "are broken come first.",
        alt=f"Table of {len(shown)} rules, {broken} of them broken by synthetic rows",
        kind="table",
        data={
            "columns": ["rule", "real rows that keep it", "synthetic rows that keep it"],
            "rows": shown,
            "right": [1, 2],
            "shown": broken,
        },
    )


def _kept(broken_N: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> str:
    """Return the share of rows that keep a rule, rounded down."""
    if not broken_N.any():
        return ALL
    return f"{np.floor(1e4 * (1 - broken_N.mean())) / 100:.2f} %"
