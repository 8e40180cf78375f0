"""Small tables in which rules between columns are looked for."""

import numpy as np
import pyarrow as pa

from storage.sources.config import SourceConfig
from storage.sources.tables.kinds import infer
from storage.sources.tables.structure.find import Structure, find_structure

ROWS = 1500


def search(columns: dict, label=None, constraints=(), *, free=True) -> Structure:
    """Look for rules; beside a column that has none, so that enough is left to learn."""
    table = pa.table(columns)
    if free:
        noise = np.random.default_rng(99).normal(size=len(table))
        table = table.append_column("free", pa.array(noise))
    config = SourceConfig(
        uri="x",
        label=None,
        columns=[{"name": n, "text": "pattern"} for n in columns if n == "note"],
    )
    kinds = infer(table, config, 10).columns
    return find_structure(table, kinds, label=label, constraints=constraints, min_group=10)


def kept(columns: dict, **options) -> list[tuple[str, tuple[str, ...]]]:
    found = search(columns, **options)
    return [(rule.constraint.kind, rule.constraint.columns) for rule in found.kept]


def days(numbers):
    return pa.array(np.asarray(numbers, np.int32), pa.date32())


def seconds(numbers):
    return pa.array(np.asarray(numbers, np.int64) * 1_000_000).cast(pa.timestamp("us"))
